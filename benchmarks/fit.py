"""Time and memory of a fit, and of a step of fitted users beside made-up ones; prints a table.

Run with: python benchmarks/fit.py [--users 6000 --items 4000 --ratings 1000000]

The log is made up: users with tastes for categories rate items of a skewed popularity over ten years.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CATEGORIES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi", "Thriller", "Western")


def write_log(folder: Path, users: int, items: int, ratings: int, seed: int = 1) -> None:
    """movies.csv and ratings.csv of a made-up log, in the form of MovieLens."""
    rng = np.random.default_rng(seed)
    factors, taste = rng.normal(size=(items, 8)), rng.normal(size=(users, 8))
    genre, year = rng.integers(len(CATEGORIES), size=items), rng.integers(1970, 2015, items)
    quality, level = rng.normal(3.4, 0.4, items), rng.normal(0, 0.4, users)
    popularity = rng.lognormal(0, 1.3, items)
    each = rng.lognormal(0, 1.0, users)
    each = np.clip(each / each.sum() * ratings, 15, items // 3).astype(int)
    folder.mkdir(parents=True)
    with (folder / "movies.csv").open("w") as stream:
        stream.write("movieId,title,genres\n")
        for item in range(items):
            stream.write(f"{item + 1},Film {item + 1} ({year[item]}),{CATEGORIES[genre[item]]}|")
            stream.write(f"{CATEGORIES[int(factors[item, 0] > 0)]}\n")
    with (folder / "ratings.csv").open("w") as stream:
        stream.write("userId,movieId,rating,timestamp\n")
        for user in range(users):
            affinity = factors @ taste[user] / 3.0
            chance = popularity * np.exp(affinity)
            chosen = rng.choice(items, each[user], replace=False, p=chance / chance.sum())
            stars = quality[chosen] + level[user] + 0.3 * affinity[chosen] + rng.normal(0, 0.7, len(chosen))
            stars = np.clip(np.rint(stars * 2) / 2, 0.5, 5)
            times = 1_100_000_000 + int(rng.integers(300_000_000)) + np.cumsum(rng.integers(20, 90_000, len(chosen)))
            stream.writelines(
                f"{user + 1},{item + 1},{star},{at}\n"
                for item, star, at in zip(chosen.tolist(), stars.tolist(), times.tolist(), strict=True)
            )


def step_seconds(batch: int, folder: Path, **options: object) -> float:
    """The best of several times of a step of a batch, in seconds of one processor."""
    from emosim_core import EmoSimVectorEnv, EnvironmentConfig
    from emosim_core.plugins import assemble

    world = assemble(
        EnvironmentConfig(
            plugin="movies", items=f"movielens:{folder}", embeddings="lexical", reward_shaping="identity", **options
        )
    )
    env = EmoSimVectorEnv(num_envs=batch, world=world)
    count, best = len(world.catalog), np.inf
    rng = np.random.default_rng(1)
    for episode in range(20):
        env.reset(seed=episode)
        for _ in range(5):
            env.step(rng.integers(0, count, batch))
        start = time.process_time()
        for _ in range(30):
            env.step(rng.integers(0, count, batch))
        best = min(best, (time.process_time() - start) / 30)
    return float(best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("--users", 6000), ("--items", 4000), ("--ratings", 1_000_000)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--log", type=Path, help="folder of a MovieLens log to use instead of a made-up one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, people = given.log or Path(place) / "log", Path(place) / "people"
        if given.log is None:
            write_log(folder, given.users, given.items, given.ratings)
        command = [sys.executable, "-m", "emosim_core", "fit", "--plugin", "movies", "--quiet"]
        start = time.perf_counter()
        subprocess.run([*command, "--ratings", f"movielens:{folder}", "--out", str(people)], check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        size = sum(one.stat().st_size for one in people.iterdir()) / 2**20
        print(f"fit: {time.perf_counter() - start:.1f} s, {peak:.2f} GiB; the directory has {size:.1f} MiB")
        for batch in (1, 256):
            made = step_seconds(batch, folder, rater="rule_based")
            fitted = step_seconds(batch, folder, users=f"fitted:{people}")
            print(
                f"a step of {batch}: rule_based {made * 1e3:.2f} ms, fitted {fitted * 1e3:.2f} ms, {fitted / made:.2f}"
            )


if __name__ == "__main__":
    main()
