"""Reading: the report of a directory as a page of its own in a sandbox, made where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emosim_core.data.files import plain_file
from emosim_core.errors import RunError
from emosim_core.reports.make import REPORT, report_of
from emosim_core.view.context import Context
from emosim_core.view.guard import REPORT_POLICY
from emosim_core.view.listing import Signature, signature

_REMEMBERED = 6
"""Reports that are remembered; each takes a few megabytes."""


def routes(context: Context) -> Sequence[BaseRoute]:
    """The page of a report, and the report itself."""
    making = Lock()

    def show(request: Request) -> Response:
        path = request.path_params.get("path", "")
        place = context.directory(path)
        return context.page(
            request,
            "report_frame.html.j2",
            title=f"Report of {place.name}",
            scripts=("frame.js",),
            **context.here(path),
        )

    def content(request: Request) -> Response:
        place = context.directory(request.path_params.get("path", ""))
        return Response(
            _written(place) or _made(place, signature(place)),
            media_type="text/html",
            headers={"Content-Security-Policy": REPORT_POLICY},
        )

    def _written(place: Path) -> bytes | None:
        """The report that the directory holds, unless something in it is newer."""
        files = {name: changed for name, changed, _ in signature(place)}
        if REPORT not in files or any(changed > files[REPORT] for name, changed in files.items() if name[0] != "."):
            return None
        try:
            return plain_file(place / REPORT).read_bytes()
        except OSError as error:
            raise RunError(f"{place / REPORT} cannot be read: {error.strerror or error}") from error

    @lru_cache(maxsize=_REMEMBERED)
    def _made(place: Path, _: Signature) -> bytes:
        """A report that is made now, or was made of the same files before."""
        from emosim_core.reports.page import page

        with making:  # drawings are made one at a time
            return page(report_of(place, registry=context.registry)).encode("utf-8")

    return [Route("/report/{path:path}", show), Route("/report-page/{path:path}", content)]
