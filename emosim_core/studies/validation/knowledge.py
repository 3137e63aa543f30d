"""What is known at a moment: a log of real users, and what those to learn from did before a month began."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from emosim_core.components.base import Rater
from emosim_core.data.interactions import Interactions
from emosim_core.estimators import ChoiceEstimator, RatingEstimator, choice_estimators, rating_estimators
from emosim_core.fitting.people import known_by
from emosim_core.hooks import Registry
from emosim_core.model import Catalog
from emosim_core.model.arrays import Flags
from emosim_core.simulation.assembly import make_catalog
from emosim_core.simulation.logs import load_log
from emosim_core.studies.validation.candidates import Existing
from emosim_core.studies.validation.users import LEAST_KNOWN, Part, months

_E = TypeVar("_E", ChoiceEstimator, RatingEstimator)


class RealLog:
    """A log of real users and its items, of which nothing is known that these or other users say of them.

    Args:
        plugin: name of the domain.
        source: the log, its items and its columns, as :func:`load_log` takes them.
        embeddings: how items get embeddings.
        seed: decides the order of interactions of the same second, and of all where there are no times.

    Raises:
        EmoSimError: the source cannot be read, or has no log.
    """

    def __init__(
        self, registry: Registry, plugin: str, source: tuple[str, str | None, str], embeddings: str, seed: int
    ) -> None:
        domain, loaded, ratings = load_log(registry, plugin, *source)
        first = type(loaded.items[0]).model_fields
        empty = {name: first[name].get_default(call_default_factory=True) for name in ratings.user_written_fields}
        empty |= {"public_count": 0, "public_rating": None}
        loaded.items = [item.model_copy(update=empty) for item in loaded.items]
        self.notes: list[str] = [*loaded.notes, *ratings.notes]
        self.embedding_notes: list[str] = []
        self.domain = domain
        self.catalog = make_catalog(loaded, domain, embeddings, self.embedding_notes)
        # Made once here, not once for each month.
        _ = self.catalog.index, self.catalog.ids, self.catalog.titles, self.catalog.categories, self.catalog.norms
        self.interactions = Interactions.of(ratings, len(self.catalog), seed)
        times = self.interactions.times
        self.months = None if times is None else months(times)
        self.years = np.array([np.nan if item.year is None else item.year for item in self.catalog.items])

    def digest(self) -> str:
        """SHA-256 of the log, in its order."""
        log, made = self.interactions, hashlib.sha256()
        made.update("\n".join(log.user_ids).encode())
        for column, kind in ((log.users, "<i8"), (log.items, "<i8"), (log.values, "<f8"), (log.times, "<f8")):
            made.update(b"-" if column is None else column.astype(kind).tobytes())
        return made.hexdigest()

    def existing(self, training: Flags) -> Existing:
        """Which items existed when, by what training users took."""
        rows = training[self.interactions.users]
        months = np.zeros(len(rows), dtype=np.intp) if self.months is None else self.months
        first = np.full(len(self.catalog), (months.max() if len(months) else 0) + 1, dtype=np.intp)
        np.minimum.at(first, self.interactions.items[rows], months[rows])
        return Existing(first, self.years)

    def before(self, training: Flags, month: int | None) -> Interactions:
        """What training users did before a month began; all of it without times."""
        rows = training[self.interactions.users]
        return self.interactions.only(rows if month is None or self.months is None else rows & (self.months < month))


class Known:
    """What the training users of a part make known before a month begins.

    Attributes:
        catalog: the items with mean and number of these users' ratings.
        log: what they did.
        enough: whether it is of enough users that somebody can be measured beside it.
    """

    def __init__(self, log: Interactions, catalog: Catalog) -> None:
        self.log, self.enough = log, len(np.unique(log.users)) >= LEAST_KNOWN
        self.catalog = known_by(log, catalog)


class Knowledge:
    """What is known for the users of one part, month by month; the months must be asked for in order.

    Args:
        seed: decides what estimators start from.
    """

    def __init__(self, log: RealLog, part: Part, seed: int) -> None:
        self._log, self._part, self._seed = log, part, seed
        self._known: tuple[int | None, Known] | None = None
        self._year: tuple[int | None, Known] | None = None
        self._fitted: dict[str, tuple[int | None, Any]] = {}
        self._learned: tuple[int | None, int | None] | None = None

    def known(self, month: int | None) -> Known:
        """What is known when a month begins."""
        self._known = self._at(month, self._known)
        return self._known[1]

    def _at(self, month: int | None, last: tuple[int | None, Known] | None) -> tuple[int | None, Known]:
        if last is not None and last[0] == month:
            return last
        catalog = self._log.catalog if last is None else last[1].catalog
        return month, Known(self._log.before(self._part.training, month), catalog)

    def choices(self, month: int | None) -> Sequence[ChoiceEstimator]:
        """All estimators of choices, as they are when a month begins."""
        return self._estimators(month, choice_estimators, lambda one, known: one.fit(known.log, known.catalog))

    def learn(self, month: int | None, rater: Rater) -> None:
        """Have a rater learn what was known when the year of a month began, and then what was when the month did."""
        year, scale = None if month is None else month - month % 12, self._log.domain.scale
        if self._learned is None or self._learned[0] != year:
            known = self._by(year, month)
            rater.learn(known.log, known.catalog, scale)
            self._learned = year, year
        if self._learned[1] != month:
            known = self.known(month)
            rater.learn(known.log, known.catalog, scale, more=True)
            self._learned = year, month

    def _by(self, when: int | None, month: int | None) -> Known:
        """What is known at ``when``: the month that is asked about, or the start of its year."""
        if when == month:
            return self.known(month)
        self._year = self._at(when, self._year)
        return self._year[1]

    def ratings(self, month: int | None) -> Sequence[RatingEstimator]:
        """All estimators of ratings, as they are when a month begins."""
        scale = self._log.domain.scale
        return self._estimators(month, rating_estimators, lambda one, known: one.fit(known.log, known.catalog, scale))

    def _estimators(
        self, month: int | None, make: Callable[[int], list[_E]], fit: Callable[[_E, Known], None]
    ) -> list[_E]:
        fitted = []
        for one in make(self._seed):
            key = f"{make.__name__} {one.name}"
            when = month if month is None or one.monthly else month - month % 12
            if key not in self._fitted or self._fitted[key][0] != when:
                fit(one, self._by(when, month))
                self._fitted[key] = when, one
            fitted.append(self._fitted[key][1])
        return fitted
