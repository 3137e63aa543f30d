"""What is printed of results: of a training in sentences, of all else the words and the tables of its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emosim_core.cli.output import Screen, Table, print_notes, show_table
from emosim_core.reports.directories import TRAINING
from emosim_core.reports.make import report_of
from emosim_core.reports.report import Report
from emosim_core.runs.reading import damaged, read_object
from emosim_core.runs.records import MANIFEST, SUMMARY, read_manifest
from emosim_core.runs.typed import continue_with, typed
from emosim_core.runs.words import users_of, who_answers
from emosim_core.training.algorithms import ALGORITHMS
from emosim_core.training.curves import SUMMARY as TRAINED
from emosim_core.training.curves import read_progress


def print_directory(kind: str, screen: Screen, directory: Path) -> None:
    """Print what a directory of a kind other than a run holds; a RunError where it is damaged or has no results yet."""
    if kind == TRAINING:
        with damaged(directory / MANIFEST):
            _print_training_in(screen, directory)
    else:
        print_report(screen, report_of(directory), directory)


def print_report(screen: Screen, report: Report, directory: Path) -> None:
    """Print the words and the tables of a report; charts, and what was run, are on its page alone."""
    screen.print_line((report.title, "bold"))
    screen.print_line(report.headline)
    print_notes(screen, report.notes)
    for section in report.sections:
        if not section.tables or section.id == "setup":
            continue
        screen.print()
        screen.print_line((section.title, "bold"))
        if section.caption:
            screen.print_line(section.caption)
        for table in section.tables:
            screen.print()
            show_table(screen, Table(*table.columns, rows=table.rows, title=table.title, style="dim"))
            if table.caption:
                screen.print_line(table.caption)
    screen.print()
    screen.print_line(f"All files are in {directory}. Charts, as a page: {typed('report', directory)}")


def print_training(screen: Screen, summary: Mapping[str, Any], directory: Path) -> None:
    """Print what summary.json of a training holds."""
    screen.print_line(
        f"Trained {summary['timesteps']:,} steps in {summary['episodes']:,} episodes and {summary['seconds']:.1f} s "
        f"({summary['steps_per_second'] or 0:,} steps/s)."
    )
    if summary["reward"] is not None:
        screen.print_line(
            f"Reward while learning: {summary['reward']:.1f} per episode, mean of the last "
            f"{summary['recent_episodes']:,} episodes, with actions drawn from the policy."
        )
    if summary["evaluation"]:
        rewards = ", ".join(f"{value:.1f} from {users_of(split)}" for split, value in summary["evaluation"].items())
        screen.print_line(f"Reward in evaluation episodes: {rewards}, mean of the last evaluation.")
    command = typed("evaluate", "--recommenders", directory, "--policies", "random,popular")
    screen.print_line(f"Written to {directory}. Measure it with: {command}")


def _print_training_in(screen: Screen, directory: Path) -> None:
    """Print what the training in a directory came to, or how far it is."""
    manifest = read_manifest(directory)
    config = manifest["config"]
    known = ALGORITHMS.get(config["algo"])
    title = f"{known.title if known else config['algo']} with the network '{config['policy_net']}'"
    screen.print_line(f"{title} on {config['plugin']}. {who_answers(manifest['answered_by'])}")
    if (directory / SUMMARY).exists():
        summary = read_object(directory / SUMMARY, TRAINED)
        print_training(screen, summary, directory)
        if summary["timesteps"] >= config["timesteps"]:
            return
    lines = read_progress(directory)
    done = lines[-1]["timesteps"] if lines else 0
    screen.print_line(
        f"The training is not complete: {done:,} of {config['timesteps']:,} steps. {continue_with('train', directory)}"
    )
