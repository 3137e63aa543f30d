"""Steps per second of the environments, and how long and how big the commands are; prints a table.

Run with: python benchmarks/speed.py [--plugin books]
Every number is the best of several repetitions, which is what a noisy machine disturbs least.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from emosim_core.plugins import World


def best_of(repeat: int, once: Callable[[], float]) -> float:
    """The smallest of several measurements."""
    return min(once() for _ in range(repeat))


def large_world(plugin: str, items: int, dimension: int, **options: object) -> World:
    """A world of a domain, with a synthetic catalog of a given size unless that is 0."""
    from emosim_core import EnvironmentConfig
    from emosim_core.plugins import Catalog, assemble

    world = assemble(EnvironmentConfig(plugin=plugin, **options))
    if items:
        rng = np.random.default_rng(0)
        names, scale = world.catalog.category_names, world.domain.scale
        made = [
            world.domain.item_type(
                id=f"i{i}",
                title=f"Item {i}",
                categories=tuple(rng.choice(names, 2, replace=False)),
                public_rating=round(scale.carry(float(rng.uniform(2, 9))), 1),
                public_count=int(rng.integers(10, 10**6)),
            )
            for i in range(items)
        ]
        vectors = rng.normal(size=(items, dimension)).astype(np.float32)
        world = replace(world, catalog=Catalog(made, scale, vectors, "random"))
        world.rater.prepare(world.setting())
    return world


def single(plugin: str, history: int, items: int, dimension: int, episodes: int = 30, steps: int = 20) -> float:
    """Steps per second of one environment while its user remembers ``history`` interactions, give or take 10."""
    from emosim_core import EmoSimEnv

    world = large_world(plugin, items, dimension, max_steps=10**6, reward_shaping="identity")
    env = EmoSimEnv(world=world)
    count = len(world.catalog)

    def once() -> float:
        rng = np.random.default_rng(1)
        spent = 0.0
        for episode in range(episodes):
            env.reset(seed=episode)
            actions = [int(action) for action in rng.integers(0, count, history + steps // 2)]
            for action in actions[:-steps]:
                env.step(action)
            start = time.perf_counter()
            for action in actions[-steps:]:
                env.step(action)
            spent += time.perf_counter() - start
        return spent / (episodes * steps)

    return 1 / best_of(5, once)


def vector(plugin: str, users: int, history: int, steps: int) -> float:
    """Steps per second of a vector environment while its users remember ``history`` interactions, give or take 10."""
    from emosim_core import EmoSimVectorEnv

    env = EmoSimVectorEnv(world=large_world(plugin, 0, 0, max_steps=10**6, reward_shaping="identity"), num_envs=users)
    count = len(env.world.catalog)

    def once() -> float:
        rng = np.random.default_rng(1)
        env.reset(seed=0)
        for _ in range(history - steps // 2):
            env.step(rng.integers(0, count, users))
        actions = rng.integers(0, count, (steps, users))
        start = time.perf_counter()
        for row in actions:
            env.step(row)
        return (time.perf_counter() - start) / steps

    return users / best_of(7, once)


def episodes(plugin: str, users: int, steps: int) -> float:
    """Steps per second of a vector environment with all defaults, episodes ending and beginning as they do."""
    from emosim_core import EmoSimVectorEnv

    env = EmoSimVectorEnv(plugin, users)
    count = len(env.world.catalog)

    def once() -> float:
        rng = np.random.default_rng(1)
        env.reset(seed=0)
        actions = rng.integers(0, count, (steps, users))
        start = time.perf_counter()
        for row in actions:
            env.step(row)
        return (time.perf_counter() - start) / steps

    return users / best_of(5, once)


def users(count: int) -> float:
    """Seconds to generate users with their profiles and descriptions."""
    from emosim_core.plugins import Registry
    from emosim_core.simulation.assembly import loader_of

    registry = Registry()
    domain = registry.resolve_domain("movies").build()
    loader = {"name": "detailed", "n": count, "seed": 42}
    made = loader_of(registry.resolve("user_loader", loader, "movies"), domain)

    def once() -> float:
        start = time.perf_counter()
        made.load()
        return time.perf_counter() - start

    return best_of(5, once)


def words(count: int) -> float:
    """Seconds in which items without embeddings get some from their words."""
    from emosim_core.data.embeddings import lexical_vectors
    from emosim_core.plugins import Item

    known = [f"word{i}" for i in range(5000)]
    items = [
        Item(
            id=str(i),
            title=" ".join(known[i % 97 : i % 97 + 4]),
            description=" ".join(known[i % 4970 : i % 4970 + 30]),
        )
        for i in range(count)
    ]

    def once() -> float:
        start = time.perf_counter()
        lexical_vectors(items)
        return time.perf_counter() - start

    return best_of(3, once)


_MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(status, time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""
"""Measures a command from a small process, because a child's peak counts what its parent held when it was forked."""


def command(arguments: list[str], folder: str) -> tuple[float, float]:
    """Seconds and peak MiB of a Python command, the best of five."""
    env = {**os.environ, "EMOSIM_CACHE_DIR": folder}
    seconds = memory = float("inf")
    for _ in range(5):
        wrapped = [sys.executable, "-S", "-c", _MEASURE, sys.executable, *arguments]
        output = subprocess.run(wrapped, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
        status, spent, peak = output.split()
        if status != "0":
            raise SystemExit(f"{arguments} failed")
        seconds, memory = min(seconds, float(spent)), min(memory, float(peak))
    return seconds, memory


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["env", "commands"], help="measure one part only")
    parser.add_argument("--plugin", default="movies", help="the domain to measure")
    arguments = parser.parse_args()
    only, plugin = arguments.only, arguments.plugin
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} cores, {plugin}")
    if only != "commands":
        print(f"one environment, history 50, bundled items      {single(plugin, 50, 0, 0):>10,.0f} steps/s")
        print(f"one environment, history 50, 1,000 x 768        {single(plugin, 50, 1000, 768):>10,.0f} steps/s")
        print(f"one environment, history 500, 1,000 x 768       {single(plugin, 500, 1000, 768):>10,.0f} steps/s")
        print(f"256 users, history 50, bundled items           {vector(plugin, 256, 50, 20):>10,.0f} steps/s")
        for count in (1, 8, 64, 256, 1024):
            speed = episodes(plugin, count, 200)
            print(f"{count:>4} users, all defaults, episodes ending      {speed:>10,.0f} steps/s")
        print(f"600 users generated                            {users(600):>10.3f} s")
        print(f"10,000 items embedded by their words            {words(10_000):>10.3f} s")
    if only != "env":
        with tempfile.TemporaryDirectory() as folder:
            for label, arguments in (
                ("python -c pass", ["-c", "pass"]),
                ("import emosim_core", ["-c", "import emosim_core"]),
                ("emosim --help", ["-m", "emosim_core", "--help"]),
                (
                    f"emosim run --plugin {plugin} --episodes 5",
                    ["-m", "emosim_core", "run", "--plugin", plugin, "--episodes", "5"],
                ),
            ):
                seconds, memory = command(arguments, folder)
                print(f"{label:<47} {seconds:>10.3f} s {memory:>6.0f} MiB")


if __name__ == "__main__":
    main()
