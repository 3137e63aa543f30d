"""Page: one HTML file that holds its style, its scripts and its data, and asks no network."""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import asdict
from functools import lru_cache
from importlib import resources
from typing import Any

from emosim_core.errors import MissingDependencyError
from emosim_core.reports.report import Report
from emosim_core.reports.stories import packed
from emosim_core.terminal import clean

_SCRIPTS = ("elements.js", "unpack.js", "charts.js", "story.js", "episodes.js", "theme.js", "page.js")


def page(report: Report) -> str:
    """A report as the text of an HTML file; a MissingDependencyError without the extra ``report``.

    Its policy lets no script run but those that the file was made with, by their digests, and nothing be fetched.
    Texts of items and users are escaped by the template where they stand in HTML, and packed where scripts read them.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise MissingDependencyError("a report", error.name or "plotly", 'pip install "emosim-core[report]"') from error
    plotly = get_plotlyjs()
    scripts = "'use strict';\n(() => {\n" + "\n".join(_asset(name) for name in _SCRIPTS) + "\n})();\n"
    policy = (
        f"default-src 'none'; script-src {_digest(scripts)} {_digest(plotly)}; "
        "style-src 'unsafe-inline'; "  # the plots style their elements
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    from emosim_core.reports.drawings import svg

    drawings = {chart.id: base64.b64encode(svg(chart)).decode("ascii") for chart in report.charts}
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    blocks: dict[str, Any] = {f"block-{number}": block for number, block in enumerate(report.stories[1:])}
    if report.stories:
        blocks["index"] = report.stories[0]
    blocks["charts"] = packed([asdict(chart) for chart in report.charts])
    blocks["plotly"] = _compressed(plotly)
    return template.from_string(_asset("report.html.j2")).render(
        report=report,
        policy=policy,
        style=_asset("report.css"),
        scripts=scripts,
        blocks=blocks,
        drawings=drawings,
    )


def _shown(value: Any) -> Any:
    """A value as it stands in HTML; assets of our own, which are marked as safe, stay."""
    return clean(value) if type(value) is str else value


def _asset(name: str) -> str:
    return (resources.files("emosim_core.reports") / "assets" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _compressed(script: str) -> str:
    """A script as a page holds it; those of plotly, of five megabytes, are the same in every page of a process."""
    return base64.b64encode(gzip.compress(script.encode("utf-8"), 6, mtime=0)).decode("ascii")


def _digest(script: str) -> str:
    """A script as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')}'"
