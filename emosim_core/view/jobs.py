"""Jobs: the list of what lies below the root."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emosim_core.view.context import Context

LINK: tuple[str, str] | None = ("Results", "/")


def routes(context: Context) -> Sequence[BaseRoute]:
    """The list and what it is made of."""

    def show(request: Request) -> Response:
        return context.page(request, "list.html.j2", title="Results")

    return [Route("/", show)]
