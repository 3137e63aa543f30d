"""Helpers for tests of loaders: files to read, real data, and what a wrong file must be told."""

from __future__ import annotations

import zipfile
from pathlib import Path
from unittest import SkipTest

import pytest

from emosim_core import DataError
from emosim_core.testing import fails, real, write_folder, write_zip


def wrong() -> None:
    raise DataError("songs.csv", "no title", row=3, field="title")


def test_the_right_error_is_right() -> None:
    fails(wrong, file="songs.csv", message="no title", row=3, field="title")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"file": "books.csv"}, "about 'songs.csv', not about 'books.csv'"),
        ({"message": "no name"}, "does not say 'no name'"),
        ({"row": 4}, r"are \(3, 'title'\), not \(4, 'title'\)"),
        ({"field": ""}, r"are \(3, 'title'\), not \(3, None\)"),
        ({"load": list}, "no DataError; expected one about songs.csv"),
    ],
)
def test_another_error_or_none_is_wrong(changes: dict[str, object], expected: str) -> None:
    right: dict[str, object] = {"load": wrong, "file": "songs.csv", "message": "no title", "row": 3, "field": "title"}
    with pytest.raises(AssertionError, match=expected):
        fails(**{**right, **changes})  # type: ignore[arg-type]


def test_an_error_of_another_kind_is_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        fails(lambda: 1 / 0, file="songs.csv", message="")


def test_files_are_written_with_their_folders(tmp_path: Path) -> None:
    files = {"songs.csv": "id\n", "more/é.csv": "naïve"}
    assert write_folder(tmp_path / "new" / "set", files) == tmp_path / "new" / "set"
    assert (tmp_path / "new" / "set" / "more" / "é.csv").read_text(encoding="utf-8") == "naïve"
    for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(write_zip(tmp_path / "set.zip", files, how)) as archive:
            assert {name: archive.read(name).decode() for name in archive.namelist()} == files
            assert {member.compress_type for member in archive.infolist()} == {how}


def test_real_data_is_found_or_the_test_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path, {"songs/a.csv": "id\n"})
    monkeypatch.setenv("EMOSIM_REAL_DATA", str(tmp_path))
    assert real("songs/a.csv") == tmp_path / "songs" / "a.csv"
    with pytest.raises(SkipTest, match="EMOSIM_REAL_DATA names no folder with books"):
        real("books")
    monkeypatch.delenv("EMOSIM_REAL_DATA")
    with pytest.raises(SkipTest):
        real("songs")
