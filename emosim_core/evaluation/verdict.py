"""Verdict: what came out of an evaluation, in a sentence or two, from evaluation.json alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emosim_core.evaluation.metrics import Metric, metric_named
from emosim_core.runs.words import best_recommender, signed, users_of

_NAMED = 4
"""Arms that a verdict names at most."""


def written_difference(metric: Metric, value: float) -> str:
    """A difference of a metric as it is shown, with its sign; of shares in percentage points."""
    return f"{signed(100 * value, metric.decimals)} pp" if metric.share else signed(value, metric.decimals)


def evaluation_verdict(results: Mapping[str, Any], user_split: str, measured: Mapping[str, Any]) -> str:
    """What came out of an evaluation with one user split, in a sentence or two.

    Args:
        results: what evaluation.json holds; ``measured`` is what its ``user_splits`` holds of the split.
    """
    about = results.get("experiment")
    if about is None:
        return best_recommender(measured, user_split)
    metric, control = metric_named(about["metric"]), about["control"]
    parts = []
    arms = measured["differences"]["control"]["recommenders"]
    for arm in list(arms)[:_NAMED]:
        estimate = arms[arm]["metrics"][metric.name]
        values = [estimate[key] for key in ("estimate", "low", "high")]
        if None in values:
            parts.append(f"{arm!r} has no interval")
            continue
        value, low, high = (written_difference(metric, one) for one in values)
        shown = "higher" if values[1] > 0 else "lower" if values[2] < 0 else "no difference shown"
        parts.append(f"{arm!r} {shown}, {value} [{low}, {high}]")
    if len(arms) > _NAMED:
        parts.append(f"and {len(arms) - _NAMED} more")
    text = f"{metric.label.capitalize()} against {control!r} with {users_of(user_split)}: {'; '.join(parts)}."
    guards = [(arm, guard) for arm, one in measured["experiment"]["arms"].items() for guard in one["guards"]]
    if not guards:
        return text
    open_ = [f"{arm!r} in {metric_named(one['metric']).label}" for arm, one in guards if one["verdict"] != "no worse"]
    if not open_:
        return f"{text} All guards hold."
    return f"{text} Guards that are not shown to hold: {', '.join(open_)}."
