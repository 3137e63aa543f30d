"""The report of an ablation: each study's metrics by the variant, and their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from emosim_core.kinds import ABLATION, KINDS
from emosim_core.reports.chart import Chart, Table, identifier, with_ends, with_intervals
from emosim_core.reports.report import Fact, Report, Section, flat, interval, read_results, setup_tables, usage_sections
from emosim_core.runs.records import MANIFEST, read_json
from emosim_core.runs.typed import continue_with
from emosim_core.runs.words import decimal, signed
from emosim_core.terminal import counted

RESULTS = KINDS[ABLATION].results

SHARE = "success share"
"""The measure that most studies have."""

_BRACKETS = "In brackets are 95 % intervals."

Metrics = Sequence[Mapping[str, Any]]


def report_of_ablation(directory: Path, computed: Mapping[str, Any] | None = None) -> Report:
    """The report of an ablation; errors as of :func:`read_results`.

    ``computed`` are results that were computed anew from its records, in place of those that are stored.
    """
    from emosim_core.studies.ablation.ablation import usage

    if computed is None:
        manifest, results = read_results(directory, "ablate", RESULTS)
    else:
        manifest, results = read_json(directory / MANIFEST), dict(computed)
    jobs, differences = results["jobs"], results["differences"]
    rows: Metrics = results["pooled"] or jobs
    varying, same, seeds = grid_of(results)
    variants = {_variant(one["variant"], varying) for one in rows}
    headline = f"{counted(len(results['studies']), 'study', 'studies')}, {counted(len(variants), 'variant')}"
    headline += f" ({', '.join(varying)})" if varying else ""
    headline += f", {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}."
    headline += f" The same in all: {', '.join(same)}." if same else ""
    headline += "" if results["uses_llm"] else " No language model was called."
    report = Report("ablation", f"{results['title']}: how faithfully users are simulated", headline)
    ratings, failed = (sum(one[count] for one in jobs) for count in ("ratings", "failed"))
    decided = [one for one in differences if is_decided(one)]
    report.facts = [
        Fact("ratings", f"{ratings:,}", "each on record"),
        Fact("failed ratings", f"{failed:,}", "left out of the shares" if failed else ""),
    ]
    for one in rows if len(variants) == 1 else ():
        last = one["metrics"][-1]  # it sums up the sides of its study
        aside = f"{last['metric']}, {interval(last, 3)}"
        report.facts.append(Fact(_words(one["study"]), decimal(last["estimate"], 3), aside))
    if differences:
        aside = f"of {len(differences)}, with intervals that leave out 0"
        report.facts.append(Fact("differences", str(len(decided)), aside))
    if missing := results["missing"]:
        report.notes.append(f"{counted(len(missing), 'job')} not done. {continue_with('ablate', directory)}")
    report.notes += [f"Left out: {study}: {reason}" for study, reason in results.get("left_out", {}).items()]
    report.notes += [str(one) for one in manifest.get("announcements", ())]
    report.sections += _overview(results["studies"], rows, varying, decided)
    for study in results["studies"]:
        report.sections.append(_section(study, results, varying))
    report.sections += usage_sections(usage(directory)) if manifest.get("jobs") else ()
    report.sections.append(_setup(manifest, results))
    return report


def grid_of(results: Mapping[str, Any]) -> tuple[list[str], list[str], list[int]]:
    """The axes that vary in the results of an ablation, those that do not with their values, and the seeds."""
    variants: Sequence[Mapping[str, str]] = [one["variant"] for one in results["jobs"]]
    axes = list(variants[0]) if variants else []
    varying = [axis for axis in axes if len({one[axis] for one in variants}) > 1]
    same = [f"{axis} {variants[0][axis]}" for axis in axes if axis not in varying and variants[0][axis]]
    return varying, same, sorted({one["seed"] for one in results["jobs"]})


def is_decided(difference: Mapping[str, Any]) -> bool:
    """Whether the interval of a difference leaves out 0."""
    return difference["low"] is not None and (difference["low"] > 0 or difference["high"] < 0)


def better_of(difference: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Which of two variants is better; None where the interval of their difference does not say so."""
    if not is_decided(difference):
        return None
    return names[0] if (difference["estimate"] > 0) == (difference["better"] == "higher") else names[1]


def side_of(metric: Mapping[str, Any]) -> str:
    """What a metric is about within its study."""
    return str(metric["side"] or metric["metric"])


def _words(study: str) -> str:
    return study.replace("_", " ")


def _variant(variant: Mapping[str, str], varying: Sequence[str]) -> str:
    return ", ".join(variant[axis] for axis in varying if variant[axis]) or variant.get("rater") or "all"


def _axis(metric: str) -> dict[str, Any]:
    """How the values of a metric are drawn."""
    return {"form": "share", "y_range": (0.0, 1.0)} if metric == SHARE else {}


def _overview(studies: Sequence[str], rows: Metrics, varying: Sequence[str], decided: Metrics) -> list[Section]:
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
    names = [f"{_words(study)}, {side}" if side else _words(study) for study, side in order]
    caption = "How often users rated as they must, by study and side. Higher is better. Thin lines are 95 % intervals."
    chart = Chart("overview", "rows", "Success shares", caption, SHARE, "study", series, names, **_axis(SHARE))
    tables = [_differences("Where variants differ", decided, varying, with_study=True)] if decided else []
    return [Section("overview", "At a glance", charts=[chart], tables=tables)]


def _differences(title: str, differences: Metrics, varying: Sequence[str], with_study: bool) -> Table:
    rows = []
    for one in differences:
        names = [_variant(one[which], one["differs"]) for which in ("first", "second")]
        shared = [
            f"{axis} {one['first'][axis]}" for axis in varying if axis not in one["differs"] and one["first"][axis]
        ]
        compared = " - ".join(names) + (f" ({', '.join(shared)})" if shared else "")
        undecided = "the same" if one["low"] == one["high"] == 0 else "not decided"
        difference = with_ends(one, partial(signed, decimals=3))
        row = (_words(one["study"]), compared, side_of(one), difference, better_of(one, names) or undecided)
        rows.append(row[not with_study :])
    columns = ("study", "variants", "side", "difference", "better")[not with_study :]
    return Table(title, columns, rows, "On the same trials, which are drawn together.")


def _section(study: str, results: Mapping[str, Any], varying: Sequence[str]) -> Section:
    single, pooled, differences = (
        [one for one in results[part] if one["study"] == study] for part in ("jobs", "pooled", "differences")
    )
    jobs: Metrics = pooled or single
    names = [_variant(one["variant"], varying) for one in jobs]
    charts: list[Chart] = []
    by_side: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for one in jobs:
        for metric in one["metrics"]:
            by_side.setdefault(metric["metric"], {}).setdefault(metric["side"], []).append(metric)
    for what, of in by_side.items():
        sides = {side: some for side, some in of.items() if len(some) == len(jobs)}
        if not sides:
            continue
        series = [
            with_intervals(side or what, some, counts=[metric["ratings"] for metric in some])
            for side, some in sides.items()
        ]
        better = next(iter(sides.values()))[0]["better"]
        caption = f"{_words(study).capitalize()}; {better} is better. Thin lines are 95 % intervals."
        id_, title = identifier(study, what), what.capitalize()
        charts.append(Chart(id_, "rows", title, caption, what, "variant", series, names, **_axis(what)))
        charts += _groups(study, what, names, sides)
    rows = [
        (
            *(name, side_of(metric), with_ends(metric, "{:.3f}".format)),
            *([_of_each_seed(single, one, place)] if pooled else []),
            *(metric["interval"], f"{metric['failed']:,}", f"{metric['ratings']:,}"),
        )
        for name, one in zip(names, jobs, strict=True)
        for place, metric in enumerate(one["metrics"])
    ]
    each = ["each seed"] if pooled else []
    tables = [Table("Results", ("variant", "side", "result", *each, "interval", "failed", "ratings"), rows, _BRACKETS)]
    if differences:
        tables.append(_differences("Differences", differences, varying, with_study=False))
    return Section(identifier("study", study), _words(study).capitalize(), charts=charts, tables=tables)


def _of_each_seed(jobs: Metrics, pooled: Mapping[str, Any], place: int) -> str:
    """A metric of a variant in each of the jobs that are pooled."""
    mine = (one["metrics"] for one in jobs if one["variant"] == pooled["variant"])
    return " ".join(decimal(metrics[place]["estimate"], 3) for metrics in mine if place < len(metrics))


def _groups(study: str, what: str, names: Sequence[str], sides: Mapping[str, Metrics]) -> list[Chart]:
    """Estimates of each group, such as a category; where there are several groups."""
    groups = list(dict.fromkeys(group for some in sides.values() for metric in some for group in metric["groups"]))
    if len(groups) < 2:
        return []
    rows, cells = [], []
    for side, some in sides.items():
        for name, metric in zip(names, some, strict=True):
            rows.append(f"{name}, {side}" if side else name)
            cells.append([metric["groups"].get(group, {}).get("estimate") for group in groups])
    caption = f"{_words(study).capitalize()}: each group of trials by itself; an empty cell has none."
    id_, title = identifier(study, what, "groups"), f"{what.capitalize()} by group"
    of = {"names": groups, "rows": rows, "cells": cells, "cells_are": what, **_axis(what)}
    return [Chart(id_, "heat", title, caption, "group", "variant", **of)]


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
