"""Believe: a person judges which of two histories is real, pair after pair, and sees afterwards how often it was."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from emosim_core.errors import ConfigurationError
from emosim_core.kinds import BELIEVABILITY
from emosim_core.llm.prompts.fencing import legible
from emosim_core.reports.believability_report import notes_of, tables_of
from emosim_core.runs.reading import read_bytes
from emosim_core.studies.believability.believability import add_verdict
from emosim_core.studies.believability.pairs import FIRST, SECOND, Pair, PairItem, read_pairs, shown, sides_of
from emosim_core.studies.believability.results import RESULTS, TABLE, compute_results, read_manifest, read_verdicts
from emosim_core.view.begin_test import Beginning
from emosim_core.view.context import Context, body_of
from emosim_core.view.places import relative

_NAME = re.compile(r"[\w .-]{1,40}")

_EXPORTS = {"json": (RESULTS, "application/json"), "csv": (TABLE, "text/csv; charset=utf-8")}


def routes(context: Context) -> Sequence[BaseRoute]:
    """The list of tests, the page of each, and what its scripts call. No answer says which side of a pair is real."""
    beginning = Beginning(context)

    def show_list(request: Request) -> Response:
        jobs = [info for info in context.listing.jobs() if info.kind == BELIEVABILITY]
        rows = [{"path": relative(context.root, one.path), "about": one.headline, "state": one.state} for one in jobs]
        return context.page(
            request,
            "believe_list.html.j2",
            title="Believability tests",
            scripts=("believe_list.js",),
            tests=rows,
            data=beginning.forms(),
        )

    def show(request: Request) -> Response:
        path = request.path_params["path"]
        place = context.directory(path)
        manifest, count = read_manifest(place), len(read_pairs(place))
        return context.page(
            request,
            "believe.html.j2",
            title="Believability test",
            scripts=("believe.js",),
            path=path,
            words=manifest["words"],
            scale=manifest["scale"],
            count=count,
            data={"path": path, "count": count, "judges": human_judges(place)},
        )

    def ask(request: Request) -> Response:
        place = context.directory(request.query_params.get("path", ""))
        return JSONResponse(next_pair(place, judge_named(request.query_params.get("judge", ""))))

    def results(request: Request) -> Response:
        return JSONResponse(results_of(context.directory(request.query_params.get("path", ""))))

    def export(request: Request) -> Response:
        name, kind = _EXPORTS.get(request.path_params["form"], ("", ""))
        if not name:
            raise ConfigurationError(f"results are exported as {' or '.join(_EXPORTS)}")
        content = read_bytes(context.directory(request.query_params.get("path", "")) / name)
        return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    def take(body: Mapping[str, Any]) -> dict[str, Any]:
        place, judge = context.directory(str(body.get("path"))), judge_named(str(body.get("judge")))
        pair, answer = body.get("pair"), body.get("answer")
        if not isinstance(pair, int) or answer not in (FIRST, SECOND):
            raise ConfigurationError("a verdict has the number of a pair, and first or second")
        add_verdict(place, {"pair": pair, "judge": judge, "answer": answer, "error": ""})
        return next_pair(place, judge)

    async def begin(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(beginning.begin, await body_of(request)))

    async def verdict(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(take, await body_of(request)))

    return [
        Route("/believe", show_list),
        Route("/believe/{path:path}", show),
        Route("/api/believe/pair", ask),
        Route("/api/believe/results", results),
        Route("/api/believe/export/{form}", export),
        Route("/api/believe/begin", begin, methods=["POST"]),
        Route("/api/believe/verdict", verdict, methods=["POST"]),
    ]


def judge_named(name: str) -> str:
    """A person as verdicts name them; a ConfigurationError where the name is none."""
    name = " ".join(name.split())
    if not _NAME.fullmatch(name):
        raise ConfigurationError("a name has 1 to 40 letters, digits, spaces, dots and dashes")
    return f"person {name}"


def human_judges(place: Path) -> list[str]:
    """Names of the people who have judged pairs of a test."""
    names = {one["judge"].removeprefix("person ") for one in read_verdicts(place) if one["judge"].startswith("person ")}
    return sorted(names)


def next_pair(place: Path, judge: str) -> dict[str, Any]:
    """The first pair that somebody has not judged, without its truth, and how many are done; no pair after the last."""
    pairs = read_pairs(place)
    done = {one["pair"] for one in read_verdicts(place) if one["judge"] == judge and one["answer"] is not None}
    left = next((pair for pair in pairs if pair["pair"] not in done), None)
    return {"done": len(done), "count": len(pairs), "pair": None if left is None else _seen(left)}


def _seen(pair: Pair) -> dict[str, Any]:
    sides = sides_of(pair)
    return {
        "pair": pair["pair"],
        "earlier": _rows(pair["earlier"], pair["earlier_ratings"]),
        FIRST: _rows(pair["items"], sides[FIRST]),
        SECOND: _rows(pair["items"], sides[SECOND]),
    }


def _rows(items: Sequence[PairItem], ratings: Sequence[float]) -> list[dict[str, str]]:
    rows = []
    for item, rating in zip(items, ratings, strict=True):
        about = ", ".join([*([str(item["year"])] if item["year"] is not None else []), *item["categories"]])
        rows.append({"title": legible(item["title"]), "about": legible(about), "rating": shown(rating)})
    return rows


def results_of(place: Path) -> dict[str, Any]:
    """What all judges came to so far, as a sentence, notes and a table."""
    results = compute_results(place)
    table = tables_of(results)[0]
    return {
        "sentence": results["sentence"],
        "notes": notes_of(results),
        "columns": list(table.columns),
        "rows": [list(row) for row in table.rows],
    }
