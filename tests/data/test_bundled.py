"""Items that a package bundles: read with their embeddings, and an error that says what to do where they do not fit."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from emosim_core.data.bundled import BundledItems
from emosim_core.data.embeddings import EmbeddingOptions, save_bundled_embeddings
from emosim_core.model import Item
from emosim_core.testing import fails, write_folder

SOURCE = """
from emosim_core.loading import BundledItems
from emosim_core.plugins import Item

class Sample(BundledItems):
    plugin = "songs"
    item_type = Item
    columns = {"description": "lyrics"}
    items_word = "songs"

class Without(Sample):
    embedded = False
"""
ITEMS = [Item(id="1", title="One", description="A story."), Item(id="2", title="Two")]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with bundled songs and their embeddings."""
    csv = "id,title,lyrics\n1,One,A story.\n2,Two,\n"
    folder = write_folder(tmp_path / "emosim_songs", {"loaders.py": SOURCE, "__init__.py": "", "data/sample.csv": csv})
    save_bundled_embeddings(folder / "data" / "sample.npz", ITEMS, np.eye(2, 3), "tiny/model")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "emosim_songs"]:
        del sys.modules[name]


@pytest.fixture
def sample(package: Path) -> Callable[[str], BundledItems]:
    """Makes a source of the package, ``Sample`` or ``Without`` embeddings."""
    return lambda name: getattr(importlib.import_module("emosim_songs.loaders"), name)()


def test_items_come_with_their_embeddings(sample: Callable[[str], BundledItems]) -> None:
    for name in ("Sample", "Without"):
        loaded = sample(name).load()
        assert loaded.items == sample(name).items() == ITEMS
        assert loaded.embeddings is not None
        assert loaded.embeddings.tolist() == np.eye(2, 3).tolist()
        assert loaded.embedding_name == "tiny/model"
        assert loaded.source == "the songs bundled with emosim-songs"


def test_what_is_missing_or_belongs_to_other_texts_is_noticed(
    sample: Callable[[str], BundledItems], package: Path
) -> None:
    songs, vectors, table = sample("Sample"), package / "data" / "sample.npz", package / "data" / "sample.csv"
    table.write_text(table.read_text().replace("A story.", "Another story."))
    says = "'emosim embed --plugin songs' makes them anew"
    fails(songs.load, file=vectors, says="other texts")
    fails(songs.load, file=vectors, says=says)
    vectors.unlink()
    fails(songs.load, file=vectors, says="no such file; 'emosim embed --plugin songs'")
    table.unlink()
    fails(songs.load, file="emosim_songs/data/sample.csv", says="the bundled songs are missing; install them anew")
    fails(songs.load, file="emosim_songs/data/sample.csv", says="pip install --force-reinstall emosim-songs")


def test_embeddings_need_not_be_bundled(sample: Callable[[str], BundledItems], package: Path) -> None:
    (package / "data" / "sample.npz").unlink()
    loaded = sample("Without").load()
    assert (loaded.items, loaded.embeddings) == (ITEMS, None)


def test_embeddings_are_made_anew_after_a_change(
    sample: Callable[[str], BundledItems], package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(items: list[Item], target: Path, options: EmbeddingOptions | None) -> None:
        save_bundled_embeddings(target, items, np.eye(2), "new/model")

    monkeypatch.setattr("emosim_core.data.bundled.build_bundled_embeddings", build)
    table = package / "data" / "sample.csv"
    table.write_text(table.read_text().replace("A story.", "Another story."))
    assert sample("Sample").rebuild_embeddings() == package / "data" / "sample.npz"
    assert sample("Sample").load().embedding_name == "new/model"
