"""Off-policy evaluation on a log that a run made: beside the ratings that the recommender really gets."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import emosim_core
from emosim_core.datasets.export import export
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.hooks import Registry
from emosim_core.studies.trust.given_log import off_policy

for library in ("scipy", "threadpoolctl"):
    pytest.importorskip(library)


def exported(folder: Path, policy: str, **more: object) -> list[dict[str, str]]:
    emosim_core.run(
        "movies", folder / policy, policy=policy, max_steps=8, user_split="all", embeddings="lexical", **more
    )
    export([folder / policy], folder / f"{policy}.csv", "csv")
    with (folder / f"{policy}.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_a_run_exports_propensities_where_they_are_known(tmp_path: Path) -> None:
    rows = exported(tmp_path, "random", episodes=20, slate=2)
    count = len(list(emosim_core.make("movies", embeddings="lexical").unwrapped.world.catalog.items))
    for row in rows:
        before = 2 * (int(row["step"]) - 1)  # each of the items that are left is as probable at any place of a slate
        assert float(row["propensity"]) == pytest.approx(1 / (count - before))
    assert {row["propensity"] for row in exported(tmp_path, "popular", episodes=3)} == {"1.0"}
    assert {row["propensity"] for row in exported(tmp_path, "epsilon_greedy", episodes=3)} == {""}


def test_estimates_of_what_made_the_log_are_near_what_it_got(tmp_path: Path) -> None:
    rows = exported(tmp_path, "random", episodes=400, seed=3)
    names = ["random", "top_rated", "inverted+top_rated"]
    got = off_policy(Registry(), "movies", None, tmp_path / "random.csv", names, 200, 1)
    assert got["measured"] > 300
    really = np.mean([float(row["rating"]) for row in rows])
    same, best, worst = (got["recommenders"][name] for name in names)
    for name in ("SNIPS", "DR"):
        assert same[name]["low"] < really < same[name]["high"]
        assert best[name]["estimate"] > worst[name]["high"]
    for one in (same, best, worst):
        assert all(
            one[name]["low"] < one[name]["estimate"] < one[name]["high"] for name in ("IPS", "SNIPS", "DM", "DR")
        )
        assert 0.5 < one["weight"] < 1.5


def test_what_is_wrong_with_a_log_is_said_by_row_and_field(tmp_path: Path) -> None:
    log, registry = tmp_path / "log.csv", Registry()

    def of(text: str) -> None:
        log.write_text(text)
        off_policy(registry, "movies", None, log, ["popular"], 1, 1)

    ids = [item.id for item in emosim_core.make("movies", embeddings="lexical").unwrapped.world.catalog.items[:2]]
    with pytest.raises(DataError, match=r"propensity.*emosim data export"):
        of(f"user,item,rating\na,{ids[0]},7\n")
    with pytest.raises(DataError, match=r"row 2.*propensity.*above 0"):
        of(f"user,item,rating,propensity\na,{ids[0]},7,0\n")
    with pytest.raises(DataError, match="no item 'nothing'"):
        of("user,item,rating,propensity\na,nothing,7,0.5\n")
    with pytest.raises(DataError, match="no rating of the scale 1-10"):
        of(f"user,item,rating,propensity\na,{ids[0]},11,0.5\n")
    with pytest.raises(ConfigurationError, match="answers of 1 users"):
        of(f"user,item,rating,propensity\na,{ids[0]},7,0.5\na,{ids[1]},,0.5\n")
