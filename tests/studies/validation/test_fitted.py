"""People who are fitted in a validation know nothing that is held out, and nothing of what others do later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core.components.fitted import Fitted
from emosim_core.data.interactions import Interactions
from emosim_core.hooks import Registry
from emosim_core.studies.validation.knowledge import Knowledge
from emosim_core.studies.validation.records import read_lines
from emosim_core.studies.validation.validation import Validation, ValidationConfig

for library in ("surprise", "implicit", "scipy", "lightgbm", "safetensors"):
    pytest.importorskip(library)


def read_results(directory: Path) -> Any:
    return json.loads((directory / "validation.json").read_text())


def validation(folder: Path, who: Path, **more: Any) -> Validation:
    environment = {"plugin": "movies", "rater": "fitted"}
    log = f"movielens:{folder}"
    config = ValidationConfig(environment=environment, ratings=log, negatives=(1,), test_users=who, **more)
    return Validation(config, Registry())


def test_what_is_held_out_moves_no_answer_of_fitted_people(movielens: Path, tmp_path: Path) -> None:
    who = tmp_path / "who"
    who.write_text("3\n8\n")
    first, second = (validation(movielens, who) for _ in range(2))
    for real_user in second.measured:
        assert real_user.values is not None
        real_user.values[real_user.past_count :] = 1.0
    for name, one in (("first", first), ("second", second)):
        one.run(tmp_path / name)
    for name, keys in (("ratings", ("answer", "expected")), ("choices", ("score",))):
        first, second = (read_lines(tmp_path / one, name) for one in ("first", "second"))
        assert {line["user"] for line in first} == {"3", "8"}
        assert [[line[key] for key in keys] for line in first] == [[line[key] for key in keys] for line in second]
        if name == "choices":
            kinds = {"popularity", "recency", "mean rating", "co-consumption", "text", "categories"}
            assert all({*line["terms"]} == {*line["without"]} == kinds for line in first)
            assert all(len(one) == len(line["items"]) for line in first for one in line["without"].values())
    terms = read_results(tmp_path / "first")["terms"]
    assert {*terms["random"]["co-consumption"]} == {"alone", "lost_without"}


def rows_of(folder: Path) -> list[list[str]]:
    return [row.split(",") for row in (folder / "ratings.csv").read_text().splitlines()]


def learned(one: Validation) -> tuple[Interactions, dict[str, np.ndarray]]:
    """What a rater learns for the first part, and the arrays of its models."""
    rater = Fitted()
    seen: list[Interactions] = []

    class Watched(Fitted):
        def learn(self, log: Interactions, *others: Any, **more: Any) -> None:
            seen.append(log)
            rater.learn(log, *others, **more)

    part = one.data.parts[0]
    Knowledge(one.data.log, part, 1).learn(part.users[0].moment, Watched())
    assert rater._interest is not None
    assert rater._ratings is not None
    return seen[-1], {**rater._interest.arrays(), **{f"r {k}": v for k, v in rater._ratings.arrays().items()}}


def test_nothing_of_the_measured_user_or_of_later_moves_the_models(movielens: Path, tmp_path: Path) -> None:
    """Others may do anything from the month of the moment on, and the measured user anything at all."""
    who = tmp_path / "who"
    who.write_text("5\n")
    folder = Path(shutil.copytree(movielens, tmp_path / "other"))
    first = validation(movielens, who)
    moment = first.measured[0].moment
    assert moment is not None
    border = np.datetime64(moment, "M").astype("datetime64[s]").astype(int)
    head, *rows = rows_of(folder)
    for row in rows:
        if row[0] == "5" or int(row[3]) >= border:
            row[2] = "0.5" if float(row[2]) > 2 else "5.0"
    later = [row for row in rows if row[0] != "5" and int(row[3]) >= border]
    assert len(later) > 50
    gone = {id(row) for row in later[::2]}
    kept = [row for row in rows if id(row) not in gone]
    (folder / "ratings.csv").write_text("\n".join(map(",".join, [head, *kept])) + "\n")
    (log, arrays), (_, changed) = learned(first), learned(validation(folder, who))
    assert log.times is not None
    assert log.times.max() < border
    assert "5" not in {log.user_ids[user] for user in np.unique(log.users).tolist()}
    assert len(log) > 200
    for name, array in arrays.items():
        assert array.tobytes() == changed[name].tobytes(), name
