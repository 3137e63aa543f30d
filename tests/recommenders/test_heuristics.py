"""Policies: no item twice, running out, orders by the public, likings, learning, and what they may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.components.base import (
    BeginRequest,
    Draws,
    Policy,
    PolicySetting,
    RecommendationOutcome,
    RecommendationRequest,
)
from emosim_core.errors import DataError
from emosim_core.model import Catalog, Item, RatingScale
from emosim_core.recommenders.heuristics import (
    EpsilonGreedy,
    EpsilonGreedyOptions,
    Popular,
    RandomPolicy,
    Replay,
    ReplayOptions,
    SimilarOptions,
    SimilarToLiked,
    TopRated,
)

MakeDraws = Callable[..., Draws]
TEN = RatingScale(low=1, high=10)
PUBLIC = [(6.0, 50), (9.0, 5), (8.0, 50), (None, None), (9.0, 40), (2.0, 99), (7.0, 10), (7.0, 10)]
"""Public rating and count of each item of the small catalog; the mean rating is 48 / 7."""


def small_catalog(count: int = len(PUBLIC), seed: int = 0) -> Catalog:
    items = [
        Item(id=f"i{i}", title=f"Item {i}", public_rating=PUBLIC[i % 8][0], public_count=PUBLIC[i % 8][1])
        for i in range(count)
    ]
    vectors = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return Catalog(items, TEN, vectors)


def seen(rows: int, items: list[int] = (), ratings: list[float] = (), length: int = 5) -> dict[str, Any]:  # type: ignore[assignment]
    """Observations of ``rows`` users who all remember the same, most recent first."""
    history, mask = np.zeros((rows, length), dtype=np.int64), np.zeros((rows, length), dtype=np.int8)
    given_ratings = np.ones((rows, length), dtype=np.float32)
    history[:, : len(items)], mask[:, : len(items)], given_ratings[:, : len(items)] = items, 1, ratings
    return {"history_items": history, "history_mask": mask, "history_ratings": given_ratings}


MAKERS: dict[str, Callable[[], Policy]] = {
    "random": RandomPolicy,
    "popular": Popular,
    "top_rated": TopRated,
    "similar_to_liked": lambda: SimilarToLiked(SimilarOptions()),
    "epsilon_greedy": lambda: EpsilonGreedy(EpsilonGreedyOptions(epsilon=0.5)),
    "always_exploring": lambda: EpsilonGreedy(EpsilonGreedyOptions(epsilon=1.0)),
}


def recommendations(policy: Policy, rows: np.ndarray, source: Draws, steps: int) -> Iterator[np.ndarray]:
    for _ in range(steps):
        actions = policy.recommend_batch(
            RecommendationRequest(rows=rows, observations=seen(len(rows), [0], [9.0])), source
        )
        policy.learn(
            RecommendationOutcome(
                rows=rows,
                actions=actions[actions[:, 0] >= 0],
                ratings=np.full(actions[actions[:, 0] >= 0].shape, 6.0),
                rewards=np.zeros(len(rows)),
                ended=np.zeros(len(rows), dtype=bool),
            )
        )
        yield actions


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 1000))
@pytest.mark.parametrize("name", MAKERS)
def test_no_policy_recommends_an_item_twice_in_an_episode_and_each_says_when_it_has_run_out(
    draws: MakeDraws, name: str, count: int, slate: int, seed: int
) -> None:
    catalog, rows = small_catalog(count), np.arange(3)
    policy, source = MAKERS[name](), draws(3, seed)
    policy.start(PolicySetting(catalog=catalog, slate=slate, batch_size=3))
    for _ in range(2):  # two episodes
        policy.begin(BeginRequest(rows=rows), source)
        slates = list(recommendations(policy, rows, source, count // slate + 2))
        for row in range(3):
            recommended = [item for actions in slates[: count // slate] for item in actions[row].tolist()]
            assert len(recommended) == len(set(recommended)) == count // slate * slate
            assert set(recommended) <= set(range(count))
        for actions in slates[count // slate :]:
            assert actions.shape == (3, slate)
            assert (actions == -1).all()


@pytest.mark.parametrize("name", MAKERS)
def test_a_new_episode_in_one_slot_does_not_disturb_the_others(draws: MakeDraws, name: str) -> None:
    policy, source = MAKERS[name](), draws(2)
    policy.start(PolicySetting(catalog=small_catalog(), slate=1, batch_size=2))
    rows = np.arange(2)
    policy.begin(BeginRequest(rows=rows), source)
    first = next(recommendations(policy, rows, source, 1))
    policy.begin(BeginRequest(rows=np.array([0])), draws(1))
    rest = [actions[1, 0] for actions in recommendations(policy, rows, source, 8)]
    assert sorted([first[1, 0], *rest[:7]]) == list(range(8))
    assert rest[7] == -1


@pytest.mark.parametrize("slate", [1, 3])
def test_popular_recommends_what_most_users_rated_and_the_better_one_of_equals(draws: MakeDraws, slate: int) -> None:
    assert order(Popular(), draws, slate) == [5, 2, 0, 4, 6, 7, 1, 3][: 8 // slate * slate]


@pytest.mark.parametrize("slate", [1, 3])
def test_top_rated_recommends_the_best_public_ratings_and_the_more_rated_one_of_equals(
    draws: MakeDraws, slate: int
) -> None:
    assert order(TopRated(), draws, slate) == [4, 1, 2, 6, 7, 3, 0, 5][: 8 // slate * slate]


def order(policy: Policy, draws: MakeDraws, slate: int) -> list[int]:
    row, source = np.array([0]), draws(1)
    policy.start(PolicySetting(catalog=small_catalog(), slate=slate, batch_size=1))
    policy.begin(BeginRequest(rows=row), source)
    return [
        item
        for _ in range(8 // slate)
        for item in policy.recommend_batch(RecommendationRequest(rows=row, observations=seen(1)), source)[0].tolist()
    ]


def test_films_come_in_the_order_of_their_public(draws: MakeDraws) -> None:
    from emosim_core import make

    world = make("movies").world.catalog
    for policy, first, second in (
        (Popular(), world.public_counts, world.public_ratings),
        (TopRated(), world.public_ratings, world.public_counts),
    ):
        policy.start(PolicySetting(catalog=world, slate=len(world), batch_size=1))
        policy.begin(BeginRequest(rows=np.array([0])), draws(1))
        ranked = policy.recommend_batch(RecommendationRequest(rows=np.array([0]), observations=seen(1)), draws(1))[
            0
        ].tolist()
        keys = [(-first[item], -second[item], item) for item in ranked]
        assert keys == sorted(keys)
        assert len(keys) == len(world)


# ------------------------------------------------------------------------------------------ random


def test_every_order_of_random_is_as_likely(draws: MakeDraws) -> None:
    users = 6000
    policy, rows, source = RandomPolicy(), np.arange(users), draws(users)
    policy.start(PolicySetting(catalog=small_catalog(3), slate=3, batch_size=users))
    policy.begin(BeginRequest(rows=rows), source)
    orders = policy.recommend_batch(RecommendationRequest(rows=rows, observations=seen(users)), source)
    counts = [int((orders == one).all(axis=1).sum()) for one in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1])]
    assert np.array(counts) / users == pytest.approx(np.full(5, 1 / 6), abs=0.02)


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_repeats_what_is_recommended_whoever_sits_beside(draws: MakeDraws, name: str) -> None:
    recommended = []
    for rows in (1, 4):
        policy, source = MAKERS[name](), draws(rows, 7)
        policy.start(PolicySetting(catalog=small_catalog(), slate=2, batch_size=rows))
        policy.begin(BeginRequest(rows=np.arange(rows)), source)
        recommended.append(
            [
                policy.recommend_batch(RecommendationRequest(rows=np.arange(rows), observations=seen(rows)), source)[
                    0
                ].tolist()
                for _ in range(4)
            ]
        )
    assert recommended[0] == recommended[1]


# ------------------------------------------------------------------------------------------ scored


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(1, 10)), max_size=5),
    st.sampled_from([3.0, 7.0, 10.0]),
    st.integers(0, 9),
)
def test_similar_to_liked_scores_the_mean_cosine_weighted_by_what_was_rated_above_the_liking(
    draws: MakeDraws, past: list[tuple[int, int]], liked_from: float, seed: int
) -> None:
    catalog = small_catalog(seed=seed)
    policy = SimilarToLiked(SimilarOptions(liked_from=liked_from))
    policy.start(PolicySetting(catalog=catalog, slate=8, batch_size=1))
    policy.begin(BeginRequest(rows=np.array([0])), draws(1))
    ratings = [float(rating) for _, rating in past]
    ranked = policy.recommend_batch(
        RecommendationRequest(rows=np.array([0]), observations=seen(1, [item for item, _ in past], ratings)), draws(1)
    )[0]
    cosines = catalog.embeddings.astype(float) @ catalog.embeddings.astype(float).T
    public = catalog.public_ratings
    scores = []
    for item in range(8):
        mean = sum((rating - liked_from) / 9 * cosines[item, other] for other, rating in past)
        mean += sum(0.05 * cosines[item, other] for other, _ in past)
        scores.append(mean / max(len(past), 1) + 0.1 * (public[item] - public.mean()) / 9)
    assert np.diff(np.array(scores)[ranked]).max() < 1e-5
    if not past:
        assert ranked[0] in np.flatnonzero(public == public.max())


def test_what_the_mask_hides_does_not_count(draws: MakeDraws) -> None:
    recommended = []
    for items in ([3], [3, 6, 6]):
        policy = SimilarToLiked(SimilarOptions())
        policy.start(PolicySetting(catalog=small_catalog(), slate=8, batch_size=1))
        policy.begin(BeginRequest(rows=np.array([0])), draws(1))
        observation = seen(1, items, [10.0] * len(items))
        observation["history_mask"][:, 1:] = 0
        recommended.append(
            policy.recommend_batch(
                RecommendationRequest(rows=np.array([0]), observations=observation), draws(1)
            ).tolist()
        )
    assert recommended[0] == recommended[1]


def learned(policy: Policy, draws: MakeDraws, rewards: dict[int, float], episodes: int) -> list[int]:
    """The first recommendation of each episode, to users who rate items as given and all others 3."""
    row, source, first = np.array([0]), draws(1, 3), []
    policy.start(PolicySetting(catalog=small_catalog(), slate=1, batch_size=1))
    for _ in range(episodes):
        policy.begin(BeginRequest(rows=row), source)
        action = policy.recommend_batch(RecommendationRequest(rows=row, observations=seen(1)), source)
        first.append(int(action[0, 0]))
        rating = np.array([[rewards.get(first[-1], 3.0)]])
        policy.learn(
            RecommendationOutcome(
                rows=row, actions=action, ratings=rating, rewards=rating[:, 0], ended=np.array([True])
            )
        )
    return first


def test_epsilon_greedy_finds_the_item_that_is_rated_best(draws: MakeDraws) -> None:
    first = learned(EpsilonGreedy(EpsilonGreedyOptions(epsilon=0.2)), draws, {6: 10.0}, 400)
    assert first[0] == 1  # the best public rating
    assert first[-100:].count(6) > 75


def test_epsilon_greedy_without_exploration_follows_means_that_begin_at_the_public_rating(draws: MakeDraws) -> None:
    first = learned(EpsilonGreedy(EpsilonGreedyOptions(epsilon=0.0, prior_weight=3.0)), draws, {}, 60)
    weight, total = np.full(8, 3.0), 3.0 * small_catalog().public_ratings
    expected = []
    for _ in range(60):
        best = int(np.argmax(total / weight))
        expected.append(best)
        weight[best] += 1
        total[best] += 3.0
    assert first == expected


def test_epsilon_is_how_often_a_random_item_is_recommended(draws: MakeDraws) -> None:
    users = 8000
    policy, rows, source = EpsilonGreedy(EpsilonGreedyOptions(epsilon=0.4)), np.arange(users), draws(users)
    policy.start(PolicySetting(catalog=small_catalog(), slate=1, batch_size=users))
    policy.begin(BeginRequest(rows=rows), source)
    actions = policy.recommend_batch(RecommendationRequest(rows=rows, observations=seen(users)), source)[:, 0]
    shares = np.bincount(actions, minlength=8) / users
    assert shares[1] == pytest.approx(0.6 + 0.4 / 8, abs=0.02)
    assert np.delete(shares, 1) == pytest.approx(np.full(7, 0.05), abs=0.012)


def test_epsilon_greedy_learns_nothing_from_what_was_not_consumed(draws: MakeDraws) -> None:
    policy, row = EpsilonGreedy(EpsilonGreedyOptions(epsilon=0.0)), np.array([0])
    policy.start(PolicySetting(catalog=small_catalog(), slate=2, batch_size=1))
    for _ in range(5):
        policy.begin(BeginRequest(rows=row), draws(1))
        actions = policy.recommend_batch(RecommendationRequest(rows=row, observations=seen(1)), draws(1))
        assert actions.tolist() == [[1, 4]]
        policy.learn(
            RecommendationOutcome(
                rows=row,
                actions=actions,
                ratings=np.array([[np.nan, 9.0]]),
                rewards=np.array([9.0]),
                ended=np.array([False]),
            )
        )


# ------------------------------------------------------------------------------------------ replay


def test_replay_recommends_the_items_of_a_file_and_then_none(draws: MakeDraws, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("note,item\nfirst,i4\n,i1\n,i7\n,i0\n,i2\n")
    policy, row = Replay(ReplayOptions(file=str(file))), np.array([0])
    policy.start(PolicySetting(catalog=small_catalog(), slate=2, batch_size=1))
    for _ in range(2):
        policy.begin(BeginRequest(rows=row), draws(1))
        recommended = [
            policy.recommend_batch(RecommendationRequest(rows=row, observations=seen(1)), draws(1)).tolist()
            for _ in range(4)
        ]
        assert recommended == [[[4, 1]], [[7, 0]], [[-1, -1]], [[-1, -1]]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item\ni4\nnope\n", r"items\.csv, row 3, field 'item': the catalog has no item 'nope'"),
        ("item\n", r"has no items to recommend"),
        ("title\nA\n", r"item"),
        ("", r"is empty"),
    ],
)
def test_replay_of_a_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "items.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        Replay(ReplayOptions(file=str(file))).start(PolicySetting(catalog=small_catalog(), slate=1, batch_size=1))


# ------------------------------------------------------------------------------------- single form


def test_the_single_form_of_a_third_party_recommends_for_a_batch(draws: MakeDraws) -> None:
    class LastButOne(Policy):
        def recommend(self, observation: dict[str, Any], rng: np.random.Generator) -> list[int]:
            last = int(observation["history_items"][0])
            return [] if last == 0 else [last - 1, int(rng.integers(8))]

    policy = LastButOne()
    policy.start(PolicySetting(catalog=small_catalog(), slate=2, batch_size=3))
    observation = seen(3, [5], [6.0])
    observation["history_items"][1, 0] = 0
    together = policy.recommend_batch(RecommendationRequest(rows=np.arange(3), observations=observation), draws(3, 4))
    alone = policy.recommend_batch(
        RecommendationRequest(rows=np.array([2]), observations=seen(1, [5], [6.0])), draws(1, 6)
    )
    assert together[:, 0].tolist() == [4, -1, 4]
    assert together[1].tolist() == [-1, -1]
    assert together[2].tolist() == alone[0].tolist()
    with pytest.raises(NotImplementedError, match="neither recommend nor recommend_batch"):
        Policy().recommend({}, np.random.default_rng(0))


# ------------------------------------------------------------------------------- clicks before ratings


def shown(items: list[list[int]], clicked: list[list[int]]) -> dict[str, Any]:
    """Observations of users whose last slate is shown with its clicks, and one before it."""
    before = np.full((len(items), len(items[0])), 7)
    shown_items = np.concatenate([np.array(items), before], axis=1)
    clicks = np.concatenate([np.array(clicked, dtype=np.int8), np.ones(before.shape, dtype=np.int8)], axis=1)
    return {**seen(len(items), [0], [9.0]), "shown_items": shown_items, "shown_clicks": clicks}


@pytest.mark.parametrize("name", ["popular", "top_rated", "similar_to_liked"])
def test_what_was_not_clicked_is_recommended_again_and_what_was_clicked_is_not(draws: MakeDraws, name: str) -> None:
    policy, source, rows = MAKERS[name](), draws(2), np.arange(2)
    policy.start(PolicySetting(catalog=small_catalog(), slate=3, batch_size=2))
    policy.begin(BeginRequest(rows=rows), source)
    nothing = shown([[-1] * 3] * 2, [[0] * 3] * 2)
    nothing["shown_clicks"][:] = 0
    first = policy.recommend_batch(RecommendationRequest(rows=rows, observations=nothing), source).tolist()
    clicks = [[0, 0, 0], [0, 1, 0]]
    second = policy.recommend_batch(
        RecommendationRequest(rows=rows, observations=shown(first, clicks)), source
    ).tolist()
    assert second[0] == first[0]
    assert first[1][1] not in second[1]
    assert [item for item in second[1] if item in first[1]] == [first[1][0], first[1][2]]
    third = policy.recommend_batch(
        RecommendationRequest(rows=rows, observations=shown(second, [[1, 1, 1], [0, 0, 0]])), source
    ).tolist()
    assert not set(third[0]) & set(first[0])
    assert third[1] == second[1]
    policy.begin(BeginRequest(rows=rows), source)
    assert policy.recommend_batch(RecommendationRequest(rows=rows, observations=nothing), source).tolist() == first


def test_of_a_slate_that_is_rated_first_nothing_is_recommended_again(draws: MakeDraws) -> None:
    policy, source, rows = Popular(), draws(1), np.arange(1)
    policy.start(PolicySetting(catalog=small_catalog(), slate=3, batch_size=1))
    policy.begin(BeginRequest(rows=rows), source)
    slates = [policy.recommend_batch(RecommendationRequest(rows=rows, observations=seen(1)), source) for _ in range(3)]
    assert len(set(np.concatenate(slates[:2], axis=1)[0].tolist())) == 6
    assert slates[2].tolist() == [[-1] * 3]


def test_an_item_that_is_not_clicked_counts_as_a_rating_of_zero(draws: MakeDraws) -> None:
    policy, source, rows = EpsilonGreedy(EpsilonGreedyOptions(epsilon=0.0, prior_weight=1.0)), draws(1), np.arange(1)
    policy.start(PolicySetting(catalog=small_catalog(), slate=2, batch_size=1))
    policy.begin(BeginRequest(rows=rows), source)
    nothing = shown([[-1] * 2], [[0] * 2])
    nothing["shown_clicks"][:] = 0
    (best, next_best) = policy.recommend_batch(RecommendationRequest(rows=rows, observations=nothing), source)[0]
    policy.learn(
        RecommendationOutcome(
            rows=rows,
            actions=np.array([[best, next_best]]),
            ratings=np.array([[np.nan, 10.0]]),
            rewards=np.array([10.0]),
            ended=np.array([False]),
            clicked=np.array([[False, True]]),
        )
    )
    observations = shown([[best, next_best]], [[0, 1]])
    again = policy.recommend_batch(RecommendationRequest(rows=rows, observations=observations), source)[0].tolist()
    assert best not in again  # its mean has fallen by half
    assert next_best not in again  # it was consumed


@pytest.mark.parametrize(
    ("name", "expected"),
    [("random", [[1 / 8, 1 / 8], [1 / 6, 1 / 6]]), ("always_exploring", [[1 / 8, 1 / 8], [1 / 6, 1 / 6]])],
)
def test_propensities_are_the_chances_of_the_items_that_are_left(
    draws: MakeDraws, name: str, expected: list[list[float]]
) -> None:
    policy, source, rows = MAKERS[name](), draws(1), np.arange(1)
    policy.start(PolicySetting(catalog=small_catalog(), slate=2, batch_size=1))
    policy.begin(BeginRequest(rows=rows), source)
    for wanted in expected:
        actions = policy.recommend_batch(RecommendationRequest(rows=rows, observations=seen(1)), source)
        propensities = policy.propensities()
        assert propensities is not None
        assert propensities.shape == actions.shape
        if name == "random":
            assert propensities.tolist() == [wanted]
        else:  # a random slate may be the best one, which is then chosen for sure
            assert set(np.round(propensities[0], 9)) <= {round(wanted[0], 9)}


def test_a_greedy_item_is_as_probable_as_it_is_not_explored(draws: MakeDraws) -> None:
    policy = EpsilonGreedy(EpsilonGreedyOptions(epsilon=0.2))
    source, rows = draws(4_000), np.arange(4_000)
    policy.start(PolicySetting(catalog=small_catalog(), slate=2, batch_size=4_000))
    policy.begin(BeginRequest(rows=rows), source)
    actions = policy.recommend_batch(RecommendationRequest(rows=rows, observations=seen(4_000)), source)
    propensities = policy.propensities()
    assert propensities is not None
    for place in range(2):
        for item in range(8):
            told = np.unique(propensities[actions[:, place] == item, place])
            assert len(told) == 1
            assert (actions[:, place] == item).mean() == pytest.approx(told[0], abs=0.02)
