"""``emosim evaluate``: compare recommenders on the same users and episodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand
from emosim_core.cli.options import chosen_job, configuration_options, place_options
from emosim_core.cli.places import new_job
from emosim_core.cli.printing import print_short
from emosim_core.cli.stopping import telling_progress

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen, Table
    from emosim_core.evaluation.evaluate import Progress
    from emosim_core.evaluation.metrics import Estimate, Metric
    from emosim_core.runs.job import JobDirectory


@click.command(cls=SectionedCommand)
@configuration_options("EvaluationConfig", without=("user_split", "user_order"))
@place_options("evaluation")
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON and nothing else.")
@click.option("--quiet", is_flag=True, help="Print only where the evaluation was written.")
@click.option("--no-charts", is_flag=True, help="Draw no charts.")
@click.pass_obj
def evaluate(obj: dict[str, Any], /, **given: Any) -> None:
    """Compare recommenders on the same users, in the same episodes.

    Trained recommenders (--recommenders) and any others (--policies) meet the train users and the test users, whom no
    recommender has learned from. Intervals are 95 % intervals, by bootstrap over users.

    \b
    emosim evaluate --plugin movies --policies random,popular,top_rated
    emosim evaluate --recommenders runs/a,runs/b --policies random,item_knn
    """
    from emosim_core.evaluation import evaluate as evaluation
    from emosim_core.evaluation.plan import EvaluationConfig, with_user_splits
    from emosim_core.evaluation.results import RESULTS
    from emosim_core.hooks import Registry
    from emosim_core.reports.evaluation_report import drawing

    as_json, quiet, no_charts = (given.pop(name) for name in ("as_json", "quiet", "no_charts"))
    registry, out = Registry(only=obj["only"]), given["out"]

    def base(own: Mapping[str, Any], resumed: Path | None) -> tuple[Path | None, dict[str, Any]]:
        where = (own, resumed or Path(), resumed is not None)
        return evaluation.base_directory(*where), evaluation.base_values(*where)

    values, job, _ = chosen_job(
        "evaluate", EvaluationConfig, obj, given, registry, base=base, renamed=with_user_splits, begun=RESULTS
    )
    job = job or new_job("evaluate", f"evaluation-{values['plugin']}", out, RESULTS)
    options: dict[str, Any] = {"draw": drawing(not no_charts), "registry": registry}
    with telling_progress(job):
        results = _play(values, job, options, silent=as_json or quiet)
    if not print_short({**results, "directory": str(job.path)}, job.path, as_json, quiet, indent=1):
        from emosim_core.cli.output import console

        print_results(console(), results, job.path, charts=not no_charts)


def _play(values: dict[str, Any], job: JobDirectory, options: dict[str, Any], silent: bool) -> dict[str, Any]:
    from emosim_core.evaluation.evaluate import evaluate as compare

    if silent:
        return compare(values, job, **options)
    from emosim_core.cli.output import console, live_progress

    screen = console()
    with live_progress(screen, "episodes") as bar:

        def on_progress(progress: Progress) -> None:
            cost = [] if progress.cost is None else [f"{progress.cost:.4f} spent"]
            bar.update(*cost, progress.what, done=progress.done, total=progress.total)

        def on_message(text: str) -> None:
            screen.print_line(f"Note: {text}")

        return compare(values, job, on_message=on_message, on_progress=on_progress, **options)


# ------------------------------------------------------------------------------------------ telling


def print_results(screen: Screen, results: dict[str, Any], directory: Path, charts: bool) -> None:
    """Print the results of an evaluation.

    Args:
        screen: where to.
        results: what evaluation.json holds.
        directory: of the evaluation.
        charts: whether it has charts.
    """
    from emosim_core.cli.output import show_table, usage_rows, who_answers
    from emosim_core.evaluation.metrics import METRICS
    from emosim_core.runs.words import best_recommender

    who = who_answers(results["answered_by"])
    screen.print_line(f"{results['title']}. {who}")
    for user_split, measured in results["user_splits"].items():
        users = f"{user_split} users" if user_split != "all" else "users"
        screen.print()
        screen.print_line((f"{measured['users']} {users}, {measured['episodes']} episodes of each recommender", "bold"))
        by_name = measured["recommenders"]
        names = sorted(by_name, key=lambda name: -(by_name[name]["metrics"]["mean_reward"]["estimate"] or 0.0))
        for of_lists in (False, True):
            columns = [metric for metric in METRICS if metric.of_lists == of_lists]
            show_table(screen, _metrics_table(by_name, names, columns))
            screen.print()
        show_table(screen, _end_reasons_table(by_name, names))
        screen.print()
        screen.print_line(best_recommender(measured, user_split))
        for line in _differences(measured["differences"], names):
            screen.print_line(line)
    screen.print()
    screen.print_line(
        "After ±: half of the 95 % interval over users; coverage has none. @10: the first ten items of an episode."
    )
    for name, value in usage_rows(results["usage"]) if results["usage"] else ():
        screen.print_line(f"{name}: {value}")
    drawn = f", plots in {directory / 'charts'}" if charts else ""
    screen.print_line(f"Written to {directory}: evaluation.json, evaluation.csv{drawn}.")


def _metrics_table(by_name: dict[str, Any], names: list[str], columns: list[Metric]) -> Table:
    from emosim_core.cli.output import Table

    rows = [(name, *(cell(by_name[name]["metrics"][metric.name], metric) for metric in columns)) for name in names]
    return Table("recommender", *(metric.title for metric in columns), rows=rows, style="dim")


def _end_reasons_table(by_name: dict[str, Any], names: list[str]) -> Table:
    from emosim_core.cli.output import END_REASONS_SHORT, Table

    first = next(iter(by_name.values()))["end_reasons"]
    total = {reason: sum(one["end_reasons"][reason]["estimate"] for one in by_name.values()) for reason in first}
    reasons = sorted((reason for reason, share in total.items() if share), key=lambda reason: -total[reason])
    rows = [
        (name, *(f"{by_name[name]['end_reasons'][reason]['estimate']:.1%}" for reason in reasons)) for name in names
    ]
    headings = (END_REASONS_SHORT.get(reason, reason) for reason in reasons)
    return Table("recommender", *headings, rows=rows, style="dim")


def cell(value: Estimate, metric: Metric) -> str:
    """An estimate as the screen shows it: ``312.4 ±14.0``."""
    estimate, low, high = value["estimate"], value["low"], value["high"]
    if estimate is None:
        return "-"
    text = metric.written(estimate)
    half = None if low is None or high is None else (high - low) / 2 * (100 if metric.share else 1)
    return text if half is None else f"{text} ±{half:.{metric.decimals}f}"


def _differences(differences: dict[str, Any], names: list[str]) -> list[str]:
    """In words: what each recommender earns above the best one that was not trained, or else above the first."""
    from emosim_core.runs.words import signed

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
    return [f"Reward above {difference['reference']}, {best}, in the same episodes [95 % interval]:", *lines]
