"""Verdicts: who is always right gets all, a coin gets half, and no answer is no verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.studies.believability.judges import Verdict, by_distance
from emosim_core.studies.believability.pairs import FIRST, SECOND, Pair
from emosim_core.studies.believability.results import measured, sentence_of


def pair(number: int, side: Any, real: list[float], simulated: list[float], mean: list[float | None]) -> Pair:
    item: Any = {"item": "i", "title": "I", "year": None, "categories": []}
    return Pair(
        pair=number,
        user=f"u{number}",
        moment=None,
        earlier=[],
        earlier_ratings=[],
        items=[item] * len(real),
        real=real,
        simulated=simulated,
        mean=mean,
        real_side=side,
    )


def verdict(number: int, answer: Any) -> Verdict:
    return {"pair": number, "judge": "j", "answer": answer, "error": ""}


@settings(max_examples=50, deadline=None)
@given(sides=st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), st.sampled_from([FIRST, SECOND, None])), max_size=40))
def test_what_is_measured_agrees_with_counting(sides: list[tuple[Any, Any]]) -> None:
    pairs = [pair(number, side, [1.0], [2.0], [1.5]) for number, (side, _) in enumerate(sides)]
    found = measured(pairs, [verdict(number, answer) for number, (_, answer) in enumerate(sides)])
    given = [(side, answer) for side, answer in sides if answer is not None]
    assert found["judged"] + found["failed"] == len(sides)
    assert found["judged"] == len(given)
    assert found["right"] == sum(side == answer for side, answer in given)
    assert found["real_first"]["of"] + found["real_second"]["of"] == found["accuracy"]["of"] == len(given)
    for one in (found[name] for name in ("accuracy", "real_first", "real_second", "first_chosen")):
        assert one["of"] == 0 or 0 <= one["low"] <= one["estimate"] <= one["high"] <= 1
    always = measured(pairs, [verdict(number, side) for number, (side, _) in enumerate(sides)])
    assert always["accuracy"]["estimate"] == (1.0 if sides else None)


def test_a_coins_interval_holds_a_half_and_its_sentence_says_so() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        pairs = [pair(n, FIRST if side else SECOND, [1.0], [2.0], [1.5]) for n, side in enumerate(rng.random(60) < 0.5)]
        verdicts = [verdict(n, FIRST if side else SECOND) for n, side in enumerate(rng.random(60) < 0.5)]
        found = measured(pairs, verdicts)
        held += found["accuracy"]["low"] <= 0.5 <= found["accuracy"]["high"]
    assert 0.9 <= held / 200 <= 1.0
    right = measured(pairs, [verdict(one["pair"], one["real_side"]) for one in pairs])
    wrong = measured(pairs, [verdict(one["pair"], SECOND if one["real_side"] == FIRST else FIRST) for one in pairs])
    assert "60 of 60 pairs, 100%" in sentence_of({"person a": right})
    assert "can be distinguished from real users" in sentence_of({"person a": right})
    assert "takes the simulation for the real user" in sentence_of({"person a": wrong})


@pytest.mark.parametrize(
    ("real", "simulated", "mean", "answer"),
    [
        ([1.0, 9.0], [5.0, 5.0], [5.0, 5.0], "real"),
        ([5.0, 5.0], [1.0, 9.0], [5.0, 5.0], "simulated"),
        ([9.0, 4.0], [9.0, 5.0], [None, 5.0], "real"),
    ],
)
def test_the_statistic_takes_what_is_farther_from_the_mean_for_real(
    real: list[float], simulated: list[float], mean: list[float | None], answer: str
) -> None:
    for side in (FIRST, SECOND):
        one = pair(0, side, real, simulated, mean)
        assert (by_distance(one) == one["real_side"]) == (answer == "real")
    assert by_distance(pair(0, SECOND, [3.0], [3.0], [None])) == FIRST
