"""Items in CSV files: any domain's fields by the names of its columns, and one clear error for what is wrong."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import Field, ValidationError

from emosim_core.data.items_csv import CsvItems, CsvItemsOptions
from emosim_core.model import CatalogSetting, Domain, Item, LoadedItems, Names, RatingScale, Words
from emosim_core.testing import fails


class Song(Item):
    """A song. Its album is its collection."""

    singers: Names = ()
    seconds: int | None = Field(default=None, ge=1)
    public_rating: float | None = Field(default=None, ge=1, le=5, allow_inf_nan=False)


SONGS = Domain(
    "songs",
    "Songs",
    RatingScale(low=1, high=5),
    Words(items="songs"),
    Song,
    columns={"collection": "album", "public_count": "plays", "description": "lyrics"},
)


def songs(path: Path, **options: Any) -> CsvItems:
    loader = CsvItems(CsvItemsOptions(path=path, **options))
    loader.prepare(CatalogSetting(domain=SONGS))
    return loader


def load(path: Path, text: str | bytes, **options: Any) -> LoadedItems:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return songs(path, **options).load()


def test_every_field_has_a_column(tmp_path: Path) -> None:
    header = "id,title,year,categories,singers,seconds,album,part,public_rating,plays,lyrics"
    row = 's-1,"Us, Two",1999,Folk|Jazz,Ada Berg| Jon Ek,201,Twos,2,4.5,1200,"They ""meet"", and part."'
    loaded = load(tmp_path / "songs.csv", f"{header}\n{row}\n")
    assert loaded.items == [
        Song(
            id="s-1",
            title="Us, Two",
            year=1999,
            categories=("folk", "jazz"),
            singers=("Ada Berg", "Jon Ek"),
            seconds=201,
            collection="Twos",
            part=2,
            public_rating=4.5,
            public_count=1200,
            description='They "meet", and part.',
        )
    ]
    assert (loaded.embeddings, loaded.embedding_name) == (None, "")
    assert loaded.source == str(tmp_path / "songs.csv")


def test_only_id_and_title_are_needed_and_a_mark_of_the_encoding_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    loaded = load(tmp_path / "songs.csv", b"\xef\xbb\xbftitle,id\r\nOne,1\r\n\r\nTwo,2\r\n")
    assert loaded.items == [Song(id="1", title="One"), Song(id="2", title="Two")]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("\"['Ada', 'Bo']\"", ("Ada", "Bo")),
        ("Ada;Bo", ("Ada", "Bo")),
        ('"Ada, Bo"', ("Ada", "Bo")),
        ("Ada|Bo", ("Ada", "Bo")),
        ("nan", ()),
    ],
)
def test_lists_are_read_in_every_usual_form(tmp_path: Path, cell: str, names: tuple[str, ...]) -> None:
    (song,) = load(tmp_path / "songs.csv", f'id,title,singers,lyrics\n1,"One, Two",{cell},"a, b;c"\n').items
    assert (song.title, song.singers, song.description) == ("One, Two", names, "a, b;c")  # type: ignore[attr-defined]


def test_gaps_and_entities_as_programs_write_them(tmp_path: Path) -> None:
    header, gaps = "Unnamed: 0;ID;Title;year;plays;album;lyrics", "0;nan;None;1995.0;nan;\\N;N/A"
    text = f"{header}\n{gaps}\n1;a&amp,b;R&amp,amp,D;;;A&#39,s;x\n".replace(";", "\t").replace(",", ";")
    one, two = load(tmp_path / "songs.csv", gzip.compress(text.encode("utf-16"))).items
    assert one == Song(id="nan", title="None", year=1995)
    assert two == Song(id="a&amp;b", title="R&D", collection="A's", description="x")


@pytest.mark.parametrize(
    ("text", "row", "field", "says"),
    [
        ("", None, "", "the file is empty"),
        ("id,title\n", None, "", "has no songs, only a header line"),
        ("id,year\n1,1999\n", 1, "title", "the column is missing; needed: id, title; the header has: id, year"),
        ("id,title,singer\n1,One,Ada\n", 1, "singer", "did you mean 'singers'?"),
        ("id,title,collection\n1,One,Ones\n", 1, "collection", "unknown column"),
        ("id,title,zzz\n1,One,folk\n", 1, "zzz", "unknown column; Known: id, title"),
        ("id,title,id\n1,One,1\n", 1, "id", "twice"),
        ("id,title\n1,One\n2\n", 3, "", "has 1 fields; the header has 2"),
        ("id,title\n1,One\n2,\n", 3, "title", "Field required"),
        ("id,title\n1,One\n2,Two\n1,Three\n", 4, "id", "the id '1' stands in row 2 already"),
        ("id,title,year\n1,One,MCM\n", 2, "year", "valid integer"),
        ("id,title,public_rating\n1,One,good\n", 2, "public_rating", "valid number"),
        ("id,title,public_rating\n1,One,inf\n", 2, "public_rating", "finite number"),
        ("id,title,public_rating\n1,One,6\n", 2, "public_rating", "less than or equal to 5"),
        ("id,title,plays\n1,One,-3\n", 2, "plays", "greater than or equal to 0"),
        ("id,title,part\n1,One,2\n", 2, "part", "needs the name of its series or collection"),
        ('id,title\n1,"One\n', 2, "", "not well-formed CSV"),
        (b"id,title\n1,Caf\xe9\n", 2, "", "is not UTF-8 text"),
    ],
)
def test_errors(tmp_path: Path, text: str | bytes, row: int | None, field: str, says: str) -> None:
    fails(lambda: load(tmp_path / "songs.csv", text), file="songs.csv", row=row, field=field, message=says)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    missing = songs(tmp_path / "none.csv")
    fails(missing.load, file="none.csv", message="no such file; expected a CSV file of songs")
    folder = songs(tmp_path)
    fails(folder.load, file=tmp_path, message="is a directory")


def test_embeddings_lie_beside_it(tmp_path: Path) -> None:
    np.save(tmp_path / "minilm.npy", np.eye(2, 3, dtype=np.float32))
    where = tmp_path / "minilm.npy"
    loaded = load(tmp_path / "songs.csv", "id,title\n1,One\n2,Two\n", embeddings=where)
    assert loaded.embeddings is not None
    assert loaded.embeddings.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert loaded.embedding_name == "minilm"
    packed = tmp_path / "minilm.npy.gz"
    packed.write_bytes(gzip.compress(where.read_bytes()))
    again = load(tmp_path / "songs.csv", "id,title\n1,One\n2,Two\n", embeddings=packed)
    assert again.embeddings is not None
    assert (again.embeddings.tolist(), again.embedding_name) == (loaded.embeddings.tolist(), "minilm")
    named = load(tmp_path / "songs.csv", "id,title\n1,One\n2,Two\n", embeddings=where, embedding_name="mine")
    assert named.embedding_name == "mine"


@pytest.mark.parametrize(
    ("array", "row", "says"),
    [
        (np.eye(3), None, "one for each of the 2 items"),
        (np.ones(2), None, "expected floats of shape (items, D)"),
        (np.ones((2, 2), dtype=int), None, "expected floats"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), 2, "not a finite number"),
        (np.array([[print], [print]], dtype=object), None, "allow_pickle=False"),
        (np.ones((2, 0)), None, "of shape (2, 0)"),
        (np.array([[1.0, 2.0], [3.0, 1e300]]), 2, "too large"),
        (np.array([[1.0, 2.0], [3.0, 3e38]], dtype=np.float32), 2, "too large"),
    ],
)
def test_embeddings_that_cannot_be_used(tmp_path: Path, array: np.ndarray, row: int | None, says: str) -> None:
    where = tmp_path / "e.npy"
    np.save(where, array, allow_pickle=True)
    again = lambda: load(tmp_path / "songs.csv", "id,title\n1,One\n2,Two\n", embeddings=where)  # noqa: E731
    fails(again, file="e.npy", row=row, message=says)
    where.write_bytes(b"not an array")
    fails(again, file="e.npy", message="is no .npy file")
    for header, says in (
        (b"(" * 5000, "its header is damaged"),
        (b"{'descr':'<f4','fortran_order':False,'shape':(2,-1)}", "of shape (2, -1)"),
        (b"{'descr':'<f4','fortran_order':False,'shape':(2,2)}", "it goes on after the 16 bytes"),
        (b" " * 60_000, "its header has more than"),
    ):
        where.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 20)
        fails(again, file="e.npy", message=says)
    where.unlink()
    fails(again, file="e.npy", message="no such file")


def test_unknown_options_are_refused() -> None:
    assert all(field.description for field in CsvItemsOptions.model_fields.values())
    with pytest.raises(ValidationError):
        CsvItemsOptions.model_validate({"path": "x", "pth": "y"})
