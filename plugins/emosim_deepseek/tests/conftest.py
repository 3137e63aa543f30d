"""Fixtures of this package's tests: an environment without keys, and a network that ends at this machine."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from emosim_core.llm import ChatAnswer, ChatRequest, LLMBackend, LLMError, Message

pytest_plugins = ["emosim_core.testing.pytest_plugin"]

Ask = Callable[..., "ChatAnswer | LLMError"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, no_network: None) -> None:
    """No key, no address and no proxy of whoever runs the tests, and no way to a real service."""
    for name in list(os.environ):
        if name.startswith(("DEEPSEEK_", "OPENAI_", "EMOSIM_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def question() -> ChatRequest:
    """A question."""
    return ChatRequest((Message("system", "You are Ada."), Message("user", "How good is it, 1 to 10?")), max_tokens=16)


@pytest.fixture
def ask(question: ChatRequest) -> Ask:
    """Asks a backend one question; gives back the answer or the error."""

    def one(backend: LLMBackend, request: ChatRequest = question) -> ChatAnswer | LLMError:
        (answer,) = backend.answer_batch([request])
        return answer

    return one
