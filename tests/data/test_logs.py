"""Logs of any columns: what is read, what is left out, and one clear error for each thing that can be wrong."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core import ConfigurationError
from emosim_core.data.logs import LogColumns, joined, parsed_time, read_log
from emosim_core.model import Item, LoadedRatings, RatingScale
from emosim_core.testing import fails

SCALE = RatingScale(low=1, high=5)
ITEMS = [Item(id=f"ml-{number}", title=str(number)) for number in (1, 2, 862)]


def read(folder: Path, text: str, columns: str = "", items: list[Item] | None = None) -> LoadedRatings:
    path = folder / "log.csv"
    path.write_text(text, encoding="utf-8")
    return read_log(f"csv:{path}", ITEMS if items is None else items, SCALE, LogColumns.of(columns))


def test_usual_columns_are_found_and_ids_are_matched_by_their_number(tmp_path: Path) -> None:
    log = read(tmp_path, "userId,Movie ID,rating,timestamp\na,1,5,964982703\nb,862.0,2,964982704\nb,ml-2,3,964982705\n")
    assert list(log.user_ids) == ["a", "b", "b"]
    assert log.items.tolist() == [0, 2, 1]
    assert log.values is not None
    assert log.values.tolist() == [5, 2, 3]
    assert log.times is not None
    assert log.times.tolist() == [964982703, 964982704, 964982705]
    assert log.notes == []


def test_an_implicit_log_without_times_has_neither(tmp_path: Path) -> None:
    log = read(tmp_path, "who;what\na;1\nb;2\n", "user=who,item=what")
    assert log.values is None
    assert log.times is None
    left_out = read(tmp_path, "user,item,rating\na,1,5\nb,2,5\n", "rating=")
    assert left_out.values is None


def test_an_exact_id_comes_first_and_an_ambiguous_number_matches_nothing(tmp_path: Path) -> None:
    items = [Item(id=name, title=name) for name in ("7", "ml-7", "8")]
    log = read(tmp_path, "user,item\na,7\nb,ml-7\na,8\nb,007\n", items=items)
    assert log.items.tolist() == [0, 1, 2]
    assert "left out 1 of 4 rows" in log.notes[0]


def test_the_last_rating_of_an_item_counts_by_time_then_by_row(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,rating,time\na,1,5,964982709\na,1,2,964982703\nb,2,3,964982703\nb,2,4,964982703\n")
    assert log.values is not None
    assert log.values.tolist() == [5, 4]
    assert "2 ratings of an item by a user who rates it again; the last counts" in log.notes[0]


def test_ratings_are_put_on_the_scale_of_the_domain(tmp_path: Path) -> None:
    log = read(tmp_path, "user,item,rating\na,1,-10\nb,2,10\nb,1,0\n", "scale=-10..10")
    assert log.values is not None
    assert log.values.tolist() == [1, 5, 3]


def test_a_file_without_a_header_has_numbered_columns(tmp_path: Path) -> None:
    log = read(
        tmp_path, "a::0000001::8::1381006850\nb::862::10::1381006851\n", "user=1,item=2,rating=3,time=4,scale=0-10"
    )
    assert log.items.tolist() == [0, 2]
    assert log.values is not None
    assert log.values.tolist() == [4.2, 5]


def test_a_parquet_log_is_read_as_a_table_is(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    when = [datetime(2024, 5, 31, 18, 30, tzinfo=timezone.utc)] * 2
    parquet.write_table(pa.table({"uid": [1, 2], "item": [862, 1], "rating": [4, 5], "time": when}), tmp_path / "log")
    log = read_log(f"parquet:{tmp_path / 'log'}", ITEMS, SCALE)
    assert list(log.user_ids) == ["1", "2"]
    assert log.items.tolist() == [2, 0]
    assert log.times is not None
    assert log.times.tolist() == [when[0].timestamp()] * 2


@pytest.mark.parametrize(
    ("text", "row", "field", "message"),
    [
        ("user,rating\na,5\n", None, None, "no column holds the item; the file has: user, rating"),
        ("user,item,rating\na,1,6\nb,1,2\n", 2, "rating", "6 is no rating of 1 to 5; name the scale of the file"),
        ("user,item,rating\na,1,good\n", 2, "rating", "expected a number, got 'good'"),
        ("user,item\n,1\n", 2, "user", "is empty"),
        ("user,item\na,1\na,2\n", None, "user", "holds one user ('a')"),
        ("user,item,rating\na,1,5\nb,2,5\n", None, "rating", "all ratings are the same"),
        ("user,item\na,1\na,9\nb,10\n", 3, "item", "no item has the id '9', and 2 of 3 rows are of unknown items"),
        ("user,item,time\na,1,1999\n", 2, "time", "expected a time in seconds or milliseconds since 1970"),
        ("user,item,time\na,1,31.5.2024\n", 2, "time", "or such as 2024-05-31T18:30:00, got '31.5.2024'"),
        ("user,item,time\na,1,964982703\nb,1,964982703000\n", 3, "time", "is in milliseconds where earlier rows"),
        ("user,item\n", None, None, "has no rows"),
    ],
)
def test_a_log_that_is_wrong(tmp_path: Path, text: str, row: int | None, field: str | None, message: str) -> None:
    fails(lambda: read(tmp_path, text), file="log.csv", row=row, field=field, message=message)


def test_a_named_column_that_is_not_there(tmp_path: Path) -> None:
    fails(
        lambda: read(tmp_path, "user,item\na,1\n", "rating=stars"),
        file="log.csv",
        field="stars",
        message="no column holds the rating; the file has: user, item. Name it: --columns rating=NAME",
    )


@pytest.mark.parametrize("text", ["user", "film=x", "user=a,user=b", "user=", "scale=5-1", "scale=high"])
def test_columns_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigurationError, match="scale=1-5"):
        LogColumns.of(text)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)).map(lambda one: one.replace(microsecond=0)))
def test_a_moment_is_the_same_in_every_form(moment: datetime) -> None:
    seconds = moment.replace(tzinfo=timezone.utc).timestamp()
    forms = [f"{seconds:.0f}", f"{seconds * 1000:.0f}", moment.isoformat(), f"{moment}", f"{moment.isoformat()}Z"]
    forms.append(f"{moment.isoformat()}+00:00")
    assert {parsed_time(text, "log.csv", 2, "time")[0] for text in forms} == {seconds}


def test_a_log_of_items_of_another_source_is_joined_by_id() -> None:
    import numpy as np

    log = LoadedRatings(["a", "b", "b"], np.array([0, 1, 2]), np.array([1.0, 2.0, 3.0]), None)
    own = [Item(id=name, title=name) for name in ("2", "862", "9")]
    both = joined(log, own, ITEMS, "other")
    assert both.items.tolist() == [1, 2]
    assert list(both.user_ids) == ["a", "b"]
    assert "left out 1 of 3" in both.notes[0]
    fails(lambda: joined(log, own, ITEMS[:1], "other"), file="other", message="3 of 3 ratings are of unknown items")
