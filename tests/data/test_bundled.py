"""Items that a package bundles: read with their embeddings, and an error that says what to do where they do not fit."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emosim_core.data.bundled import BundledItems
from emosim_core.data.embeddings import Embedded, EmbeddingOptions, save_bundled_embeddings
from emosim_core.errors import ConfigurationError
from emosim_core.model import CatalogSetting, Domain, Item, RatingScale, Words
from emosim_core.testing import fails, write_folder

SONGS = Domain(
    "songs",
    "Songs",
    RatingScale(low=1, high=5),
    Words(items="songs"),
    Item,
    columns={"description": "lyrics"},
    package="emosim_songs",
)
ITEMS = [Item(id="1", title="One", description="A story."), Item(id="2", title="Two")]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with bundled songs and their embeddings."""
    csv = "id,title,lyrics\n1,One,A story.\n2,Two,\n"
    folder = write_folder(tmp_path / "emosim_songs", {"__init__.py": "", "data/sample.csv": csv})
    save_bundled_embeddings(folder / "data" / "sample.npz", ITEMS, np.eye(2, 3), "tiny/model")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "emosim_songs"]:
        del sys.modules[name]


@pytest.fixture
def sample(package: Path) -> Callable[[bool], BundledItems]:
    """Makes the source of the bundled songs, with the embeddings bundled or not."""

    def make(embedded: bool) -> BundledItems:
        loader = BundledItems()
        loader.prepare(CatalogSetting(domain=replace(SONGS, sample_embeddings=embedded)))
        return loader

    return make


def test_a_domain_without_bundled_items_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'songs' names no package with bundled items"):
        BundledItems().prepare(CatalogSetting(domain=replace(SONGS, package="")))


def test_items_come_with_their_embeddings(sample: Callable[[bool], BundledItems]) -> None:
    for embedded in (True, False):
        loaded = sample(embedded).load()
        assert loaded.items == sample(embedded).items() == ITEMS
        assert loaded.embeddings is not None
        assert loaded.embeddings.tolist() == np.eye(2, 3).tolist()
        assert loaded.embedding_name == "tiny/model"
        assert loaded.source == "the songs bundled with emosim-songs"


def test_what_is_missing_or_belongs_to_other_texts_is_noticed(
    sample: Callable[[bool], BundledItems], package: Path
) -> None:
    songs, vectors, table = sample(True), package / "data" / "sample.npz", package / "data" / "sample.csv"
    table.write_text(table.read_text().replace("A story.", "Another story."))
    says = "'emosim embed --plugin songs' makes them anew"
    fails(songs.load, file=vectors, message="other texts")
    fails(songs.load, file=vectors, message=says)
    vectors.unlink()
    fails(songs.load, file=vectors, message="no such file; 'emosim embed --plugin songs'")
    table.unlink()
    fails(songs.load, file="emosim_songs/data/sample.csv", message="the bundled songs are missing; install them anew")
    fails(songs.load, file="emosim_songs/data/sample.csv", message="pip install --force-reinstall emosim-songs")


def test_embeddings_need_not_be_bundled(sample: Callable[[bool], BundledItems], package: Path) -> None:
    (package / "data" / "sample.npz").unlink()
    loaded = sample(False).load()
    assert (loaded.items, loaded.embeddings) == (ITEMS, None)


def test_embeddings_are_made_anew_after_a_change(
    sample: Callable[[bool], BundledItems], package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embed(items: list[Item], *, options: EmbeddingOptions) -> Embedded:
        assert options.method == "sentence-transformers"  # which never falls back to words
        return Embedded(np.eye(2), "new/model")

    monkeypatch.setattr("emosim_core.data.bundled.embed_items", embed)
    table = package / "data" / "sample.csv"
    table.write_text(table.read_text().replace("A story.", "Another story."))
    assert sample(True).rebuild_embeddings() == package / "data" / "sample.npz"
    assert sample(True).load().embedding_name == "new/model"
