"""The runner: what it leaves in a directory when it is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from emosim_core import read_run
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
