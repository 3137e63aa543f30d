"""Runs side by side: means of the summaries, pairing, what the runs differ in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import emosim_core
from emosim_core import ConfigurationError, RunError
from emosim_core.reports.compare import compare


def test_means_are_those_of_the_summaries(made: Path) -> None:
    comparison = compare([made / "a", made / "better"], resamples=200)
    for run, name in zip(comparison.runs, ("a", "better"), strict=True):
        summary = json.loads((made / name / "summary.json").read_text())
        means = {name: metric.mean for name, metric in run.metrics.items()}
        assert means["mean rating"] == pytest.approx(summary["mean_rating"], abs=1e-4)
        assert means["share liked"] == pytest.approx(summary["share_liked"], abs=1e-4)
        assert means["reward per episode"] == pytest.approx(summary["mean_reward"], abs=1e-4)
        assert means["steps per episode"] == pytest.approx(summary["episode_length"]["mean"], abs=1e-4)
        assert means["valence at the end"] == pytest.approx(summary["mood_at_end"]["valence"], abs=1e-4)
        for metric in run.metrics.values():
            assert metric.low <= metric.mean <= metric.high


def test_the_same_run_does_not_differ_from_itself(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "a", tmp_path / "copy")
    copy = compare([made / "a", tmp_path / "copy"], resamples=200).runs[1]
    assert copy.paired
    assert copy.differs_in == {}
    for metric in copy.metrics.values():
        assert (metric.difference, metric.difference_low, metric.difference_high) == (0, 0, 0)


def test_pairing_users_makes_a_difference_narrower(made: Path, tmp_path: Path) -> None:
    emosim_core.run("movies", tmp_path / "other", episodes=60, max_steps=20, policy="top_rated", seed=7)
    paired = compare([made / "a", made / "better"], resamples=1000).runs[1]
    loose = compare([made / "a", tmp_path / "other"], resamples=1000).runs[1]
    assert paired.paired
    assert not loose.paired

    def width(run: object, name: str) -> float:
        metric = run.metrics[name]  # type: ignore[attr-defined]
        return metric.difference_high - metric.difference_low

    assert width(paired, "mean rating") < width(loose, "mean rating")
    assert paired.metrics["mean rating"].difference_low > 0


def test_a_paired_difference_is_that_of_the_users(made: Path) -> None:
    """With one episode each, the interval is near the normal one of the differences user by user."""
    runs = []
    for name in ("a", "better"):
        rewards: dict[str, list[float]] = {}
        for line in (made / name / "interactions.jsonl").read_text().splitlines():
            record = json.loads(line)
            rewards.setdefault(record["user"], []).append(record["reward"])
        runs.append({user: sum(some) for user, some in rewards.items()})
    metric = compare([made / "a", made / "better"]).runs[1].metrics["reward per episode"]
    gaps = np.array([runs[1][user] - runs[0][user] for user in runs[0]])
    episodes = 60 / len(gaps)
    half = 1.96 * gaps.std() / np.sqrt(len(gaps)) / episodes
    assert (metric.difference_high - metric.difference_low) / 2 == pytest.approx(half, rel=0.25)


def test_what_runs_differ_in_is_listed_and_more_than_one_thing_is_said(made: Path, tmp_path: Path) -> None:
    emosim_core.run(
        "movies", tmp_path / "more", episodes=20, max_steps=20, policy="top_rated", items_retrieval="last_5", seed=3
    )
    comparison = compare([made / "a", made / "better", tmp_path / "more"], resamples=100)
    assert comparison.runs[1].differs_in == {"policy": ("random", "top_rated")}
    assert comparison.runs[2].differs_in == {
        "policy": ("random", "top_rated"),
        "items_retrieval": ("decay_emotion_3", "last_5"),
        "episodes": ("60", "20"),
        "seed": ("42", "3"),
    }
    assert any("differs from" in note and "in 4 things" in note for note in comparison.notes)
    assert any("not paired" in note for note in comparison.notes)


def test_other_versions_and_items_are_differences(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "a", tmp_path / "older")
    manifest = json.loads((made / "a" / "manifest.json").read_text())
    manifest["versions"]["emosim-movies"] = "0.0.1"
    manifest["data"]["items_sha256"] = "other"
    manifest["config"]["gateway"] = {"concurrency": 1}
    (tmp_path / "older" / "manifest.json").write_text(json.dumps(manifest))
    differs = compare([made / "a", tmp_path / "older"], resamples=100).runs[1].differs_in
    assert set(differs) == {"versions: emosim-movies", "data: items_sha256"}


def test_the_seed_decides_the_intervals(made: Path) -> None:
    runs = [made / "a", made / "better"]
    assert compare(runs, resamples=200, seed=1) == compare(runs, resamples=200, seed=1)
    assert compare(runs, resamples=200, seed=1) != compare(runs, resamples=200, seed=2)


def test_one_user_gives_no_interval(tmp_path: Path) -> None:
    for name, policy in (("one", "random"), ("two", "popular")):
        emosim_core.run("movies", tmp_path / name, episodes=3, max_steps=5, policy=policy, user_dataset="sampled:n=1")
    comparison = compare([tmp_path / "one", tmp_path / "two"], resamples=100)
    assert comparison.runs[1].metrics["mean rating"].difference is not None
    assert comparison.runs[1].metrics["mean rating"].difference_low is None
    assert any("one user" in note for note in comparison.notes)


def test_what_cannot_be_compared_is_an_error(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"of 'movies' and .* of 'books'"):
        compare([made / "a", made / "books"])
    with pytest.raises(ConfigurationError, match="two directories or more"):
        compare([made / "a"])
    with pytest.raises(ConfigurationError, match="at least 100"):
        compare([made / "a", made / "better"], resamples=10)
    with pytest.raises(RunError, match="is no run"):
        compare([made / "a", tmp_path])
    (tmp_path / "manifest.json").write_bytes((made / "a" / "manifest.json").read_bytes())
    with pytest.raises(RunError, match="no episode that ended"):
        compare([made / "a", tmp_path])
