"""Fakes: a rater and a language-model backend that do as a script says, and keep their requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from emosim_core.components.base import Draws, Rater, RatingRequest, Ratings
from emosim_core.errors import LLMError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage


class ScriptedRater(Rater):
    """Rates what a script says: a function of the user's and the item's index and of the times consumed before.

    NaN fails. ``requests`` are all requests, in order.
    """

    def __init__(self, script: Callable[[int, int, int], float]) -> None:
        self.script = script
        self.requests: list[RatingRequest] = []

    def rate_batch(self, request: RatingRequest, draws: Draws) -> Ratings:
        self.requests.append(request)
        values = [
            [self.script(user, item, times) for item, times in zip(slate, before, strict=True)]
            for user, slate, before in zip(
                request.users.tolist(), request.items.tolist(), request.times.tolist(), strict=True
            )
        ]
        return Ratings(np.array(values, dtype=np.float64), lambda row, place: "as the script says")


class ScriptedBackend(LLMBackend):
    """A language model that answers as a script says, and counts a token for each word.

    The script is a function of the request, or answers that are given one after the other; an :class:`LLMError` among
    them is raised. ``requests`` are all requests, in order.
    """

    identity = "scripted"

    def __init__(self, script: Callable[[ChatRequest], str | LLMError] | Iterable[str | LLMError]) -> None:
        self._script = script if callable(script) else self._one_after_the_other(script)
        self.requests: list[ChatRequest] = []

    @staticmethod
    def _one_after_the_other(answers: Iterable[str | LLMError]) -> Callable[[ChatRequest], str | LLMError]:
        remaining = iter(answers)

        def following(request: ChatRequest) -> str | LLMError:
            for answer in remaining:
                return answer
            raise IndexError(f"the script has no answer left to {request.messages[-1].content!r}")

        return following

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        self.requests.append(request)
        scripted = self._script(request)
        if isinstance(scripted, LLMError):
            raise scripted
        words = sum(len(message.content.split()) for message in request.messages)
        return ChatAnswer(scripted, model="scripted", usage=Usage(prompt=words, completion=len(scripted.split())))
