"""What is printed of results: of a training, an evaluation, an ablation and a validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emosim_core.cli.output import Screen, Table, print_notes, show_table
from emosim_core.evaluation.metrics import METRICS, Estimate, Metric
from emosim_core.evaluation.results import CHARTS
from emosim_core.reports.ablation_report import RESULTS as ABLATION_RESULTS
from emosim_core.reports.ablation_report import better_of, counted, grid_of, side_of
from emosim_core.reports.chart import Table as ReportTable
from emosim_core.reports.evaluation_report import read_evaluation
from emosim_core.reports.report import read_results
from emosim_core.reports.validation_report import RESULTS as VALIDATION_RESULTS
from emosim_core.reports.validation_report import tables_of, targets_table
from emosim_core.reports.written_report import written_report
from emosim_core.runs.reading import damaged, read_object
from emosim_core.runs.records import MANIFEST, SUMMARY, read_manifest
from emosim_core.runs.typed import continue_with, typed
from emosim_core.runs.words import END_REASONS, best_recommender, decimal, signed, users_of, who_answers
from emosim_core.studies.ablation.ablation import usage
from emosim_core.training.algorithms import ALGORITHMS
from emosim_core.training.curves import SUMMARY as TRAINED
from emosim_core.training.curves import read_progress


def print_directory(kind: str, screen: Screen, directory: Path) -> None:
    """Print what a directory of a kind other than a run holds.

    Raises:
        RunError: it is damaged, or has no results yet.
    """
    if kind == "page":
        page = written_report(directory)
        for line in (page.title, page.headline, *page.notes):
            screen.print_line(line)
        screen.print_line(f"It has a page; write it with: {typed('report', directory)}")
    elif kind == "training":
        with damaged(directory / MANIFEST):
            _print_training_in(screen, directory)
    else:
        read, show = _RESULTS[kind]
        results = read(directory)
        with damaged(directory):
            show(screen, results, directory)


# --------------------------------------------------------------------------------------------- trainings


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


# ------------------------------------------------------------------------------------------- evaluations


def print_evaluation(screen: Screen, results: Mapping[str, Any], directory: Path) -> None:
    """Print what evaluation.json of a directory holds, and whether that has charts."""
    screen.print_line(f"{results['title']}. {who_answers(results['answered_by'])}")
    for user_split, measured in results["user_splits"].items():
        users = users_of(user_split)
        screen.print()
        screen.print_line((f"{measured['users']} {users}, {measured['episodes']} episodes of each recommender", "bold"))
        by_name = measured["recommenders"]
        names = sorted(by_name, key=lambda name: -(by_name[name]["metrics"]["mean_reward"]["estimate"] or 0.0))
        for of_lists in (False, True):
            columns = [metric for metric in METRICS if metric.of_lists == of_lists]
            rows = [(name, *(_measured(by_name[name]["metrics"][one.name], one) for one in columns)) for name in names]
            show_table(screen, Table("recommender", *(one.title for one in columns), rows=rows, style="dim"))
            screen.print()
        show_table(screen, _end_reasons_table(by_name, names))
        screen.print()
        screen.print_line(best_recommender(measured, user_split))
        for line in _rewards_above(measured["differences"], names):
            screen.print_line(line)
    screen.print()
    screen.print_line(
        "After ±: half of the 95 % interval over users; coverage has none. @10: the first ten items of an episode."
    )
    print_notes(screen, (), results["usage"])
    drawn = f", plots in {directory / CHARTS}" if (directory / CHARTS).is_dir() else ""
    screen.print_line(f"Written to {directory}: evaluation.json, evaluation.csv{drawn}.")


def _end_reasons_table(by_name: dict[str, Any], names: list[str]) -> Table:
    first = next(iter(by_name.values()))["end_reasons"]
    total = {reason: sum(one["end_reasons"][reason]["estimate"] for one in by_name.values()) for reason in first}
    reasons = sorted((reason for reason, share in total.items() if share), key=lambda reason: -total[reason])
    rows = [
        (name, *(f"{by_name[name]['end_reasons'][reason]['estimate']:.1%}" for reason in reasons)) for name in names
    ]
    headings = (END_REASONS.get(reason, reason) for reason in reasons)
    return Table("recommender", *headings, rows=rows, style="dim")


def _measured(value: Estimate, metric: Metric) -> str:
    """An estimate as the screen shows it: ``312.4 ±14.0``."""
    estimate, low, high = value["estimate"], value["low"], value["high"]
    if estimate is None:
        return "-"
    text = metric.written(estimate)
    half = None if low is None or high is None else (high - low) / 2 * (100 if metric.share else 1)
    return text if half is None else f"{text} ±{half:.{metric.decimals}f}"


def _rewards_above(differences: dict[str, Any], names: list[str]) -> list[str]:
    """In words: what each recommender earns above the best one that was not trained, or else above the first."""
    kind = "best_baseline" if "best_baseline" in differences else "first"
    difference = differences[kind]
    lines = []
    for name in names:
        value = difference["recommenders"].get(name, {}).get("metrics", {}).get("mean_reward")
        if value is None or value["low"] is None or value["estimate"] is None:
            continue
        estimate, low, high = (signed(value[part], 1) for part in ("estimate", "low", "high"))
        lines.append(f"  {name}: {estimate} [{low}, {high}]")
    if not lines:
        return []
    best = "the best that was not trained" if kind == "best_baseline" else "the first"
    return [f"Reward minus that of {difference['reference']}, {best}, in the same episodes [95 % interval]:", *lines]


# --------------------------------------------------------------------------------------------- ablations


def print_ablation(screen: Screen, outcome: Mapping[str, Any], directory: Path) -> None:
    """Print what results.json of an ablation holds: metrics, of all seeds where there are several, and differences."""
    varying, same, seeds = grid_of(outcome)
    run_with = f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}"
    line = f"{outcome['title']}: {', '.join(same)}; {run_with}."
    screen.print_line(line if outcome["uses_llm"] else f"{line} No language model was called.")
    each = ["each seed"] if len(seeds) > 1 else []
    headings = ("study", "side", *varying, "result", "95 % interval", *each, "failed", "ratings")
    order = {name: place for place, name in enumerate(outcome["studies"])}
    rows = [
        (
            *(one["study"], side_of(metric), *(one["variant"][axis] for axis in varying)),
            *(decimal(metric["estimate"], 3), _brackets(metric)),
            *(_seed_by_seed(outcome, one, place) for _ in each),
            *(f"{metric['failed']:,}", f"{metric['ratings']:,}"),
        )
        for one in sorted(outcome["pooled"] or outcome["jobs"], key=lambda one: order[one["study"]])
        for place, metric in enumerate(one["metrics"])
    ]
    table = Table(*headings, rows=rows, texts=2 + len(varying))
    show_table(screen, table)
    differing = [one for one in outcome["differences"] if one["low"] != 0 or one["high"] != 0]
    if differing:
        show_table(screen, _differences(sorted(differing, key=lambda one: order[one["study"]])))
    if len(differing) < len(outcome["differences"]):
        same_studies = sorted({one["study"] for one in outcome["differences"]} - {one["study"] for one in differing})
        if same_studies:
            screen.print_line(f"No rating differs in: {', '.join(same_studies)}")
    if outcome["missing"]:
        command = typed("ablate", "--resume", directory)
        screen.print_line(f"{counted(len(outcome['missing']), 'job')} not done: {command}")
    print_notes(screen, (), usage(directory))
    line = f"Records and results are in {directory}; the metrics again, from the records:"
    screen.print_line(f"{line} {typed('ablate', 'report', directory)}")


def _seed_by_seed(outcome: Mapping[str, Any], pooled: Mapping[str, Any], place: int) -> str:
    return " ".join(
        decimal(one["metrics"][place]["estimate"], 3)
        for one in outcome["jobs"]
        if one["study"] == pooled["study"] and one["variant"] == pooled["variant"] and place < len(one["metrics"])
    )


def _differences(differences: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for one in differences:
        names = [" ".join(filter(None, map(one[which].get, one["differs"]))) for which in ("first", "second")]
        row = (one["study"], side_of(one), *names, decimal(one["estimate"], 3, sign=True), _brackets(one, sign=True))
        rows.append((*row, better_of(one, names) or "-"))
    headings = ("study", "side", "first", "second", "first - second", "95 % interval", "better")
    return Table(*headings, rows=rows, texts=4, title="Differences on the same trials")


def _brackets(metric: Mapping[str, Any], sign: bool = False) -> str:
    if metric["low"] is None:
        return ""
    return f"[{decimal(metric['low'], 3, sign)}, {decimal(metric['high'], 3, sign)}]"


# ------------------------------------------------------------------------------------------- validations


def print_validation(screen: Screen, outcome: Mapping[str, Any], directory: Path) -> None:
    """Print what validation.json of a directory holds."""
    for user_split, metrics in outcome["user_splits"].items():
        screen.print()
        screen.print_line(
            f"{user_split.capitalize()}: {metrics['users']} users, {metrics['heldout_ratings']:,} held-out ratings"
            + (f", {metrics['failed_ratings']:,} failed" if metrics["failed_ratings"] else "")
            + ". Intervals are 95 %, over users."
        )
        for table in tables_of(metrics):
            _print_table(screen, table)
    _print_table(screen, targets_table(outcome))
    screen.print_line(f"Records and results are in {directory}.")


def _print_table(screen: Screen, table: ReportTable) -> None:
    """Print a table of a report after a blank line, and what it says beside."""
    screen.print()
    show_table(screen, Table(*table.columns, rows=table.rows, title=table.title))
    if table.caption:
        screen.print_line(table.caption)


_RESULTS: dict[str, tuple[Callable[[Path], Mapping[str, Any]], Callable[[Screen, Mapping[str, Any], Path], None]]] = {
    "evaluation": (read_evaluation, print_evaluation),
    "ablation": (lambda directory: read_results(directory, "ablate", ABLATION_RESULTS)[1], print_ablation),
    "validation": (lambda directory: read_results(directory, "validate", VALIDATION_RESULTS)[1], print_validation),
}
"""By what a directory holds: what reads the results there, and what prints them."""
