"""What the commands of studies of real users have in common: their options, their course and their first tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

    from pydantic import BaseModel

    from emosim_core.cli.output import Screen
    from emosim_core.hooks import Registry
    from emosim_core.studies.jobs import StudyConfig

_NOT_OURS = ("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", *EPISODE_FIELDS)
"""Fields of an environment that mean nothing here: items and users are those of a log."""


def study_options(defaults: Mapping[str, Any] | None = None) -> Callable[[Any], Any]:
    """Give a command the options of an environment that a study of a log has, and ``--executor``."""
    environment = configuration_options("EnvironmentConfig", without=_NOT_OURS, defaults=defaults)
    return lambda command: environment(executor_option()(command))


@dataclass(frozen=True)
class StudyCommand:
    """One command that makes a study of a log.

    Attributes:
        name: of the command.
        stem: what a directory of ``runs/`` is called, before the name of the domain.
        config: the model of its own fields.
        models: the models of all fields.
        stored: the configuration of a directory that is resumed, flat.
        results: the file that a finished study has.
        make: the study of a configuration; the flag says whether nothing is to be printed meanwhile.
        announce: prints what is about to be done.
        total: how many of the ``unit`` there are to do.
        fewer: how to have fewer requests, with the cost of a language model.
        page: whether the report is written at once.
        alone: why it is made in one process, as an error says it; empty where an executor may make it.
        texts: how many columns of the first tables are texts, from the left.
        instead: the command that makes the study of a configuration, where that is not this one.
    """

    name: str
    stem: str
    config: type[StudyConfig]
    models: tuple[type[BaseModel], ...]
    stored: Callable[[Path], dict[str, Any]]
    results: str
    make: Callable[[Any, Registry, bool], Any]
    announce: Callable[[Screen, Any], None]
    unit: str
    total: Callable[[Any], int]
    fewer: str
    page: bool = False
    alone: str = ""
    texts: int = 1
    instead: Callable[[StudyCommand, Any], StudyCommand] = lambda command, config: command

    def run(
        self, obj: Mapping[str, Any], given: dict[str, Any], finish: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        """Make or resume the study that the options ask for, and print its results, after ``finish`` had them."""
        from emosim_core.cli.output import console, live_progress
        from emosim_core.hooks import Registry
        from emosim_core.hooks.fields import by_field
        from emosim_core.reports.make import write_report
        from emosim_core.simulation.config import EnvironmentConfig

        as_json, quiet, yes, executor = (given.pop(name) for name in ("as_json", "quiet", "yes", "executor"))
        registry, out = Registry(only=obj["only"]), given["out"]
        values, job, _ = chosen_job(
            *(self.name, EnvironmentConfig, obj, given, registry),
            base=lambda own, resumed: (resumed, {} if resumed is None else self.stored(resumed)),
            models=self.models,
            renamed=partial(by_field, self.config),
        )
        config = self.config.read(values, self.name)
        chosen = self.instead(self, config)
        if chosen.alone and executor not in (None, "local"):
            raise ConfigurationError(chosen.alone)
        job = job or new_job(chosen.name, f"{chosen.stem}-{values['plugin']}", out)
        job.check()
        screen = console(stderr=as_json)
        study = chosen.make(config, registry, as_json or quiet)
        with closing(study.world), telling_progress(job):
            if job.resume:
                study.check_resumed(job.path)
            if not (job.path / chosen.results).exists() and (estimated := study.estimate()) is not None:
                print_line(cost_line(estimated, f". Cached answers cost nothing. Fewer with {chosen.fewer}."), err=True)
                confirm_cost(yes or estimated.replay)
            if not quiet:
                chosen.announce(screen, study)
            with live_progress(screen, chosen.unit, chosen.total(study), silent=quiet) as progress:
                outcome = study.run(job, lambda count: progress.update(advance=count), executor=executor or "local")
        if chosen.page:
            write_report(job.path, registry=registry)
        if finish is not None:
            finish(outcome)
        if not print_short({**outcome, "directory": str(job.path)}, job.path, as_json, quiet):
            print_study(console(), job.path, chosen.page, chosen.texts)


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
