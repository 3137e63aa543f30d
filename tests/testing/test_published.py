"""PublishedFormatsConformance: data sets that are read as they are published keep to it, and what fails is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emosim_core.testing import PublishedDataSet, PublishedFormatsConformance
from emosim_core.testing.conformance import forget_plugins

PLUGIN = """
from pathlib import Path
from pydantic import BaseModel, ConfigDict, Field
from emosim_core.loading import Format, open_format, read_csv
from emosim_core.plugins import (
    Component, Domain, Item, ItemLoader, LoadedItems, RatingScale, User, UserLoader, Words, hookimpl,
    standard_item_loaders,
)
EMOSIM_HOOK_VERSION = 1
FORMATS = (Format("a chart", files=("chart.csv",), columns=("place", "song"), beside=("labels.csv",)),)

def songs():
    return Domain("songs", "Songs", RatingScale(low=1, high=5), Words(items="songs"), Item)

class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: Path = Field(description="A chart.")

class Chart(ItemLoader):
    def __init__(self, options):
        self.path = options.path

    def load(self):
        with open_format(self.path, FORMATS, "a chart") as release:
            rows = list(read_csv(release.table, "a chart", ("place", "song")))
        return LoadedItems([Item(id=cells["place"], title=cells["song"]) for _, cells in rows])

class One(UserLoader):
    def load(self):
        return [User(id="u", name="Ada")]

@hookimpl
def emosim_domains():
    yield Component("songs", "Songs.", "emosim_songs:songs")

@hookimpl
def emosim_item_loaders():
    yield from standard_item_loaders("songs", "songs")
    options = "emosim_songs:Options"
    yield Component(
        "chart", "A chart.", "emosim_songs:Chart", options=options, value="path", domain="songs", formats=FORMATS_NAMED
    )

@hookimpl
def emosim_user_loaders():
    yield Component("sampled", "One user.", "emosim_songs:One", domain="songs")
"""
FILES = {"set/chart.csv": b"place,song\n1,Salt\n2,Static\n", "set/labels.csv": b"label\nQuay\n"}
CHART = PublishedDataSet("chart", FILES, "set/labels.csv", ("Salt", "Static"))


@pytest.fixture
def songs(install: Callable[..., str]) -> Iterator[Callable[[bool], None]]:
    def make(named: bool) -> None:
        install(
            "songs", PLUGIN.replace("FORMATS_NAMED", '"emosim_songs:FORMATS"' if named else "None"), domains=["songs"]
        )
        forget_plugins()

    yield make
    forget_plugins()


def broken(data: PublishedDataSet) -> dict[str, str]:
    """What each check that fails says."""
    suite: Any = type("Suite", (PublishedFormatsConformance,), {"domain": "songs", "data_sets": {"a chart": data}})()
    messages = {}
    for name in (name for name in dir(suite) if name.startswith("test_")):
        try:
            getattr(suite, name)()
        except AssertionError as error:
            messages[name] = str(error)
    return messages


def test_a_data_set_that_is_read_as_it_is_published_keeps_to_it(songs: Callable[[bool], None]) -> None:
    songs(True)
    assert broken(CHART) == {}


def test_a_title_that_no_item_has_is_named(songs: Callable[[bool], None]) -> None:
    songs(True)
    (message,) = broken(PublishedDataSet("chart", FILES, "set/labels.csv", ("Salt", "Sugar"))).values()
    assert message == "a chart: no item has the title ['Sugar']."


def test_a_loader_that_names_no_format_is_found(songs: Callable[[bool], None]) -> None:
    songs(False)
    (message,) = broken(CHART).values()
    assert "a chart: 'csv' says" in message
    assert 'not "Use: --items ' in message or "not 'Use: --items " in message
