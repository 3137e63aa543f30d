"""The report of a prompt bench: each measure of each prompt strategy with its interval over users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from emosim_core.reports.ablation_report import is_decided
from emosim_core.reports.chart import Chart, Table, identifier, with_ends, with_intervals
from emosim_core.reports.report import Fact, Report, Section, read_results, setup_tables, usage_sections
from emosim_core.runs.words import signed
from emosim_core.studies.prompts.records import RESULTS as RESULTS
from emosim_core.terminal import counted

_FIT = {"rmse": "RMSE", "auc": "AUC, matched", "variation": "distance of distributions"}
_SPREAD = {"persons": "between persons", "items": "between items", "order": "order of memories", "label": "label bias"}
_TAKES = {"copied": "copied", "prompt": "tokens in", "completion": "tokens out", "failed": "failed"}

_INTERVALS = "In brackets are 95 % intervals over users."


def report_of_prompts(directory: Path) -> Report:
    """The report of a prompt bench; errors as of :func:`read_results`."""
    manifest, results = read_results(directory, "prompt-bench", RESULTS)
    some, differences = results["strategies"], results["differences"]
    report = Report("prompts", results["title"], _headline(results))
    report.facts = [
        Fact("users", f"{results['users']:,}", f"{results['split']} users"),
        Fact("ratings", f"{results['ratings']:,}", "real ones, by each strategy"),
        Fact("model", results["language_model"]),
    ]
    if left_out := results["left_out"]:
        report.notes.append(
            f"{counted(left_out, 'user')} more left out: too little is known at their moment, or no candidate is as "
            "popular as what they took."
        )
    tables = [_table("How close to real users", some, _FIT, _baseline(results))]
    tables.append(_table("What moves an answer, in points of the scale", some, _SPREAD))
    tables.append(_table("What it takes", some, _TAKES))
    if differences:
        tables.append(_differences(differences))
    report.sections.append(Section("comparison", "Strategies side by side", _INTERVALS, tables=tables))
    names = [one["strategy"] for one in some]
    charts = [
        Chart(
            identifier(name), "rows", title, f"{results['measures'][name]}. Thin lines are 95 % intervals.", title,
            "strategy", [with_intervals(title, [one[name] for one in some])], names,
        )
        for name, title in {**_FIT, **_SPREAD}.items()
    ]  # fmt: skip
    report.sections.append(Section("charts", "Charts", charts=charts))
    measures = Table("What is measured", ("measure", "meaning"), list(results["measures"].items()))
    caption = f"Made {manifest.get('created')}. Every answer is on record."
    setup = Section("setup", "What was run", caption, tables=[measures, *setup_tables(manifest)])
    report.sections += [*usage_sections(results.get("usage")), setup]
    return report


def _headline(results: Mapping[str, Any]) -> str:
    best = min(results["strategies"], key=lambda one: (one["rmse"]["estimate"] is None, one["rmse"]["estimate"] or 0.0))
    text = f"Of {counted(len(results['strategies']), 'prompt')}, {best['strategy']} has the lowest "
    text += f"RMSE, {with_ends(best['rmse'], '{:.2f}'.format)}; {results['baseline']['name']} has "
    text += f"{with_ends(results['baseline']['rmse'], '{:.2f}'.format)}."
    others = [one for one in results["differences"] if is_decided(one)]
    if results["differences"]:
        text += f" Of {len(results['differences'])} differences to the first prompt, {len(others)} are more than noise."
    return text


def _baseline(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    baseline = results["baseline"]
    return [(f"{baseline['name']} (no model)", with_ends(baseline["rmse"], "{:.2f}".format), "-", "-")]


def _table(
    title: str, some: Sequence[Mapping[str, Any]], columns: Mapping[str, str], more: Sequence[tuple[str, ...]] = ()
) -> Table:
    forms = [_whole if name in ("prompt", "completion") else "{:.2f}".format for name in columns]
    rows = [
        (one["strategy"], *(with_ends(one[name], form) for name, form in zip(columns, forms, strict=True)))
        for one in some
    ]
    return Table(title, ("strategy", *columns.values()), [*rows, *more])


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _differences(differences: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            f"{one['strategy']} - {one['less']}",
            with_ends(one, partial(signed, decimals=2)),
            "yes" if is_decided(one) else "no",
        )
        for one in differences
    ]
    columns = ("strategies", "RMSE", "more than noise")
    return Table("Differences", columns, rows, "Of the same users, who are drawn together; negative is better.")
