"""The loaders that every domain has: described by the core, found in the domain alone, and replaceable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from emosim_core.plugins import assemble, standard_item_loaders, standard_user_loaders
from emosim_core.simulation.config import EnvironmentConfig

PLUGIN = """
from pydantic import BaseModel
from emosim_core.plugins import (
    Component, Domain, Item, ItemLoader, LoadedItems, RatingScale, User, UserLoader, Words, hookimpl,
    standard_item_loaders, standard_user_loaders,
)
EMOSIM_HOOK_VERSION = 1

def songs():
    columns = {"description": "lyrics"}
    return Domain("songs", "Songs", RatingScale(low=1, high=5), Words(items="songs"), Item, columns=columns)

class Two(ItemLoader):
    def load(self):
        return LoadedItems([Item(id="a", title="A"), Item(id="b", title="B")])

class Mine(UserLoader):
    def prepare(self, setting):
        self.domain = setting.domain.name

    def load(self):
        return [User(id="m", name=f"Mine of {self.domain}")]

@hookimpl
def emosim_domains():
    yield Component("songs", "Songs.", "emosim_songs:songs")

@hookimpl
def emosim_item_loaders():
    yield from standard_item_loaders("songs", "songs", without=["sample"])
    yield Component("sample", "Two songs.", "emosim_songs:Two", domain="songs")

@hookimpl
def emosim_user_loaders():
    yield from standard_user_loaders("songs", without=["sampled"])
    yield Component("sampled", "Mine.", "emosim_songs:Mine", domain="songs")
"""


def test_they_are_of_the_domain_that_yields_them() -> None:
    assert [one.usage() for one in standard_item_loaders("songs", "songs")] == ["sample", "csv:PATH"]
    assert [one.usage() for one in standard_user_loaders("songs")] == ["sampled", "basic", "detailed", "csv:PATH"]
    for one in (*standard_item_loaders("songs", "songs"), *standard_user_loaders("songs")):
        assert one.domain == "songs"
        assert one.options_model() is not None or one.name == "sample"
    assert next(iter(standard_item_loaders("songs", "big songs"))).summary == "The bundled big songs."
    assert [one.name for one in standard_user_loaders("songs", without=("csv", "basic"))] == ["sampled", "detailed"]


def test_a_domain_may_bring_a_loader_of_its_own_under_the_same_name(
    install: Callable[..., str], quick: Any, tmp_path: Path
) -> None:
    install("songs", PLUGIN, domains=("songs",))
    assert "Mine of songs" in quick("users", "list", "--plugin", "songs").out
    assert [item.id for item in assemble(EnvironmentConfig(plugin="songs", embeddings="lexical")).catalog.items] == [
        "a",
        "b",
    ]


def test_a_standard_loader_says_what_the_domain_lacks(install: Callable[..., str], quick: Any) -> None:
    install("songs", PLUGIN, domains=("songs",))
    message = quick("users", "list", "--plugin", "songs", "--users", "basic", status=2).err
    assert "the domain 'songs' does not say what its users are generated from" in message


def test_a_file_of_the_domains_own_columns_is_sent_to_csv(
    install: Callable[..., str], quick: Any, tmp_path: Path
) -> None:
    install("songs", PLUGIN, domains=("songs",))
    (tmp_path / "songs.csv").write_text("id,title,lyrics\n1,One,A song.\n", encoding="utf-8")
    assert "One" in quick("items", "--plugin", "songs", "--items", "csv:songs.csv").out
    message = quick("items", "--plugin", "movies", "--items", "movielens:songs.csv", status=2).err
    assert "is a CSV file of songs, which 'movielens' does not read" in message
    assert "Use: --plugin songs --items csv:songs.csv" in message
