"""Guard: who may reach the application, by token, host and origin, and what each answer lets a browser do."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Content-Security-Policy of each answer that has none of its own."""

CHART_POLICY = PAGE_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""That of pages with charts, whose library styles its elements."""

REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""That of a report, which was written by whoever wrote its directory: a page of no origin, which reaches nothing."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_TOKEN = "token"
_SAFE = ("GET", "HEAD")


def new_token() -> str:
    """A token for the address."""
    return secrets.token_urlsafe(24)


class Guard:
    """Middleware that answers who does not know the token, or comes by another name, with 403.

    The token in the address becomes a cookie, and goes from the address. A call that changes something must come from
    a page of this application. A name that is not of this machine is refused, so that no page of another site can
    have a name of its own point here.

    Args:
        token: what the address must hold; None lets anybody in who reaches the port.
        host: where the server listens; beside loopback names, this name is its own.
    """

    def __init__(self, app: ASGIApp, token: str | None, host: str = "127.0.0.1") -> None:
        self._app, self._token, self._host = app, token, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
            await send(message)

        request = Request(scope)
        refusal = self._refusal(request)
        await (self._app if refusal is None else refusal)(scope, receive, sending)

    def _refusal(self, request: Request) -> Response | None:
        name, _, port = split_host(request.headers.get("host", ""))
        if not is_own_name(name, self._host):
            return PlainTextResponse(f"This application is not called {name!r}.", 403)
        if self._token is not None:
            cookie = f"emosim_view_{port or 80}"
            given = request.query_params.get(_TOKEN)
            if given is not None and request.method in _SAFE:
                if not _equal(given, self._token):
                    return _no_token()
                rest = [(key, value) for key, value in request.query_params.multi_items() if key != _TOKEN]
                answer = RedirectResponse(request.url.path + (f"?{urlencode(rest)}" if rest else ""), 303)
                answer.set_cookie(cookie, self._token, httponly=True, samesite="lax", path="/")
                return answer
            if not _equal(request.cookies.get(cookie, ""), self._token):
                return _no_token()
        if request.method not in _SAFE:
            own = f"{request.url.scheme}://{request.headers.get('host', '')}"
            if request.headers.get("origin") != own:
                return PlainTextResponse("A change must come from a page of this application.", 403)
        return None


def _no_token() -> Response:
    return PlainTextResponse(
        "The address needs its token: open the address that 'emosim view' printed, with all that follows '?token='.",
        403,
    )


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def split_host(header: str) -> tuple[str, str, str]:
    """The name and the port of a Host header, as ``str.rpartition`` has them; an IPv6 address without brackets."""
    if header.startswith("["):
        name, _, rest = header[1:].partition("]")
        return name, ":", rest.removeprefix(":")
    name, colon, port = header.partition(":")
    return name, colon, port


def is_own_name(name: str, host: str) -> bool:
    """Whether a server that listens at ``host`` is called by this name of its own machine."""
    loopback: Iterable[str] = ("localhost", "127.0.0.1", "::1")
    if name.lower() in loopback or name == host:
        return True
    if host in loopback:
        return False
    try:
        ipaddress.ip_address(name)  # nobody can have an address point elsewhere
    except ValueError:
        return name.lower() == socket.gethostname().lower()
    return True
