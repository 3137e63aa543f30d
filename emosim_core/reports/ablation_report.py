"""The report of an ablation: each study's metrics by the variant, and their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosim_core.errors import RunError
from emosim_core.reports.chart import Chart, Table, identifier, with_intervals
from emosim_core.reports.report import Fact, Report, Section, flat, interval, setup_tables
from emosim_core.runs.reading import check_format
from emosim_core.runs.records import FORMAT, MANIFEST, read_json
from emosim_core.runs.typed import typed
from emosim_core.runs.words import decimal

KIND = "ablation"
RESULTS = "results.json"

SHARE = "success share"
"""The measure that most studies have."""

_ALL = (0.0, 1.0)


def report_of_ablation(directory: Path) -> Report:
    """The report of an ablation; errors as of :func:`read_ablation`."""
    manifest, results = read_ablation(directory)
    rows: Sequence[Mapping[str, Any]] = results["pooled"] or results["jobs"]
    axes = list(results["jobs"][0]["variant"]) if results["jobs"] else []
    varying = [axis for axis in axes if len({one["variant"][axis] for one in results["jobs"]}) > 1]
    variants = {_variant(one["variant"], varying) for one in rows}
    same = {axis: results["jobs"][0]["variant"][axis] for axis in axes if axis not in varying}
    constant = ", ".join(f"{axis} {value}" for axis, value in same.items() if value)
    seeds = sorted({one["seed"] for one in results["jobs"]})
    headline = f"{len(results['studies'])} studies, {_counted(len(variants), 'variant')}"
    headline += f" ({', '.join(varying)})" if varying else ""
    headline += f", {_counted(len(seeds), 'seed')}. The same in all: {constant}." if constant else "."
    report = Report("ablation", f"{results['title']}: how faithfully users are simulated", headline)
    ratings, failed = (sum(one[count] for one in results["jobs"]) for count in ("ratings", "failed"))
    decided = [one for one in results["differences"] if is_decided(one)]
    report.facts = [
        Fact("ratings", f"{ratings:,}", "each on record"),
        Fact("failed ratings", f"{failed:,}", "left out of the shares" if failed else ""),
        *(_fact(one) for one in rows if len(variants) == 1),
    ]
    if results["differences"]:
        aside = f"of {len(results['differences'])}, with intervals that leave out 0"
        report.facts.append(Fact("differences", str(len(decided)), aside))
    if results["missing"]:
        report.notes.append(
            f"{_counted(len(results['missing']), 'job')} not done. Go on with: {typed('ablate', '--resume', directory)}"
        )
    report.notes += [f"Left out: {study}: {reason}" for study, reason in results.get("left_out", {}).items()]
    report.notes += [str(one) for one in manifest.get("announcements", ())]
    report.sections += _overview(results["studies"], rows, varying, decided)
    for study in results["studies"]:
        report.sections.append(_section(study, [one for one in rows if one["study"] == study], results, varying))
    report.sections.append(_setup(manifest, results))
    return report


def read_ablation(directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the results of an ablation.

    Raises:
        RunError: the directory holds no ablation that has come to results.
    """
    manifest = read_json(directory / MANIFEST)
    check_format(directory / MANIFEST, manifest, FORMAT)
    if not (directory / RESULTS).exists():
        raise RunError(f"{directory} has no {RESULTS} yet. Go on with: {typed('ablate', '--resume', directory)}")
    results = read_json(directory / RESULTS)
    check_format(directory / RESULTS, results, FORMAT)
    return manifest, results


def is_decided(difference: Mapping[str, Any]) -> bool:
    """Whether the interval of a difference leaves out 0."""
    return difference["low"] is not None and (difference["low"] > 0 or difference["high"] < 0)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _variant(variant: Mapping[str, str], varying: Sequence[str]) -> str:
    return ", ".join(variant[axis] for axis in varying if variant[axis]) or variant.get("rater") or "all"


def _fact(one: Mapping[str, Any]) -> Fact:
    """The last metric of a study, which sums up its sides."""
    metric = one["metrics"][-1]
    return Fact(
        one["study"].replace("_", " "), decimal(metric["estimate"], 3), f"{metric['metric']}, {interval(metric, 3)}"
    )


def _overview(
    studies: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    varying: Sequence[str],
    decided: Sequence[Mapping[str, Any]],
) -> list[Section]:
    """Success shares of all studies beside each other, and which variants differ for sure."""
    variants = list(dict.fromkeys(_variant(one["variant"], varying) for one in rows))
    shares: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for one in rows:
        for metric in one["metrics"]:
            if metric["metric"] == SHARE:
                shares.setdefault((one["study"], metric["side"]), {})[_variant(one["variant"], varying)] = metric
    order = sorted((key for key in shares if len(shares[key]) == len(variants)), key=lambda key: studies.index(key[0]))
    if not order:
        return []
    series = []
    for variant in variants:
        some = [shares[key][variant] for key in order]
        series.append(with_intervals(variant, some, counts=[metric["ratings"] for metric in some]))
    names = [f"{study.replace('_', ' ')}, {side}" if side else study.replace("_", " ") for study, side in order]
    caption = "How often users rated as they must, by study and side. Higher is better. Thin lines are 95 % intervals."
    chart = Chart(
        "overview", "rows", "Success shares", caption, SHARE, "study", series, names, form="share", y_range=_ALL
    )
    tables = [_differences("Where variants differ", decided, with_study=True)] if decided else []
    return [Section("overview", "At a glance", charts=[chart], tables=tables)]


def _differences(title: str, differences: Sequence[Mapping[str, Any]], with_study: bool) -> Table:
    rows = []
    for one in differences:
        first, second = (_variant(one[which], one["differs"]) for which in ("first", "second"))
        better = "the same" if one["low"] == one["high"] == 0 else "not decided"
        if is_decided(one):
            better = first if (one["estimate"] > 0) == (one["better"] == "higher") else second
        rows.append(
            (
                *((one["study"].replace("_", " "),) if with_study else ()),
                *(f"{first} - {second}", one["side"] or one["metric"], decimal(one["estimate"], 3, sign=True)),
                *(interval(one, 3, sign=True), better),
            )
        )
    columns = (*(("study",) if with_study else ()), "variants", "side", "difference", "interval", "better")
    return Table(title, columns, rows, "On the same trials, which are drawn together.")


def _section(
    study: str, jobs: Sequence[Mapping[str, Any]], results: Mapping[str, Any], varying: Sequence[str]
) -> Section:
    names = [_variant(one["variant"], varying) for one in jobs]
    charts: list[Chart] = []
    metric_names = list(dict.fromkeys(metric["metric"] for one in jobs for metric in one["metrics"]))
    for metric_name in metric_names:
        by_side: dict[str, list[Mapping[str, Any]]] = {}
        for one in jobs:
            for metric in one["metrics"]:
                if metric["metric"] == metric_name:
                    by_side.setdefault(metric["side"], []).append(metric)
        sides = {side: some for side, some in by_side.items() if len(some) == len(jobs)}
        if not sides:
            continue
        first = next(iter(sides.values()))[0]
        series = [
            with_intervals(side or metric_name, some, counts=[metric["ratings"] for metric in some])
            for side, some in sides.items()
        ]
        charts.append(
            Chart(
                identifier(study, metric_name),
                "rows",
                metric_name.capitalize(),
                f"{study.replace('_', ' ').capitalize()}; {first['better']} is better. Thin lines are 95 % intervals.",
                metric_name,
                "variant",
                series,
                names,
                form="share" if metric_name == SHARE else "number",
                y_range=_ALL if metric_name == SHARE else None,
            )
        )
        charts += _groups(study, metric_name, names, sides)
    rows = [
        (
            *(name, metric["side"] or metric["metric"], decimal(metric["estimate"], 3), interval(metric, 3)),
            *(metric["interval"], f"{metric['failed']:,}", f"{metric['ratings']:,}"),
        )
        for name, one in zip(names, jobs, strict=True)
        for metric in one["metrics"]
    ]
    columns = ("variant", "side", "result", "interval", "made by", "failed", "ratings")
    tables = [Table("Results", columns, rows)]
    differences = [one for one in results["differences"] if one["study"] == study]
    if differences:
        tables.append(_differences("Differences", differences, with_study=False))
    return Section(identifier("study", study), study.replace("_", " ").capitalize(), charts=charts, tables=tables)


def _groups(
    study: str, metric_name: str, names: Sequence[str], sides: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[Chart]:
    """Estimates of each group, such as a category; where there are several groups."""
    groups = list(dict.fromkeys(group for some in sides.values() for metric in some for group in metric["groups"]))
    if len(groups) < 2:
        return []
    rows, cells = [], []
    for side, some in sides.items():
        for name, metric in zip(names, some, strict=True):
            rows.append(f"{name}, {side}" if side else name)
            cells.append([metric["groups"].get(group, {}).get("estimate") for group in groups])
    return [
        Chart(
            identifier(study, metric_name, "groups"),
            "heat",
            f"{metric_name.capitalize()} by group",
            f"{study.replace('_', ' ').capitalize()}: each group of trials by itself; an empty cell has none.",
            "group",
            "variant",
            names=groups,
            rows=rows,
            cells=cells,
            cells_are=metric_name,
            form="share" if metric_name == SHARE else "number",
            y_range=_ALL if metric_name == SHARE else None,
        )
    ]


def _setup(manifest: Mapping[str, Any], results: Mapping[str, Any]) -> Section:
    tables = setup_tables(manifest)
    for variant in manifest.get("variants", ()):
        name = ", ".join(value for value in variant["variant"].values() if value)
        parts = setup_tables({"parts": variant["parts"]})[-1]
        tables.append(Table(f"Components: {name}", parts.columns, parts.rows))
    if results.get("intervals"):
        tables.append(Table("How intervals are made", ("interval", "how"), flat(results["intervals"])))
    caption = f"Made {manifest.get('created')}. Every rating is on record; the metrics are made of the records."
    return Section("setup", "What was run", caption, tables=tables)
