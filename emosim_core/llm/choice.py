"""ModelChoice: the choice model ``llm``, a language model that chooses from a whole slate with one question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emosim_core.components.base import Draws, Exchange, Rater, WorldSetting
from emosim_core.components.choice import Choice, ChoiceRequest
from emosim_core.errors import ConfigurationError, RatingError
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.prompts.choice_prompt import ChoicePrompt, ModelChoiceOptions
from emosim_core.llm.rater import ModelRater
from emosim_core.model.arrays import Flags


class ModelChoice(Choice):
    """Asks the language model that rates which item of the slate the user takes, if any: one question for a slate.

    The items are listed in a random order, which the seed decides, so that their places in the slate say nothing; all
    count as examined. Where the model returns the probabilities of its answers, and its ratings are drawn by them, so
    is the choice. An answer that cannot be parsed is asked for again, as often as a rating. Without one, the step
    raises, or with ``on_failed_rating="skip"`` nothing counts as examined; no choice is invented.
    """

    asks_llm = True
    _rater: ModelRater

    def __init__(self, options: ModelChoiceOptions) -> None:
        self.options, self.patience = options, options.patience

    def meet(self, rater: Rater) -> None:
        """Take the language model of the rater, with its budget and its cache; a ConfigurationError without one."""
        if not isinstance(rater, ModelRater):
            raise ConfigurationError(
                "the choice model 'llm' asks the language model that rates, and none does; name one with --llm-model, "
                "or another --choice"
            )
        self._rater, self._recorder = rater, rater.new_recorder()

    def prepare(self, setting: WorldSetting) -> None:
        """Make the texts that are the same in every prompt."""
        self._prompt = ChoicePrompt(setting, self.options)
        self._raises = setting.on_failed_rating == "raise"

    def exchanges(self) -> Sequence[Exchange]:
        """The questions of the last batch and their answers."""
        return self._rater.recorded(self._recorder)

    def choose_batch(self, request: ChoiceRequest, examining: Draws, choosing: Draws) -> tuple[Flags, Flags]:
        """For a batch: all places as examined, and the one that the model names as clicked.

        Raises:
            LLMError: no request can succeed: no key, an unknown model, an exhausted budget, no answer to replay.
            RatingError: no answer could be parsed, and failed ratings raise.
        """
        count, slate = request.items.shape
        uniform = choosing.uniform(slate + 1)
        order = np.argsort(uniform[:, :slate], axis=1)
        names = self._prompt.labels(slate)

        def first(place: tuple[int, int]) -> ChatRequest:
            return self._prompt.ask(request, place[0], order[place[0]])

        def read(answer: ChatAnswer) -> int:
            return self._prompt.read(answer, names)

        def again(earlier: ChatRequest, answer: ChatAnswer, problem: str) -> ChatRequest:
            return self._prompt.ask_again(earlier, answer, problem, names)

        places = [(row, 0) for row in range(count)]
        items = [int(row[0]) for row in request.items]
        self._recorder.clear()
        answered, problems = self._rater.until_read(self._recorder, places, items, first, read, again)
        examined, clicked = np.zeros((2, count, slate), dtype=np.bool_)
        for row, place in enumerate(places):
            if place not in answered:
                if self._raises:
                    name = request.population.users[int(request.users[row])].name
                    raise RatingError(f"no choice by {name!r}: {problems[place]}")
                continue
            answer, number = answered[place]
            if answer.probabilities and self._rater.draws_answers:
                number = _drawn(answer, names, float(uniform[row, slate]))
            examined[row] = True
            if number:
                self._rater.count(f"chosen_{number}_of_{slate}")
                clicked[row, order[row, number - 1]] = True
        return examined, clicked


def _drawn(answer: ChatAnswer, names: Sequence[str], uniform: float) -> int:
    """The number of a name that is drawn by the probabilities of an answer."""
    weights: Any = np.array([answer.probabilities.get(name, 0.0) for name in names])
    edges = weights.cumsum()
    return min(int(np.searchsorted(edges, uniform * edges[-1], side="right")), len(names) - 1)
