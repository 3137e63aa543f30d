"""Making a report: what a directory holds, its page, its charts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emosim_core.data.files import write_whole
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.evaluation.results import RESULTS
from emosim_core.hooks import Registry
from emosim_core.reports.ablation_report import KIND as ABLATION
from emosim_core.reports.ablation_report import RESULTS as ABLATION_RESULTS
from emosim_core.reports.ablation_report import report_of_ablation
from emosim_core.reports.directories import EVALUATION, RUN, TRAINING, WRITTEN, kind_of
from emosim_core.reports.evaluation_report import report_of_evaluation
from emosim_core.reports.report import Report
from emosim_core.reports.sweep_report import KIND as SWEEP
from emosim_core.reports.sweep_report import RESULTS as SWEEP_RESULTS
from emosim_core.reports.sweep_report import report_of_sweep
from emosim_core.reports.training_report import PROGRESS, report_of_training
from emosim_core.reports.validation_report import KIND as VALIDATION
from emosim_core.reports.validation_report import RESULTS as VALIDATION_RESULTS
from emosim_core.reports.validation_report import report_of_validation
from emosim_core.reports.written_report import PAGE, written_report
from emosim_core.runs.reading import damaged
from emosim_core.runs.records import INTERACTIONS, MANIFEST, SUMMARY
from emosim_core.runs.trust import CommandHint
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
    from emosim_core.reports.page import page

    target = Path(directory) / REPORT if out is None else Path(out)
    report = report_of(Path(directory), prompts=prompts, registry=registry, given=given, again=again)
    text = page(report).encode("utf-8")
    if charts is not None:
        from emosim_core.reports.drawings import draw_charts

        draw_charts(report.charts, Path(charts))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, text)
    except OSError as error:
        raise RunError(f"{target} cannot be written: {error.strerror}") from error
    return target


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


_MAKERS = {
    WRITTEN: (PAGE, written_report),
    TRAINING: (SUMMARY, report_of_training),
    EVALUATION: (RESULTS, report_of_evaluation),
    ABLATION: (ABLATION_RESULTS, report_of_ablation),
    VALIDATION: (VALIDATION_RESULTS, report_of_validation),
    SWEEP: (SWEEP_RESULTS, report_of_sweep),
}
"""By what a directory holds: the file that its report is made of, and what makes it."""
