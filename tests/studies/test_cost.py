"""What the calls of language models will take, estimated before they are made."""

from __future__ import annotations

import pytest

from emosim_core.llm import Price
from emosim_core.studies.cost import Estimate, by_model

PRICE = Price(prompt=2.0, cached=1.0, completion=8.0, currency="USD", as_of="2026-11-01")


def test_estimates_of_several_jobs_are_summed_by_model_and_the_cost_is_that_of_the_sum() -> None:
    jobs = [Estimate("a", 2, 100, 20, PRICE), Estimate("b", 1, 7, 3, None), Estimate("a", 3, 900, 80, PRICE)]
    one, other = by_model(jobs)
    assert one == Estimate("a", 5, 1000, 100, PRICE)
    assert one.cost == pytest.approx(sum(job.cost or 0.0 for job in jobs)) == pytest.approx(0.0028)
    assert other == jobs[1]
    assert other.cost is None


def test_nothing_to_estimate_is_no_estimate() -> None:
    assert by_model([]) == []
