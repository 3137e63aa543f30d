"""App: the pages of ``emosim view`` put together, their errors, and the assets that they load."""

from __future__ import annotations

import gzip
import hashlib
import importlib
from collections.abc import Sequence
from functools import lru_cache

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emosim_core.errors import EmoSimError
from emosim_core.view.context import Context, asset
from emosim_core.view.guard import Guard
from emosim_core.view.places import OutsideError

_PARTS = ("jobs",)
"""Modules of this package with pages, in the order of the navigation; each is a :class:`~.context.Part`."""

_KINDS = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


def view_app(context: Context, token: str | None, host: str = "127.0.0.1", parts: Sequence[str] = _PARTS) -> Starlette:
    """The application as ASGI.

    Args:
        token: what the address must hold; None for no token.
        host: where the server listens.
    """
    modules = [importlib.import_module(f"emosim_core.view.{name}") for name in parts]
    context.links = [module.LINK for module in modules if module.LINK is not None]

    def failed(request: Request, error: Exception) -> Response:
        status = 500
        if isinstance(error, HTTPException):
            status, message = error.status_code, str(error.detail)
        else:
            status, message = (404 if isinstance(error, OutsideError) else 422), str(error)
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": message}, status)
        return context.page(request, "error.html.j2", status=status, title="Error", message=message)

    routes = [Route("/static/{name}", _static), *(route for module in modules for route in module.routes(context))]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token, host=host)],
        exception_handlers={EmoSimError: failed, HTTPException: failed},
    )


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    kind = _KINDS.get(name.rpartition(".")[2])
    found = _packed(name) if kind else None
    if found is None:
        raise HTTPException(404, f"there is no {name}")
    content, tag = found
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Content-Encoding": "gzip"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(content, media_type=kind, headers=headers)


@lru_cache(maxsize=64)
def _packed(name: str) -> tuple[bytes, str] | None:
    content = asset(name)
    if content is None:
        return None
    return gzip.compress(content, 6, mtime=0), f'"{hashlib.sha256(content).hexdigest()[:20]}"'
