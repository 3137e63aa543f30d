"""Prompts: what was requested of a language model in a run and its raw answers, searched on the server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from emosim_core.llm.prompts.fencing import legible
from emosim_core.runs.transcript import read_transcript
from emosim_core.view.context import Context
from emosim_core.view.episodes import count_of, exchange_of
from emosim_core.view.listing import signature

PAGE = 20
"""Exchanges of a page."""

_BUDGET = 0.7
"""Seconds of a call after which it returns what it has found so far."""

_MOST_SEARCHES = 4
_MOST_STORED = 2_000
"""Exchanges of a search that can be shown; who wants others searches for less."""


class _Search:
    """A search through a transcript, which goes on where it stopped."""

    def __init__(self, directory: Path, words: Sequence[str], failed: bool) -> None:
        self.found: list[dict[str, Any]] = []
        self.seen, self.done = 0, False
        self.lock = Lock()
        self._words, self._failed = words, failed
        self._going: Iterator[dict[str, Any]] = read_transcript(directory)

    def advance(self, wanted: int) -> None:
        until = time.monotonic() + _BUDGET
        while not self.done and len(self.found) < min(wanted, _MOST_STORED) and time.monotonic() < until:
            one = next(self._going, None)
            if one is None:
                self.done = True
                return
            self.seen += 1
            if self._failed and not one.get("error"):
                continue
            text = "\n".join(
                (one["item"], one["user"], one["answer"] or "", *(part["text"] for part in one["messages"]))
            )
            if not self._words or all(word in text.lower() for word in self._words):
                self.found.append(one)


def routes(context: Context) -> Sequence[BaseRoute]:
    """The page of a run's prompts, and what it shows."""
    known: dict[Any, _Search] = {}
    lock = Lock()

    def show(request: Request) -> Response:
        path = request.path_params["path"]
        place = context.directory(path)
        return context.page(
            request,
            "prompts.html.j2",
            title=f"Prompts of {place.name}",
            scripts=("story.js", "prompts.js"),
            data={"path": path, "page": PAGE},
            **context.here(path),
        )

    def search(request: Request) -> Response:
        place = context.directory(request.query_params.get("path", ""))
        words = tuple(request.query_params.get("q", "").lower().split())
        failed = request.query_params.get("failed") == "1"
        offset = count_of(request, "offset")
        key = (place, signature(place), words, failed)
        with lock:
            if key not in known:
                known[key] = _Search(place, words, failed)
                while len(known) > _MOST_SEARCHES:
                    known.pop(next(iter(known)))
            one = known[key]
        with one.lock:
            one.advance(offset + PAGE)
            shown = [_shown(exchange) for exchange in one.found[offset : offset + PAGE]]
            more = {"found": len(one.found), "seen": one.seen, "done": one.done or len(one.found) >= _MOST_STORED}
        return JSONResponse({"exchanges": shown, **more})

    return [Route("/prompts/{path:path}", show), Route("/api/prompts", search)]


def _shown(exchange: dict[str, Any]) -> dict[str, Any]:
    return {
        "episode": exchange["episode"],
        "step": exchange["step"],
        "user": legible(exchange["user"]),
        "item": legible(exchange["item"]),
        "cached": exchange["cached"],
        "usage": {name: count for name, count in exchange["usage"].items() if count},
        **exchange_of(exchange),
    }
