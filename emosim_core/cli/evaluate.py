"""``emosim evaluate``: compare recommenders on the same users and episodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand
from emosim_core.cli.options import chosen_job, configuration_options, executor_option, place_options
from emosim_core.cli.places import new_job
from emosim_core.cli.printing import print_results
from emosim_core.cli.stopping import telling_progress

if TYPE_CHECKING:
    from emosim_core.evaluation.evaluate import Progress
    from emosim_core.runs.job import JobDirectory


@click.command(cls=SectionedCommand)
@configuration_options("EvaluationConfig", without=("user_split", "user_order"))
@place_options("evaluation")
@executor_option()
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
