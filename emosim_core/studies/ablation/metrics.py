"""Metrics: what the records of an ablation come to, and nothing but the records."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import PluginError
from emosim_core.hooks.faults import named
from emosim_core.model.arrays import Floats
from emosim_core.stats import LEVEL, RESAMPLES, bootstrap, bootstrap_difference, rounded, wilson
from emosim_core.studies.ablation.jobs import JobRecords, together
from emosim_core.studies.study import Metric, RatedTrials, Study

AXES = ("rater", "llm_model", "items_retrieval", "perturbator")
"""In what variants differ."""

VariantNames = tuple[str, ...]
"""A variant: one name per axis."""


def compute_metrics(
    jobs: Iterable[tuple[str, JobRecords]],
    studies: Mapping[str, tuple[Study, str]],
    measured: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Everything that is computed from the records of complete ``jobs``, by their keys.

    ``studies`` have the studies, and each in words, by the name that was asked for; ``measured`` are jobs that were
    measured already by :func:`measure_job`, by their keys.

    Returns:
        Three lists. ``jobs``: each with its key, study, seed, ``variant``, how many ``ratings`` it asked for and how
        many ``failed``, and ``metrics``, as :func:`metric_record`. ``pooled``: the same over all seeds, where there
        are several. ``differences``: of every two variants that differ in one axis, on the same trials of all seeds.
    """
    read, measured = list(jobs), measured or {}
    alone = []
    by_variant: dict[tuple[str, VariantNames], list[tuple[int, JobRecords]]] = {}
    for key, one in read:
        name, seed = one.head["study"]["spec"], int(one.head["seed"])
        by_variant.setdefault((name, _variant(one)), []).append((seed, one))
        about = {"job": key, "study": name, "seed": seed}
        alone.append({**about, **(measured.get(key) or measure_job(one, *studies[name]))})
    whole: dict[tuple[str, VariantNames], tuple[list[int], RatedTrials]] = {}
    pooled = []
    for (name, variant), records in by_variant.items():
        records.sort(key=lambda pair: pair[0])
        seeds, rated = [seed for seed, _ in records], together([one.rated for _, one in records])
        whole[name, variant] = seeds, rated
        if len(seeds) > 1:
            pooled.append({"study": name, "seeds": seeds, **_measured(variant, rated, *studies[name])})
    return {"jobs": alone, "pooled": pooled, "differences": list(_differences(whole, by_variant, studies))}


def measure_job(job: JobRecords, study: Study, label: str) -> dict[str, Any]:
    """The measures of one job by itself; ``label`` is its study in words."""
    return _measured(_variant(job), job.rated, study, label)


def _variant(job: JobRecords) -> VariantNames:
    return tuple(str(job.head["variant"].get(axis, "")) for axis in AXES)


def _measured(variant: VariantNames, rated: RatedTrials, study: Study, label: str) -> dict[str, Any]:
    return {
        "variant": dict(zip(AXES, variant, strict=True)),
        "ratings": len(rated.ratings),
        "failed": int((~rated.answered).sum()),
        "metrics": [metric_record(metric, rated) for metric in metrics_of(study, label, rated)],
    }


def metrics_of(study: Study, label: str, rated: RatedTrials) -> Sequence[Metric]:
    """The measures of a study; a PluginError where it raised, or one is not of the right shape."""
    with named(label):
        metrics = study.metrics(rated)
    for metric in metrics:
        count = len(rated.ratings)
        if metric.concerned.shape != (count,) or metric.sums.ndim != 2 or len(metric.sums) != count:
            raise PluginError(f"{label} made the measure {metric.name!r} of the wrong shape for {count} ratings")
    return metrics


def metric_record(metric: Metric, rated: RatedTrials) -> dict[str, Any]:
    """One metric with its interval: ``estimate``, ``low``, ``high``, null where nothing was answered; ``interval``, how
    it was made; ``ratings`` asked for and ``failed`` ones among them; estimate and answered ratings of each group."""
    concerned = metric.concerned
    sums, clusters = metric.sums[concerned], rated.clusters[concerned]
    answered = rated.answered[concerned]
    estimate = float(metric.value(sums.sum(axis=0)))
    by_cluster = summed(sums[answered], clusters[answered], np.unique(clusters[answered]))
    interval, low, high = "", float("nan"), float("nan")
    if estimate == estimate:
        if metric.share and len(by_cluster) == answered.sum():
            interval = "Wilson"
            low, high = map(float, wilson(*(float(total) for total in sums.sum(axis=0))))
        else:
            interval = "bootstrap"
            low, high = bootstrap(by_cluster, metric.value, metric.inflated, most=1.0)
            if low == high and estimate in (0.0, 1.0):  # nothing varies, which drawing again takes for certainty
                interval = "Wilson over clusters"
                low, high = map(float, wilson(estimate * len(by_cluster), len(by_cluster)))
    groups = rated.groups[concerned]
    names = [name for name in np.unique(groups).tolist() if name]
    values: list[float] = metric.value(summed(sums, groups, np.array(names))).tolist() if names else []
    return {
        "metric": metric.name,
        "side": metric.side,
        "estimate": rounded(estimate),
        "low": rounded(low),
        "high": rounded(high),
        "interval": interval,
        "better": metric.better,
        "ratings": int(concerned.sum()),
        "failed": int((~answered).sum()),
        "clusters": len(by_cluster),
        "groups": {
            name: {"estimate": rounded(value), "answered": int(answered[groups == name].sum())}
            for name, value in zip(names, values, strict=True)
        },
    }


def summed(sums: Floats, labels: NDArray[np.str_], names: NDArray[np.str_]) -> Floats:
    """Sums ``(n, d)`` over the trials of each of ``names``, which are sorted, by their labels ``(n,)``; other labels
    are left out. Shape ``(names, d)``."""
    total = np.zeros((len(names), sums.shape[1]))
    if len(names):
        place = np.minimum(np.searchsorted(names, labels), len(names) - 1)
        known = names[place] == labels
        np.add.at(total, place[known], sums[known])
    return total


def _differences(
    whole: Mapping[tuple[str, VariantNames], tuple[list[int], RatedTrials]],
    by_variant: Mapping[tuple[str, VariantNames], list[tuple[int, JobRecords]]],
    studies: Mapping[str, tuple[Study, str]],
) -> Iterable[dict[str, Any]]:
    for (name, first), (other_name, second) in itertools.combinations(whole, 2):
        differing = [axis for axis, one, other in zip(AXES, first, second, strict=True) if one != other]
        # A language model comes with its way of prompting: the two differ together from a rater that asks none.
        if name != other_name or (len(differing) != 1 and differing != ["rater", "llm_model"]):
            continue
        pair = [dict(by_variant[name, variant]) for variant in (first, second)]
        seeds = sorted(set(pair[0]) & set(pair[1]))
        seeds = [seed for seed in seeds if pair[0][seed].trials == pair[1][seed].trials]
        if not seeds:
            continue
        rated = [together([jobs[seed].rated for seed in seeds]) for jobs in pair]
        for one, other in zip(*(metrics_of(*studies[name], some) for some in rated), strict=True):
            clusters = np.unique(rated[0].clusters[one.concerned])
            sums = [
                summed(metric.sums[metric.concerned], some.clusters[metric.concerned], clusters)
                for metric, some in zip((one, other), rated, strict=True)
            ]
            estimate = float(one.value(sums[0].sum(axis=0)) - other.value(sums[1].sum(axis=0)))
            low, high = bootstrap_difference(sums[0], sums[1], one.value, other.value)
            yield {
                "study": name,
                "metric": one.name,
                "side": one.side,
                "differs": differing,
                "first": dict(zip(AXES, first, strict=True)),
                "second": dict(zip(AXES, second, strict=True)),
                "seeds": seeds,
                "estimate": rounded(estimate),
                "low": rounded(low),
                "high": rounded(high),
                "better": one.better,
                "ratings": int(one.concerned.sum()),
            }


HOW = {
    "level": LEVEL,
    "Wilson": "Wilson's score interval, where no two ratings hang together",
    "Wilson over clusters": "the same, each cluster counting once: where all ratings of all clusters agree",
    "bootstrap": f"percentiles over {RESAMPLES} draws of whole clusters (users) with replacement; for a "
    "distance together with their mirror image at the estimate",
    "differences": f"percentiles over {RESAMPLES} draws of the same clusters on both sides",
}
"""How intervals are made, for results.json."""
