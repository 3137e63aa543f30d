"""Retrieval strategies against naive references written from their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.components.base import Retrieval, RetrievalSituation
from emosim_core.components.retrieval import (
    BestWorst,
    CountOptions,
    DecayEmotion,
    DecayEmotionOptions,
    Last,
    MostSimilar,
    NoRetrieval,
)
from emosim_core.model import Catalog, Emotion, Interaction, Item, Memory, RatingScale
from emosim_core.testing import retrieval_request

SCALE = RatingScale(low=1, high=10)
ITEMS = 12


def catalog(seed: int) -> Catalog:
    vectors = np.random.default_rng(seed).integers(-1, 2, (ITEMS, 3)).astype(np.float32)  # zeros, ties and negatives
    return Catalog([Item(id=str(i), title=str(i)) for i in range(ITEMS)], SCALE, vectors)


def filled(histories: list[list[tuple[int, int]]]) -> Memory:
    memory, emotion = Memory(len(histories), ITEMS, capacity=2), Emotion(SCALE)
    for user, history in enumerate(histories):
        for item, rating in history:
            ratings = np.array([float(rating)])
            memory.append(np.array([user]), np.array([item]), ratings, emotion.code(ratings))
    return memory


def cosine(world: Catalog, left: int, right: int) -> float:
    return float(np.clip(np.round(world.embeddings[left] @ world.embeddings[right], 5), -1, 1))


def ranked(history: list[Interaction], score: Callable[[Interaction], float], k: int) -> list[int]:
    latest = {past.item: past for past in history}.values()
    return [past.time - 1 for past in sorted(latest, key=lambda past: (-round(score(past), 9), -past.time))[:k]]


def decay_emotion(world: Catalog, item: int, history: list[Interaction], k: int, arousal: bool) -> list[int]:
    if not history:
        return []
    now = history[-1]

    def score(past: Interaction) -> float:
        bonus = 0.2 * (1 - abs(past.valence - now.valence) / 2)
        if arousal:
            bonus += 0.5 * 0.2 * (1 - abs(past.arousal - now.arousal))
        return max(0.0, cosine(world, item, past.item)) * math.exp(-0.15 * (now.time - past.time)) * (1 + bonus)

    return ranked(history, score, k)


HISTORIES = st.lists(
    st.lists(st.tuples(st.integers(0, ITEMS - 1), st.integers(1, 10)), max_size=15), min_size=1, max_size=4
)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.integers(0, 5), st.integers(1, 5), st.data())
def test_strategies_equal_their_formulas_in_batches_of_ragged_histories(
    histories: list[list[tuple[int, int]]], seed: int, k: int, data: st.DataObject
) -> None:
    world, memory = catalog(seed), filled(histories)
    slate = data.draw(st.integers(1, 3))
    pick = st.lists(st.integers(0, ITEMS - 1), min_size=slate, max_size=slate)
    items = np.array([data.draw(pick) for _ in histories])
    view = memory.history()
    arousal = data.draw(st.booleans())

    def best_worst(item: int, history: list[Interaction]) -> list[int]:
        best, worst = ranked(history, lambda p: p.rating, 1), ranked(history, lambda p: -p.rating, 1)
        return best + [one for one in worst if one not in best]

    cases: list[tuple[Retrieval, Callable[[int, list[Interaction]], list[int]]]] = [
        (NoRetrieval(), lambda item, history: []),
        (Last(CountOptions(k=k)), lambda item, history: ranked(history, lambda p: p.time, k)),
        (
            MostSimilar(CountOptions(k=k)),
            lambda item, history: ranked(history, lambda p: cosine(world, item, p.item), k),
        ),
        (BestWorst(), best_worst),
        (
            DecayEmotion(DecayEmotionOptions(k=k, consider_arousal=arousal)),
            lambda item, history: decay_emotion(world, item, history, k, arousal),
        ),
    ]
    for strategy, reference in cases:
        answer = strategy.retrieve_batch(retrieval_request(items, view, world))
        assert answer.shape[:2] == items.shape
        for row in range(len(histories)):
            past = view.interactions(row)
            alone = strategy.retrieve_batch(retrieval_request(items[row : row + 1], view.single(row), world))
            for place, item in enumerate(items[row].tolist()):
                expected = reference(item, past)
                for actual in (answer[row, place], alone[0, place]):
                    assert [p for p in actual.tolist() if p >= 0] == expected, type(strategy).__name__


def test_now_is_the_most_recent_interaction_by_time_also_when_an_item_repeats() -> None:
    vectors = np.array([[1, 0], [1, 0], [1, 0]], dtype=np.float32)
    world = Catalog([Item(id=str(i), title=str(i)) for i in range(3)], SCALE, vectors)
    # Item 0 is consumed first and again at last, with another feeling: the last feeling counts.
    memory = Memory(1, 3)
    emotion = Emotion(SCALE)
    for item, rating in ((0, 9.0), (1, 2.0), (2, 9.0), (0, 2.0)):
        ratings = np.array([rating])
        memory.append(np.array([0]), np.array([item]), ratings, emotion.code(ratings))
    options = DecayEmotionOptions(k=3, time_decay=0.0)
    positions = DecayEmotion(options).retrieve_batch(retrieval_request(np.array([[2]]), memory.history(), world))
    assert positions.tolist() == [[[3, 1, 2]]]


def test_a_negative_cosine_never_ranks_an_old_memory_above_a_fresh_one() -> None:
    vectors = np.array([[1, 0], [-1, 0], [-1, 0]], dtype=np.float32)
    world = Catalog([Item(id=str(i), title=str(i)) for i in range(3)], SCALE, vectors)
    memory = Memory(1, 3)
    for item in (1, 2):
        memory.append(np.array([0]), np.array([item]), np.array([9.0]), np.array([8]))
    positions = DecayEmotion(DecayEmotionOptions()).retrieve_batch(
        retrieval_request(np.array([[0]]), memory.history(), world)
    )
    assert positions.tolist() == [[[1, 0, -1]]]


@pytest.mark.parametrize("k", [1, 3])
def test_the_single_form_of_a_third_party_answers_for_a_batch(k: int) -> None:
    class Oldest(Retrieval):
        def retrieve(self, situation: RetrievalSituation) -> list[int]:
            return list(range(min(k, len(situation.history))))

    memory = filled([[(1, 5)], [], [(1, 5), (2, 5), (3, 5)]])
    answer = Oldest().retrieve_batch(retrieval_request(np.array([[0], [0], [0]]), memory.history(), catalog(0)))
    assert [[p for p in row[0] if p >= 0] for row in answer.tolist()] == [[0], [], list(range(k))]


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 10)), max_size=90), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.05, 1.0]),
    st.sampled_from([0.0, 0.2, 2.0]),
    st.booleans(),
    st.integers(1, 9),
)
def test_decay_emotion_keeps_to_its_formula_with_any_options_and_over_long_histories(
    histories: list[list[tuple[int, int]]], time_decay: float, bonus: float, arousal: bool, k: int
) -> None:
    world, memory = catalog(1), filled(histories)
    view = memory.history()
    options = DecayEmotionOptions(k=k, time_decay=time_decay, emotion_bonus=bonus, consider_arousal=arousal)
    items = np.tile(np.arange(ITEMS), (len(histories), 1))
    answer = DecayEmotion(options).retrieve_batch(retrieval_request(items, view, world))
    assert answer.shape == (len(histories), ITEMS, k)
    for row in range(len(histories)):
        history = view.interactions(row)
        for item in range(ITEMS):

            def score(
                past: Interaction, item: int = item, now: Interaction = history[-1] if history else None
            ) -> float:  # type: ignore[assignment]
                alike = 1 - abs(past.valence - now.valence) / 2
                emotion_bonus = bonus * alike + (0.5 * bonus * (1 - abs(past.arousal - now.arousal)) if arousal else 0)
                faded = math.exp(-time_decay * (now.time - past.time))
                return max(0.0, cosine(world, item, past.item)) * faded * (1 + emotion_bonus)

            retrieved = [p for p in answer[row, item].tolist() if p >= 0]
            latest = {past.item: past for past in history}
            assert len(retrieved) == min(k, len(latest))
            assert {history[p].time for p in retrieved} <= {past.time for past in latest.values()}
            scores = [score(history[p]) for p in retrieved]
            for place in range(1, len(retrieved)):
                assert scores[place - 1] >= scores[place] - 1e-12
                assert scores[place - 1] != scores[place] or retrieved[place - 1] > retrieved[place]
            not_retrieved = [score(past) for past in latest.values() if past.time - 1 not in retrieved]
            assert all(value <= min(scores) + 1e-12 for value in not_retrieved)


@pytest.mark.parametrize(
    "strategy", [Last, MostSimilar, lambda o: DecayEmotion(DecayEmotionOptions(k=o.k)), lambda o: BestWorst()]
)
def test_a_k_beyond_the_history_gives_all_there_is_and_nobody_without_a_history_gets_any(
    strategy: Callable[[CountOptions], Retrieval],
) -> None:
    histories = [[(1, 5), (2, 6), (1, 7)], []]
    world, view = catalog(0), filled(histories).history()
    answer = strategy(CountOptions(k=50)).retrieve_batch(retrieval_request(np.array([[3, 4], [3, 4]]), view, world))
    assert answer.shape[2] in (2, 50)
    for place in range(2):
        assert sorted(p for p in answer[0, place].tolist() if p >= 0) == [1, 2]
    assert (answer[1] == -1).all()
    nobody = filled([[], []]).history()
    answer = strategy(CountOptions(k=2)).retrieve_batch(retrieval_request(np.array([[3, 4], [3, 4]]), nobody, world))
    assert answer.shape == (2, 2, 2)
    assert (answer == -1).all()


def test_ties_go_to_the_more_recent_interaction() -> None:
    world = Catalog([Item(id=str(i), title=str(i)) for i in range(ITEMS)], SCALE, np.ones((ITEMS, 2), np.float32))
    view = filled([[(1, 5), (2, 5), (3, 5), (1, 5)]]).history()
    for strategy in (MostSimilar(CountOptions(k=3)), DecayEmotion(DecayEmotionOptions(k=3, time_decay=0))):
        assert strategy.retrieve_batch(retrieval_request(np.array([[0]]), view, world)).tolist() == [[[3, 2, 1]]]
        assert strategy.retrieve_batch(retrieval_request(np.array([[0, 7]]), view, world)).tolist() == [
            [[3, 2, 1], [3, 2, 1]]
        ]
    assert BestWorst().retrieve_batch(retrieval_request(np.array([[0]]), view, world)).tolist() == [[[3, -1]]]


def test_best_and_worst_are_those_of_the_last_time_an_item_was_rated() -> None:
    view = filled([[(1, 10), (2, 1), (3, 6), (1, 4), (2, 5)]]).history()
    assert BestWorst().retrieve_batch(retrieval_request(np.array([[0]]), view, catalog(0))).tolist() == [[[2, 3]]]


def test_a_zero_vector_has_cosine_zero_and_ranks_above_an_opposite_one_only_for_most_similar() -> None:
    vectors = np.array([[1, 0], [0, 0], [-1, 0], [0.6, 0.8]], dtype=np.float32)
    world = Catalog([Item(id=str(i), title=str(i)) for i in range(4)], SCALE, vectors)
    view = filled([[(1, 5), (3, 5), (2, 5)]]).history()
    assert MostSimilar(CountOptions(k=3)).retrieve_batch(retrieval_request(np.array([[0]]), view, world)).tolist() == [
        [[1, 0, 2]]
    ]
    decay = DecayEmotion(DecayEmotionOptions(k=3))
    assert decay.retrieve_batch(retrieval_request(np.array([[0]]), view, world)).tolist() == [[[1, 2, 0]]]
    assert decay.retrieve_batch(retrieval_request(np.array([[1]]), view, world)).tolist() == [[[2, 1, 0]]]


def test_items_without_any_embedding_are_retrieved_by_recency() -> None:
    world = Catalog([Item(id=str(i), title=str(i)) for i in range(ITEMS)], SCALE)
    view = filled([[(1, 5), (2, 9)]]).history()
    for strategy in (MostSimilar(CountOptions()), DecayEmotion(DecayEmotionOptions())):
        assert strategy.retrieve_batch(retrieval_request(np.array([[0]]), view, world)).tolist() == [[[1, 0, -1]]]


def test_nothing_is_retrieved_by_none() -> None:
    view = filled([[(1, 5)], [], [(2, 3)]]).history()
    assert NoRetrieval().retrieve_batch(retrieval_request(np.zeros((3, 2), dtype=int), view, catalog(0))).shape == (
        3,
        2,
        0,
    )


def test_a_strategy_answers_the_same_after_longer_and_shorter_histories() -> None:
    strategy, world = DecayEmotion(DecayEmotionOptions(k=4)), catalog(2)
    rng = np.random.default_rng(0)
    views = [
        filled([[(int(rng.integers(ITEMS)), int(rng.integers(1, 11))) for _ in range(length)]]).history()
        for length in (3, 70, 0, 5, 200)
    ]
    items = np.array([[1, 2]])
    for view in views + views[::-1]:
        fresh = DecayEmotion(DecayEmotionOptions(k=4)).retrieve_batch(retrieval_request(items, view, world))
        np.testing.assert_array_equal(strategy.retrieve_batch(retrieval_request(items, view, world)), fresh)
