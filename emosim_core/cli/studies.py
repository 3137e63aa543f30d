"""What the commands of studies have in common: their options, their course and their first tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from emosim_core.cli.options import (
    EPISODE_FIELDS,
    chosen_job,
    configuration_options,
    confirm_cost,
    cost_line,
    executor_option,
)
from emosim_core.cli.places import new_job
from emosim_core.cli.printing import print_line, print_short
from emosim_core.cli.stopping import telling_progress
from emosim_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from emosim_core.cli.output import Screen
    from emosim_core.hooks import Registry
    from emosim_core.studies.cost import Estimate
    from emosim_core.studies.jobs import ResumableStudy

_NOT_OURS = ("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", *EPISODE_FIELDS)
"""Fields of an environment that mean nothing here: items and users are those of a log."""


def study_options(defaults: Mapping[str, Any] | None = None) -> Callable[[Any], Any]:
    """Give a command the options of an environment that a study of a log has, and ``--executor``."""
    environment = configuration_options("EnvironmentConfig", without=_NOT_OURS, defaults=defaults)
    return lambda command: environment(executor_option()(command))


@dataclass(frozen=True)
class StudyCommand:
    """One command that makes a study.

    Attributes:
        study: the class of the study.
        stem: what a directory of ``runs/`` is called, before the name of the domain.
        results: the file that a finished study has.
        make: the study of a configuration; the flag says whether nothing is to be printed meanwhile.
        announce: prints what is about to be done.
        total: how many of the ``unit`` there are to do.
        fewer: how to have fewer requests, with the cost of a language model.
        page: whether the report is written at once.
        texts: how many columns of the first tables are texts, from the left.
        instead: the command that makes the study of a configuration, where that is not this one.
        completed: values of the configuration, completed from those that a resumed directory holds.
        show: prints the results, as the report of their directory has them unless given; ``print_study`` is one way.
    """

    study: type[ResumableStudy]
    stem: str
    results: str
    make: Callable[[Any, Registry, bool], Any]
    announce: Callable[[Screen, Any], None]
    unit: str
    total: Callable[[Any], int]
    fewer: str
    page: bool = False
    texts: int = 1
    instead: Callable[[StudyCommand, Any], StudyCommand] = lambda command, config: command
    completed: Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]] = lambda values, stored: values
    show: Callable[[Screen, Path, Any], None] | None = None

    def run(
        self, obj: Mapping[str, Any], given: dict[str, Any], finish: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        """Make or resume the study that the options ask for, and print its results, after ``finish`` had them."""
        from emosim_core.cli.output import console, live_progress
        from emosim_core.hooks import Registry
        from emosim_core.hooks.fields import by_field
        from emosim_core.reports.make import write_report
        from emosim_core.simulation.config import EnvironmentConfig

        as_json, quiet, yes = (given.pop(name) for name in ("as_json", "quiet", "yes"))
        where = {"executor": given.pop("executor") or "local"} if "executor" in given else {}
        registry, out, study = Registry(only=obj["only"]), given["out"], self.study
        values, job, stored = chosen_job(
            *(study.command, EnvironmentConfig, obj, given, registry),
            base=lambda own, resumed: (resumed, {} if resumed is None else study.stored(resumed)),
            models=study.models(),
            renamed=partial(by_field, study.options),
        )
        config = study.options.read(self.completed(values, stored), study.command)
        chosen = self.instead(self, config)
        if chosen.study.alone and where.get("executor", "local") != "local":
            raise ConfigurationError(chosen.study.alone)
        job = job or new_job(study.command, f"{chosen.stem}-{values['plugin']}", out)
        job.check()
        screen = console(stderr=as_json)
        with closing(chosen.make(config, registry, as_json or quiet)) as made, telling_progress(job):
            if job.resume:
                made.check_resumed(job.path)
            if not (job.path / chosen.results).exists():
                _agree(made.estimate(), chosen.fewer, yes)
            if not quiet:
                chosen.announce(screen, made)
            with live_progress(screen, chosen.unit, chosen.total(made), silent=quiet) as progress:
                outcome = made.run(job, lambda count: progress.update(advance=count), **where)
        if chosen.page:
            write_report(job.path, registry=registry)
        if finish is not None:
            finish(outcome)
        if print_short({**outcome, "directory": str(job.path)}, job.path, as_json, quiet):
            return
        if chosen.show is not None:
            chosen.show(console(), job.path, made)
        else:
            print_study(console(), job.path, chosen.page, chosen.texts)


def _agree(estimated: Estimate | Sequence[Estimate] | None, fewer: str, yes: bool) -> None:
    """Say what the calls of language models will take, and ask before they begin unless they cost nothing."""
    estimates = [] if estimated is None else list(estimated) if isinstance(estimated, Sequence) else [estimated]
    for one in estimates:
        print_line(cost_line(one, f". Cached answers cost nothing. Fewer with {fewer}."), err=True)
    if estimates:
        confirm_cost(yes or all(one.free for one in estimates))


def print_study(screen: Screen, directory: Path, page: bool = False, texts: int = 1) -> None:
    """One sentence and the first tables; the report has the others."""
    from emosim_core.cli.output import Table, print_notes, show_table
    from emosim_core.reports.make import report_of
    from emosim_core.runs.typed import typed

    report = report_of(directory)
    screen.print_line(report.headline)
    print_notes(screen, report.notes)
    for table in report.sections[0].tables:
        screen.print()
        show_table(screen, Table(*table.columns, rows=table.rows, texts=texts, title=table.title, style="dim"))
    screen.print_line(report.sections[0].caption)
    written = f"; {directory}/report.html has all tables."
    other = f". All tables and charts, as a page: {typed('report', directory)}"
    screen.print_line(f"All files are in {directory}{written if page else other}")
