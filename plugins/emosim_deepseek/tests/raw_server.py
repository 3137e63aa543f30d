"""RawServer: a server on this machine that sends the bytes of a script, whatever HTTP says of them."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

Script = Callable[[int, dict[str, Any], str], "Iterable[bytes | float]"]
"""From the number of a request, its body and its X-Request-ID to what is sent: bytes, and seconds to wait."""


def completion(text: str, answer_id: str = "", **more: Any) -> bytes:
    """The body of an answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    named = {"id": answer_id} if answer_id else {}
    return json.dumps({**named, "object": "chat.completion", "model": "m", "choices": [choice], **more}).encode()


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK", length: bool = True) -> bytes:
    """A response with a body."""
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/json", *headers]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class RawServer:
    """Reads requests as they should be, and answers as a script says.

    Args:
        script: what is sent for each request; a connection stays open after it.
        greeting: sent when a connection is made, before any request.
        tls: with what to speak TLS; None for plain sockets.

    Attributes:
        url: its base URL.
        connections: how many were made.
        requests: how many came.
    """

    def __init__(self, script: Script, greeting: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        self._script, self._greeting, self._tls = script, greeting, tls
        self.connections = self.requests = 0
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __enter__(self) -> RawServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(plain)
            self.connections += 1
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            connection.sendall(self._greeting)
            unread = b""
            while True:
                while b"\r\n\r\n" not in unread:
                    unread += self._some(connection)
                head, _, unread = unread.partition(b"\r\n\r\n")
                headers = dict(
                    line.lower().split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:] if ": " in line
                )
                length = int(headers.get("content-length", 0))
                while len(unread) < length:
                    unread += self._some(connection)
                body, unread = unread[:length], unread[length:]
                with self._lock:
                    number, self.requests = self.requests, self.requests + 1
                for piece in self._script(number, json.loads(body or b"{}"), headers.get("x-request-id", "")):
                    if isinstance(piece, float):
                        threading.Event().wait(piece)
                    else:
                        connection.sendall(piece)
                        if not piece:
                            connection.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _some(connection: socket.socket) -> bytes:
        data = connection.recv(65536)
        if not data:
            raise ConnectionError
        return data
