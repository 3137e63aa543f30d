"""Opening files: how they are packed is seen by their bytes, and small files that would fill memory are refused."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from emosim_core.data.bounds import MAX_BLANK, MAX_RECORD, RECORDS_VARIABLE
from emosim_core.data.json_records import read_json_entries, read_json_lines
from emosim_core.data.places import open_table
from emosim_core.data.tables import read_csv
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.testing import write_zip

SONGS = "id,title\n1,One\n2,Two\n"
BOTH = [{"id": "1", "title": "One"}, {"id": "2", "title": "Two"}]
MIB = 1 << 20


def rows(path: Path, **form: object) -> list[dict[str, str]]:
    return [cells for _, cells in read_csv(path, "a CSV file of songs", ("id", "title"), **form)]  # type: ignore[arg-type]


def test_the_first_bytes_say_how_a_file_is_packed_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "songs.txt"
    path.write_bytes(gzip.compress(SONGS.encode()))
    assert rows(path) == BOTH
    write_zip(path, {"any.csv": SONGS, "__MACOSX/._any.csv": "x"})
    assert rows(path) == BOTH
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("songs.csv.gz", gzip.compress(SONGS.encode()))
    assert rows(path) == BOTH
    write_zip(path, {"in/a.csv": SONGS, "in/b.csv": "x"})
    assert rows(path / "in" / "a.csv") == BOTH
    with pytest.raises(
        DataError, match=r"is a zip file with 2 files \(in/a.csv, in/b.csv\); name one, such as .*in/a.csv"
    ):
        rows(path)
    with pytest.raises(DataError, match=r"no such file in .*songs\.txt"):
        rows(path / "in" / "c.csv")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"BZh91AY", "is packed by bzip2; unpack it first"),
        (b"\xfd7zXZ\x00", "is packed by xz"),
        (b"PAR1\x15", "is a Parquet file; save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1", "old Excel; save the sheet as CSV"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"id,title\n1,O\0ne\n", "row 2: holds a NUL character"),
        (SONGS.encode("utf-16-le"), "row 1: holds a NUL character"),
        (gzip.compress(SONGS.encode(), mtime=0)[:-9], "cannot be read"),
        (b"\x1f\x8b\x08", "cannot be read"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "songs.csv").write_bytes(content)
    with pytest.raises(DataError, match=says):
        rows(tmp_path / "songs.csv")


def test_a_workbook_is_refused_by_name(tmp_path: Path) -> None:
    book = write_zip(tmp_path / "songs.xlsx", {"[Content_Types].xml": "x", "xl/workbook.xml": "x"})
    with pytest.raises(DataError, match="is a workbook of Excel; save the sheet as CSV"):
        rows(book)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_line_ends_and_delimiters(tmp_path: Path, encoding: str, end: str, delimiter: str) -> None:
    lines = [
        ["", "ID", " Title ", ""],
        ["0", "1", "Caf\u00e9", ""],
        ["1", "2", '"a, b; c | d"'],
        ["", "", "", ""],
        [""],
    ]
    text = end.join(delimiter.join(line) for line in lines) + end
    (tmp_path / "songs.csv").write_bytes(text.encode(encoding))
    assert rows(tmp_path / "songs.csv") == [{"id": "1", "title": "Caf\u00e9"}, {"id": "2", "title": "a, b; c | d"}]


@pytest.mark.parametrize(
    "text",
    [
        "Unnamed: 0,id,title\n0,1,One\n1,2,Two\n",
        '"id","title"\n"1","One"\n"2","Two"\n\n\n',
        "ID;Title;\n1;One;\n2;Two;\n;;\n;;\n",
        "\n\nid,title\n\n1,One\n \n2,Two",
        "sep=;\nid;title\n1;One\n2;Two\n",
        "id,title\n1,One,\n2,Two,,\n",
        "Id,TITLE \n1,One\n2,Two\n",
    ],
)
def test_quirks_of_tables(tmp_path: Path, text: str) -> None:
    (tmp_path / "songs.csv").write_text(text, encoding="utf-8")
    assert rows(tmp_path / "songs.csv") == BOTH


def test_what_a_format_says_of_its_files(tmp_path: Path) -> None:
    path = tmp_path / "u.item"
    path.write_bytes('1|Caf\u00e9 "x|y\n2|Two|z\n'.encode("latin-1"))
    form = {"header": ["id", "title", "more"], "delimiter": "|", "quote": None, "encoding": "latin-1"}
    assert rows(path, **form)[0] == {"id": "1", "title": 'Caf\u00e9 "x', "more": "y"}
    path.write_text("1::One::a\n2::Two: 2::b\n", encoding="utf-8")
    assert rows(path, header=["id", "title", "more"], delimiter="::", quote=None)[1]["title"] == "Two: 2"


def test_a_field_under_no_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "songs.csv").write_text("id,title,\n1,One,\n2,Two,lost\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 3: field 3 holds 'lost', and the header names no column"):
        rows(tmp_path / "songs.csv")


def test_a_cell_may_be_as_long_as_a_record(tmp_path: Path) -> None:
    path = tmp_path / "songs.csv"
    for size in (131_073, MAX_RECORD - 20):
        path.write_text(f"id,title\n1,{'a' * size}\n", encoding="utf-8")
        assert len(rows(path)[0]["title"]) == size
        path.write_text(f'id,title\n1,"{"a," * (size // 4)}"\n', encoding="utf-8")
        assert len(rows(path)[0]["title"]) == size // 4 * 2 if size < MIB else True
    path.write_text(f"id,title\n1,{'a' * MAX_RECORD}\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 2: a row has more than 8,388,608 characters"):
        rows(path)


def test_the_environment_says_how_many_records_may_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "songs.csv").write_text(SONGS, encoding="utf-8")
    (tmp_path / "songs.jsonl").write_text('{"id": 1}\n\n{"id": 2}\n', encoding="utf-8")
    (tmp_path / "songs.json").write_text('{"1": {}, "2": {}}', encoding="utf-8")
    monkeypatch.setenv(RECORDS_VARIABLE, "1")
    for read in (
        lambda: rows(tmp_path / "songs.csv"),
        lambda: list(read_json_lines(tmp_path / "songs.jsonl", "songs")),
        lambda: list(read_json_entries(tmp_path / "songs.json", "songs")),
    ):
        with pytest.raises(DataError, match=r"more than 1 r.*set EMOSIM_MAX_RECORDS to a larger number"):
            read()
    assert rows(tmp_path / "songs.csv", held=False) == BOTH
    assert list(read_json_lines(tmp_path / "songs.jsonl", "songs", held=False)) == [(1, {"id": 1}), (3, {"id": 2})]
    monkeypatch.setenv(RECORDS_VARIABLE, "many")
    with pytest.raises(ConfigurationError, match="EMOSIM_MAX_RECORDS is a whole number"):
        rows(tmp_path / "songs.csv")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "row 2: is not JSON: Expecting property name"),
        ("[1]", "row 2: expected an object, got a list"),
        ('{"a": 1, "a": 2}', "row 2: the key 'a' stands twice"),
        ("[" * 100_000, "row 2: is nested too deeply"),
        ('{"a": Infinity}', "row 2: is not JSON: it holds Infinity"),
        ("\udcff", "row 2: is not UTF-8 text"),
    ],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "songs.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": NaN}\n' + line.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=says):
        list(read_json_lines(path, "songs"))


# ------------------------------------------------------------------------------- small files that fill memory

READ = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from emosim_core import DataError
from emosim_core.loading import load_array, read_csv, read_json_entries, read_json_lines
how, path = sys.argv[1:]
if how.endswith(".csv"):
    from emosim_movies.loaders import MovieLens, MovieLensOptions
    import pandas
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
try:
    if how == "csv":
        for _ in read_csv(path, "songs", ("id", "title"), held=False): pass
    elif how == "lines":
        for _ in read_json_lines(path, "songs"): pass
    elif how == "entries":
        for _ in read_json_entries(path, "songs"): pass
    elif how == "npy":
        load_array(path, 10)
    else:
        MovieLens(MovieLensOptions(path=path)).load()
except DataError as error:
    print(str(error))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, time.process_time() - start)
"""


def packed(path: Path, begin: bytes, again: bytes, mebibytes: int = 100) -> Path:
    with gzip.open(path, "wb", 1) as stream:
        stream.write(begin)
        for _ in range(mebibytes):
            stream.write(again * (MIB // len(again)))
    return path


def movielens(path: Path, member: str, begin: bytes, again: bytes) -> Path:
    files = {
        "movies.csv": b"movieId,title,genres\n1,One (1999),Drama\n",
        "ratings.csv": b"userId,movieId,rating,timestamp\n1,1,4.0,1\n",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            with archive.open(name, "w") as stream:
                stream.write(content if name != member else begin)
                for _ in range(100 if name == member else 0):
                    stream.write(again * (MIB // len(again)))
    return path


HEADER = b"id,title\n1,"
RATINGS = b"userId,movieId,rating,timestamp\n1,1,4.0,1\n"


@pytest.mark.parametrize(
    ("how", "begin", "again", "says"),
    [
        ("csv", HEADER, b"a", "row 2: a row has more than 8,388,608 characters"),
        ("csv", HEADER, b"\n", f"has more than {MAX_BLANK:,} lines without content"),
        ("csv", HEADER + b"One\n", b",\n", f"has more than {MAX_BLANK:,} lines without content"),
        ("csv", HEADER, b",", "a row has more than"),
        ("csv", HEADER + b'"', b"a" * 63 + b"\n", "a row has more than 8,388,608 characters; is a quote open"),
        ("csv", HEADER + b"One\n", b"1," + b"One" * 20 + b"\n", "times as large when it is unpacked, which no"),
        ("lines", b"", b"a", "row 1: a line has more than 8,388,608 bytes"),
        ("lines", b"", b"\n", f"has more than {MAX_BLANK:,} lines without content"),
        ("lines", b'{"a": ', b"[],", "row 1: a line has more than"),
        ("entries", b'{"a": "', b"a", "row a: a value has more than 8,388,608 characters"),
        ("entries", b'{"a": [', b"[],", "row a: a value has more than"),
        ("entries", b"{", b" ", "more than 8,388,608 blanks"),
        ("movies.csv", b"movieId,title,genres\n1,", b"a", "movies.csv, row 2: a row has more than"),
        ("movies.csv", b"movieId,title,genres\n1,One,Drama\n", b"\n", "movies.csv, row 1048579: has more than"),
        ("ratings.csv", RATINGS, b"1", "ratings.csv, row 3: a row has more than"),
        ("ratings.csv", RATINGS, b'"\n', "ratings.csv, row 4: has 1 fields"),
        ("ratings.csv", RATINGS, b"1,1,4.0,1\n", "times as large when it is unpacked"),
    ],
)
def test_a_small_file_does_not_fill_memory(tmp_path: Path, how: str, begin: bytes, again: bytes, says: str) -> None:
    if how.endswith(".csv"):
        path = movielens(tmp_path / "set.zip", how, begin, again)
    else:
        path = packed(tmp_path / "songs.gz", begin, again)
    assert path.stat().st_size < 1.5 * MIB
    done = subprocess.run([sys.executable, "-c", READ, how, str(path)], capture_output=True, text=True, check=True)
    message, measured = done.stdout.splitlines()
    megabytes, seconds = map(float, measured.split())
    assert says in message
    assert megabytes < 300
    assert seconds < 20


def test_an_array_that_claims_more_than_there_is(tmp_path: Path) -> None:
    for shape, says in (((10**12, 8), "holds 1,000,000,000,000 embeddings"), ((10, 60_000), "it ends after 64 of")):
        with (tmp_path / "e.npy").open("wb") as stream:
            about = {"descr": "<f8", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, about)
            stream.write(b"\0" * 64)
        command = [sys.executable, "-c", READ, "npy", str(tmp_path / "e.npy")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert says in done.stdout
        assert float(done.stdout.splitlines()[1].split()[0]) < 50


def test_a_zip_file_of_many_members_or_strange_names_is_refused_before_they_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(50_000):
            archive.writestr(f"{'a' * 60}{i}", b"")
    with pytest.raises(DataError, match=r"set\.zip: the list of its members takes [\d,]+ bytes; at most 4,194,304"):
        rows(path)
    for name in ("a/" * 30_000 + "b", "/songs.csv", "//songs.csv"):
        with pytest.raises(DataError, match=r"set\.zip: has a member .*, which is no name of a file"):
            rows(write_zip(path, {name: SONGS}))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("songs.csv", SONGS)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("songs.csv", "id,title\n3,Three\n")
    with pytest.raises(DataError, match=r"has 2 members of the name 'songs\.csv'"):
        rows(path)
    with pytest.raises(DataError, match=r"songs\.csv: is packed by method 12 of zip; pack it by deflate"):
        rows(write_zip(path, {"songs.csv": SONGS}, zipfile.ZIP_BZIP2))


def test_a_stream_is_closed_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "songs.csv.gz").write_bytes(gzip.compress(SONGS.encode()))
    with open_table(tmp_path / "songs.csv.gz") as stream:
        assert stream.read(2) == b"id"
    assert stream.closed
