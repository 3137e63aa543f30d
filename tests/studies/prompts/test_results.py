"""The measures of a prompt bench, from records whose results are computed by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from emosim_core.errors import RunError
from emosim_core.studies.prompts.questions import copied, per_user
from emosim_core.studies.prompts.records import BenchJob
from emosim_core.studies.prompts.results import compute_results

LEVELS = [1.0, 2.0, 3.0]


def answer(user: str, kind: str, item: str, expected: float | None, real: float | None = None) -> dict[str, Any]:
    """An answer with this mean, on two neighboring levels."""
    shares = None
    if expected is not None:
        low = min(int(expected), 2)
        shares = [0.0, 0.0, 0.0]
        shares[low - 1], shares[low] = 1 - (expected - low), expected - low
    line = {"user": user, "kind": kind, "item": item, "distribution": shares, "copied": None}
    return {**line, "prompt": 10, "completion": 1, **({} if real is None else {"real": real, "baseline": 2.0})}


LINES = [
    answer("a", "chosen", "x", 3.0, 2.0),
    answer("a", "chosen", "y", 1.0, 1.0),
    answer("a", "other", "z", 2.0),
    answer("a", "swapped", "x", 2.0, 2.0),
    answer("a", "reversed", "x", 2.5, 2.0),
    answer("a", "blank", "n", 2.0),
    answer("b", "chosen", "x", 2.0, 3.0),
    answer("b", "other", "z", 1.0),
    answer("b", "swapped", "x", 2.0, 3.0),
    answer("b", "blank", "n", None),
]


def written(folder: Path, answers: dict[str, list[dict[str, Any]]]) -> Path:
    manifest = {
        "format": 2,
        "kind": "prompts",
        "title": "T",
        "created": "now",
        "config": {"strategies": list(answers), "split": "test"},
        "data": {"measured": ["a", "b", "c"]},
        "levels": LEVELS,
        "shares": [0.25, 0.25, 0.5],
        "language_model": "m",
    }
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name, lines in answers.items():
        BenchJob.of(folder, name).write(lines, {"calls": 4}, 2.0)
    return folder


def test_each_measure_is_what_its_formula_gives(tmp_path: Path) -> None:
    results = compute_results(written(tmp_path / "b", {"s": LINES}))
    (one,) = results["strategies"]
    assert one["rmse"]["estimate"] == pytest.approx(math.sqrt((1 + 0 + 1) / 3), abs=1e-6)
    assert one["auc"]["estimate"] == pytest.approx((0.5 + 1.0) / 2)
    # Answers 3, 1, 2 and real ratings 2, 1, 3.
    assert one["variation"]["estimate"] == 0
    assert one["persons"]["estimate"] == pytest.approx(math.sqrt((1 / 2 + 0) / 2), abs=1e-6)
    # Half the squared distances of 3, 1, 2 of one user and of 2, 1 of the other.
    assert one["items"]["estimate"] == pytest.approx(math.sqrt((2 + 0.5 + 0.5 + 0.5) / 4), abs=1e-6)
    assert one["order"]["estimate"] == pytest.approx(0.5)
    assert one["label"]["estimate"] == pytest.approx(0.75)
    assert one["prompt"]["estimate"] == 10
    assert one["failed"]["estimate"] == pytest.approx(0.1)
    assert one["copied"]["estimate"] is None
    assert one["seconds_per_call"] == 0.5
    assert (results["users"], results["left_out"]) == (2, 1)
    assert results["baseline"]["rmse"]["estimate"] == pytest.approx(math.sqrt((0 + 1 + 1) / 3), abs=1e-6)


def test_a_difference_is_of_the_same_users(tmp_path: Path) -> None:
    worse = [{**one, "distribution": [1.0, 0.0, 0.0]} if one["kind"] == "chosen" else one for one in LINES]
    results = compute_results(written(tmp_path / "b", {"s": LINES, "w": worse, "t": LINES}))
    more, same = results["differences"]
    assert more["estimate"] == pytest.approx(math.sqrt(5 / 3) - math.sqrt(2 / 3), abs=1e-6)
    assert (same["estimate"], same["low"], same["high"]) == (0, 0, 0)


@pytest.mark.parametrize("damage", [{"kind": "odd"}, {"distribution": [2.0, 0.0, 0.0]}, {"user": 3}])
def test_a_damaged_record_is_named(tmp_path: Path, damage: dict[str, Any]) -> None:
    folder = written(tmp_path / "b", {"s": [LINES[0], {**LINES[1], **damage}]})
    with pytest.raises(RunError, match=r"jsonl, line 3"):
        compute_results(folder)


def test_what_is_copied_is_the_share_of_runs_of_four_words() -> None:
    examples = ["The case is neat, but slow.", "Songs where there should be danger."]
    assert copied("The case is neat, and fast.", examples) == pytest.approx(1 / 3, abs=1e-6)
    assert copied("THE CASE IS NEAT but slow", examples) == 1
    assert copied("Nothing of that is here.", examples) == 0
    assert copied("Too short.", examples) is None
    assert copied("The case is neat, but slow.", []) is None


def test_questions_per_user_are_chosen_others_some_turned_some_swapped_and_a_blank() -> None:
    assert [per_user(chosen) for chosen in (1, 2, 3)] == [5, 7, 11]
