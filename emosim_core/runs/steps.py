"""Steps: steps of many episodes as columns, and the records that they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.model.emotion import AROUSAL_NAMES, VALENCE_NAMES
from emosim_core.simulation.assembly import World
from emosim_core.simulation.config import RunConfig
from emosim_core.simulation.engine import Step


@dataclass(slots=True)
class Steps:
    """Steps as columns: one row per recommended item, n of them, those of a step one after another.

    An episode that ran out of items has a row of its own, with the item -1 and NaN or 0 in what is about an item.

    Attributes:
        episode, step: number of the episode, from 0, and of the step in it, from 1, shape ``(n,)``.
        user: index of the user in the population, shape ``(n,)``.
        place: place in the slate, from 0, shape ``(n,)``.
        item: index of the item in the catalog, shape ``(n,)``.
        raw_rating: the rater's rating, NaN where it failed, shape ``(n,)``.
        consumed: shape ``(n,)``.
        rating: rating after perturbation, NaN where not consumed, shape ``(n,)``.
        times: how often the item has been consumed, this time included; meaningless where not consumed, shape ``(n,)``.
        code: tags of the rating, ``3 * (valence + 1) + 2 * arousal``; meaningless where not consumed, shape ``(n,)``.
        reward: reward of the step, shape ``(n,)``.
        moods: valence and arousal after the step, to four decimals, shape ``(n, 2)``.
        end: why the episode ended with this step, an index into the end reasons, 0 where it goes on, shape ``(n,)``.
        retrieved: how many memories were retrieved for the item, shape ``(n,)``.
        retrieved_item, retrieved_rating: the memories of all rows, one after another, shape ``(sum(retrieved),)``.
        signals: what else is recorded of each place, by name, each of shape ``(n,)``: ``examined`` and ``clicked``,
            booleans, where users choose before they rate, ``propensity``, NaN where it is not known, and ``rater``, the
            name of the rater that answers for the user, where the rater is made of several.
        terms: numbers that reasons are worded from, by name, each of shape ``(n,)``; NaN where there is no reason.
    """

    episode: Ints
    step: Ints
    user: Ints
    place: Ints
    item: Ints
    raw_rating: Floats
    consumed: Flags
    rating: Floats
    times: Ints
    code: Ints
    reward: Floats
    moods: Floats
    end: Ints
    retrieved: Ints
    retrieved_item: Ints
    retrieved_rating: Floats
    terms: dict[str, Floats] = field(default_factory=dict)
    signals: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.episode)

    def rows(self, chosen: Flags) -> Steps:
        """Some of the rows, from flags of the shape ``(n,)``."""
        memories = ("retrieved_item", "retrieved_rating")
        columns: dict[str, Any] = {}
        for one in fields(Steps):
            values = getattr(self, one.name)
            if one.name in _BY_NAME:
                columns[one.name] = {name: column[chosen] for name, column in values.items()}
            else:
                columns[one.name] = values[np.repeat(chosen, self.retrieved) if one.name in memories else chosen]
        return Steps(**columns)


_BY_NAME = ("terms", "signals")
"""Fields of :class:`Steps` that hold columns by name."""

CHOICE_SIGNALS, PROPENSITY, RATER = ("examined", "clicked"), "propensity", "rater"
"""Names of the signals; see :class:`Steps`."""

SIGNALS: Mapping[str, type[np.generic]] = {
    **dict.fromkeys(CHOICE_SIGNALS, np.bool_),
    PROPENSITY: np.float64,
    RATER: np.str_,
}
"""All signals that there are, in their order, with the types of their values; a float that is not known is NaN."""


def signals_of(world: World, config: RunConfig) -> tuple[str, ...]:
    """Names of the signals that a run records."""
    chosen = () if world.choice.rates_first else CHOICE_SIGNALS
    propensities = bool(chosen) if config.propensities is None else config.propensities
    several = world.rater.answering(np.zeros(0, dtype=np.intp), world.population) is not None
    return (*chosen, *((PROPENSITY,) if propensities else ()), *((RATER,) if several else ()))


def steps_of(
    step: Step,
    episode: Ints,
    number: Ints,
    moods: Floats,
    terms: Sequence[str] = (),
    propensities: Floats | None = None,
    raters: NDArray[np.str_] | None = None,
) -> Steps:
    """What a step of R users adds.

    Args:
        episode, number: of each row its episode and the number of its step, from 1, shape ``(R,)``.
        moods: valence and arousal after the step, to four decimals, shape ``(R, 2)``.
        terms: names of the rater's terms that are wanted.
        propensities: of the recommendations, shape ``(R, S)``, where they are recorded.
        raters: who answers for each user, shape ``(R,)``, where that is recorded.
    """
    count, slate = step.actions.shape

    def each(column: NDArray[Any]) -> NDArray[Any]:
        return column if slate == 1 else np.repeat(column, slate, axis=0)

    known = step.retrieved_ratings == step.retrieved_ratings
    signals: dict[str, NDArray[Any]] = {}
    if step.examined is not None and step.clicked is not None:
        signals = dict(zip(CHOICE_SIGNALS, (step.examined.reshape(-1), step.clicked.reshape(-1)), strict=True))
    if propensities is not None:
        signals[PROPENSITY] = propensities.reshape(-1)
    if raters is not None:
        signals[RATER] = each(raters)
    return Steps(
        episode=each(episode),
        step=each(number),
        user=each(step.users),
        place=np.tile(np.arange(slate), count),
        item=step.actions.reshape(-1),
        raw_rating=step.raw_ratings.reshape(-1),
        consumed=step.consumed.reshape(-1),
        rating=step.ratings.reshape(-1),
        times=step.times.reshape(-1),
        code=step.codes.reshape(-1),
        reward=each(step.rewards),
        moods=each(moods),
        end=each(step.end_codes),
        retrieved=known.sum(axis=2).reshape(-1),
        retrieved_item=step.retrieved_items[known],
        retrieved_rating=step.retrieved_ratings[known],
        terms={name: _terms(step, name) for name in terms},
        signals=signals,
    )


def _terms(step: Step, name: str) -> Floats:
    """One term of each rating, shape ``(R * S,)``; NaN of who was interrupted."""
    if step.answers is None:
        return np.full(step.actions.size, np.nan)
    values = np.broadcast_to(step.answers.terms[name], step.answers.values.shape)
    if len(values) < len(step.answered) or (step.answered < 0).any():
        values = np.where((step.answered < 0)[:, None], np.nan, values[step.answered])
    return values.reshape(-1)


def out_of_items(
    episode: Ints,
    number: Ints,
    user: Ints,
    moods: Floats,
    end: int,
    terms: Sequence[str] = (),
    signals: Sequence[str] = (),
) -> Steps:
    """What episodes add that end as nothing is left to recommend, R of them.

    Args:
        moods: valence and arousal as they are, to four decimals, shape ``(R, 2)``.
        end: index of that end reason.
    """
    count = len(episode)
    zeros, nothing = np.zeros(count, dtype=np.intp), np.full(count, np.nan)
    return Steps(
        episode=episode,
        step=number,
        user=user,
        place=zeros,
        item=np.full(count, -1),
        raw_rating=nothing,
        consumed=np.zeros(count, dtype=np.bool_),
        rating=nothing,
        times=zeros,
        code=zeros,
        reward=np.zeros(count),
        moods=moods,
        end=np.full(count, end),
        retrieved=zeros,
        retrieved_item=zeros[:0],
        retrieved_rating=nothing[:0],
        terms=dict.fromkeys(terms, nothing),
        signals={name: nothing if SIGNALS[name] is np.float64 else np.zeros(count, SIGNALS[name]) for name in signals},
    )


def joined(parts: Sequence[Steps]) -> Steps:
    """Steps one after another; at least one part."""
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Any] = {}
    for one in fields(Steps):
        values = [getattr(part, one.name) for part in parts]
        if one.name in _BY_NAME:
            columns[one.name] = {name: np.concatenate([named[name] for named in values]) for name in values[0]}
        else:
            columns[one.name] = np.concatenate(values)
    return Steps(**columns)


def four_decimals(values: Floats) -> Floats:
    """Values within ±1,000 as ``round(value, 4)`` makes them."""
    scaled = values * 1e4
    whole = np.rint(scaled)
    rounded = whole / 1e4
    halves = np.abs(np.abs(scaled - whole) - 0.5) < 1e-6
    if np.count_nonzero(halves):  # the product is not exact: which way they go, decimal digits say
        rounded[halves] = [round(value, 4) for value in values[halves].tolist()]
    return rounded


@dataclass(frozen=True)
class Labels:
    """What numbers of :class:`Steps` stand for: ids and titles of the items, ids of the users, and end reasons."""

    items: Sequence[str]
    titles: Sequence[str]
    users: Sequence[str]
    end_reasons: Sequence[str]


@lru_cache(maxsize=4096)
def plain(value: float) -> float | int | None:
    """A number for JSON: whole ones without a decimal point, NaN as None."""
    if value != value:
        return None
    return int(value) if value == int(value) else round(value, 6)


def records_of(
    steps: Steps,
    labels: Labels,
    reason: Callable[[int], str | None],
    probabilities: Callable[[int], Mapping[str, float]],
) -> list[dict[str, Any]]:
    """Steps as lines of interactions.jsonl hold them.

    Args:
        reason, probabilities: of a row, as :class:`~emosim_core.components.base.Ratings` has them.

    Returns:
        For each step ``episode``, ``step`` (from 1), ``user``; ``recommended``, for each item of the slate its id,
        ``title``, ``raw_rating`` by the rater (null if it failed or was not asked), ``reason``, ``probabilities`` where
        a model gives them, whether it was ``consumed``, its signals (``propensity`` null where it is not known), and if
        it was consumed ``rating`` (the rating after perturbation), how many ``times``, ``valence`` and ``arousal``;
        ``retrieved``, the memories retrieved for it; ``reward``; ``mood`` after the step; ``end_reason``, why the
        episode ended, or null.
    """
    ids, titles, users, end_reasons = labels.items, labels.titles, labels.users, labels.end_reasons
    # Whole arrays become lists at once: a number taken out of an array costs more than all else that is done with it.
    rows = zip(
        steps.episode.tolist(), steps.step.tolist(), steps.user.tolist(), steps.place.tolist(), steps.item.tolist(),
        steps.raw_rating.tolist(), steps.consumed.tolist(), steps.rating.tolist(), steps.times.tolist(),
        steps.code.tolist(), steps.reward.tolist(), steps.moods.tolist(), steps.end.tolist(),
        steps.retrieved.tolist(), strict=True,
    )  # fmt: skip
    signals = [(name, values.tolist()) for name, values in steps.signals.items()]
    past, rated, at = steps.retrieved_item.tolist(), steps.retrieved_rating.tolist(), 0
    records: list[dict[str, Any]] = []
    for row, parts in enumerate(rows):
        episode, step, user, place, item, raw, consumed, rating, times, code, reward, mood, end, retrieved = parts
        if place == 0:
            recommended: list[dict[str, Any]] = []
            records.append(
                {
                    "episode": episode,
                    "step": step,
                    "user": users[user],
                    "recommended": recommended,
                    "reward": plain(reward),
                    "mood": mood,
                    "end_reason": end_reasons[end] or None,
                }
            )
        if item < 0:
            continue
        one: dict[str, Any] = {
            "item": ids[item],
            "title": titles[item],
            "raw_rating": plain(raw),
            "reason": reason(row),
            "consumed": consumed,
        }
        for name, values in signals:
            one[name] = None if values[row] != values[row] else values[row]
        if shares := probabilities(row):
            one["probabilities"] = {label: round(share, 4) for label, share in shares.items()}
        if consumed:
            one["rating"] = plain(rating)
            one["times"] = times
            one["valence"] = VALENCE_NAMES[code // 3]
            one["arousal"] = AROUSAL_NAMES[code % 3]
        one["retrieved"] = [
            {"item": ids[past[k]], "title": titles[past[k]], "rating": plain(rated[k])}
            for k in range(at, at + retrieved)
        ]
        at += retrieved
        recommended.append(one)
    return records
