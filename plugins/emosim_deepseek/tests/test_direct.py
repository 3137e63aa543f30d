"""Requests are carried as HTTP/1.1 says, over connections that are used again where that is safe."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest
from emosim_deepseek import direct
from emosim_deepseek.direct import Direct, Proxied, transport
from emosim_deepseek.endpoint import Endpoint, EndpointOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core import ChatAnswer, ChatRequest, LLMMalformedError
from emosim_core.testing import Answer, ChatServer

BODY = b'{"a": "' + b"x" * 300 + b'"}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Kind: plain\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\n%b\r\n0A;note=1\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (BODY[:5], BODY[5:15], len(BODY) - 15, BODY[15:])
)
TRAILED = CHUNKED[:-2] + b"X-After: 1\r\nX-More: 2\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + PLAIN
OPEN_ENDED = b"HTTP/1.0 200 OK\r\n\r\n" + BODY


def exchange(
    responses: Sequence[Sequence[bytes]], requests: int = 1, timeout: float = 5.0, limit: int = 10_000
) -> tuple[list[httpx2.Response | Exception], int]:
    """Ask a server that answers with pieces of bytes as they stand; what came of each request, and the connections.

    Args:
        responses: the pieces of each response; one that ends with an empty piece ends the connection.
        requests: how many requests are sent, one after the other.
        timeout: seconds that a request may take.
        limit: bytes that an answer may have.
    """
    left = iter(responses)
    serving: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                pieces = next(left)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if pieces and not pieces[-1]:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def run() -> list[httpx2.Response | Exception]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        carrier = Direct(timeout, limit, "the service")
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/models?a=1"
        came: list[httpx2.Response | Exception] = []
        for _ in range(requests):
            try:
                came.append(await carrier.handle_async_request(httpx2.Request("GET", url)))
                await came[-1].aread()
            except (httpx2.TransportError, LLMMalformedError) as error:
                came.append(error)
        await carrier.aclose()
        await asyncio.gather(*serving)
        server.close()
        return came

    return asyncio.run(run()), len(serving)


@pytest.mark.parametrize("response", [PLAIN, CHUNKED, TRAILED, CONTINUED], ids=["plain", "chunks", "end", "interim"])
def test_responses_of_every_form_are_read_and_the_connection_is_used_again(response: bytes) -> None:
    came, connections = exchange([[response]] * 3, requests=3)
    assert [(one.status_code, one.content) for one in came] == [(200, BODY)] * 3
    assert connections == 1


def test_a_response_without_a_length_ends_with_its_connection() -> None:
    came, connections = exchange([[OPEN_ENDED, b""]] * 2, requests=2)
    assert [one.content for one in came] == [BODY] * 2
    assert connections == 2


def test_a_response_without_a_body_is_complete_with_its_head() -> None:
    came, connections = exchange([[b"HTTP/1.1 204 No Content\r\n\r\n"]] * 2, requests=2)
    assert [(one.status_code, one.content) for one in came] == [(204, b"")] * 2
    assert connections == 1


@pytest.mark.parametrize(
    "response",
    [
        PLAIN.replace(b"X-Kind: plain", b"Connection: close"),
        PLAIN.replace(b"X-Kind: plain", b"connection: Keep-Alive, Close"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN + b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_a_connection_that_is_at_its_end_or_out_of_step_is_not_used_again(response: bytes) -> None:
    came, connections = exchange([[response]] * 2, requests=2)
    assert [one.content for one in came] == [BODY] * 2
    assert connections == 2


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "_LONGEST_IDLE", 0.0)
    came, connections = exchange([[PLAIN]] * 3, requests=3)
    assert [one.content for one in came] == [BODY] * 3
    assert connections == 3


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"x" * 100_000,
    ],
)
def test_what_is_no_http_is_refused(response: bytes) -> None:
    (came,), _ = exchange([[response]])
    assert isinstance(came, httpx2.RemoteProtocolError)
    assert "no HTTP" in str(came)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"3E8\r\n" + b"x" * 1000 + b"\r\n"] * 11],
        [b"HTTP/1.0 200 OK\r\n\r\n", *[b"x" * 1000] * 11],
    ],
    ids=["length", "one chunk", "chunks", "open-ended"],
)
def test_an_answer_that_is_too_large_is_refused_before_it_has_all_come(pieces: list[bytes]) -> None:
    (came,), _ = exchange([pieces])
    assert isinstance(came, LLMMalformedError)
    assert "more than 10000 bytes" in str(came)


def test_an_answer_as_large_as_it_may_be_is_taken() -> None:
    (came,), _ = exchange([[b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"x" * 10_000]])
    assert len(came.content) == 10_000


@pytest.mark.parametrize("pieces", [[b""], [PLAIN[:10], b""], [PLAIN[:-1], b""], [CHUNKED[:-2], b""]])
def test_a_response_that_breaks_off_is_none(pieces: list[bytes]) -> None:
    (came,), _ = exchange([pieces])
    assert isinstance(came, httpx2.RemoteProtocolError)
    assert "the connection was closed" in str(came)


def test_a_response_that_does_not_end_is_waited_for_in_all_as_long_as_a_request_may_take() -> None:
    (came,), _ = exchange([[PLAIN[:-1]]], timeout=0.2)
    assert isinstance(came, httpx2.ReadTimeout)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([PLAIN, CHUNKED, TRAILED, CONTINUED]), st.lists(st.integers(1, 400), max_size=12))
def test_how_a_response_is_cut_into_pieces_makes_no_difference(response: bytes, cuts: list[int]) -> None:
    ends = [0, *sorted(cut for cut in set(cuts) if cut < len(response)), len(response)]
    loop = asyncio.new_event_loop()
    try:
        connection = direct._Connection(loop, set(), 10_000, "the service")
        waiting = connection._waiting = loop.create_future()
        for start, end in pairwise(ends):
            connection.data_received(response[start:end])
        reply = waiting.result()
    finally:
        loop.close()
    assert (reply.status, reply.body, connection.reusable) == (200, BODY, True)


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_of_a_server_break_the_reading(garbage: bytes, after_a_head: bool) -> None:
    loop = asyncio.new_event_loop()
    try:
        connection = direct._Connection(loop, set(), 10_000, "the service")
        waiting = connection._waiting = loop.create_future()
        connection.data_received(CHUNKED[:47] * after_a_head + garbage)
        connection.connection_lost(None)
        assert waiting.done()
        if waiting.exception() is not None:
            assert isinstance(waiting.exception(), httpx2.RemoteProtocolError | LLMMalformedError)
    finally:
        loop.close()


def test_a_header_with_a_line_end_is_not_sent() -> None:
    async def run() -> None:
        request = httpx2.Request("GET", "http://127.0.0.1:9/", headers=[(b"x", b"1\r\nHost: other")])
        with pytest.raises(httpx2.LocalProtocolError):
            await Direct(1.0, 10, "the service").handle_async_request(request)

    asyncio.run(run())


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


def test_a_server_with_tls_is_asked_if_its_certificate_is_trusted_and_not_otherwise(
    certificate: tuple[Path, Path], question: ChatRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with ChatServer(lambda asked: Answer("7", delay=0.05), tls=context) as server:
        assert server.url.startswith("https://")
        backend = Endpoint(EndpointOptions(model=f"{server.url}#m"))
        (refused,) = backend.answer_batch([question])
        assert "certificate" in str(refused)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        answers = backend.answer_batch([question] * 20)
    assert all(isinstance(answer, ChatAnswer) and answer.text == "7" for answer in answers)
    assert server.most_at_once == 20


def test_a_proxy_of_the_environment_is_used_unless_the_environment_spares_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "127.0.0.1:9")
    assert isinstance(transport("https://llm.example/v1", 1.0, 10, "the service"), Proxied)
    assert isinstance(transport("http://llm.example/v1", 1.0, 10, "the service"), Direct)
    monkeypatch.setenv("no_proxy", "llm.example")
    assert isinstance(transport("https://llm.example/v1", 1.0, 10, "the service"), Direct)
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    assert isinstance(transport("http://other.example/v1", 1.0, 10, "the service"), Proxied)


def test_questions_go_through_a_proxy_with_the_same_care(
    question: ChatRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([Answer("7"), Answer("x" * 3_000_000), Answer("7", delay=5.0), Answer("7", drop=True)])
    with ChatServer(lambda asked: next(answers)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        backend = Endpoint(EndpointOptions(model="http://llm.example/v1#m", timeout=1.0))
        told = [backend.answer_batch([question])[0] for _ in range(4)]
    assert [call.path for call in proxy.calls] == ["http://llm.example/v1/chat/completions"] * 4
    assert isinstance(told[0], ChatAnswer)
    assert "more than 2097152 bytes" in str(told[1])
    assert "no answer within 1 s" in str(told[2])
    assert type(told[3]).__name__ == "LLMTransientError"
