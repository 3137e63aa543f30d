"""Records: one line for a step, always the same bytes, and only lines that belong together are read back."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emosim_core
from emosim_core import RunError
from emosim_core.data import json_text
from emosim_core.runs.records import (
    INTERACTIONS,
    newest_of,
    read_manifest,
    read_records,
    read_run,
    read_summary,
    run_manifest,
    stored_config,
)
from emosim_core.runs.steps import Labels, four_decimals, plain, steps_of
from emosim_core.runs.steps import records_of as made_of
from emosim_core.simulation.engine import Engine


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "made"
    emosim_core.run("movies", folder, episodes=4, max_steps=5, num_envs=2)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A run of four episodes that a test may change."""
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def records_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / INTERACTIONS).read_text(encoding="utf-8").splitlines()]


def write(directory: Path, records: list[dict[str, Any]]) -> None:
    (directory / INTERACTIONS).write_bytes(b"".join(map(json_text.line, records)))


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "expected"), [(3.0, "3"), (-2.0, "-2"), (2.5, "2.5"), (1 / 3, "0.333333"), (math.nan, "null"), (0.0, "0")]
)
def test_a_number_is_as_short_as_it_may_be(value: float, expected: str) -> None:
    assert json.dumps(plain(value)) == expected


def test_a_record_is_one_line_in_utf_8_also_with_half_a_character() -> None:
    assert json_text.line({"b": "é", "a": [1, 2]}) == '{"b":"é","a":[1,2]}\n'.encode()
    assert json.loads(json_text.line({"a": "\ud83d"})) == {"a": "\ud83d"}


def test_a_step_is_recorded_with_what_was_consumed_felt_and_retrieved(
    small_world: Callable[..., Any], scripted: Callable[..., Any]
) -> None:
    script = scripted(lambda user, item, times: math.nan if item == 7 else float(item + 1))
    world = small_world(parts={"rater": script}, slate=2, max_steps=2, on_failed_rating="skip")
    engine = Engine(world, 2)
    rows = np.arange(2)
    engine.begin(rows, [1, 1], [0, 1], [0, 3])
    engine.step(np.array([[4, 1], [7, 2]]), rows)
    second = engine.step(np.array([[5, 4], [6, 3]]), rows)
    catalog, users = world.catalog, world.population.users
    labels = Labels(list(catalog.index), catalog.titles, [user.id for user in users], engine.end_reasons)
    steps = steps_of(second, np.array([10, 11]), np.array([2, 2]), four_decimals(second.moods))
    one, other = made_of(steps, labels, lambda row: second.reason(*divmod(row, 2)), lambda row: {})
    assert (one["episode"], one["step"], one["user"], other["user"]) == (10, 2, "u0", "u3")
    first = one["recommended"][0]
    assert (first["item"], first["title"], first["raw_rating"], first["reason"]) == ("i5", "Item 5", 6, "reason 0 0")
    consumed = [item for item in one["recommended"] if item["consumed"]]
    assert len(consumed) == 1
    assert consumed[0]["rating"] == consumed[0]["raw_rating"]
    assert consumed[0]["times"] == (2 if consumed[0]["item"] == "i4" else 1)
    skipped = next(item for item in one["recommended"] if not item["consumed"])
    assert skipped.keys() == {"item", "title", "raw_rating", "reason", "consumed", "retrieved"}
    assert [memory["item"] for memory in first["retrieved"]] == ["i4"]
    assert first["retrieved"][0]["rating"] == 5
    assert one["end_reason"] == "max_steps"
    assert one["mood"] == [round(value, 4) for value in engine.moods[0].tolist()]


def test_what_was_written_is_read_back_in_its_order(run: Path) -> None:
    assert list(read_records(run)) == records_of(run)
    whole = read_run(run)
    assert whole.directory == run
    assert whole.manifest["config"]["episodes"] == 4
    assert whole.summary is not None
    assert sum(1 for _ in whole.steps()) == whole.summary["steps"]
    (run / "summary.json").unlink()
    assert read_run(run).summary is None


def test_a_line_in_flight_and_a_run_without_a_step_are_read_as_far_as_they_came(run: Path) -> None:
    (run / "summary.json").unlink()
    lines = (run / INTERACTIONS).read_bytes()
    (run / INTERACTIONS).write_bytes(lines[:-10])
    assert list(read_records(run)) == [json.loads(line) for line in lines.splitlines()[:-1]]
    (run / INTERACTIONS).unlink()
    assert list(read_records(run)) == []


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run: it has no interactions\.jsonl"):
        list(read_records(tmp_path))
    with pytest.raises(RunError, match=r"is no run: it has no manifest\.json"):
        read_manifest(tmp_path)


def out_of_order(records: list[dict[str, Any]]) -> None:
    places = [place for place, record in enumerate(records) if record["episode"] == 0]
    records[places[0]], records[places[1]] = records[places[1]], records[places[0]]


def twice_ended(records: list[dict[str, Any]]) -> None:
    records.append(next(record for record in records if record["end_reason"]))


def another_user(records: list[dict[str, Any]]) -> None:
    records[2]["user"] = "somebody"


def another_profile(records: list[dict[str, Any]]) -> None:
    records[0]["user_profile"]["id"] = "somebody"


def one_episode_more(records: list[dict[str, Any]]) -> None:
    records[0]["episode"] = 4


def another_title(records: list[dict[str, Any]]) -> None:
    records[2]["recommended"][0].update(item=records[0]["recommended"][0]["item"])


def no_times(records: list[dict[str, Any]]) -> None:
    del records[0]["recommended"][0]["times"]


def no_profile(records: list[dict[str, Any]]) -> None:
    del records[0]["user_profile"]


def one_step_less(records: list[dict[str, Any]]) -> None:
    del records[-1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (out_of_order, r"line \d: step 2 of episode 0 with '.+' is out of place: expected step 1"),
        (twice_ended, r"is out of place: the episode has ended before"),
        (another_user, r"line 3: step 2 of episode 0 with 'somebody' is out of place: expected step 2 with '"),
        (another_profile, r"line 1: the user is 'somebody', the user '"),
        (one_episode_more, r"line 1: episode 4 is none of this run, which has 4"),
        (another_title, r"line 3: the item '.+' is called '.+', and '.+' before"),
        (no_times, r"line 1: is damaged: '.+' was consumed and has no 'times'"),
        (no_profile, r"line 1: user is damaged"),
        (one_step_less, r"interactions\.jsonl has 3 episodes that ended, summary\.json says 4; one of them is damaged"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_lines_that_do_not_belong_together_are_named(
    run: Path, damage: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    records = records_of(run)
    assert records[2]["episode"] == 0
    assert records[2]["step"] == 2
    damage(records)
    write(run, records)
    with pytest.raises(RunError, match=message):
        list(read_records(run))


def test_a_field_that_stands_twice_is_named(run: Path) -> None:
    lines = (run / INTERACTIONS).read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"reward":', b'"reward":1,"reward":', 1)
    (run / INTERACTIONS).write_bytes(b"".join(lines))
    with pytest.raises(RunError, match=r"line 2:.+'reward'"):
        list(read_records(run))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "ablation"}, r"holds an ablation, not a run; name the directory of a run"),
        ({"parts": []}, r"manifest\.json is damaged: it has no table 'parts'"),
        ({"uses_llm": 1}, r"manifest\.json is damaged: uses_llm"),
        ({"format": 3}, r"was written by a newer version of EmoSim \(format 3; this one reads 2\)"),
        ({"format": 1}, r"was written by an older version of EmoSim, with other names \(format 1; this one reads 2\)"),
        ({"format": 0}, r"is damaged: format: 0 is no number of a format"),
        ({"format": True}, r"is damaged: format: true is no number of a format"),
        ({"config": {"plugin": "movies", "algo": "ppo"}}, r"holds a training, not a run"),
        ({"config": {"plugin": "movies", "policy": "random"}}, r"manifest\.json: config is damaged: episodes"),
    ],
)
def test_a_manifest_that_is_not_that_of_a_run_says_why(run: Path, fields: dict[str, Any], message: str) -> None:
    assert run_manifest(run)["config"]["policy"] == "random"
    change(run / "manifest.json", **fields)
    with pytest.raises(RunError, match=message):
        run_manifest(run)


@pytest.mark.parametrize("name", ["episodes", "ratings"])
def test_a_summary_whose_counts_do_not_add_up_is_damaged(run: Path, name: str) -> None:
    change(run / "summary.json", **{name: read_summary(run)[name] + 1})
    with pytest.raises(RunError, match=rf"summary\.json is damaged: \w+ do not add up to {name}"):
        read_summary(run)


def test_what_another_command_made_is_resumed_by_that_command(run: Path) -> None:
    assert stored_config(run, "run")["plugin"] == "movies"
    with pytest.raises(RunError, match=r"was not made by 'emosim train'. Continue with: emosim run --resume .+run"):
        stored_config(run, "train")


def test_the_newest_directory_of_a_command_is_found(run: Path, tmp_path: Path) -> None:
    assert newest_of(tmp_path, "run") == run
    for name, seconds, config in (("later", 180, {"policy": "random"}), ("training", 120, {"algo": "a2c"})):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "manifest.json"
        path.write_text(json.dumps({"config": config}), encoding="utf-8")
        os.utime(path, (path.stat().st_mtime + seconds,) * 2)
    (tmp_path / "validation").mkdir()
    (tmp_path / "validation" / "manifest.json").write_text('{"kind": "validation"}', encoding="utf-8")
    assert newest_of(tmp_path, "run") == tmp_path / "later"
    assert newest_of(tmp_path, "train") == tmp_path / "training"
    assert newest_of(tmp_path, "validate") == tmp_path / "validation"
    assert newest_of(tmp_path, "ablate") is None
    assert newest_of(tmp_path, "evaluate") is None
