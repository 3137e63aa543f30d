"""Making a report: what a directory holds, its page, its charts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from emosim_core.data.files import write_whole
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.evaluation.results import RESULTS
from emosim_core.fitting.directory import CARD
from emosim_core.hooks import Registry
from emosim_core.reports import (
    ablation_report,
    audit_report,
    believability_report,
    prompts_report,
    sweep_report,
    trust_report,
    validation_report,
)
from emosim_core.reports.directories import (
    ABLATION,
    AUDIT,
    BELIEVABILITY,
    DISTILLATION,
    EVALUATION,
    PAGE,
    PEOPLE,
    PROMPTS,
    RUN,
    SWEEP,
    TRAINING,
    TRUST,
    VALIDATION,
    WRITTEN,
    kind_of,
)
from emosim_core.reports.evaluation_report import report_of_evaluation
from emosim_core.reports.people_report import report_of_fitted
from emosim_core.reports.report import Report
from emosim_core.reports.training_report import report_of_training
from emosim_core.runs.reading import damaged, read_object
from emosim_core.runs.records import INTERACTIONS, MANIFEST, SUMMARY
from emosim_core.runs.trust import CommandHint
from emosim_core.runs.typed import continue_with
from emosim_core.runs.words import with_article
from emosim_core.training.curves import PROGRESS

REPORT = "report.html"


def write_report(
    directory: str | Path,
    out: str | Path | None = None,
    *,
    charts: str | Path | None = None,
    prompts: bool = False,
    registry: Registry | None = None,
    given: Mapping[str, Any] | None = None,
    again: CommandHint | None = None,
) -> Path:
    """Write the report of a directory; arguments and errors as of :func:`emosim_core.report`.

    ``registry`` has the plugins to use, found anew if not given; ``again`` is how values are given again.
    """
    target = Path(directory) / REPORT if out is None else Path(out)
    report = report_of(Path(directory), prompts=prompts, registry=registry, given=given, again=again)
    if charts is not None:
        from emosim_core.reports.drawings import draw_charts

        draw_charts(report.charts, Path(charts))
    write_page(report, target)
    return target


def write_page(report: Report, target: Path) -> None:
    """Write a report as one HTML file; a MissingDependencyError or a RunError where that is not possible."""
    from emosim_core.reports.page import page

    text = page(report).encode("utf-8")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, text)
    except OSError as error:
        raise RunError(f"{target} cannot be written: {error.strerror}") from error


def report_of(
    directory: Path,
    *,
    prompts: bool = False,
    registry: Registry | None = None,
    given: Mapping[str, Any] | None = None,
    again: CommandHint | None = None,
) -> Report:
    """What the report of a directory says; arguments and errors as of :func:`write_report`."""
    kind = kind_of(directory)
    if kind is None or (kind == RUN and not (directory / MANIFEST).exists()):
        known = ", ".join((INTERACTIONS, PROGRESS, RESULTS, PAGE))
        raise RunError(f"{directory} holds nothing to report: no {MANIFEST} of a run, and none of {known}")
    if kind == DISTILLATION:
        raise RunError(
            f"{directory} has no users yet, only answers to fit them to. {continue_with('distill', directory)}"
        )
    if kind != RUN:
        if prompts:
            raise ConfigurationError(f"--prompts is for runs; {directory} holds {with_article(kind)}")
        name, make = _MAKERS[kind]
        with damaged(directory / name):
            return make(directory)
    from emosim_core.reports.run_report import report_of_run
    from emosim_core.runs.transcript import exchanges_of

    exchanges = exchanges_of(directory) if prompts else None
    return report_of_run(directory, registry, exchanges, given, again)


def written_report(directory: Path) -> Report:
    """The report that the directory's ``page.json`` describes; a RunError names the field that is wrong."""
    path = directory / PAGE
    try:
        report = TypeAdapter(Report).validate_python(read_object(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RunError(f"{path} is no report: {where}: {first['msg']}") from error
    ids = [chart.id for chart in report.charts]
    again = next((one for one in ids if ids.count(one) > 1), None)
    if again is not None:
        raise RunError(f"{path} is no report: two charts have the id {again!r}")
    return report


_MAKERS = {
    WRITTEN: (PAGE, written_report),
    TRAINING: (SUMMARY, report_of_training),
    EVALUATION: (RESULTS, report_of_evaluation),
    ABLATION: (ablation_report.RESULTS, ablation_report.report_of_ablation),
    AUDIT: (audit_report.RESULTS, audit_report.report_of_audit),
    VALIDATION: (validation_report.RESULTS, validation_report.report_of_validation),
    PEOPLE: (CARD, report_of_fitted),
    SWEEP: (sweep_report.RESULTS, sweep_report.report_of_sweep),
    BELIEVABILITY: (believability_report.RESULTS, believability_report.report_of_believability),
    PROMPTS: (prompts_report.RESULTS, prompts_report.report_of_prompts),
    TRUST: (trust_report.RESULTS, trust_report.report_of_trust),
}
"""By what a directory holds: the file that its report is made of, and what makes it."""
