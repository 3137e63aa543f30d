"""Reading CSV: files are closed when their reader stops half-way, and an identifier stands once."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import pytest

from emosim_core.data import items_csv
from emosim_core.data.tables import UniqueIds, read_csv
from emosim_core.errors import DataError
from emosim_core.model.item import Item


def test_a_file_is_closed_with_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id\n1\n2\n", encoding="utf-8")
    opened: list[IO[Any]] = []
    really = Path.open

    def recorded_open(self: Path, *args: Any, **kwargs: Any) -> IO[Any]:
        opened.append(really(self, *args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(Path, "open", recorded_open)
    with closing(read_csv(path, "a CSV file")) as rows:
        assert next(rows) == (2, {"id": "1"})
        assert not opened[0].closed
    assert opened[0].closed


def test_a_wrong_item_closes_the_file_it_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[Generator[Any, None, None]] = []

    def recorded_read(*args: Any, **form: Any) -> Generator[Any, None, None]:
        readers.append(read_csv(*args, **form))
        return readers[-1]

    monkeypatch.setattr(items_csv, "read_csv", recorded_read)
    path = tmp_path / "a.csv"
    path.write_text("id,title,year\n1,One,MCM\n2,Two,\n", encoding="utf-8")
    with pytest.raises(DataError, match="valid integer"):
        items_csv.read_items_csv(path, Item)
    assert inspect.getgeneratorstate(readers[0]) == inspect.GEN_CLOSED


@pytest.mark.parametrize(
    ("values", "rows", "says"),
    [
        (("a", "b", "a"), (2, 3, 5), "songs.csv, row 5, field 'key': the song 'a' stands in row 2 already"),
        ((7, 8, 8), ("7", "8", "08"), "songs.csv, row 08, field 'key': the song 8 stands in row 8 already"),
    ],
)
def test_an_identifier_twice_names_both_records(
    values: tuple[str | int, ...], rows: tuple[int | str, ...], says: str
) -> None:
    ids = UniqueIds("songs.csv", "key", "song")
    ids.add(values[0], rows[0])
    ids.add(values[1], rows[1])
    with pytest.raises(DataError) as caught:
        ids.add(values[2], rows[2])
    assert str(caught.value) == says
