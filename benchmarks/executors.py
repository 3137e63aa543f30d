"""How much faster commands are with two processes or with Ray, and what a cell costs beside its work; prints tables.

Run with: python benchmarks/executors.py [--commands run,evaluate,ablate,cells] [--executors local,processes:2,ray]

Each command is a process of its own, timed from its start to its end: imports, the start of workers, the work, the
results and their charts. What is done differs in nothing but the executor. ``cells`` does a thousand cells that do
nothing, and divides the time from the end of the first to that of the last among them, times the number of workers:
what a worker spends on each. Ray is a cluster of this machine that is there before the commands, unless RAY_ADDRESS
names another; how long it takes to start is printed. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from emosim_core.plugins import Cell, Executor, OnProgress, Registry, Worlds

COMMANDS = {
    "run": ("--plugin", "movies", "--policy", "random", "--episodes", "250000", "--num-envs", "256"),
    "evaluate": ("--plugin", "movies", "--policies", "random,popular,top_rated", "--episodes", "1200"),
    "ablate": (
        *("--plugin", "movies", "--study", "all", "--num-seeds", "10"),
        *("--items-retrieval", "last_3,most_similar_3,decay_emotion_3,none"),
    ),
}

WORKERS, CELLS = 2, 1000


def seconds(command: str, executor: str) -> float:
    """Seconds that a command takes from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-c", "from emosim_core.cli.main import main; main()", command, *COMMANDS[command]),
                *("--executor", executor, "--out", str(Path(folder) / "out"), "--quiet"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - start


def nothing(argument: int, worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell without work."""


def cells(name: str) -> tuple[float, float]:
    """Seconds until the first of many cells without work has ended, and seconds of a worker for each of the others."""
    registry = Registry()
    component = registry.resolve("executor", {"name": name.partition(":")[0], "workers": WORKERS})
    executor: Executor = component.build(Executor)
    start, ends = time.perf_counter(), []
    for _ in executor.run([Cell(str(n), nothing, n) for n in range(CELLS)], Worlds(registry, serves=False), print):
        ends.append(time.perf_counter())
    return ends[0] - start, (ends[-1] - ends[0]) / (CELLS - 1) * WORKERS


@contextmanager
def cluster() -> Iterator[None]:
    """A Ray cluster on this machine, with as many cores as there are workers."""
    from ray.cluster_utils import Cluster

    start = time.perf_counter()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": WORKERS, "include_dashboard": False})
    print(f"Ray started in {time.perf_counter() - start:.2f} s", flush=True)
    os.environ["RAY_ADDRESS"] = made.address
    try:
        yield
    finally:
        made.shutdown()


def measure(commands: list[str], executors: list[str]) -> None:
    """Measure commands with each executor, and print what came of it."""
    for command in commands:
        if command == "cells":
            for name in (one for one in executors if one != "local"):
                first, each = cells(name)
                print(f"{name:14}{CELLS} cells: the first after {first:.2f} s, {each * 1000:.1f} ms each", flush=True)
            continue
        base = None
        for name in executors:
            taken = seconds(command, name)
            base = base or taken
            print(f"{command:12}{name:14}{taken:7.2f} s{base / taken:7.2f} times", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", default="run,evaluate,ablate,cells", help="what to measure, with commas between")
    parser.add_argument("--executors", default="local,processes:2", help="where, with commas between, the first first")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    executors = arguments.executors.split(",")
    with cluster() if "ray" in executors and "RAY_ADDRESS" not in os.environ else nullcontext():
        measure(arguments.commands.split(","), executors)


if __name__ == "__main__":
    main()
