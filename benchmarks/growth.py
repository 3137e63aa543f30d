"""How the time and the memory of a step grow with users, items, history and slate; prints exponents.

Run with: python benchmarks/growth.py [--only users|items|history|slate]
An exponent of 1 is linear. Each is the slope of the best times over the sizes, both as logarithms, so that a change
that makes anything grow faster is seen without knowing the machine.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from speed import best_of, large_world

from emosim_core import EmoSimVectorEnv

SIZES = {
    "users": (64, 256, 1024, 4096),
    "items": (1_000, 4_000, 16_000, 60_000),
    "history": (25, 100, 400),
    "slate": (1, 4, 16),
}
"""What grows, and the sizes; the rest stays at 256 users, 1,000 items, a history of 50 and a slate of 1."""


def seconds(users: int = 256, items: int = 1_000, history: int = 50, slate: int = 1) -> float:
    """Seconds of one step of all users while they remember about ``history`` interactions."""
    world = large_world("movies", items, 384, max_steps=10**6, reward_shaping="identity", slate=slate)
    env = EmoSimVectorEnv(world=world, num_envs=users)
    steps = max(1, 16 // slate)

    def once() -> float:
        rng = np.random.default_rng(1)
        env.reset(seed=0)
        actions = rng.integers(0, items, (history // slate + steps, users, slate))
        for action in actions[:-steps]:
            env.step(action)
        start = time.process_time()
        for action in actions[-steps:]:
            env.step(action)
        return (time.process_time() - start) / steps

    return best_of(3, once)


def exponent(sizes: tuple[int, ...], measured: list[float]) -> float:
    """The slope of the times over the sizes, both as logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(measured), 1)[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(SIZES), help="measure one of them only")
    only = parser.parse_args().only
    print("| what grows | sizes | milliseconds of a step | exponent |")
    print("|---|---|---|---|")
    for what, sizes in SIZES.items():
        if only in (None, what):
            measure: Callable[..., float] = seconds
            measured = [measure(**{what: size}) for size in sizes]
            columns = (", ".join(f"{size:,}" for size in sizes), ", ".join(f"{1000 * one:.2f}" for one in measured))
            print(f"| {what} | {' | '.join(columns)} | {exponent(sizes, measured):.2f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak of memory: {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
