"""Shared: the gateway of a command, which works in one process, and what stands for it in all others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

from emosim_core.components.base import RaterService
from emosim_core.errors import EmoSimError, LLMError
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage
from emosim_core.llm.gateway.cache_lines import answer_json, answer_of, request_of, request_text
from emosim_core.llm.gateway.gateway import Gateway
from emosim_core.llm.gateway.usage import UsageTally
from emosim_core.runs.service import error_json, error_of

_AT_ONCE = 32
"""Requests that are sent together, while the next ones are made."""


class GatewayService(RaterService):
    """Answers requests of other processes through a gateway of this one."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.key = f"{gateway.backend.identity} {gateway.options.model_dump_json()}"

    def answer(self, messages: Iterator[Sequence[str]]) -> dict[str, Any]:
        """The answers to requests, and what they took.

        ``order`` gives, for each request, the index of its answer: equal requests share one.
        """
        usage = UsageTally(self._gateway.usage)
        requests = (request_of(json.loads(text)) for texts in messages for text in texts)
        try:
            answers = self._gateway.ask(requests, usage)
        except EmoSimError as error:
            return {"raised": error_json(error), "usage": usage.part()}
        indices: dict[int, int] = {}
        order = [indices.setdefault(id(answer), len(indices)) for answer in answers]
        unique = {id(answer): answer for answer in answers}
        return {"answers": [_result_json(one) for one in unique.values()], "order": order, "usage": usage.part()}

    def charge(self, spent: Callable[[], float]) -> None:
        self._gateway.charge(spent)

    def cost(self) -> float:
        return self._gateway.usage.cost or 0.0

    def close(self) -> None:
        self._gateway.close()


class SharedGateway:
    """Stands for the gateway in the process of the command.

    Args:
        ask_service: asks its :class:`GatewayService`.
        usage: counts what is asked here.
    """

    def __init__(self, ask_service: Callable[[Iterable[Any]], Any], usage: UsageTally) -> None:
        self.usage = usage
        self._ask_service = ask_service

    def ask(self, requests: Iterable[ChatRequest]) -> list[ChatAnswer | LLMError]:
        """As of :class:`~emosim_core.llm.gateway.gateway.Gateway`; a RunError where that process has ended."""
        reply = self._ask_service(self._parts(requests))
        self.usage.add_part(reply["usage"])
        if "raised" in reply:
            raise error_of(reply["raised"])
        answers = [_result_of(one) for one in reply["answers"]]
        return [answers[index] for index in reply["order"]]

    def charge(self, cost: float) -> None:
        """Nothing: the process of the command counts what all have spent."""

    def close(self) -> None:
        """Nothing: the gateway works for other processes too."""

    def _parts(self, requests: Iterable[ChatRequest]) -> Iterator[list[str]]:
        remaining = iter(requests)
        while part := [request_text(request) for request in islice(remaining, _AT_ONCE)]:
            yield part


def _result_json(result: ChatAnswer | LLMError) -> dict[str, Any]:
    if isinstance(result, ChatAnswer):
        return {"answer": answer_json(result), "usage": asdict(result.usage), "cached": result.cached}
    return {"error": error_json(result), "usage": None if result.usage is None else asdict(result.usage)}


def _result_of(payload: Mapping[str, Any]) -> ChatAnswer | LLMError:
    usage = None if payload["usage"] is None else Usage(**payload["usage"])
    if "answer" in payload:
        assert usage is not None
        return replace(answer_of(json.loads(payload["answer"]), usage), cached=payload["cached"])
    error = error_of(payload["error"])
    assert isinstance(error, LLMError)
    error.usage = usage
    return error
