"""The backends keep to the contract of plugins, asked over a real connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from emosim_core.testing import Answer, ChatServer, LLMBackendConformance


@pytest.fixture(autouse=True)
def _server(request: pytest.FixtureRequest) -> Iterator[None]:
    """A server that answers with what it was asked, after a moment."""
    with ChatServer(lambda asked: Answer(asked["messages"][-1]["content"], delay=0.01)) as server:
        if request.cls is not None:
            request.cls.component = {**request.cls.options, "base_url": server.url}
        yield


class TestDeepSeek(LLMBackendConformance):
    options: ClassVar = {"name": "deepseek-chat"}
    key_variable = "DEEPSEEK_API_KEY"


class TestThinking(LLMBackendConformance):
    options: ClassVar = {"name": "deepseek", "model": "deepseek-v4-pro"}
    key_variable = "DEEPSEEK_API_KEY"


class TestEndpoint(LLMBackendConformance):
    options: ClassVar = {"name": "openai", "model": "model"}


class TestEndpointWithAKey(LLMBackendConformance):
    options: ClassVar = {"name": "openai", "model": "model", "api_key_env": "SOME_KEY"}
    key_variable = "SOME_KEY"
