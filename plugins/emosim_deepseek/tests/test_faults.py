"""Whatever a service does, there is an answer or an error of the right class; asked over real connections."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from emosim_deepseek.deepseek import DeepSeek, DeepSeekOptions
from emosim_deepseek.endpoint import Endpoint, EndpointOptions

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

KEY = "sk-4f2a9c7e1b8d3056"

Ask = Callable[..., "ChatAnswer | LLMError"]
Make = Callable[..., LLMBackend]


def deepseek(url: str, **options: object) -> LLMBackend:
    return DeepSeek(DeepSeekOptions(model="deepseek-chat", base_url=url, **options))


def endpoint(url: str, **options: object) -> LLMBackend:
    return Endpoint(EndpointOptions(model=f"{url}#model", **options))


@pytest.fixture(params=[deepseek, endpoint], ids=["deepseek", "endpoint"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a backend, given a base URL and options; its key is in the environment."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    monkeypatch.setenv("EMOSIM_LLM_API_KEY", KEY)
    return request.param


def completion(**changed: object) -> bytes:
    """The body of a chat completion, with some of it changed."""
    body = json.loads(Answer("7").body({"model": "m", "messages": []}))
    return json.dumps({**body, **changed}).encode()


def with_message(**changed: object) -> bytes:
    message = {"role": "assistant", "content": "7", **changed}
    return completion(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])


def test_an_answer_comes_with_its_reasoning_its_model_and_its_tokens(make: Make, ask: Ask) -> None:
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 12,
        "prompt_cache_hit_tokens": 20,
        "completion_tokens_details": {"reasoning_tokens": 9},
    }
    with ChatServer(lambda asked: Answer("7", reasoning="She likes it.", model="model-2", usage=usage)) as server:
        answer = ask(make(server.url))
    assert answer == ChatAnswer("7", "She likes it.", "model-2", Usage(30, 20, 12, 9))
    assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer("wrong", status=400), LLMRequestError, "status 400: wrong"),
        (Answer("bad key", status=401), LLMAuthenticationError, "status 401: bad key. The key is missing, wrong"),
        (Answer("no balance", status=402), LLMRequestError, "top it up"),
        (Answer("not allowed", status=403), LLMAuthenticationError, "not allowed to do this"),
        (Answer("no such model", status=404), LLMRequestError, "GET on its /models lists the models"),
        (Answer("timed out", status=408), LLMTransientError, "status 408"),
        (Answer("conflict", status=409), LLMTransientError, "status 409"),
        (Answer("too long", status=413), LLMRefusedError, "status 413"),
        (Answer("max_tokens is too large", status=422), LLMRequestError, "max_tokens is too large"),
        (Answer("slow down", status=429), LLMRateLimitError, "status 429: slow down"),
        (Answer("oh no", status=500), LLMTransientError, "status 500: oh no"),
        (Answer(raw=b"<html>Bad gateway</html>", status=502), LLMTransientError, "status 502"),
        (Answer("overloaded", status=503), LLMTransientError, "status 503"),
        (
            Answer(raw=b"", status=307, headers={"Location": "https://b.example/"}),
            LLMRequestError,
            "https://b.example/",
        ),
        (Answer(drop=True), LLMTransientError, "closed without an answer"),
        (Answer("7", drop="midway"), LLMTransientError, "closed in the middle of the answer"),
        (Answer(raw=b'{"choices": [{"mess'), LLMMalformedError, 'no JSON: {"choices": [{"mess'),
        (Answer(raw=b"\xff\xfe\x00"), LLMMalformedError, "no JSON"),
        (Answer(raw=b"[" * 100_000), LLMMalformedError, "no JSON"),
        (Answer(raw=b""), LLMMalformedError, "no JSON: nothing"),
        (Answer(raw=b"<html>Welcome</html>"), LLMMalformedError, "no JSON: <html>Welcome</html>"),
        (Answer(raw=b"[]"), LLMMalformedError, "no chat completion"),
        (Answer(raw=b'{"error": {"message": "busy"}}'), LLMMalformedError, "busy"),
        (Answer(raw=completion(choices=[])), LLMMalformedError, "without any choice"),
        (Answer(raw=completion(choices=None)), LLMMalformedError, "without any choice"),
        (Answer(raw=completion(choices=["7"])), LLMMalformedError, "without any choice"),
        (Answer(raw=completion(choices=[{"message": "7"}])), LLMMalformedError, "without a message"),
        (Answer(raw=with_message(content=None)), LLMMalformedError, "empty text"),
        (Answer(raw=with_message(content=7)), LLMMalformedError, "no text"),
        (Answer(raw=with_message(content=[{"type": "text"}])), LLMMalformedError, "no text"),
        (Answer(raw=with_message(reasoning_content={"a": 1})), LLMMalformedError, "no text"),
        (Answer("  \n"), LLMMalformedError, "empty text"),
        (Answer(refusal="I cannot say that."), LLMRefusedError, "I cannot say that."),
        (Answer("7", finish="content_filter"), LLMRefusedError, "content filter"),
        (Answer("7", finish="insufficient_system_resource"), LLMTransientError, "lack of resources"),
        (Answer("x" * 10_000_000), LLMMalformedError, "more than 2097152 bytes"),
        (Answer("x" * 10_000_000, status=500), LLMMalformedError, "more than 2097152 bytes"),
        (Answer("7", headers={"Content-Encoding": "gzip"}), LLMMalformedError, "compressed"),
    ],
    ids=lambda value: None if isinstance(value, Answer) else getattr(value, "__name__", str(value)),
)
def test_a_fault_is_an_error_that_says_what_it_was(
    make: Make, ask: Ask, answer: Answer, error: type[LLMError], says: str
) -> None:
    with ChatServer(lambda asked: answer) as server:
        outcome = ask(make(server.url))
    assert type(outcome) is error
    assert says in str(outcome)
    assert server.url in str(outcome)
    assert len(str(outcome)) < 1000
    assert len(server.calls) == 1, "asking again is for others to decide"


def test_an_account_without_a_quota_is_no_passing_rate_limit(make: Make, ask: Ask) -> None:
    body = b'{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    with ChatServer(lambda asked: Answer(raw=body, status=429)) as server:
        outcome = ask(make(server.url))
    assert type(outcome) is LLMRequestError
    assert "top it up" in str(outcome)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({}, None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait_where_the_service_does(
    make: Make, ask: Ask, headers: dict[str, str], seconds: float | None
) -> None:
    with ChatServer(lambda asked: Answer("slow down", status=429, headers=headers)) as server:
        outcome = ask(make(server.url))
    assert isinstance(outcome, LLMRateLimitError)
    assert outcome.retry_after == seconds


def test_a_rate_limit_that_ends_at_a_time_is_waited_for_until_then(make: Make, ask: Ask) -> None:
    until = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=60), usegmt=True)
    with ChatServer(lambda asked: Answer("slow down", status=429, headers={"Retry-After": until})) as server:
        outcome = ask(make(server.url))
    assert isinstance(outcome, LLMRateLimitError)
    assert outcome.retry_after is not None
    assert 50 < outcome.retry_after <= 60


def test_prose_is_passed_on_as_it_is(make: Make, ask: Ask) -> None:
    prose = "Well, I would say a solid 8, but don't quote me.\n\n{not json}"
    with ChatServer(lambda asked: Answer(prose)) as server:
        answer = ask(make(server.url))
    assert isinstance(answer, ChatAnswer)
    assert answer.text == prose


def test_an_answer_that_was_cut_off_is_told_as_such(make: Make, ask: Ask) -> None:
    with ChatServer(lambda asked: Answer("I think", finish="length")) as server:
        answer = ask(make(server.url))
    assert isinstance(answer, ChatAnswer)
    assert (answer.text, answer.finished) == ("I think", False)


def test_a_model_that_only_thought_until_it_was_cut_off_answers_nothing_and_its_tokens_count(
    make: Make, ask: Ask
) -> None:
    with ChatServer(lambda asked: Answer("", reasoning="Let me see", finish="length")) as server:
        answer = ask(make(server.url))
    assert isinstance(answer, ChatAnswer)
    assert (answer.text, answer.reasoning, answer.finished) == ("", "Let me see", False)
    assert answer.usage.completion == answer.usage.reasoning == 3


def test_a_server_that_leaves_thoughts_in_the_text_has_them_taken_out(make: Make, ask: Ask) -> None:
    with ChatServer(lambda asked: Answer("<think>\nShe likes it.\n</think>\n\n8")) as server:
        answer = ask(make(server.url))
    assert isinstance(answer, ChatAnswer)
    assert (answer.text, answer.reasoning) == ("8", "She likes it.")


def test_a_slow_answer_is_waited_for_as_long_as_the_option_says(make: Make, ask: Ask) -> None:
    with ChatServer(lambda asked: Answer("7", delay=0.2)) as server:
        assert isinstance(ask(make(server.url, timeout=5)), ChatAnswer)
        outcome = ask(make(server.url, timeout=0.05))
    assert type(outcome) is LLMTransientError
    assert "no answer within 0.05 s" in str(outcome)


def test_an_answer_that_trickles_in_does_not_outlast_the_time_that_is_waited(make: Make, ask: Ask) -> None:
    with ChatServer(lambda asked: Answer("7", trickle=3.0)) as server:
        began = time.perf_counter()
        outcome = ask(make(server.url, timeout=0.5))
    assert type(outcome) is LLMTransientError
    assert time.perf_counter() - began < 2.5


def test_an_answer_that_trickles_in_is_put_together(make: Make, ask: Ask) -> None:
    with ChatServer(lambda asked: Answer("seven", trickle=0.1)) as server:
        answer = ask(make(server.url))
    assert isinstance(answer, ChatAnswer)
    assert answer.text == "seven"


def test_a_server_that_is_not_there_is_named(make: Make, ask: Ask) -> None:
    with closed_port() as port:
        outcome = ask(make(f"http://127.0.0.1:{port}/v1"))
    assert type(outcome) is LLMTransientError
    assert f"http://127.0.0.1:{port}/v1" in str(outcome)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


def test_a_server_that_comes_back_is_asked_over_a_new_connection(make: Make, question: ChatRequest) -> None:
    async def asked() -> None:
        with ChatServer(lambda asked: "7") as first:
            backend, port = make(first.url), int(first.url.split(":")[2].split("/")[0])
            assert (await backend.answer(question)).text == "7"
        with pytest.raises(LLMTransientError):
            await backend.answer(question)
        with ChatServer(lambda asked: "8", port=port):
            assert (await backend.answer(question)).text == "8"
        await backend.close()

    asyncio.run(asked())


def test_64_questions_at_once_are_under_way_at_the_same_time(make: Make) -> None:
    requests = [ChatRequest((Message("user", str(number)),)) for number in range(64)]
    with ChatServer(hold=64) as server:
        answers = make(server.url).answer_batch(requests)
    assert [answer.text for answer in answers if isinstance(answer, ChatAnswer)] == [str(n) for n in range(64)]
    assert server.most_at_once == 64


@pytest.mark.slow
def test_1024_questions_at_once_are_under_way_at_the_same_time(make: Make) -> None:
    requests = [ChatRequest((Message("user", str(number)),)) for number in range(1024)]
    with ChatServer(hold=1024) as server:
        answers = make(server.url).answer_batch(requests)
    assert [answer.text for answer in answers if isinstance(answer, ChatAnswer)] == [str(n) for n in range(1024)]
    assert server.most_at_once == 1024


def test_faults_among_many_questions_stay_with_their_own(make: Make) -> None:
    faults = [
        Answer("slow down", status=429),
        Answer(drop=True),
        Answer("7", drop="midway"),
        Answer(raw=b"{"),
        Answer("x" * 3_000_000),
        Answer(refusal="no"),
    ]

    def script(asked: dict) -> Answer:
        number = int(asked["messages"][-1]["content"])
        return faults[number // 2 % len(faults)] if number % 2 else Answer(str(number), delay=0.01)

    requests = [ChatRequest((Message("user", str(number)),)) for number in range(60)]
    with ChatServer(script) as server:
        answers = make(server.url).answer_batch(requests)
    for number, answer in enumerate(answers):
        if number % 2:
            assert isinstance(answer, LLMError)
        else:
            assert isinstance(answer, ChatAnswer), answer
            assert answer.text == str(number)
    assert len(server.calls) == 60


def test_a_question_that_is_given_up_leaves_nothing_open(make: Make, question: ChatRequest) -> None:
    async def asked(url: str) -> None:
        backend = make(url)
        task = asyncio.ensure_future(backend.answer(question))
        while not server.calls:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await backend.answer(question)).text == "7"
        await backend.close()

    with ChatServer(lambda asked: Answer("7", delay=0.0 if len(server.calls) > 1 else 30.0)) as server:
        asyncio.run(asked(server.url))
