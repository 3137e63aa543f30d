"""ModelRater: a language model answers for the person, many people at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from emosim_core.components.base import Draws, Rater, RatingRequest, Ratings
from emosim_core.errors import (
    ConfigurationError,
    LLMAuthenticationError,
    LLMBudgetError,
    LLMError,
    LLMMalformedError,
    LLMReplayError,
    LLMRequestError,
)
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.prompt_strategy import PromptStrategy, Reply
from emosim_core.llm.retries import LONGEST_WAIT, asked_wait
from emosim_core.model import Catalog, Domain, Population, RatingScale

_FATAL = (LLMAuthenticationError, LLMRequestError, LLMBudgetError, LLMReplayError)
"""Errors that every further question would meet too."""

_OBJECTIONS = 3
"""Items to which a service has objected that has answered nothing before it is taken to object to all."""

_NEGLIGIBLE = 1e-4
"""Probabilities below this are not kept."""


class ModelRaterOptions(BaseModel):
    """How the answers of a language model become ratings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reading: Literal["likeliest", "sampled", "expected"] = Field(
        default="likeliest",
        description="What counts where the model tells the probability of each rating: the answer itself, one drawn "
        "by these probabilities under the run's seed, or their mean, rounded to the scale. The last two need a model "
        "that tells them.",
    )
    asks: int = Field(
        default=3,
        ge=1,
        le=10,
        description="How often a question is put until its answer can be read; then the rating failed.",
    )
    explain: bool = Field(default=False, description="Whether the model's reasons are kept.")


class Counted(Protocol):
    """What was asked and what it took."""

    def summary(self) -> dict[str, Any]:
        """As JSON takes it."""
        ...


class Asks(Protocol):
    """What puts questions to a model; the gateway does."""

    def ask(self, requests: Iterable[ChatRequest]) -> list[ChatAnswer | LLMError]:
        """The answers, in the order of the questions."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...

    @property
    def usage(self) -> Counted:
        """What asking has taken so far."""
        ...


class ModelRater(Rater):
    """Asks a language model for every rating: all people of a batch at once.

    An answer that cannot be read is asked again, saying what was wrong; after ``asks`` tries the rating has failed and
    is NaN. A rating is never made up. Errors that every question would meet (no key, an unknown model, nothing left to
    spend) are raised.

    Args:
        prompt_strategy: puts the questions and reads the answers.
        gateway: what puts them to the model.
        domain: the domain.
        options: how answers become ratings.
        persistent: whether answers that are kept from before do not count as tries: where a failed rating ends a run,
            going on asks again. Where it is left out instead, all count, so that the same run fails in the same places.
    """

    uses_llm = True

    def __init__(
        self,
        prompt_strategy: PromptStrategy,
        gateway: Asks,
        domain: Domain,
        options: ModelRaterOptions | None = None,
        persistent: bool = False,
    ) -> None:
        self._persistent = persistent
        self.prompt_strategy, self.gateway, self._domain = prompt_strategy, gateway, domain
        self.options = options or ModelRaterOptions()
        self._levels: dict[str, float] = {}
        self._answered = False
        self._objections: set[int] = set()

    def prepare(self, catalog: Catalog, population: Population, scale: RatingScale) -> None:
        self.prompt_strategy.prepare(self._domain, catalog, population)
        self._levels = {}

    def close(self) -> None:
        self.gateway.close()

    def usage(self) -> Mapping[str, Any]:
        return self.gateway.usage.summary()

    def rate_batch(self, request: RatingRequest, draws: Draws) -> Ratings:
        """For a batch: all ratings.

        Raises:
            LLMError: no question can be answered: no key, an unknown model, nothing left to spend, nothing to replay.
            ConfigurationError: probabilities are needed and the model tells none.
        """
        users, slate = request.items.shape
        places = [(row, place) for row in range(users) for place in range(slate)]
        uniform = draws.uniform(slate) if self.options.reading == "sampled" else None
        asked: dict[int, ChatRequest] = {}

        def question(i: int) -> ChatRequest:
            if i not in asked:
                asked[i] = self.prompt_strategy.ask(request, *places[i])
            return asked[i]

        values = np.full(request.items.shape, np.nan)
        reasons: dict[tuple[int, int], str] = {}
        shares: dict[tuple[int, int], Mapping[str, float]] = {}
        open_ones = list(range(len(places)))
        tries = 0
        while open_ones and tries < self.options.asks:
            called = self._called()
            answers = self.gateway.ask(question(i) for i in open_ones)
            counts = not self._persistent or self._called() > called
            tries += counts
            self._raise_what_all_meet(answers, [int(request.items[places[i]]) for i in open_ones])
            left = []
            for i, answer in zip(open_ones, answers, strict=True):
                if isinstance(answer, LLMError):
                    reasons[places[i]] = _said(answer)
                    continue
                try:
                    reply = self.prompt_strategy.read(answer)
                except LLMMalformedError as error:
                    reasons[places[i]] = f"no answer that can be read in {max(tries, 1)} tries: {error}"
                    again = self.prompt_strategy.ask_again(asked[i], answer, str(error))
                    counts = counts or again != asked[i]
                    asked[i] = again
                    left.append(i)
                    continue
                values[places[i]] = self._rating(answer, reply, uniform, *places[i])
                reasons[places[i]] = (reply.reason or answer.reasoning) if self.options.explain else ""
                shares[places[i]] = {label: p for label, p in answer.probabilities.items() if p >= _NEGLIGIBLE}
            open_ones = left
            if not counts:  # the same questions have the same kept answers, however often they are put
                break
        return Ratings(
            values,
            lambda row, place: reasons[row, place],
            lambda row, place: shares.get((row, place), {}),
        )

    def _raise_what_all_meet(self, answers: Sequence[ChatAnswer | LLMError], items: Sequence[int]) -> None:
        """Raise an error that every further question would meet.

        Where a service does not say whether it objects to one question or to all, it does to one if it has answered
        another; before that, if it has objected to fewer than three items.

        Args:
            answers: to some questions.
            items: what each question is about.
        """
        self._answered = self._answered or any(isinstance(answer, ChatAnswer) for answer in answers)
        for answer, item in zip(answers, items, strict=True):
            if isinstance(answer, LLMRequestError) and answer.doubtful:
                self._objections.add(item)
                if self._answered or len(self._objections) < _OBJECTIONS:
                    continue
            if isinstance(answer, LLMError) and (isinstance(answer, _FATAL) or asked_wait(answer) > LONGEST_WAIT):
                raise answer

    def _called(self) -> int:
        """Calls that were made so far."""
        return int(self.gateway.usage.summary()["calls"])

    def _rating(
        self, answer: ChatAnswer, reply: Reply, uniform: NDArray[np.float64] | None, row: int, place: int
    ) -> float:
        if self.options.reading == "likeliest":
            return reply.rating
        if not answer.probabilities:
            raise ConfigurationError(
                f"reading={self.options.reading!r} needs a model that tells the probability of each rating, and a way "
                "of prompting that asks for the rating alone; this one tells none. Use reading='likeliest'."
            )
        labels = list(answer.probabilities)
        levels = np.array([self._level(label) for label in labels])
        weights = np.array([answer.probabilities[label] for label in labels])
        if uniform is None:
            return float(self._domain.scale.round((levels * weights).sum() / weights.sum()))
        edges = np.cumsum(weights)
        chosen = int(np.searchsorted(edges, uniform[row, place] * edges[-1], side="right"))
        return float(levels[min(chosen, len(levels) - 1)])

    def _level(self, label: str) -> float:
        """The rating that a label stands for."""
        known = self._levels.get(label)
        if known is None:
            known = self._levels[label] = self.prompt_strategy.read(ChatAnswer(label)).rating
        return known


def _said(error: LLMError) -> str:
    return f"{type(error).__name__}: {error}"
