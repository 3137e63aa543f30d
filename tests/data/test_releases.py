"""Published data sets: where their tables are found, and what reading them from a damaged zip file says."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from emosim_core.data.places import open_table
from emosim_core.data.releases import open_release, read_table
from emosim_core.errors import DataError
from emosim_core.testing import fails, write_folder, write_zip

WHAT = "a folder or zip file with songs.csv"
SONGS = "id,title\n1, One \n2,Two\n"


def archive(path: Path, files: dict[str, str]) -> Path:
    return write_zip(path.with_suffix(".zip"), files)


def titles(path: Path, alone: bool = False, strip: bool = True) -> list[str]:
    with (
        open_release(path, "songs.csv", WHAT, ("songs.dat", "s.item"), alone) as (_, table),
        closing(read_table(table, "a CSV file of songs", ("title",), strip)) as rows,
    ):
        return [cells["title"] for _, cells in rows]


both = pytest.mark.parametrize("made", [write_folder, archive])
Maker = Callable[[Path, dict[str, str]], Path]


@both
def test_a_table_is_found_at_the_top_or_one_folder_down(tmp_path: Path, made: Maker) -> None:
    top = {"songs.csv": SONGS, "sample/songs.csv": "x", "a.txt": "a"}
    assert titles(made(tmp_path / "top", top)) == ["One", "Two"]
    inner = {"set/songs.csv": SONGS, "set/sample/songs.csv": "x", "__MACOSX/._songs.csv": "x", "a.txt": "a"}
    assert titles(made(tmp_path / "inner", inner)) == ["One", "Two"]
    assert titles(made(tmp_path / "blanks", {"songs.csv": SONGS}), strip=False) == [" One ", "Two"]


@both
def test_other_tables_lie_beside_it(tmp_path: Path, made: Maker) -> None:
    path = made(tmp_path / "set", {"in/songs.csv": SONGS, "in/tags.csv": "tag\nloud\n"})
    with open_release(path, "songs.csv", WHAT) as (place, table):
        assert str(table) == str(path / "in" / "songs.csv")
        assert not (place / "more.csv").is_file()
        with open_table(place / "tags.csv") as stream:
            assert stream.read() == b"tag\nloud\n"


def test_the_table_itself_will_do_where_it_may(tmp_path: Path) -> None:
    mine = write_folder(tmp_path, {"mine.csv": SONGS}) / "mine.csv"
    assert titles(mine, alone=True) == ["One", "Two"]
    with pytest.raises(DataError, match=r"mine\.csv: is not a zip file \(.*\); expected a folder or zip file"):
        titles(mine)
    zipped = archive(tmp_path / "z", {"songs.csv": SONGS}).rename(tmp_path / "without-suffix")
    assert titles(zipped, alone=True) == ["One", "Two"]


@both
def test_what_is_not_there_is_named(tmp_path: Path, made: Maker) -> None:
    with pytest.raises(DataError, match="none: no such file or folder; expected a folder or zip file"):
        titles(tmp_path / "none")
    for files, says in (
        ({"a.txt": "a", "notsongs.csv": SONGS}, "holds no songs.csv; expected a folder"),
        ({"very/deep/songs.csv": SONGS}, "holds no songs.csv; expected a folder"),
        ({"a/songs.csv": SONGS, "b/songs.csv": SONGS}, r"holds several data sets \(.*a/?, .*b/?\); name the folder"),
        ({"s.item": "x"}, "holds no songs.csv; s.item is of an older release in another format; expected"),
        ({"old/songs.dat": "x"}, "holds no songs.csv; songs.dat is of an older release"),
    ):
        path = made(tmp_path / str(len(says)), files)
        with pytest.raises(DataError, match=says) as caught:
            titles(path)
        assert caught.value.path == str(path)


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError, match=r"cannot be read: .*Permission denied"):
        titles(tmp_path)


def test_a_member_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "set", {"in/songs.csv": SONGS})
    with zipfile.ZipFile(path) as sound:
        size = sound.getinfo("in/songs.csv").compress_size
    content = bytearray(path.read_bytes())
    start = 30 + len("in/songs.csv")
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"set\.zip/in/songs\.csv: cannot be read: Error -3 while decompressing"):
        titles(path)


def test_a_member_of_other_content_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", {"songs.csv": SONGS}, zipfile.ZIP_STORED)
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
        titles(archive(tmp_path / "set", {"//songs.csv": SONGS}))


@both
def test_an_error_of_whoever_reads_is_theirs_and_closes_the_table(tmp_path: Path, made: Maker) -> None:
    path = made(tmp_path / "set", {"songs.csv": SONGS})
    with open_release(path, "songs.csv", WHAT) as (_, table):
        rows = read_table(table, "a CSV file of songs")

        def fail() -> None:
            with closing(rows):
                raise RuntimeError(f"mine, at {next(rows)[0]}")

        with pytest.raises(RuntimeError, match="mine, at 2"):
            fail()
        assert next(rows, None) is None
