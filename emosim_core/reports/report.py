"""Report: what a page says, before it becomes a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emosim_core.errors import RunError
from emosim_core.reports.chart import Chart, Table
from emosim_core.runs.reading import check_format
from emosim_core.runs.records import FORMAT, MANIFEST, read_json
from emosim_core.runs.typed import continue_with
from emosim_core.runs.words import usage_rows


@dataclass(frozen=True)
class Fact:
    """One number that a reader needs first, as written, and what stands below it in small."""

    name: str
    value: str
    aside: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading, a sentence or two, charts and tables."""

    id: str
    title: str
    caption: str = ""
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()


@dataclass
class Report:
    """A page.

    Attributes:
        kind: what the directory holds: ``run``, ``training``, ``evaluation``, ``ablation``, ``validation``,
            ``audit``, ``sweep``, ``people``.
        headline: what came out, in a sentence or two; ``facts`` are the numbers of the first screen.
        notes: what a reader must know before believing the numbers.
        stories: the index and the blocks of the episodes, as :class:`~emosim_core.reports.stories.Stories` packs
            them; empty where there are none.
        stories_note: what is not told in them, and how it would be.
        words: what an item is called, one and several.
    """

    kind: str
    title: str
    headline: str
    facts: list[Fact] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    stories: list[str] = field(default_factory=list)
    stories_note: str = ""
    words: tuple[str, str] = ("item", "items")

    @property
    def charts(self) -> list[Chart]:
        """All charts, in the order of the page."""
        return [chart for section in self.sections for chart in section.charts]


def read_results(directory: Path, command: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the results of a study that a command made, from manifest.json and the file ``name``.

    A RunError where a file cannot be read, or the study has not come to results; says how to continue.
    """
    manifest = read_json(directory / MANIFEST)
    check_format(directory / MANIFEST, {"format": 1, **manifest}, FORMAT)
    if not (directory / name).exists():
        raise RunError(f"{directory} has no {name} yet. {continue_with(command, directory)}")
    results = read_json(directory / name)
    check_format(directory / name, {"format": FORMAT, **results}, FORMAT)
    return manifest, results


def setup_tables(manifest: Mapping[str, Any]) -> list[Table]:
    """What was run and with which versions: the configuration, the components, the data and the versions."""
    parts = [
        (
            kind.replace("_", " "),
            str(part.get("name", "")),
            ", ".join(f"{name}={short(value)}" for name, value in part.get("options", {}).items()) or "none",
            str(part.get("provider", "")),
        )
        for kind, part in manifest.get("parts", {}).items()
    ]
    tables = (
        ("Configuration", ("option", "value"), flat(manifest.get("config") or {})),
        ("Components", ("what", "name", "options", "from"), parts),
        ("Data", ("what", "value"), flat(manifest.get("data") or {})),
        ("Versions", ("package", "version"), flat(manifest.get("versions") or {})),
    )
    return [Table(title, columns, rows) for title, columns, rows in tables if rows]


def usage_sections(usage: Mapping[str, Any] | None) -> list[Section]:
    """What calling a language model took; none where none was called."""
    title = "What the language model took"
    tables = [Table("Calls, tokens and cost", ("what", "amount"), usage_rows(usage))] if usage else []
    return [Section("usage", title, tables=tables)] if tables else []


def interval(estimate: Mapping[str, Any], decimals: int) -> str:
    """The 95 % interval of an estimate, which ``low`` and ``high`` are."""
    low, high = estimate.get("low"), estimate.get("high")
    if low is None or high is None:
        return "no interval"
    return f"95 %: {low:.{decimals}f} to {high:.{decimals}f}"


def flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Names and values of nested tables, with dots between the names."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{before}{name}.")
        else:
            rows.append((f"{before}{name}", short(value)))
    return rows


def short(value: Any) -> str:
    """A value of a configuration as users write it."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(short(one) for one in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
