"""Charts: what they show of a run, and what they refuse."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import emosim_core
from emosim_core.evaluation.columns import Part, read_run
from emosim_core.reports import Chart, Series, report_of
from emosim_core.reports.background import background
from emosim_core.reports.drawings import draw_charts, draw_files
from emosim_core.reports.run_charts import charts_of_run
from emosim_core.reports.run_sums import RunSums


def charts(run: Path) -> dict[str, Chart]:
    read = read_run(run)
    return {chart.id: chart for chart in charts_of_run(read, RunSums.of(Part.of(read)), background(read.manifest))}


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "interactions.jsonl").read_text().splitlines()]


def test_ratings_stand_beside_those_of_real_users(made: Path) -> None:
    chart = charts(made / "a")["ratings"]
    mine, real = chart.series
    summary = json.loads((made / "a" / "summary.json").read_text())
    assert list(mine.counts) == list(summary["rating_counts"].values())
    domain = emosim_core.make("movies").unwrapped.engine.world.domain
    assert list(real.y) == pytest.approx(list(domain.real_ratings), abs=1e-4)
    assert domain.real_ratings_source in chart.caption
    shares = np.array(mine.counts) / sum(mine.counts)
    assert f"{np.abs(shares - domain.real_ratings).sum() / 2:.3f}" in chart.caption


def test_categories_are_means_of_the_ratings_of_their_items(made: Path) -> None:
    chart = charts(made / "a")["categories"]
    world = emosim_core.make("movies").unwrapped.engine.world
    categories = {item.id: item.categories for item in world.catalog.items}
    for place, name in enumerate(chart.names):
        ratings = [
            one["rating"]
            for record in records(made / "a")
            for one in record["recommended"]
            if name in categories[one["item"]]
        ]
        assert chart.series[0].counts[place] == len(ratings)
        assert chart.series[0].y[place] == pytest.approx(np.mean(ratings), abs=1e-3)
    assert list(chart.series[0].y) == sorted(chart.series[0].y, reverse=True)


def test_ratings_over_time_are_means_by_step(made: Path) -> None:
    series = charts(made / "a")["ratings-over-time"].series[0]
    for place in (0, 4):
        ratings = [r["recommended"][0]["rating"] for r in records(made / "a") if r["step"] == place + 1]
        assert series.y[place] == pytest.approx(np.mean(ratings), abs=1e-3)
        assert series.low[place] <= series.y[place] <= series.high[place]


def test_the_heat_map_has_the_mean_rating_of_a_user_and_an_item(made: Path) -> None:
    chart = charts(made / "a")["heat"]
    lines = records(made / "a")
    names = {record["user"]: record["user_profile"]["name"] for record in lines if "user_profile" in record}
    j, i = next((j, i) for j, row in enumerate(chart.cells) for i, cell in enumerate(row) if cell is not None)
    ratings = [
        one["rating"]
        for record in lines
        for one in record["recommended"]
        if one["title"] == chart.names[i] and names[record["user"]] == chart.rows[j]
    ]
    assert chart.cells[j][i] == pytest.approx(np.mean(ratings), abs=0.01)


def test_a_run_whose_items_have_changed_says_nothing_of_categories(made: Path, tmp_path: Path) -> None:
    manifest = json.loads((made / "a" / "manifest.json").read_text())
    manifest["data"]["items_sha256"] = "0" * 64
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "interactions.jsonl").write_bytes((made / "a" / "interactions.jsonl").read_bytes())
    report = report_of(tmp_path)
    assert "categories" not in {chart.id for chart in report.charts}
    assert any("have changed" in note for note in report.notes)


def test_a_run_of_a_plugin_that_is_gone_is_reported_without_what_it_knows(made: Path, tmp_path: Path) -> None:
    manifest = json.loads((made / "a" / "manifest.json").read_text())
    manifest["config"]["plugin"] = "gone"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "interactions.jsonl").write_bytes((made / "a" / "interactions.jsonl").read_bytes())
    report = report_of(tmp_path)
    assert any("'gone' cannot be used" in note for note in report.notes)
    assert [series.name for series in report.charts[0].series] == ["this run"]


def test_a_run_without_a_step_has_a_report(made: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes((made / "a" / "manifest.json").read_bytes())
    report = report_of(tmp_path)
    assert report.charts == []
    assert report.stories == []
    assert any("not complete" in note for note in report.notes)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": "../up"}, "must be lower-case"),
        ({"names": ["a"]}, "2 values, which names does not fit"),
        ({"series": [Series("s", [1.0, float("nan")])]}, "not finite"),
        ({"series": [Series("s", [1.0, 2.0], low=[0.0])]}, "which low does not fit"),
        ({"kind": "lines"}, "which x does not fit"),
        ({"kind": "heat", "series": [], "rows": ["r"], "cells": [[1.0]]}, "not 1 rows of 2"),
    ],
)
def test_a_chart_with_parts_that_do_not_fit_is_refused(wrong: dict, message: str) -> None:
    right = {
        "id": "f", "kind": "bars", "title": "t", "caption": "s", "x": "x", "y": "y",
        "series": [Series("s", [1.0, 2.0])], "names": ["a", "b"],
    }  # fmt: skip
    Chart(**right)
    with pytest.raises(ValueError, match=message):
        Chart(**{**right, **wrong})


@pytest.mark.slow
def test_every_chart_is_drawn_as_png_and_svg_the_same_each_time(hostile: Path, tmp_path: Path) -> None:
    shown = report_of(hostile).charts
    written = draw_charts(shown, tmp_path / "one")
    assert {path.name for path in written} == {f"{chart.id}.{kind}" for chart in shown for kind in ("png", "svg")}
    again = draw_charts(shown, tmp_path / "two")
    for one, other in zip(written, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    # A title is text, no formula and no markup.
    text = "".join(ET.parse(tmp_path / "one" / "heat.svg").getroot().itertext())
    assert "</script><script>" in text


def test_names_stand_at_the_ends_of_lines_apart_from_each_other_and_many_lines_have_a_legend(tmp_path: Path) -> None:
    def texts(count: int) -> dict[str, tuple[float, float]]:
        """Where the name of each of several lines stands that all end at the same value."""
        series = [Series(f"line {k}", [float(k), None, 5.0, None], [1, 2, 3, 4]) for k in range(count)]
        draw_charts([Chart(f"of-{count}", "lines", "t", "s", "x", "y", series)], tmp_path)
        found = ET.parse(tmp_path / f"of-{count}.svg").iter("{http://www.w3.org/2000/svg}text")
        return {one.text: (float(one.attrib["x"]), float(one.attrib["y"])) for one in found if one.text in names}

    names = {f"line {k}" for k in range(9)}
    few = texts(3)
    assert len({x for x, _ in few.values()}) == 1
    heights = sorted(y for _, y in few.values())
    assert min(np.diff(heights)) > 8
    many = texts(9)
    assert many.keys() == names
    assert len({x for x, _ in many.values()}) > 1  # in a legend below, beside each other


def test_charts_of_one_file_share_the_axes_that_are_the_same(tmp_path: Path) -> None:
    def panel(title: str, most: float, x: str = "x") -> Chart:
        return Chart("f", "rows", title, "s", x, "name", [Series("one", [most, 1.0])], ["a", "b"])

    def ticks(*charts: Chart) -> list[str]:
        written = draw_files({"file": charts}, tmp_path)
        assert [path.name for path in written] == ["file.png", "file.svg"]
        found = ET.parse(tmp_path / "file.svg").iter("{http://www.w3.org/2000/svg}text")
        return [one.text or "" for one in found]

    same = ticks(panel("Left", 2.0), panel("Right", 100.0))
    assert same.count("80") == 2
    other = ticks(panel("Left", 2.0, "points"), panel("Right", 100.0, "steps"))
    assert other.count("80") == 1
    assert {"Left", "Right", "points", "steps"} <= set(other)
    assert ticks(panel("Alone", 2.0)).count("Alone") == 0
