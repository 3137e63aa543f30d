"""Wire: calls one service through the openai client, and turns its errors into messages that say what to change."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Coroutine, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp
import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, Omit, OpenAIError
from yarl import URL

from emosim_core.llm import LLMError, LLMRequestError, LLMTransientError
from emosim_deepseek.binding import HEADER
from emosim_deepseek.carrier import Carrier, Client
from emosim_deepseek.surroundings import CERTIFICATES, proxy_for

_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "emosim",
}
_CLIENT_HEADERS = "Lang Package-Version OS Arch Runtime Runtime-Version Async Retry-Count Read-Timeout"
_OMITTED = {f"X-Stainless-{name}": Omit() for name in _CLIENT_HEADERS.split()}
"""Headers of the openai client about this machine and itself, which are not sent; each costs processor time."""

_OWN_HOST = "api.openai.com"
"""The only host that gets the openai client's settings from the environment (an organization, headers)."""

_TURNS = 20
"""Turns of the loop within which a request follows an answer, if any does; about 10 are needed."""

_TLS_ALERT = "\\x15\\x03"
"""First bytes of a TLS server, as the HTTP parser quotes them in its error message."""


class Reply(NamedTuple):
    """A whole response.

    Attributes:
        status: HTTP status.
        headers: headers by name in lower case; repeated ones are joined with commas.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Order:
    """Lets requests be sent, and answers be used, one after the other.

    The answers of requests that were sent together come together. If all of them went through each turn of the loop
    side by side, the requests after them would be sent together again, all of them as late as the last; and so on.
    """

    def __init__(self) -> None:
        self._requests, self._answers = asyncio.Lock(), asyncio.Lock()
        self._followed = True

    async def request(self) -> None:
        """Wait for the turn of the loop in which a request may be sent; a connection takes several more."""
        async with self._requests:
            await asyncio.sleep(0)
        self._followed = True

    async def answer(self) -> None:
        """Wait until a request has followed the last answer, or none seems to."""
        async with self._answers:
            for _ in range(_TURNS):
                if self._followed:
                    break
                await asyncio.sleep(0)
            self._followed = False


class Wire:
    """Posts requests to one service, within one event loop.

    Raises:
        LLMRequestError: the environment names a proxy or certificates that cannot be used.
    """

    def __init__(self, base_url: str, key: str, timeout: float, limit: int, service: str) -> None:
        self._url, self._seconds, self._service = URL(base_url), timeout, service
        self._proxy = proxy_for(base_url)
        own = self._url.host == _OWN_HOST
        sent = None if own else {name.lower() for name in (*_HEADERS, HEADER, *(["Authorization"] if key else []))}
        self._order = _Order()
        self._carrier = Carrier(self._url.scheme, self._proxy, timeout, limit, sent, service)
        headers = {**_HEADERS, "Authorization": f"Bearer {key}"}  # takes precedence over one from the environment
        self._target = f"{base_url.rstrip('/')}/chat/completions"
        self._client = AsyncOpenAI(
            api_key=key or "none",  # the client requires one
            base_url=base_url,
            timeout=timeout,
            max_retries=0,  # the gateway decides about retries
            default_headers=headers,
            http_client=Client(self._carrier),
        )

    async def post(self, body: bytes, name: str) -> Reply:
        """Send a request and wait for the whole response.

        Raises:
            LLMTransientError: there is no response.
            LLMMalformedError: it is too large, compressed, or has contradictory lengths.
            LLMRequestError: no request can be sent: no TLS, a certificate that is not trusted, a proxy that refuses.
        """
        await self._order.request()
        reply = await self._guarded(self._exchange(body, name))
        await self._order.answer()
        return reply

    async def call(self, method: str, url: str, body: bytes = b"") -> Reply:
        """Send a request to another path of the service.

        Raises:
            LLMError: as of :meth:`post`.
        """
        return await self._guarded(self._sent(method, url, content=body))

    async def upload(self, url: str, content: bytes, fields: Mapping[str, str]) -> Reply:
        """Send a form with the file ``requests.jsonl``; errors as of :meth:`post`."""
        file = ("requests.jsonl", content, "application/jsonl")
        form: Any = {"body": dict(fields), "files": [("file", file)]}
        return await self._guarded(self._sent("POST", url, {"Content-Type": "multipart/form-data"}, **form))

    async def _guarded(self, exchange: Coroutine[Any, Any, Reply]) -> Reply:
        """What comes of an exchange, with errors that say what to change."""
        try:
            return await exchange
        except (TimeoutError, asyncio.TimeoutError):
            problem: LLMError = LLMTransientError(
                f"{self._service} gave no answer within {self._seconds:g} s; the option timeout sets how long to wait"
            )
        except APIConnectionError as error:  # raised by the client in place of some TLS errors
            problem = self._worded(error.__cause__ or error)
        except (aiohttp.ClientError, OpenAIError, OSError, ValueError) as error:
            problem = self._worded(error)
        raise problem  # outside of the handler, so that it has no context, which may hold the key

    async def _exchange(self, body: bytes, name: str) -> Reply:
        return await self._sent("POST", self._target, {HEADER: name}, content=body)

    async def _sent(
        self, method: str, url: str, headers: Mapping[str, str] = MappingProxyType({}), **what: Any
    ) -> Reply:
        options: Any = {"headers": {**_OMITTED, **headers}}
        try:
            if method == "GET":
                response = await self._client.get(url, cast_to=httpx2.Response, options=options)
            else:
                response = await self._client.post(url, cast_to=httpx2.Response, options=options, **what)
        except APIStatusError as error:
            response = error.response
        return Reply(response.status_code, dict(response.headers.items()), response.content)

    def _worded(self, error: BaseException) -> LLMError:
        """The error that replaces one of aiohttp or of the client."""
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
            plain = str(self._url.with_scheme("http"))
            return LLMRequestError(
                f"no answer from {service}: it does not speak TLS as https:// needs it ({reason}). Is it {plain}?"
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            cause = error.os_error
            hint = ". Is the server running?" if cause.errno == errno.ECONNREFUSED else ""
            return LLMTransientError(
                f"no answer from {service}: no connection to {error.host}:{error.port}: {cause}{hint}"
            )
        if isinstance(error, aiohttp.ClientResponseError):
            return self._no_http(str(error.message))
        if isinstance(error, aiohttp.ClientPayloadError):
            return LLMTransientError(
                f"no answer from {service}: the connection was closed in the middle of the answer, or the answer does "
                "not end as it says"
            )
        closed = isinstance(error, OSError) and error.errno in (errno.ECONNRESET, errno.EPIPE)
        if closed or isinstance(error, aiohttp.ServerDisconnectedError):
            unclear = not self._carrier.heard and self._url.scheme == "http"
            hint = f". Does it speak TLS, as {self._secure}?" if unclear else ""
            return LLMTransientError(f"no answer from {service}: the connection was closed without an answer{hint}")
        return LLMTransientError(f"no answer from {service}: {error or type(error).__name__}")

    @property
    def _secure(self) -> str:
        return str(self._url.with_scheme("https"))

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
        message = " ".join(parser.replace("^", " ").split())
        return LLMTransientError(f"no answer from {self._service}: it does not send HTTP ({message})")

    async def close(self) -> None:
        await self._client.close()
