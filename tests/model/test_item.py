"""Items: what belongs together in them, and how their names are kept."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from emosim_core.model.item import Item
from emosim_core.model.names import LowerCaseNames, Names


def test_a_part_needs_the_name_of_its_series() -> None:
    assert Item(id="i", title="I", collection="Is", part=2).part == 2
    assert Item(id="i", title="I", collection="Is").part is None
    with pytest.raises(ValidationError, match="a part needs the name of its series or collection") as caught:
        Item(id="i", title="I", part=2)
    assert [error["loc"] for error in caught.value.errors()] == [("part",)]


def test_names_are_stripped_and_stand_once() -> None:
    class Song(BaseModel):
        singers: Names = ()
        kinds: LowerCaseNames = ()

    song = Song(singers=(" Ada ", "Bo", "", "ada", "Ada"), kinds=(" Pop ", "rock", " ", "POP"))
    assert song.singers == ("Ada", "Bo", "ada")
    assert song.kinds == ("pop", "rock")
