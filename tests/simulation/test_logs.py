"""A log and its items, each from the source that is named for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from emosim_core import ConfigurationError
from emosim_core.hooks import Registry
from emosim_core.simulation.logs import load_log
from emosim_core.testing import real


@pytest.fixture(scope="module")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from studies.made_up_ratings import write_movielens

    folder = write_movielens(tmp_path_factory.mktemp("ratings"))
    header, *rows = (folder / "ratings.csv").read_text().splitlines()
    later = [f"{start},{10**9 + int(time)}" for start, _, time in (row.rpartition(",") for row in rows)]
    (folder / "ratings.csv").write_text("\n".join([header, *later, ""]))
    return folder


def test_a_table_of_ratings_is_the_log_that_the_loader_of_its_items_reads(movielens: Path) -> None:
    _, loaded, log = load_log(Registry(), "movies", f"movielens:{movielens}")
    source, table = f"movielens:{movielens}", f"csv:{movielens / 'ratings.csv'}"
    _, same, other = load_log(Registry(), "movies", table, source, "scale=0.5-5")
    assert [one.id for one in same.items] == [one.id for one in loaded.items]
    assert log.values is not None
    assert other.values is not None
    assert log.times is not None
    assert other.times is not None

    def rows(one: object) -> list[tuple[object, ...]]:
        columns = (one.user_ids, one.items.tolist(), one.values.tolist(), one.times.tolist())  # type: ignore[attr-defined]
        return sorted(zip(*columns, strict=True))

    assert rows(log) == rows(other)


def test_a_log_of_a_loader_may_be_of_the_items_of_another(movielens: Path, tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("id,title\n" + "".join(f"ml-{number},x\n" for number in range(200)))
    whole = load_log(Registry(), "movies", f"movielens:{movielens}")[2]
    log = load_log(Registry(), "movies", f"movielens:{movielens}", f"csv:{tmp_path / 'films.csv'}")[2]
    assert len(log.items) == len(whole.items)


def test_columns_are_for_tables_only(movielens: Path) -> None:
    with pytest.raises(ConfigurationError, match="for a csv: or parquet: log only"):
        load_log(Registry(), "movies", f"movielens:{movielens}", columns="user=uid")


def test_goodbooks_as_a_table_is_goodbooks_as_a_data_set() -> None:
    folder = real("goodbooks")
    books = f"goodreads:{folder}"
    log, other = (
        load_log(Registry(), "books", source, books)[2] for source in (books, f"csv:{folder / 'ratings.csv'}")
    )
    assert len(log.items) == len(other.items) == 240_215
    assert other.times is None
    assert (log.items == other.items).all()
    assert (log.values == other.values).all()
