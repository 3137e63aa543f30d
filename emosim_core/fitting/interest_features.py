"""What is said of a user and an item together: features, from sums over the user's past and columns of items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.interactions import Interactions
from emosim_core.fitting.coconsumption import directions
from emosim_core.fitting.saved import array_of
from emosim_core.model import Catalog
from emosim_core.model.arrays import Floats, Ints

RANK = 512
"""Directions in which all choices of a user are kept, at most."""

SHORT_RANK = 128
"""Directions in which other sums over a past are kept, at most."""

_TEXT, _CATEGORIES, _CREATORS = 64, 32, 128
"""Numbers that say what an item is: of its text, its categories, and who made it, at most."""

HALF_LIVES = (0.0, 30.0, 8.0)
"""Over how many later choices one counts half as much, for each sum over a past; 0 is never."""

_RIDGES = ((200.0, 30.0, 1000.0, 10_000.0), (200.0,), (200.0, 30.0), (200.0,))
"""Regularizations of EASE, in users, for each sum of :data:`HALF_LIVES` and for the one weighted by ratings."""

ENDS = len(_RIDGES[0])
"""The column of features that has the first of those of EASE for the end of a past; column 0 is of all of it."""

_SUMS = len(_RIDGES)

_TAIL = 4
"""Numbers at the end of a state: choices, ratings, their sum, their sum of squares."""

_DAY = 86_400.0
_YEAR = 365.25
_RECENT = (30.0, 180.0, 730.0)
"""Days that count as recent."""

_MOST = 1e9
"""What no number of a model is beyond."""

_TIMED = 4
"""The first fact that needs times: years since release; the next is years since somebody took the item first."""

_NEIGHBORS = 10
"""Known items whose columns a new item has on average."""


@dataclass(frozen=True)
class ItemColumns:
    """N items as users of a log took them.

    Attributes:
        strengths: squared singular values of users by items, falling, shape ``(r,)``.
        latent: right singular vectors, shape ``(N, r)``.
        content: what items are, shape ``(N, c)``; parts of length 1 each, see ``widths``.
        widths: numbers of ``content`` that are of text, categories and people, shape ``(3,)``.
        facts: of each item alone, shape ``(N, F)``: the first two are its year, and the logarithm of the share of
            users who took it.
        middle: mean rating of the log; users of the log; both 0 where there are none; shape ``(2,)``.
    """

    strengths: Floats
    latent: NDArray[np.float32]
    content: NDArray[np.float32]
    widths: Ints
    facts: Floats
    middle: Floats

    @classmethod
    def of(
        cls, log: Interactions, catalog: Catalog, content: Content, now: float | None, seed: int, rank: int = RANK
    ) -> ItemColumns:
        """The columns by what a log says until ``now``, in seconds since 1970; None without times."""
        strengths, latent = directions(log, seed, rank)
        present = len(np.unique(log.users))
        middle = 0.0 if log.values is None or not len(log) else float(log.values.mean())
        facts = _facts(log, content.years, middle, now)
        return cls(strengths, latent, content.columns, content.widths, facts, np.array([middle, float(present)]))

    @property
    def _short(self) -> int:
        return min(len(self.strengths), SHORT_RANK)

    @property
    def _split(self) -> list[int]:
        """Where the parts of a state end: of the whole past, of the other sums, of all sums' content and facts."""
        rank = len(self.strengths)
        return np.cumsum([rank, (_SUMS - 1) * self._short, _SUMS * (int(self.widths.sum()) + 2)]).tolist()

    @property
    def state_width(self) -> int:
        """D, the length of a state."""
        return self._split[-1] + _TAIL

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        """What a past sums beside the latent, shape ``(N, c + 2)``: content, year, popularity."""
        return np.column_stack([self.content, self.facts[:, :2]]).astype(np.float32)

    @cached_property
    def _filters(self) -> list[Floats]:
        """By what the directions of each sum are multiplied, shape ``(ridges, r)`` or ``(ridges, short)``."""
        ranks = [len(self.strengths), *[self._short] * (_SUMS - 1)]
        return [
            np.stack([self.strengths[:rank] / (self.strengths[:rank] + ridge) for ridge in some])
            for rank, some in zip(ranks, _RIDGES, strict=True)
        ]

    @cached_property
    def _apart(self) -> Floats:
        """What EASE divides by, for each sum and ridge, shape ``(N, ridges of all sums)``."""
        squared = self.latent.astype(np.float64) ** 2
        return np.concatenate([1.0 - squared[:, : some.shape[1]] @ some.T for some in self._filters], axis=1)

    def state(self, items: Ints, values: Floats | None) -> Floats:
        """The sums over one past, oldest first, shape ``(D,)``; values None where nothing was rated."""
        rated = None if values is None else values[None]
        return self.follow(np.zeros((1, self.state_width)), items[None], rated, np.array([len(items)]))[0]

    def follow(self, states: Floats, items: Ints, values: Floats | None, lengths: Ints) -> Floats:
        """The states of R users, shape ``(R, D)``, after they took more.

        Args:
            items: what they took, oldest first, shape ``(R, W)``.
            values: how they rated it, same shape, NaN where they did not; None where nothing was rated.
            lengths: how many of each row count, from its start, shape ``(R,)``.
        """
        users, width = items.shape
        age = lengths[:, None] - 1 - np.arange(width)
        counts = (age >= 0).astype(np.float64)
        apart = np.zeros(items.shape) if values is None else np.where(age >= 0, values - self.middle[0], np.nan)
        rated = np.isfinite(apart) & (values is not None)
        apart = np.where(rated, apart, 0.0)
        falls = [np.exp2(-np.maximum(age, 0) / half) * counts if half else counts for half in HALF_LIVES]
        weights = np.stack([*falls, apart], axis=1)
        decayed = np.stack([0.5 ** (lengths / half) if half else np.ones(users) for half in (*HALF_LIVES, 0.0)], axis=1)
        latent, vectors = self.latent[items].astype(np.float64), self._vectors[items].astype(np.float64)
        first, others, sums, tail = np.split(states, self._split, axis=1)
        first = first + np.matmul(weights[:, :1], latent)[:, 0]
        others = others.reshape(users, _SUMS - 1, self._short) * decayed[:, 1:, None]
        others += np.matmul(weights[:, 1:], latent[:, :, : self._short])
        sums = sums.reshape(users, _SUMS, vectors.shape[2]) * decayed[:, :, None] + np.matmul(weights, vectors)
        tail = tail + np.stack([lengths, rated.sum(axis=1), apart.sum(axis=1), (apart**2).sum(axis=1)], axis=1)
        return np.concatenate([first, others.reshape(users, -1), sums.reshape(users, -1), tail], axis=1)

    def features(self, items: Ints, states: Floats) -> NDArray[np.float32]:
        """Features of R users, states of shape ``(R, D)``, with items of shape ``(R, S)``; shape ``(R, S, F)``."""
        users, short = len(states), self._short
        first, others, sums, tail = np.split(states, self._split, axis=1)
        others, sums = others.reshape(users, _SUMS - 1, short).copy(), sums.reshape(users, _SUMS, -1).copy()
        count, rated, total, squares = tail.T
        mean = np.divide(total, rated, out=np.zeros_like(total), where=rated > 0)
        others[:, -1] -= mean[:, None] * first[:, :short]
        sums[:, -1] -= mean[:, None] * sums[:, 0]
        spread = np.maximum(squares - rated * mean**2, 0.0)
        weights, lengths = [], []
        for half in HALF_LIVES:
            fall = 0.5 ** (1.0 / half) if half else 1.0
            weights.append((1 - fall**count) / (1 - fall) if half else count)
            lengths.append((1 - fall ** (2 * count)) / (1 - fall**2) if half else count)
        norms = np.sqrt(np.stack([*lengths, spread], axis=1) + 1.0)
        flat = items.ravel()
        latent = self.latent[flat].reshape(*items.shape, -1).astype(np.float64)
        whole = self._filters[0] * first[:, None]
        ends = np.concatenate([some * others[:, number, None] for number, some in enumerate(self._filters[1:])], axis=1)
        products = (
            np.matmul(latent, whole.transpose(0, 2, 1)),
            np.matmul(latent[:, :, :short], ends.transpose(0, 2, 1)),
        )
        scores = np.concatenate(products, axis=2) / self._apart[flat].reshape(*items.shape, -1)
        scores /= np.repeat(norms, [len(some) for some in _RIDGES], axis=1)[:, None]
        columns = [scores]
        divisors = np.stack([*(np.maximum(one, 1e-9) for one in weights), norms[:, -1]], axis=1)
        content = self.content[flat].reshape(*items.shape, -1).astype(np.float64)
        start = 0
        for part in self.widths.tolist():
            those = sums[:, :, start : start + part] / divisors[:, :, None]
            columns.append(np.matmul(content[:, :, start : start + part], those.transpose(0, 2, 1)))
            start += part
        facts = self.facts[flat].reshape(*items.shape, -1)
        columns.append(facts)
        means = sums[:, : len(HALF_LIVES), -2:] / divisors[:, : len(HALF_LIVES), None]
        columns += [facts[:, :, None, number] - means[:, None, :, number] for number in (0, 1)]
        user = np.column_stack([np.log1p(count), means[:, 0], np.full(len(states), np.log1p(self.middle[1]))])
        columns.append(np.broadcast_to(user[:, None], (*items.shape, user.shape[1])))
        return np.round(np.concatenate(columns, axis=2), 6).astype(np.float32)

    def knowledge(self) -> dict[str, Ints]:
        """Which of the features are of which kind of knowledge; those of the user alone are of none.

        Popularity is that in all and lately, recency is by release and by first use, and how late users come to an
        item. A kind that the items say nothing of is left out.
        """
        ease, width, facts = sum(map(len, _RIDGES)), len(self.widths) * _SUMS, self.facts.shape[1]
        first = ease + width
        years, popular = (first + facts + len(HALF_LIVES) * number + np.arange(len(HALF_LIVES)) for number in (0, 1))
        timed = first + np.arange(min(_TIMED, facts), facts)
        kinds = {
            "popularity": np.concatenate([[first + 1], timed[2:], popular]),
            "recency": np.concatenate([[first, first + 3], timed[:2], years]),
            "mean rating": np.array([first + 2]),
            "co-consumption": np.arange(ease),
        }
        for number, name in enumerate(("text", "categories", "creators")):
            if self.widths[number]:
                kinds[name] = ease + number * _SUMS + np.arange(_SUMS)
        return {name: columns.astype(np.intp) for name, columns in kinds.items()}

    def placed(self, known: Ints, catalog: Catalog) -> ItemColumns:
        """The same columns for the items of a catalog; what is new there has what the nearest known ones have."""
        count = len(catalog)
        here = np.flatnonzero(known >= 0)
        places = known[here]
        new = np.setdiff1d(np.arange(count), places)
        moved = {}
        for name in ("latent", "content", "facts"):
            column = getattr(self, name)
            moved[name] = np.zeros((count, column.shape[1]), dtype=column.dtype)
            moved[name][places] = column[here]
        if len(new):
            near, share = _nearest(catalog, places, new)
            for column in moved.values():
                column[new] = np.einsum("nk,nkd->nd", share, column[places[near]]) if len(places) else 0.0
            years = np.array([np.nan if catalog.items[one].year is None else catalog.items[one].year for one in new])
            facts = moved["facts"][new]
            newer = np.where(np.isnan(years), 0.0, years - facts[:, 0])
            facts[:, 0] += newer
            facts[:, 1] = np.log(0.5 / (self.middle[1] + 1.0))
            if facts.shape[1] > _TIMED:
                facts[:, _TIMED] -= newer
                facts[:, _TIMED + 1] = 0.0
            moved["facts"][new] = facts
        return replace(self, **moved)

    def arrays(self) -> dict[str, NDArray]:
        """What :meth:`load` takes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray], count: int) -> ItemColumns:
        """The columns whose :meth:`arrays` these are, of so many items.

        Raises:
            ValueError: the arrays are damaged.
        """
        strengths = array_of(arrays, "strengths", (-1,), 0, _MOST)
        latent = array_of(arrays, "latent", (count, len(strengths)), -1.001, 1.001)
        content = array_of(arrays, "content", (count, -1), -_MOST, _MOST)
        widths = array_of(arrays, "widths", (3,), 0, content.shape[1])
        if widths.sum() != content.shape[1]:
            raise ValueError("'widths' are not those of 'content'")
        facts = array_of(arrays, "facts", (count, -1), -_MOST, _MOST)
        if facts.shape[1] < 2:
            raise ValueError("'facts' has no years and no popularity")
        middle = array_of(arrays, "middle", (2,), -_MOST, _MOST)
        return cls(strengths, latent, content, widths.astype(np.intp), facts, middle)


@dataclass(frozen=True)
class Content:
    """What the items of a catalog are, whoever took them: see :class:`ItemColumns`; ``years`` has NaN where unknown."""

    columns: NDArray[np.float32]
    widths: Ints
    years: Floats

    @classmethod
    def of(cls, catalog: Catalog) -> Content:
        """Read it off a catalog."""
        parts = [_text(catalog), _categories(catalog), creators_of(catalog)]
        years = np.array([np.nan if item.year is None else float(item.year) for item in catalog.items])
        return cls(np.column_stack(parts).astype(np.float32), np.array([one.shape[1] for one in parts]), years)


def _text(catalog: Catalog) -> Floats:
    vectors = catalog.embeddings.astype(np.float64)
    if vectors.shape[1] > _TEXT:
        directions = np.linalg.eigh(vectors.T @ vectors)[1][:, : -_TEXT - 1 : -1]
        vectors = vectors @ directions
    return np.round(vectors, 6)


def _categories(catalog: Catalog) -> Floats:
    flags = catalog.categories.astype(np.float64)
    often = np.sort(np.argsort(-flags.sum(axis=0), kind="stable")[:_CATEGORIES])
    flags = flags[:, often]
    return flags / np.maximum(np.linalg.norm(flags, axis=1, keepdims=True), 1.0)


def creators_of(catalog: Catalog) -> Floats:
    """Creators and series, each as a random direction that its name alone decides, shape ``(N, 128)``.

    Without columns where no item has either.
    """
    names = [
        (*(f"by {one}" for one in item.creators[:3]), *([item.collection] if item.collection else ()))
        for item in catalog.items
    ]
    if not any(names):
        return np.zeros((len(catalog), 0))
    known: dict[str, Floats] = {}
    table = np.zeros((len(catalog), _CREATORS))
    for row, some in enumerate(names):
        for name in some:
            if name not in known:
                bits = np.frombuffer(blake2b(name.encode(), digest_size=_CREATORS // 8).digest(), dtype=np.uint8)
                known[name] = (np.unpackbits(bits) * 2.0 - 1.0) / np.sqrt(_CREATORS)
            table[row] += known[name]
    return table / np.maximum(np.sqrt([len(some) for some in names]), 1.0)[:, None]


def _facts(log: Interactions, years: Floats, middle: float, now: float | None) -> Floats:
    """Year, popularity, mean rating, place in users' logs, age, recent popularity; shape ``(N, F)``."""
    count = log.item_count
    counts = np.bincount(log.items, minlength=count).astype(np.float64)
    known = ~np.isnan(years)
    year = np.where(known, years, years[known].mean() if known.any() else 0.0)
    users = len(np.unique(log.users))
    columns = [year, np.log((counts + 0.5) / (users + 1.0))]
    ratings = np.zeros(count) if log.values is None else np.bincount(log.items, log.values - middle, count)
    columns.append(ratings / (counts + 5.0))
    starts = log.starts
    length = np.diff(starts)
    place = (np.arange(len(log)) - starts[log.users] + 0.5) / np.maximum(length, 1)[log.users]
    columns.append((np.bincount(log.items, place, count) + 1.0) / (counts + 2.0))
    if log.times is not None and now is not None:
        columns.append(1970.0 + now / _DAY / _YEAR - year)
        since = np.maximum(now - log.times, 0.0) / _DAY
        first = np.zeros(count)
        np.maximum.at(first, log.items, since)
        columns.append(first / _YEAR)
        columns += [np.log((np.bincount(log.items, since <= days, count) + 0.5) / (counts + 2.0)) for days in _RECENT]
        columns.append(np.log((np.bincount(log.items, np.exp2(-since / _RECENT[-1]), count) + 0.2) / (counts + 0.5)))
    return np.column_stack(columns)


def _nearest(catalog: Catalog, places: Ints, new: Ints) -> tuple[Ints, Floats]:
    """For each new item, known ones most like it, as indices of ``places``, and what share each has; ``(n, k)``."""
    flags = catalog.categories.astype(np.float64)
    flags /= np.maximum(np.linalg.norm(flags, axis=1, keepdims=True), 1.0)
    vectors = np.column_stack([catalog.embeddings, flags])
    count = min(_NEIGHBORS, len(places))
    near = np.zeros((len(new), count), dtype=np.intp)
    share = np.zeros((len(new), count))
    for at in range(0, len(new), 512):
        alike = np.round(vectors[new[at : at + 512]] @ vectors[places].T, 6)
        best = np.argsort(-alike, axis=1, kind="stable")[:, :count]
        weight = np.maximum(np.take_along_axis(alike, best, axis=1), 0.0) ** 2 + 1e-6
        near[at : at + 512], share[at : at + 512] = best, weight / weight.sum(axis=1, keepdims=True)
    return near, share
