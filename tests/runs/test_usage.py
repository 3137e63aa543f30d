"""Usage: what model calls took, in one job and in several together."""

from __future__ import annotations

from emosim_core.runs.usage import since, summed


def test_what_is_counted_before_a_job_is_none_of_its_usage() -> None:
    before = {"calls": 2, "cost": 0.1, "currency": "USD"}
    after = {"calls": 5, "cost": 0.4, "currency": "USD", "failed": 1}
    assert since(before, after) == {"calls": 3, "cost": 0.3, "currency": "USD", "failed": 1}


def test_counts_and_costs_of_jobs_are_summed_up() -> None:
    jobs = [{"calls": 2, "cost": 0.1, "currency": "USD"}, {}, {"calls": 3, "cost": 0.2, "currency": "USD"}]
    assert summed(jobs) == {"calls": 5, "cost": 0.3, "currency": "USD"}
    assert summed([]) == {}


def test_a_count_that_one_job_does_not_know_is_not_known_of_all() -> None:
    jobs = [{"calls": 2, "cost": None}, {"calls": 3, "cost": 0.2}]
    assert summed(jobs) == summed(jobs[::-1]) == {"calls": 5, "cost": None}


def test_a_currency_is_that_of_the_jobs_that_paid() -> None:
    free, paid = {"cost": 0.0, "currency": None}, {"cost": 0.2, "currency": "USD"}
    assert summed([free, paid]) == {"cost": 0.2, "currency": "USD"}
    assert summed([paid, {"cost": 1.0, "currency": "CNY"}])["currency"] is None
