"""Jobs: the list of what lies below the root, and the page of each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from emosim_core.errors import ConfigurationError
from emosim_core.kinds import RUN
from emosim_core.reports.directories import JobInfo, resume_command
from emosim_core.runs.records import read_summary
from emosim_core.runs.words import summary_rows
from emosim_core.view.context import Context, body_of
from emosim_core.view.intervals import Intervals
from emosim_core.view.listing import pages_of, signature
from emosim_core.view.places import OutsideError, relative
from emosim_core.view.remarks import Remarks


def routes(context: Context) -> Sequence[BaseRoute]:
    """The list, the pages of jobs, and what these are made of."""
    listing, remarks = context.listing, Remarks(context.state / "remarks")
    intervals = Intervals(context.state / "intervals.json", lambda: context.stopping())

    def rows(below: Path | None = None) -> list[dict[str, Any]]:
        jobs = listing.jobs(below)
        known = intervals.known([info.path for info in jobs if info.kind == RUN and info.state == "complete"])
        written = remarks.all([info.path for info in jobs])
        made = []
        for info in jobs:
            row = _row(context, info)
            if info.path in known:
                row["interval"] = known[info.path]
            remark = written.get(info.path)
            made.append({**row, "tags": list(remark.tags) if remark else [], "note": remark.note if remark else ""})
        return made

    def show_list(request: Request) -> Response:
        if listing.job(context.root) is not None:
            return RedirectResponse("/job/", 303)
        return context.page(request, "list.html.j2", title="Results", scripts=("list.js",), data={"rows": rows()})

    def show_job(request: Request) -> Response:
        path = request.path_params.get("path", "")
        place = context.directory(path)
        info = listing.job(place)
        if info is None:
            raise OutsideError(f"{path!r} below {context.root} holds nothing that can be shown")
        data = (
            _row(context, info)
            | asdict(remarks.of(place))
            | {"parts": [_row(context, one) for one in listing.jobs(place)]}
        )
        if info.kind == RUN and info.state == "complete":
            data["summary"] = summary_rows(read_summary(place))
        return context.page(
            request,
            "job.html.j2",
            charts=True,
            title=data["name"],
            scripts=("job.js",),
            data=data,
            pages=pages_of(info),
            **context.here(path),
        )

    def follow_list(request: Request) -> Response:
        if listing.job(context.root) is not None:
            return context.stream(request, lambda: {"root": True}, every=2.0)
        return context.stream(request, _changes(rows), every=2.0)

    @lru_cache(maxsize=32)
    def reported(place: Path, _: Any) -> dict[str, Any]:
        from emosim_core.reports.make import report_of

        report = report_of(place, registry=context.registry)
        return {
            "headline": report.headline,
            "notes": list(report.notes),
            "facts": [asdict(fact) for fact in report.facts],
            "sections": [
                {
                    "id": section.id,
                    "title": section.title,
                    "caption": section.caption,
                    "charts": [asdict(chart) for chart in section.charts],
                    "tables": [asdict(table) for table in section.tables],
                }
                for section in report.sections
            ],
        }

    def show_report(request: Request) -> Response:
        place = context.directory(request.query_params.get("path", ""))
        return JSONResponse(reported(place, signature(place)))

    async def remark(request: Request) -> Response:
        body = await body_of(request)
        path = body.get("path")
        if not isinstance(path, str):
            raise ConfigurationError("path must be a text")
        place = context.directory(path)
        if listing.job(place) is None:
            raise OutsideError(f"{path!r} holds nothing that can be remarked upon")
        return JSONResponse(asdict(remarks.write(place, body.get("tags", []), body.get("note", ""))))

    return [
        Route("/", show_list),
        Route("/job/{path:path}", show_job),
        Route("/api/jobs/live", follow_list),
        Route("/api/report", show_report),
        Route("/api/remark", remark, methods=["POST"]),
    ]


def _row(context: Context, info: JobInfo) -> dict[str, Any]:
    path = relative(context.root, info.path)
    folder, _, name = path.rpartition("/")
    return {
        "path": path,
        "name": name or context.root.name,
        "folder": folder,
        "kind": info.kind,
        "created": info.created,
        "state": info.state,
        "headline": info.headline,
        "stopped": info.stopped,
        "resume": resume_command(info, Path(context.shown) / path),
    }


def _changes(rows: Callable[[], list[dict[str, Any]]]) -> Callable[[], dict[str, Any] | None]:
    """What has changed in a list since the last call, first all of it; None where nothing has."""
    before: dict[str, dict[str, Any]] = {}

    def changes() -> dict[str, Any] | None:
        nonlocal before
        now = {row["path"]: row for row in rows()}
        changed = [row for path, row in now.items() if before.get(path) != row]
        gone = [path for path in before if path not in now]
        before = now
        return {"rows": changed, "gone": gone} if changed or gone else None

    return changes
