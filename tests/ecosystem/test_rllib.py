"""RLlib's new API stack with simulated users as one batch; ``make ecosystem`` installs it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest


@pytest.mark.slow
def test_ppo_samples_a_batch_of_users_and_learns(program: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    *lines, kind = program("rllib", "ray", "tree", "lz4").strip().splitlines()[-3:]
    assert kind == "EmoSimVectorEnv"
    found = [re.fullmatch(r"(\d+) episodes, reward ([\d.]+)", line) for line in lines]
    assert all(found), lines
    episodes, rewards = zip(*((int(one[1]), float(one[2])) for one in found if one), strict=True)
    assert 0 < episodes[0] < episodes[1]
    assert all(5 < reward <= 100 for reward in rewards)
