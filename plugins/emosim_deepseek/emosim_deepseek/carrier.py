"""Carrier: an aiohttp transport for the openai client, with a new connection for every request.

HTTP/1.1 does not number responses: on a reused connection, the request that a response belongs to depends on every byte
before it, and surplus bytes of a server or proxy become the response to another request. A connection for each request
excludes that; it costs about 0.3 ms and, over TLS, the round trips of a handshake. The aiohttp transport of the openai
package reuses connections, has a timeout per byte instead of per response, and reads a body of any size; none of this
can be configured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from functools import lru_cache
from typing import Any

import aiohttp
import httpx2
from yarl import URL

from emosim_core.llm import LLMMalformedError
from emosim_deepseek.surroundings import Proxy, tls_context


class _Response(aiohttp.ClientResponse):
    """A response that keeps its connection accessible after its end."""

    transport: asyncio.Transport | None = None

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        self.transport = connection.transport
        return await super().start(connection)

    def abort(self) -> None:
        """Close the connection at once, without a shutdown handshake."""
        if self.transport is not None:
            self.transport.abort()


_parsed = lru_cache(maxsize=16)(httpx2.URL)
_address = lru_cache(maxsize=16)(lambda url: URL(str(url), encoded=True))
"""All requests of a service have one URL."""


class Client(httpx2.AsyncClient):
    """Passes the requests of the openai client on as they are: no cookies, redirects, logins or log of addresses.

    Args:
        carrier: sends the requests.
    """

    def __init__(self, carrier: Carrier) -> None:
        super().__init__(transport=carrier, trust_env=False)
        self._carrier = carrier

    def build_request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        *,
        headers: Any,
        content: bytes = b"",
        data: Any = None,
        files: Any = None,
        **_: object,
    ) -> httpx2.Request:
        if not files:
            return httpx2.Request(method, _parsed(url), headers=headers, content=content)
        request = httpx2.Request(method, _parsed(url), headers=headers, data=data, files=files)
        request.read()
        return request

    async def send(self, request: httpx2.Request, **_: object) -> httpx2.Response:
        return await self._carrier.handle_async_request(request)


class Carrier(httpx2.AsyncBaseTransport):
    """Sends requests to one server, within one event loop; every response is read completely before it is returned.

    Args:
        scheme: "http" or "https".
        timeout: maximum seconds of a request, from the connection to the last byte of the response.
        limit: maximum bytes of a response.
        sent: names of the headers that are sent, in lower case; None for all.

    Attributes:
        heard: whether the server has ever sent an HTTP response.

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
            LLMMalformedError: it is too large, compressed, or has contradictory lengths.
            aiohttp.ClientError: there is no response, or it is not HTTP.
            TimeoutError: it was not complete in time.
        """
        headers = {name: value for name, value in request.headers.items() if self._sent is None or name in self._sent}
        async with self._session.request(
            request.method,
            _address(request.url),
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
        carried.encoding = "utf-8"  # not the one that a service names, which may be any codec of Python
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
        """Reject a response that is too large, compressed (a small body may expand to any size) or of two lengths."""
        headers = response.headers
        lengths, codings = headers.getall("Content-Length", []), headers.getall("Transfer-Encoding", [])
        if len(lengths) + len(codings) > 1 or any(coding.lower() != "chunked" for coding in codings):
            raise LLMMalformedError(f"{self._service} does not say in one way where its answer ends")
        if lengths and int(lengths[0]) > self._limit:
            raise self._too_large()
        if any(coding.lower() not in ("identity", "") for coding in headers.getall("Content-Encoding", [])):
            raise LLMMalformedError(f"{self._service} answers with a compressed text, which was not requested")

    def _too_large(self) -> LLMMalformedError:
        return LLMMalformedError(f"{self._service} answers with more than {self._limit} bytes, the limit of an answer")

    async def aclose(self) -> None:
        await self._session.close()
        await asyncio.sleep(0)  # connections end in the next turn of the loop
