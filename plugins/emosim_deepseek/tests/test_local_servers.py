"""Short forms of the addresses of model servers on this machine."""

from __future__ import annotations

from typing import Any

import pytest
from emosim_deepseek.endpoint import Endpoint

from emosim_core import ConfigurationError
from emosim_core.llm import ChatRequest, Message
from emosim_core.plugins import Registry
from emosim_core.testing import ChatServer

REQUEST = ChatRequest((Message("user", "How good?"),), choices=("1", "2"))


def made(written: str | dict[str, Any]) -> Endpoint:
    registry = Registry()
    registry.load("deepseek")
    backend = registry.resolve("llm_backend", written).build()
    assert isinstance(backend, Endpoint)
    return backend


@pytest.mark.parametrize(
    ("written", "url", "model", "restricts"),
    [
        ("ollama:qwen3:8b", "http://127.0.0.1:11434/v1", "qwen3:8b", None),
        ("ollama:model=gemma3,base_url=http://10.0.0.2:11434/v1", "http://10.0.0.2:11434/v1", "gemma3", None),
        ("llamacpp:8080", "http://127.0.0.1:8080/v1", None, "grammar"),
        ("vllm:8000#Qwen/Qwen3-8B", "http://127.0.0.1:8000/v1", "Qwen/Qwen3-8B", "structured_outputs"),
        ("vllm:port=8000,model=org/m,choices=none", "http://127.0.0.1:8000/v1", "org/m", None),
        ({"name": "llamacpp", "port": 8081}, "http://127.0.0.1:8081/v1", None, "grammar"),
        ({"name": "llamacpp", "base_url": "http://10.0.0.2:1/v1"}, "http://10.0.0.2:1/v1", None, "grammar"),
    ],
)
def test_a_short_form_is_an_address_and_what_the_server_can_do(
    written: str | dict[str, Any], url: str, model: str | None, restricts: str | None
) -> None:
    backend = made(written)
    body = backend.body(REQUEST)
    assert (backend.base_url, body.get("model")) == (url, model)
    assert {"grammar", "structured_outputs"} & set(body) == ({restricts} if restricts else set())
    assert (url in backend.identity) == (model is None)
    assert bool(backend.announcements()) == (model is None)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("llamacpp:x", "expected a port, such as 8000"),
        ("llamacpp:70000", "expected a port"),
        ("vllm:8000#", "expected a port"),
        ("vllm:port=8000#a,model=b", "the model is given twice"),
        ("vllm:port=8000,base_url=http://h/v1", "the address is given twice"),
        ("vllm:model=b", "needs the port"),
        ("vllm", "needs the port"),
        ("ollama", "'model' is needed"),
        ("ollma:qwen3", r"Did you mean 'ollama'.*Known: .*llamacpp:PORT.*ollama:MODEL.*vllm:PORT"),
    ],
)
def test_what_is_no_short_form_says_what_is_missing(written: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        made(written)


def test_a_server_without_a_named_model_is_asked_for_none() -> None:
    with ChatServer(lambda body: "2") as server:
        backend = made(f"vllm:{server.url.rpartition(':')[2].removesuffix('/v1')}")
        (answer,) = backend.answer_batch([REQUEST])
    assert getattr(answer, "text", answer) == "2"
    assert "model" not in server.calls[0].body
