"""What servers in use do otherwise than OpenAI's service: read where it is one answer, and told where it is none."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from emosim_deepseek.adapting import Adaptation
from emosim_deepseek.bodies import Fault, fault_in, shortened
from emosim_deepseek.endpoint import Endpoint, EndpointOptions
from emosim_deepseek.failures import retry_after
from emosim_deepseek.reading import open_envelope, read_answer
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.llm import (
    ChatAnswer,
    ChatRequest,
    LLMAuthenticationError,
    LLMBackend,
    LLMError,
    LLMMalformedError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMRequestError,
    LLMTransientError,
    Message,
    Usage,
)
from emosim_core.testing import Answer, ChatServer

Ask = Callable[..., "ChatAnswer | LLMError"]


def endpoint(url: str, **options: Any) -> LLMBackend:
    return Endpoint(EndpointOptions(model=f"{url}#model", **options))


def completion(message: Any = "7", finish: str = "stop", **changed: Any) -> dict[str, Any]:
    """A chat completion, with some of it changed."""
    message = {"role": "assistant", "content": message} if not isinstance(message, dict) else message
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"object": "chat.completion", "model": "m", "choices": [choice], **changed}


def outcome(ask: Ask, raw: Any, status: int = 200, **headers: str) -> ChatAnswer | LLMError:
    """What comes of a question to a server that answers with one body."""
    body = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    with ChatServer(lambda asked: Answer(raw=body, status=status, headers=headers)) as server:
        answer = ask(endpoint(server.url))
    assert len(server.calls) == 1
    return answer


def pieces(*deltas: dict[str, Any], finish: str | None = "stop", **more: Any) -> str:
    """A stream of events whose pieces are these."""
    chunks = [{"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta}], **more} for delta in deltas]
    if finish is not None:
        chunks.append({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)


WHOLE = json.dumps(completion())


# ---------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("body", "text", "reasoning"),
    [
        (completion([{"type": "text", "text": "7"}]), "7", ""),
        (completion([{"type": "output_text", "text": "7"}]), "7", ""),
        (
            completion(
                [{"type": "thinking", "thinking": [{"type": "text", "text": "Well"}]}, {"type": "text", "text": "7"}]
            ),
            "7",
            "Well",
        ),
        (completion([{"type": "text", "text": ""}, {"type": "text", "text": "7"}]), "7", ""),
        (completion("She likes it.\n</think>\n\n7"), "7", "She likes it."),
        (completion("<think>She likes it.</think>7"), "7", "She likes it."),
        (completion("<seed:think>Well</seed:think>7"), "7", "Well"),
        (completion("<Think>Well</Think>7"), "7", "Well"),
        (completion("  <thinking>\nWell</thinking>\n7"), "7", "Well"),
        (completion(error=None), "7", ""),
        (b"\xef\xbb\xbf" + WHOLE.encode(), "7", ""),
        (b"\n\n   \n" + WHOLE.encode() + b"\n\n", "7", ""),
        (b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + WHOLE.encode(), "7", ""),
        (f"data: {WHOLE}\n\ndata: [DONE]\n\n".encode(), "7", ""),
        ((pieces({"role": "assistant", "content": ""}, {"content": "7"}) + "data: [DONE]\n\n").encode(), "7", ""),
        ((": ping\r\n\r\n" + pieces({"reasoning": "We"}, {"reasoning": "ll"}, {"content": "7"})).encode(), "7", "Well"),
        (("event: message\n" + pieces({"content": "7"}, usage=None)).replace("\n\n", "\n").encode(), "7", ""),
        ((pieces({"content": "7"}, finish=None) + "data: [DONE]\n\n").encode(), "7", ""),
        (completion(choices=completion()["choices"] * 2), "7", ""),
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_read(body: Any, text: str, reasoning: str, ask: Ask) -> None:
    answer = outcome(ask, body)
    assert isinstance(answer, ChatAnswer), answer
    assert (answer.text, answer.reasoning) == (text, reasoning)


TWO = [completion("7")["choices"][0], completion("9")["choices"][0]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"choices": [{"message": {"content": "7", "content": "9"}, "finish_reason": "stop"}]}', 200),
        (WHOLE[:-1].encode() + b', "choices": [{"message": {"content": "9"}}]}', 200),
        (WHOLE.encode() + WHOLE.encode(), 200),
        (WHOLE.encode() + b"\n" + json.dumps(completion("9")).encode(), 200),
        (f"data: {WHOLE}\n\ndata: {WHOLE}\n\n".encode(), 200),
        (f"data: {WHOLE}\n\ndata: [DONE]\n\ndata: {WHOLE}\n\n".encode(), 200),
        ((pieces({"content": "7"}) + pieces({"content": "9"})).encode(), 200),
        (pieces({"content": "7"}, finish=None).encode(), 200),
        ((pieces({"content": "7"}) + pieces({"content": "9"}).replace('"c"', '"d"')).encode(), 200),
        (pieces({"content": 7}).encode(), 200),
        (completion(choices=TWO), 200),
        (completion([{"type": "text", "text": "7"}, {"type": "text", "text": "9"}]), 200),
        (completion([{"type": "image", "text": "7"}]), 200),
        (completion(["7"]), 200),
        (completion({"role": "assistant", "content": {"text": "7"}}), 200),
        (WHOLE.replace('"object"', '"created": NaN, "object"').encode(), 200),
        (WHOLE.replace('"object"', '"created": Infinity, "object"').encode(), 200),
        (completion(choices=None), 200),
        (completion(choices={}), 200),
        (completion("</think>"), 200),
        (completion("<think>7"), 200),
        (WHOLE, 200),
        (completion(), 206),
        (completion(), 201),
        (completion(), 202),
        (completion(), 203),
        (b"", 204),
    ],
)
def test_what_can_be_read_in_two_ways_or_is_not_whole_is_none(body: Any, status: int, ask: Ask) -> None:
    answer = outcome(ask, body, status)
    assert type(answer) is LLMMalformedError, answer


@pytest.mark.parametrize(
    "usage",
    [
        "7", '"12"', "[]", '{"prompt_tokens": "12"}', '{"prompt_tokens": -1}', '{"prompt_tokens": 3.5}',
        '{"prompt_tokens": 10000000000000000000}', '{"prompt_tokens": 1e400}', '{"prompt_tokens": true}',
        '{"prompt_tokens": 1' + "0" * 5000 + "}", '{"completion_tokens": []}', '{"prompt_tokens_details": 7}',
        '{"completion_tokens_details": "x"}',
    ],
    ids=range(13),
)  # fmt: skip
def test_a_usage_that_can_not_be_costs_no_answer(usage: str, ask: Ask) -> None:
    answer = outcome(ask, f'{WHOLE[:-1]}, "usage": {usage}}}'.encode())
    assert isinstance(answer, ChatAnswer), answer
    assert (answer.text, answer.usage.prompt, answer.usage.completion) == ("7", 0, 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "type", "text", "error", "usage", "delta", "finish_reason"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in texts_in(part)]


def read(body: bytes) -> ChatAnswer:
    return read_answer(open_envelope(body, "the service"), body, Usage(), "the service")


@given(JSON | st.builds(lambda part: completion({"content": part}), JSON) | st.builds(completion, JSON))
def test_no_envelope_gives_an_answer_that_is_not_in_it(value: Any) -> None:
    try:
        answer = read(json.dumps(value).encode())
    except LLMError:
        return
    assert any(answer.text in text for text in texts_in(value))
    assert answer.text.strip() or not answer.finished


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"data: {text}\n\n".encode()))
def test_no_bytes_break_the_reading(body: bytes) -> None:
    try:
        read(body)
    except LLMError as error:
        said = str(error)
    else:
        return
    assert said.isprintable()


# ----------------------------------------------------------------------------------- errors in place of answers


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ({"error": {"message": "Provider returned error", "code": 429}}, LLMRateLimitError, "Provider returned error"),
        ({"error": {"message": "overloaded", "code": 502}}, LLMTransientError, "overloaded"),
        ({"error": {"message": "x", "type": "invalid_api_key"}}, LLMAuthenticationError, "x"),
        ({"error": {"message": "The model `m` does not exist", "code": 404}}, LLMRequestError, "the name of the"),
        ({"error": {"message": "x", "code": "content_filter"}}, LLMRefusedError, "x"),
        ({"error": {"message": "API key not valid. Pass one.", "code": 400}}, LLMAuthenticationError, "key is missing"),
        ({"error": "input is too long"}, LLMRefusedError, "too long"),
        ({"error": "out of luck"}, LLMMalformedError, "an error in place of an answer: out of luck"),
        ({"error": {}, "choices": None}, LLMMalformedError, "without any choice"),
        ({"object": "error", "message": "boom", "code": 500}, LLMTransientError, "boom"),
        ({**completion(), "error": {"message": "late", "code": 500}}, LLMTransientError, "late"),
        (completion(choices=[{"error": {"code": 502, "message": "gone"}, "finish_reason": "error"}]),
         LLMTransientError, "gone"),
        (completion("", finish="error"), LLMTransientError, "broke the answer off"),
        (b'data: {"error": {"message": "busy", "code": 503}}\n\n', LLMTransientError, "busy"),
        ((pieces({"content": "7"}, finish=None) + 'data: {"error": {"message": "busy", "code": 503}}\n\n').encode(),
         LLMTransientError, "busy"),
    ],
)  # fmt: skip
def test_an_error_that_comes_with_status_200_is_the_error_that_it_names(
    body: Any, kind: type[LLMError], says: str, ask: Ask
) -> None:
    answer = outcome(ask, body)
    assert type(answer) is kind, answer
    assert says in str(answer)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"error": {"message": "bad thing", "type": "x", "param": None, "code": None}}, "bad thing"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "bad thing"}}, "bad thing"),
        ({"error": "bad thing"}, "bad thing"),
        ({"message": "bad thing"}, "bad thing"),
        ({"detail": "bad thing"}, "bad thing"),
        ({"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Field required"}]}, "body.model: Field"),
        ({"errors": [{"message": "bad thing"}, {"message": "worse"}]}, "bad thing; worse"),
        ({"errors": ["bad thing"]}, "bad thing"),
        ([{"error": {"code": 500, "message": "bad thing", "status": "INTERNAL"}}], "bad thing"),
        ({"error": {"error": {"message": "bad thing"}}}, "bad thing"),
        ({"title": "Bad", "detail": "bad thing", "status": 500}, "bad thing"),
        ({"error_description": "bad thing"}, "bad thing"),
        ({"what": "bad thing"}, '{"what": "bad thing"}'),
        (b"bad thing", "bad thing"),
        (b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr>"
         b"<center>nginx</center></body></html>", "502 Bad Gateway nginx"),
        (b"<!DOCTYPE html><html><head><style>body {x}</style></head><body><p>bad&nbsp;thing</p></body></html>",
         "bad thing"),
        (b"\x1b[31mbad\x1b[0m\x07 \xe2\x80\xaething\x00", "bad"),
        (b"\xff\xfe", "status 500"),
        (b"", "status 500"),
        (b"x" * 100_000, "xxx..."),
        (b"[" * 100_000, "[[[..."),
    ],
)  # fmt: skip
def test_what_a_service_says_of_an_error_is_shown_short_and_clean(body: Any, says: str, ask: Ask) -> None:
    answer = outcome(ask, body, 500)
    assert type(answer) is LLMTransientError
    assert says in str(answer)
    assert str(answer).isprintable()
    assert len(str(answer)) < 500


@given(st.binary(max_size=400) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_the_body_of_an_error_is_there_is_a_text_that_can_be_shown(body: bytes) -> None:
    assert shortened(fault_in(body).text).isprintable()


def test_a_redirection_a_wrong_path_and_a_wrong_model_say_what_to_do(ask: Ask) -> None:
    with ChatServer() as server:
        base = server.url.removesuffix("/v1")
        for path, advice in (
            ("/openai", f"Most end with /v1: {base}/openai/v1"),
            ("/v2/v1", "Some end without /v1"),
            ("/v1/chat/completions", f"Leave /chat/completions out of the base URL: {base}/v1"),
        ):
            answer = ask(endpoint(f"{base}{path}"))
            assert type(answer) is LLMRequestError
            assert not answer.doubtful
            assert advice in str(answer)
    answer = outcome(ask, {"error": {"message": "model 'm' not found, try pulling it first"}}, 404)
    assert "Is the name of the model right? GET on its /models lists the models" in str(answer)


# ----------------------------------------------------------------------------------- one question that is refused


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "The response was filtered", "code": "content_filter", "status": 400}}),
        (400, {"error": {"message": "...", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
        (400, {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}}),
        (400, {"error": {"message": "Your input was flagged as potentially violating our usage policy",
                         "code": "invalid_prompt"}}),
        (400, {"code": "data_inspection_failed", "message": "Input data may contain inappropriate content."}),
        (403, {"error": {"code": 403, "message": "Your input was flagged", "metadata": {"reasons": ["violence"]}}}),
        (400, {"error": {"message": "This model's maximum context length is 4096 tokens. However, you requested 5000",
                         "type": "BadRequestError", "param": None, "code": 400}}),
        (400, {"error": {"code": "context_length_exceeded", "param": "messages", "message": "too many"}}),
        (400, {"error": {"code": 400, "message": "the request exceeds the available context size, try increasing it",
                         "type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512}}),
        (400, {"type": "error", "error": {"type": "invalid_request_error",
                                          "message": "prompt is too long: 210000 tokens > 200000 maximum"}}),
        (400, {"error": {"message": "'max_tokens' is too large: 512. This model's maximum context length is 1024 "
                                    "tokens and your request has 900 input tokens"}}),
        (413, b"Payload Too Large"),
        (413, {"error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}}),
        (422, {"error": "`inputs` + `max_new_tokens` must be <= 2048. The prompt is too long"}),
        (451, b"Unavailable For Legal Reasons"),
    ],
)  # fmt: skip
def test_a_question_that_a_service_will_not_take_is_refused_alone(status: int, body: Any, ask: Ask) -> None:
    answer = outcome(ask, body, status)
    assert type(answer) is LLMRefusedError, answer


@pytest.mark.parametrize(
    ("status", "body", "doubtful"),
    [
        (400, {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}}, False),
        (404, {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}}, False),
        (400, {"error": {"message": "Unsupported parameter: 'foo'", "code": "unsupported_parameter"}}, False),
        (400, {"error": {"message": "Invalid value: 'x'", "param": "reasoning_effort"}}, False),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "foo"], "msg": "Extra inputs"}]},
         False),
        (400, {"error": {"message": "max_tokens must be at most 4096"}}, False),
        (400, {"error": "Bad Request"}, True),
        (400, b"", True),
        (422, {"error": "something about it"}, True),
    ],
)  # fmt: skip
def test_what_every_question_would_meet_is_told_from_what_may_be_about_one(
    status: int, body: Any, doubtful: bool, ask: Ask
) -> None:
    answer = outcome(ask, body, status)
    assert type(answer) is LLMRequestError, answer
    assert answer.doubtful is doubtful


# ---------------------------------------------------------------------------------------------------- adapting

SCHEMA = {
    "type": "object",
    "properties": {"rating": {"type": "integer"}},
    "required": ["rating"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("objects", "fault", "option"),
    [
        (
            lambda body: "temperature" in body,
            {"error": {"message": "Unsupported value: 'temperature' does not support 0.0. Only the default (1) "
                                  "value is supported.", "param": "temperature", "code": "unsupported_value"}},
            "send_temperature=false",
        ),
        (
            lambda body: "temperature" in body,
            {"error": {"message": "`temperature` may only be set to 1 when thinking is enabled."}},
            "send_temperature=false",
        ),
        (
            lambda body: body.get("temperature") == 0,
            {"detail": "temperature must be strictly positive"},
            "send_temperature=false",
        ),
        (
            lambda body: "max_tokens" in body,
            {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                                  "'max_completion_tokens' instead.", "param": "max_tokens"}},
            "max_tokens_field=max_completion_tokens",
        ),
        (
            lambda body: body.get("response_format", {}).get("type") == "json_schema",
            {"error": {"message": "This response_format type is unavailable now", "type": "invalid_request_error"}},
            "structured=json_object",
        ),
        (
            lambda body: body.get("response_format", {}).get("type") == "json_schema",
            {"detail": [{"type": "literal_error", "loc": ["body", "response_format", "type"],
                         "msg": "Input should be 'text' or 'json_object'"}]},
            "structured=json_object",
        ),
        (
            lambda body: "response_format" in body,
            {"error": {"message": "'messages' must contain the word 'json' in some form, to use 'response_format' of "
                                  "type 'json_object'."}},
            "structured=none",
        ),
        (
            lambda body: "response_format" in body,
            {"error": {"message": "'response_format.type' must be 'text'; json_object is not supported"}},
            "structured=none",
        ),
        (
            lambda body: "seed" in body,
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
            "no seed is sent",
        ),
        (
            lambda body: body["messages"][0]["role"] == "system",
            {"object": "error", "message": "System role not supported", "code": 400},
            "0Shot_system_default",
        ),
    ],
    ids=["temperature", "only 1", "above 0", "max_tokens", "json_schema", "either", "word", "response_format", "seed",
         "system"],
)  # fmt: skip
def test_a_field_that_a_service_does_not_take_is_left_out_or_worded_otherwise_and_that_is_said_once(
    objects: Callable[[dict[str, Any]], bool],
    fault: dict[str, Any],
    option: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def script(body: dict[str, Any]) -> Answer:
        return Answer(raw=json.dumps(fault).encode(), status=400) if objects(body) else Answer("7")

    messages = (Message("system", "You are Ada."), Message("user", "How good?"))
    requests = [ChatRequest((*messages, Message("user", str(n))), schema=SCHEMA, seed=3) for n in range(6)]
    with ChatServer(script) as server:
        backend = endpoint(server.url)
        answers = [backend.answer_batch([request])[0] for request in requests[:2]] + backend.answer_batch(requests[2:])
    assert all(isinstance(answer, ChatAnswer) for answer in answers), answers
    warnings = [record.getMessage() for record in caplog.records if "does not accept the request as" in record.message]
    assert option in warnings[-1]
    assert len(set(warnings)) == len(warnings) <= 2
    assert len(server.calls) <= len(requests) + 2
    assert "You are Ada." in server.calls[-1].body["messages"][0]["content"]


def test_many_questions_at_once_learn_of_it_together(caplog: pytest.LogCaptureFixture) -> None:
    def script(body: dict[str, Any]) -> Answer:
        return Answer("temperature is not supported", status=400, delay=0.05) if "temperature" in body else Answer("7")

    with ChatServer(script) as server:
        answers = endpoint(server.url).answer_batch([ChatRequest((Message("user", str(n)),)) for n in range(20)])
    assert all(isinstance(answer, ChatAnswer) for answer in answers)
    assert len(server.calls) == 40
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("says", "option"),
    [
        ("Unsupported value: 'reasoning_effort' does not support 'x'", "the option reasoning_effort"),
        ("logprobs is not supported", "the option extra_body"),
        ("Unrecognized request argument supplied: stop", "the option extra_body"),
        ("structured_outputs: extra inputs are not permitted", "the option choices"),
        ("'temperature' is not supported here", "the option extra_body"),
        ("max_tokens must be at most 8", "max_tokens_field, reasoning_tokens, or max_tokens of --llm-rater"),
    ],
)
def test_a_service_that_goes_on_objecting_is_asked_a_few_times_at_most_and_the_option_is_named(
    says: str, option: str, ask: Ask
) -> None:
    more = {"logprobs": True, "stop": ["x"], "temperature": 0.5}
    with ChatServer(lambda asked: Answer(says, status=400)) as server:
        backend = endpoint(server.url, reasoning_effort="x", choices="vllm", extra_body=more)
        answer = ask(backend, ChatRequest((Message("user", "?"),), choices=("1", "2")))
    assert type(answer) is LLMRequestError, answer
    assert not answer.doubtful
    assert option in str(answer)
    assert len(server.calls) <= 3


@given(st.text(max_size=100) | st.sampled_from(["seed", "temperature", "max_tokens", "system role", "json_schema"]))
def test_a_service_can_not_make_a_question_go_round_and_round(text: str) -> None:
    body = {"model": "m", "messages": [{"role": "system", "content": "a"}], "temperature": 0, "seed": 1,
            "max_tokens": 1, "response_format": {"type": "json_schema"}}  # fmt: skip
    adaptation = Adaptation("the service", {})
    fault = Fault(f"{text} temperature seed max_tokens max_completion_tokens json_schema system role unsupported")
    times = 0
    while adaptation.learn(adaptation.adapted(body), fault):
        times += 1
        assert times < 10
    assert adaptation.adapted(body)["model"] == "m"


# ---------------------------------------------------------------------------------------------- waits and cuts


@given(st.text(max_size=60) | st.floats().map(str) | st.integers().map(str) | st.dates().map(str))
def test_whatever_retry_after_is_it_is_none_or_a_finite_number_of_seconds(text: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        wait = retry_after({name: text})
        assert wait is None or 0 <= wait < float("inf")


NOW = datetime(2026, 11, 28, 20, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sat, 28 Nov 2026 20:01:00 GMT", 60),
        ("Saturday, 28-Nov-26 20:01:00 GMT", 60),
        ("Sat Nov 28 20:01:00 2026", 60),
        ("Sat, 28 Nov 2026 20:01:00", 60),
        ("Sat, 28 Nov 2026 21:01:00 +0100", 60),
        ("Sat, 28 Nov 2026 20:01:00 -0000", 60),
        ("2026-11-28T20:01:00Z", 60),
        ("2026-11-28T20:01:00", 60),
        ("Sat, 28 Nov 1026 20:01:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 251606404799),
        ("Fri, 31 Dec 1000000000 23:59:59 GMT", None),
        ("Sat, 28 Nov 2026 20:01:00 +9999999", None),
        ("Sat, 99 Nov 2026 99:99:99 GMT", None),
        ("90", 90),
        ("7200", 7200),
        ("1e300", 1e300),
        ("1e400", None),
        ("-5", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


@pytest.mark.parametrize("status", [429, 503, 500, 529])
def test_an_error_says_how_long_the_service_asks_to_wait(status: int, ask: Ask) -> None:
    answer = outcome(ask, {"error": {"message": "busy"}}, status, **{"Retry-After": "90"})
    assert isinstance(answer, LLMRateLimitError | LLMTransientError)
    assert answer.retry_after == 90


@pytest.mark.parametrize(
    ("text", "starting"),
    [("Loading model", True), ("Model X is currently loading", True), ("the server is starting up", True),
     ("model is warming up", True), ("not ready", True), ("overloaded", False), ("maintenance", False)],
)  # fmt: skip
def test_a_server_that_still_starts_is_known(text: str, starting: bool, ask: Ask) -> None:
    answer = outcome(ask, {"error": {"code": 503, "message": text, "type": "unavailable_error"}}, 503)
    assert isinstance(answer, LLMTransientError)
    assert answer.starting is starting


def cut_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "seems to cut prompts" in record.getMessage()]


@pytest.mark.parametrize(
    ("tokens", "warned"),
    [
        (lambda text: 40, True),
        (lambda text: min(512, len(text) // 4), True),
        (lambda text: len(text) // 4, False),
        (lambda text: len(text) // 8, False),
        (lambda text: len(text), False),
        (lambda text: len(text.split()), False),
        (lambda text: 0, False),
    ],
    ids=["few", "capped", "usual", "large tokens", "characters", "words", "not told"],
)
def test_a_prompt_that_was_cut_is_noticed_once(
    tokens: Callable[[str], int], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def script(body: dict[str, Any]) -> Answer:
        return Answer("7", usage={"prompt_tokens": tokens(body["messages"][0]["content"]), "completion_tokens": 1})

    requests = [ChatRequest((Message("user", "How good is it? " * (60 + 10 * n)),)) for n in range(30)]
    with ChatServer(script) as server:
        backend = endpoint(server.url)
        for request in requests:
            assert isinstance(backend.answer_batch([request])[0], ChatAnswer)
    assert len(cut_warnings(caplog)) == warned


def test_another_model_that_answers_is_said_once(caplog: pytest.LogCaptureFixture, ask: Ask) -> None:
    models = iter(["a", "a", "b", "a", "c"])
    caplog.set_level(logging.WARNING)
    with ChatServer(lambda asked: Answer("7", model=next(models))) as server:
        backend = endpoint(server.url)
        for _ in range(5):
            assert isinstance(ask(backend), ChatAnswer)
    assert [record.getMessage().partition(" now ")[2] for record in caplog.records] == [
        "answers with the model 'b'; before it was 'a'"
    ]


def test_an_error_in_place_of_an_answer_costs_what_it_reports_and_nothing_else(ask: Ask) -> None:
    fault = {"error": {"message": "overloaded", "code": 503}}
    for body, usage in ((fault, None), ({**fault, "usage": {"prompt_tokens": 9, "completion_tokens": 0}}, 9)):
        raw = json.dumps(body).encode()
        with ChatServer(lambda asked, raw=raw: Answer(raw=raw)) as server:
            error = ask(endpoint(server.url))
        assert isinstance(error, LLMError)
        assert (error.usage and error.usage.prompt) == usage


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    "body",
    [
        WHOLE[:-1] + ', USAGE, "choices": []}',
        WHOLE[:-1] + ", USAGE}" + WHOLE,
        WHOLE[:-1] + ', USAGE, "more": NaN}',
        "[{USAGE}]",
        'data: {"choices": [], USAGE}\n\ndata: {"choices": [{"ind',
        ': ping\n\n{USAGE, "choices": [{"message": ',
        '{"error": {"message": "no", USAGE}, "usage": null}',
    ],
    ids=["key twice", "two", "NaN", "list", "stream", "cut", "in the error"],
)
def test_what_a_service_reports_counts_also_where_its_answer_can_not_be_read(body: str, status: int, ask: Ask) -> None:
    usage = '"usage": {"prompt_tokens": 9, "completion_tokens": 4}'
    error = outcome(ask, body.replace("USAGE", usage).encode(), status=status)
    assert isinstance(error, LLMError)
    assert (error.usage.prompt, error.usage.completion) == (9, 4)


def test_tokens_under_their_other_names_are_counted(ask: Ask) -> None:
    answer = outcome(ask, f'{WHOLE[:-1]}, "usage": {{"input_tokens": 9, "output_tokens": 4}}}}'.encode())
    assert (answer.usage.prompt, answer.usage.completion, answer.usage.known) == (9, 4, True)
