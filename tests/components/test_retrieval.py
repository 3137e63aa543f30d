"""Retrieval strategies against naive references written from their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.components.base import Retrieval
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

SCALE = RatingScale(low=1, high=10)
ITEMS = 12


def catalog(seed: int) -> Catalog:
    vectors = np.random.default_rng(seed).integers(-1, 2, (ITEMS, 3)).astype(np.float32)  # zeros, ties and negatives
    return Catalog([Item(id=str(i), title=str(i)) for i in range(ITEMS)], SCALE, vectors)


def filled(histories: list[list[tuple[int, int]]]) -> Memory:
    memory, emotion = Memory(len(histories), ITEMS, capacity=2), Emotion(SCALE)
    for person, history in enumerate(histories):
        for item, rating in history:
            ratings = np.array([float(rating)])
            memory.append(np.array([person]), np.array([item]), ratings, emotion.code(ratings))
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


@settings(max_examples=150, deadline=None)
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
        answer = strategy.retrieve_batch(items, view, world)
        assert answer.shape[:2] == items.shape
        for row in range(len(histories)):
            past = view.person(row)
            alone = strategy.retrieve_batch(items[row : row + 1], view.single(row), world)
            for place, item in enumerate(items[row].tolist()):
                expected = reference(item, past)
                for found in (answer[row, place], alone[0, place]):
                    assert [p for p in found.tolist() if p >= 0] == expected, type(strategy).__name__


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
    positions = DecayEmotion(options).retrieve_batch(np.array([[2]]), memory.history(), world)
    assert positions.tolist() == [[[3, 1, 2]]]


def test_a_negative_cosine_never_ranks_an_old_memory_above_a_fresh_one() -> None:
    vectors = np.array([[1, 0], [-1, 0], [-1, 0]], dtype=np.float32)
    world = Catalog([Item(id=str(i), title=str(i)) for i in range(3)], SCALE, vectors)
    memory = Memory(1, 3)
    for item in (1, 2):
        memory.append(np.array([0]), np.array([item]), np.array([9.0]), np.array([8]))
    positions = DecayEmotion(DecayEmotionOptions()).retrieve_batch(np.array([[0]]), memory.history(), world)
    assert positions.tolist() == [[[1, 0, -1]]]


@pytest.mark.parametrize("k", [1, 3])
def test_the_single_form_of_a_third_party_answers_for_a_batch(k: int) -> None:
    class Oldest(Retrieval):
        def retrieve(self, item: int, history: list[Interaction], catalog: Catalog) -> list[int]:  # type: ignore[override]
            return list(range(min(k, len(history))))

    memory = filled([[(1, 5)], [], [(1, 5), (2, 5), (3, 5)]])
    answer = Oldest().retrieve_batch(np.array([[0], [0], [0]]), memory.history(), catalog(0))
    assert [[p for p in row[0] if p >= 0] for row in answer.tolist()] == [[0], [], list(range(k))]
