"""Items and vectors of large tables in the cache: the same as without it, whatever has become of the files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emosim_core import DataError
from emosim_core.data import embeddings, kept_items
from emosim_core.data.items_csv import CsvItems, CsvItemsOptions
from emosim_core.model import Catalog, CatalogSetting, Domain, Item, Names, RatingScale, Words
from emosim_core.model.packed import LARGE, PackedItems
from emosim_core.simulation.assembly import make_catalog
from emosim_core.testing import Emosim


class Song(Item):
    """A song, with a field of each type that can be kept."""

    singers: Names = ()
    seconds: int | None = None
    live: bool = False


SCALE = RatingScale(low=1, high=5)
SONGS = Domain("songs", "Songs", SCALE, Words(items="songs"), Song)
TABLE = "id,title,categories,singers,seconds,public_rating,description\n" + "".join(
    f"{i},Song {i},folk|jäzz,A{i % 3}|B,{i or ''},{1 + i % 4}.5,Line {i}\n" for i in range(40)
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, which keeps tables from 30 items on."""
    monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path / "cache"))
    for module in (kept_items, embeddings):
        monkeypatch.setattr(module, "LARGE", 30)
    monkeypatch.setattr(kept_items, "_SMALLEST", 0)
    return tmp_path / "cache"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "songs.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def catalog(path: Path, domain: Domain = SONGS, vectors: Path | None = None) -> Catalog:
    loader = CsvItems(CsvItemsOptions(path=path, embeddings=vectors))
    loader.prepare(CatalogSetting(domain=domain))
    return make_catalog(loader.load(), domain, "lexical" if vectors is None else "auto", [])


def folders(cache: Path, kind: str) -> list[Path]:
    return sorted((cache / kind).iterdir())


def same(one: Catalog, other: Catalog) -> None:
    assert list(one.items) == list(other.items)
    assert (one.ids, one.titles, one.category_names) == (other.ids, other.titles, other.category_names)
    for name in ("embeddings", "whole_vectors", "norms", "categories", "public_ratings", "public_counts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype


def test_a_large_table_is_kept_and_is_the_same(
    cache: Path, table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = catalog(table)
    assert isinstance(first.items, PackedItems)
    assert capsys.readouterr().err.count("are kept in") == 2
    monkeypatch.setattr("emosim_core.data.items_csv.read_items_csv", None)  # nothing is parsed
    monkeypatch.setattr(embeddings, "lexical_vectors", None)
    second = catalog(table)
    assert capsys.readouterr().err == ""
    monkeypatch.undo()
    plain = catalog(table)
    assert isinstance(plain.items, tuple)
    same(first, plain)
    same(second, plain)


def test_another_content_of_the_same_size_and_time_is_read_anew(cache: Path, table: Path) -> None:
    catalog(table)
    about = table.stat()
    table.write_text(TABLE.replace("Song 7,", "Sang 7,"), encoding="utf-8")
    os.utime(table, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert catalog(table).titles[7] == "Sang 7"
    assert len(folders(cache, "items")) == 1, "the earlier content is kept no longer"


def test_other_columns_of_a_domain_are_read_anew(cache: Path, table: Path) -> None:
    assert catalog(table).items[3].description == "Line 3"
    other = Domain("songs", "Songs", SCALE, Words(), Song, columns={"description": "title", "title": "description"})
    assert catalog(table, other).items[3].description == "Song 3"


@pytest.mark.parametrize("kind", ["items", "vectors"])
@pytest.mark.parametrize("damage", ["byte", "end", "gone", "about", "format"])
def test_damaged_files_are_made_anew(cache: Path, table: Path, kind: str, damage: str) -> None:
    first = catalog(table)
    (folder,) = folders(cache, kind)
    file = folder / {"items": "title.text.npy", "vectors": "whole.npy"}[kind]
    about = folder / "about.json"
    content = file.read_bytes()
    if damage == "byte":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "end":
        file.write_bytes(content[:-1])
    elif damage == "gone":
        file.unlink()
    elif damage == "about":
        about.write_text("[1")
    else:
        about.write_text(about.read_text().replace('"format": 1', '"format": 0'))
    with pytest.warns(UserWarning, match="is damaged and is made anew"):
        same(first, catalog(table))
    same(first, catalog(table))  # sound again, without a warning


def test_a_cache_that_cannot_be_written_is_a_warning(cache: Path, table: Path) -> None:
    cache.write_text("a file")
    with pytest.warns(UserWarning, match="cannot be kept"):
        one = catalog(table)
    assert len(one) == 40


def test_given_vectors_are_kept_by_their_content(cache: Path, table: Path, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float16)
    path = tmp_path / "vectors.npy"
    np.save(path, vectors)
    first = catalog(table, vectors=path)
    assert len(folders(cache, "vectors")) == 1
    same(first, catalog(table, vectors=path))
    np.save(path, -vectors)
    np.testing.assert_array_equal(catalog(table, vectors=path).embeddings, -first.embeddings)
    vectors[3, 2] = np.nan
    np.save(path, vectors)
    with pytest.raises(DataError, match="not a finite number"):
        catalog(table, vectors=path)


def test_runs_are_the_same_bytes_with_the_cache_and_without_and_when_two_build_it_at_once(
    emosim: Emosim, tmp_path: Path
) -> None:
    lines = "".join(f"f{i},Film {i % 999},{'drama|war' if i % 2 else 'comedy'},{i % 50}\n" for i in range(LARGE))
    (tmp_path / "films.csv").write_text(f"id,title,genres,votes\n{lines}")
    (tmp_path / "no-folder").write_text("")
    command = ["run", "--plugin", "movies", "--items", "csv:films.csv", "--embeddings", "lexical", "--episodes", "3"]

    def started(out: str, cache: str) -> subprocess.Popen[str]:
        env = emosim.environment(EMOSIM_CACHE_DIR=str(tmp_path / cache), EMOSIM_KERNELS="0")
        return subprocess.Popen(
            [sys.executable, "-m", "emosim_core", *command, "--policy", "random", "--out", out],
            cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ended(process: subprocess.Popen[str]) -> str:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return err

    at_once = [started("one", "cache"), started("two", "cache")]
    assert all("Note: 10,000 items are kept in" in err for err in map(ended, at_once))
    assert "kept" not in ended(started("three", "cache"))
    assert "cannot be kept" in ended(started("without", "no-folder/cache"))
    assert [len(folders(tmp_path / "cache", kind)) for kind in ("items", "vectors")] == [1, 1]
    files = {name: (tmp_path / name / "interactions.jsonl").read_bytes() for name in ("one", "two", "three", "without")}
    assert len(set(files.values())) == 1
    manifests = {(tmp_path / name / "manifest.json").read_text().split('"data"')[1] for name in files}
    assert len(manifests) == 1
