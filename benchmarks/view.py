"""How fast `emosim view` starts, lists, and finds episodes.

Method: two small runs are simulated, two recommenders compared and one trained, and what lists read of each is copied,
200 and 1,000 directories in all, into folders. For each folder the command starts
as a user starts it; the table has the seconds from its start until the first page and until the list with all rows
have arrived, then the median of 20 loads of the list page, each after a file of one directory has changed, and of 20
loads where nothing has. Then a run with --records parquet is opened: the first page of its episodes, an episode in the
middle, and a search that no episode fits, which reads all of them. Each is the least of five repetitions, so that other
programs of the machine matter little. The clock is the wall's.

    python benchmarks/view.py [--episodes 200000]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import emosim_core

REPEATS = 5

_LARGE = shutil.ignore_patterns("*.safetensors", "*.zip", "tensorboard", "charts")
"""What makes a directory large, and no list reads."""


@contextmanager
def served(folder: Path, state: Path) -> Iterator[tuple[httpx.Client, float]]:
    """A client of the application about a folder, and when its command began."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "emosim_core", "view", str(folder), "--port", "0"]
    env = {**os.environ, "EMOSIM_STATE_DIR": str(state)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        found = re.search(r"(http://[\d.:]+)/\?token=\S+", process.stdout.readline())
        assert found
        with httpx.Client(base_url=found[1], timeout=600) as client:
            client.get(found[0], follow_redirects=True)
            yield client, begun
        process.terminate()
        process.wait()


def least(call: Callable[[], Any]) -> float:
    """Seconds of a call, the least of a few."""
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def rows(text: str) -> int:
    """How many rows a page of the list has."""
    return len(re.findall(r'"created":', text))


def start(folder: Path, state: Path, count: int) -> tuple[float, float]:
    """Seconds until the first page and until the list with all rows."""
    with served(folder, state) as (client, begun):
        first = time.perf_counter() - begun
        with client.stream("GET", "/api/jobs/live") as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    assert rows(line) == count
                    return first, time.perf_counter() - begun
    raise AssertionError("no list came")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=200_000, help="Episodes of the run with Parquet files.")
    parser.add_argument("--run", type=Path, help="Such a run that is there already.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for policy in ("random", "top_rated"):
            emosim_core.run("movies", work / policy, policy=policy, episodes=40, max_steps=10)
        small = {"episodes": 4, "max_steps": 6, "user_dataset": "sampled:n=12"}
        emosim_core.evaluate("movies", work / "evaluation", policies="random,popular", resamples=100, **small)
        emosim_core.train("movies", work / "training", timesteps=64, eval_every=32, num_envs=2, max_steps=6)
        sources = [work / name for name in ("random", "top_rated", "evaluation", "training")]
        print(f"{'directories':>12} {'first page':>11} {'all rows':>9} {'list page':>10} {'after a change':>15}")
        for count in (200, 1000):
            folder = work / str(count)
            for number in range(count):
                shutil.copytree(sources[number % 4], folder / f"r{number:04d}", ignore=_LARGE)
            starts = [start(folder, work / "state", count) for _ in range(REPEATS)]
            first, listed = (min(times) for times in zip(*starts, strict=True))
            with served(folder, work / "state") as (client, _):
                client.get("/job/r0000")

                def load(client: httpx.Client = client, count: int = count) -> None:
                    assert rows(client.get("/").text) == count

                load()
                plain, changed = [], []
                for number in range(20):
                    plain.append(least_of_one(load))
                    (folder / f"r{4 * number:04d}" / "manifest.json").touch()
                    changed.append(least_of_one(load))
            print(
                f"{count:>12,} {first:>9.2f} s {listed:>7.2f} s {1000 * statistics.median(plain):>7.0f} ms "
                f"{1000 * statistics.median(changed):>12.0f} ms"
            )
        run = options.run
        if run is None:
            run = work / "large" / "run"
            emosim_core.run("movies", run, episodes=options.episodes, max_steps=6, records="parquet")
        with served(run.parent, work / "state") as (client, _):
            path = {"path": run.name}
            total = client.get("/api/episodes", params=path).json()["total"]
            page = least(lambda: client.get("/api/episodes", params={**path, "user": f"nobody {time.time()}"}))
            story = least(lambda: client.get("/api/story", params={**path, "episode": total // 2}))
            first = least(lambda: client.get("/api/episodes", params={**path, "from": f"1.{time.time_ns()}"}))
            begun = time.perf_counter()
            while not client.get("/api/episodes", params={**path, "q": '"no film has this title"'}).json()["done"]:
                pass
            everything = time.perf_counter() - begun
        print(f"\nParquet, {total:,} episodes: first page of a filter {first:.2f} s, one episode {story:.2f} s,")
        print(f"a call of a search that finds nothing {page:.2f} s, all of such a search {everything:.1f} s")


def least_of_one(call: Callable[[], None]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
