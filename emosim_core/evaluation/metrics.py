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
from emosim_core.model.catalog import multi_hot
from emosim_core.runs.words import signed
from emosim_core.stats import Floats, Seed, divided, percentiles, redrawn, resampled_ratios, rounded

LIST_LENGTH = 10
"""First recommendations of an episode that count as its list."""

_DISCOUNTS = 1.0 / np.log2(np.arange(2, LIST_LENGTH + 2))
"""What a place of the list counts in DCG (Järvelin and Kekäläinen, 2002, doi 10.1145/582415.582418)."""

HEAD = 0.2
"""Share of the catalog, its most rated items, that is no long tail."""


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
        text = f"{value:.{self.decimals}{'%' if self.share else 'f'}}"
        return text if any(digit in text for digit in "123456789") else text.removeprefix("-")


@dataclass(frozen=True)
class ItemTable:
    """What metrics of lists need to know beyond the records, of a catalog of N items.

    ``public_counts`` is how many users rated each item, 0 where unknown, shape ``(N,)``; ``liked_from`` the rating from
    which an item is liked.
    """

    ids: Sequence[str]
    public_counts: NDArray[np.int64]
    categories: Sequence[Sequence[str]]
    scale: RatingScale
    liked_from: float

    def surprises(self) -> Floats:
        """``-log2`` of each item's share of all public counts, in bits, shape ``(N,)``.

        The self-information of Zhou et al., 2010, doi 10.1073/pnas.1000488107.

        An item that nobody rated counts as rated once. NaN for all where no count is known.
        """
        if not self.public_counts.any():
            return np.full(len(self.ids), np.nan)
        counts = np.maximum(self.public_counts, 1).astype(np.float64)
        surprises: Floats = -np.log2(counts / counts.sum())
        return surprises

    def popularity(self) -> Floats:
        """How many users rated each item, over the same of the most rated one, shape ``(N,)``, in [0, 1].

        NaN for all where no count is known. The mean over recommendations is the average recommendation popularity of
        Yin et al., 2012, doi 10.14778/2311906.2311916, on a scale that catalogs share.
        """
        if not self.public_counts.any():
            return np.full(len(self.ids), np.nan)
        return self.public_counts / float(self.public_counts.max())

    def long_tail(self) -> Floats:
        """1 for an item of the long tail, all but the most rated :data:`HEAD` of the catalog, else 0; shape ``(N,)``.

        Of items with as many ratings the first ones are the more rated. NaN for all where no count is known. Source of
        the measure: Abdollahpouri, Burke and Mobasher, 2019, arXiv 1901.07555.
        """
        tail = np.ones(len(self.ids))
        tail[np.argsort(-self.public_counts, kind="stable")[: round(HEAD * len(self.ids))]] = 0.0
        return np.where(self.public_counts.any(), tail, np.nan)

    def category_vectors(self) -> Floats:
        """The categories of each item as a vector of length 1, 0 without any; shape ``(N, C)``."""
        names = sorted({name for one in self.categories for name in one})
        flags = multi_hot(self.categories, names).astype(np.float64)
        vectors: Floats = flags / np.maximum(np.linalg.norm(flags, axis=1, keepdims=True), 1.0)
        return vectors


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
    def gains(self) -> Floats:
        """How relevant each of them is, see :meth:`relevance`; shape ``(E, 10)``."""
        return self.relevance(self.list_ratings)

    def relevance(self, ratings: Floats) -> Floats:
        """How many levels of the scale a rating is above the highest that is not liked; 0 for that and all below.

        From 1 to 10 it is 1 for a 7 and 4 for a 10; 0 for a failed rating. Same shape as ``ratings``.
        """
        scale = self.catalog.scale
        highest = scale.levels[scale.levels < self.catalog.liked_from].max(initial=scale.low - scale.step)
        return np.maximum(np.nan_to_num((ratings - highest) / scale.step, nan=0.0), 0.0)

    @cached_property
    def offered_liked(self) -> Floats:
        """How many liked items each episode recommended from its beginning to its end, shape ``(E,)``."""
        liked = self.run.slate_rating >= self.catalog.liked_from
        return self.sum_of_recommended(liked.astype(np.float64))

    @cached_property
    def ideal_gains(self) -> Floats:
        """The highest gains of all that an episode recommended, highest first, shape ``(E, 10)``."""
        gains = self.relevance(self.run.slate_rating)
        return self._list(gains, 0.0, np.lexsort((-gains, self.run.slate_episode)))

    @property
    def recommended_items(self) -> NDArray[np.intp]:
        """The catalog's number of each recommended item of the run, shape ``(recommendations of the run,)``."""
        place = {name: number for number, name in enumerate(self.catalog.ids)}
        return np.array([place[name] for name in self.run.titles], dtype=np.intp)[self.run.slate_item]

    @property
    def recommended(self) -> Floats:
        """How many items each episode recommended, shape ``(E,)``."""
        return self.sum_of_recommended(np.ones(len(self.run.slate_episode)))

    def sum_of_recommended(self, values: Floats) -> Floats:
        """Sums over what each episode recommended of ``values`` of all recommendations of the run, shape ``(E,)``."""
        rows = self._rows[self.run.slate_episode]
        return np.bincount(rows[rows >= 0], values[rows >= 0], len(self.chosen)).astype(np.float64)

    def step_rewards(self, longest: int) -> Floats:
        """Reward of each of the first steps, NaN after the end; shape ``(E, longest)``."""
        return self._grid(self.run.step_episode, self.run.step - 1, self.run.step_reward, longest, np.nan)

    @cached_property
    def _rows(self) -> NDArray[np.intp]:
        """The row of each episode of the run, -1 where it does not count."""
        rows = np.full(len(self.run.episodes), -1, dtype=np.intp)
        rows[self.chosen.position] = np.arange(len(self.chosen))
        return rows

    def _list(self, values: NDArray[Any], fill: float, order: NDArray[np.intp] | None = None) -> Floats:
        """Values of the first items of each episode, by episode and place; as recommended unless in another order."""
        order = np.argsort(self.run.slate_episode, kind="stable") if order is None else order
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


def average_precision(relevant: NDArray[np.bool_], total: Floats) -> Floats:
    """AP@10 = sum over places k of P(k) rel(k), over min(10, ``total``), P(k) the relevant share of the first k.

    ``relevant`` has the shape ``(E, 10)``; ``total`` is how many relevant items there are, shape ``(E,)``. 0 where
    there are none. Buckley and Voorhees, 2000, doi 10.1145/345508.345543.
    """
    precision = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    return (precision * relevant).sum(axis=1) / np.clip(total, 1, relevant.shape[1])


def reciprocal_rank(relevant: NDArray[np.bool_]) -> Floats:
    """1 / place of the first relevant item, 0 where none is; from ``(E, 10)`` to ``(E,)``.

    Voorhees, 1999, "The TREC-8 question answering track report".
    """
    return np.where(relevant.any(axis=1), 1.0 / (relevant.argmax(axis=1) + 1), 0.0)


def recall(relevant: NDArray[np.bool_], total: Floats) -> Floats:
    """Share of the ``total`` relevant items, shape ``(E,)``, that is in the list, ``(E, 10)``; 0 where there are none.

    Herlocker, Konstan, Terveen and Riedl, 2004, doi 10.1145/963770.963772.
    """
    return relevant.sum(axis=1) / np.maximum(total, 1.0)


def discounted_gain(gains: Floats, ideal: Floats) -> Floats:
    """nDCG@10: sum of gain / log2(place + 1), over that of the ``ideal`` order; from ``(E, 10)`` to [0, 1], ``(E,)``.

    0 where there is nothing to gain. Järvelin and Kekäläinen, 2002, doi 10.1145/582415.582418.
    """
    best = ideal @ _DISCOUNTS
    return np.divide(gains @ _DISCOUNTS, best, out=np.zeros(len(best)), where=best > 0)


def intra_list_diversity(episodes: Episodes) -> tuple[Floats, Floats]:
    """1 - mean cosine of the categories of two items of a list (Ziegler et al., 2005, doi 10.1145/1060745.1060754).

    As a ratio of two sums, ``(E,)`` each; a list of fewer than two items does not count. NaN where no item of the
    catalog has a category.
    """
    place = {name: number for number, name in enumerate(episodes.catalog.ids)}
    present = episodes.lists >= 0
    vectors = episodes.catalog.category_vectors()
    items = np.array([*(place[name] for name in episodes.run.titles), 0], dtype=np.intp)  # the last where none is shown
    shown = vectors[items[np.maximum(episodes.lists, 0)]] * present[:, :, None]
    length = present.sum(axis=1).astype(np.float64)
    pairs = length * (length - 1.0)
    alike = (shown.sum(axis=1) ** 2).sum(axis=1) - (shown**2).sum(axis=(1, 2))
    counted = ((pairs > 0) & vectors.any()).astype(np.float64)
    return counted * (1.0 - alike / np.maximum(pairs, 1.0)), counted


def gini(counts: Floats) -> float:
    """Gini index of how often items were recommended, shape ``(N,)``: 0 for all alike, to ``1 - 1/N`` for one alone.

    NaN where none was.

    Adomavicius and Kwon, 2012, doi 10.1109/TKDE.2011.15.
    """
    places = np.arange(1, len(counts) + 1)
    ordered = np.sort(counts)
    if not ordered.any():
        return float("nan")
    return float(2 * (places @ ordered) / (len(counts) * ordered.sum()) - (len(counts) + 1) / len(counts))


def _of_recommended(values: Callable[[ItemTable], Floats]) -> Callable[[Episodes], tuple[Floats, Floats]]:
    """The mean over all recommendations of a value of each item, ``(N,)``."""
    return lambda episodes: (
        episodes.sum_of_recommended(values(episodes.catalog)[episodes.recommended_items]),
        episodes.recommended,
    )


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
    Metric("ndcg_at_10", "nDCG@10", "mean of DCG@10 / DCG@10 of the ideal order of all that the episode recommended",
           better="higher", of_lists=True,
           sums=_mean(lambda episodes: discounted_gain(episodes.gains, episodes.ideal_gains))),
    Metric("map_at_10", "MAP@10", "mean of AP = sum over k = 1..10 of P(k) rel(k) / min(10, liked in the episode)",
           better="higher", of_lists=True,
           sums=_mean(lambda episodes: average_precision(episodes.relevant, episodes.offered_liked))),
    Metric("mrr_at_10", "MRR@10", "mean of 1 / rank of the first liked item, 0 where none is liked",
           better="higher", of_lists=True, sums=_mean(lambda episodes: reciprocal_rank(episodes.relevant))),
    Metric("recall_at_10", "recall@10", "mean of liked items of the list / liked items of all that was recommended",
           better="higher", of_lists=True,
           sums=_mean(lambda episodes: recall(episodes.relevant, episodes.offered_liked))),
    Metric("personalization", "personalization", "1 - mean cosine of the lists of two episodes of different users",
           of_lists=True),
    Metric("intra_list_diversity", "intra-list diversity", "mean of 1 - mean cosine of the categories of two of a list",
           of_lists=True, sums=intra_list_diversity),
    Metric("coverage", "coverage", "share of the catalog that was recommended at least once",
           unit="%", decimals=1, of_lists=True),
    Metric("gini", "Gini of exposure", "Gini index over the catalog of how often an item was recommended; 0 is equal",
           of_lists=True),
    Metric("popularity", "popularity", "mean over recommendations of the item's public count / the catalog's highest",
           unit="%", decimals=1, of_lists=True, sums=_of_recommended(ItemTable.popularity)),
    Metric("long_tail", "long tail", "share of recommendations outside the most rated fifth of the catalog",
           unit="%", decimals=1, of_lists=True, sums=_of_recommended(ItemTable.long_tail)),
    Metric("novelty", "novelty", "mean over all recommendations of -log2 of the item's share of all public counts",
           unit="bits", decimals=2, of_lists=True, sums=_of_recommended(ItemTable.surprises)),
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

    def only(self, names: Sequence[str]) -> Sample:
        """Some of the metrics."""
        places = [self.names.index(name) for name in names]
        return Sample(tuple(names), self.exact[places], self.drawn[:, places])

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


def user_sums(episodes: Episodes, ratios: Ratios, users: Sequence[str]) -> tuple[Floats, Floats]:
    """Both sums of each ratio over the episodes of each user, shape ``(P, M)`` each."""
    over, under = (
        _by_user(np.column_stack([pair[side] for pair in ratios.values()]), episodes, users) for side in (0, 1)
    )
    return over, under


def sample(episodes: Episodes, ratios: Ratios, users: Sequence[str], resamples: int, seed: Seed) -> Sample:
    """Ratios with resamples of users: each user's episodes together, both sums of a ratio together.

    The same ``users``, each once, in the same order are drawn alike under the same seed.
    """
    over, under = user_sums(episodes, ratios, users)
    once = np.ones(len(users))
    exact = divided(once @ over, once @ under)
    return Sample(tuple(ratios), exact, resampled_ratios(over, under, resamples, seed))


def evaluation_sample(
    episodes: Episodes, users: Sequence[str], reasons: Sequence[str], longest: int, resamples: int, seed: Seed
) -> Sample:
    """All metrics of a recommender; ``end_reason:NAME``; ``survival:STEP`` and ``reward:STEP`` up to ``longest``.

    Coverage (Ge, Delgado-Battenfeld and Jannach, 2010, doi 10.1145/1864708.1864761) and the Gini index have no
    interval: a resample holds fewer different users, so it covers less whatever is measured.
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
    exposure = gini(np.bincount(episodes.recommended_items, minlength=len(episodes.catalog.ids)).astype(np.float64))
    exact = [*measured.exact, *personalization(np.ones((1, len(users)))), coverage, exposure]
    drawn = [measured.drawn, redrawn(personalization, len(users), resamples, seed), np.full((resamples, 2), np.nan)]
    return Sample((*measured.names, "personalization", "coverage", "gini"), np.array(exact), np.column_stack(drawn))


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
