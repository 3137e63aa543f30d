"""A backend that does what a test says, call by call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from emosim_core.llm import ChatAnswer, ChatRequest, LLMBackend, Price, Usage


class Scripted(LLMBackend):
    """Returns or raises its outcomes in their order, each after some seconds; then it answers "7"."""

    identity = "scripted"

    def __init__(self, *outcomes: Any, delay: float = 0.0) -> None:
        self.outcomes, self.delay = list(outcomes), delay
        self.calls: list[ChatRequest] = []
        self.running = self.most = self.closed = 0
        self.hidden: list[str] = []
        self.cost: Price | None = None

    def secrets(self) -> list[str]:
        return self.hidden

    def price(self) -> Price | None:
        return self.cost

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        self.calls.append(request)
        outcome = self.outcomes.pop(0) if self.outcomes else ChatAnswer("7", usage=Usage(1))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.running -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def scripted() -> Callable[..., Scripted]:
    """Makes backends that do what they are told, call by call."""
    return Scripted
