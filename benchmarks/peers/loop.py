"""Steps per second of one simulator in a user's loop: sample an action, step, reset at the end. Prints JSON.

Run by peers.py with the Python of an environment that has the simulator: loop.py emosim|sardine SECONDS.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium

warnings.filterwarnings("ignore")

USERS = 64
SLATE = 10


def emosim(slate: int, users: int) -> Any:
    """An environment of films with all defaults; a slate is chosen from by multinomial logit."""
    import emosim_core

    options = {} if slate == 1 else {"slate": slate, "selector": "multinomial_logit"}
    return emosim_core.make("movies", **options) if users == 1 else emosim_core.make_vec("movies", users, **options)


def sardine(slate: int, users: int) -> Any:
    """The environment of SARDINE whose users get bored of a topic; a batch steps one after another."""
    import sardine  # noqa: F401

    name = "sardine/SingleItem-Static-v0" if slate == 1 else "sardine/SlateTopK-Bored-v0"
    if users == 1:
        return gymnasium.make(name)
    return gymnasium.make_vec(name, num_envs=users, vectorization_mode="sync")


def one(env: Any, seconds: float) -> float:
    """Steps per second of a single environment."""
    env.reset(seed=0)
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        steps += 1
        if terminated or truncated:
            env.reset()
    return steps / (time.perf_counter() - start)


def many(env: Any, seconds: float) -> float:
    """Steps per second of a vector environment, which begins the next episodes by itself."""
    env.reset(seed=0)
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        env.step(env.action_space.sample())
        steps += USERS
    return steps / (time.perf_counter() - start)


def main() -> None:
    """Measure the four cases."""
    make: Callable[[int, int], Any] = {"emosim": emosim, "sardine": sardine}[sys.argv[1]]
    seconds = float(sys.argv[2])
    figures = {}
    for users, measure in ((1, one), (USERS, many)):
        for slate in (1, SLATE):
            env = make(slate, users)
            measure(env, seconds / 4)
            figures[f"{users} x slate {slate}"] = measure(env, seconds)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
