"""``emosim evaluate``: compare recommenders on the same users and episodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand
from emosim_core.cli.options import chosen_job, configuration_options, executor_option, place_options
from emosim_core.cli.places import new_job
from emosim_core.cli.printing import print_line, print_results
from emosim_core.cli.stopping import telling_progress
from emosim_core.errors import ConfigurationError

if TYPE_CHECKING:
    from emosim_core.evaluation.evaluate import Progress
    from emosim_core.runs.job import JobDirectory


@click.command(cls=SectionedCommand)
@configuration_options("EvaluationConfig", without=("user_split", "user_order"))
@place_options("evaluate")
@executor_option()
@click.option("--no-charts", is_flag=True, help="Draw no charts.")
@click.option(
    "--off-policy",
    type=click.Path(path_type=Path),
    metavar="LOG.csv",
    help="Simulate nobody: estimate from a log with propensities what --policies would earn.",
)
@click.pass_obj
def evaluate(obj: dict[str, Any], /, **given: Any) -> None:
    """Compare recommenders on the same users, in the same episodes.

    Trained recommenders (--recommenders) and any others (--policies) meet the train users and the test users, whom no
    recommender has learned from. Intervals are 95 % intervals, by bootstrap over users.

    \b
    emosim evaluate --plugin movies --policies random,popular,top_rated
    emosim evaluate --recommenders runs/a,runs/b --policies random,item_knn
    """
    if (log := given.pop("off_policy")) is not None:
        _from_log(log, obj, given)
        return
    from emosim_core.evaluation.evaluate import base
    from emosim_core.evaluation.plan import EvaluationConfig, own_values
    from emosim_core.evaluation.results import RESULTS
    from emosim_core.hooks import Registry
    from emosim_core.reports.evaluation_report import drawing

    as_json, quiet, no_charts = (given.pop(name) for name in ("as_json", "quiet", "no_charts"))
    registry, out, executor = Registry(only=obj["only"]), given["out"], given.pop("executor") or "local"

    values, job, _ = chosen_job(
        *("evaluate", EvaluationConfig, obj, given, registry),
        base=base,
        renamed=own_values,
        begun=RESULTS,
    )
    job = job or new_job("evaluate", f"evaluation-{values['plugin']}", out, RESULTS)
    options: dict[str, Any] = {"draw": drawing(not no_charts), "registry": registry, "executor": executor}
    with telling_progress(job):
        results = _play(values, job, options, silent=as_json or quiet)
    print_results(results, job.path, as_json, quiet, indent=1)


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


_OF_A_LOG = ("plugin", "items", "policies", "slate", "seed", "as_json", "quiet", "executor", "no_charts")
"""Options that have a meaning with ``--off-policy``, and those that change nothing there."""


def _from_log(log: Path, obj: dict[str, Any], given: dict[str, Any]) -> None:
    """Print what recommenders would earn by a log."""
    from emosim_core.cli.options import need_plugin
    from emosim_core.cli.output import Table, console, show_table
    from emosim_core.data import json_text
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import split_components
    from emosim_core.reports.chart import with_ends
    from emosim_core.studies.trust.given_log import off_policy

    values = {name: value for name, value in given.items() if value is not None}
    if wrong := [name for name, value in values.items() if value is not False and name not in _OF_A_LOG]:
        spelled = f"--{wrong[0].rpartition('.')[2].replace('_', '-')}"
        raise ConfigurationError(
            f"{spelled} says nothing of a log: --off-policy takes --plugin, --items, --policies, --slate"
        )
    registry = Registry(only=obj["only"])
    need_plugin(values, registry)
    names = split_components(values.get("policies", ""))
    if not names:
        raise ConfigurationError(
            "there is nothing to evaluate: name recommenders with --policies, such as popular,item_knn"
        )
    slate, seed = values.get("slate", 1), values.get("seed", 42)
    results = off_policy(registry, values["plugin"], values.get("items"), log, names, slate, seed)
    if given["as_json"]:
        print_line(json_text.dumps(results, ensure_ascii=False, indent=1))
        return
    estimators = ("IPS", "SNIPS", "DR", "DM")
    rows = [
        (name, *(with_ends(one[key], "{:.2f}".format) for key in estimators), f"{one['weight']:.2f}")
        for name, one in results["recommenders"].items()
    ]
    title = f"Mean rating, {results['scale']}, by {results['measured']:,} answers of {results['users']:,} users"
    screen = console()
    show_table(screen, Table("recommender", *estimators, "mean weight", rows=rows, title=title, style="dim"))
    screen.print_line(
        "In brackets are 95 % intervals over users. Recommenders have learned from the earlier answers of an episode. "
        "A mean weight far from 1: the log has too little of what the recommender shows, and IPS is not to be believed."
    )
