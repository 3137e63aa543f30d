"""ChatServer: a service on this machine that speaks the chat-completions protocol and answers as a script says.

It also runs by itself, for a try without a key: ``python -m emosim_core.testing.chat_server --text 7``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import ssl
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
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
        reasoning: what the model thought before.
        refusal: why the model will not answer; it takes the place of the text.
        finish: why the model stopped, such as ``"stop"``, ``"length"`` or ``"content_filter"``.
        model: the model that answers; empty for the one that was asked.
        probabilities: probabilities of tokens in the place of the text, which counts as one token; they are sent, the
            likeliest as many as requested, where a request has ``logprobs``.
        usage: the tokens, as the service would write them; None counts a token for each word, an empty one is left out.
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
    probabilities: Mapping[str, float] = field(default_factory=dict)
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
        message: Body = {"role": "assistant", "content": None if self.refusal else self.text}
        optional = {"reasoning_content": self.reasoning, "refusal": self.refusal}
        message |= {name: text for name, text in optional.items() if text}
        payload: Body = {
            "id": answer_id,
            "object": "chat.completion",
            "created": 0,
            "model": self.model or request.get("model", ""),
            "choices": [
                {"index": 0, "message": message, "finish_reason": self.finish, "logprobs": self._logprobs(request)}
            ],
        }
        usage = self._counted(request) if self.usage is None else self.usage
        if usage:
            payload["usage"] = usage
        return json.dumps(payload).encode()

    def _logprobs(self, request: Body) -> Body | None:
        if not self.probabilities or not request.get("logprobs"):
            return None
        likeliest = sorted(self.probabilities, key=self.probabilities.__getitem__, reverse=True)
        entries = [
            {"token": token, "logprob": math.log(probability), "bytes": list(token.encode())}
            for token in likeliest
            if (probability := self.probabilities[token]) > 0
        ]
        written = next((one for one in entries if one["token"] == self.text), {"token": self.text, "logprob": -99.0})
        return {"content": [{**written, "top_logprobs": entries[: request.get("top_logprobs", 0)]}], "refusal": None}

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
    """A request that the server got: ``"POST"`` and ``"/v1/chat/completions"``, headers by names in lower case.

    The body is parsed; it is empty for a request without one.
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
        self._loop: asyncio.AbstractEventLoop | None = None
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
        """Listen, in a thread of its own; an OSError where the port is in use."""
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
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = self._loop = None

    async def _serve(self, ready: threading.Event) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._stop, self._enough = asyncio.Event(), asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        server = await loop.create_server(
            lambda: _Connection(self.converse), "127.0.0.1", self._port, backlog=2048, ssl=self._tls
        )
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await self._stop.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0)  # transports tell of their end in the next turn of the loop

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection in their order, until either side closes it."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            stays = True
            while stays:
                call = await _read(reader)
                self.open += 1
                try:
                    stays = await self._reply(call, writer)
                finally:
                    self.open -= 1
            writer.close()
        except asyncio.IncompleteReadError:
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()

    async def _reply(self, call: Call | None, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; whether the connection stays."""
        if call is None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        answer, body = self._answer(call)
        if self.most_at_once >= self.hold:
            self._release()
        else:
            try:
                await asyncio.wait_for(self._enough.wait(), 60)
            except asyncio.TimeoutError:
                self._release()
        if answer.delay > 0:
            await asyncio.sleep(answer.delay)
        if answer.drop is True:
            return False
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        named = {name.lower() for name in answer.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in named} | dict(answer.headers)
        head = f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, 'Unknown')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        whole = f"{head}\r\n".encode("latin-1") + body
        if answer.drop == "midway":
            writer.write(whole[: len(whole) - len(body) // 2 - 1])
            return False
        piece = -(-len(whole) // 10) if answer.trickle > 0 else len(whole)
        for start in range(0, len(whole), piece):
            if start:
                await asyncio.sleep(answer.trickle / 10)
            writer.write(whole[start : start + piece])
        return True

    def _answer(self, call: Call) -> tuple[Answer, bytes]:
        """The answer to a request, and its body."""
        if not isinstance(call.body, dict):
            answer = Answer("the body is no JSON object", status=400)
            return answer, answer.body({})
        self.calls.append(call)
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

    def _release(self) -> None:
        """Let every answer that is held go, and hold no more."""
        self.hold, enough, self._enough = 0, self._enough, asyncio.Event()
        enough.set()


class _Connection(asyncio.StreamReaderProtocol):
    """A connection whose conversation ends with it, whatever is still to be answered."""

    def __init__(
        self, converse: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
    ) -> None:
        super().__init__(asyncio.StreamReader(), self._begin)
        self._converse = converse

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._conversation = asyncio.ensure_future(self._converse(reader, writer))

    def eof_received(self) -> bool:
        super().eof_received()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._conversation.cancel()


async def _read(reader: asyncio.StreamReader) -> Call | None:
    """The next request of a connection; None where it is no HTTP, such as the beginning of TLS."""
    first = await reader.readexactly(1)
    if not first.isalpha():
        return None
    line, *fields = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    method, path, _ = line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    try:
        request: Any = json.loads(body) if body else {}
    except ValueError:
        request = None
    return Call(method, path, headers, request)


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def main() -> None:
    """Serve until it is interrupted."""
    parser = argparse.ArgumentParser(description="Answers chat completions on 127.0.0.1 with one text.")
    parser.add_argument("--text", default="7", help="what to answer (7)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until an answer (0)")
    parser.add_argument("--port", type=int, default=0, help="where to listen (any free port)")
    options = parser.parse_args()
    answer = Answer(options.text, delay=options.delay)
    with ExitStack() as stack:
        try:
            server = stack.enter_context(ChatServer(lambda body: answer, port=options.port))
        except OSError as error:
            parser.error(f"cannot listen on port {options.port}: {error.strerror or error}; choose another with --port")
        print(server.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(server.calls)} requests")


if __name__ == "__main__":
    main()
