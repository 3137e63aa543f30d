"""The headline of an evaluation and of a training: true at its face."""

from __future__ import annotations

from typing import Any

import pytest

from emosim_core.runs.words import best_recommender, held_out
from emosim_core.training.curves import mean_over


def measured(rewards: dict[str, float | None], reference: str, differences: dict[str, Any]) -> dict[str, Any]:
    def metrics(values: tuple[Any, ...]) -> dict[str, Any]:
        return {"metrics": {"mean_reward": dict(zip(("estimate", "low", "high"), values, strict=True))}}

    return {
        "recommenders": {name: metrics((value, value, value)) for name, value in rewards.items()},
        "differences": {
            "first": {
                "reference": reference,
                "recommenders": {name: metrics(values) for name, values in differences.items()},
            }
        },
    }


def test_a_best_recommender_is_named_where_its_difference_from_the_second_leaves_out_0() -> None:
    two = {"random": 100.0, "popular": 140.0}
    expected = (
        "'popular' earns the most reward from test users, 140.0 per episode: +40.0 [+30.0, +50.0] more than 'random'."
    )
    assert best_recommender(measured(two, "random", {"popular": (40.0, 30.0, 50.0)}), "test") == expected
    assert best_recommender(measured(two, "popular", {"random": (-40.0, -50.0, -30.0)}), "test") == expected


@pytest.mark.parametrize(("reference", "values"), [("b", (6.5, -10.0, 23.0)), ("a", (-6.5, -23.0, 10.0))])
def test_no_winner_is_named_where_the_interval_holds_0(reference: str, values: tuple[float, ...]) -> None:
    other = "a" if reference == "b" else "b"
    verdict = best_recommender(measured({"a": 306.5, "b": 300.0, "c": 9.0}, reference, {other: values}), "all")
    assert verdict == (
        "No difference shown between 'a' (306.5 per episode) and 'b' (300.0) with users: +6.5 [-10.0, +23.0]."
    )


def test_a_difference_that_was_not_measured_is_not_made_up() -> None:
    verdict = best_recommender(measured({"a": 30.0, "b": 20.0, "c": 9.0}, "c", {"a": (21.0, 20.0, 22.0)}), "train")
    assert verdict.endswith("their difference was not measured.")
    verdict = best_recommender(measured({"a": 30.0, "b": 20.0}, "b", {"a": (10.0, None, None)}), "train")
    assert verdict.endswith("their difference was not measured.")
    assert best_recommender(measured({"a": None}, "a", {}), "test") == "No reward was measured with test users."
    assert best_recommender(measured({"a": 3.0}, "a", {}), "test") == "'a' earns 3.0 per episode from test users."


def test_what_a_training_earns_is_the_mean_of_its_last_hundred_episodes_weighted_by_line() -> None:
    lines = [
        {"episodes": 150, "reward": 10.0},
        {"episodes": 150, "reward": None},
        {"episodes": 210, "reward": 20.0},
        {"episodes": 250, "reward": 50.0},
    ]
    assert mean_over(lines, "reward") == (pytest.approx((60 * 20 + 40 * 50) / 100), 100)
    assert mean_over(lines, "reward", last=False) == (10.0, 150)
    assert mean_over(lines[:2], "reward") == (10.0, 150)
    assert mean_over([{"episodes": 0, "reward": None}], "reward") is None
    assert mean_over([{"reward": 3.0}], "reward") is None


def test_held_out_episodes_are_reported_by_user_split_or_that_there_were_none() -> None:
    summary = {"evaluation": {"train": 340.18, "test": 239.06}}
    assert held_out(summary) == "reward in evaluation episodes 340.2 from train users, 239.1 from test users"
    assert held_out({"evaluation": None}) == "no evaluation episodes"


def test_held_out_episodes_of_test_users_have_an_interval_beside_what_does_not_learn() -> None:
    held = {"user_split": "test", "estimate": 239.06, "low": 230.0, "high": 248.04}
    references = {"test": {"random": {"estimate": 101.26}, "popular": {"estimate": 140.0}}, "train": {}}
    summary = {"evaluation": {"test": 239.06}, "held_out": held, "references": references}
    assert held_out(summary) == "reward from test users 239.1 [230.0, 248.0] (random 101.3, popular 140.0)"
    for bound in ("low", "high"):
        one_user = {**summary, "held_out": {**held, bound: None}, "references": None}
        assert held_out(one_user) == "reward from test users 239.1"


def test_the_oracle_is_named_after_the_best_and_is_never_the_best() -> None:
    of_two = measured({"a": 30.0, "oracle": 50.0}, "a", {"oracle": (20.0, 10.0, 30.0)})
    verdict = best_recommender({**of_two, "regret": {"oracle": "oracle"}}, "test")
    assert verdict == (
        "'a' earns 30.0 per episode from test users. The oracle, which knows each user's expected ratings, earns 50.0."
    )
    unmeasured = measured({"a": 30.0, "oracle": None}, "a", {})
    assert "oracle" not in best_recommender({**unmeasured, "regret": {"oracle": "oracle"}}, "test")
