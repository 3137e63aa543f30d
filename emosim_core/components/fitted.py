"""The rater ``fitted``: users learned from a log rate, with their moods and memories on top."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Draws, Rater, RatingRequest, Ratings, WorldSetting
from emosim_core.components.closeness import BOREDOM_CAP, Closeness, boredom_table
from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError
from emosim_core.estimators import Past
from emosim_core.fitting.directory import (
    CARD,
    Card,
    digest_of,
    read_card,
    read_distribution,
    read_ids,
    read_models,
    read_states,
)
from emosim_core.fitting.interest import InterestModel
from emosim_core.fitting.people import drawn_numbers, fit_models, read_drawn_id
from emosim_core.fitting.ratings import RatingModel, normal_share
from emosim_core.model import Catalog, History, Population, RatingScale
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.memory import Memory
from emosim_core.model.names import listed, ordinal

_NAMED = 2
"""Memories that a reason names."""

_YARDSTICK = 256
"""Items that one is compared with where the log had no ratings."""


class FittedOptions(Frozen):
    """Options of ``fitted``. A point is a point of a scale from 1 to 10; other scales by relative position."""

    path: Path | None = option(
        None,
        "Directory that emosim fit wrote.",
        unset="that of the users; emosim validate fits to its log",
        needed_to_answer=True,
    )
    memory: float = option(
        0.1, "Share of the surprise at retrieved items that carries over to similar ones; 0 for none.", ge=0, lt=1
    )
    mood: float = option(0.5, "Points per unit of valence that the mood is above where it rests.")
    boredom: float = option(
        1.5, "Points off for the second time; n earlier times take off this times log2(1 + n).", ge=0
    )
    noise: float = option(1.0, "Factor on the noise of each user's own answers; 0 for none.", ge=0)
    seed: int = option(42, "Decides what models start from that are fitted in a validation.", ge=0)


@dataclass(frozen=True)
class _Situation:
    """Who is asked, and what happened since, which is in no state.

    Attributes:
        interest: how to get the states of interest, shape ``(R, E)``.
        states: states of ratings of these users and of others.
        rows: where in it each user stands, shape ``(R,)``.
    """

    interest: Callable[[], Floats]
    states: NDArray[np.floating]
    rows: Ints
    since: History

    @cached_property
    def ratings(self) -> Floats:
        """The states of ratings, shape ``(R, E)``."""
        return self.states[self.rows].astype(np.float64)


@dataclass(frozen=True)
class _Terms:
    """Ratings, and what they are made of, in points of the domain's scale.

    Of the shape ``(R, S)``; ``mood`` of ``(R, 1)``. ``latent`` is ``expected`` with mood, boredom and memory: what a
    user rates on average in this situation. ``values`` are single answers.
    """

    values: Floats
    latent: Floats
    expected: Floats
    mood: Floats
    memory: Floats


class Fitted(Rater):
    """Rates by models that were learned from a log.

    ::

        expected (bias of item and user, taste, what happened in the episode; of the rating model)
          + mood + boredom + memory                                          (by situation)

    is what a user rates on average; a single answer is drawn around it by the rating model, with the user's own noise
    and use of the scale. One standard normal draw is used per item of the slate.

    Users of the directory, and those drawn from it, are known by their ids; a user of another id is new to the models:
    they know only what happens in the episode. Without a directory the models are those of :meth:`learn`, and what a
    user remembers is their past.

    Where the log had no ratings, a user rates an item by how likely they are to choose it beside other items: at the
    middle of the scale what is as likely as others, and a quarter of the scale higher for each standard deviation.
    """

    interest_is_log_odds = True

    def __init__(self, options: FittedOptions | None = None) -> None:
        self.options = options or FittedOptions()
        self._interest: InterestModel | None = None
        self._ratings: RatingModel | None = None
        self._catalog: Catalog | None = None
        self._population: Population | None = None
        path = self.options.path
        if path is not None:
            read_card(path)
            self.data_sha256 = digest_of(path.expanduser() / CARD)

    def prepare(self, setting: WorldSetting) -> None:
        """Read the models for the items, and the states of the users."""
        catalog, population, path = setting.catalog, setting.population, self.options.path
        if path is None and self._interest is None and not setting.learns:
            raise ConfigurationError(
                "the rater 'fitted' has learned nothing: name a directory that emosim fit wrote, --rater fitted:DIR "
                "(--users fitted:DIR does too), or measure it with emosim validate"
            )
        if path is not None:
            card = read_card(path, setting.domain or None)
            if catalog is not self._catalog:
                models = read_models(path, card, catalog, setting.scale)
                self._interest, self._ratings = models.interest, models.ratings
            if population is not self._population:
                self._find_users(path, card, population)
        self._set(catalog, population, setting.scale)

    def learn(self, log: Interactions, catalog: Catalog, scale: RatingScale, more: bool = False) -> None:
        """Fit the models to a log; a rater with a directory has learned already.

        Of ``more`` of a log, the model of ratings and how the features of interest are weighed are kept.

        Raises:
            ConfigurationError: there is a directory, whose log may hold what is measured.
        """
        if self.options.path is not None:
            raise ConfigurationError(
                f"{self.options.path} may be fitted to the users who are measured; give --rater fitted without a "
                "directory, and it is fitted to other users"
            )
        if more and self._interest is not None:
            self._interest = InterestModel.fit(log, catalog, self.options.seed, trees_of=self._interest)
        else:
            self._interest, self._ratings = fit_models(log, catalog, scale, self.options.seed)
        self._catalog = None

    def _set(self, catalog: Catalog, population: Population, scale: RatingScale) -> None:
        unit = scale.span / 9.0
        if catalog is not self._catalog:
            self._close = Closeness(catalog)
            # Drawn by a hash of the ids, so that the order of the catalog decides nothing.
            order = sorted(range(len(catalog)), key=lambda item: (_drawn_place(catalog.ids[item]), catalog.ids[item]))
            self._yardstick = np.array(order[:_YARDSTICK], dtype=np.intp)
        self._catalog, self._population, self._scale = catalog, population, scale
        memory = self.options.memory
        self._doubt = (1.0 - memory) / memory if memory else 0.0
        self._boredom = boredom_table(self.options.boredom * unit)
        self._mood = self.options.mood * unit
        self._rest = np.ascontiguousarray(population.baselines[:, 0])

    # -------------------------------------------------------------------------------------------- users

    def _find_users(self, path: Path, card: Card, population: Population) -> None:
        """Where each user stands in the directory, or with which seed and number they are drawn; -1 where nowhere."""
        ids = [user.id for user in population.users]
        place = {name: number for number, name in enumerate(read_ids(path, card))}
        self._places = np.array([place.get(name, -1) for name in ids], dtype=np.intp)
        drawn = [read_drawn_id(name) or (-1, -1) for name in ids]
        self._drawn = np.array(drawn, dtype=np.int64).reshape(-1, 2)
        if not ((self._places >= 0) | (self._drawn[:, 0] >= 0)).any():
            raise ConfigurationError(
                f"none of the {len(ids):,} users is of {path}; name its users with --users fitted:{path}, or another "
                "rater"
            )
        self._card = card
        self._present = read_states(path, card) if (self._places >= 0).any() else None
        self._distribution = read_distribution(path, card) if (self._places < 0).any() else None
        self._met = np.zeros(len(ids), dtype=np.bool_)
        # Rows are written when their user is met, and take no memory before.
        self._states = [np.empty((len(ids), width), dtype=np.float32) for width in card.widths[1:]]

    def _interest_of(self, users: Ints) -> Floats:
        """The states of interest of users who were met."""
        return self._states[0][users].astype(np.float64)

    def _meet(self, users: Ints) -> None:
        """Get the states of users: from the directory, drawn, or of a stranger that of a user without a past."""
        assert self._interest is not None
        places, drawn = self._places[users], self._drawn[users]
        known = places >= 0
        if self._present is not None:
            for states, present in zip(self._states, self._present, strict=True):
                states[users[known]] = present[places[known]]
        for seed in np.unique(drawn[~known, 0]).tolist():
            mine = ~known & (drawn[:, 0] == seed)
            if seed < 0:
                nobody = Past(np.empty(0, dtype=np.intp), np.empty(0) if self._card.explicit else None)
                self._states[0][users[mine]] = self._interest.state(nobody)
                if self._ratings is not None:
                    self._states[1][users[mine]] = self._ratings.state(nobody)
                continue
            assert self._distribution is not None
            made = drawn_numbers(
                self._distribution, seed, drawn[mine, 1], self._card.widths, explicit=self._card.explicit
            )
            self._states[0][users[mine]], self._states[1][users[mine]] = made.interest, made.ratings
        self._met[users] = True

    def _situation(self, request: RatingRequest) -> _Situation:
        if request.catalog is not self._catalog or request.population is not self._population:
            setting = WorldSetting(catalog=request.catalog, population=request.population, scale=request.scale)
            self.prepare(setting)
        assert self._interest is not None
        history = request.history
        if self.options.path is not None:
            users = request.users
            met = self._met[users]
            if not met.all():
                self._meet(np.unique(users[~met]))
            return _Situation(partial(self._interest_of, users), self._states[1], users, history)
        items, ratings = history.items, history.ratings
        pasts = []
        for row, length in enumerate(history.lengths.tolist()):
            values = None if self._ratings is None else ratings[row, :length]
            pasts.append(Past(items[row, :length], values))
        nothing = Memory(len(pasts), len(request.catalog), capacity=1).history()
        interest, model = self._interest, self._ratings
        of_ratings = np.zeros((len(pasts), 0)) if model is None else np.array([model.state(past) for past in pasts])
        everybody = np.arange(len(pasts))
        return _Situation(lambda: np.array([interest.state(past) for past in pasts]), of_ratings, everybody, nothing)

    # ------------------------------------------------------------------------------------------ ratings

    def _expected(self, items: Ints, who: _Situation) -> Floats:
        """What users rate on average but for moods and memories, shape ``(R, S)``."""
        if self._ratings is not None:
            return self._ratings.expected(items, who.ratings, who.since)
        assert self._interest is not None
        beside = np.broadcast_to(self._yardstick, (len(items), len(self._yardstick)))
        scores = self._interest.scores(np.column_stack([items, beside]), who.interest(), who.since)
        mine, others = scores[:, : items.shape[1]], scores[:, items.shape[1] :]
        spread = np.maximum(others.std(axis=1, keepdims=True), 1e-9)
        scale = self._scale
        above = (mine - others.mean(axis=1, keepdims=True)) / spread * scale.span / 4.0
        return np.clip(np.round((scale.low + scale.high) / 2.0 + above, 9), scale.low, scale.high)

    def _terms(self, request: RatingRequest, normal: Floats) -> _Terms:
        """Ratings and what they are made of; ``normal`` are the draws of single answers, shape ``(R, S)``."""
        who, items, kernels = self._situation(request), request.items, request.history.memory.kernels
        if kernels is not None and self._ratings is not None:
            since, population = who.since.memory, (self._rest, self._mood, self._boredom, self._doubt)
            return _Terms(*kernels.rate_fitted(
                request.users, who.rows, items, request.retrieved_items, request.retrieved_ratings, request.times,
                request.moods, normal_share(normal), who.since.slots, since.items, since.ratings, since.lengths,
                who.states, *self._ratings.kernel_arrays, *self._close.kernel_arrays(kernels), *population,
                self.options.memory > 0,
            ))  # fmt: skip
        depth = request.retrieved_items.shape[2] if self.options.memory else 0
        memory = np.zeros(items.shape)
        if not depth:
            expected = self._expected(items, who)
        else:
            closeness = self._close.of(items[:, :, None], request.retrieved_items)
            closeness[np.isnan(request.retrieved_ratings)] = 0.0  # nothing was retrieved
            alike = np.where(closeness > 0.0, request.retrieved_items, -1)  # of the others nothing is asked
            expected = self._expected(np.concatenate([items, alike.reshape(len(items), -1)], axis=1), who)
            usual = expected[:, items.shape[1] :].reshape(alike.shape)
            surprise = np.where(alike < 0, 0.0, request.retrieved_ratings - usual)
            # sum(w * surprise) / (sum(w) + (1 - m) / m), w the closeness; running sums add as a loop does.
            memory = (closeness * surprise).cumsum(axis=2)[:, :, -1]
            memory /= closeness.cumsum(axis=2)[:, :, -1] + self._doubt
            expected = expected[:, : items.shape[1]]
        mood = ((request.moods[:, 0] - self._rest.take(request.users)) * self._mood)[:, None]
        latent = expected + mood + self._boredom.take(request.times, mode="clip") + memory
        return _Terms(self._draw(latent, who, normal), latent, expected, mood, memory)

    def _draw(self, latent: Floats, who: _Situation, normal: Floats) -> Floats:
        if self._ratings is not None:
            return self._ratings.draw(latent, who.ratings, who.since, normal)
        return self._scale.round(latent + normal * self._scale.span / 6.0)

    def rate_batch(self, request: RatingRequest, draws: Draws) -> Ratings:
        """All ratings, with reasons that read arrays of the request: nobody may write to these meanwhile."""
        terms = self._terms(request, draws.normal(request.items.shape[1]) * self.options.noise)
        return Ratings(terms.values, partial(self._reason, request, terms))

    def expected_batch(self, request: RatingRequest) -> Floats:
        """What each user rates each item on average in this situation, within the scale."""
        terms = self._terms(request, np.zeros(request.items.shape))
        return np.clip(terms.latent, request.scale.low, request.scale.high)

    def interest_batch(self, request: RatingRequest) -> Floats:
        """How likely each user is to choose each item, by the model of interest."""
        who = self._situation(request)
        assert self._interest is not None
        return self._interest.scores(request.items, who.interest(), who.since)

    def interest_terms(self, request: RatingRequest) -> Mapping[str, Floats]:
        """The same by each kind of knowledge alone: popularity, recency, co-consumption, text and others."""
        return self._interest_by_knowledge(request, alone=True)

    def interest_without(self, request: RatingRequest) -> Mapping[str, Floats]:
        """The same by all kinds of knowledge but one, by the name of that one."""
        return self._interest_by_knowledge(request, alone=False)

    def _interest_by_knowledge(self, request: RatingRequest, alone: bool) -> Mapping[str, Floats]:
        who = self._situation(request)
        assert self._interest is not None
        return self._interest.scores_by_knowledge(request.items, who.interest(), who.since, alone)

    def _reason(self, request: RatingRequest, terms: _Terms, row: int, place: int) -> str:
        """What a rating is made of, in words and points."""
        scale, item = request.scale, int(request.items[row, place])
        times = int(request.times[row, place])
        mood = float(terms.mood[row, 0])
        boredom, memory = float(self._boredom[min(times, BOREDOM_CAP)]), float(terms.memory[row, place])
        named = [
            ("in a better mood than usual" if mood > 0 else "in a worse mood than usual", mood),
            (f"{ordinal(times + 1)} {request.words.consumption}", boredom),
            (self._recalled(request, row, place) if round(memory, 2) else "", memory),
        ]
        parts = [f"{text} {points:+.2f}" for text, points in named if round(points, 2)]
        usual, made = float(terms.expected[row, place]), float(terms.latent[row, place])
        title, given = request.catalog.titles[item], scale.format(float(terms.values[row, place]))
        summed = f"; {'; '.join(parts)}; makes {made:.2f}" if parts else ""
        return f"Rates {title} {usual:.2f} on average{summed}; single answers vary, this one is {given}"

    def _recalled(self, request: RatingRequest, row: int, place: int) -> str:
        """The memories that count, in words, the closest first; of more than two, how many more there are."""
        item, format_rating = int(request.items[row, place]), request.scale.format
        past, rated = request.retrieved_items[row, place], request.retrieved_ratings[row, place]
        close = np.where(np.isnan(rated), 0.0, self._close.of(np.array(item), past))
        counting = [k for k in np.argsort(-close, kind="stable").tolist() if close[k] > 0.0]
        alike = [
            "itself before" if int(past[k]) == item else request.catalog.titles[int(past[k])] for k in counting[:_NAMED]
        ]
        texts = [f"{name} ({format_rating(float(rated[k]))})" for name, k in zip(alike, counting, strict=False)]
        more = len(counting) - len(texts)
        return f"like {listed([*texts, *([f'{more} more'] if more else [])])}"


def _drawn_place(item: str) -> bytes:
    """Where an item stands in a random order of all items; it depends on the id alone."""
    return blake2b(item.encode(), digest_size=8, person=b"yardstick").digest()
