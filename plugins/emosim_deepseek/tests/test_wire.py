"""No bytes of a server or proxy become the answer to another question; what is ambiguous is none."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from emosim_deepseek.endpoint import Endpoint, EndpointOptions
from raw_server import RawServer, completion, response

from emosim_core.llm import (
    ChatAnswer,
    ChatRequest,
    LLMBackend,
    LLMError,
    LLMMalformedError,
    LLMRequestError,
    LLMTransientError,
    Message,
)
from emosim_core.testing import Answer, ChatServer

Ask = Callable[..., "ChatAnswer | LLMError"]


def endpoint(url: str, **options: Any) -> LLMBackend:
    return Endpoint(EndpointOptions(model=f"{url}#m", **options))


def numbered(count: int) -> list[ChatRequest]:
    """Questions whose answer is their own number."""
    return [ChatRequest((Message("user", str(number)),)) for number in range(count)]


def number_of(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def answered(backend: LLMBackend, requests: list[ChatRequest], at_once: int = 4) -> list[ChatAnswer | LLMError]:
    """The answers to questions, some at the same time, so that connections could be used again."""

    async def everything() -> list[ChatAnswer | LLMError]:
        limit = asyncio.Semaphore(at_once)

        async def one(request: ChatRequest) -> ChatAnswer | LLMError:
            async with limit:
                try:
                    return await backend.answer(request)
                except LLMError as error:
                    return error

        try:
            return await asyncio.gather(*map(one, requests))
        finally:
            await backend.close()

    return asyncio.run(everything())


def twice(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
    return [response(completion(number_of(body))) * 2]


def twice_and_late(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
    yield response(completion(number_of(body)))
    yield 0.02
    yield response(completion(number_of(body)))


def twice_with_another_id(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
    yield response(completion(number_of(body), f"chatcmpl-{number:032x}"))
    yield 0.01
    yield response(completion(number_of(body), f"chatcmpl-{number + 10_000:032x}"))


def surplus(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
    return [response(completion(number_of(body))) + b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"]


def interim_after(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
    return [response(completion(number_of(body))), 0.01, b"HTTP/1.1 100 Continue\r\n\r\n" + response(completion("9"))]


@pytest.mark.parametrize("script", [twice, twice_and_late, twice_with_another_id, surplus, interim_after])
def test_what_a_server_sends_too_much_is_never_the_answer_to_another_question(script: Any) -> None:
    with RawServer(script) as server:
        answers = answered(endpoint(server.url), numbered(60))
    for number, answer in enumerate(answers):
        assert isinstance(answer, ChatAnswer), answer
        assert answer.text == str(number)
    assert server.connections == 60


def test_an_answer_that_is_sent_before_the_question_is_none_if_it_was_given_before() -> None:
    last = [b""]

    def script(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
        before, last[0] = last[0], response(completion(number_of(body), f"chatcmpl-{number:032x}"))
        return [before or last[0]]  # a proxy that is one answer behind

    with RawServer(script) as server:
        answers = answered(endpoint(server.url), numbered(10), at_once=1)
    assert isinstance(answers[0], ChatAnswer)
    assert isinstance(answers[1], LLMTransientError)
    assert "has the id of the answer to another one" in str(answers[1])


def test_answers_that_are_swapped_between_connections_are_refused_where_they_carry_the_name_of_their_question() -> None:
    both = threading.Barrier(2)
    names: dict[int, str] = {}

    def in_the_id(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
        names[number] = name
        both.wait(5)
        other = number ^ 1
        return [response(completion("9", f"chatcmpl-{names[other]}"))]

    def in_a_header(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
        names[number] = name
        both.wait(5)
        return [response(completion("9"), b"X-Request-Id: " + names[number ^ 1].encode())]

    for script in (in_the_id, in_a_header):
        names.clear()
        with RawServer(script) as server:
            answers = answered(endpoint(server.url), numbered(8), at_once=2)
        assert all(isinstance(answer, LLMTransientError) for answer in answers)
        assert all("carries the id of another request" in str(answer) for answer in answers)


def test_an_answer_that_carries_the_name_of_its_question_is_taken() -> None:
    def script(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
        assert name.startswith("emosim-")
        return [response(completion(number_of(body), f"chatcmpl-{name}"), b"X-Request-Id: " + name.encode())]

    with RawServer(script) as server:
        answers = answered(endpoint(server.url), numbered(8))
    assert [answer.text for answer in answers if isinstance(answer, ChatAnswer)] == [str(n) for n in range(8)]


@pytest.mark.parametrize("answer_id", ["", "chatcmpl-0", "chatcmpl-123", "0"])
def test_a_server_whose_ids_say_nothing_is_believed(answer_id: str) -> None:
    with RawServer(lambda number, body, name: [response(completion(number_of(body), answer_id))]) as server:
        answers = answered(endpoint(server.url), numbered(12))
    assert [answer.text for answer in answers if isinstance(answer, ChatAnswer)] == [str(n) for n in range(12)]


def test_short_ids_that_come_again_with_another_answer_are_believed() -> None:
    def script(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
        return [response(completion(number_of(body), f"chatcmpl-{number % 3}"))]

    with RawServer(script) as server:
        assert all(isinstance(answer, ChatAnswer) for answer in answered(endpoint(server.url), numbered(30)))


def test_a_proxy_that_keeps_answers_may_give_the_same_one_to_the_same_question_again() -> None:
    script = lambda number, body, name: [response(completion("7", "chatcmpl-0123456789abcdef"))]  # noqa: E731
    with RawServer(script) as server:
        same = [ChatRequest((Message("user", "?"),))] * 4
        assert all(isinstance(answer, ChatAnswer) for answer in answered(endpoint(server.url), same))


BODY = completion("7")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        response(BODY, b"Transfer-Encoding: chunked"),
        response(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), b"Transfer-Encoding: chunked"),
        response(BODY, b"Content-Length: 3"),
        response(BODY, b"Content-Length: %d" % len(BODY)),
        response(BODY, b"Content-Length: %d, %d" % (len(BODY), len(BODY)), length=False),
        response(BODY, b"Content-Length: +%d" % len(BODY), length=False),
        response(BODY, b"Content-Length: -1", length=False),
        response(BODY, b"Content-Length: 0x10", length=False),
        response(BODY, b"Transfer-Encoding: gzip", length=False) + b"",
        response(BODY, b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", length=False),
        CHUNKED + b"xyz\r\n" + BODY,
        CHUNKED + b"-1\r\n" + BODY,
        CHUNKED + b"1\r\nabc\r\n",
        CHUNKED + b"%x\r\n%b" % (len(BODY), BODY),
        response(BODY)[: -len(BODY) // 2],
        response(BODY).replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 101 Switching Protocols"),
        response(BODY).replace(b"HTTP/1.1", b"ICY"),
        b"HTTP/2 200\r\n\r\n" + BODY,
        b"\x00" * 500,
        b"{" + BODY,
        BODY,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 10_000 + b"\r\n",
    ],
)
def test_an_answer_whose_end_is_in_doubt_or_that_is_no_http_is_none_and_that_is_seen_at_once(
    sent: bytes, ask: Ask
) -> None:
    with RawServer(lambda number, body, name: [sent, b""]) as server:
        began = time.monotonic()
        answer = ask(endpoint(server.url, timeout=20))
        assert time.monotonic() - began < 5
    assert isinstance(answer, LLMTransientError | LLMMalformedError), answer
    assert server.url in str(answer)


@pytest.mark.parametrize(
    "sent",
    [
        response(BODY),
        CHUNKED + b"5\r\n%b\r\n%x;note=1\r\n%b\r\n0\r\nX-After: 1\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:]),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(BODY),
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        response(BODY, b"X-Folded: a\r\n b"),
        response(BODY, b"Content-Encoding: identity"),
    ],
    ids=["length", "chunks", "interim", "until the end", "folded", "identity"],
)
def test_answers_of_every_form_are_read(sent: bytes, ask: Ask) -> None:
    with RawServer(lambda number, body, name: [sent, b""]) as server:
        answer = ask(endpoint(server.url))
    assert isinstance(answer, ChatAnswer), answer
    assert answer.text == "7"


def test_answers_that_come_together_are_used_one_after_the_other() -> None:
    events = ""
    with ChatServer(lambda body: "7", hold=8) as server:  # the first eight answers come together
        backend = endpoint(server.url)

        async def everything() -> None:
            limit = asyncio.Semaphore(8)

            async def one(request: ChatRequest) -> None:
                nonlocal events
                async with limit:
                    events += "?"
                    await backend.answer(request)
                    events += "!"

            await asyncio.gather(*map(one, numbered(16)))
            await backend.close()

        asyncio.run(everything())
    assert events[:8] == 8 * "?"
    assert events.count("?") == events.count("!") == 16
    assert "!!!" not in events[: events.rindex("?")], "the question after an answer is sent before the next answer"


def flood(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 10
        yield 0.001


def drip(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
    for byte in response(BODY):
        yield bytes([byte])
        yield 0.05


@pytest.mark.parametrize("script", [flood, drip])
def test_a_server_that_goes_on_and_on_is_left_after_the_time_that_is_waited(script: Any, ask: Ask) -> None:
    with RawServer(script) as server:
        began = time.monotonic()
        answer = ask(endpoint(server.url, timeout=0.6))
    assert isinstance(answer, LLMTransientError)
    assert "no answer within 0.6 s" in str(answer)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 3000000000\r\n\r\n", CHUNKED + b"FFFFFFFF\r\n", b"HTTP/1.0 200 OK\r\n\r\n"],
    ids=["length", "chunk", "until the end"],
)
def test_an_answer_that_is_too_large_is_refused_before_it_has_all_come(head: bytes, ask: Ask) -> None:
    sent = 0

    def script(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
        nonlocal sent
        yield head
        while True:
            yield b"x" * 100_000
            sent += 100_000

    with RawServer(script) as server:
        answer = ask(endpoint(server.url))
    assert isinstance(answer, LLMMalformedError)
    assert "more than 2097152 bytes" in str(answer)
    assert sent < 20_000_000


# -------------------------------------------------------------------------------------------- TLS and proxies


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_a_server_with_tls_is_asked_if_its_certificate_is_trusted_and_not_otherwise(
    certificate: tuple[Path, Path], tls: ssl.SSLContext, question: ChatRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatServer(lambda asked: "7", tls=tls, hold=20) as server:
        backend = endpoint(server.url)
        (refused,) = backend.answer_batch([question])
        assert type(refused) is LLMRequestError
        assert "its certificate is not trusted" in str(refused)
        assert "SSL_CERT_FILE" in str(refused)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        answers = backend.answer_batch([question] * 20)
    assert all(isinstance(answer, ChatAnswer) and answer.text == "7" for answer in answers)
    assert server.most_at_once == 20


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_are_not_there_name_the_variable(
    variable: str, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "none"))
    answer = ask(endpoint("https://127.0.0.1:9/v1"))
    assert type(answer) is LLMRequestError
    assert f"the environment variable {variable} names {tmp_path / 'none'}, which does not exist" in str(answer)
    monkeypatch.setenv(variable, "")
    message = str(ask(endpoint("https://127.0.0.1:9/v1")))
    assert "no connection to 127.0.0.1:9" in message
    assert message.endswith(". Is the server running?")


def test_a_file_without_certificates_names_the_variable(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    answer = ask(endpoint("https://127.0.0.1:9/v1"))
    assert type(answer) is LLMRequestError
    assert "SSL_CERT_FILE names, cannot be read" in str(answer)


def test_https_to_a_plain_port_and_http_to_a_port_with_tls_are_noticed_at_once(tls: ssl.SSLContext, ask: Ask) -> None:
    with ChatServer() as plain, ChatServer(tls=tls) as secret, RawServer(lambda *_: [BODY], tls=tls) as other:
        began = time.monotonic()
        secure = ask(endpoint(plain.url.replace("http://", "https://")))
        open_ = ask(endpoint(secret.url.replace("https://", "http://")))
        third = ask(endpoint(other.url.replace("https://", "http://")))
        assert time.monotonic() - began < 5
    assert type(secure) is LLMRequestError
    assert f"Is it {plain.url}?" in str(secure)
    for answer, server in ((open_, secret), (third, other)):
        assert isinstance(answer, LLMError)
        assert server.url in str(answer)


def test_questions_go_through_a_proxy_with_the_same_care(
    question: ChatRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([Answer("7"), Answer("x" * 3_000_000), Answer("7", delay=5.0), Answer("7", drop=True)])
    with ChatServer(lambda asked: next(answers)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1").replace("http://", "http://ada:%40b@"))
        backend = endpoint("http://llm.example/v1", timeout=1.0)
        outcomes = [backend.answer_batch([question])[0] for _ in range(4)]
        monkeypatch.setenv("no_proxy", "llm.example")
        assert isinstance(backend.answer_batch([question])[0], LLMTransientError)
    assert [call.path for call in proxy.calls] == ["http://llm.example/v1/chat/completions"] * 4
    assert {call.headers["proxy-authorization"] for call in proxy.calls} == {"Basic YWRhOkBi"}
    assert isinstance(outcomes[0], ChatAnswer)
    assert "more than 2097152 bytes" in str(outcomes[1])
    assert "no answer within 1 s" in str(outcomes[2])
    assert type(outcomes[3]) is LLMTransientError


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1080", "names a SOCKS proxy"),
        ("https_proxy", "socks5h://u:hunter2@127.0.0.1:1080", "names a SOCKS proxy"),
        ("HTTPS_PROXY", "http://:3128", "is not the address of a proxy"),
        ("HTTPS_PROXY", "http://127.0.0.1:hunter2", "is not the address of a proxy"),
        ("HTTPS_PROXY", "ftp://127.0.0.1:21", "is not the address of a proxy"),
        ("HTTPS_PROXY", "http://[::1", "is not the address of a proxy"),
        ("https_proxy", "http://a b:3128", "is not the address of a proxy"),
        ("HTTPS_PROXY", "127.0.0.1:9", "no connection to the proxy http://127.0.0.1:9, which HTTPS_PROXY names"),
    ],
)
def test_a_proxy_that_cannot_be_used_names_its_variable(
    variable: str, value: str, says: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    answer = ask(endpoint("https://llm.example/v1"))
    assert isinstance(answer, LLMRequestError | LLMTransientError)
    assert says in str(answer)
    assert variable in str(answer)
    assert "hunter2" not in str(answer)


def test_a_proxy_that_wants_a_password_or_refuses_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(lambda *_: [b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"]) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.removesuffix("/v1"))
        answer = ask(endpoint("https://llm.example/v1"))
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        plain = ask(endpoint("http://llm.example/v1"))
    assert type(answer) is LLMRequestError
    assert "status 407: it wants a user name and a password. Correct https_proxy" in str(answer)
    assert type(plain) is LLMRequestError
    assert "user name and a password" in str(plain)


def test_nothing_that_the_environment_holds_for_other_programs_is_sent(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with ChatServer(lambda asked: Answer("7", headers={"Set-Cookie": "a=b"})) as server:
        backend = endpoint(server.url)
        assert all(isinstance(ask(backend), ChatAnswer) for _ in range(2))
    assert all("authorization" not in call.headers and "cookie" not in call.headers for call in server.calls)


def test_a_server_gets_the_headers_of_its_question_alone(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: 1\nCookie: a=b\nAccept-Encoding: gzip")
    with ChatServer(lambda asked: Answer("7", headers={"Set-Cookie": "a=b"})) as server:
        backend = endpoint(server.url.replace("127.0.0.1", "localhost"))
        assert all(isinstance(answer, ChatAnswer) for answer in answered(backend, numbered(2), at_once=1))
    assert [set(call.headers) for call in server.calls] == [
        {
            "host",
            "accept",
            "accept-encoding",
            "connection",
            "content-length",
            "content-type",
            "user-agent",
            "x-request-id",
        }
    ] * 2
    assert all(call.headers["accept-encoding"] == "identity" for call in server.calls)
    assert all(call.headers["connection"] == "close" for call in server.calls)


def test_the_service_of_openai_gets_what_the_environment_holds_for_it(
    question: ChatRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-0123456789")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: 1\nauthorization: Bearer other")
    with ChatServer(lambda asked: Answer("7", headers={"Set-Cookie": "a=b"})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        backend = endpoint("http://api.openai.com/v1", api_key_env="MY_KEY")
        assert all(isinstance(answer, ChatAnswer) for answer in answered(backend, [question] * 2, at_once=1))
    for call in proxy.calls:
        assert call.headers["authorization"] == "Bearer sk-0123456789"
        assert call.headers["openai-organization"] == "org-1"
        assert call.headers["openai-project"] == "project-1"
        assert call.headers["x-custom"] == "1"
        assert not [name for name in call.headers if name.startswith("x-stainless")]
        assert call.headers["accept-encoding"] == "identity"
        assert "cookie" not in call.headers


@pytest.mark.parametrize("codec", ["zlib", "bz2", "hex", "undefined", "punycode", "utf-16", "rot13", "none-such"])
@pytest.mark.parametrize("status", [200, 400])
def test_a_text_is_utf_8_whatever_its_service_calls_it(codec: str, status: int, ask: Ask) -> None:
    bomb = zlib.compress(bytes(50_000_000)) if codec == "zlib" else b'{"error": {"message": "caf\xc3\xa9"}}'
    kind = b"Content-Type: application/json; charset=" + codec.encode()
    sent = response(completion("7") if status == 200 else bomb, kind)
    sent = sent.replace(b"200 OK", str(status).encode() + b" So", 1)
    tracemalloc.start()
    try:
        with RawServer(lambda *_: [sent]) as server:
            answer = ask(endpoint(server.url))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if status == 200:
        assert isinstance(answer, ChatAnswer)
    else:
        assert isinstance(answer, LLMRequestError)
        assert codec == "zlib" or "caf\u00e9" in str(answer)
    assert most < 30_000_000
