"""The runner: what it leaves when it is interrupted, what observers get, and in which order episodes are lived."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core import read_run
from emosim_core.errors import PluginError, RunError
from emosim_core.plugins import Registry, hookimpl
from emosim_core.runs.runner import Run
from emosim_core.runs.summary import Episode
from emosim_core.simulation.config import RunConfig

CONFIG = RunConfig(plugin="movies", users="sampled:n=5", episodes=6, num_envs=2, max_steps=4, policy="random")


def test_an_interrupted_run_says_how_far_it_came(tmp_path: Path) -> None:
    ended: list[Episode] = []

    def interrupt(episode: Episode) -> None:
        ended.append(episode)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run(CONFIG, tmp_path / "run").run(interrupt)
    recorded = read_run(tmp_path / "run")
    summary = recorded.summary
    assert summary is not None
    assert summary["complete"] is False
    assert 1 <= summary["episodes"] < CONFIG.episodes
    assert summary["steps"] == len(list(recorded.steps())) >= ended[0].steps


def test_a_run_that_is_interrupted_before_its_first_step_can_be_resumed(tmp_path: Path) -> None:
    run = Run(CONFIG, tmp_path / "run")

    def interrupted() -> None:
        raise KeyboardInterrupt

    run.policy.begin = lambda *_: interrupted()  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run.run()
    summary = read_run(tmp_path / "run").summary
    assert summary is not None
    assert (summary["complete"], summary["steps"]) == (False, 0)
    assert Run(CONFIG, tmp_path / "run", resume=True).run()["complete"] is True


def test_a_run_of_another_configuration_is_refused_touches_nothing_and_leaves_the_directory_free(
    tmp_path: Path,
) -> None:
    Run(CONFIG, tmp_path / "run").run()
    (tmp_path / "run" / "summary.json").unlink()
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(RunError, match="seed"):
        Run(CONFIG.model_copy(update={"seed": 7}), tmp_path / "run", resume=True).run()
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    assert Run(CONFIG, tmp_path / "run", resume=True).run()["complete"] is True


class Watching:
    """What observers of a run get."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Any]] = {}

    @hookimpl
    def emosim_run_started(self, directory: str, manifest: dict[str, Any]) -> None:
        self.seen.setdefault("started", []).append((directory, manifest["config"]["episodes"]))

    @hookimpl
    def emosim_step_recorded(self, record: dict[str, Any]) -> None:
        self.seen.setdefault("steps", []).append(record)

    @hookimpl
    def emosim_episode_ended(self, episode: dict[str, Any]) -> None:
        self.seen.setdefault("episodes", []).append(episode)

    @hookimpl
    def emosim_run_ended(self, directory: str, summary: dict[str, Any]) -> None:
        self.seen.setdefault("ended", []).append((directory, summary))


@pytest.mark.parametrize("records", ["jsonl", "parquet", "none"])
def test_observers_get_each_step_and_episode_whatever_is_written(tmp_path: Path, records: str) -> None:
    if records == "parquet":
        pytest.importorskip("pyarrow")
    watching, registry = Watching(), Registry()
    registry.hook  # noqa: B018  # hooks are there from their first use
    registry._manager.register(watching)
    ended: list[Episode] = []
    summary = Run(CONFIG.model_copy(update={"records": records}), tmp_path / "run", registry=registry).run(ended.append)
    seen = watching.seen
    assert seen["started"] == [(str(tmp_path / "run"), 6)]
    assert seen["ended"] == [(str(tmp_path / "run"), summary)]
    assert len(seen["steps"]) == summary["steps"] == sum(one["steps"] for one in seen["episodes"])
    assert [one["number"] for one in seen["episodes"]] == [one.number for one in ended]
    assert sorted(one["number"] for one in seen["episodes"]) == list(range(6))
    for one in seen["episodes"]:
        mine = [record for record in seen["steps"] if record["episode"] == one["number"]]
        ratings = [item["rating"] for record in mine for item in record["recommended"] if item["consumed"]]
        assert [record["step"] for record in mine] == list(range(1, one["steps"] + 1))
        assert one["mood"] == mine[-1]["mood"]
        assert one["end_reason"] == mine[-1]["end_reason"]
        assert one["reward"] == pytest.approx(sum(record["reward"] for record in mine))
        assert one["mean_rating"] == pytest.approx(sum(ratings) / len(ratings))
        assert [("user_profile" in record) for record in mine] == [True] + [False] * (one["steps"] - 1)
        assert mine[0]["user_profile"]["id"] == one["user"] == mine[0]["user"]
    if records == "jsonl":
        assert list(read_run(tmp_path / "run").steps()) == seen["steps"]


def test_who_keeps_a_memory_lives_one_episode_after_another_however_many_go_on(tmp_path: Path) -> None:
    records: list[list[Any]] = []
    for batch in (1, 5):
        config = CONFIG.model_copy(update={"keep_memory": True, "episodes": 15, "num_envs": batch})
        Run(config, tmp_path / str(batch)).run()
        steps = sorted(read_run(tmp_path / str(batch)).steps(), key=lambda one: (one["episode"], one["step"]))
        records.append(steps)
    assert records[0] == records[1]
    taken: Counter[tuple[str, str]] = Counter()
    for record in records[0]:
        for item in record["recommended"]:
            taken[record["user"], item["item"]] += item["consumed"]
            if item["consumed"]:  # what was consumed in an earlier episode counts
                assert item["times"] == taken[record["user"], item["item"]]
    assert max(taken.values()) > 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"keep_memory": True}, "users remember earlier episodes"),
        ({"policy": "linucb"}, "the policy learns from one episode to the next"),
        ({"records": "jsonl"}, r"only records in Parquet are written in blocks \(--records parquet\)"),
        ({}, "it is a single block of episodes"),
    ],
)
def test_a_run_that_cannot_be_cut_into_blocks_says_why(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    pytest.importorskip("pyarrow")
    run = Run(CONFIG.model_copy(update={"records": "parquet", **options}), tmp_path / "run")
    assert re.fullmatch(why, run.whole)
    run.directory.abandon()


@pytest.mark.parametrize(
    ("given", "shown"),
    [(None, None), (np.full((2, 1), 0.25), 0.25), (np.full((2, 1), np.nan), None), (np.ones((2, 1)), 1.0)],
    ids=["not told", "told", "not known", "certain"],
)
def test_probabilities_of_recommendations_are_recorded_as_the_policy_tells_them(
    tmp_path: Path, given: Any, shown: float | None
) -> None:
    run = Run(CONFIG.model_copy(update={"propensities": True, "episodes": 2, "max_steps": 2}), tmp_path / "run")
    run.policy.propensities = lambda: given  # type: ignore[method-assign]
    run.run()
    assert {item["propensity"] for step in read_run(tmp_path / "run").steps() for item in step["recommended"]} == {
        shown
    }


@pytest.mark.parametrize("given", [np.full((2, 2), 0.5), np.full((2, 1), -0.1), np.full((2, 1), 1.1)])
def test_what_are_no_probabilities_is_an_error_that_names_the_policy(tmp_path: Path, given: Any) -> None:
    run = Run(CONFIG.model_copy(update={"propensities": True}), tmp_path / "run")
    run.policy.propensities = lambda: given  # type: ignore[method-assign]
    with pytest.raises(PluginError, match=r"policy 'random' of .* has propensities of the shape .* \(2, 1\)"):
        run.run()


@pytest.mark.parametrize("policy", ["popular", "oracle"])
def test_a_policy_that_never_varies_recommends_with_certainty(tmp_path: Path, policy: str) -> None:
    Run(CONFIG.model_copy(update={"propensities": True, "policy": policy}), tmp_path / "run").run()
    assert {item["propensity"] for step in read_run(tmp_path / "run").steps() for item in step["recommended"]} == {1.0}
    Run(CONFIG.model_copy(update={"policy": "popular"}), tmp_path / "plain").run()
    assert not any(
        "propensity" in item for step in read_run(tmp_path / "plain").steps() for item in step["recommended"]
    )
