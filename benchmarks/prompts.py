"""Microseconds that it takes to build one prompt, and to read one answer; prints a table.

Run with: python benchmarks/prompts.py [--plugin books]
Every number is the best of several repetitions. "cold" builds the texts of every user and item, "warm" has them.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable

import numpy as np

from emosim_core import EnvironmentConfig
from emosim_core.llm import ChatAnswer
from emosim_core.llm.prompts.shot_strategy import ShotOptions, ShotPromptStrategy
from emosim_core.plugins import Memory, RatingRequest, World, assemble

USERS = 512
"""Users of the batch, each before another item, with ten interactions to remember."""


def request_of(world: World) -> RatingRequest:
    """A batch as the engine makes it: random users, items and memories, three memories retrieved for each."""
    rng = np.random.default_rng(0)
    memory = Memory(USERS, len(world.catalog))
    who = np.arange(USERS)
    for _ in range(10):
        ratings = rng.choice(world.domain.scale.levels, USERS)
        past = rng.integers(0, len(world.catalog), USERS)
        memory.append(who, past, ratings, world.tags(who % len(world.population), past, ratings))
    history = memory.history()
    items = rng.integers(0, len(world.catalog), (USERS, 1))
    users = rng.integers(0, len(world.population), USERS)
    moods = rng.uniform([-1, 0], [1, 1], (USERS, 2))
    return world.rating_request(users, items, moods, history)


def microseconds(once: Callable[[int], object], repeat: int, before: Callable[[], object] = lambda: None) -> float:
    """The best mean over the batch, in microseconds a call."""
    best = float("inf")
    for _ in range(repeat):
        before()
        start = time.perf_counter()
        for row in range(USERS):
            once(row)
        best = min(best, time.perf_counter() - start)
    return best / USERS * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", default="movies", help="domain")
    parser.add_argument("--repeat", type=int, default=15, help="repetitions, of which the best counts")
    arguments = parser.parse_args()
    world = assemble(EnvironmentConfig(plugin=arguments.plugin))
    request = request_of(world)
    print(f"{arguments.plugin}, Python {platform.python_version()}, {platform.machine()}; microseconds a call")
    print(f"{'prompt':<24}{'cold':>8}{'warm':>8}{'read':>8}{'characters':>12}")
    for name, options, text in (
        ("0Shot_cotlite_our", ShotOptions(), "{label}"),
        ("2Shot_system_our", ShotOptions(style="rating", shots=2), "{label}"),
        ("2Shot_system_default", ShotOptions(style="rating", shots=2, system="default"), "{label}"),
        ("2Shot_cot_enhanced", ShotOptions(style="cot_enhanced", shots=2), '{"reasons": ["a"], "rating": {label}}'),
    ):
        prompt_strategy = ShotPromptStrategy(options)

        def prepare(prompt_strategy: ShotPromptStrategy = prompt_strategy) -> None:
            prompt_strategy.prepare(world.setting())

        def ask(row: int, prompt_strategy: ShotPromptStrategy = prompt_strategy) -> object:
            return prompt_strategy.ask(request, row, 0)

        prepare()
        answer = ChatAnswer(text.replace("{label}", "4"))

        def read(
            row: int, prompt_strategy: ShotPromptStrategy = prompt_strategy, answer: ChatAnswer = answer
        ) -> object:
            return prompt_strategy.read(answer)

        cold = microseconds(ask, arguments.repeat, prepare)
        warm = microseconds(ask, arguments.repeat)
        length = sum(len(message.content) for message in prompt_strategy.ask(request, 0, 0).messages)
        print(f"{name:<24}{cold:>8.1f}{warm:>8.1f}{microseconds(read, arguments.repeat):>8.1f}{length:>12,}")


if __name__ == "__main__":
    main()
