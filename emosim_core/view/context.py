"""Context: what all pages of the application share: the root, the plugins, the user's data, and how a page is made."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute

from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.terminal import clean
from emosim_core.view.guard import CHART_POLICY, PAGE_POLICY
from emosim_core.view.places import inside

if TYPE_CHECKING:
    from emosim_core.hooks import Registry
    from emosim_core.view.listing import Listing

INSTALL = 'pip install "emosim-core[view]"'

ASSETS = {"view": "emosim_core.view", "reports": "emosim_core.reports"}
"""Folders of assets, by the package that has them."""

_LARGEST_BODY = 1_000_000
"""Bytes of a call that changes something."""

_BEAT = 15.0
"""Seconds after which a stream says that it is there."""


class Part(Protocol):
    """A module with pages: ``routes(context)`` has their addresses."""

    def routes(self, context: Context) -> Sequence[BaseRoute]: ...


@dataclass
class Context:
    """What all pages share.

    Attributes:
        root: the directory that is viewed, resolved.
        shown: the same directory as the user named it, for commands that are shown.
        state: folder for what the user writes here, such as notes; never one below the root.
        only: the plugins that are loaded; None for all.
        links: words of the navigation and their addresses.
        stopping: whether the server is about to end, which ends all streams.
    """

    root: Path
    shown: str
    state: Path
    only: list[str] | None = None
    links: list[tuple[str, str]] = field(default_factory=list)
    stopping: Callable[[], bool] = lambda: False

    @cached_property
    def registry(self) -> Registry:
        """The plugins, found at the first use."""
        from emosim_core.hooks import Registry

        return Registry(only=self.only)

    @cached_property
    def listing(self) -> Listing:
        """What lies below the root."""
        from emosim_core.view.listing import Listing

        return Listing(self.root)

    def directory(self, path: str) -> Path:
        """A directory below the root; an :class:`~emosim_core.view.places.OutsideError` for any other."""
        return inside(self.root, path)

    def here(self, path: str) -> dict[str, Any]:
        """What pages of a directory have in common, for ``crumbs.html.j2``: its path, and the jobs that it is in."""
        parts = path.split("/") if path else []
        above = [(part, "/".join(parts[: number + 1])) for number, part in enumerate(parts[:-1])]
        jobs = [(word, at) for word, at in above if self.listing.job(self.directory(at)) is not None]
        return {"path": path, "above": jobs}

    def page(
        self, request: Request, template: str, *, charts: bool = False, status: int = 200, **values: Any
    ) -> Response:
        """A page: a template of ``assets`` with values, whose texts it escapes.

        Args:
            template: its name, such as ``list.html.j2``; it extends ``base.html.j2``, and gets ``data``, a value that
                its scripts read with ``pageData()``, ``title``, ``scripts``, names of assets, and whatever else.
            charts: whether it draws charts with ``draw(place, chart)`` of the reports' ``charts.js``.
        """
        values = {"data": None, "scripts": (), "title": "EmoSim", **values}
        if charts:
            values["scripts"] = ("charts.js", *values["scripts"])
        text = (
            _environment()
            .get_template(template)
            .render(
                links=self.links, here=request.url.path, root=str(self.root), shown=self.shown, charts=charts, **values
            )
        )
        return HTMLResponse(text, status, headers={"Content-Security-Policy": CHART_POLICY if charts else PAGE_POLICY})

    def stream(self, request: Request, values: Callable[[], Any], every: float = 1.0) -> StreamingResponse:
        """Server-sent events: what ``values`` returns, as JSON, whenever it is another than before.

        It is called in a thread, at most once in ``every`` seconds, until the reader leaves or the server ends; None
        is not sent.
        """
        from starlette.concurrency import run_in_threadpool

        async def events() -> AsyncIterator[str]:
            before, sent = None, time.monotonic()
            yield "retry: 2000\n\n"
            while not self.stopping() and not await request.is_disconnected():
                value = await run_in_threadpool(values)
                text = None if value is None else json.dumps(value, allow_nan=False)
                if text is not None and text != before:
                    before, sent = text, time.monotonic()
                    yield f"data: {text}\n\n"
                elif time.monotonic() - sent > _BEAT:
                    sent = time.monotonic()
                    yield ": still here\n\n"
                await _sleep(every, self.stopping)

        return StreamingResponse(events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that a call brings; a ConfigurationError where it brings none, or one that is too long."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LARGEST_BODY:
            raise ConfigurationError(f"a call has at most {_LARGEST_BODY:,} bytes")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"the call is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigurationError("the call is no JSON object")
    return value


async def _sleep(seconds: float, stopping: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not stopping():
        await asyncio.sleep(min(0.1, seconds))


def address(*parts: str, **query: Any) -> str:
    """An address of this application, with its parts and values quoted; a path keeps its slashes."""
    text = "/" + "/".join(quote(part, safe="/") for part in parts if part)
    options = "&".join(
        f"{name}={quote(str(value), safe='')}" for name, value in query.items() if value not in (None, "")
    )
    return f"{text}?{options}" if options else text


@lru_cache(maxsize=256)
def asset(name: str) -> bytes | None:
    """An asset of this application or of the reports; None where there is none of this name."""
    if name == "plotly.js":
        try:
            from plotly.offline import get_plotlyjs
        except ModuleNotFoundError as error:
            raise MissingDependencyError("charts", "plotly", INSTALL) from error
        text: str = get_plotlyjs()
        return text.encode("utf-8")
    if not name.endswith((".js", ".css", ".j2")) or "/" in name or "\\" in name or name.startswith("."):
        return None
    for package in ASSETS.values():
        file = resources.files(package) / "assets" / name
        if file.is_file():
            return file.read_bytes()
    return None


@lru_cache(maxsize=1)
def _environment() -> Any:
    try:
        from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound
    except ModuleNotFoundError as error:
        raise MissingDependencyError("emosim view", "jinja2", INSTALL) from error

    class Assets(BaseLoader):
        def get_source(self, environment: Any, template: str) -> Any:
            content = asset(template)
            if content is None:
                raise TemplateNotFound(template)
            return content.decode("utf-8"), None, None

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=Assets(),
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    environment.globals["address"] = address
    return environment
