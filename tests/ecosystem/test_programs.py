"""The programs of docs/ecosystem with libraries that CI does not install; ``make ecosystem`` does."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.slow


def test_tianshou_learns_from_simulated_users(program: Callable[..., str]) -> None:
    printed = program("tianshou", "tianshou")
    reward = re.search(r"^reward from test users ([\d.]+)$", printed, flags=re.MULTILINE)
    assert reward, printed
    assert 5 < float(reward[1]) <= 100  # ten ratings of 10 at most


def test_d3rlpy_learns_from_exported_episodes(program: Callable[..., str]) -> None:
    printed = program("d3rlpy", "d3rlpy", "minari")
    found = re.search(r"^60 episodes, (\d+) transitions; the first item of a new user: (\d+)$", printed, re.MULTILINE)
    assert found, printed
    assert 60 * 2 < int(found[1]) <= 60 * 10
    assert int(found[2]) < 645


def test_mlflow_keeps_the_curves_of_a_training(program: Callable[..., str]) -> None:
    first, *curve = program("mlflow", "mlflow").splitlines()
    assert first == "t FINISHED a2c"
    steps = [int(line.split()[0]) for line in curve]
    assert len(steps) > 1
    assert steps == sorted(set(steps))
    assert 320 < steps[-1] <= 640  # a line in which no episode ended has no reward
