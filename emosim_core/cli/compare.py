"""``emosim compare``: runs side by side, with differences and intervals."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from emosim_core.cli.printing import print_json


@click.command()
@click.argument("directories", nargs=-1, type=click.Path(path_type=Path), metavar="[DIRECTORY]...")
@click.option("--resamples", default=2000, show_default=True, help="Resamples of the bootstrap.")
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write a page with the learning curves of trainings, an HTML file."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def compare(directories: tuple[Path, ...], resamples: int, seed: int, out: Path | None, as_json: bool) -> None:
    """Put the runs, or the trainings, in the directories side by side, with differences to the first.

    Without a directory, the two newest runs in runs/, the older one first. An evaluation stands for the runs of its
    recommenders with the last of its user splits, the control first.

    Intervals are 95 % bootstrap intervals over users. Runs with the same seed and users are paired: each user is
    compared with themselves. What the runs differ in is listed.

    Trainings are compared by the reward from test users in their last evaluation. A directory with trainings of
    several seeds is their mean.
    """

    from emosim_core.cli.output import Table, console, print_notes, show_table
    from emosim_core.errors import ConfigurationError
    from emosim_core.reports import compare as comparing

    trainings = [_holds_trainings(one) for one in directories]
    if any(trainings):
        if not all(trainings):
            raise ConfigurationError(
                f"{directories[trainings.index(False)]} holds no training, and others do: compare runs with runs and "
                "trainings with trainings; 'emosim evaluate' measures trained recommenders beside others"
            )
        _compare_trainings(directories, resamples, seed, out, as_json)
        return
    if out is not None:
        raise ConfigurationError("--out writes the learning curves of trainings, and these are runs")
    comparison = comparing.compare(directories or _newest_two(), resamples=resamples, seed=seed)
    if as_json:
        print_json(asdict(comparison))
        return
    screen = console()
    shown = comparing.table_of(comparison)
    show_table(screen, Table(*shown.columns, rows=shown.rows))
    screen.print_line(shown.caption)
    for run in comparison.runs[1:]:
        screen.print()
        if run.differs_in:
            screen.print_line(f"{run.directory} differs from {comparison.runs[0].directory} in:")
        for name, (old, new) in run.differs_in.items():
            screen.print_line(f"  {name}: {old} there, {new} here")
    print_notes(screen, comparison.notes)


def _holds_trainings(directory: Path) -> bool:
    """Whether a directory is a training, or holds those of several seeds."""
    from emosim_core.evaluation.plan import trainings_of
    from emosim_core.kinds import TRAINING
    from emosim_core.reports.directories import kind_of

    first = Path(trainings_of(str(directory))[0])
    return first.is_dir() and kind_of(first) == TRAINING


def _compare_trainings(
    directories: tuple[Path, ...], resamples: int, seed: int, out: Path | None, as_json: bool
) -> None:
    from emosim_core.cli.output import console
    from emosim_core.cli.results import print_parts
    from emosim_core.reports.compare_trainings import compare_trainings, report_of_comparison

    comparison = compare_trainings(directories, resamples=resamples, seed=seed)
    report = report_of_comparison(comparison)
    if out is not None:
        from emosim_core.reports.make import write_page

        write_page(report, out)
    if as_json:
        print_json(asdict(comparison))
        return
    screen = console()
    print_parts(screen, report)
    for one in comparison.trainings[1:]:
        if one.differs_in:
            screen.print()
            screen.print_line(f"{one.directory} differs from {comparison.trainings[0].directory} in:")
        for name, (old, new) in one.differs_in.items():
            screen.print_line(f"  {name}: {old} there, {new} here")
    if out is not None:
        screen.print()
        screen.print_line(f"The learning curves are in {out}.")


def _newest_two() -> list[Path]:
    """The two newest runs in runs/, the older one first; a RunError where there are fewer."""
    from emosim_core.errors import RunError
    from emosim_core.kinds import RUN
    from emosim_core.reports.directories import RUNS, jobs_in

    runs = [info.path for info in jobs_in(RUNS) if info.kind == RUN][:2]
    if len(runs) < 2:
        raise RunError(f"{RUNS} holds fewer than two runs; name those to compare: emosim compare runs/a runs/b")
    return runs[::-1]
