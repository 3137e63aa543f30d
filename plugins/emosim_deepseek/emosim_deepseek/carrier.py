"""Carrier: the transport under the openai client, by aiohttp, with a connection of its own for every question.

HTTP/1.1 puts no number on an answer: over a connection that is used again, whose answer it is depends on every byte
before it, and bytes that a server or proxy sends too many become the answer to another question. A connection for each
question takes that possibility away; it costs about 0.3 ms here and, over TLS, the round trips of a handshake. The
transport over aiohttp that comes with openai uses connections again, waits for a byte and not for an answer, and reads
a body of any size, none of which it lets its users change; hence this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container

import aiohttp
import httpx2
from yarl import URL

from emosim_core.llm import LLMMalformedError
from emosim_deepseek.surroundings import Proxy, tls_context


class _Response(aiohttp.ClientResponse):
    """A response that knows its connection after its end too."""

    transport: asyncio.Transport | None = None

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        self.transport = connection.transport
        return await super().start(connection)

    def abort(self) -> None:
        """Close the connection at once, without a word to the server."""
        if self.transport is not None:
            self.transport.abort()


class Carrier(httpx2.AsyncBaseTransport):
    """Carries requests to one server, within one event loop; every response has been read when it is handed over.

    Args:
        scheme: "http" or "https".
        proxy: through what; None for nothing.
        timeout: seconds that a request may take, from the making of the connection to the last byte of its answer.
        limit: bytes that an answer may have.
        sent: names of the headers that are sent, in lower case; None for all.
        service: who is asked, for messages.

    Attributes:
        heard: whether the server has ever spoken HTTP.

    Raises:
        LLMRequestError: the environment names certificates that cannot be used.
    """

    def __init__(
        self, scheme: str, proxy: Proxy | None, timeout: float, limit: int, sent: Container[str] | None, service: str
    ) -> None:
        self._limit, self._sent, self._service = limit, sent, service
        self.heard = False
        self._through = {} if proxy is None else proxy.arguments(scheme)
        self._login = self._through.pop("headers", {})
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                force_close=True,
                resolver=aiohttp.ThreadedResolver(),
                ssl=tls_context() if scheme == "https" else True,
            ),
            response_class=_Response,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept"),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=timeout, ceil_threshold=float("inf")),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The whole response to a request.

        Raises:
            LLMMalformedError: it is larger than it may be, compressed, or says two things about where it ends.
            aiohttp.ClientError: there was none, or it is no HTTP.
            TimeoutError: it was not there in time.
        """
        headers = {name: value for name, value in request.headers.items() if self._sent is None or name in self._sent}
        async with self._session.request(
            request.method,
            URL(str(request.url), encoded=True),
            data=request.content,
            headers={**headers, **self._login},
            allow_redirects=False,
            **self._through,
        ) as response:
            assert isinstance(response, _Response)
            self.heard = True
            try:
                content = await self._content(response)
            finally:
                response.abort()
        carried = httpx2.Response(response.status, headers=list(response.raw_headers), content=content, request=request)
        carried.encoding = "utf-8"  # and not what a service names, which may be any codec of Python
        return carried

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        self._check_head(response)
        content = bytearray()
        async for part in response.content.iter_any():
            content += part
            if len(content) > self._limit:
                raise self._too_large()
        return bytes(content)

    def _check_head(self, response: aiohttp.ClientResponse) -> None:
        """Refuse what is too large, compressed (a small body may hold any amount of text) or of two lengths."""
        headers = response.headers
        lengths, codings = headers.getall("Content-Length", []), headers.getall("Transfer-Encoding", [])
        if len(lengths) + len(codings) > 1 or any(coding.lower() != "chunked" for coding in codings):
            raise LLMMalformedError(f"{self._service} does not say in one way where its answer ends")
        if lengths and int(lengths[0]) > self._limit:
            raise self._too_large()
        if any(coding.lower() not in ("identity", "") for coding in headers.getall("Content-Encoding", [])):
            raise LLMMalformedError(f"{self._service} answers with a compressed text, which nobody asked for")

    def _too_large(self) -> LLMMalformedError:
        return LLMMalformedError(f"{self._service} answers with more than {self._limit} bytes, which no answer takes")

    async def aclose(self) -> None:
        """Close everything that is open."""
        await self._session.close()
        await asyncio.sleep(0)  # connections tell of their end in the next turn of the loop
