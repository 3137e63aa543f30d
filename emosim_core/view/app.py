"""App: the pages of ``emosim view`` put together, their errors, and the assets that they load."""

from __future__ import annotations

import gzip
import hashlib
import importlib
from functools import lru_cache
from threading import Event, Thread

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router, request_response
from starlette.types import Receive, Scope, Send

from emosim_core.errors import EmoSimError
from emosim_core.view.context import Context, asset
from emosim_core.view.guard import Guard
from emosim_core.view.places import OutsideError

PARTS: dict[str, tuple[str, str] | None] = {
    "jobs": ("Results", "/"),
    "live": None,
    "reading": None,
    "episodes": None,
    "prompts": None,
    "comparing": ("Compare", "/compare"),
    "meet": ("Meet a user", "/meet"),
    "believe": ("Judge", "/believe"),
}
"""Modules of this package with pages, each a :class:`~.context.Part`, and the word and address of its link, if any."""

_LISTING, _ROWS = "jobs", "/api/jobs/live"
"""The part that lists everything, and the address of its rows."""

_LARGE = 500_000
"""Bytes from which packing well takes longer than it saves."""

_KINDS = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


def view_app(context: Context, token: str | None, host: str = "127.0.0.1") -> Starlette:
    """The application as ASGI. Its parts are imported in a thread, so that the first page does not wait for them.

    Args:
        token: what the address must hold; None for no token.
        host: where the server listens.
    """
    context.links = [link for link in PARTS.values() if link is not None]

    def failed(request: Request, error: Exception) -> Response:
        status = 500
        if isinstance(error, HTTPException):
            status, message = error.status_code, str(error.detail)
        else:
            status, message = (404 if isinstance(error, OutsideError) else 422), str(error)
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": message}, status)
        return context.page(request, "error.html.j2", status=status, title="Error", message=message)

    return Starlette(
        routes=[Route("/static/{name}", _static), Mount("/", _Parts(context))],
        middleware=[Middleware(Guard, token=token, host=host)],
        exception_handlers={EmoSimError: failed, HTTPException: failed},
    )


class _Parts:
    """The pages of all parts, as ASGI; a call waits until they are imported, but that for the list without rows.

    The list is what everybody sees first, so it is read before the other parts are imported.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._list: Router | None = None
        self._router: Router | None = None
        self._listed = Event()
        self._importing = Thread(target=self._make, name="emosim-view-parts", daemon=True)
        self._importing.start()

    def _make(self) -> None:
        try:
            own = list(importlib.import_module(f"emosim_core.view.{_LISTING}").routes(self._context))
            self._context.listing.jobs()
            self._list = Router([route for route in own if isinstance(route, Route) and route.path == _ROWS])
        finally:
            self._listed.set()
        others = [importlib.import_module(f"emosim_core.view.{name}") for name in PARTS if name != _LISTING]
        self._router = Router([*own, *(route for module in others for route in module.routes(self._context))])

    def _first(self, request: Request) -> Response:
        """The list before anything is known; its stream waits for the rest."""
        return self._context.page(request, "list.html.j2", title="Results", scripts=("list.js",), data={"rows": None})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._router is None and scope["path"] == "/":
            await request_response(self._first)(scope, receive, send)
            return
        if self._router is None and scope["path"] == _ROWS:
            await run_in_threadpool(self._listed.wait)
            if self._list is not None:
                await self._list(scope, receive, send)
                return
        if self._router is None:
            await run_in_threadpool(self._importing.join)
        if self._router is None:
            raise RuntimeError("the pages could not be made; the error is in the terminal")
        await self._router(scope, receive, send)


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    kind = _KINDS.get(name.rpartition(".")[2])
    packed = _packed(name) if kind else None
    if packed is None:
        raise HTTPException(404, f"there is no {name}")
    content, tag = packed
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Content-Encoding": "gzip"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(content, media_type=kind, headers=headers)


@lru_cache(maxsize=64)
def _packed(name: str) -> tuple[bytes, str] | None:
    content = asset(name)
    if content is None:
        return None
    tag = hashlib.sha256(content).hexdigest()[:20]
    return gzip.compress(content, 1 if len(content) > _LARGE else 6, mtime=0), f'"{tag}"'
