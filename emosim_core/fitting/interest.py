"""What users choose to consume: learned from a log, kept as a few numbers a user, and moved by what happens later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.interactions import Interactions
from emosim_core.errors import MissingDependencyError
from emosim_core.estimators import Past
from emosim_core.fitting.interest_features import ENDS, RANK, Content, ItemColumns
from emosim_core.fitting.saved import array_of
from emosim_core.fitting.trees import Trees
from emosim_core.model import Catalog
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.model.memory import History

DECIMALS = 6
"""Digits that scores are rounded to, so that the order in which a library adds up changes nothing."""

_LEAST = 10
"""Interactions of a user from whose choices something is learned."""

_FEW = 30
"""Users from whose choices the trees are learned, at least."""

_MOST_USERS = 2_000
"""Users from whose choices the trees are learned, at most."""

_CHOSEN = 20
"""Choices of each of them, at most."""

_UNCHOSEN = 3
"""Items that were not chosen, of each kind, beside each choice."""

_ROUNDS = 150
"""Trees."""

_WITHIN, _WITHIN_YEARS = 0.1, 3
"""By what share the popularity, and by how many years the release, of an unchosen item may differ."""

_WORK = 2.5e6
"""Interactions that the models are made of which see none of the users that they are asked about, all together."""


class InterestModel:
    """How likely users choose items: boosted trees over features of a user's past and an item.

    The features are those of EASE (Steck, 2019, doi 10.1145/3308558.3313710) in the leading directions of the log, for
    the whole past, its end, and what was liked in it; what items are (text, categories, creators) beside what the
    user's items are; and facts of an item: year, popularity in all and lately, mean rating, how late users come to it.
    The trees learn from choices that users of the log made in the later halves of their logs, beside items that
    existed then, were as popular, and as old; the features they learn from are made without those users' own choices,
    and of a log with times of what was known before.

    A state is what the features need of a past: sums over it, so that what happens later adds to them.
    """

    def __init__(self, columns: ItemColumns, trees: Trees, explicit: bool) -> None:
        self._columns, self._trees, self._explicit = columns, trees, explicit

    @classmethod
    def fit(
        cls,
        log: Interactions,
        catalog: Catalog,
        seed: int,
        trees_of: InterestModel | None = None,
        rank: int = RANK,
    ) -> InterestModel:
        """Learn from a log.

        Args:
            log: with or without ratings and times.
            catalog: its items.
            seed: decides what is drawn.
            trees_of: a model whose trees are taken over, fitted to an earlier part of the log; None to learn them.
            rank: directions in which choices are kept, at most: fewer reveal less of single users.

        Raises:
            MissingDependencyError: a library of the extra ``fit`` is not installed.
        """
        with _one_thread():
            content = Content.of(catalog)
            trees = _learned(log, catalog, content, seed, rank) if trees_of is None else trees_of._trees
            now = None if log.times is None or not len(log) else float(log.times.max())
            return cls(ItemColumns.of(log, catalog, content, now, seed, rank), trees, log.values is not None)

    @property
    def limits(self) -> tuple[str, ...]:
        """What the log was too small to say of choices, in sentences."""
        if len(self._trees.columns):
            return ()
        return (
            f"fewer than {_FEW} users of the log chose {_LEAST} items or more, so how choices depend on popularity, "
            "years and texts was not learned: what was taken together decides alone",
        )

    def states(self, log: Interactions) -> Floats:
        """What each user's past says, one row for each of ``log.user_ids``, shape ``(U, D)``."""
        starts = log.starts
        rows = np.empty((len(log.user_ids), self._columns.state_width))
        for user in range(len(rows)):
            mine = slice(starts[user], starts[user + 1])
            rows[user] = self.state(Past(log.items[mine], None if log.values is None else log.values[mine]))
        return rows

    def state(self, past: Past) -> Floats:
        """What a past says, shape ``(D,)``; an empty one says nothing, which is a state too."""
        return np.round(self._columns.state(past.items, past.values if self._explicit else None), DECIMALS)

    def scores(self, items: Ints, states: Floats, history: History) -> Floats:
        """How likely R users choose S items each, as log odds beside items that are as popular; higher is likelier.

        Args:
            items: indices in the catalog, shape ``(R, S)``.
            states: of the users' pasts, shape ``(R, D)``.
            history: what they consumed since, R users.

        Returns:
            Shape ``(R, S)``.
        """
        return self._scores_of(self._features(items, states, history))

    def _features(self, items: Ints, states: Floats, history: History) -> NDArray[np.float32]:
        if history.width:
            values = history.ratings if self._explicit else None
            states = self._columns.follow(states, history.items, values, history.lengths)
        return self._columns.features(items, states)

    def scores_by_knowledge(self, items: Ints, states: Floats, history: History, alone: bool) -> dict[str, Floats]:
        """:meth:`scores` by each kind of knowledge alone, or by all others, by the name of the kind.

        What is not known of an item is the median of the items that the same user is asked about, so it tells none of
        them from another. Nothing is learned anew.
        """
        features = self._features(items, states, history)
        unknown = np.broadcast_to(np.median(features, axis=1, keepdims=True), features.shape)
        scores = {}
        for name, columns in self._columns.knowledge().items():
            mixed, other = (unknown.copy(), features) if alone else (features.copy(), unknown)
            mixed[:, :, columns] = other[:, :, columns]
            scores[name] = self._scores_of(mixed)
        return scores

    def _scores_of(self, features: NDArray[np.float32]) -> Floats:
        """Scores by features of shape ``(R, S, F)``; shape ``(R, S)``."""
        flat = features.reshape(-1, features.shape[2])
        return np.round(_start(flat) + self._trees.values(flat), DECIMALS).reshape(features.shape[:2])

    def arrays(self) -> dict[str, NDArray]:
        """The model as plain arrays, for :meth:`load`."""
        return {**self._columns.arrays(), **self._trees.arrays(), "explicit": np.array([self._explicit])}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray], known: Ints, catalog: Catalog) -> InterestModel:
        """The model whose :meth:`arrays` these are, for the items of a catalog.

        Args:
            known: for each item that the model was fitted with its index in ``catalog``, -1 where it has none.
            catalog: may have items besides; they are as the known ones that are most like them in text and
                categories, and nobody took them yet.

        Raises:
            ValueError: the arrays are damaged, or are not of so many items.
        """
        columns = ItemColumns.load(arrays, len(known)).placed(known, catalog)
        explicit = bool(array_of(arrays, "explicit", (1,), 0, 1)[0])
        width = columns.features(np.zeros((1, 1), dtype=np.intp), np.zeros((1, columns.state_width))).shape[2]
        return cls(columns, Trees.load(arrays, width), explicit)

    @property
    def size(self) -> int:
        """D, how many numbers a state has."""
        return self._columns.state_width


def _start(features: NDArray[np.float32]) -> Floats:
    """Log odds that trees begin from: of EASE alone, over all of the past and its end."""
    return 4.0 * features[:, 0].astype(np.float64) + 2.0 * features[:, ENDS]


@dataclass(frozen=True)
class _Example:
    """A user of the log, split: what is past, and what of the rest is asked about.

    Attributes:
        user: index.
        rows: all the user's rows of the log.
        past: those before the split.
        later: those that are asked about.
        moment: seconds since 1970 from which on nothing is known; 0 without times.
    """

    user: int
    rows: slice
    past: slice
    later: Ints
    moment: float


def _learned(log: Interactions, catalog: Catalog, content: Content, seed: int, rank: int) -> Trees:
    """Trees, learned from users' own choices; none where too few have enough."""
    rng = np.random.default_rng([seed, 11])
    examples = _examples(log, rng)
    if len(examples) < _FEW:
        return Trees.none()
    first = _first(log)
    features, chosen, weights = [], [], []
    for block, rows, now in _blocks(log, examples):
        known = log.only(rows)
        if len(np.unique(known.users)) < _LEAST:
            continue
        columns = ItemColumns.of(known, catalog, content, now, seed, rank)
        counts: NDArray[np.int64] = np.bincount(known.items, minlength=log.item_count)
        for one in block:
            items, truth = _queries(log, one, counts, content.years, first, rng)
            if not len(items):
                continue
            state = columns.state(log.items[one.past], None if log.values is None else log.values[one.past])
            features.append(columns.features(items[None], state[None])[0])
            chosen.append(truth)
            share = 1.0 / np.sqrt(truth.sum())
            weights.append(np.where(truth > 0, share, share * truth.sum() / (1 - truth).sum()))
    if len(features) < _FEW:
        return Trees.none()
    table = np.concatenate(features)
    return Trees.fit(table, np.concatenate(chosen), np.concatenate(weights), _start(table), _ROUNDS, seed)


def _examples(log: Interactions, rng: np.random.Generator) -> list[_Example]:
    """Users with enough choices, split at half, in the order of their moments."""
    starts = log.starts.tolist()
    enough = np.flatnonzero(np.diff(log.starts) >= _LEAST)
    some = enough if len(enough) <= _MOST_USERS else np.sort(rng.choice(enough, _MOST_USERS, replace=False))
    examples = []
    for user in some.tolist():
        start, end = starts[user], starts[user + 1]
        middle = start + (end - start) // 2
        later = middle + rng.permutation(end - middle)[:_CHOSEN]
        moment = 0.0 if log.times is None else _month_start(float(log.times[middle]))
        examples.append(_Example(user, slice(start, end), slice(start, middle), later, moment))
    return sorted(examples, key=lambda one: one.moment)


def _month_start(time: float) -> float:
    month = np.datetime64(int(time), "s").astype("datetime64[M]")
    return float(month.astype("datetime64[s]").astype(np.int64))


def _blocks(log: Interactions, examples: list[_Example]) -> Iterator[tuple[list[_Example], Flags, float | None]]:
    """Examples that are asked of one model, which rows of the log it is made of, and until when it knows."""
    count = int(np.clip(_WORK / max(len(log), 1), 3, 24))
    if log.times is None:
        for number in range(count):
            block = examples[number::count]
            yield block, ~np.isin(log.users, [one.user for one in block]), None
        return
    bounds = np.linspace(0, len(examples), count + 1).astype(int).tolist()
    for start, end in pairwise(bounds):
        block = examples[start:end]
        if block:
            now = block[0].moment
            yield block, (log.times < now) & ~np.isin(log.users, [one.user for one in block]), now


def _first(log: Interactions) -> Floats:
    """When each item was first taken; infinity for those that nobody took, shape ``(N,)``."""
    first = np.full(log.item_count, np.inf)
    np.minimum.at(first, log.items, np.zeros(len(log)) if log.times is None else log.times)
    return first


def _queries(
    log: Interactions, one: _Example, counts: NDArray[np.int64], years: Floats, first: Floats, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Items that a user is asked about, and which of them were chosen."""
    mine = np.zeros(log.item_count, dtype=np.bool_)
    mine[log.items[one.rows]] = True
    queries: list[Ints] = []
    truth: list[Floats] = []
    for row in one.later.tolist():
        item = int(log.items[row])
        existed = ~mine & np.isfinite(first)
        if log.times is not None:
            month = _month_start(float(log.times[row]))
            year = 1970 + int(np.datetime64(int(month), "s").astype("datetime64[Y]").astype(int))
            existed = ~mine & (first < month) & ~(years > year)
            if not first[item] < month or years[item] > year:
                continue
        candidates = np.flatnonzero(existed)
        if len(candidates) <= 3 * _UNCHOSEN:
            continue
        far = np.abs(counts[candidates] - counts[item]).astype(np.float64)
        far = np.where(far > _WITHIN * counts[item], far, 0.0) + rng.random(len(candidates))
        others = [rng.choice(candidates, _UNCHOSEN), candidates[np.argpartition(far, _UNCHOSEN)[:_UNCHOSEN]]]
        close = np.abs(years[candidates] - years[item]) <= _WITHIN_YEARS
        if close.sum() > _UNCHOSEN:
            candidates, far = candidates[close], far[close] + rng.random(int(close.sum()))
            others.append(candidates[np.argpartition(far, _UNCHOSEN)[:_UNCHOSEN]])
        queries.append(np.concatenate([[item] * len(others), *others]))
        truth.append(np.concatenate([np.ones(len(others)), np.zeros(len(others) * _UNCHOSEN)]))
    if not queries:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    return np.concatenate(queries), np.concatenate(truth)


@contextmanager
def _one_thread() -> Iterator[None]:
    """BLAS with one thread: its sums then have one order."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingDependencyError(
            "learning what users choose", "threadpoolctl", 'pip install "emosim-core[fit]"'
        ) from error
    with threadpool_limits(1, "blas"):
        yield
