"""Metrics of recommenders, from the records of their episodes, with intervals by bootstrap over users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import RunError
from emosim_core.model import RatingScale
from emosim_core.stats import percentiles, weights

LIST_LENGTH = 10
"""First recommendations of an episode that count as its list."""

_DISCOUNTS = 1.0 / np.log2(np.arange(2, LIST_LENGTH + 2))
"""What a place of the list counts in DCG (Järvelin and Kekäläinen, 2002)."""


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """One metric: tables, files, reports and docs show what stands here.

    Attributes:
        name: what it is called in files.
        title: what it is called on the screen, where there is little room.
        label: what it is called in reports and charts.
        help: its definition, in one line. E is the number of episodes.
        better: ``higher`` or ``lower``; empty where neither is better.
        unit: of its values; ``%`` for a share, which is shown in per cent.
        decimals: decimals that are shown.
        signed: whether it can be negative.
        of_lists: whether it is about the lists that are recommended, not about what users get from them.
        chart: whether the report has a chart of it.
        sums: the metric as a ratio of two sums over episodes: what each episode adds to both, each of shape ``(E,)``.
            None for a metric that is no ratio.
    """

    name: str
    title: str
    label: str
    help: str
    better: str = ""
    unit: str = ""
    decimals: int = 3
    signed: bool = False
    of_lists: bool = False
    chart: bool = True
    sums: Callable[[Episodes], tuple[Floats, Floats]] | None = None

    @property
    def share(self) -> bool:
        """Whether it is a share that is shown in per cent."""
        return self.unit == "%"


@dataclass(frozen=True)
class ItemTable:
    """What metrics need to know of a catalog of N items.

    Attributes:
        ids: the items' ids.
        public_counts: how many users rated each item, 0 where unknown; shape ``(N,)``.
    """

    ids: Sequence[str]
    public_counts: NDArray[np.int64]
    index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {name: place for place, name in enumerate(self.ids)})

    def surprises(self) -> NDArray[np.float64]:
        """``-log2`` of each item's share of all public counts, in bits, shape ``(N,)``.

        An item that nobody rated counts as rated once. NaN for all where no count is known.
        """
        if not self.public_counts.any():
            return np.full(len(self.ids), np.nan)
        counts = np.maximum(self.public_counts, 1).astype(np.float64)
        surprises: NDArray[np.float64] = -np.log2(counts / counts.sum())
        return surprises


@dataclass(frozen=True)
class Episodes:
    """E episodes of one recommender, by number.

    Attributes:
        users: the id of each episode's user.
        end_reasons: why each ended.
        rewards: sum of the rewards, shape ``(E,)``.
        steps: steps taken, shape ``(E,)``.
        rating_sums: sum of the ratings of what was consumed, shape ``(E,)``.
        rated: how much was consumed, shape ``(E,)``.
        liked: how much of it was liked, shape ``(E,)``.
        moods: valence and arousal at the end, shape ``(E, 2)``.
        lists: indices of the first :data:`LIST_LENGTH` items that were recommended, -1 after the end of the episode;
            shape ``(E, 10)``.
        list_ratings: their ratings, NaN where there is none; shape ``(E, 10)``.
        recommendations: how many items were recommended, shape ``(E,)``.
        surprises: sum of the surprises of what was recommended, in bits, shape ``(E,)``.
        step_rewards: reward of each step, NaN after the end; shape ``(E, T)``, T the steps of the longest episode.
        coverage: share of the catalog that was recommended to anybody.
        scale: the rating scale.
        liked_from: rating from which an item is liked.
    """

    users: tuple[str, ...]
    end_reasons: tuple[str, ...]
    rewards: NDArray[np.float64]
    steps: NDArray[np.float64]
    rating_sums: NDArray[np.float64]
    rated: NDArray[np.float64]
    liked: NDArray[np.float64]
    moods: NDArray[np.float64]
    lists: NDArray[np.intp]
    list_ratings: NDArray[np.float64]
    recommendations: NDArray[np.float64]
    surprises: NDArray[np.float64]
    step_rewards: NDArray[np.float64]
    coverage: float
    scale: RatingScale
    liked_from: float

    @property
    def ones(self) -> Floats:
        """1 for each episode, shape ``(E,)``."""
        return np.ones(len(self.users))

    @property
    def relevant(self) -> NDArray[np.bool_]:
        """Which items of the lists are liked, shape ``(E, 10)``."""
        return self.list_ratings >= self.liked_from


@dataclass
class _Episode:
    user: str
    end_reason: str = ""
    rewards: list[float] = field(default_factory=list)
    ratings: list[float] = field(default_factory=list)
    mood: Sequence[float] = (0.0, 0.0)
    items: list[int] = field(default_factory=list)
    list_ratings: list[float] = field(default_factory=list)


def read_episodes(
    records: Iterable[Mapping[str, Any]], items: ItemTable, scale: RatingScale, liked_from: float, where: str
) -> Episodes:
    """Episodes from the steps of a run.

    An item that was consumed counts with its rating after perturbation, as in the run's summary. One that was
    recommended and not consumed has in the list the rating that its rater gave.

    Args:
        records: steps as :func:`~emosim_core.runs.records.read_records` yields them; those of one episode in order.
        items: the catalog.
        scale: the rating scale.
        liked_from: rating from which an item is liked.
        where: where the records are from, for messages.

    Raises:
        RunError: there is no episode, an episode has no end, or an item is not in the catalog.
    """
    episodes: dict[int, _Episode] = {}
    for record in records:
        episode = episodes.setdefault(record["episode"], _Episode(record["user"]))
        if record["recommended"]:
            episode.rewards.append(float(record["reward"]))
        episode.mood = record["mood"]
        episode.end_reason = record["end_reason"] or ""
        for slate_item in record["recommended"]:
            if slate_item["item"] not in items.index:
                name = slate_item["item"]
                raise RunError(f"{where} recommended {name!r}, which is not in the catalog of the evaluation")
            episode.items.append(items.index[slate_item["item"]])
            rating = slate_item["rating"] if slate_item["consumed"] else slate_item["raw_rating"]
            if slate_item["consumed"]:
                episode.ratings.append(rating)
            if len(episode.list_ratings) < LIST_LENGTH:
                episode.list_ratings.append(np.nan if rating is None else rating)
    unfinished = [number for number, episode in episodes.items() if not episode.end_reason]
    if unfinished or not episodes:
        problem = f"episode {unfinished[0]} has no end" if unfinished else "it has no episode"
        raise RunError(f"{where} is not complete: {problem}")
    all_ = [episodes[number] for number in sorted(episodes)]
    surprises = items.surprises()
    longest = max(len(one.rewards) for one in all_)
    seen = {item for one in all_ for item in one.items}
    return Episodes(
        users=tuple(one.user for one in all_),
        end_reasons=tuple(one.end_reason for one in all_),
        rewards=np.array([sum(one.rewards) for one in all_], dtype=np.float64),
        steps=np.array([len(one.rewards) for one in all_], dtype=np.float64),
        rating_sums=np.array([sum(one.ratings) for one in all_], dtype=np.float64),
        rated=np.array([len(one.ratings) for one in all_], dtype=np.float64),
        liked=np.array([sum(rating >= liked_from for rating in one.ratings) for one in all_], dtype=np.float64),
        moods=np.array([one.mood for one in all_], dtype=np.float64),
        lists=_padded([one.items[:LIST_LENGTH] for one in all_], LIST_LENGTH, -1).astype(np.intp),
        list_ratings=_padded([one.list_ratings for one in all_], LIST_LENGTH, np.nan),
        recommendations=np.array([len(one.items) for one in all_], dtype=np.float64),
        surprises=np.array([surprises[one.items].sum() for one in all_], dtype=np.float64),
        step_rewards=_padded([one.rewards for one in all_], longest, np.nan),
        coverage=len(seen) / len(items.ids),
        scale=scale,
        liked_from=liked_from,
    )


def _padded(rows: Sequence[Sequence[float]], width: int, fill: float) -> NDArray[np.float64]:
    table = np.full((len(rows), width), fill, dtype=np.float64)
    for row, values in enumerate(rows):
        table[row, : len(values)] = values
    return table


# ------------------------------------------------------------------------------------ quality of lists


def average_precision(relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """AP@10 = (1 / 10) * sum over places k of P(k) * rel(k), P(k) the share of the first k that is relevant.

    It takes ten relevant items to exist, so that 1 means that all of the list was liked.

    Args:
        relevant: shape ``(E, 10)``.

    Returns:
        Values in [0, 1], shape ``(E,)``.
    """
    precision = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    return (precision * relevant).sum(axis=1) / relevant.shape[1]


def reciprocal_rank(relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 / place of the first relevant item, 0 where none is; from ``(E, 10)`` to ``(E,)``."""
    return np.where(relevant.any(axis=1), 1.0 / (relevant.argmax(axis=1) + 1), 0.0)


def discounted_gain(ratings: NDArray[np.float64], scale: RatingScale) -> NDArray[np.float64]:
    """nDCG@10: sum of gain / log2(place + 1), over that of ten top marks.

    The gain of a rating is its relative position on the scale, 0 to 1; where there is no rating, 0.

    Args:
        ratings: shape ``(E, 10)``; NaN where there is none.
        scale: the scale of the ratings.

    Returns:
        Values in [0, 1], shape ``(E,)``.
    """
    gains = np.nan_to_num((ratings - scale.low) / scale.span, nan=0.0)
    result: NDArray[np.float64] = gains @ _DISCOUNTS / _DISCOUNTS.sum()
    return result


METRICS: tuple[Metric, ...] = (
    Metric(
        "mean_reward",
        title="reward",
        label="reward per episode",
        help="sum of all rewards / E",
        better="higher",
        decimals=1,
        sums=lambda episodes: (episodes.rewards, episodes.ones),
    ),
    Metric(
        "reward_per_step",
        title="per step",
        label="reward per step",
        help="sum of all rewards / number of all steps",
        better="higher",
        decimals=2,
        chart=False,
        sums=lambda episodes: (episodes.rewards, episodes.steps),
    ),
    Metric(
        "mean_rating",
        title="rating",
        label="mean rating",
        help="mean rating of all consumed items, after perturbation",
        better="higher",
        decimals=2,
        chart=False,
        sums=lambda episodes: (episodes.rating_sums, episodes.rated),
    ),
    Metric(
        "share_liked",
        title="liked",
        label="share liked",
        help="share of these ratings that are liked",
        better="higher",
        unit="%",
        decimals=1,
        sums=lambda episodes: (episodes.liked, episodes.rated),
    ),
    Metric(
        "episode_length",
        title="steps",
        label="steps per episode",
        help="number of all steps / E",
        better="higher",
        unit="steps",
        decimals=1,
        sums=lambda episodes: (episodes.steps, episodes.ones),
    ),
    Metric(
        "map_at_10",
        title="MAP@10",
        label="MAP@10",
        help="mean of AP = (1/10) sum over k = 1..10 of P(k) rel(k)",
        better="higher",
        of_lists=True,
        sums=lambda episodes: (average_precision(episodes.relevant), episodes.ones),
    ),
    Metric(
        "mrr_at_10",
        title="MRR@10",
        label="MRR@10",
        help="mean of 1 / rank of the first liked item, 0 where none is liked",
        better="higher",
        of_lists=True,
        sums=lambda episodes: (reciprocal_rank(episodes.relevant), episodes.ones),
    ),
    Metric(
        "ndcg_at_10",
        title="nDCG@10",
        label="nDCG@10",
        help="mean of the sum over k of g(k) / log2(k + 1), over the same of ten top marks",
        better="higher",
        of_lists=True,
        sums=lambda episodes: (discounted_gain(episodes.list_ratings, episodes.scale), episodes.ones),
    ),
    Metric(
        "personalization",
        title="personalization",
        label="personalization",
        help="1 - mean cosine of the lists of two episodes of different users",
        of_lists=True,
    ),
    Metric(
        "coverage",
        title="coverage",
        label="coverage",
        help="share of the catalog that was recommended at least once",
        unit="%",
        decimals=1,
        of_lists=True,
    ),
    Metric(
        "novelty",
        title="novelty",
        label="novelty",
        help="mean over all recommendations of -log2 of the item's share of all public counts",
        unit="bits",
        decimals=2,
        of_lists=True,
        sums=lambda episodes: (episodes.surprises, episodes.recommendations),
    ),
    Metric(
        "valence_at_end",
        title="valence",
        label="valence at the end",
        help="mean valence after the last step, -1 to 1",
        better="higher",
        decimals=2,
        signed=True,
        chart=False,
        sums=lambda episodes: (episodes.moods[:, 0], episodes.ones),
    ),
    Metric(
        "arousal_at_end",
        title="arousal",
        label="arousal at the end",
        help="mean arousal after the last step, 0 to 1",
        decimals=2,
        chart=False,
        sums=lambda episodes: (episodes.moods[:, 1], episodes.ones),
    ),
)
"""All metrics but why episodes ended, in the order of files."""


def metric_named(name: str) -> Metric:
    """The metric of this name; one that is shown as it is named, if there is none."""
    words = name.replace("_", " ")
    return next((metric for metric in METRICS if metric.name == name), Metric(name, words, words, ""))


# ------------------------------------------------------------------------------------- sums by user


@dataclass(frozen=True)
class Tallies:
    """What the metrics of one recommender are made of: sums over each of P users.

    Attributes:
        names: names of M ratios: metrics, ``end_reason:NAME``, ``survival:STEP`` and ``reward:STEP``.
        numerators: shape ``(P, M)``.
        denominators: shape ``(P, M)``.
        lists: sum of the lists of each user's episodes, each a vector of length 1; shape ``(P, D)``, D the items
            that are in any list.
        list_counts: how many episodes have a list, shape ``(P,)``.
        coverage: share of the catalog that was recommended.
    """

    names: tuple[str, ...]
    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]
    lists: NDArray[np.float64]
    list_counts: NDArray[np.float64]
    coverage: float

    def ratios(self, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        """The ratios where user p counts ``drawn[b, p]`` times; from ``(B, P)`` to ``(B, M)``."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (drawn @ self.numerators) / (drawn @ self.denominators)

    def personalization(self, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 - mean cosine of the lists of two episodes of different users; from ``(B, P)`` to ``(B,)``.

        A user who is drawn twice is no pair of different users. With u the summed lists of each user, the sum
        over pairs is ``|sum of w u|^2 - sum of |w u|^2``, which needs no table of pairs.
        """
        squared = drawn**2
        cosines = ((drawn @ self.lists) ** 2).sum(axis=1) - squared @ (self.lists**2).sum(axis=1)
        pairs = (drawn @ self.list_counts) ** 2 - squared @ self.list_counts**2
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, 1.0 - cosines / pairs, np.nan)


def tally(episodes: Episodes, users: Sequence[str], reasons: Sequence[str], longest: int) -> Tallies:
    """The sums that metrics are made of.

    Args:
        episodes: the episodes of one recommender.
        users: the users, each once; their order is that of the resamples.
        reasons: why episodes can end.
        longest: steps for which survival and reward by step are reckoned.
    """
    ones = episodes.ones
    ratios = {metric.name: metric.sums(episodes) for metric in METRICS if metric.sums}
    for reason in reasons:
        ratios[f"end_reason:{reason}"] = (
            np.array([end_reason == reason for end_reason in episodes.end_reasons], dtype=np.float64),
            ones,
        )
    rewards = np.full((len(ones), longest), np.nan)
    width = min(longest, episodes.step_rewards.shape[1])
    rewards[:, :width] = episodes.step_rewards[:, :width]
    rewarded = ~np.isnan(rewards)
    for step in range(longest):
        ratios[f"survival:{step + 1}"] = (rewarded[:, step].astype(np.float64), ones)
        ratios[f"reward:{step + 1}"] = (np.nan_to_num(rewards[:, step]), rewarded[:, step].astype(np.float64))

    place = {user: index for index, user in enumerate(users)}
    rows = np.array([place[user] for user in episodes.users], dtype=np.intp)
    numerators, denominators = (
        _by_user(np.column_stack([pair[side] for pair in ratios.values()]), rows, len(users)) for side in (0, 1)
    )
    lists = _unit_lists(episodes.lists)
    return Tallies(
        names=tuple(ratios),
        numerators=numerators,
        denominators=denominators,
        lists=_by_user(lists, rows, len(users)),
        list_counts=_by_user((episodes.lists[:, 0] >= 0).astype(np.float64), rows, len(users)),
        coverage=episodes.coverage,
    )


def _by_user(values: NDArray[np.float64], rows: NDArray[np.intp], users: int) -> NDArray[np.float64]:
    sums = np.zeros((users, *values.shape[1:]))
    np.add.at(sums, rows, values)
    return sums


def _unit_lists(lists: NDArray[np.intp]) -> NDArray[np.float64]:
    """Each list as a vector over the items that are in any, of length 1, or 0 where the list is empty."""
    present = lists >= 0
    known = np.unique(lists[present])
    vectors = np.zeros((len(lists), len(known)))
    vectors[np.nonzero(present)[0], np.searchsorted(known, lists[present])] = 1.0
    vectors /= np.sqrt(np.maximum(vectors.sum(axis=1, keepdims=True), 1.0))
    return vectors


# ------------------------------------------------------------------------------------------ intervals

Estimate = dict[str, float | None]
"""``estimate``, ``low`` and ``high``; None where there is none."""


class Comparison:
    """Metrics of several recommenders on the same users, with intervals and paired differences.

    Users are resampled with replacement, a user's episodes together, the same users for all recommenders
    (a cluster bootstrap; percentile intervals of 95 %). Numerator and denominator of a ratio are resampled together.

    Args:
        tallies: by recommender; all over the same users.
        resamples: how many resamples are drawn.
        seed: seed of the resamples.
    """

    def __init__(self, tallies: Mapping[str, Tallies], resamples: int, seed: int | Sequence[int]) -> None:
        self.tallies = dict(tallies)
        users = len(next(iter(self.tallies.values())).numerators)
        self._exact = {name: _values(one, np.ones((1, users)))[0] for name, one in self.tallies.items()}
        parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self.tallies}
        # One user says nothing about how users differ, so there is no interval.
        for block in weights(users, resamples if users > 1 else 0, seed):
            for name, one in self.tallies.items():
                parts[name].append(_values(one, block))
        self._drawn = {
            name: np.concatenate(blocks) if blocks else np.full((0, len(self._exact[name])), np.nan)
            for name, blocks in parts.items()
        }

    def metrics(self, recommender: str, minus: str | None = None) -> dict[str, Estimate]:
        """All metrics of a recommender by name, or what they are above those of another on the same resamples.

        Coverage has no interval: a resample holds fewer different users, so it covers less whatever is measured.
        """
        exact, drawn = self._exact[recommender], self._drawn[recommender]
        tallied = self.tallies[recommender]
        coverage = tallied.coverage
        if minus is not None:
            exact, drawn = exact - self._exact[minus], drawn - self._drawn[minus]
            coverage -= self.tallies[minus].coverage
        low, high = percentiles(drawn)
        estimates: dict[str, Estimate] = {
            name: {"estimate": _plain(exact[column]), "low": _plain(low[column]), "high": _plain(high[column])}
            for column, name in enumerate((*tallied.names, "personalization"))
        }
        estimates["coverage"] = {"estimate": _plain(coverage), "low": None, "high": None}
        return estimates


def _values(tallied: Tallies, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([tallied.ratios(drawn), tallied.personalization(drawn)])


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
