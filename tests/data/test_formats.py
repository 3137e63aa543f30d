"""Formats: which data set a path holds, and what is said where it holds none, several, or one of another plugin."""

from __future__ import annotations

import gzip
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from emosim_core.data.formats import recognized
from emosim_core.errors import DataError
from emosim_core.loading import Format, open_format, read_csv
from emosim_core.testing import fails, write_folder, write_zip

SONGS = Format("songs", files=("songs.csv", "songs_*.csv"), columns=("song", "band"), beside=("plays.csv",))
OLD = Format("old songs", files=("songs.dat",), begins=r"\d+::")
BOTH = (SONGS, OLD)
TEXT = "song,band,year\na,b,1\n"
TABLE = Format("songs", files=("songs.csv",), columns=("id", "title"))
CSV = "id,title\n1,One\n2,Two\n"


def opened(path: Path) -> tuple[str, str]:
    with open_format(path, BOTH, "songs") as release:
        return release.format.name, str(release.table)


def test_a_data_set_is_found_in_a_folder_a_folder_in_it_a_zip_file_and_by_any_of_its_files(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in" / "set", {"songs.csv": TEXT, "plays.csv": "x\n1\n"})
    table = str(folder / "songs.csv")
    for path in (folder, folder.parent, folder / "songs.csv", folder / "plays.csv"):
        assert opened(path) == ("songs", table)
        assert recognized(path, BOTH) is SONGS
    assert opened(write_zip(tmp_path / "set.zip", {"set/songs.csv": TEXT}))[0] == "songs"
    renamed = tmp_path / "mine.txt"
    renamed.write_text(TEXT)
    assert opened(renamed) == ("songs", str(renamed))


def test_packed_files_count_under_their_own_name_and_plain_ones_come_first(tmp_path: Path) -> None:
    (tmp_path / "songs.dat.gz").write_bytes(gzip.compress(b"1::a::b\n"))
    assert opened(tmp_path) == ("old songs", str(tmp_path / "songs.dat.gz"))
    (tmp_path / "songs.dat").write_text("1::a::b\n")
    assert opened(tmp_path) == ("old songs", str(tmp_path / "songs.dat"))


def test_how_a_file_begins_decides_before_its_name(tmp_path: Path) -> None:
    (tmp_path / "songs.csv").write_text("1::a::b\n")
    assert opened(tmp_path / "songs.csv")[0] == "old songs"
    assert recognized(tmp_path, BOTH) is None
    assert opened(tmp_path)[0] == "songs"


def test_nothing_and_too_much_is_said(tmp_path: Path) -> None:
    fails(lambda: opened(tmp_path / "nowhere"), file="nowhere", message="no such file or folder; expected songs")
    fails(lambda: opened(tmp_path), file=tmp_path, message="holds no such data set; expected songs")
    assert recognized(tmp_path / "nowhere", BOTH) is None
    for name in ("one", "two"):
        write_folder(tmp_path / name, {"songs.csv": TEXT})
    fails(lambda: opened(tmp_path), file=tmp_path, message="holds several data sets")
    parts = write_folder(tmp_path / "parts", {"songs_a.csv": TEXT, "songs_b.csv": TEXT})
    fails(
        lambda: opened(parts),
        file=parts,
        message="holds several files songs_*.csv (songs_a.csv, songs_b.csv); name one",
    )
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04" + b"\0" * 40)
    assert recognized(broken, BOTH) is None


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0", b"\xff\xfes\0o\0", b'"' * 70_000, b"," * 70_000, b"[" * 70_000])
def test_strange_content_is_no_format_and_no_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange"
    path.write_bytes(content)
    assert recognized(path, BOTH) is None


def test_a_file_of_another_plugin_is_sent_there(quick: Any, tmp_path: Path) -> None:
    path = tmp_path / "books.csv"
    path.write_text("book_id,title,authors,average_rating,ratings_count\n1,Untold,Ada Berg,4.5,10\n")
    message = quick("items", "--plugin", "movies", "--items", f"csv:{path}", status=2).err
    assert f"is goodbooks-10k, which 'csv' does not read. Use: --plugin books --items goodreads:{path}\n" in message
    assert "Untold" in quick("items", "--plugin", "books", "--items", f"goodreads:{path}").out


def titles(path: Path) -> list[str]:
    with (
        open_format(path, (TABLE,), "songs") as release,
        closing(read_csv(release.table, "a CSV file of songs", ("title",))) as rows,
    ):
        return [cells["title"] for _, cells in rows]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError, match=r"cannot be read: .*Permission denied"):
        titles(tmp_path)


def test_a_member_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", {"in/songs.csv": CSV})
    with zipfile.ZipFile(path) as sound:
        size = sound.getinfo("in/songs.csv").compress_size
    content = bytearray(path.read_bytes())
    start = 30 + len("in/songs.csv")
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"set\.zip/in/songs\.csv: cannot be read: Error -3 while decompressing"):
        titles(path)


def test_a_member_of_other_content_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", {"songs.csv": CSV}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"One", b"Won", 1))
    fails(lambda: titles(path), file="set.zip/songs.csv", message="cannot be read: Bad CRC-32")


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_anywhere_in_a_member_is_an_error_whatever_it_reads_as(tmp_path: Path, how: int) -> None:
    songs = "id,title\n" + "".join(f"{i},Song {i * i}\n" for i in range(60))
    path = write_zip(tmp_path / "set.zip", {"songs.csv": songs}, how)
    content = bytearray(path.read_bytes())
    start = 30 + len("songs.csv")
    with zipfile.ZipFile(path) as sound:
        end = start + sound.getinfo("songs.csv").compress_size
    for place in range(start + 20, end, 7):
        content[place] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(DataError):
        titles(path)
    content[start:end] = b"\xff" * (end - start)
    path.write_bytes(content)
    with pytest.raises(DataError):
        titles(path)


def test_a_member_that_would_never_be_found_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"set\.zip: has a member '//songs\.csv', which is no name of a file"):
        titles(write_zip(tmp_path / "set.zip", {"//songs.csv": CSV}))


@pytest.mark.parametrize("zipped", [False, True])
def test_an_error_of_whoever_reads_is_theirs_and_closes_the_table(tmp_path: Path, zipped: bool) -> None:
    make = write_zip if zipped else write_folder
    path = make(tmp_path / ("set.zip" if zipped else "set"), {"songs.csv": CSV})
    with open_format(path, (TABLE,), "songs") as release:
        rows = read_csv(release.table, "a CSV file of songs")

        def fail() -> None:
            with closing(rows):
                raise RuntimeError(f"mine, at {next(rows)[0]}")

        with pytest.raises(RuntimeError, match="mine, at 2"):
            fail()
        assert next(rows, None) is None
