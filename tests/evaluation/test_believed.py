"""What an evaluation says of how far it may be believed."""

from __future__ import annotations

from typing import Any

from emosim_core.evaluation.believed import trust_line

TRUST: dict[str, Any] = {
    "truth": "500 users who rated everything",
    "calibration": [
        {"from": 0.0, "to": 2.0, "verdicts": 40, "held": 0.55},
        {"from": 2.0, "to": 5.0, "verdicts": 1200, "held": 0.931},
        {"from": 5.0, "to": None, "verdicts": 0, "held": None},
    ],
}


def measured(**apart: tuple[float, float, float]) -> dict[str, Any]:
    recommenders = {
        name: {"metrics": {"mean_rating": dict(zip(("estimate", "low", "high"), values, strict=True))}}
        for name, values in apart.items()
    }
    return {"differences": {"control": {"recommenders": recommenders}}}


def test_each_verdict_is_said_to_hold_as_often_as_those_that_were_as_clear() -> None:
    line = trust_line(TRUST, measured(new=(-0.3, -0.496, -0.104), old=(0.01, -0.1, 0.12), best=(2.0, 1.8, 2.2)))
    assert line == (
        "On 500 users who rated everything, verdicts on the mean rating as clear as that of 'new', 3.0 standard "
        "errors, held in 93% (n = 1,200); of 'old', 0.2 standard errors, held in 55% (n = 40); of 'best', 19.6 "
        "standard errors, no verdict was as clear (docs/believe.md)."
    )


def test_what_was_not_measured_is_said_and_what_has_no_verdict_is_not() -> None:
    assert "was not measured for these users" in trust_line(None, measured(new=(1.0, 0.5, 1.5)))
    assert trust_line(None, {"differences": {}}) == trust_line(TRUST, {"differences": {"first": None}}) == ""
    assert trust_line(TRUST, measured(same=(0.0, 0.0, 0.0))) == ""
