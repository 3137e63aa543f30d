"""Metrics of recommenders, from the records of their episodes, with intervals by bootstrap over users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import RunError
from emosim_core.evaluation.columns import UNFINISHED, EpisodeTable, RunColumns
from emosim_core.model import RatingScale
from emosim_core.runs.words import signed
from emosim_core.stats import Floats, Seed, divided, percentiles, redrawn, resampled_ratios, rounded

LIST_LENGTH = 10
"""First recommendations of an episode that count as its list."""

_DISCOUNTS = 1.0 / np.log2(np.arange(2, LIST_LENGTH + 2))
"""What a place of the list counts in DCG (Järvelin and Kekäläinen, 2002)."""


@dataclass(frozen=True)
class Metric:
    """One metric: tables, files, reports and docs show what stands here.

    Attributes:
        name: in files; ``label`` is its name on the screen and in reports.
        help: its definition, in one line. E is the number of episodes.
        better: ``higher`` or ``lower``; empty where neither is better.
        unit: of its values; ``%`` for a share, which is shown in per cent.
        signed: whether it can be negative.
        of_lists: whether it is about the lists that are recommended, not about what users get from them.
        chart: whether the report has a chart of it.
        sums: what each episode adds to two sums, each of shape ``(E,)``, whose ratio is the metric. None for a metric
            that is no ratio, which :func:`evaluation_sample` computes by itself.
    """

    name: str
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

    def written(self, value: float) -> str:
        """A value as it is shown."""
        if self.signed:
            return signed(value, self.decimals)
        return f"{value:.{self.decimals}{'%' if self.share else 'f'}}"


@dataclass(frozen=True)
class ItemTable:
    """What metrics of lists need to know beyond the records, of a catalog of N items.

    ``public_counts`` is how many users rated each item, 0 where unknown, shape ``(N,)``; ``liked_from`` the rating from
    which an item of a list is liked.
    """

    ids: Sequence[str]
    public_counts: NDArray[np.int64]
    scale: RatingScale
    liked_from: float

    def surprises(self) -> Floats:
        """``-log2`` of each item's share of all public counts, in bits, shape ``(N,)``.

        An item that nobody rated counts as rated once. NaN for all where no count is known.
        """
        if not self.public_counts.any():
            return np.full(len(self.ids), np.nan)
        counts = np.maximum(self.public_counts, 1).astype(np.float64)
        surprises: Floats = -np.log2(counts / counts.sum())
        return surprises


@dataclass(frozen=True, eq=False)
class Episodes:
    """E episodes of a run, by number: what metrics are made of.

    An item that was consumed counts with its rating after perturbation, one that was only recommended with the
    rater's. ``chosen`` are the episodes of ``run`` that count; metrics that are not about lists need no ``items``.
    """

    run: RunColumns
    chosen: EpisodeTable
    items: ItemTable | None = None

    def each(self, attribute: str) -> Floats:
        """An attribute of each episode, shape ``(E,)``; ``(E, 2)`` of the mood."""
        return np.asarray(getattr(self.chosen, attribute), dtype=np.float64)

    @property
    def ones(self) -> Floats:
        """1 for each episode, shape ``(E,)``."""
        return np.ones(len(self.chosen))

    @property
    def users(self) -> list[str]:
        """The id of each episode's user."""
        return [self.run.users[user].id for user in self.chosen.user.tolist()]

    @property
    def catalog(self) -> ItemTable:
        """The catalog; a TypeError where there is none."""
        if self.items is None:
            raise TypeError("metrics of lists need the catalog")
        return self.items

    @cached_property
    def lists(self) -> NDArray[np.intp]:
        """The first :data:`LIST_LENGTH` items that were recommended, by number; -1 after the end; shape ``(E, 10)``."""
        return self._list(self.run.slate_item, -1).astype(np.intp)

    @cached_property
    def list_ratings(self) -> Floats:
        """Their ratings, NaN where there is none; shape ``(E, 10)``."""
        return self._list(self.run.slate_rating, np.nan)

    @property
    def relevant(self) -> NDArray[np.bool_]:
        """Which of them are liked, shape ``(E, 10)``."""
        return self.list_ratings >= self.catalog.liked_from

    @property
    def surprises(self) -> tuple[Floats, Floats]:
        """Sum of the surprises of what was recommended, and how much that was; each of shape ``(E,)``."""
        place = {name: number for number, name in enumerate(self.catalog.ids)}
        surprises = self.catalog.surprises()[[place[name] for name in self.run.titles]]
        rows = self._rows[self.run.slate_episode]
        counted, items = rows[rows >= 0], self.run.slate_item[rows >= 0]
        count = len(self.chosen)
        sums, counts = (np.bincount(counted, added, count).astype(np.float64) for added in (surprises[items], None))
        return sums, counts

    def step_rewards(self, longest: int) -> Floats:
        """Reward of each of the first steps, NaN after the end; shape ``(E, longest)``."""
        return self._grid(self.run.step_episode, self.run.step - 1, self.run.step_reward, longest, np.nan)

    @cached_property
    def _rows(self) -> NDArray[np.intp]:
        """The row of each episode of the run, -1 where it does not count."""
        rows = np.full(len(self.run.episodes), -1, dtype=np.intp)
        rows[self.chosen.position] = np.arange(len(self.chosen))
        return rows

    def _list(self, values: NDArray[Any], fill: float) -> Floats:
        """Values of the first items that were recommended, by episode and place."""
        order = np.argsort(self.run.slate_episode, kind="stable")
        episodes = self.run.slate_episode[order]
        places = np.arange(len(order)) - np.searchsorted(episodes, episodes)
        return self._grid(episodes, places, values[order], LIST_LENGTH, fill)

    def _grid(
        self, episodes: NDArray[np.int64], places: NDArray[np.integer], values: NDArray[Any], width: int, fill: float
    ) -> Floats:
        """Values by episode and place, shape ``(E, width)``."""
        rows = self._rows[episodes]
        shown = (rows >= 0) & (places < width)
        grid = np.full((len(self.chosen), width), fill)
        grid[rows[shown], places[shown]] = values[shown]
        return grid


def whole_episodes(run: RunColumns, items: ItemTable) -> Episodes:
    """All episodes of a complete run; a RunError where there is none, one has no end, or an item is not known."""
    unfinished = run.episodes.number[run.episodes.ended_by(UNFINISHED)].tolist()
    if unfinished or not run.episodes:
        problem = f"episode {unfinished[0]} has no end" if unfinished else "it has no episode"
        raise RunError(f"{run.directory} is not complete: {problem}")
    known = set(items.ids)
    strange = next((name for name in run.titles if name not in known), None)
    if strange is not None:
        raise RunError(f"{run.directory} recommended {strange!r}, which is not in the catalog of the evaluation")
    return Episodes(run, run.episodes, items)


def average_precision(relevant: NDArray[np.bool_]) -> Floats:
    """AP@10 = (1 / 10) * sum over places k of P(k) * rel(k), P(k) the share of the first k that is relevant.

    It takes ten relevant items to exist, so that 1 means that all of the list was liked; from ``(E, 10)`` to ``(E,)``.
    """
    precision = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    return (precision * relevant).sum(axis=1) / relevant.shape[1]


def reciprocal_rank(relevant: NDArray[np.bool_]) -> Floats:
    """1 / place of the first relevant item, 0 where none is; from ``(E, 10)`` to ``(E,)``."""
    return np.where(relevant.any(axis=1), 1.0 / (relevant.argmax(axis=1) + 1), 0.0)


def discounted_gain(ratings: Floats, scale: RatingScale) -> Floats:
    """nDCG@10: sum of gain / log2(place + 1), over that of ten top marks; from ``(E, 10)`` to [0, 1], ``(E,)``.

    The gain of a rating is its relative position on the scale, 0 to 1; where there is no rating, 0.
    """
    gains = np.nan_to_num((ratings - scale.low) / scale.span, nan=0.0)
    result: Floats = gains @ _DISCOUNTS / _DISCOUNTS.sum()
    return result


def _mean(values: Callable[[Episodes], Floats]) -> Callable[[Episodes], tuple[Floats, Floats]]:
    """The mean over episodes as a ratio of sums."""
    return lambda episodes: (values(episodes), episodes.ones)


def _ratio(over: str, under: str) -> Callable[[Episodes], tuple[Floats, Floats]]:
    """The ratio of the sums of two attributes of episodes."""
    return lambda episodes: (episodes.each(over), episodes.each(under))


# fmt: off
METRICS: tuple[Metric, ...] = (
    Metric("mean_reward", "reward per episode", "sum of all rewards / E",
           better="higher", decimals=1, sums=_mean(lambda episodes: episodes.each("reward"))),
    Metric("reward_per_step", "reward per step", "sum of all rewards / number of all steps",
           better="higher", decimals=2, chart=False, sums=_ratio("reward", "steps")),
    Metric("mean_rating", "mean rating", "mean rating of all consumed items, after perturbation",
           better="higher", decimals=2, chart=False, sums=_ratio("total", "rated")),
    Metric("share_liked", "share liked", "share of these ratings that are liked",
           better="higher", unit="%", decimals=1, sums=_ratio("liked", "rated")),
    Metric("episode_length", "steps per episode", "number of all steps / E",
           better="higher", unit="steps", decimals=1, sums=_mean(lambda episodes: episodes.each("steps"))),
    Metric("map_at_10", "MAP@10", "mean of AP = (1/10) sum over k = 1..10 of P(k) rel(k)",
           better="higher", of_lists=True, sums=_mean(lambda episodes: average_precision(episodes.relevant))),
    Metric("mrr_at_10", "MRR@10", "mean of 1 / rank of the first liked item, 0 where none is liked",
           better="higher", of_lists=True, sums=_mean(lambda episodes: reciprocal_rank(episodes.relevant))),
    Metric("ndcg_at_10", "nDCG@10", "mean of the sum over k of g(k) / log2(k + 1), over the same of ten top marks",
           better="higher", of_lists=True,
           sums=_mean(lambda episodes: discounted_gain(episodes.list_ratings, episodes.catalog.scale))),
    Metric("personalization", "personalization", "1 - mean cosine of the lists of two episodes of different users",
           of_lists=True),
    Metric("coverage", "coverage", "share of the catalog that was recommended at least once",
           unit="%", decimals=1, of_lists=True),
    Metric("novelty", "novelty", "mean over all recommendations of -log2 of the item's share of all public counts",
           unit="bits", decimals=2, of_lists=True, sums=lambda episodes: episodes.surprises),
    Metric("valence_at_end", "valence at the end", "mean valence after the last step, -1 to 1",
           better="higher", decimals=2, signed=True, chart=False,
           sums=_mean(lambda episodes: episodes.each("mood")[:, 0])),
    Metric("arousal_at_end", "arousal at the end", "mean arousal after the last step, 0 to 1",
           decimals=2, chart=False, sums=_mean(lambda episodes: episodes.each("mood")[:, 1])),
)
# fmt: on
"""All metrics but why episodes ended, in the order of files. ``scripts/write_tables.py`` writes them into the docs."""


def metric_named(name: str) -> Metric:
    """The metric of this name; one that is shown as it is named, if there is none."""
    return next((metric for metric in METRICS if metric.name == name), Metric(name, name.replace("_", " "), ""))


Estimate = dict[str, float | None]
"""``estimate``, ``low`` and ``high``; None where there is none."""

Ratios = dict[str, tuple[Floats, Floats]]
"""Metrics by name, as :attr:`Metric.sums` has each."""


@dataclass(frozen=True)
class Sample:
    """M metrics, NaN where there is none, ``(M,)``, and the same of B resamples of the users, ``drawn`` ``(B, M)``."""

    names: tuple[str, ...]
    exact: Floats
    drawn: Floats

    def __sub__(self, other: Sample) -> Sample:
        """What the metrics are above another's; paired, if both are of the same users under the same seed."""
        return Sample(self.names, self.exact - other.exact, self.drawn - other.drawn)

    def estimates(self) -> dict[str, Estimate]:
        """Each metric with its 95 % percentile interval."""
        low, high = percentiles(self.drawn)
        ends = ("estimate", "low", "high")
        return {
            name: dict(zip(ends, map(rounded, values), strict=True))
            for name, *values in zip(self.names, self.exact, low, high, strict=True)
        }


def ratios_of(episodes: Episodes, metrics: Iterable[Metric], reasons: Iterable[str]) -> Ratios:
    """Metrics that are ratios, and the share of each end reason, ``end_reason:NAME``."""
    ratios = {metric.name: metric.sums(episodes) for metric in metrics if metric.sums}
    for reason in reasons:
        ratios[f"end_reason:{reason}"] = (episodes.chosen.ended_by(reason).astype(np.float64), episodes.ones)
    return ratios


def sample(episodes: Episodes, ratios: Ratios, users: Sequence[str], resamples: int, seed: Seed) -> Sample:
    """Ratios with resamples of users: each user's episodes together, both sums of a ratio together.

    The same ``users``, each once, in the same order are drawn alike under the same seed.
    """
    over, under = (
        _by_user(np.column_stack([pair[side] for pair in ratios.values()]), episodes, users) for side in (0, 1)
    )
    once = np.ones(len(users))
    exact = divided(once @ over, once @ under)
    return Sample(tuple(ratios), exact, resampled_ratios(over, under, resamples, seed))


def evaluation_sample(
    episodes: Episodes, users: Sequence[str], reasons: Sequence[str], longest: int, resamples: int, seed: Seed
) -> Sample:
    """All metrics of a recommender; ``end_reason:NAME``; ``survival:STEP`` and ``reward:STEP`` up to ``longest``.

    Coverage has no interval: a resample holds fewer different users, so it covers less whatever is measured.
    """
    ratios = ratios_of(episodes, METRICS, reasons)
    rewards = episodes.step_rewards(longest)
    reached = (~np.isnan(rewards)).astype(np.float64)
    for step in range(longest):
        ratios[f"survival:{step + 1}"] = (reached[:, step], episodes.ones)
        ratios[f"reward:{step + 1}"] = (np.nan_to_num(rewards[:, step]), reached[:, step])
    measured = sample(episodes, ratios, users, resamples, seed)
    personalization = _personalization(episodes, users)
    coverage = len(episodes.run.titles) / len(episodes.catalog.ids)
    exact = [*measured.exact, *personalization(np.ones((1, len(users)))), coverage]
    drawn = [measured.drawn, redrawn(personalization, len(users), resamples, seed), np.full(resamples, np.nan)]
    return Sample((*measured.names, "personalization", "coverage"), np.array(exact), np.column_stack(drawn))


def _personalization(episodes: Episodes, users: Sequence[str]) -> Callable[[Floats], Floats]:
    """1 - mean cosine of the lists of two episodes of different users, where users count as often as they are drawn.

    A user who is drawn twice is no pair of different users. With u the summed lists of each user, each list a vector
    over items of length 1, the sum over pairs is ``|sum of w u|^2 - sum of |w u|^2``, which needs no table of pairs.
    """
    present = episodes.lists >= 0
    known = np.unique(episodes.lists[present])
    vectors = np.zeros((len(present), len(known)))
    vectors[np.nonzero(present)[0], np.searchsorted(known, episodes.lists[present])] = 1.0
    vectors /= np.sqrt(np.maximum(vectors.sum(axis=1, keepdims=True), 1.0))
    lists = _by_user(vectors, episodes, users)
    counts = _by_user(present[:, 0].astype(np.float64), episodes, users)

    def value(drawn: Floats) -> Floats:
        squared = drawn**2
        cosines = ((drawn @ lists) ** 2).sum(axis=1) - squared @ (lists**2).sum(axis=1)
        pairs = (drawn @ counts) ** 2 - squared @ counts**2
        return 1.0 - divided(cosines, pairs)

    return value


def _by_user(values: Floats, episodes: Episodes, users: Sequence[str]) -> Floats:
    """Sums of what each episode adds over the episodes of each user, shape ``(P, ...)``."""
    place = {user: row for row, user in enumerate(users)}
    sums = np.zeros((len(users), *values.shape[1:]))
    np.add.at(sums, [place[user] for user in episodes.users], values)
    return sums
