"""Choice models: what of a slate a user looks at, and what of it they click before they know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.answers import wrong
from emosim_core.components.base import Draws, Exchange, ItemsRequest, Rater, UserSituation, WorldSetting, user_of
from emosim_core.errors import ConfigurationError
from emosim_core.model import History, Item
from emosim_core.model.arrays import Flags, Floats
from emosim_core.model.frozen import Frozen, option


@dataclass(slots=True, kw_only=True)
class ChoiceRequest(ItemsRequest):
    """What a choice model is handed: R users in front of a slate of S items each, which they have not rated.

    Attributes:
        interest: how much each user wants each item before knowing it, in standard deviations above what is usually
            chosen, shape ``(R, S)``; see :class:`~emosim_core.simulation.interest.InterestScale`.
        spread: how many units of the rater's ``interest_batch`` one standard deviation is, shape ``(R,)``.
        times: how often each user consumed each item before, shape ``(R, S)``.
    """

    interest: NDArray[np.float64]
    spread: NDArray[np.float64]
    times: NDArray[np.intp]
    history: History


@dataclass(frozen=True, kw_only=True)
class ChoiceSituation(UserSituation):
    """What a choice model in its single form is handed: one user in front of a slate of S items.

    ``interest`` and ``times_consumed`` are a row of those of :class:`ChoiceRequest`, shape ``(S,)``.
    """

    items: Sequence[Item]
    interest: NDArray[np.float64]
    times_consumed: NDArray[np.intp]


class Choice:
    """Decides which places of a slate a user examines, and which of the items there they click and so consume.

    Attributes:
        rates_first: whether the user rates the whole slate, and a selector chooses by these ratings; then no other
            method is called.
        asks_llm: whether a language model chooses, so that nobody's interest is asked for: it is 0 each.
        patience: slates in a row without a click after which a user leaves, for a balanced activity; 0 for never.
    """

    rates_first: ClassVar[bool] = False
    asks_llm: ClassVar[bool] = False
    patience: int = 0

    def meet(self, rater: Rater) -> None:
        """Called once before :meth:`prepare` with the rater of the same users.

        Raises:
            ConfigurationError: it cannot choose for these users; says what to do.
        """

    def exchanges(self) -> Sequence[Exchange]:
        """Requests to a language model in the last batch, as of :meth:`Rater.exchanges`; none by default."""
        return ()

    def prepare(self, setting: WorldSetting) -> None:
        """Called once before the first choice, and again for other items or users; a place for tables."""

    def choose(self, situation: ChoiceSituation, rng: np.random.Generator) -> tuple[Flags, Flags]:
        """For one user: which places are examined and which clicked, booleans of the shape ``(S,)`` each."""
        raise NotImplementedError(f"{type(self).__name__} implements neither choose nor choose_batch")

    def choose_batch(self, request: ChoiceRequest, examining: Draws, choosing: Draws) -> tuple[Flags, Flags]:
        """For a batch: which places are examined and which clicked, shape ``(R, S)`` each; only examined ones are.

        Args:
            examining: draws of a stage of its own, so that one choice model more or less shifts no other draw.
            choosing: the same for another stage; the single form draws from it.
        """
        examined, clicked = [], []
        size = request.items.shape[1]
        for row, slate in enumerate(request.items.tolist()):
            situation = ChoiceSituation(
                **user_of(request, row),
                items=[request.catalog.items[item] for item in slate],
                interest=request.interest[row],
                times_consumed=request.times[row],
            )
            answer = self.choose(situation, choosing.generator(row))
            pair = answer if isinstance(answer, tuple) and len(answer) == 2 else ()
            flags = [np.asarray(one) for one in pair]
            if len(flags) != 2 or any(one.dtype.kind != "b" or one.shape != (size,) for one in flags):
                raise wrong(f"{type(self).__name__}.choose", answer, f"a pair of {size} booleans each", "choice-shape")
            examined.append(flags[0])
            clicked.append(flags[1])
        return np.array(examined), np.array(clicked)

    def attraction(self, request: ChoiceRequest) -> NDArray[np.float64]:
        """How probable a click on each item would be if it were examined alone, shape ``(R, S)``; optional, 1 each.

        The policy ``oracle`` asks, of any number of items.
        """
        return np.ones(request.items.shape)


_SURE = 500.0
"""Log-odds beyond which a choice is certain; an exponential of more would overflow."""


class RatingsFirst(Choice):
    """The user rates the whole slate, and the selector chooses by the ratings (EmoSim-RL, SUBER)."""

    rates_first: ClassVar[bool] = True


class ChoiceOptions(Frozen):
    """Options of the choice models of the core. Interest is in standard deviations above what is usually chosen."""

    sensitivity: float = option(1.0, "Log-odds of a click per unit of interest; large is sure of itself.", gt=0)
    mood: float = option(0.5, "Units of interest per unit of valence that the mood is above where it rests.")
    boredom: float = option(
        1.0, "Units of interest off for the second time; n earlier times take off this times log2(1 + n).", ge=0
    )
    patience: int = option(
        5,
        "Slates in a row without a click after which a user leaves: half as many for an elusive user, twice as many "
        "for an enthusiast; 0 for never.",
        ge=0,
    )


class PositionOptions(ChoiceOptions):
    """Options of ``position_based``."""

    eta: float = option(1.0, "The place s, from 1, is examined with probability 1 / s ** eta; 0 for all of them.", ge=0)
    threshold: float = option(3.0, "Interest at which an examined item is clicked every other time.")


class CascadeOptions(ChoiceOptions):
    """Options of ``cascade``."""

    persistence: float = option(1.0, "Probability of going on to the next place after one without a click.", ge=0, le=1)
    threshold: float = option(3.0, "Interest at which an examined item is clicked every other time.")


class ChoiceLogitOptions(ChoiceOptions):
    """Options of ``multinomial_logit``."""

    eta: float = option(0.0, "The place s, from 1, is examined with probability 1 / s ** eta; 0 for all of them.", ge=0)
    no_choice: float = option(3.0, "Interest that taking nothing is worth.")


class _ByInterest(Choice):
    """Base of the choice models of the core: interest on which mood and boredom act."""

    def __init__(self, options: ChoiceOptions) -> None:
        self._sensitivity, self._mood, self._boredom = options.sensitivity, options.mood, options.boredom
        self.patience = options.patience
        self._nothing = 0.0

    def attraction(self, request: ChoiceRequest) -> Floats:
        """The logistic function of the log-odds."""
        return _logistic(self._utility(request, self._nothing))

    def _utility(self, request: ChoiceRequest, nothing: float) -> Floats:
        """Log-odds of choosing each item against what has the interest ``nothing``, shape ``(R, S)``."""
        above = request.moods[:, 0] - request.population.baselines[request.users, 0]
        wanted = request.interest + (self._mood * above)[:, None]
        if self._boredom:
            wanted = wanted - self._boredom * np.log2(1.0 + request.times)
        return np.clip(self._sensitivity * (wanted - nothing), -_SURE, _SURE)

    @staticmethod
    def _clicks(utility: Floats, draws: Draws) -> Flags:
        """Which items would be clicked if they were examined, each on its own."""
        return draws.uniform(utility.shape[1]) < _logistic(utility)


class PositionBased(_ByInterest):
    """Places are examined less the further down they stand, and examined items clicked each on its own.

    The place s is examined with probability ``1 / s ** eta`` (the position-based model of Richardson et al., 2007,
    doi 10.1145/1242572.1242643; propensities of this form are what Joachims et al., 2017, doi 10.1145/3018661.3018699,
    estimate), an item clicked with probability ``1 / (1 + exp(-sensitivity * (interest - threshold)))``. Several items
    of a slate may be.
    """

    def __init__(self, options: PositionOptions) -> None:
        super().__init__(options)
        self._eta, self._nothing = options.eta, options.threshold

    def choose_batch(self, request: ChoiceRequest, examining: Draws, choosing: Draws) -> tuple[Flags, Flags]:
        examined = _by_place(self._eta, request.items.shape[1], examining)
        return examined, examined & self._clicks(self._utility(request, self._nothing), choosing)


class Cascade(_ByInterest):
    """The user goes down the slate and clicks the first item that they want (Craswell et al., 2008).

    Source: doi 10.1145/1341531.1341545. An item that is reached is clicked with probability
    ``1 / (1 + exp(-sensitivity * (interest - threshold)))``, and nothing below it is examined; after one that is not,
    the next is reached with probability ``persistence``. At most one item is clicked.
    """

    def __init__(self, options: CascadeOptions) -> None:
        super().__init__(options)
        self._persistence, self._nothing = options.persistence, options.threshold

    def choose_batch(self, request: ChoiceRequest, examining: Draws, choosing: Draws) -> tuple[Flags, Flags]:
        wanted = self._clicks(self._utility(request, self._nothing), choosing)
        goes_on = (examining.uniform(wanted.shape[1]) < self._persistence) & ~wanted
        reached = np.ones(wanted.shape, dtype=np.bool_)
        reached[:, 1:] = np.logical_and.accumulate(goes_on[:, :-1], axis=1)
        return reached, reached & wanted


class InterestLogit(_ByInterest):
    """One of the examined items or none, by a multinomial logit over interest (McFadden, 1974).

    The weight of an item is ``exp(sensitivity * interest)``, that of taking nothing ``exp(sensitivity * no_choice)``.
    """

    def __init__(self, options: ChoiceLogitOptions) -> None:
        super().__init__(options)
        self._eta, self._nothing = options.eta, options.no_choice

    def choose_batch(self, request: ChoiceRequest, examining: Draws, choosing: Draws) -> tuple[Flags, Flags]:
        places = request.items.shape[1]
        examined = _by_place(self._eta, places, examining)
        weight = np.where(examined, np.exp(self._utility(request, self._nothing)), 0.0)
        edges = weight.cumsum(axis=1)
        drawn = choosing.uniform(1) * (edges[:, -1:] + 1.0)
        # Beyond the last edge is what taking nothing weighs.
        return examined, (edges <= drawn).sum(axis=1)[:, None] == np.arange(places)


class FittedLogit(InterestLogit):
    """A multinomial logit whose weights are learned: interest counts by the log odds that ``emosim fit`` learned.

    The model of interest tells the log odds of a choice beside an item that is as popular, so that the log odds of two
    items of a slate are the difference of their scores, and ``sensitivity`` is a factor on these. What taking nothing
    is worth, and which places are examined, stands in no log of what was consumed: ``no_choice`` and ``eta`` do.
    """

    def meet(self, rater: Rater) -> None:
        """See that the rater learned what users choose; a ConfigurationError where it did not."""
        if not rater.interest_is_log_odds:
            raise ConfigurationError(
                "the choice model 'fitted' needs users of whom it was learned what they choose; name those of emosim "
                "fit with --users fitted:DIR, or another --choice"
            )

    def _utility(self, request: ChoiceRequest, nothing: float) -> Floats:
        return np.clip(super()._utility(request, nothing) * request.spread[:, None], -_SURE, _SURE)


def _logistic(values: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-values))


def _by_place(eta: float, places: int, draws: Draws) -> Flags:
    """Which places are examined, each on its own, shape ``(R, places)``."""
    return draws.uniform(places) < np.arange(1.0, places + 1.0) ** -eta
