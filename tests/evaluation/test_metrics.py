"""Metrics: each worked out by hand on tiny records, and what must hold on any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core import RunError
from emosim_core.evaluation.columns import RunColumns
from emosim_core.evaluation.metrics import (
    METRICS,
    Episodes,
    ItemTable,
    Sample,
    average_precision,
    discounted_gain,
    evaluation_sample,
    gini,
    ratios_of,
    recall,
    reciprocal_rank,
    whole_episodes,
)
from emosim_core.plugins import RatingScale

SCALE = RatingScale(low=1, high=10)
CATEGORIES = [("a",), ("a", "b"), ("b",), (), *[("c",)] * 8]
ITEMS = ItemTable([f"i{n}" for n in range(12)], np.array([8, 4, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0]), CATEGORIES, SCALE, 7.0)
ENDS = ("low_streak", "max_steps")


def step(
    episode: int, number: int, user: str, item: str | None, rating: float | None, end: str | None = None, **more: Any
) -> dict[str, Any]:
    """A step as interactions.jsonl holds it; consumed where it has a rating."""
    entry: dict[str, Any] = {
        "item": item,
        "title": item,
        "raw_rating": rating,
        "reason": "",
        "consumed": rating is not None,
    }
    if rating is not None:
        entry |= {"rating": rating, "valence": "positive" if rating >= 7 else "negative"}
    return {
        "user_profile": {"id": user, "name": user},
        "episode": episode, "step": number, "user": user, "recommended": [] if item is None else [{**entry, **more}],
        "reward": rating or 0, "mood": [0.1 * number, 0.5], "end_reason": end,
    }  # fmt: skip


def episode(episode: int, user: str, rated: Sequence[tuple[str, float | None]], end: str) -> list[dict[str, Any]]:
    last = len(rated)
    return [step(episode, n, user, *pair, end if n == last else None) for n, pair in enumerate(rated, start=1)]


def episodes_of(*parts: list[dict[str, Any]], items: ItemTable = ITEMS) -> Episodes:
    run = RunColumns(Path("runs/r"), {}, None)
    return whole_episodes(run.read(record for part in parts for record in part), items)


def sample_of(episodes: Episodes, resamples: int = 200, users: Sequence[str] | None = None, seed: int = 0) -> Sample:
    longest = max(episode.steps for episode in episodes.chosen)
    return evaluation_sample(episodes, users or sorted(set(episodes.users)), ENDS, longest, resamples, seed)


def measured(episodes: Episodes, resamples: int = 200) -> dict[str, Any]:
    return sample_of(episodes, resamples).estimates()


def estimates(episodes: Episodes) -> dict[str, float | None]:
    return {name: value["estimate"] for name, value in measured(episodes).items()}


ANN = episode(0, "ann", [("i0", 9), ("i1", 4), ("i2", 7)], "max_steps")
BOB = episode(1, "bob", [("i0", 2), ("i3", 10)], "low_streak")


# ------------------------------------------------------------------------------------------- by hand


def test_sums_and_shares_are_those_of_the_records() -> None:
    metrics = estimates(episodes_of(ANN, BOB))
    assert metrics["mean_reward"] == pytest.approx((20 + 12) / 2)
    assert metrics["reward_per_step"] == pytest.approx(32 / 5)
    assert metrics["mean_rating"] == pytest.approx(32 / 5)
    assert metrics["share_liked"] == pytest.approx(3 / 5)
    assert metrics["episode_length"] == pytest.approx(2.5)
    assert metrics["valence_at_end"] == pytest.approx((0.3 + 0.2) / 2)
    assert metrics["arousal_at_end"] == pytest.approx(0.5)
    assert metrics["coverage"] == pytest.approx(4 / 12, abs=1e-6)
    assert (metrics["end_reason:max_steps"], metrics["end_reason:low_streak"]) == (0.5, 0.5)
    assert [metrics[f"survival:{n}"] for n in (1, 2, 3)] == [1.0, 1.0, 0.5]
    assert [metrics[f"reward:{n}"] for n in (1, 2, 3)] == [5.5, 7.0, 7.0]


def test_lists_are_judged_by_their_first_ten_places_against_all_that_the_episode_recommended() -> None:
    metrics = estimates(episodes_of(ANN, BOB))
    assert metrics["map_at_10"] == pytest.approx(((1 / 1 + 2 / 3) / 2 + 1 / 2) / 2, abs=1e-6)
    assert metrics["mrr_at_10"] == pytest.approx((1 + 1 / 2) / 2)
    assert metrics["recall_at_10"] == 1.0
    # Ann rates 9, 4, 7: 3, 0 and 1 levels above a 6. Bob rates 2 and 10.
    ann = (3 + 1 / math.log2(4)) / (3 + 1 / math.log2(3))
    bob = 1 / math.log2(3)
    assert metrics["ndcg_at_10"] == pytest.approx((ann + bob) / 2, abs=1e-6)


RATINGS = st.lists(st.integers(1, 10), min_size=2, max_size=25)


@given(st.lists(RATINGS, min_size=1, max_size=4))
def test_ndcg_average_precision_recall_and_reciprocal_rank_are_those_of_scikit_learn(rated: list[list[int]]) -> None:
    theirs = pytest.importorskip("sklearn.metrics")

    parts = [
        episode(n, f"p{n}", [(f"i{k % 12}", float(value)) for k, value in enumerate(one)], "max_steps")
        for n, one in enumerate(rated)
    ]
    episodes = episodes_of(*parts)
    gains = discounted_gain(episodes.gains, episodes.ideal_gains)
    precisions = average_precision(episodes.relevant, episodes.offered_liked)
    recalls, ranks = recall(episodes.relevant, episodes.offered_liked), reciprocal_rank(episodes.relevant)
    for row, one in enumerate(rated):
        order = -np.arange(len(one), dtype=np.float64)
        levels = np.maximum(np.array(one) - 6, 0)
        assert gains[row] == pytest.approx(theirs.ndcg_score([levels], [order], k=10))
        liked = levels > 0
        listed = np.arange(len(one)) < 10
        assert recalls[row] == pytest.approx(theirs.recall_score(liked, listed, zero_division=0))
        if liked[:10].any():  # of one label, its average precision is the reciprocal of its rank
            first = np.arange(len(one)) == liked.argmax()
            assert ranks[row] == pytest.approx(theirs.label_ranking_average_precision_score([first], [order]))
        else:
            assert ranks[row] == 0.0
        if len(one) <= 10 and liked.any():
            assert precisions[row] == pytest.approx(theirs.average_precision_score(liked, order))


def test_average_precision_at_ten_is_over_ten_where_more_are_relevant() -> None:
    relevant = np.array([[True] * 10, [True] + [False] * 9, [False] * 10])
    assert average_precision(relevant, np.array([15.0, 20.0, 0.0])).tolist() == [1.0, 0.1, 0.0]
    assert recall(relevant, np.array([15.0, 20.0, 0.0])).tolist() == pytest.approx([10 / 15, 1 / 20, 0.0])


def test_a_scale_on_which_all_is_liked_has_gains_from_its_lowest_level() -> None:
    all_liked = replace(ITEMS, liked_from=1.0)
    assert episodes_of(ANN, items=all_liked).gains[0, :4].tolist() == [9.0, 4.0, 7.0, 0.0]


def test_exposure_popularity_and_the_long_tail_are_of_all_recommendations() -> None:
    metrics = estimates(episodes_of(ANN, BOB))
    counts = np.array([2, 1, 1, 1] + [0] * 8)
    apart = np.abs(counts[:, None] - counts[None, :]).sum() / (2 * 12 * counts.sum())
    assert metrics["gini"] == pytest.approx(apart, abs=1e-6)
    assert metrics["popularity"] == pytest.approx((8 + 4 + 2 + 8 + 1) / 5 / 8)
    assert metrics["long_tail"] == pytest.approx(2 / 5)  # i0 and i1 are the most rated fifth
    unknown = estimates(episodes_of(ANN, BOB, items=replace(ITEMS, public_counts=np.zeros(12, dtype=np.int64))))
    assert unknown["popularity"] is None
    assert unknown["long_tail"] is None


def test_the_gini_index_is_0_for_equal_shares_and_highest_for_one_alone() -> None:
    assert gini(np.full(5, 3.0)) == pytest.approx(0.0)
    assert gini(np.array([0.0, 0.0, 7.0, 0.0])) == pytest.approx(1 - 1 / 4)
    assert math.isnan(gini(np.zeros(4)))


def test_intra_list_diversity_is_one_minus_the_mean_cosine_of_categories() -> None:
    half = 1 / math.sqrt(2)
    ann = 1 - (half + 0 + half) / 3
    alone = episode(2, "cy", [("i0", 9)], "max_steps")
    assert estimates(episodes_of(ANN, BOB, alone))["intra_list_diversity"] == pytest.approx((ann + 1) / 2, abs=1e-6)
    bare = replace(ITEMS, categories=[()] * 12)
    assert estimates(episodes_of(ANN, items=bare))["intra_list_diversity"] is None


def test_what_comes_after_the_tenth_place_changes_no_measure_of_lists() -> None:
    ten = [(f"i{n}", 10.0) for n in range(10)]
    short = estimates(episodes_of(episode(0, "ann", ten, "max_steps"), BOB))
    long = estimates(episodes_of(episode(0, "ann", [*ten, ("i10", 1.0), ("i11", 1.0)], "max_steps"), BOB))
    for name in ("map_at_10", "mrr_at_10", "ndcg_at_10", "recall_at_10", "personalization", "intra_list_diversity"):
        assert short[name] == long[name]
    assert short["coverage"] != long["coverage"]


def test_personalization_is_one_minus_the_mean_cosine_of_lists_of_different_users() -> None:
    again = episode(2, "ann", [("i0", 9), ("i1", 9), ("i2", 9)], "max_steps")
    cosine = 1 / math.sqrt(3 * 2)
    assert estimates(episodes_of(ANN, BOB))["personalization"] == pytest.approx(1 - cosine, abs=1e-6)
    # Two episodes of Ann are no pair: each of them is compared with Bob's.
    assert estimates(episodes_of(ANN, BOB, again))["personalization"] == pytest.approx(1 - cosine, abs=1e-6)
    assert estimates(episodes_of(ANN))["personalization"] is None


def test_novelty_is_the_mean_surprise_of_what_was_recommended() -> None:
    # Shares of 23: an item that nobody rated counts as rated once.
    wanted = np.mean([-math.log2(count / 23) for count in (8, 4, 2, 8, 1)])
    assert estimates(episodes_of(ANN, BOB))["novelty"] == pytest.approx(wanted, abs=1e-6)
    unknown = replace(ITEMS, public_counts=np.zeros(12, dtype=np.int64))
    assert estimates(episodes_of(ANN, BOB, items=unknown))["novelty"] is None


def test_what_is_not_consumed_has_its_rating_in_the_list_only_and_a_failed_one_has_none() -> None:
    turned_down = step(0, 1, "ann", "i0", None, raw_rating=9)
    failed = step(0, 2, "ann", "i1", None)
    over = step(0, 3, "ann", None, None, end="out_of_items")
    episodes = episodes_of([turned_down, failed, over])
    assert episodes.each("steps").tolist() == [2.0]
    assert episodes.list_ratings[0, :2].tolist() == pytest.approx([9.0, np.nan], nan_ok=True)
    metrics = estimates(episodes)
    assert metrics["mean_rating"] is None
    assert metrics["share_liked"] is None
    assert metrics["map_at_10"] == 1.0


def test_a_perturbed_rating_counts_and_the_raw_one_does_not() -> None:
    episodes = episodes_of([step(0, 1, "ann", "i0", 9, "max_steps", raw_rating=3)])
    assert estimates(episodes)["mean_rating"] == 9
    assert episodes.list_ratings[0, 0] == 9


def test_a_slate_fills_several_places_of_the_list() -> None:
    records = step(0, 1, "ann", "i0", 9, "max_steps")
    records["recommended"] += step(0, 1, "ann", "i1", None, raw_rating=8)["recommended"]
    episodes = episodes_of([records])
    assert episodes.lists[0, :3].tolist() == [0, 1, -1]
    assert episodes.offered_liked.tolist() == [2.0]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "it has no episode"),
        (ANN[:2], "episode 0 has no end"),
        ([step(0, 1, "ann", "i99", 3, "max_steps")], "recommended 'i99', which is not in the catalog"),
    ],
)
def test_records_that_are_not_whole_are_refused(records: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(RunError, match=message) as error:
        episodes_of(records)
    assert "runs/r" in str(error.value)


# ------------------------------------------------------------------------------------------ intervals


def users_who_rate(values: Sequence[float]) -> Episodes:
    return episodes_of(*(episode(n, f"p{n}", [("i0", value)], "max_steps") for n, value in enumerate(values)))


def test_an_interval_is_that_of_the_mean_over_users() -> None:
    values = np.random.default_rng(3).integers(1, 11, size=200).tolist()
    interval = measured(users_who_rate(values), 4000)["mean_reward"]
    error = 1.96 * np.std(values) / math.sqrt(len(values))
    assert interval["low"] == pytest.approx(np.mean(values) - error, abs=0.05)
    assert interval["high"] == pytest.approx(np.mean(values) + error, abs=0.05)


def test_episodes_of_one_user_are_resampled_together() -> None:
    def doubled(users: int) -> float:
        parts = [episode(n, f"p{n % users}", [("i0", float(n % users))], "max_steps") for n in range(40)]
        interval = measured(episodes_of(*parts), 2000)["mean_reward"]
        return float(interval["high"] - interval["low"])

    # Forty episodes of four users know less than forty users, though each episode says something.
    few = doubled(4)
    values = [float(n % 4) for n in range(40)]
    interval = measured(users_who_rate(values), 2000)["mean_reward"]
    assert few > 2 * (interval["high"] - interval["low"])


def test_one_user_gives_no_interval() -> None:
    interval = measured(episodes_of(ANN))["mean_reward"]
    assert interval == {"estimate": 20.0, "low": None, "high": None}


def test_coverage_has_no_interval() -> None:
    interval = measured(episodes_of(ANN, BOB))["coverage"]
    assert (interval["low"], interval["high"]) == (None, None)


def test_differences_are_paired_so_what_users_share_falls_out() -> None:
    values = np.random.default_rng(4).integers(1, 9, size=50).astype(float)
    low, high = (sample_of(users_who_rate((values + more).tolist()), 500, seed=1) for more in (0.0, 2.0))
    alone: Any = high.estimates()["mean_reward"]
    assert alone["high"] - alone["low"] > 0.5
    assert (high - low).estimates()["mean_reward"] == {"estimate": 2.0, "low": 2.0, "high": 2.0}
    assert (low - high).estimates()["mean_reward"] == {"estimate": -2.0, "low": -2.0, "high": -2.0}


def test_what_was_counted_with_one_user_only_has_no_interval() -> None:
    metrics = measured(episodes_of(ANN, BOB))
    assert metrics["survival:3"] == {"estimate": 0.5, "low": 0.0, "high": 1.0}
    assert metrics["reward:3"] == {"estimate": 7.0, "low": None, "high": None}


def test_metrics_of_lists_without_a_catalog_are_an_error() -> None:
    run = episodes_of(ANN, BOB).run
    with pytest.raises(TypeError, match="need the catalog"):
        ratios_of(Episodes(run, run.ended), METRICS, ())


def test_episodes_that_are_left_out_add_nothing() -> None:
    run = episodes_of(ANN, BOB).run
    alone = sample_of(Episodes(run, run.episodes[1:], ITEMS)).estimates()
    for name, value in measured(episodes_of(BOB)).items():
        if name not in ("coverage", "gini"):
            assert alone[name] == value, name


def test_the_same_seed_gives_the_same_intervals_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = users_who_rate([1, 5, 9, 9, 3])
    first = measured(episodes)
    assert measured(episodes) == first
    monkeypatch.setattr("emosim_core.stats._MOST_CACHED", 0)
    monkeypatch.setattr("emosim_core.stats._AT_ONCE", 35)
    assert measured(episodes) == first


# ---------------------------------------------------------------------------------- what always holds

RATED = st.lists(st.tuples(st.sampled_from(ITEMS.ids), st.integers(1, 10)), min_size=1, max_size=14)
EPISODES = st.lists(st.tuples(st.sampled_from(["ann", "bob", "cy", "dee"]), RATED), min_size=1, max_size=8)


def records_of(lived: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> list[list[dict[str, Any]]]:
    return [episode(number, user, rated, ENDS[number % 2]) for number, (user, rated) in enumerate(lived)]


@given(EPISODES)
def test_every_measure_stays_in_its_range_and_within_its_interval_is_something(lived: Any) -> None:
    metrics = measured(episodes_of(*records_of(lived)))
    assert {metric.name for metric in METRICS} <= set(metrics)
    for name in (
        "share_liked", "map_at_10", "mrr_at_10", "ndcg_at_10", "recall_at_10", "personalization", "coverage",
        "intra_list_diversity", "gini", "long_tail",
        "end_reason:low_streak", "end_reason:max_steps", "survival:1",
    ):  # fmt: skip
        for value in metrics[name].values():
            assert value is None or -1e-9 <= value <= 1 + 1e-9, name
    assert 1 <= metrics["mean_rating"]["estimate"] <= 10
    assert metrics["novelty"]["estimate"] >= 0
    assert metrics["end_reason:low_streak"]["estimate"] + metrics["end_reason:max_steps"]["estimate"] == pytest.approx(
        1, abs=1e-5
    )
    for value in metrics.values():
        assert value["low"] is None or value["low"] <= value["high"]


@given(EPISODES, st.randoms(use_true_random=False))
def test_neither_the_order_of_lines_of_different_episodes_nor_that_of_users_matters(lived: Any, random: Any) -> None:
    parts = records_of(lived)
    shuffled = list(parts)
    random.shuffle(shuffled)
    assert measured(episodes_of(*shuffled)) == measured(episodes_of(*parts))
    turned = [episode(n, user, rated, ENDS[n % 2]) for n, (user, rated) in reversed(list(enumerate(lived)))]
    assert estimates(episodes_of(*turned)) == estimates(episodes_of(*parts))
    users = sorted({user for user, _ in lived})
    episodes = episodes_of(*parts)
    exact = [sample_of(episodes, 100, order).estimates() for order in (users, users[::-1])]
    for name, value in exact[0].items():
        assert value["estimate"] == pytest.approx(exact[1][name]["estimate"], abs=2e-6), name


@given(st.lists(st.lists(st.booleans(), min_size=10, max_size=10), min_size=1, max_size=5))
def test_liking_one_more_never_makes_a_list_worse_and_all_or_none_are_the_ends_of_the_range(rows: Any) -> None:
    relevant = np.array(rows)

    def whole(relevant: Any) -> Any:
        return average_precision(relevant, np.full(len(relevant), 10.0))

    for measure in (whole, reciprocal_rank):
        assert measure(np.ones_like(relevant)).tolist() == pytest.approx([1.0] * len(rows))
        assert measure(np.zeros_like(relevant)).tolist() == [0.0] * len(rows)
        for place in range(10):
            better = relevant.copy()
            better[:, place] = True
            assert (measure(better) >= measure(relevant) - 1e-12).all()


@given(st.permutations(range(1, 11)))
def test_ndcg_is_best_when_the_best_comes_first(ratings: list[int]) -> None:
    def of(values: Sequence[float]) -> float:
        return float(discounted_gain(np.array([values], dtype=np.float64), np.full((1, 10), 10.0))[0])

    assert of(sorted(ratings)) <= of(ratings) + 1e-12
    assert of(ratings) <= of(sorted(ratings, reverse=True)) + 1e-12
    assert of([10] * 10) == pytest.approx(1)
    assert of([0] * 10) == 0


@given(st.lists(st.sampled_from(["ann", "bob", "cy"]), min_size=2, max_size=8), st.integers(0, 50))
def test_personalization_by_sums_is_that_over_all_pairs(users: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    lists = [rng.choice(12, size=rng.integers(1, 11), replace=False).tolist() for _ in users]
    parts = [
        episode(n, user, [(f"i{item}", 5.0) for item in items], "max_steps")
        for n, (user, items) in enumerate(zip(users, lists, strict=True))
    ]
    cosines = [
        len(set(a) & set(b)) / math.sqrt(len(a) * len(b))
        for i, a in enumerate(lists)
        for j, b in enumerate(lists)
        if users[i] != users[j]
    ]
    value = estimates(episodes_of(*parts))["personalization"]
    assert value == (pytest.approx(1 - np.mean(cosines), abs=1e-5) if cosines else None)


def test_what_is_zero_as_it_is_shown_has_no_minus() -> None:
    metrics = {metric.name: metric for metric in METRICS}
    assert [metrics["personalization"].written(value) for value in (-1e-17, -0.0006, 0.25)] == [
        "0.000",
        "-0.001",
        "0.250",
    ]
    assert [metrics["share_liked"].written(value) for value in (-0.0001, 0.0125)] == ["0.0%", "1.2%"]
    assert [metrics["valence_at_end"].written(value) for value in (-0.001, 0.25, -0.5)] == ["+0.00", "+0.25", "-0.50"]
