"""A validation of a log whose users' histories are shuffled: what is learned from histories says nothing of choices.

Popularity and dates are in a log however its users are shuffled. They say which items are taken, so only the tests that
match candidates in them fall to .5, and the films of this log come out before it begins: dates say nothing here.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from emosim_core.studies.validation.candidates import MATCHED, MATCHED_YEAR, RANDOM
from emosim_core.studies.validation.results import SIMULATED
from emosim_core.testing import Emosim

for library in ("surprise", "implicit", "scipy", "lightgbm", "safetensors"):
    pytest.importorskip(library)

SCRIPT = Path(__file__).parents[3] / "scripts" / "shuffle_log.py"
GENRES = ("Comedy", "Drama", "Horror", "Western")
HISTORIES = (
    SIMULATED, "categories in common", "text similarity", "item co-occurrence", "EASE", "implicit ALS",
)  # fmt: skip
"""What makes its scores from what users took."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who take six times as often films of the genre that they like, and films that all take more often."""
    folder, rng = tmp_path_factory.mktemp("logs") / "log", np.random.default_rng(1)
    folder.mkdir()
    films = np.arange(320)
    genre, drawn = films % len(GENRES), np.where(films // len(GENRES) % 4 == 0, 12.0, 1.0)
    lines = [f"{film + 1},Film {film + 1} ({1990 + film // 16 % 4}),{GENRES[genre[film]]}" for film in films]
    rows = []
    for user in range(240):
        liked, count = rng.integers(len(GENRES)), int(rng.integers(12, 28))
        chance = drawn * np.where(genre == liked, 6.0, 1.0)
        taken = rng.choice(films, count, replace=False, p=chance / chance.sum())
        stars = np.clip(np.round(2 * (3.3 + 0.8 * (genre[taken] == liked) + rng.normal(0, 0.6, count))) / 2, 0.5, 5)
        times = np.sort(rng.integers(1_246_406_400, 1_309_478_400, count))  # July 2009 to June 2011
        rows += [f"{user + 1},{film + 1},{star},{time}" for film, star, time in zip(taken, stars, times, strict=True)]
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(lines) + "\n")
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def shuffled(log: Path) -> Path:
    """The same log, its users shuffled as a user of the script does it."""
    folder = log.parent / "shuffled"
    folder.mkdir()
    (folder / "movies.csv").write_bytes((log / "movies.csv").read_bytes())
    command = [sys.executable, str(SCRIPT), str(log / "ratings.csv"), str(folder / "ratings.csv")]
    subprocess.run(command, check=True, timeout=60)
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "ratings.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def areas(quick: Emosim, folder: Path, *more: str) -> dict[str, dict[str, Any]]:
    """The area under the curve of each test and method, with its interval."""
    done = quick(
        *("validate", "--plugin", "movies", "--ratings", f"movielens:{folder}", "--only", "choices", "--out", "out"),
        *("--folds", "2", "--negatives", "1", "--json", *more),
    )
    tests = done.json["choices"]
    assert set(tests) == {RANDOM, MATCHED, MATCHED_YEAR}
    assert min(measured["users"] for measured in tests.values()) > 230
    return {
        test: {name: one["auc"] for name, one in measured["ratios"]["1:1"].items() if "auc" in one}
        for test, measured in tests.items()
    }


def test_shuffling_keeps_what_items_and_users_count_and_when(log: Path, shuffled: Path) -> None:
    before, after = rows_of(log), rows_of(shuffled)
    assert [{**row, "userId": ""} for row in before] == [{**row, "userId": ""} for row in after]
    assert Counter(row["userId"] for row in before) == Counter(row["userId"] for row in after)
    assert len({(row["userId"], row["movieId"]) for row in after}) == len(after)
    moved = np.mean([row["userId"] != other["userId"] for row, other in zip(before, after, strict=True)])
    assert moved > 0.98


@pytest.mark.parametrize("rater", ["rule_based", "fitted"])
def test_of_shuffled_histories_no_method_tells_what_was_chosen(quick: Emosim, shuffled: Path, rater: str) -> None:
    found = areas(quick, shuffled, *(("--rater", rater) if rater == "fitted" else ()))
    names = (*HISTORIES, "recency")
    # Intervals of 95 % that hold at once, by Bonferroni.
    wider = NormalDist().inv_cdf(1 - 0.025 / (2 * len(names))) / NormalDist().inv_cdf(0.975)
    for test in (MATCHED, MATCHED_YEAR):
        for name in names:
            low, middle, high = (found[test][name][end] for end in ("low", "estimate", "high"))
            assert high - low < 0.05, "an interval that excludes little shows little"
            assert middle - wider * (middle - low) <= 0.5 <= middle + wider * (high - middle), (test, name)
        # How well candidates are matched: within 10 %, or else the nearest.
        assert found[test]["popularity"]["estimate"] == pytest.approx(0.5, abs=0.01)
    assert found[RANDOM]["popularity"]["low"] > 0.65, "to shuffle users leaves popularity"


def test_of_the_same_histories_unshuffled_every_method_tells_what_was_chosen(quick: Emosim, log: Path) -> None:
    found = areas(quick, log)
    for test in (MATCHED, MATCHED_YEAR):
        for name in HISTORIES:
            assert found[test][name]["low"] > 0.52, (test, name)
        assert found[test]["EASE"]["low"] > 0.55
