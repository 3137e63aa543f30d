"""How far an evaluation may be believed: how often verdicts as clear as its own held where the truth was known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emosim_core.fitting.directory import read_card
from emosim_core.simulation.assembly import World
from emosim_core.stats import CRITICAL

PAGE = "docs/believe.md"
"""The page that says how that is measured."""

_NAMED = 3
"""Verdicts whose clearness is said, at most."""

_REFERENCES = ("control", "best_baseline", "first")
"""What differences may be to; the first that there is counts."""

METRIC = "mean_rating"
"""What was measured where the truth was known."""


def trust_of(world: World) -> dict[str, Any] | None:
    """What the card of a world's fitted users says of verdicts; None of other users, and where it says nothing."""
    part = world.parts.get("rater", {})
    path = (part.get("options") or {}).get("path")
    return read_card(Path(path)).trust if part.get("name") == "fitted" and path else None


def trust_line(trust: Mapping[str, Any] | None, measured: Mapping[str, Any]) -> str:
    """How often verdicts as clear as those of an evaluation held, in a sentence or two; empty where it has none.

    Args:
        trust: what :func:`trust_of` says.
        measured: what ``user_splits`` of evaluation.json holds of one user split.
    """
    reference = next((one for one in _REFERENCES if measured["differences"].get(one)), None)
    if reference is None:
        return ""
    if trust is None:
        return f"How often such verdicts are right was not measured for these users; emosim trust does it ({PAGE})."
    apart = measured["differences"][reference]["recommenders"]
    sentences = []
    for name in list(apart)[:_NAMED]:
        values = [apart[name]["metrics"].get(METRIC, {}).get(key) for key in ("estimate", "low", "high")]
        if None in values or values[2] <= values[1]:
            continue
        clearness = abs(values[0]) / ((values[2] - values[1]) / (2 * CRITICAL))
        row = next(one for one in reversed(trust["calibration"]) if clearness >= one["from"])
        held = (
            "no verdict was as clear" if row["held"] is None else f"held in {row['held']:.0%} (n = {row['verdicts']:,})"
        )
        sentences.append(f"of {name!r}, {clearness:.1f} standard errors, {held}")
    if not sentences:
        return ""
    return f"On {trust['truth']}, verdicts on the mean rating as clear as that {'; '.join(sentences)} ({PAGE})."
