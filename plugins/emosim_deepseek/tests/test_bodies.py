"""What is sent for a question: model, thinking, room for thoughts, temperature, seed, and what holds the answer."""

from __future__ import annotations

from typing import Any

import pytest
from emosim_deepseek.deepseek import DeepSeek, DeepSeekOptions
from emosim_deepseek.endpoint import Endpoint, EndpointOptions

from emosim_core.llm import ChatRequest, Message

MESSAGES = (Message("system", "You are Ada."), Message("user", "How good is it? Answer in JSON."))
SENT = [{"role": "system", "content": "You are Ada."}, {"role": "user", "content": "How good is it? Answer in JSON."}]
CLOSED = {
    "type": "object",
    "properties": {"rating": {"type": "integer"}, "why": {"type": "string"}},
    "required": ["rating", "why"],
    "additionalProperties": False,
}


def deepseek(request: ChatRequest, **options: Any) -> dict[str, Any]:
    return DeepSeek(DeepSeekOptions(**options)).body(request)


def endpoint(request: ChatRequest, **options: Any) -> dict[str, Any]:
    return Endpoint(EndpointOptions(**{"model": "http://127.0.0.1:8000/v1#m", **options})).body(request)


def test_the_chat_model_is_asked_without_thinking() -> None:
    assert deepseek(ChatRequest(MESSAGES, max_tokens=16, temperature=0.5, seed=3), model="deepseek-chat") == {
        "model": "deepseek-v4-flash",
        "messages": SENT,
        "max_tokens": 16,
        "temperature": 0.5,
        "thinking": {"type": "disabled"},
    }


def test_the_reasoner_is_asked_with_thinking_and_has_room_for_it_and_no_temperature() -> None:
    assert deepseek(ChatRequest(MESSAGES, max_tokens=16), model="deepseek-reasoner") == {
        "model": "deepseek-v4-flash",
        "messages": SENT,
        "max_tokens": 16 + 8192,
        "thinking": {"type": "enabled"},
    }


def test_thinking_can_be_turned_on_and_off_and_given_more_or_less_room() -> None:
    request = ChatRequest(MESSAGES, max_tokens=16)
    off = deepseek(request, model="deepseek-v4-pro", thinking=False)
    assert (off["thinking"], off["max_tokens"]) == ({"type": "disabled"}, 16)
    on = deepseek(request, model="deepseek-chat", thinking=True, reasoning_tokens=100, reasoning_effort="low")
    assert (on["thinking"], on["max_tokens"], on["reasoning_effort"]) == ({"type": "enabled"}, 116, "low")


def test_an_unknown_model_is_asked_for_as_it_stands() -> None:
    body = deepseek(ChatRequest(MESSAGES, max_tokens=16), model="deepseek-v9-tiny")
    assert body["model"] == "deepseek-v9-tiny"
    assert "thinking" not in body
    assert body["temperature"] == 0.0


def test_deepseek_holds_an_answer_to_json_where_the_question_speaks_of_json() -> None:
    schema = ChatRequest(MESSAGES, schema=CLOSED)
    assert deepseek(schema)["response_format"] == {"type": "json_object"}
    assert "response_format" not in deepseek(schema, structured="none")
    assert "response_format" not in deepseek(ChatRequest(MESSAGES))
    assert "response_format" not in deepseek(ChatRequest((Message("user", "How good?"),), schema=CLOSED))


def test_a_server_is_asked_in_the_plainest_way() -> None:
    request = ChatRequest(MESSAGES, max_tokens=16, choices=("1", "2"))
    plain = {"model": "m", "messages": SENT, "max_tokens": 16, "temperature": 0.0}
    assert endpoint(request, logprobs=False) == plain
    assert endpoint(request) == {**plain, "logprobs": True, "top_logprobs": 20}


def test_openai_itself_is_told_the_most_tokens_by_their_newer_name() -> None:
    body = endpoint(ChatRequest(MESSAGES, max_tokens=16), model="gpt-x")
    assert body["max_completion_tokens"] == 16
    assert "max_tokens" not in body
    assert endpoint(ChatRequest(MESSAGES), model="gpt-x", max_tokens_field="max_tokens")["max_tokens"] == 512


@pytest.mark.parametrize(
    ("options", "room"),
    [
        ({}, 16),
        ({"reasoning_effort": "low"}, 16 + 8192),
        ({"reasoning_effort": "none"}, 16),
        ({"reasoning_effort": "low", "reasoning_tokens": 50}, 66),
        ({"reasoning_tokens": 50}, 66),
    ],
)
def test_a_model_that_reasons_has_room_for_it(options: dict[str, Any], room: int) -> None:
    body = endpoint(ChatRequest(MESSAGES, max_tokens=16), **options)
    assert body["max_tokens"] == room
    assert body.get("reasoning_effort") == options.get("reasoning_effort")


def test_samples_of_a_question_with_a_seed_have_seeds_of_their_own() -> None:
    assert [endpoint(ChatRequest(MESSAGES, seed=7, sample=n))["seed"] for n in range(3)] == [7, 8, 9]


def test_the_temperature_can_be_left_out() -> None:
    assert "temperature" not in endpoint(ChatRequest(MESSAGES), send_temperature=False)


def test_a_schema_is_sent_as_the_service_takes_it_and_strictly_where_it_is_closed() -> None:
    sent = endpoint(ChatRequest(MESSAGES, schema=CLOSED))["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "answer", "schema": CLOSED, "strict": True}}
    for change in ({"additionalProperties": True}, {"required": ["rating"]}):
        sent = endpoint(ChatRequest(MESSAGES, schema={**CLOSED, **change}))["response_format"]
        assert sent["json_schema"]["strict"] is False
    nested = {**CLOSED, "properties": {"rating": {"type": "object"}, "why": {"type": "string"}}}
    assert endpoint(ChatRequest(MESSAGES, schema=nested))["response_format"]["json_schema"]["strict"] is False
    plain = endpoint(ChatRequest(MESSAGES, schema=CLOSED), structured="json_object")
    assert plain["response_format"] == {"type": "json_object"}
    assert "response_format" not in endpoint(ChatRequest(MESSAGES, schema=CLOSED), structured="none")


def test_choices_are_sent_as_the_server_that_is_named_takes_them() -> None:
    request = ChatRequest(MESSAGES, choices=("1", 'a "2"'))
    assert endpoint(request, choices="vllm")["structured_outputs"] == {"choice": ["1", 'a "2"']}
    assert endpoint(request, choices="llama.cpp")["grammar"] == r'root ::= "1" | "a \"2\""'
    for kind in ("vllm", "llama.cpp"):
        assert endpoint(ChatRequest(MESSAGES), choices=kind) == endpoint(ChatRequest(MESSAGES))


def test_further_fields_are_sent_as_they_are() -> None:
    body = endpoint(ChatRequest(MESSAGES), extra_body={"top_k": 1, "temperature": 0.7})
    assert (body["top_k"], body["temperature"]) == (1, 0.7)


@pytest.mark.parametrize(
    "options",
    [
        {"reasoning_effort": "low"},
        {"reasoning_tokens": 5},
        {"send_temperature": False},
        {"structured": "none"},
        {"choices": "vllm"},
        {"extra_body": {"top_k": 1}},
        {"model": "http://127.0.0.1:8000/v1#other"},
        {"revision": "b"},
    ],
)
def test_what_may_change_an_answer_changes_the_identity(options: dict[str, Any]) -> None:
    one, other = (
        Endpoint(EndpointOptions(**{"model": "http://127.0.0.1:8000/v1#m", **more})).identity for more in ({}, options)
    )
    assert one != other


@pytest.mark.parametrize(
    "options",
    [
        {"thinking": True},
        {"model": "deepseek-v4-pro"},
        {"structured": "none"},
        {"revision": "b"},
        {"model": "deepseek-reasoner", "reasoning_effort": "low"},
        {"model": "deepseek-reasoner", "reasoning_tokens": 1},
    ],
)
def test_what_may_change_an_answer_of_deepseek_changes_its_identity(options: dict[str, Any]) -> None:
    one, other = (DeepSeek(DeepSeekOptions(**{"model": "deepseek-chat", **more})).identity for more in ({}, options))
    assert one != other


def test_what_changes_no_answer_leaves_the_identity_as_it_is() -> None:
    one = DeepSeek(DeepSeekOptions(model="deepseek-chat")).identity
    for more in ({"tariff": "off-peak"}, {"timeout": 3}, {"api_key_env": "OTHER"}, {"base_url": "http://h"}):
        assert DeepSeek(DeepSeekOptions(model="deepseek-chat", **more)).identity == one
    assert DeepSeek(DeepSeekOptions(model="deepseek-v4-flash", thinking=False)).identity == one


def test_where_a_model_is_served_is_in_the_former_identity_alone() -> None:
    here, there = (Endpoint(EndpointOptions(model=f"http://127.0.0.1:{port}/v1#m", logprobs=False)) for port in (1, 2))
    assert here.identity == there.identity == "openai m logprobs=off"
    assert here.former_identities == ("openai m base=http://127.0.0.1:1/v1 logprobs=off",)
    deepseek = DeepSeek(DeepSeekOptions(model="deepseek-reasoner", base_url="http://h"))
    assert deepseek.identity == "deepseek deepseek-v4-flash thinking=on reasoning_tokens=8192"
    assert deepseek.former_identities == ("deepseek deepseek-v4-flash thinking=on base=http://h reasoning_tokens=8192",)


@pytest.mark.parametrize("kind", [Endpoint, DeepSeek])
def test_a_revision_has_no_answers_of_earlier_versions(kind: type) -> None:
    options = {Endpoint: EndpointOptions, DeepSeek: DeepSeekOptions}[kind]
    made = kind(options(model="m", revision="2026-11"))
    assert "revision=2026-11" in made.identity
    assert made.former_identities == ()
