"""A key is found, sent, and shown nowhere: in no message, no log, no representation and no traceback."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
from collections.abc import Callable

import pytest
from emosim_deepseek.addresses import without_key
from emosim_deepseek.deepseek import DeepSeek, DeepSeekOptions
from emosim_deepseek.endpoint import Endpoint, EndpointOptions
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.llm import ChatAnswer, ChatRequest, LLMAuthenticationError, LLMBackend, LLMError
from emosim_core.testing import Answer, ChatServer

KEY = "sk-4f2a9c7e1b8d3056aaf0"
Ask = Callable[..., "ChatAnswer | LLMError"]


def parts(key: str, size: int = 6) -> set[str]:
    """All parts of a key of some length."""
    return {key[start : start + size] for start in range(len(key) - size + 1)}


async def error_of(backend: LLMBackend, question: ChatRequest) -> LLMError | None:
    """What comes of a question; None for an answer."""
    try:
        await backend.answer(question)
    except LLMError as error:
        return error
    return None


@pytest.fixture
def deepseek(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], LLMBackend]:
    """Makes the backend for a base URL, with its key in the environment."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", f" {KEY}\n")
    return lambda url: DeepSeek(DeepSeekOptions(model="deepseek-chat", base_url=url))


@pytest.mark.parametrize(
    "answer",
    [
        Answer("7"),
        Answer(f"Incorrect API key provided: {KEY}. Find yours at https://x", status=401),
        Answer(f"Authentication Fails, Your api key: ****{KEY[-4:]} is invalid", status=401),
        Answer(f"Incorrect API key provided: {KEY[:8]}********{KEY[-4:]}.", status=403),
        Answer(f"Authorization: Bearer {KEY} is not allowed", status=400),
        Answer(f"no model for {KEY[3:14]}", status=404),
        Answer(f"key {KEY}", status=429),
        Answer(raw=b"x" * 195 + KEY.encode() + b" at the end", status=500),
        Answer(raw=b"", status=307, headers={"Location": f"https://b.example/?key={KEY}"}),
        Answer(raw=f"<html>{KEY}</html>".encode()),
        Answer("7", usage={"prompt_tokens": KEY}),
        Answer(refusal=f"I will not tell {KEY}"),
        Answer("7", drop="midway"),
        Answer(drop=True),
        Answer("7", delay=5),
    ],
)
def test_no_key_is_in_a_log_a_message_a_representation_or_a_traceback(
    answer: Answer,
    deepseek: Callable[[str], LLMBackend],
    question: ChatRequest,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    shown = []
    with ChatServer(lambda asked: answer) as server:
        backend = deepseek(server.url)
        if answer.delay:
            backend = DeepSeek(DeepSeekOptions(model="deepseek-chat", base_url=server.url, timeout=0.1))

        async def asked() -> None:
            error = await error_of(backend, question)
            if error is not None:
                assert (error.__cause__, error.__context__) == (None, None)
                shown.extend([str(error), repr(error), *traceback.format_exception(error)])
            shown.extend([repr(backend), str(vars(backend)), backend.identity])
            await backend.close()

        asyncio.run(asked(), debug=True)
        assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"
    shown += [f"{record.getMessage()} {record.args} {record.__dict__}" for record in caplog.records]
    shown += capfd.readouterr()
    for text in shown:
        assert not [part for part in parts(KEY) if part in text], text
        assert f"*{KEY[-4:]}" not in text
    assert caplog.records


def test_without_a_key_every_way_to_give_one_is_named(ask: Ask) -> None:
    error = ask(DeepSeek(DeepSeekOptions(model="deepseek-chat", base_url="http://127.0.0.1:9")))
    assert type(error) is LLMAuthenticationError
    for way in (
        "export DEEPSEEK_API_KEY=...",
        "--llm-model deepseek:model=deepseek-chat,api_key_env=MY_KEY",
        "https://platform.deepseek.com/api_keys",
    ):
        assert way in str(error)


def test_openai_without_a_key_names_its_own_variable(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSIM_LLM_API_KEY", KEY)
    error = ask(Endpoint(EndpointOptions(model="gpt-x")))
    assert type(error) is LLMAuthenticationError
    assert "OpenAI at https://api.openai.com/v1 needs a key" in str(error)
    assert "export OPENAI_API_KEY=..." in str(error)


@pytest.mark.parametrize("key", ["two words", "schl\u00fcssel", "line\nend", "\u2028"])
def test_what_no_header_can_carry_is_no_key_and_is_not_repeated(
    key: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", f"x{key}x")
    error = ask(DeepSeek(DeepSeekOptions(base_url="http://127.0.0.1:9")))
    assert type(error) is LLMAuthenticationError
    assert "the environment variable DEEPSEEK_API_KEY is no key" in str(error)
    assert key not in str(error)


def test_another_variable_can_hold_the_key(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("MY_KEY", KEY)
    with ChatServer() as server:
        assert isinstance(ask(DeepSeek(DeepSeekOptions(base_url=server.url, api_key_env="MY_KEY"))), ChatAnswer)
    assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_server_of_ones_own_gets_no_key_unless_there_is_one_for_it(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai-alone")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-for-openai-alone")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-for-openai-alone")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-for-openai-alone")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: for-openai-alone\nauthorization: for-openai-alone")
    with ChatServer() as server:
        backend = Endpoint(EndpointOptions(model=f"{server.url}#m"))
        assert isinstance(ask(backend), ChatAnswer)
        monkeypatch.setenv("EMOSIM_LLM_API_KEY", KEY)
        assert isinstance(ask(backend), ChatAnswer)
    assert "authorization" not in server.calls[0].headers
    assert server.calls[1].headers["authorization"] == f"Bearer {KEY}"
    assert "for-openai-alone" not in str(server.calls)


def test_a_key_named_by_an_option_must_be_there(ask: Ask) -> None:
    error = ask(Endpoint(EndpointOptions(model="http://127.0.0.1:9/v1#m", api_key_env="MY_KEY")))
    assert type(error) is LLMAuthenticationError
    assert "MY_KEY" in str(error)


def test_a_key_is_read_when_it_is_asked_for_and_not_before(
    deepseek: Callable[[str], LLMBackend], ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatServer() as server:
        backend = deepseek(server.url)
        monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-another-one")
        assert isinstance(ask(backend), ChatAnswer)
    assert server.calls[0].headers["authorization"] == "Bearer sk-another-one"


def test_a_client_does_not_outlive_its_event_loop(deepseek: Callable[[str], LLMBackend], ask: Ask) -> None:
    with ChatServer() as server:
        backend = deepseek(server.url)
        for _ in range(3):
            ask(backend)
    gc.collect()
    assert len(backend._clients) == 0  # type: ignore[attr-defined]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=60), st.text(), st.text())
def test_no_part_of_a_key_is_left_in_any_text(key: str, before: str, after: str) -> None:
    hidden = without_key(f"{before}{key}{after} {before}{key[:6]} {key[-6:]}{after}", key)
    assert not [part for part in parts(key) if part in hidden.replace("[key]", "\n")]


@given(st.text(alphabet="abcdefghij .,:0123456789/", max_size=200))
def test_a_text_without_a_key_stays_as_it_is(text: str) -> None:
    assert without_key(text, KEY) == text
    assert without_key(text, "") == text


def test_a_short_key_is_hidden_where_it_stands_alone() -> None:
    assert without_key("your key x is no example", "x") == "your key [key] is no example"
