"""The server for tests speaks chat completions over real connections, and does as its script says."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Literal
from urllib.parse import urlsplit

import pytest

from emosim_core.testing import Answer, ChatServer

Response = tuple[int, dict[str, str], bytes]


def raw_connection(server: ChatServer) -> socket.socket:
    """A socket that is connected to a server."""
    return socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=10)


@contextmanager
def connection(server: ChatServer) -> Iterator[http.client.HTTPConnection]:
    """A connection to a server."""
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)) as one:
        yield one


def ask(one: http.client.HTTPConnection, text: str = "hello", path: str = "/v1/chat/completions") -> Response:
    """Status, headers and body of the answer to a question."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})
    one.request("POST", path, body, {"Content-Type": "application/json", "Authorization": "Bearer key"})
    with one.getresponse() as response:
        return response.status, dict(response.getheaders()), response.read()


def test_a_taken_port_is_an_error_without_a_traceback() -> None:
    with ChatServer() as server:
        port = str(urlsplit(server.url).port)
        command = [sys.executable, "-m", "emosim_core.testing.chat_server", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"cannot listen on port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_script_it_answers_with_the_question() -> None:
    with ChatServer() as server, connection(server) as one:
        status, headers, body = ask(one, "how are you")
    payload = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert payload["choices"][0]["message"] == {"role": "assistant", "content": "how are you"}
    assert payload["choices"][0]["finish_reason"] == "stop"
    assert payload["model"] == "m"
    assert payload["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 3,
        "total_tokens": 6,
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_requests_are_kept_in_their_order_and_share_a_connection() -> None:
    with ChatServer(lambda request: "7") as server, connection(server) as one:
        sockets = []
        for number in range(3):
            ask(one, str(number), "/v1/chat/completions" if number else "/chat/completions")
            sockets.append(one.sock)
    assert sockets[0] is not None
    assert len(set(sockets)) == 1
    assert [call.body["messages"][0]["content"] for call in server.calls] == ["0", "1", "2"]
    assert [call.path for call in server.calls] == ["/chat/completions", *["/v1/chat/completions"] * 2]
    assert {call.headers["authorization"] for call in server.calls} == {"Bearer key"}


def test_an_answer_has_all_that_the_script_says() -> None:
    answer = Answer(
        "7", reasoning="because", finish="length", model="m2", usage={"prompt_tokens": 1}, headers={"X-A": "b"}
    )
    with ChatServer(lambda request: answer) as server, connection(server) as one:
        _, headers, body = ask(one)
    payload = json.loads(body)
    assert headers["X-A"] == "b"
    assert payload["choices"][0]["message"]["reasoning_content"] == "because"
    assert (payload["choices"][0]["finish_reason"], payload["model"], payload["usage"]) == (
        "length",
        "m2",
        {"prompt_tokens": 1},
    )


def test_usage_can_be_left_out_and_a_refusal_takes_the_place_of_the_text() -> None:
    with ChatServer(lambda request: Answer(refusal="no", usage={})) as server, connection(server) as one:
        payload = json.loads(ask(one)[2])
    assert "usage" not in payload
    assert payload["choices"][0]["message"] == {"role": "assistant", "content": None, "refusal": "no"}


def test_errors_and_bodies_of_any_kind_can_be_sent() -> None:
    answers = iter([Answer("slow down", status=429, headers={"Retry-After": "2"}), Answer(raw=b"{", status=500)])
    with ChatServer(lambda request: next(answers)) as server, connection(server) as one:
        status, headers, body = ask(one)
        assert (status, headers["Retry-After"], json.loads(body)["error"]["message"]) == (429, "2", "slow down")
        assert ask(one)[::2] == (500, b"{")


@pytest.mark.parametrize("drop", [True, "midway"])
def test_a_connection_can_be_dropped(drop: Literal[True, "midway"]) -> None:
    with (
        ChatServer(lambda request: Answer("7", drop=drop)) as server,
        connection(server) as one,
        pytest.raises((http.client.IncompleteRead, http.client.RemoteDisconnected)),
    ):
        ask(one)
    assert len(server.calls) == 1


def test_an_answer_can_be_late_and_can_trickle() -> None:
    with ChatServer(lambda request: Answer("7", delay=0.1, trickle=0.2)) as server, connection(server) as one:
        began = time.perf_counter()
        assert json.loads(ask(one)[2])["choices"][0]["message"]["content"] == "7"
        assert time.perf_counter() - began > 0.25


def test_answers_that_are_held_overlap_and_are_counted() -> None:
    def one_question(number: int) -> bytes:
        with connection(server) as one:
            return ask(one, str(number))[2]

    with ChatServer(hold=16) as server, ThreadPoolExecutor(16) as pool:
        first = pool.submit(one_question, 0)
        while not server.calls:
            time.sleep(0.01)
        assert not first.done()
        others = list(pool.map(one_question, range(1, 16)))
        answers = [first.result(), *others]
    assert [json.loads(one)["choices"][0]["message"]["content"] for one in answers] == list(map(str, range(16)))
    assert server.most_at_once == 16
    assert server.open == 0


def test_requests_that_are_sent_before_their_turn_are_answered_in_their_order() -> None:
    def script(request: dict) -> Answer:
        return Answer(str(request["n"]), delay=0.2 if request["n"] == 1 else 0.0)

    with ChatServer(script) as server, raw_connection(server) as one:
        for number in (1, 2):
            body = json.dumps({"n": number, "messages": []}).encode()
            one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        came = b""
        while came.count(b'"content"') < 2:
            came += one.recv(65536)
    assert came.index(b'"content": "1"') < came.index(b'"content": "2"')


def test_a_question_that_comes_in_pieces_is_put_together() -> None:
    body = json.dumps({"messages": [{"content": "hello"}]}).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with ChatServer() as server, raw_connection(server) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), 7):
            one.sendall(request[start : start + 7])
            time.sleep(0.002)
        assert b'"content": "hello"' in one.recv(65536)


def test_its_models_are_listed() -> None:
    with ChatServer(models=["a", "b"]) as server, connection(server) as one:
        one.request("GET", "/v1/models")
        with one.getresponse() as response:
            assert [model["id"] for model in json.load(response)["data"]] == ["a", "b"]


def test_what_it_does_not_know_is_not_found_and_what_it_cannot_read_is_refused() -> None:
    with ChatServer() as server, connection(server) as one:
        assert ask(one, path="/v1/embeddings")[0] == 404
        one.request("POST", "/v1/chat/completions", b"[1")
        with one.getresponse() as response:
            assert (response.status, b"no JSON object" in response.read()) == (400, True)


def test_an_error_of_the_script_is_answered_and_raised_when_the_server_is_left() -> None:
    def script(request: dict) -> str:
        raise ZeroDivisionError("in the script")

    def ask_once() -> None:
        with ChatServer(script) as server, connection(server) as one:
            answers.append(ask(one))

    answers: list[Response] = []
    with pytest.raises(ZeroDivisionError, match="in the script"):
        ask_once()
    assert answers[0][0] == 500
    assert b"ZeroDivisionError" in answers[0][2]


def test_once_left_it_answers_no_more_and_its_port_is_free() -> None:
    with ChatServer() as server, connection(server) as one:
        ask(one)
    port = urlsplit(server.url).port or 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    with ChatServer(port=port) as again:
        assert again.url == server.url


def test_a_port_that_is_in_use_is_an_error() -> None:
    with ChatServer() as server, pytest.raises(OSError, match="in use"):
        ChatServer(port=urlsplit(server.url).port or 0).start()


def test_stopping_it_twice_is_no_error() -> None:
    server = ChatServer()
    server.start()
    server.stop()
    server.stop()


def test_it_runs_by_itself() -> None:
    command = [sys.executable, "-m", "emosim_core.testing.chat_server", "--text", "9", "--delay", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as one:
                assert json.loads(ask(one)[2])["choices"][0]["message"]["content"] == "9"
        finally:
            process.terminate()
