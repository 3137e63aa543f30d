"""Direct: carries requests over connections of its own, one at a time over each, with little work for each.

The transport that comes with httpx2 looks through all its connections for every request, which with hundreds of
questions at once takes more time than anything else. This one keeps a list of those that are free.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import NamedTuple

import httpx2

from emosim_core import LLMMalformedError

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?")
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{1,16}")
_LONGEST_HEAD = 64 * 1024
_LONGEST_IDLE = 15.0
"""Seconds after which a connection that nobody used is closed; services close theirs after a while too."""

_Origin = tuple[str, str, int]


class Reply(NamedTuple):
    """A response: its status, its headers as they came, its body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Direct(httpx2.AsyncBaseTransport):
    """HTTP/1.1, with and without TLS, without a proxy, within one event loop.

    Args:
        timeout: seconds that a request may take, from the sending to the last byte of the answer; and seconds for
            the making of a connection.
        limit: bytes that an answer may have.
        service: who is asked, for messages.
    """

    def __init__(self, timeout: float, limit: int, service: str) -> None:
        self._timeout, self._limit, self._service = timeout, limit, service
        self._free: dict[_Origin, list[_Connection]] = {}
        self._all: set[_Connection] = set()
        self._tls: ssl.SSLContext | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and wait for the whole response.

        Raises:
            httpx2.TransportError: there was none.
            LLMMalformedError: it was larger than it may be.
        """
        url = request.url
        origin = (url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))
        message = _message(request, await request.aread())
        connection = self._unused(origin) or await self._connect(origin)
        try:
            reply = await connection.exchange(message, self._timeout)
        except BaseException:
            connection.abort()
            raise
        if connection.reusable:
            self._free.setdefault(origin, []).append(connection)
        else:
            connection.abort()
        return _response(reply, self._service)

    def _unused(self, origin: _Origin) -> _Connection | None:
        """The connection that was used last of those that are free."""
        free = self._free.get(origin)
        while free:
            connection = free.pop()
            if connection.usable:
                return connection
            connection.abort()
            if not connection.closed:  # it was idle for too long, and so were those that were used before it
                for other in free:
                    other.abort()
                free.clear()
        return None

    async def _connect(self, origin: _Origin) -> _Connection:
        scheme, host, port = origin
        loop = asyncio.get_running_loop()
        if scheme == "https" and self._tls is None:
            self._tls = httpx2.create_ssl_context()
        tls = self._tls if scheme == "https" else None

        def make() -> _Connection:
            return _Connection(loop, self._all, self._limit, self._service)

        opening = loop.create_connection(make, host, port, ssl=tls)
        try:
            _, connection = await asyncio.wait_for(opening, self._timeout)
        except (TimeoutError, asyncio.TimeoutError):
            raise httpx2.ConnectTimeout(f"no connection to {host}:{port} within {self._timeout:g} s") from None
        except (OSError, ssl.SSLError) as error:
            raise httpx2.ConnectError(f"no connection to {host}:{port}: {error}") from error
        return connection

    async def aclose(self) -> None:
        """Close all connections."""
        for connection in tuple(self._all):
            connection.abort()
        self._free.clear()
        await asyncio.sleep(0)  # connections tell of their end in the next turn of the loop


class _Connection(asyncio.Protocol):
    """A connection: sends a request and takes the response apart as it comes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, all_: set[_Connection], limit: int, service: str) -> None:
        self._loop, self._all, self._limit, self._service = loop, all_, limit, service
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Reply] | None = None
        self._data = bytearray()
        self._used = 0.0
        self._reset()
        self.reusable = False
        self.closed = False

    def _reset(self) -> None:
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._length: int | None = None
        self._chunked = False
        self._keep = False
        self._body = bytearray()

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return not self.closed and self._loop.time() - self._used < _LONGEST_IDLE

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, message: bytes, timeout: float) -> Reply:
        """Send a request and wait for the whole response.

        Raises:
            httpx2.TransportError: there was none.
            LLMMalformedError: it was larger than it may be.
        """
        if self._transport is None:
            raise httpx2.RemoteProtocolError("the connection was closed before the question was sent")
        self.reusable = False
        waiting = self._waiting = self._loop.create_future()
        late = self._loop.call_later(timeout, self._late, timeout)
        try:
            self._transport.write(message)
            return await waiting
        finally:
            late.cancel()
            self._waiting = None
            self._used = self._loop.time()

    # ------------------------------------------------------------------------------------- the protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._used = self._loop.time()
        self._all.add(self)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.reusable, self.closed = False, True  # nobody asked for this
            self.abort()
            return
        self._data += data
        try:
            self._go_on()
        except ValueError:
            self._fail(httpx2.RemoteProtocolError("the answer is no HTTP"))

    def connection_lost(self, error: Exception | None) -> None:
        self.closed, self.reusable, self._transport = True, False, None
        self._all.discard(self)
        if self._status and self._length is None and not self._chunked and error is None:
            self._done()  # the end of the connection is the end of the response
        else:
            when = "in the middle of the answer" if self._status or self._data else "without an answer"
            self._fail(httpx2.RemoteProtocolError(f"the connection was closed {when}"))

    def _late(self, timeout: float) -> None:
        self._fail(httpx2.ReadTimeout(f"no answer within {timeout:g} s"))

    def _too_large(self) -> None:
        self._fail(_too_large(self._service, self._limit))

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
            self.abort()

    def _done(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self.reusable = self._keep and not self._data and not self.closed
            self._waiting.set_result(Reply(self._status, self._headers, bytes(self._body)))
            self._reset()

    # --------------------------------------------------------------------------------------- responses

    def _go_on(self) -> None:
        """Take in what has arrived.

        Raises:
            ValueError: it is no response.
        """
        while not self._status:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > _LONGEST_HEAD:
                    raise ValueError
                return
            self._take_head(bytes(self._data[:end]))
            del self._data[: end + 4]
        if self._chunked:
            complete = self._take_chunks()
        else:
            wanted = len(self._data) if self._length is None else self._length - len(self._body)
            self._body += self._data[:wanted]
            del self._data[:wanted]
            complete = len(self._body) == self._length
        if max(len(self._body), self._length or 0) > self._limit:
            self._too_large()
        elif complete:
            self._done()

    def _take_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        matched = _STATUS.fullmatch(first)
        if matched is None:
            raise ValueError
        status = int(matched[2])
        if status == 101:  # another protocol, which nobody asked for
            raise ValueError
        if status < 200:  # another head follows
            return
        self._keep = matched[1] == b"1"
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not name or name != name.strip():
                raise ValueError
            name, value = name.lower(), value.strip()
            self._headers.append((name, value))
            if name == b"content-length":
                if not value.isdigit() or self._length not in (None, int(value)):
                    raise ValueError
                self._length = int(value)
            elif name == b"transfer-encoding":
                if value.lower() != b"chunked":
                    raise ValueError
                self._chunked = True
            elif name == b"connection" and b"close" in value.lower():
                self._keep = False
        if status in (204, 304):
            self._length, self._chunked = 0, False
        self._status = status

    def _take_chunks(self) -> bool:
        """Take in the chunks that have arrived; whether the last one has."""
        while True:
            end = self._data.find(b"\r\n")
            if end < 0:
                if len(self._data) > _LONGEST_HEAD:
                    raise ValueError
                return False
            written = self._data[:end].partition(b";")[0].strip()
            if not _HEXADECIMAL.fullmatch(written):
                raise ValueError
            size = int(written, 16)
            if size == 0:
                return self._take_trailer(end)
            start = end + 2
            if len(self._body) + size > self._limit:
                self._too_large()
                return False
            if len(self._data) < start + size + 2:
                return False
            self._body += self._data[start : start + size]
            if self._data[start + size : start + size + 2] != b"\r\n":
                raise ValueError
            del self._data[: start + size + 2]

    def _take_trailer(self, end: int) -> bool:
        """Pass over the lines after the last chunk; whether the empty one that ends them has arrived."""
        if self._data[end + 2 : end + 4] == b"\r\n":
            del self._data[: end + 4]
            return True
        last = self._data.find(b"\r\n\r\n", end)
        if last < 0:
            if len(self._data) > _LONGEST_HEAD:
                raise ValueError
            return False
        del self._data[: last + 4]
        return True


def _too_large(service: str, limit: int) -> LLMMalformedError:
    """The error for an answer that is larger than any is."""
    return LLMMalformedError(f"{service} answers with more than {limit} bytes, which no answer takes")


def _response(reply: Reply, service: str) -> httpx2.Response:
    """A response for httpx2.

    Raises:
        LLMMalformedError: it is compressed: nobody asked for that, and a small one may hold any amount of text.
    """
    for name, value in reply.headers:
        if name == b"content-encoding" and value.lower() not in (b"identity", b""):
            raise LLMMalformedError(f"{service} answers with a compressed text, which nobody asked for")
    stream, extensions = httpx2.ByteStream(reply.body), {"http_version": b"HTTP/1.1"}
    return httpx2.Response(reply.status, headers=reply.headers, stream=stream, extensions=extensions)


def _message(request: httpx2.Request, body: bytes) -> bytes:
    """The bytes of a request."""
    parts = [request.method.encode("ascii"), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
    for name, value in request.headers.raw:
        if b"\n" in value or b"\r" in value:
            raise httpx2.LocalProtocolError("a header of the request holds a line end")
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n", body)
    return b"".join(parts)


class Proxied(httpx2.AsyncBaseTransport):
    """What httpx2 itself offers, for requests that go through a proxy; answers larger than they may be are refused.

    Args:
        proxy: URL of the proxy.
        timeout: seconds that a request may take.
        limit: bytes that an answer may have.
        service: who is asked, for messages.
    """

    def __init__(self, proxy: str, timeout: float, limit: int, service: str) -> None:
        self._timeout, self._limit, self._service = timeout, limit, service
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        self._inner = httpx2.AsyncHTTPTransport(proxy=proxy, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and wait for the whole response; raises as :class:`Direct` does."""
        try:
            return await asyncio.wait_for(self._whole(request), self._timeout)
        except (TimeoutError, asyncio.TimeoutError):
            raise httpx2.ReadTimeout(f"no answer within {self._timeout:g} s") from None

    async def _whole(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        body = bytearray()
        try:
            async for part in response.aiter_raw():
                body += part
                if len(body) > self._limit:
                    raise _too_large(self._service, self._limit)
        finally:
            await response.aclose()
        headers = [(name.lower(), value) for name, value in response.headers.raw]
        return _response(Reply(response.status_code, headers, bytes(body)), self._service)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


def transport(base_url: str, timeout: float, limit: int, service: str) -> httpx2.AsyncBaseTransport:
    """What carries requests to an address: :class:`Direct`, unless the environment names a proxy for it.

    Args:
        base_url: the address.
        timeout: seconds that a request may take.
        limit: bytes that an answer may have.
        service: who is asked, for messages.
    """
    from urllib.request import getproxies, proxy_bypass

    url = httpx2.URL(base_url)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.host):
        return Direct(timeout, limit, service)
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    return Proxied(proxy, timeout, limit, service)
