"""Making a report: what a directory holds, its page, its charts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from emosim_core.data.files import write_whole
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks import Registry
from emosim_core.kinds import (
    ABLATION,
    AUDIT,
    BELIEVABILITY,
    DISTILLATION,
    EVALUATION,
    INTERACTIONS,
    KINDS,
    MANIFEST,
    PAGE,
    PEOPLE,
    PROMPTS,
    RUN,
    SWEEP,
    TRAINING,
    TRUST,
    VALIDATION,
    WRITTEN,
)
from emosim_core.reports.ablation_report import report_of_ablation
from emosim_core.reports.audit_report import report_of_audit
from emosim_core.reports.believability_report import report_of_believability
from emosim_core.reports.directories import kind_of
from emosim_core.reports.evaluation_report import report_of_evaluation
from emosim_core.reports.people_report import report_of_fitted
from emosim_core.reports.prompts_report import report_of_prompts
from emosim_core.reports.report import Report
from emosim_core.reports.sweep_report import report_of_sweep
from emosim_core.reports.training_report import report_of_training
from emosim_core.reports.trust_report import report_of_trust
from emosim_core.reports.validation_report import report_of_validation
from emosim_core.runs.reading import damaged, read_object
from emosim_core.runs.trust import CommandHint
from emosim_core.runs.typed import continue_with
from emosim_core.runs.words import with_article

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
        known = ", ".join([INTERACTIONS, *(one.mark for one in KINDS.values() if one.mark)])
        raise RunError(f"{directory} holds nothing to report: no {MANIFEST} of a run, and none of {known}")
    if kind == DISTILLATION:
        raise RunError(
            f"{directory} has no users yet, only answers to fit them to. {continue_with('distill', directory)}"
        )
    if kind != RUN:
        if prompts:
            raise ConfigurationError(f"--prompts is for runs; {directory} holds {with_article(kind)}")
        with damaged(directory / KINDS[kind].results):
            return _MAKERS[kind](directory)
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
    WRITTEN: written_report,
    TRAINING: report_of_training,
    EVALUATION: report_of_evaluation,
    ABLATION: report_of_ablation,
    AUDIT: report_of_audit,
    VALIDATION: report_of_validation,
    PEOPLE: report_of_fitted,
    SWEEP: report_of_sweep,
    BELIEVABILITY: report_of_believability,
    PROMPTS: report_of_prompts,
    TRUST: report_of_trust,
}
"""By what a directory holds, what makes its report."""
