"""The rater ``mix``: several raters, each of which answers for some of the users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from hashlib import blake2b, sha256
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from emosim_core.components.base import (
    Draws,
    Exchange,
    Rater,
    RaterService,
    RatingRequest,
    Ratings,
    RowDraws,
    WorldSetting,
)
from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError
from emosim_core.hooks import Resolved
from emosim_core.hooks.faults import named
from emosim_core.hooks.mixtures import WEIGHT, read_mixture
from emosim_core.model import Catalog, Population, RatingScale, User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import Frozen, option

_WHERE = "rater 'mix'"


class MixOptions(Frozen):
    """Options of ``mix``."""

    raters: dict[str, dict[str, Any]] = option(
        ...,
        "Raters with their shares of the users, such as llm=0.1,fitted=0.9; options of one by its name, such as "
        "fitted.noise=0. In a file a table for each, with its weight and its options.",
        mixture="rater",
    )
    seed: int = option(42, "Decides which rater answers for which user.", ge=0)

    @field_validator("raters", mode="before")
    @classmethod
    def _read(cls, value: Any) -> dict[str, dict[str, Any]]:
        entries = read_mixture(value, _WHERE)
        if "mix" in entries:
            raise ConfigurationError(f"{_WHERE}: a mixture cannot be one of its own raters; name others")
        return entries


class Mixture(Rater):
    """Several raters. Who answers for a user is decided by a seed and the user's id alone, in all situations.

    A share of the users as large as the weight is expected for each rater, whoever else is among them; the same users
    have the same rater in every run, training, evaluation and validation with this seed.

    Each rater gets the rows of its users alone, so that its answers and draws are those that it gives without the
    others. The wish for items that nobody chose yet (:meth:`interest_batch`) of users of a language model is that of
    the rater with the largest weight that tells it.

    Args:
        options: weights and the seed.
        raters: the raters, by name.
        labels: of the raters by name, for errors that escape from their code; unless given, made of the names.

    Raises:
        ConfigurationError: two raters call language models, or have services.
    """

    def __init__(
        self, options: MixOptions, raters: Mapping[str, Rater], labels: Mapping[str, str] | None = None
    ) -> None:
        self.options = options
        self._labels = {name: f"rater {name!r}" for name in raters} if labels is None else dict(labels)
        self.names = tuple(sorted(raters))  # in whichever order they are written
        self.raters = {name: raters[name] for name in self.names}
        self.weights = {name: float(options.raters[name][WEIGHT]) for name in self.names}
        models = [name for name, rater in self.raters.items() if rater.uses_llm]
        services = [name for name, rater in self.raters.items() if type(rater).service is not Rater.service]
        for several, what in ((models, "call a language model"), (services, "have a service of their own")):
            if len(several) > 1:
                raise ConfigurationError(
                    f"{_WHERE}: {' and '.join(map(repr, several))} {what}; a mixture has at most one that does"
                )
        self._model = self.raters[models[0]] if models else None
        self._served = services[0] if services else ""
        self.uses_llm = bool(models)
        self.deferred = any(rater.deferred for rater in self.raters.values())
        self._telling = [name for name, rater in self.raters.items() if rater.tells_interest()]
        self.interest_is_log_odds = bool(self._telling) and all(
            self.raters[name].interest_is_log_odds for name in self._telling
        )
        self.batch_size = max(rater.batch_size for rater in self.raters.values())
        self.language_model = "" if self._model is None else self._model.language_model
        digests = [f"{name} {rater.data_sha256}\n" for name, rater in self.raters.items() if rater.data_sha256]
        self.data_sha256 = sha256("".join(digests).encode()).hexdigest() if digests else ""
        self.answered_by = "; ".join(
            f"{100 * self.weights[name]:.3g} % of users: {rater.answered_by or f'{name} (no language model)'}"
            for name, rater in self.raters.items()
        )
        self._population: Population | None = None
        self._assigned: Ints = np.zeros(0, dtype=np.intp)
        self._instead: Ints = np.arange(len(self.names))
        self._last: list[tuple[str, Ints]] = []

    def of_users(self, users: Sequence[User]) -> Ints:
        """The number of the rater of each user, in the order of the names; shape ``(len(users),)``."""
        edges = np.cumsum(list(self.weights.values()))
        drawn = np.array([_place(self.options.seed, user.id) for user in users], dtype=np.float64)
        merged = np.searchsorted(edges, drawn, side="right")
        return np.minimum(merged, len(self.names) - 1).astype(np.intp)

    def answering(self, users: Ints, population: Population) -> NDArray[np.str_]:
        return np.array(self.names)[self._numbers(users, population)]

    def _numbers(self, users: Ints, population: Population) -> Ints:
        if population is not self._population:
            self._population, self._assigned = population, self.of_users(population.users)
        return self._instead[self._assigned[users]]

    # ---------------------------------------------------------------------------- what all of them are asked

    def learn(self, log: Interactions, catalog: Catalog, scale: RatingScale, more: bool = False) -> None:
        for name, rater in self.raters.items():
            with named(self._labels[name]):
                rater.learn(log, catalog, scale, more)

    def prepare(self, setting: WorldSetting) -> None:
        self._numbers(np.zeros(0, dtype=np.intp), setting.population)
        for name, rater in self.raters.items():
            with named(self._labels[name]):
                rater.prepare(setting if name == self._served else replace(setting, ask_service=None))

    def announcements(self) -> Sequence[str]:
        return [note for rater in self.raters.values() for note in rater.announcements()]

    def close(self) -> None:
        for rater in self.raters.values():
            rater.close()

    def usage(self) -> Mapping[str, Any]:
        return {} if self._model is None else self._model.usage()

    def service(self) -> RaterService | None:
        return self.raters[self._served].service() if self._served else None

    def exchanges(self) -> Sequence[Exchange]:
        return [
            replace(one, row=int(rows[one.row])) for name, rows in self._last for one in self.raters[name].exchanges()
        ]

    # ------------------------------------------------------------------------- what each is asked of its users

    def rate_batch(self, request: RatingRequest, draws: Draws) -> Ratings:
        values = np.full(request.items.shape, np.nan)
        answers: list[Ratings] = []
        which, where = np.zeros((2, len(request.users)), dtype=np.intp)
        self._last = []
        for name, rows, part in self._parts(request):
            self._last.append((name, rows))
            with named(self._labels[name]):
                own = draws if part is request else cast(RowDraws, draws).of_rows(rows)
                answered = self.raters[name].rate_batch(part, own)
            values[rows] = answered.values
            which[rows], where[rows] = len(answers), np.arange(len(rows))
            answers.append(answered)
        return Ratings(
            values,
            lambda row, place: answers[which[row]].reason(int(where[row]), place),
            lambda row, place: answers[which[row]].probabilities(int(where[row]), place),
        )

    def expected_batch(self, request: RatingRequest) -> Floats:
        return self._joined(request, lambda rater, part: rater.expected_batch(part))

    def distribution_batch(self, request: RatingRequest) -> Floats:
        return self._joined(request, lambda rater, part: rater.distribution_batch(part))

    def interest_batch(self, request: RatingRequest) -> Floats:
        return self._joined(request, _interest)

    def tells_interest(self) -> bool:
        return bool(self._telling)

    def interest_teller(self) -> Rater | None:
        if not self._telling:
            return None
        instead = self.names.index(max(self._telling, key=self.weights.__getitem__))
        teller = copy(self)
        teller.uses_llm = teller.deferred = False
        teller._instead = np.array(
            [number if name in self._telling else instead for number, name in enumerate(self.names)]
        )
        return teller

    def _joined(self, request: RatingRequest, ask: Callable[[Rater, RatingRequest], Floats]) -> Floats:
        merged: Floats | None = None
        for name, rows, part in self._parts(request):
            with named(self._labels[name]):
                answered = ask(self.raters[name], part)
            if merged is None:
                merged = np.full((len(request.users), *answered.shape[1:]), np.nan)
            merged[rows] = answered
        return np.full(request.items.shape, np.nan) if merged is None else merged

    def _parts(self, request: RatingRequest) -> Iterator[tuple[str, Ints, RatingRequest]]:
        """For each rater that answers: its name, its rows, and the request of these."""
        numbers = self._numbers(request.users, request.population)
        for number in np.unique(numbers).tolist():
            rows = np.flatnonzero(numbers == number)
            yield self.names[number], rows, request if len(rows) == len(numbers) else _of_rows(request, rows)


def _interest(rater: Rater, request: RatingRequest) -> Floats:
    """What users want, by a rater that tells it, or else what they rate on average."""
    knows = type(rater).interest_batch is not Rater.interest_batch
    return rater.interest_batch(request) if knows else rater.expected_batch(request)


def _of_rows(request: RatingRequest, rows: Ints) -> RatingRequest:
    """The request of some of its rows, rising."""
    history = request.history.memory.history(request.history.slots[rows])
    _ = history.width  # of what is remembered now; reasons may read it later
    by_row = ("users", "items", "moods", "retrieved", "retrieved_items", "retrieved_ratings", "times")
    return replace(request, history=history, **{name: getattr(request, name)[rows] for name in by_row})


def _place(seed: int, user: str) -> float:
    """Where a user stands between 0 and 1; it depends on the seed and the id alone."""
    drawn = blake2b(f"{seed} {user}".encode("utf-8", "surrogatepass"), digest_size=8, person=b"mixture").digest()
    return (int.from_bytes(drawn, "big") >> 11) / 2.0**53


def mixture(options: MixOptions, parts: Mapping[str, Resolved]) -> Mixture:
    """The rater ``mix``; its parts are its raters, by name."""
    raters = {name: part.build(Rater) for name, part in parts.items()}
    return Mixture(options, raters, {name: part.label for name, part in parts.items()})
