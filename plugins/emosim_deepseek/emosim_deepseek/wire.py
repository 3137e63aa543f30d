"""Wire: carries one question over HTTP with aiohttp, over a connection that no other question has used or will use.

HTTP/1.1 puts no number on an answer: over a connection that is used again, whose answer it is depends on every byte
before it, and bytes that a server or proxy sends too many become the answer to another question. A connection for each
question takes that possibility away; it costs about 0.3 ms here and, over TLS, the round trips of a handshake.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from yarl import URL

from emosim_core import LLMError, LLMMalformedError, LLMRequestError, LLMTransientError
from emosim_deepseek.surroundings import CERTIFICATES, proxy_for, tls_context

log = logging.getLogger("emosim_core.llm")

_TLS_ALERT = "\\x15\\x03"
"""How the first bytes of a server that speaks TLS look in a message of the parser, where it got plain HTTP."""


class Reply(NamedTuple):
    """A whole response.

    Attributes:
        status: its status.
        headers: by their names in lower case.
        body: all of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


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


class Wire:
    """Posts questions to one address, within one event loop.

    Args:
        url: the address.
        timeout: seconds that a question may take, from the making of the connection to the last byte of its answer.
        limit: bytes that an answer may have.
        service: who is asked, for messages.

    Raises:
        LLMRequestError: the environment names a proxy or certificates that cannot be used.
    """

    def __init__(self, url: str, timeout: float, limit: int, service: str) -> None:
        self._url, self._limit, self._service = URL(url), limit, service
        self._seconds = timeout
        self._heard = False
        self._proxy = proxy_for(url)
        secure = self._url.scheme == "https"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                force_close=True,
                resolver=aiohttp.ThreadedResolver(),
                ssl=tls_context() if secure else True,
            ),
            response_class=_Response,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept"),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=timeout, ceil_threshold=float("inf")),
        )

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a question and wait for the whole response.

        Raises:
            LLMTransientError: there was none.
            LLMMalformedError: it is larger than it may be, compressed, or says two things about where it ends.
            LLMRequestError: no question can be sent: no TLS, a certificate that is not trusted, a proxy that refuses.
        """
        try:
            return await self._exchange(body, headers)
        except (TimeoutError, asyncio.TimeoutError):
            problem: LLMError = LLMTransientError(
                f"{self._service} gave no answer within {self._seconds:g} s; the option timeout sets how long to wait"
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = self._worded(error)
        raise problem  # out here, so that it does not carry along what aiohttp raised, which may hold the key

    async def _exchange(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        through = {} if self._proxy is None else self._proxy.arguments(self._url.scheme)
        sent = {**headers, **(through.pop("headers", None) or {})}
        async with self._session.post(self._url, data=body, headers=sent, allow_redirects=False, **through) as response:
            assert isinstance(response, _Response)
            self._heard = True
            try:
                reply = Reply(response.status, _joined(response.headers), await self._content(response))
            finally:
                response.abort()
        log.debug("POST %s: status %d, %d bytes", self._url, reply.status, len(reply.body))
        return reply

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

    def _worded(self, error: Exception) -> LLMError:
        """The error to raise in place of one of aiohttp's."""
        service, through = self._service, self._proxy
        if isinstance(error, aiohttp.ClientHttpProxyError):
            assert through is not None
            help_ = ": it wants a user name and a password" if error.status == 407 else ""
            return LLMRequestError(
                f"no answer from {service}: the proxy {through.url}, which {through.variable} names, answers with "
                f"status {error.status}{help_}. Correct {through.variable}, or name the host in NO_PROXY"
            )
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            assert through is not None
            return LLMTransientError(
                f"no answer from {service}: no connection to the proxy {through.url}, which {through.variable} "
                f"names: {error.os_error}"
            )
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return self._untrusted(error.certificate_error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._untrusted(error)
        if isinstance(error, aiohttp.ClientConnectorSSLError | ssl.SSLError):
            reason = getattr(getattr(error, "os_error", error), "reason", None) or "no common form of TLS"
            plain = str(self._url.with_scheme("http")).removesuffix("/chat/completions")
            return LLMRequestError(
                f"no answer from {service}: it does not speak TLS as https:// needs it ({reason}). Is it {plain}?"
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            cause = error.os_error
            return LLMTransientError(f"no answer from {service}: no connection to {error.host}:{error.port}: {cause}")
        if isinstance(error, aiohttp.ClientResponseError):
            return self._no_http(str(error.message))
        if isinstance(error, aiohttp.ClientPayloadError):
            return LLMTransientError(
                f"no answer from {service}: the connection was closed in the middle of the answer, or the answer does "
                "not end as it says"
            )
        closed = isinstance(error, OSError) and error.errno in (errno.ECONNRESET, errno.EPIPE)
        if closed or isinstance(error, aiohttp.ServerDisconnectedError):
            hint = "" if self._heard or self._url.scheme == "https" else f". Does it speak TLS, as {self._secure}?"
            return LLMTransientError(f"no answer from {service}: the connection was closed without an answer{hint}")
        return LLMTransientError(f"no answer from {service}: {error or type(error).__name__}")

    @property
    def _secure(self) -> str:
        """The base URL with TLS."""
        return str(self._url.with_scheme("https")).removesuffix("/chat/completions")

    def _untrusted(self, cause: Exception) -> LLMRequestError:
        reason = getattr(cause, "verify_message", "") or str(cause)
        return LLMRequestError(
            f"no answer from {self._service}: its certificate is not trusted ({reason}). If it should be, put the "
            f"certificate that signed it into a file and name that file in the environment variable {CERTIFICATES}"
        )

    def _no_http(self, parser: str) -> LLMError:
        if _TLS_ALERT in parser or "\x15\x03" in parser:
            return LLMRequestError(
                f"no answer from {self._service}: it speaks TLS. Write its address with https://, as in {self._secure}"
            )
        said = " ".join(parser.replace("^", " ").split())
        return LLMTransientError(f"no answer from {self._service}: what it sends is no HTTP ({said})")

    async def close(self) -> None:
        """Close everything that is open."""
        await self._session.close()
        await asyncio.sleep(0)  # connections tell of their end in the next turn of the loop


def _joined(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by their names in lower case; those that came twice are joined with commas."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        name = name.lower()
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined
