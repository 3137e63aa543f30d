"""ModelRater: the rater ``llm``, a language model that rates for all users of a batch at once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Draws, Exchange, Rater, RatingRequest, Ratings, WorldSetting
from emosim_core.components.mixture import Mixture
from emosim_core.errors import (
    ConfigurationError,
    LLMAuthenticationError,
    LLMBudgetError,
    LLMError,
    LLMMalformedError,
    LLMReplayError,
    LLMRequestError,
    LLMTransientError,
)
from emosim_core.hooks import Resolved
from emosim_core.hooks.faults import named
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.retries import LONGEST_WAIT, requested_wait
from emosim_core.llm.label_weights import read_label_weights
from emosim_core.llm.options import LLMRaterOptions, ModelRaterOptions
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy, Reply
from emosim_core.llm.recorder import Recorder

if TYPE_CHECKING:
    from emosim_core.llm.gateway.gateway import Gateway
    from emosim_core.llm.gateway.shared import GatewayService, SharedGateway

_FATAL = (LLMAuthenticationError, LLMRequestError, LLMBudgetError, LLMReplayError)
"""Errors that every further request would raise too."""

_OBJECTIONS = 3
"""Items that a service may reject before it has answered any, until it counts as rejecting all requests."""

_Read = TypeVar("_Read")

_NEGLIGIBLE = 1e-4
"""Probabilities below this are not recorded."""


class ModelRater(Rater):
    """Calls a language model for every rating, for all users of a batch at once.

    After an answer that cannot be parsed the request is repeated, with the reason; after ``parse_attempts`` attempts
    the rating is NaN. No rating is invented. Errors that every request would raise (no key, an unknown model, an
    exhausted budget) are raised.

    With ``on_failed_rating="raise"``, cached answers do not count as attempts, so a resumed run tries again. With
    ``"skip"`` they count, so a repeated run fails in the same places.

    Args:
        prompt_strategy: writes the prompts and parses the answers.
        gateway: sends the requests.
        options: how answers become ratings.
        label: the prompt strategy and its plugin, for errors that escape from its code.
        announcements: notes for the user of the model.
        secrets: returns the texts that must not occur in a transcript, such as a key.
        transcript: whether requests and answers are for a run's transcript.
    """

    uses_llm = True

    def __init__(
        self,
        prompt_strategy: PromptStrategy,
        gateway: Gateway | SharedGateway,
        options: ModelRaterOptions | None = None,
        *,
        label: str = "the prompt strategy",
        announcements: Sequence[str] = (),
        secrets: Callable[[], Sequence[str]] = tuple,
        transcript: bool = True,
    ) -> None:
        self.prompt_strategy = prompt_strategy
        self.gateway = gateway
        self.options = options or ModelRaterOptions()
        self._label, self._announcements = label, tuple(announcements)
        self._secrets = secrets
        self._recorder, self._transcript = Recorder(secrets), transcript
        self._persistent = False
        self._levels: dict[str, float] = {}
        self._prior: dict[float, float] = {}
        self._counts: Counter[str] = Counter()
        self._sums = {"expected_sum": 0.0, "expected_squares": 0.0}
        self._answered = False
        self._objections: set[int] = set()
        self._collected: list[ChatRequest] | None = None

    def prepare(self, setting: WorldSetting) -> None:
        with named(self._label):
            self.prompt_strategy.prepare(setting)
        self._scale = setting.scale
        self._persistent = setting.on_failed_rating == "raise"
        if setting.ask_service is not None:
            from emosim_core.llm.gateway.shared import SharedGateway

            self.gateway = SharedGateway(setting.ask_service, self.gateway.usage)
        if setting.spent:
            self.gateway.charge(setting.spent)
        self._levels = {}
        self._prior = self._read_prior(setting)

    def _read_prior(self, setting: WorldSetting) -> dict[float, float]:
        """The weight of each level of the scale; empty unless the reading is corrected by them."""
        options = self.options
        if (options.reading == "prior_corrected") != (options.prior is not None):
            raise ConfigurationError(
                "reading='prior_corrected' and prior=FILE go together; the file is label_weights.json, which emosim "
                "validate writes for a model that returns probabilities"
            )
        return {} if options.prior is None else read_label_weights(options.prior, setting.scale, self.answered_by)

    def with_strategy(self, prompt_strategy: PromptStrategy, label: str) -> ModelRater:
        """A rater that prompts the same model in another way, through the same gateway, and tells its reasons."""
        options = self.options.model_copy(update={"explain": True})
        rater = ModelRater(prompt_strategy, self.gateway, options, label=label, secrets=self._secrets)
        rater.language_model = rater.answered_by = self.language_model
        return rater

    def announcements(self) -> Sequence[str]:
        return self._announcements

    def close(self) -> None:
        self.gateway.close()

    def usage(self) -> Mapping[str, Any]:
        """The counts of the gateway, and those answers whose probabilities were read (``read_probabilities``), which
        could not be read (``unread_answers``), and which were cut off at their limit of tokens (``cut_answers``); the
        sums of the means of the probabilities that were read and of their squares (``expected_sum``,
        ``expected_squares``); and what :meth:`count` counted."""
        sums = {name: round(total, 6) for name, total in self._sums.items()}
        counts = {name: count for name, count in {**self._counts, **sums}.items() if count}
        return {**self.gateway.usage.summary(), **counts}

    def count(self, name: str) -> None:
        """Count something under a name that :meth:`usage` has."""
        self._counts[name] += 1

    def service(self) -> GatewayService:
        from emosim_core.llm.gateway.gateway import Gateway
        from emosim_core.llm.gateway.shared import GatewayService

        assert isinstance(self.gateway, Gateway)
        return GatewayService(self.gateway)

    def exchanges(self) -> Sequence[Exchange]:
        return self.recorded(self._recorder)

    def new_recorder(self) -> Recorder:
        """A recorder of further requests to the model."""
        return Recorder(self._secrets)

    def recorded(self, recorder: Recorder) -> Sequence[Exchange]:
        """What a recorder holds; nothing without a transcript."""
        return recorder.exchanges() if self._transcript else ()

    @property
    def draws_answers(self) -> bool:
        """Whether answers are drawn by the probabilities that the model returns."""
        return self.options.reading in ("sampled", "prior_corrected")

    def rate_batch(self, request: RatingRequest, draws: Draws) -> Ratings:
        """For a batch: all ratings.

        Raises:
            LLMError: no request can succeed: no key, an unknown model, an exhausted budget, no answer to replay.
            ConfigurationError: ``reading`` needs probabilities and the model returns none.
        """
        reading = self.options.reading
        uniform = draws.uniform(request.items.shape[1]) if self.draws_answers else None
        answered, reasons = self._answered_all(request)
        values = np.full(request.items.shape, np.nan)
        shares: dict[tuple[int, int], Mapping[str, float]] = {}
        for place, (answer, reply) in answered.items():
            values[place] = self._rating(answer, reply, None if uniform is None else float(uniform[place]))
            reasons[place] = (reply.reason or answer.reasoning) if self.options.explain else ""
            shares[place] = {label: p for label, p in answer.probabilities.items() if p >= _NEGLIGIBLE}
            if answer.probabilities and reading != "likeliest":
                shares_of = self._weights(answer, reply)
                mean = sum(level * share for level, share in shares_of.items()) / sum(shares_of.values())
                self._counts["read_probabilities"] += 1
                self._sums["expected_sum"] += mean
                self._sums["expected_squares"] += mean * mean
        return Ratings(
            values,
            lambda row, place: reasons[row, place],
            lambda row, place: shares.get((row, place), {}),
        )

    def distribution_batch(self, request: RatingRequest) -> NDArray[np.float64]:
        """The probabilities that the model returns; a NotImplementedError where it returns none."""
        answered, _ = self._answered_all(request)
        if answered and not any(answer.probabilities for answer, _ in answered.values()):
            raise NotImplementedError("the language model returns no probabilities")
        levels = self._scale.levels
        probabilities = np.full((*request.items.shape, len(levels)), np.nan)
        for place, (answer, reply) in answered.items():
            probabilities[place] = 0.0
            for level, weight in self._weights(answer, reply).items():
                probabilities[place][int(np.abs(levels - level).argmin())] += weight
            probabilities[place] /= probabilities[place].sum()
        return probabilities

    def expected_batch(self, request: RatingRequest) -> NDArray[np.float64]:
        """The mean rating by the probabilities; a NotImplementedError where the model returns none."""
        return self.distribution_batch(request) @ self._scale.levels

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Within it no model is called and all ratings fail; in the end all that was requested is requested at once.

        The answers are then cached. For a model whose answers come hours later, and work that can be done twice.
        """
        self._collected = []
        try:
            yield
            requests = self._collected
        finally:
            self._collected = None
        self._raise_fatal(self.gateway.ask(requests), list(range(len(requests))))

    def _sent(self, requests: Iterable[ChatRequest]) -> list[ChatAnswer | LLMError]:
        """The answers of the gateway; while requests are collected, an error in the place of each."""
        if self._collected is None:
            return self.gateway.ask(requests)
        new = list(requests)
        self._collected += new
        return [LLMTransientError("it is requested together with others later")] * len(new)

    def _answered_all(
        self, request: RatingRequest
    ) -> tuple[dict[tuple[int, int], tuple[ChatAnswer, Reply]], dict[tuple[int, int], str]]:
        """The answers that could be parsed, by row and place, and why the others could not be."""
        strategy, places = self.prompt_strategy, list(np.ndindex(request.items.shape))
        items = request.items.ravel().tolist()
        self._recorder.clear()

        def ask(place: tuple[int, int]) -> ChatRequest:
            return strategy.ask(request, *place)

        return self.until_read(self._recorder, places, items, ask, self._reply, strategy.ask_again)

    def until_read(
        self,
        recorder: Recorder,
        places: Sequence[tuple[int, int]],
        items: Sequence[int],
        ask: Callable[[tuple[int, int]], ChatRequest],
        read: Callable[[ChatAnswer], _Read],
        ask_again: Callable[[ChatRequest, ChatAnswer, str], ChatRequest],
    ) -> tuple[dict[tuple[int, int], tuple[ChatAnswer, _Read]], dict[tuple[int, int], str]]:
        """Send requests, those again whose answers cannot be parsed, as often as the options say.

        Args:
            recorder: records them.
            places: row and place that each is about.
            items: index of an item that each is about.
            ask: makes the request about a row and place.
            read: what an answer says; raises an LLMMalformedError where it cannot be parsed.
            ask_again: makes the next request, from the last one, its answer and why this cannot be parsed.

        Returns:
            The answers that could be parsed and what they say, by row and place, and why there is none elsewhere.

        Raises:
            LLMError: no request can succeed.
        """
        requests: dict[int, ChatRequest] = {}

        def request_for(i: int) -> ChatRequest:
            if i not in requests:
                with named(self._label):
                    requests[i] = ask(places[i])
            return requests[i]

        answered: dict[tuple[int, int], tuple[ChatAnswer, _Read]] = {}
        reasons: dict[tuple[int, int], str] = {}
        open_ones = list(range(len(places)))
        attempts = 0
        # Another attempt would take hours.
        most = 1 if self.deferred else self.options.parse_attempts
        while open_ones and attempts < most:
            calls = self.gateway.usage.calls
            answers = self._sent(request_for(i) for i in open_ones)
            counts = not self._persistent or self.gateway.usage.calls > calls
            attempts += counts
            records = recorder.record([places[i] for i in open_ones], [requests[i] for i in open_ones], answers)
            self._raise_fatal(answers, [items[i] for i in open_ones])
            remaining = []
            for i, answer, record in zip(open_ones, answers, records, strict=True):
                if isinstance(answer, LLMError):
                    reasons[places[i]] = answer.explained
                    continue
                self._counts["cut_answers"] += not answer.finished
                try:
                    with named(self._label):
                        answered[places[i]] = answer, read(answer)
                except LLMMalformedError as error:
                    self._counts["unread_answers"] += 1
                    record.problem = str(error)
                    reasons[places[i]] = f"no answer could be parsed in {max(attempts, 1)} attempts: {error}"
                    with named(self._label):
                        next_request = ask_again(requests[i], answer, str(error))
                    counts = counts or next_request != requests[i]
                    requests[i] = next_request
                    remaining.append(i)
            open_ones = remaining
            if not counts:  # the same requests get the same cached answers again
                break
        return answered, reasons

    def _reply(self, answer: ChatAnswer) -> Reply:
        """The rating in an answer: that of its text, or the likeliest one where only the probabilities can be read."""
        try:
            return self.prompt_strategy.read(answer)
        except LLMMalformedError:
            if not answer.probabilities:
                raise
            likeliest = max(answer.probabilities, key=answer.probabilities.__getitem__)
            return self.prompt_strategy.read(ChatAnswer(likeliest))

    def _raise_fatal(self, answers: Sequence[ChatAnswer | LLMError], items: Sequence[int]) -> None:
        """Raise an error that every further request would raise.

        A rejection that may be about one request alone counts as such if the service has answered another request,
        or has rejected fewer than three items. ``items`` are the indices of the items of the requests.
        """
        self._answered = self._answered or any(isinstance(answer, ChatAnswer) for answer in answers)
        for answer, item in zip(answers, items, strict=True):
            if isinstance(answer, LLMRequestError) and answer.doubtful:
                self._objections.add(item)
                if self._answered or len(self._objections) < _OBJECTIONS:
                    continue
            if isinstance(answer, LLMError) and (isinstance(answer, _FATAL) or requested_wait(answer) > LONGEST_WAIT):
                raise answer

    def _rating(self, answer: ChatAnswer, reply: Reply, uniform: float | None) -> float:
        reading = self.options.reading
        if reading == "likeliest" or (reading == "sampled" and not answer.probabilities):
            return reply.rating
        if not answer.probabilities:
            raise ConfigurationError(
                f"reading={reading!r} needs a model that returns the probability of each rating, and a "
                "prompt strategy that requests the rating alone; this one returns none. Use reading='sampled'."
            )
        shares = self._weights(answer, reply)
        levels, weights = np.array(list(shares)), np.array(list(shares.values()))
        if uniform is None:
            return float(self._scale.round((levels * weights).sum() / weights.sum()))
        edges = np.cumsum(weights)
        chosen = int(np.searchsorted(edges, uniform * edges[-1], side="right"))
        return float(levels[min(chosen, len(levels) - 1)])

    def _weights(self, answer: ChatAnswer, reply: Reply) -> dict[float, float]:
        """The probability of each rating, corrected where the reading is; that of the text where there are none."""
        shares: dict[float, float] = {}
        for label, probability in answer.probabilities.items():
            level = self._level(label)
            shares[level] = shares.get(level, 0.0) + probability * self._prior.get(level, 1.0)
        return shares if sum(shares.values()) > 0 else {reply.rating: 1.0}

    def _level(self, label: str) -> float:
        """The rating of a label."""
        if label not in self._levels:
            self._levels[label] = self.prompt_strategy.read(ChatAnswer(label)).rating
        return self._levels[label]


def model_rater(rater: Rater) -> ModelRater | None:
    """The rater that calls a language model: a rater itself, or the one of a mixture; None where none does."""
    among = rater.raters.values() if isinstance(rater, Mixture) else (rater,)
    return next((one for one in among if isinstance(one, ModelRater)), None)


def llm_rater(options: LLMRaterOptions, parts: Mapping[str, Resolved]) -> ModelRater:
    """The rater ``llm``.

    Args:
        parts: its ``model``, an :class:`~emosim_core.llm.LLMBackend`, and its ``strategy``, a
            :class:`~emosim_core.llm.PromptStrategy`.
    """
    from emosim_core.llm.gateway.gateway import Gateway  # a description of the rater needs no database, threads or loop

    strategy: PromptStrategy = parts["strategy"].build(PromptStrategy)
    backend: LLMBackend = parts["model"].build(LLMBackend)
    with named(parts["model"].label):
        identity, title, announcements = backend.identity, backend.title or backend.identity, backend.announcements()
    rater = ModelRater(
        strategy,
        Gateway(backend, options.gateway),
        options,
        label=parts["strategy"].label,
        announcements=announcements,
        secrets=backend.secrets,
        transcript=options.gateway.transcript,
    )
    rater.language_model = identity
    rater.answered_by = f"{title} ({backend.kind}; prompt strategy {parts['strategy'].component.name})"
    if options.prior is not None and options.prior.is_file():  # a missing one is an error of prepare()
        rater.data_sha256 = hashlib.sha256(options.prior.read_bytes()).hexdigest()
    rater.deferred = backend.deferred and not options.gateway.replay
    rater.batch_size = 32 * options.gateway.concurrency
    return rater
