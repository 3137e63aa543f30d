"""Training in a large catalog: makes films in a CSV file, trains on them, and prints CPU time and memory.

Run it with ``python benchmarks/large.py [--items 62000] [--algo dqn]``. The training is ``emosim train`` in its own
process, with lexical embeddings; seconds are those of the processor, so that other load on the machine counts little,
and include the start and the loading of the items.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

GENRES = (
    *("action", "adventure", "animation", "children", "comedy", "crime", "documentary", "drama", "fantasy", "horror"),
    *("musical", "mystery", "romance", "scifi", "thriller", "war", "western"),
)
COLUMNS = ("id", "title", "year", "genres", "public_rating", "votes", "overview")


def write_films(path: Path, count: int) -> None:
    """Films with one to three genres of uneven frequency, a public rating and a count of ratings."""
    rng = np.random.default_rng(7)
    shares = rng.dirichlet(np.full(len(GENRES), 2.0))
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(COLUMNS)
        for film in range(count):
            genres = "|".join(rng.choice(GENRES, size=rng.integers(1, 4), replace=False, p=shares))
            votes = int(np.exp(rng.normal(4, 2))) + 1
            year = int(rng.integers(1930, 2024))
            rating = round(float(np.clip(rng.normal(6.4, 1.1), 1, 10)), 1)
            words = " ".join(f"word{word}" for word in rng.integers(0, 2000, 6))
            rows.writerow((f"m{film}", f"Movie {film}", year, genres, rating, votes, words))


def main() -> None:
    """Make the films, train, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=62_000)
    parser.add_argument("--algo", default="dqn")
    parser.add_argument("--policy-net", default="mlp")
    parser.add_argument("--timesteps", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="folder for the films and the training; a temporary one if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        films = folder / f"films-{given.items}.csv"
        write_films(films, given.items)
        options = {
            "plugin": "movies", "items": f"csv:{films}", "embeddings": "lexical", "algo": given.algo,
            "policy-net": given.policy_net, "timesteps": given.timesteps,
            "out": folder / f"{given.algo}-{given.policy_net}-{given.items}",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        subprocess.run([sys.executable, "-m", "emosim_core", "train", *words], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{given.algo}, {given.policy_net}, {given.items:,} items, {given.timesteps:,} steps: "
        f"{used.ru_utime + used.ru_stime:.0f} s of CPU time, at most {used.ru_maxrss / 1024:,.0f} MiB"
    )


if __name__ == "__main__":
    main()
