"""ChatServer: a service on this machine that speaks the chat-completions protocol and answers as a script says.

It also runs by itself, for a try without a key: ``python -m emosim_core.testing.chat_server --text 7``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit

Body = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the server answers to one request.

    Attributes:
        text: the text of the answer; with another status than 200, the message of the error.
        reasoning: what the model thought before; empty for none.
        refusal: why the model will not answer; it takes the place of the text.
        finish: why the model stopped, such as ``"stop"``, ``"length"`` or ``"content_filter"``.
        model: the model that answers; empty for the one that was asked.
        usage: the tokens, as the service would write them; None counts a token for each word, an empty one is left out.
        status: HTTP status.
        headers: further headers of the response.
        delay: seconds until the response begins.
        trickle: seconds over which the response is spread, a tenth of it at a time.
        raw: body to send in place of all of the above.
        drop: True closes the connection without a response; ``"midway"``, in the middle of one.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    finish: str = "stop"
    model: str = ""
    usage: Mapping[str, Any] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    trickle: float = 0.0
    raw: bytes | None = None
    drop: bool | Literal["midway"] = False

    def body(self, request: Body, answer_id: str = "chatcmpl-0") -> bytes:
        """The body of the response to a request; ``answer_id`` is the id of the answer."""
        if self.raw is not None:
            return self.raw
        if self.status != 200:
            return json.dumps({"error": {"message": self.text, "type": "error", "code": self.status}}).encode()
        message: Body = {"role": "assistant", "content": self.text}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.refusal:
            message["content"], message["refusal"] = None, self.refusal
        payload: Body = {
            "id": answer_id,
            "object": "chat.completion",
            "created": 0,
            "model": self.model or request.get("model", ""),
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish, "logprobs": None}],
        }
        usage = self._counted(request) if self.usage is None else self.usage
        if usage:
            payload["usage"] = usage
        return json.dumps(payload).encode()

    def _counted(self, request: Body) -> Body:
        prompt = sum(len(str(message.get("content", "")).split()) for message in request.get("messages", ()))
        thought = len(self.reasoning.split())
        tokens = len(self.text.split()) + thought
        return {
            "prompt_tokens": prompt,
            "completion_tokens": tokens,
            "total_tokens": prompt + tokens,
            "completion_tokens_details": {"reasoning_tokens": thought},
        }


@dataclass(frozen=True)
class Call:
    """A request that the server got.

    Attributes:
        method: such as ``"POST"``.
        path: such as ``"/v1/chat/completions"``.
        headers: by their names in lower case.
        body: the parsed body; empty for a request without one.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Body


Script = Callable[[Body], "Answer | str"]


def repeat(request: Body) -> Answer:
    """Answers with the last message of the request; what a server does without a script."""
    return Answer(str(request["messages"][-1]["content"]))


class ChatServer:
    """Serves ``POST /v1/chat/completions`` and ``GET /v1/models`` on 127.0.0.1, with and without the ``/v1``.

    ::

        with ChatServer(lambda request: Answer("7", delay=0.05)) as server:
            ask(server.url)
        assert len(server.calls) == 1

    One event loop in a thread of its own serves all connections, which stay open between requests. The script is
    called in that thread. An error that it raises is answered with status 500, and raised again when the server is
    left.

    Args:
        script: from the parsed body of a request to its answer, or to the text of one.
        models: the models that ``GET /v1/models`` lists.
        port: where to listen; 0 for any free port.
        tls: with what to speak TLS; None for plain HTTP.
        hold: how many requests must wait for their answer at the same time before the first one is answered; after a
            minute they are answered all the same.

    Attributes:
        url: base URL, such as ``"http://127.0.0.1:40123/v1"``; known once the server is entered.
        calls: every request, in the order in which they came.
        most_at_once: the most requests that waited for their answer at the same time.
    """

    def __init__(
        self,
        script: Script = repeat,
        models: Sequence[str] = ("model",),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        hold: int = 0,
    ) -> None:
        self.script, self.models, self.hold = script, tuple(models), hold
        self.url = ""
        self.calls: list[Call] = []
        self.most_at_once = 0
        self.open = 0
        self._port, self._tls = port, tls
        self._errors: list[Exception] = []
        self.connections: set[_Connection] = set()
        self._held: list[Callable[[], None]] = []
        self._longest: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ChatServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._errors and error is None:
            raise self._errors[0]

    def start(self) -> None:
        """Listen, in a thread of its own.

        Raises:
            OSError: the port is in use.
        """
        ready = threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._serve(ready))
            except BaseException as error:
                failed.append(error)
                ready.set()

        self._thread = threading.Thread(target=run, name="chat-server", daemon=True)
        self._thread.start()
        ready.wait()
        if failed:
            self._thread.join()
            raise failed[0]

    def stop(self) -> None:
        """Close every connection and listen no more; nothing happens where the server has stopped already."""
        if self._thread is None:
            return
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = self._loop = None

    async def _serve(self, ready: threading.Event) -> None:
        loop = self._loop = asyncio.get_running_loop()
        stop = self._stop = asyncio.Event()
        server = await loop.create_server(
            lambda: _Connection(self, loop), "127.0.0.1", self._port, backlog=2048, ssl=self._tls
        )
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await stop.wait()
        server.close()
        for connection in tuple(self.connections):
            connection.abort()
        await server.wait_closed()
        await asyncio.sleep(0)  # transports tell of their end in the next turn of the loop

    def answer(self, call: Call) -> tuple[Answer, bytes]:
        """The answer to a request, and its body."""
        self.calls.append(call)
        self.open += 1
        self.most_at_once = max(self.most_at_once, self.open)
        path = urlsplit(call.path).path.removeprefix("/v1")
        if (call.method, path) == ("GET", "/models"):
            listed = [{"id": model, "object": "model", "owned_by": "chat-server"} for model in self.models]
            return Answer(), json.dumps({"object": "list", "data": listed}).encode()
        if (call.method, path) != ("POST", "/chat/completions"):
            answer = Answer(f"there is no {call.method} {call.path}", status=404)
            return answer, answer.body(call.body)
        try:
            scripted = self.script(call.body)
            answer = Answer(scripted) if isinstance(scripted, str) else scripted
            # As vLLM does: the id of the answer is made of the id that came with the request.
            return answer, answer.body(call.body, f"chatcmpl-{call.headers.get('x-request-id') or uuid.uuid4().hex}")
        except Exception as error:
            self._errors.append(error)
            answer = Answer(f"the script raised {type(error).__name__}: {error}", status=500)
            return answer, answer.body(call.body)

    def reply(self, send: Callable[[], None]) -> None:
        """Send a response now, or hold it until enough requests wait."""
        assert self._loop is not None
        if self.most_at_once >= self.hold:
            self._release()
            send()
            return
        if not self._held:
            self._longest = self._loop.call_later(60, self._release)
        self._held.append(send)

    def _release(self) -> None:
        """Send every response that is held, and hold no more."""
        if self._longest is not None:
            self._longest.cancel()
        self.hold, held, self._held = 0, self._held, []
        for send in held:
            send()


class _Connection(asyncio.Protocol):
    """One connection: takes requests apart and answers them in their order."""

    def __init__(self, server: ChatServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self._loop = server, loop
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._waiting: asyncio.TimerHandle | None = None
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        self._transport = None
        if self._waiting is not None:
            self._waiting.cancel()
        if self._busy:
            self._busy = False
            self._server.open -= 1

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._go_on()

    def _go_on(self) -> None:
        """Answer the requests that have arrived, until one has to wait."""
        while not self._busy and self._transport is not None:
            if self._unread and not self._unread[:1].isalpha():  # such as the beginning of TLS
                self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                self._transport.close()
                return
            end = self._unread.find(b"\r\n\r\n")
            if end < 0:
                return
            first, *lines = self._unread[:end].decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ", 2)
            headers = {}
            for line in lines:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            start, length = end + 4, int(headers.get("content-length", 0))
            if len(self._unread) < start + length:
                return
            body, self._unread = self._unread[start : start + length], self._unread[start + length :]
            self._take(method, path, headers, body)

    def _take(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        try:
            request = json.loads(body) if body else {}
        except ValueError:
            request = None
        self._busy = True
        if isinstance(request, dict):
            answer, whole = self._server.answer(Call(method, path, headers, request))
        else:
            self._server.open += 1
            answer = Answer("the body is no JSON object", status=400)
            whole = answer.body({})
        self._server.reply(lambda: self._reply(answer, whole))

    def _reply(self, answer: Answer, body: bytes) -> None:
        if answer.delay > 0:
            self._waiting = self._loop.call_later(answer.delay, self._send, answer, body)
        else:
            self._send(answer, body)

    def _send(self, answer: Answer, body: bytes) -> None:
        if self._transport is None:
            return
        if answer.drop is True:
            self._done()
            self._transport.close()
            return
        head = f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, 'Unknown')}\r\n"
        named = {name.lower() for name in answer.headers}
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
            if name.lower() not in named:
                head += f"{name}: {value}\r\n"
        for name, value in answer.headers.items():
            head += f"{name}: {value}\r\n"
        whole = f"{head}\r\n".encode("latin-1") + body
        if answer.drop == "midway":
            self._transport.write(whole[: len(whole) - len(body) // 2 - 1])
            self._done()
            self._transport.close()
        elif answer.trickle > 0:
            self._trickle(whole, max(1, -(-len(whole) // 10)), answer.trickle / 10)
        else:
            self._transport.write(whole)
            self._done()
            if self._unread:
                self._loop.call_soon(self._go_on)

    def _trickle(self, rest: bytes, piece: int, pause: float) -> None:
        if self._transport is None:
            return
        self._transport.write(rest[:piece])
        if rest := rest[piece:]:
            self._waiting = self._loop.call_later(pause, self._trickle, rest, piece, pause)
        else:
            self._done()
            self._go_on()

    def _done(self) -> None:
        self._busy, self._waiting = False, None
        self._server.open -= 1


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def main() -> None:
    """Serve until it is interrupted."""
    parser = argparse.ArgumentParser(description="Answers chat completions on 127.0.0.1 with one text.")
    parser.add_argument("--text", default="7", help="what to answer (7)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until an answer (0)")
    parser.add_argument("--port", type=int, default=0, help="where to listen (any free port)")
    options = parser.parse_args()
    answer = Answer(options.text, delay=options.delay)
    with ChatServer(lambda body: answer, port=options.port) as server:
        print(server.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(server.calls)} requests")


if __name__ == "__main__":
    main()
