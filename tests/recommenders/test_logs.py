"""Logs: what of a run and of a file counts, how it is ordered, and what is said about logs that cannot be used."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core.errors import ConfigurationError, DataError, RunError
from emosim_core.model import Catalog
from emosim_core.recommenders.logs import LogOptions, read_logs
from emosim_core.testing import small_world

HEADER = "episode,step,user,item,rating,reward,ended\n"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return small_world().catalog


def written(path: Path, rows: str, header: str = HEADER) -> str:
    path.write_text(header + rows)
    return str(path)


def test_a_file_becomes_arrays_sorted_by_episode_and_step(catalog: Catalog, tmp_path: Path) -> None:
    rows = "1,1,ann,i003,4,4,false\n0,2,bob,i001,9,9,true\n0,1,bob,i000,7,7,false\n"
    logs = read_logs([written(tmp_path / "a.csv", rows)], catalog, ["bob", "eve"])
    assert logs.user_ids == ("ann", "bob")
    assert logs.users.tolist() == [1, 1, 0]
    assert logs.items.tolist() == [0, 1, 3]
    assert logs.ratings.tolist() == [7, 9, 4]
    assert logs.episodes.tolist() == [0, 0, 1]
    assert logs.user_numbers.tolist() == [1, -1]
    assert logs.traits.tolist() == [[2, 2, 2]] * 2
    assert len(logs) == 3


def test_episodes_of_several_sources_stay_apart(catalog: Catalog, tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{name}.csv", "0,1,ann,i003,4,4,true\n") for name in "ab"]
    logs = read_logs(paths, catalog, [])
    assert logs.episodes.tolist() == [0, 1]
    assert logs.users.tolist() == [0, 0]


def test_a_row_without_a_rating_is_left_out(catalog: Catalog, tmp_path: Path) -> None:
    logs = read_logs([written(tmp_path / "a.csv", "0,1,ann,i003,,0,false\n0,2,ann,i004,5,5,true\n")], catalog, [])
    assert logs.items.tolist() == [4]


def test_a_file_may_be_packed_and_written_by_another_program(catalog: Catalog, tmp_path: Path) -> None:
    text = ";Episode;step;user;item;rating\r\n0;0.0;1.0;ann;i003;4.0\r\n1;0.0;2.0;ann;i004;nan\r\n"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode("utf-8-sig")))
    logs = read_logs([str(tmp_path / "a.csv.gz")], catalog, [])
    assert (logs.items.tolist(), logs.ratings.tolist()) == ([3], [4])


@pytest.mark.parametrize("step", ["1e999", "nan", "first", ""])
def test_a_step_that_is_no_number_is_named(catalog: Catalog, tmp_path: Path, step: str) -> None:
    with pytest.raises(DataError, match="row 2, field 'step': expected a number"):
        read_logs([written(tmp_path / "a.csv", f"0,{step},ann,i003,4,4,true\n")], catalog, [])


def test_pairs_are_means(catalog: Catalog, tmp_path: Path) -> None:
    rows = "0,1,ann,i003,4,4,true\n1,1,ann,i003,9,9,true\n2,1,bob,i001,2,2,true\n3,1,ann,i000,5,5,true\n"
    users, items, ratings = read_logs([written(tmp_path / "a.csv", rows)], catalog, []).pairs()
    assert list(zip(users.tolist(), items.tolist(), ratings.tolist(), strict=True)) == [
        (0, 0, 5.0),
        (0, 3, 6.5),
        (1, 1, 2.0),
    ]


def test_parquet_and_csv_say_the_same(catalog: Catalog, tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [(0, 1, "ann", "i003", 4.0), (0, 2, "ann", "i005", None), (1, 1, "bob", "i001", 9.0)]
    names = ["episode", "step", "user", "item", "rating"]
    parquet.write_table(pyarrow.table(dict(zip(names, zip(*rows, strict=True), strict=True))), tmp_path / "a.parquet")
    text = "".join(",".join("" if value is None else str(value) for value in row) + "\n" for row in rows)
    logs = [
        read_logs([str(tmp_path / "a.parquet")], catalog, []),
        read_logs([written(tmp_path / "a.csv", text, ",".join(names) + "\n")], catalog, []),
    ]
    for name in ("users", "items", "ratings", "episodes"):
        assert np.array_equal(getattr(logs[0], name), getattr(logs[1], name))
    assert logs[0].ratings.tolist() == [4, 9]


def record(**changed: Any) -> dict[str, Any]:
    both = {"title": "", "reason": None, "retrieved": []}
    mood = {"times": 1, "valence": "positive", "arousal": "high"}
    consumed = {"item": "i002", "consumed": True, "raw_rating": 9, "rating": 8, **mood, **both}
    passed = {"item": "i003", "consumed": False, "raw_rating": 2, **both}
    return {
        "episode": 0,
        "step": 1,
        "user": "ann",
        "recommended": [consumed, passed],
        "reward": 8,
        "mood": [0, 0],
        "end_reason": None,
        "user_profile": {"id": "ann", "name": "Ann", "activity": 1, "conformity": 3, "diversity": 2},
        **changed,
    }


def run_of(path: Path, *records: dict[str, Any]) -> str:
    path.mkdir()
    (path / "interactions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    return str(path)


def test_of_a_run_what_was_consumed_counts_with_its_perturbed_rating(catalog: Catalog, tmp_path: Path) -> None:
    nothing = record(step=2, recommended=[], end="out_of_items")
    logs = read_logs([run_of(tmp_path / "r", record(), nothing)], catalog, ["ann"])
    assert (logs.items.tolist(), logs.ratings.tolist()) == ([2], [8])
    assert logs.traits.tolist() == [[1, 3, 2]]


def test_a_real_run_is_read_whole(quick: Any, tmp_path: Path) -> None:
    from emosim_core.simulation.assembly import assemble
    from emosim_core.simulation.config import RunConfig

    summary = json.loads(quick("run", "--plugin", "movies", "--episodes", "4", "--out", "r", "--json").out)
    world = assemble(RunConfig(plugin="movies"))
    logs = read_logs([str(tmp_path / "r")], world.catalog, [user.id for user in world.population.users])
    assert len(logs) == summary["ratings"]
    assert logs.ratings.mean() == pytest.approx(summary["mean_rating"], abs=1e-4)
    places = {
        world.population.users[user].id: logs.user_numbers[user] for user in np.flatnonzero(logs.user_numbers >= 0)
    }
    assert {name: logs.user_ids[place] for name, place in places.items()} == {name: name for name in logs.user_ids}
    for name, place in places.items():
        assert logs.traits[place].tolist() == world.population.traits[world.population.index[name]].tolist()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "0,1,ann,i003,4,4,true\n0,2,ann,nope,4,4,true\n",
            r"row 3, field 'item': .* no item 'nope'; give the",
        ),
        ("0,1,ann,i003,11,4,true\n", r"row 2, field 'rating': 11 is no rating of the scale 1-10"),
        ("0,1,ann,i003,good,4,true\n", r"row 2, field 'rating': expected a number, got 'good'"),
        ("0,x,ann,i003,4,4,true\n", r"row 2, field 'step': expected a number"),
        ("0,1,,i003,4,4,true\n", r"row 2, field 'user': is empty"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(catalog: Catalog, tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_logs([written(tmp_path / "a.csv", rows)], catalog, [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n"),
        ("u.data", "196\t242\t3\t881250949\n"),
        ("ratings.dat", "1::1193::5::978300760\n"),
        ("Books.jsonl", '{"rating": 5.0, "parent_asin": "B1", "user_id": "A", "timestamp": 1}\n'),
        ("goodreads_interactions.csv", "user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n"),
    ],
)
def test_ratings_in_a_published_form_are_refused_with_the_columns_of_a_log(
    catalog: Catalog, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"a log has the columns episode, step, user, item \(its id in the catalog\)"):
        read_logs([str(tmp_path / name)], catalog, [])


def test_what_is_no_log_is_refused_with_the_command_that_makes_one(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file or directory.*emosim run --plugin movies --policy random"):
        read_logs([str(tmp_path / "nothing")], catalog, [])
    with pytest.raises(ConfigurationError, match=r"no rated interaction in .*a\.csv.*Make logs with: emosim run"):
        read_logs([written(tmp_path / "a.csv", "")], catalog, [])
    with pytest.raises(DataError, match=r"field 'rating': the column is missing"):
        read_logs([written(tmp_path / "b.csv", "", "episode,step,user,item\n")], catalog, [])
    with pytest.raises(DataError, match=r"neither a directory nor"):
        read_logs([written(tmp_path / "b.txt", "")], catalog, [])
    (tmp_path / "c.parquet").write_text("nonsense")
    with pytest.raises(DataError, match=r"cannot be read as a Parquet file"):
        read_logs([str(tmp_path / "c.parquet")], catalog, [])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"is no run"):
        read_logs([str(tmp_path / "empty")], catalog, [])
    damaged = record()
    del damaged["recommended"][0]["rating"]
    with pytest.raises(RunError, match=r"interactions\.jsonl, line 1: is damaged: .* has no 'rating'"):
        read_logs([run_of(tmp_path / "r", damaged)], catalog, [])


def test_one_path_or_a_list_of_them_is_an_option() -> None:
    assert LogOptions(logs="a").logs == ("a",)  # type: ignore[arg-type]
    assert LogOptions(logs=["a", "b"]).logs == ("a", "b")  # type: ignore[arg-type]
