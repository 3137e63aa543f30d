"""Parts of reports by themselves: values and intervals in words, differences, tables, and pages that others wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emosim_core.errors import RunError
from emosim_core.reports.ablation_report import better_of, grid_of, is_decided
from emosim_core.reports.chart import Chart, Series, identifier, numbers
from emosim_core.reports.directories import kind_of
from emosim_core.reports.make import written_report
from emosim_core.reports.report import flat, interval, short
from emosim_core.reports.training_report import report_of_training
from emosim_core.reports.validation_report import comparison, notes_of
from emosim_core.terminal import counted


def test_values_are_written_as_users_write_them() -> None:
    values = {"a": {"b": None, "c": {}}, "d": [True, 0.5, "x"], "e": 1e-7}
    assert flat(values) == [("a.b", "not set"), ("a.c", "{}"), ("d", "[yes, 0.5, x]"), ("e", "1e-07")]
    assert short(False) == "no"


def test_an_interval_has_both_ends_or_is_none() -> None:
    assert interval({"low": 0.1, "high": 0.25}, 2) == "95 %: 0.10 to 0.25"
    assert interval({"low": None, "high": 0.0}, 1) == interval({}, 1) == "no interval"


@pytest.mark.parametrize(
    ("low", "high", "estimate", "better", "expected"),
    [
        (0.1, 0.3, 0.2, "higher", "a"),
        (0.1, 0.3, 0.2, "lower", "b"),
        (-0.3, -0.1, -0.2, "higher", "b"),
        (-0.1, 0.3, 0.1, "higher", None),
        (None, None, 0.1, "higher", None),
    ],
)
def test_a_variant_is_better_where_the_interval_of_the_difference_leaves_out_zero(
    low: float | None, high: float | None, estimate: float, better: str, expected: str | None
) -> None:
    difference = {"low": low, "high": high, "estimate": estimate, "better": better}
    assert better_of(difference, ("a", "b")) == expected
    assert is_decided(difference) == (expected is not None)


def test_a_grid_is_told_by_what_varies_what_does_not_and_its_seeds() -> None:
    variants = [{"rater": "rule_based", "llm_model": "", "items_retrieval": f"last_{k}"} for k in (1, 2)]
    jobs = [{"variant": variant, "seed": seed} for variant in variants for seed in (43, 42)]
    assert grid_of({"jobs": jobs}) == (["items_retrieval"], ["rater rule_based"], [42, 43])
    assert grid_of({"jobs": []}) == ([], [], [])
    assert (counted(1, "job"), counted(1200, "job")) == ("1 job", "1,200 jobs")


def test_a_chart_that_cannot_be_drawn_is_an_error() -> None:
    assert numbers([1 / 3, float("nan")]) == [0.3333, None]
    assert (identifier("All!", "of it"), identifier("é")) == ("all-of-it", "figure")
    for wrong in (
        {"id": "No id"},
        {"series": [Series("s", [1.0, 2.0])]},
        {"series": [Series("s", [float("inf")])]},
        {"kind": "heat", "cells": [[1.0, 2.0]], "rows": ["r"]},
        {"kind": "plane", "cells": [[1.0]], "edges": ([0.0], [0.0, 1.0])},
    ):
        with pytest.raises(ValueError, match=r"chart|the id"):
            Chart(**{"id": "c", "kind": "bars", "title": "", "caption": "", "x": "", "y": "", "names": ["n"], **wrong})  # type: ignore[arg-type]


def test_a_directory_is_told_by_its_files(tmp_path: Path) -> None:
    assert kind_of(tmp_path) is None
    for name, content, kind in (
        ("interactions.jsonl", "", "run"),
        ("manifest.json", '{"config": {"algo": "ppo"}}', "training"),
        ("manifest.json", '{"kind": "ablation"}', "ablation"),
        ("evaluation.json", "{}", "evaluation"),
        ("page.json", "{}", "page"),
    ):
        (tmp_path / name).write_text(content)
        assert kind_of(tmp_path) == kind
    with pytest.raises(RunError, match="is no directory"):
        kind_of(tmp_path / "nowhere")


def test_a_training_is_reported_from_its_lines(tmp_path: Path) -> None:
    lines = [
        {"timesteps": step, "episodes": step // 4, "reward": step / 10, "lr": 0.1, "evaluation": {"test": step / 5}}
        for step in (400, 800, 1200)
    ]
    (tmp_path / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = report_of_training(tmp_path)
    facts = {fact.name: (fact.value, fact.aside) for fact in report.facts}
    assert facts["reward in evaluation episodes, test users"] == ("240", "last evaluation; 80 in the first")
    assert facts["reward per episode, while learning"] == ("120", "mean of the last 100 episodes; 40 in the first 100")
    assert facts["steps of training"] == ("1,200", "")
    assert [chart.title for chart in report.charts] == ["Reward in evaluation episodes", "Reward per episode"]
    assert ("Lr", "0.1") in report.sections[1].tables[0].rows
    (tmp_path / "progress.jsonl").write_text('{"timesteps": 2}\n{"timesteps": 1}\n')
    with pytest.raises(RunError, match="line 2: is out of order"):
        report_of_training(tmp_path)


def test_a_validation_of_choices_alone_has_no_columns_of_ratings_and_says_what_its_log_lacks() -> None:
    whole = {"estimate": 0.5, "low": 0.4, "high": 0.6}
    results: dict[str, Any] = {
        "users": 3,
        "left_out": 0,
        "data": {"times": False, "explicit": False},
        "choices": {"random": {"ratios": {"1:1": {"simulated users": {"auc": whole}, "EASE": {"auc": whole}}}}},
        "choice_differences": {"random": {"EASE": {"estimate": 0.0, "low": -0.1, "high": 0.1}}},
    }
    table = comparison(results)
    assert list(table.columns) == ["variant", "AUC, random", "simulated users less this, AUC"]
    assert [list(row) for row in table.rows] == [
        ["simulated users", "0.500 [0.400, 0.600]", ""],
        ["EASE", "0.500 [0.400, 0.600]", "+0.000 [-0.100, +0.100]"],
    ]
    assert table.title == "3 users, split at random"
    assert len(notes_of(results)) == 2
    results["choices"]["random"]["ratios"]["1:1"]["EASE"]["auc"] = {"estimate": 0.5, "low": 0.5, "high": 0.5}
    assert notes_of(results)[2].endswith("to tell them by: EASE.")


def test_a_page_that_somebody_wrote_is_a_report_or_an_error_that_names_the_field(tmp_path: Path) -> None:
    chart = {"id": "c", "kind": "bars", "title": "t", "caption": "", "x": "x", "y": "y", "names": ["n"]}
    page: dict[str, Any] = {"kind": "study", "title": "T", "headline": "H"}
    section = {"id": "s", "title": "S", "charts": [chart]}
    (tmp_path / "page.json").write_text(json.dumps({**page, "sections": [section]}))
    assert [one.id for one in written_report(tmp_path).charts] == ["c"]
    for sections, message in (
        ([section, section], "two charts have the id 'c'"),
        ([{"id": "s"}], r"sections\.0\.title"),
    ):
        (tmp_path / "page.json").write_text(json.dumps({**page, "sections": sections}))
        with pytest.raises(RunError, match=message):
            written_report(tmp_path)
