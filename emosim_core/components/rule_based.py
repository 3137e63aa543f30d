"""The rule-based rater: what a user thinks of an item, from a formula and without a language model."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from itertools import pairwise
from math import floor, inf, log10
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Draws, Rater, RatingRequest, Ratings, UsersRequest, WorldSetting
from emosim_core.components.closeness import BOREDOM_CAP, Closeness, boredom_table
from emosim_core.components.rule_based_constants import FITTED as fitted
from emosim_core.components.rule_based_constants import Levels
from emosim_core.components.rule_based_interest import Interest
from emosim_core.components.rule_based_learning import Learned, Learner, quality, standing
from emosim_core.errors import OptionError
from emosim_core.model import Catalog, Population, RatingScale
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.domain import Words
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.names import listed, ordinal

if TYPE_CHECKING:
    from emosim_core.kernels.compiled import Kernels

REAL_RATING_SHARES = (0.0222, 0.0383, 0.0341, 0.0988, 0.0764, 0.1956, 0.1480, 0.2266, 0.0755, 0.0845)
"""Shares of users' ratings 1 to 10: MovieLens, half stars doubled (EmoSim-RL, sampling study)."""

_TABLE_LIMIT = 4_000_000
"""Up to this many pairs of user and item, or of two items, what is known of each is kept (32 MB a table); beyond,
made per call."""

_SAME_MEAN = 0.01
"""Points of 10 up to which the users of a domain rate as users rate films, which ``MIDDLE`` rounds."""

_USUAL_VALENCE = 0.1
"""The resting valence of a user who is neither generous nor strict; the default of ``User``."""

_START, _PUBLIC, _POPULARITY, _LENIENCY, _FIRST_CATEGORY = range(5)
"""Columns of the two factor tables; from the last on, C columns of taste and C of unfamiliarity."""

_LESSONS = (
    ("rates higher than most", "rates lower than most"),
    ("liked its kind", "did not like its kind"),
    ("liked its time", "did not like its time"),
    ("its popularity as liked", "its popularity as disliked"),
    ("sides with the public", "sides against the public"),
)
"""What memory teaches of a user, in words, for points on and points off; in the order of ``Learner.parts``."""

_TASTES = ("likes", "dislikes", "outside own taste:", "curious about")
"""Sums over categories in words: of taste, more and less, and of unfamiliarity, less and more."""

_AT_ONCE = 4096
"""Rows whose terms are made lists at once."""


class RuleBasedOptions(Frozen):
    """Options of ``rule_based``. A point is a point of a scale from 1 to 10; other scales by relative position.

    Source: EmoSim-RL for which terms there are; where each default comes from is in
    ``docs/rule-based-rater.md``.
    """

    start: float = option(fitted.START, "Where every rating starts, a rating of 10.", ge=1, le=10)
    public: Levels = option(
        fitted.PUBLIC,
        "Points per point of the public rating above users' mean, "
        "for a follower, a balanced user and a maverick; 1 follows it fully.",
    )
    own: Levels = option(
        fitted.OWN, "Factor on taste, leniency and noise for a follower, a balanced user and a maverick."
    )
    liked: float = option(
        fitted.LIKED, "Points for a liked category of an item with one; with n, over sqrt(n) each.", ge=0
    )
    disliked: float = option(
        fitted.DISLIKED, "Points off for a disliked category of an item with one; as for liked.", ge=0
    )
    taste: Levels = option(fitted.TASTE, "Factor on taste for a selective user, a niche explorer and a trailblazer.")
    outside: Levels = option(
        fitted.OUTSIDE,
        "Points for an item with only categories that the user neither likes nor dislikes, "
        "for a selective user, a niche explorer and a trailblazer.",
    )
    popularity: Levels = option(
        fitted.POPULARITY,
        "Points per standard deviation of how widely rated an item is (logarithm), "
        "for a selective user, a niche explorer and a trailblazer.",
    )
    leniency: float = option(
        fitted.LENIENCY, "Standard deviation over users of their personal leniency, in points.", ge=0
    )
    temper: float = option(fitted.TEMPER, "Points of leniency per unit of the valence where a user's mood rests.")
    relative: bool = option(
        True, "Count a public rating by how far it stands out in its catalog; else as users' own mean."
    )
    learn: bool = option(
        False,
        "Learn leniency, taste, noise and use of the scale from what the user remembers, in place of "
        "made-up ones: for recorded users whose memory holds real ratings.",
    )
    memory: float = option(
        fitted.MEMORY,
        "Share of the surprise at an item that carries over to the next of its series; 0 for none.",
        ge=0,
        lt=1,
    )
    similarity: float = option(
        1.0, "Factor on how close an item of another series is counted, by the cosine of the embeddings.", ge=0, le=1
    )
    mood: float = option(0.5, "Points per unit of valence that the mood is above where it rests.")
    boredom: float = option(
        1.5, "Points off for the second time; n earlier times take off this times log2(1 + n).", ge=0
    )
    noise: float = option(fitted.NOISE, "Standard deviation of the noise, in points; 0 for none.", ge=0)
    cuts: tuple[float, ...] | None = option(
        None,
        "Where each level of the domain's scale but the lowest begins in the sum, of 10, rising.",
        unset="those fitted to films, moved to how often the domain's users give each level",
    )


RECORDED_USERS = RuleBasedOptions(
    start=fitted.MIDDLE,
    public=(1.0, 1.0, 1.0),
    own=(1.0, 1.0, 1.0),
    liked=0.0,
    disliked=0.0,
    outside=(0.0, 0.0, 0.0),
    popularity=(0.0, 0.0, 0.0),
    mood=0.0,
    relative=False,
    learn=True,
)
"""For real users, whose memory holds ratings that they gave: all that is known of them is read off these.

What a profile says of a recorded user was read off the same ratings, so it is not counted a second time.
"""


@dataclass(slots=True, kw_only=True)
class ReasonRequest(UsersRequest):
    """What the wording of reasons of earlier ratings is handed; fields as of :class:`RatingRequest`."""

    items: Ints
    retrieved_items: Ints
    retrieved_ratings: Floats
    times: Ints
    scale: RatingScale
    words: Words


@dataclass(slots=True)
class _Terms:
    """What the ratings of one call are made of, in points of the domain's scale; R users, S items, K memories."""

    latent: Floats
    noise: Floats
    mood: Floats
    learned: Learned | None = None
    closeness: NDArray[np.floating] | None = None
    surprise: Floats | None = None
    numbers: dict[int, _Numbers] = field(default_factory=dict)


@dataclass(slots=True)
class _Numbers:
    """Terms of n ratings as flat lists, row by row and place by place: what reasons are worded from.

    ``nature`` are the points for public rating, popularity and leniency, 3n; ``tastes`` the sums that :data:`_TASTES`
    names, 4n; ``tasted`` the categories in each of these, as bits; ``pulls`` what each memory adds, Kn. ``user`` and
    ``mood`` are by row alone.
    """

    user: list[int]
    item: list[int]
    times: list[int]
    latent: list[float]
    noise: list[float]
    mood: list[float]
    nature: list[float]
    tastes: list[float]
    tasted: bytes
    pulls: list[float]
    retrieved: list[int]
    rated: list[float]


class RuleBased(Rater):
    """Rates by a sum of terms, each in rating points, that is cut into the levels of the scale.

    ::

        latent = start + public rating + popularity + leniency + taste + unfamiliarity
                                                                                (by user and item)
               + memory + mood + boredom + noise                                 (by situation)

    The terms of the first line are products of what a user is with what an item is; they are two
    tables, whose matrix product is kept where it is small enough. One standard normal draw is used per
    item of the slate, whatever the situation. Activity takes no part.

    Source: EmoSim-RL for the terms; weights from MovieLens (Harper & Konstan, 2015), see
    ``docs/rule-based-rater.md``.
    """

    def __init__(self, options: RuleBasedOptions | None = None) -> None:
        self.options = options or RuleBasedOptions()
        self._catalog: Catalog | None = None
        self._population: Population | None = None
        self._scale: RatingScale | None = None
        self._real_ratings: Sequence[float] = ()

    def prepare(self, setting: WorldSetting) -> None:
        """Make the tables of users and items, the cutpoints of the scale, and the range of cosines."""
        o, catalog, population, scale = self.options, setting.catalog, setting.population, setting.scale
        self._real_ratings = setting.real_ratings
        self._catalog, self._population, self._scale = catalog, population, scale
        self._unit = scale.span / 9.0
        self._count = len(catalog)
        # What users of this domain rate on average, beyond what users rate films.
        usual = np.array(setting.real_ratings, dtype=np.float64)
        known = len(usual) == len(scale.levels)
        shift = float((1.0 + 9.0 * (scale.levels - scale.low) / scale.span) @ usual) - fitted.MIDDLE if known else 0.0
        shift = shift if abs(shift) > _SAME_MEAN else 0.0
        self._start = scale.carry(o.start + shift)
        on_ten = 1.0 + 9.0 * (catalog.scale.convert(catalog.public_ratings, scale) - scale.low) / scale.span
        self._quality = quality(catalog, on_ten, fitted.MIDDLE + shift)
        self._names = catalog.category_names
        self._users = self._users_table(catalog, population)
        self._items = self._items_table(catalog, fitted.MIDDLE + shift)
        self._table = None
        if len(population) * len(catalog) <= _TABLE_LIMIT:
            # Sums from the first property on, as where no table is kept: those of a matrix product depend on the
            # processor and its threads.
            table = np.zeros((len(population), len(catalog)))
            for property_ in range(self._items.shape[1]):
                table += np.multiply.outer(self._users[:, property_], self._items[:, property_])
            self._table = table.ravel()
        conformity = population.traits[:, 1] - 1
        self._noise_size = (np.array(o.own)[conformity] * o.noise * self._unit)[:, None]
        self._rest = np.ascontiguousarray(population.baselines[:, 0])
        self._mood_size = o.mood * self._unit
        self._boredom = boredom_table(o.boredom * self._unit)
        self._cuts = _cutpoints_of(usual, shift, scale) if known else _cutpoints(scale)
        if o.cuts is not None:
            self._cuts = _carried(np.array(o.cuts), scale)
            if len(o.cuts) != len(scale.levels) - 1 or (np.diff(self._cuts) <= 0).any():
                needed = f"needs {len(scale.levels) - 1} rising numbers for the scale {scale}"
                raise OptionError("the rater 'rule_based'", "cuts", f"{needed}, got {list(o.cuts)}")
        self._levels = scale.levels
        self._cut_list, self._level_list = self._cuts.tolist(), self._levels.tolist()
        self._fewest_digits = max(1, 1 - floor(log10(scale.step) + 1e-9))
        self._popularity_list = self._items[:, _POPULARITY].tolist()
        self._public_texts: dict[int, tuple[str, str]] = {}
        self._taste_texts: dict[tuple[str, bytes], str] = {}
        self._level_texts: dict[tuple[int, int], tuple[float, float, str]] = {}
        self._learner = Learner(catalog, self._quality, self._unit, self._levels, self._cuts) if o.learn else None
        self._interest: Interest | None = None
        self._liking = population.liked(self._names).astype(np.float64) - population.disliked(self._names)
        self._remembers = o.memory > 0
        self._close = Closeness(catalog, o.similarity)
        self._closeness = None
        if self._remembers and len(catalog) ** 2 <= _TABLE_LIMIT:
            each = np.arange(len(catalog))
            self._closeness = self._close.of(each[:, None], each).ravel()
        self._doubt = (1.0 - o.memory) / o.memory if o.memory > 0 else 0.0
        self._kernel_arrays: tuple[Any, ...] | None = None

    def rate_batch(self, request: RatingRequest, draws: Draws) -> Ratings:
        """All ratings, with reasons that add up and read arrays of the request: nobody may write to these meanwhile."""
        kernels = request.history.memory.kernels
        self._prepared_for(request)
        if kernels is not None and self._learner is None:
            return self._compiled(kernels, request, draws)
        terms = self._terms(request, draws)
        if terms.learned is None:
            level = self._cuts.searchsorted(terms.latent, side="right")
        else:
            level = (terms.latent[:, :, None] >= terms.learned.cuts[:, None, :]).sum(axis=2)
        return self._made(self._levels.take(level), request, terms)

    def _made(self, values: Floats, request: RatingRequest, terms: _Terms) -> Ratings:
        stored = {"latent": terms.latent, "noise": terms.noise, "mood": terms.mood[:, None], "times": request.times}
        # What memory taught is a table for each user: too much to store.
        stored = stored if terms.learned is None else {}
        return Ratings(values, partial(self._reason, request, terms), terms=stored)

    def word_reasons(self, request: ReasonRequest, terms: Mapping[str, NDArray]) -> Callable[[int, int], str]:
        """The reasons of ratings that were given earlier, by row and place; of a rater that does not learn.

        Args:
            terms: those of :class:`Ratings`, each of the shape ``(R, S)``.
        """
        self._prepared_for(request)
        known = _Terms(np.zeros(request.items.shape), terms["noise"], terms["mood"][:, 0])
        if self._remembers and request.retrieved_items.shape[2]:
            self._remember(request, request.users[:, None, None], known)
        known.latent = terms["latent"]
        return partial(self._reason, request, known)

    def _compiled(self, kernels: Kernels, request: RatingRequest, draws: Draws) -> Ratings:
        """The same in a kernel."""
        if self._kernel_arrays is None:
            self._kernel_arrays = self._arrays_of_kernel()
        tables, constants = self._kernel_arrays
        values, latent, noise, mood, closeness, surprise = kernels.rate(
            request.users, request.items, request.retrieved_items, request.retrieved_ratings, request.times,
            request.moods, draws.normal(request.items.shape[1]), *tables, *self._close.kernel_arrays(kernels),
            *constants,
        )  # fmt: skip
        terms = _Terms(latent, noise, mood)
        if self._remembers and request.retrieved.shape[2]:
            terms.closeness, terms.surprise = closeness, surprise
        return self._made(values, request, terms)

    def _arrays_of_kernel(self) -> tuple[Any, ...]:
        """The tables and constants of the kernel ``rate``; a table that is not kept is one of the shape (0, 0)."""
        table = np.empty((0, 0)) if self._table is None else self._table.reshape(-1, self._count)
        columns, values = _sparse(self._items)
        return (
            (table, self._users, columns, values),
            (
                self._noise_size[:, 0],
                self._rest,
                self._mood_size,
                self._boredom,
                self._doubt,
                self._remembers,
                self._cuts,
                self._levels,
            ),
        )

    def expected_batch(self, request: RatingRequest) -> Floats:
        """What each user rates each item on average: the sum of terms without the noise, within the scale."""
        self._prepared_for(request)
        sums = self._terms(request, None).latent
        return np.clip(sums, request.scale.low, request.scale.high)

    def interest_batch(self, request: RatingRequest) -> Floats:
        """How likely each user is to choose each item, by :class:`~.rule_based_interest.Interest`."""
        interest = self._interest_in(request)
        return interest.scores(request.items, request.history, self._liking[request.users])

    def interest_terms(self, request: RatingRequest) -> Mapping[str, Floats]:
        """What popularity, year and categories add to it."""
        interest = self._interest_in(request)
        return interest.added(request.items, request.history, self._liking[request.users])

    def _interest_in(self, request: RatingRequest) -> Interest:
        self._prepared_for(request)
        if self._interest is None:
            self._interest = Interest(request.catalog)
        return self._interest

    def latent(self, request: RatingRequest, draws: Draws) -> Floats:
        """The sums of terms before they are cut into levels, on the domain's scale, shape ``(R, S)``."""
        self._prepared_for(request)
        return self._terms(request, draws).latent

    def expected(self, users: Ints, items: Ints) -> Floats:
        """What users expect of items before any memory, mood, boredom or noise, on the domain's scale.

        Both are indices of any shapes that broadcast to that of the answer, which is not rounded to levels.
        """
        if self._table is not None:
            return self._table.take(users * self._count + items)
        # A running sum adds from the first property on, as a loop does.
        sums: Floats = (self._users.take(users, axis=0) * self._items.take(items, axis=0)).cumsum(axis=-1)[..., -1]
        return sums

    def _users_table(self, catalog: Catalog, population: Population) -> Floats:
        """What each user makes of each property of an item, shape ``(U, 4 + 2C)``, in the domain's points."""
        o, names = self.options, catalog.category_names
        conformity, diversity = population.traits[:, 1] - 1, population.traits[:, 2] - 1
        liked, disliked = population.liked(names), population.disliked(names)
        own = np.array(o.own)[conformity]
        c = len(names)
        table = np.empty((len(population), _FIRST_CATEGORY + 2 * c))
        table[:, _START] = self._start
        table[:, _PUBLIC] = np.array(o.public)[conformity]
        table[:, _POPULARITY] = np.array(o.popularity)[diversity] * self._unit
        table[:, _LENIENCY] = 0.0 if o.learn else own * self._leniency(population)
        taste = (own * np.array(o.taste)[diversity] * self._unit)[:, None]
        table[:, _FIRST_CATEGORY : _FIRST_CATEGORY + c] = taste * (o.liked * liked - o.disliked * disliked)
        # Who states no taste has none that an item could lie outside of.
        outside = np.array(o.outside)[diversity] * self._unit * liked.any(axis=1)
        table[:, _FIRST_CATEGORY + c :] = outside[:, None] * ~(liked | disliked)
        return table

    def _items_table(self, catalog: Catalog, middle: float) -> Floats:
        """The properties of each item, shape ``(N, 4 + 2C)``, in the columns of the users' table."""
        flags = catalog.categories.astype(np.float64)
        number = np.maximum(flags.sum(axis=1, keepdims=True), 1.0)
        apart = standing(catalog, self._quality, middle) if self.options.relative else self._quality - middle
        table = np.empty((len(catalog), _FIRST_CATEGORY + 2 * flags.shape[1]))
        table[:, _START] = 1.0
        table[:, _PUBLIC] = apart * self._unit
        table[:, _POPULARITY] = _popularity(catalog.public_counts)
        table[:, _LENIENCY] = 1.0
        table[:, _FIRST_CATEGORY : _FIRST_CATEGORY + flags.shape[1]] = flags / np.sqrt(number)
        table[:, _FIRST_CATEGORY + flags.shape[1] :] = flags / number
        return table

    def _leniency(self, population: Population) -> Floats:
        """Personal leniency in the domain's points, shape ``(U,)``: by resting mood and by a hash of the id."""
        o, normal = self.options, NormalDist()
        chance = np.array([normal.inv_cdf(_hashed(user.id)) for user in population.users])
        return self._unit * (o.temper * (population.baselines[:, 0] - _USUAL_VALENCE) + o.leniency * chance)

    def _prepared_for(self, request: RatingRequest | ReasonRequest) -> None:
        catalog, population, scale = request.catalog, request.population, request.scale
        same = population is self._population and catalog is self._catalog
        if not same or (scale is not self._scale and scale != self._scale):
            real = self._real_ratings
            self.prepare(WorldSetting(catalog=catalog, population=population, scale=scale, real_ratings=real))

    def _terms(self, request: RatingRequest, draws: Draws | None) -> _Terms:
        """The terms of each rating; without draws, nobody has a noise."""
        users, items = request.users, request.items
        column = users[:, None]
        latent = self.expected(column, items)
        learned = None
        if self._learner is not None:
            history = request.history
            learned = self._learner.learn(history, self.expected(column, history.items))
        size = self._noise_size.take(users, axis=0) if learned is None else learned.noise[:, None]
        noise = np.zeros(items.shape) if draws is None else draws.normal(items.shape[1]) * size
        mood = request.moods[:, 0] - self._rest.take(users)
        mood *= self._mood_size
        latent += noise
        latent += mood[:, None]
        if np.count_nonzero(request.times):
            latent += self._boredom.take(request.times, mode="clip")
        terms = _Terms(latent, noise, mood, learned)
        if learned is not None and self._learner is not None:
            latent += np.einsum("rd,rsd->rs", learned.weights, self._learner.features[items])
        if self._remembers and request.retrieved.shape[2]:
            self._remember(request, column[:, None], terms)
        return terms

    def _remember(self, request: RatingRequest | ReasonRequest, users: Ints, terms: _Terms) -> None:
        """Add what similar memories suggest: sum(w * surprise) / (sum(w) + (1 - m) / m), w the closeness.

        This is the best linear guess from surprises that all correlate by m with the one at hand and
        with each other, each counted by how close it is.
        """
        surprise = request.retrieved_ratings - self.expected(users, request.retrieved_items)
        if terms.learned is not None and self._learner is not None:
            features = self._learner.features[request.retrieved_items]
            surprise -= np.einsum("rd,rskd->rsk", terms.learned.weights, features)
        now = request.items[:, :, None]
        if self._closeness is not None:
            closeness = self._closeness.take(now * self._count + request.retrieved_items)
        else:
            closeness = self._close.of(now, request.retrieved_items)
        nothing = np.isnan(surprise)
        np.putmask(surprise, nothing, 0.0)
        np.putmask(closeness, nothing, 0.0)
        pull = (closeness * surprise).cumsum(axis=2)[:, :, -1]
        pull /= closeness.cumsum(axis=2)[:, :, -1] + self._doubt
        terms.latent += pull
        terms.closeness, terms.surprise = closeness, surprise

    def _reason(self, request: RatingRequest | ReasonRequest, terms: _Terms, row: int, place: int) -> str:
        """The terms of one rating, largest first, and what they make from where they start."""
        first = row // _AT_ONCE * _AT_ONCE
        numbers = terms.numbers.get(first)
        if numbers is None:
            numbers = terms.numbers[first] = self._numbers(request, terms, slice(first, first + _AT_ONCE))
        k = (row - first) * request.items.shape[1] + place
        latent = numbers.latent[k]
        learned = None if terms.learned is None else terms.learned.cuts[row].tolist()
        at = bisect_right(learned or self._cut_list, latent)
        fewest = self._fewest_digits
        for digits in range(fewest, fewest + 6):  # as many as tell the sum from the next rating's
            if learned is not None:
                low, high, rated = _level_text(learned, at, digits)
            elif (at, digits) in self._level_texts:
                low, high, rated = self._level_texts[at, digits]
            else:
                low, high, rated = self._level_texts[at, digits] = _level_text(self._cut_list, at, digits)
            total = round(latent, digits)
            if low <= total < high:
                break
        start = round(self._start, digits)
        named = self._named(request, terms, numbers, (row - first, k), row, digits)
        added = round(start + sum([value for _, value in named]), digits)
        if not low <= added < high:  # the terms are rounded, each by itself
            named.append(("rounding", round(latent - added, digits)))
            added = total
        named.sort(key=_size)
        form = f"%s %+.{digits}f"
        parts = [form % pair for pair in named if pair[1]] or ["nothing moves it"]
        given = request.scale.format(self._level_list[at])
        return f"From {start:.{digits}f}: {'; '.join(parts)}; makes {added:.{digits}f}; {rated} {given}"

    def _numbers(self, request: RatingRequest | ReasonRequest, terms: _Terms, rows: slice) -> _Numbers:
        """The terms of some rows as lists: a number taken out of an array costs more than all else done with it."""
        items, users = request.items[rows], request.users[rows]
        products = self._users[users[:, None]] * self._items[items]
        c = len(self._names)
        taste, outside = products[..., _FIRST_CATEGORY : _FIRST_CATEGORY + c], products[..., _FIRST_CATEGORY + c :]
        parts = np.stack([taste.clip(min=0), taste.clip(max=0), outside.clip(max=0), outside.clip(min=0)], axis=2)
        pulls = np.empty(0)
        if terms.closeness is not None and terms.surprise is not None:
            weights = terms.closeness[rows].astype(np.float64)
            pulls = weights * terms.surprise[rows] / (weights.sum(axis=2, keepdims=True) + self._doubt)
        return _Numbers(
            user=users.tolist(),
            item=items.ravel().tolist(),
            times=request.times[rows].ravel().tolist(),
            latent=terms.latent[rows].ravel().tolist(),
            noise=terms.noise[rows].ravel().tolist(),
            mood=terms.mood[rows].tolist(),
            nature=products[..., _PUBLIC:_FIRST_CATEGORY].ravel().tolist(),
            tastes=parts.sum(axis=3).ravel().tolist(),
            tasted=np.packbits(parts != 0, axis=3).tobytes(),
            pulls=pulls.ravel().tolist(),
            retrieved=request.retrieved_items[rows].ravel().tolist(),
            rated=request.retrieved_ratings[rows].ravel().tolist(),
        )

    def _named(
        self,
        request: RatingRequest | ReasonRequest,
        terms: _Terms,
        numbers: _Numbers,
        at: tuple[int, int],
        row: int,
        digits: int,
    ) -> list[tuple[str, float]]:
        """The terms of one rating in words, with their points to some digits; ``at`` is its row and its place there."""
        at_row, k = at
        item, scale = numbers.item[k], 10.0**digits
        # As NumPy rounds: by scaling, which is not exact for what lies in the middle.
        points, popularity, by_nature = [round(value * scale) / scale for value in numbers.nature[3 * k : 3 * k + 3]]
        public, follows = self._public_text(request, item)
        crowd = request.population.users[numbers.user[at_row]].conformity == 1
        named = [(follows if crowd else public, points)]
        if popularity:
            known = "well known" if self._popularity_list[item] > 0 else "little known"
            named.append((f"{'drawn to' if popularity > 0 else 'wary of'} the {known}", popularity))
        if terms.learned is None:
            named.append(("generous by nature" if by_nature > 0 else "strict by nature", by_nature))
        else:
            named += [(text, round(value, digits)) for text, value in self._named_lessons(terms.learned, row, item)]
        width = -(-len(self._names) // 8)
        for place, points in enumerate(numbers.tastes[4 * k : 4 * k + 4], 4 * k):
            if points:
                text = self._taste_text(_TASTES[place % 4], numbers.tasted[place * width : (place + 1) * width])
                named.append((text, round(points, digits)))
        if numbers.pulls:
            memories = request.retrieved_items.shape[2]
            for place in range(memories * k, memories * (k + 1)):
                if pull := numbers.pulls[place]:
                    past, text = numbers.retrieved[place], request.scale.format(numbers.rated[place])
                    text = (
                        f"rated it {text} before"
                        if past == item
                        else f"like {request.catalog.titles[past]}, rated {text}"
                    )
                    named.append((text, round(pull, digits)))
        mood = round(numbers.mood[at_row], digits)
        named.append(("in a better mood than usual" if mood > 0 else "in a worse mood than usual", mood))
        if times := numbers.times[k]:
            points = round(float(self._boredom[min(times, BOREDOM_CAP)]), digits)
            named.append((f"{ordinal(times + 1)} {request.words.consumption}", points))
        named.append(("random noise", round(numbers.noise[k], digits)))
        return named

    def _taste_text(self, verb: str, bits: bytes) -> str:
        """One of :data:`_TASTES`, with its categories."""
        text = self._taste_texts.get((verb, bits))
        if text is None:
            flags = np.unpackbits(np.frombuffer(bits, dtype=np.uint8))
            some = [self._names[k] for k in np.flatnonzero(flags).tolist()]
            text = self._taste_texts[verb, bits] = f"{verb} {listed(some)}"
        return text

    def _public_text(self, request: RatingRequest | ReasonRequest, item: int) -> tuple[str, str]:
        """The public rating of an item, on the domain's scale, in words; and the same of who follows it."""
        texts = self._public_texts.get(item)
        if texts is None:
            catalog, scale = request.catalog, request.scale
            text = scale.format(round(float(catalog.scale.convert(catalog.public_ratings[item], scale)), 1))
            texts = self._public_texts[item] = (f"public rating {text}", f"follows the crowd ({text})")
        return texts

    def _named_lessons(self, learned: Learned, row: int, item: int) -> Iterator[tuple[str, float]]:
        """What memory taught of a user, by the parts of an item that it is about."""
        assert self._learner is not None
        products = learned.weights[row] * self._learner.features[item]
        for (low, high), (more, less) in zip(pairwise(self._learner.parts.tolist()), _LESSONS, strict=True):
            points = float(products[low:high].sum())
            yield f"{more if points > 0 else less} so far", points


def _level_text(cuts: list[float], at: int, digits: int) -> tuple[float, float, str]:
    """From where and up to where a sum is rated as the level ``at``, to some digits, and this in words."""
    low, high = -inf if at == 0 else round(cuts[at - 1], digits), inf if at == len(cuts) else round(cuts[at], digits)
    bounds = [f"{low:.{digits}f} or more"] if at else []
    bounds += [f"below {high:.{digits}f}"] if at < len(cuts) else []
    return low, high, f"a sum {'of ' if at else ''}{' and '.join(bounds)} is rated"


def _size(term: tuple[str, float]) -> float:
    """The largest first."""
    return -abs(term[1])


def _sparse(table: Floats) -> tuple[Ints, Floats]:
    """Where each row is not 0 and what it holds there, of the width of the fullest row; zeros fill the others."""
    rows, columns = table.nonzero()
    width = int((table != 0.0).sum(axis=1).max())
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    where, values = np.zeros((len(table), width), dtype=np.intp), np.zeros((len(table), width))
    where[rows, place], values[rows, place] = columns, table[rows, columns]
    return where, values


def _cutpoints_of(shares: Floats, shift: float, scale: RatingScale) -> Floats:
    """Where levels begin so that random pairs get levels in the shares of a domain's users, shape ``(L - 1,)``.

    The fitted cutpoints are quantiles of the sums of random pairs, at the shares of ``REAL_RATING_SHARES``; between and
    beyond them quantiles are looked up by normal scores.

    Args:
        shares: how often users of the domain use each level of its scale.
        shift: points of 10 by which sums of the domain lie above those of films.
        scale: the domain's scale.
    """
    normal = NormalDist()
    known = np.array([normal.inv_cdf(share) for share in np.cumsum(REAL_RATING_SHARES)[:-1] / sum(REAL_RATING_SHARES)])
    up_to = np.clip(np.cumsum(shares)[:-1] / shares.sum(), 1e-6, 1.0 - 1e-6)
    wanted = np.array([normal.inv_cdf(share) for share in up_to.tolist()])
    cuts = np.array(fitted.CUTS)
    below = cuts[0] + (wanted - known[0]) * (cuts[1] - cuts[0]) / (known[1] - known[0])
    above = cuts[-1] + (wanted - known[-1]) * (cuts[-1] - cuts[-2]) / (known[-1] - known[-2])
    on_ten = np.where(wanted < known[0], below, np.where(wanted > known[-1], above, np.interp(wanted, known, cuts)))
    return _carried(on_ten + shift, scale)


def _cutpoints(scale: RatingScale) -> Floats:
    """Where each level from the second on begins in the sum of terms, shape ``(levels - 1,)``.

    The fitted cutpoints say which sum users express as a rating halfway between two levels of 1-10;
    the halves of another scale are looked up between them by relative position.
    """
    halves = np.arange(1.5, 10.0)
    cuts = np.array(fitted.CUTS)
    # Beyond the outer cutpoints a point of the sum is a point of the rating.
    known = np.concatenate([[halves[0] - 9.0], halves, [halves[-1] + 9.0]])
    sums = np.concatenate([[cuts[0] - 9.0], cuts, [cuts[-1] + 9.0]])
    wanted = 1.0 + 9.0 * ((scale.levels[:-1] + scale.levels[1:]) / 2.0 - scale.low) / scale.span
    return _carried(np.interp(wanted, known, sums), scale)


def _carried(on_ten: Floats, scale: RatingScale) -> Floats:
    return scale.low + (on_ten - 1.0) / 9.0 * scale.span


def _popularity(counts: NDArray[np.int64]) -> Floats:
    """How widely rated each item is: standardised logarithm within 2.5, 0 where unknown; shape ``(N,)``."""
    known = counts > 0
    logs = np.log1p(counts.astype(np.float64))
    if not known.any() or (spread := float(logs[known].std())) < 1e-9:
        return np.zeros(len(counts))
    standardised = (logs - logs[known].mean()) / spread
    return np.where(known, np.clip(standardised, -2.5, 2.5), 0.0)


def _hashed(text: str) -> float:
    """A number in (0, 1) that belongs to a text for ever."""
    digest = int.from_bytes(blake2b(text.encode(), digest_size=6, person=b"leniency").digest(), "big")
    return (digest + 0.5) / 2.0**48
