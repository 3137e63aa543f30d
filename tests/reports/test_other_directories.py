"""Reports of what is no run: trainings, evaluations, ablations, and pages that others describe."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from studies.made_up_ratings import write_movielens

import emosim_core
from emosim_core import ConfigurationError, MissingDependencyError, RunError
from emosim_core.reports import report_of, write_report
from emosim_core.reports.evaluation_report import draw_evaluation

pytestmark = pytest.mark.usefixtures("equal_charts_drawn_once")


def estimate(value: float) -> dict[str, float]:
    return {"estimate": value, "low": value - 0.5, "high": value + 0.5}


def evaluation() -> dict[str, Any]:
    def one(reward: float) -> dict[str, Any]:
        return {
            "metrics": {"mean_reward": estimate(reward), "share_liked": estimate(0.6), "coverage": estimate(0.5)},
            "end_reasons": {"max_steps": estimate(0.7), "low_streak": estimate(0.3)},
            "curves": {
                "survival": [estimate(1.0), {"estimate": None, "low": None, "high": None}],
                "reward": [estimate(7.0), estimate(8.0)],
            },
            "users": 12,
            "steps": 30,
            "run": "runs/test/x",
        }

    return {
        "format": 2,
        "complete": True,
        "created": "2026-11-24T00:00:00+00:00",
        "domain": "movies",
        "title": "Movies",
        "config": {"episodes": 24, "seed": 1},
        "notes": ["A note."],
        "recommenders": [
            {"name": name, "policy": name, "model": None, "folder": name} for name in ("random", "popular")
        ],
        "rater": "rule_based",
        "uses_llm": False,
        "answered_by": "rule_based (no language model)",
        "language_model": None,
        "usage": None,
        "versions": {"emosim-core": "0.1.0"},
        "user_splits": {
            "test": {
                "users": 12,
                "episodes": 24,
                "recommenders": {"random": one(100.0), "popular": one(140.0)},
                "differences": {
                    "first": {
                        "reference": "random",
                        "recommenders": {"popular": {"metrics": one(40.0)["metrics"], "end_reasons": {}}},
                    }
                },
            }
        },
    }


def test_an_evaluation_names_the_best_and_shows_every_metric(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation()))
    report = report_of(tmp_path)
    assert report.kind == "evaluation"
    verdict = (
        "'popular' earns the most reward from test users, 140.0 per episode: +40.0 [+39.5, +40.5] more than 'random'."
    )
    assert report.headline == f"{verdict} Rater: rule_based (no language model)."
    reward = next(chart for chart in report.charts if chart.id == "test-mean-reward")
    assert list(reward.names) == ["popular", "random"]
    assert list(reward.series[0].y) == [140.0, 100.0]
    assert {"test-end-reasons", "test-survival", "test-reward", "test-coverage"} <= {
        chart.id for chart in report.charts
    }
    survival = next(chart for chart in report.charts if chart.id == "test-survival")
    assert list(survival.series[0].x) == [1]
    assert write_report(tmp_path).stat().st_size > 1_000_000


def test_an_evaluation_that_is_not_complete_or_damaged_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps({**evaluation(), "complete": False}))
    with pytest.raises(RunError, match="emosim evaluate --resume"):
        report_of(tmp_path)
    broken = evaluation()
    del broken["user_splits"]["test"]["recommenders"]["random"]["metrics"]["mean_reward"]
    (tmp_path / "evaluation.json").write_text(json.dumps(broken))
    with pytest.raises(RunError, match=r"is damaged \(KeyError: 'mean_reward'\)"):
        report_of(tmp_path)


@pytest.mark.slow
def test_charts_of_an_evaluation_have_a_panel_for_each_user_split_and_names_as_they_are(tmp_path: Path) -> None:
    options = {"policies": ["popular", "random"], "user_dataset": "sampled:n=20", "episodes": 6, "max_steps": 8}
    results = emosim_core.evaluate("movies", tmp_path / "e", resamples=100, charts=False, **options)
    text = json.dumps(results).replace('"popular"', '"_$x$"')
    files = draw_evaluation(json.loads(text), tmp_path / "charts")
    assert [path.name for path in files] == [
        f"{name}.{kind}"
        for name in ("reward", "survival", "reward_by_step", "lists", "end_reasons")
        for kind in ("png", "svg")
    ]
    for path in files:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG") if path.suffix == ".png" else b"_$x$" in content, path
    survival = (tmp_path / "charts" / "survival.svg").read_text()
    assert "Train users" in survival
    assert "Test users" in survival
    again = draw_evaluation(json.loads(text), tmp_path / "again")
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]


def test_drawing_without_matplotlib_says_what_to_install_before_anything_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"--no-charts.*emosim-core\[train\]"):
        emosim_core.evaluate("movies", tmp_path / "e", policies=["random"], episodes=1)
    assert not (tmp_path / "e").exists()


def test_a_training_shows_a_curve_for_each_number_of_its_progress(tmp_path: Path) -> None:
    lines = [
        {"timesteps": 100 * step, "reward": 50.0 + step, "length": 10, "loss": 1.0 / step, "note": "text"}
        for step in range(1, 6)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"timesteps": 600, "rew'
    (tmp_path / "progress.jsonl").write_text(text)
    report = report_of(tmp_path)
    curves = {chart.id: chart for chart in report.charts}
    assert set(curves) == {"curve-reward", "curve-length", "curve-loss"}
    assert list(curves["curve-reward"].series[0].x) == [100, 200, 300, 400, 500]
    assert list(curves["curve-reward"].series[0].y) == [51, 52, 53, 54, 55]
    assert next(fact.value for fact in report.facts if fact.name == "reward per episode, while learning") == "55"


def test_numbers_within_a_line_have_curves_of_their_own_and_nothing_is_drawn_for_null(tmp_path: Path) -> None:
    lines = [
        {"timesteps": 10, "episodes": 0, "reward": None, "losses": {"value": 2.0}},
        {"timesteps": 20, "episodes": 3, "reward": 7.0, "losses": {"value": 1.0}, "evaluation": {"test": 8.0}},
    ]
    (tmp_path / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    curves = {chart.id: chart.series[0] for chart in report_of(tmp_path).charts}
    assert set(curves) == {"curve-reward", "curve-losses-value", "curve-reward-in-evaluation-episodes"}
    assert (list(curves["curve-reward"].x), list(curves["curve-reward"].y)) == ([20], [7])
    assert list(curves["curve-reward-in-evaluation-episodes"].y) == [8]


def test_a_single_evaluation_of_a_training_makes_bars_and_several_make_lines(tmp_path: Path) -> None:
    lines = [
        {"timesteps": 10 * step, "evaluation": {"test": 7.0 + step}, "intervals": {"test": [6.0, 12.0]}}
        for step in (1, 2)
    ]
    others = {"episodes": 3, "rewards": {"test": {"random": estimate(5.0)}}}
    (tmp_path / "references.json").write_text(json.dumps(others))

    def evaluated(count: int) -> Any:
        (tmp_path / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[:count]))
        (chart,) = report_of(tmp_path).charts
        return chart

    once, twice = evaluated(1), evaluated(2)
    assert (once.kind, list(once.names)) == ("rows", ["this training, test users", "random, test users"])
    (series,) = once.series
    assert (list(series.y), list(series.low), list(series.high)) == ([8, 5], [6, 4.5], [12, 5.5])
    assert (twice.kind, [list(one.x) for one in twice.series]) == ("lines", [[10, 20], [10, 20]])


def test_a_training_that_was_stopped_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").write_text('{"timesteps": 10, "reward": 1}\n')
    config = {"plugin": "movies", "algo": "a2c", "timesteps": 100}
    (tmp_path / "manifest.json").write_text(json.dumps({"config": config, "parts": {}, "data": {}}))
    report = report_of(tmp_path)
    assert report.title == "Training A2C on movies"
    assert any(f"emosim train --resume {tmp_path}" in note for note in report.notes)


def test_what_never_changes_in_a_training_is_listed_and_not_drawn(tmp_path: Path) -> None:
    lines = [{"timesteps": step, "losses": {"learning_rate": 0.01, "value": 1.0 / step}} for step in (1, 2, 3)]
    (tmp_path / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = report_of(tmp_path)
    assert [chart.id for chart in report.charts] == ["curve-losses-value"]
    assert report.sections[0].tables[0].rows == [("Learning rate", "0.01")]


@pytest.mark.slow
def test_a_training_that_was_made_is_reported_as_its_files_say(quick: Any, tmp_path: Path) -> None:
    quick(
        "train", "--plugin", "movies", "--users", "sampled:n=20", "--timesteps", "400", "--num-envs", "4",
        "--max-steps", "8", "--eval-every", "200", "--quiet", "--out", "t", timeout=300,
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "t" / "progress.jsonl").read_text().splitlines()]
    report = report_of(tmp_path / "t")
    assert (report.kind, report.title) == ("training", "Training A2C on movies")
    assert report.notes == []
    curves = {chart.id: chart for chart in report.charts}
    for name in ("reward", "length"):
        points = [(line["timesteps"], line[name]) for line in lines if line[name] is not None]
        assert (
            list(zip(curves[f"curve-{name}"].series[0].x, curves[f"curve-{name}"].series[0].y, strict=True)) == points
        )
    tested = [line for line in lines if line.get("evaluation")]
    assert len(tested) >= 2
    series_of = {series.name: series for series in curves["curve-reward-in-evaluation-episodes"].series}
    for split in tested[0]["evaluation"]:
        assert list(series_of[split].x) == [line["timesteps"] for line in tested]
        assert list(series_of[split].y) == [line["evaluation"][split] for line in tested]
    stored = json.loads((tmp_path / "t" / "references.json").read_text())["rewards"]["test"]
    assert set(stored) == {"random", "popular", "oracle", "untrained"} == set(series_of) - set(tested[0]["evaluation"])
    for name, one in stored.items():
        assert set(series_of[name].y) == {one["estimate"]}
    facts = {fact.name: fact.value for fact in report.facts}
    assert facts["steps of training"] == f"{lines[-1]['timesteps']:,}"
    assert {"reward of final model, test users", "reward in evaluation episodes, train users"} <= set(facts)
    assert write_report(tmp_path / "t", charts=tmp_path / "metrics").stat().st_size > 1_000_000
    assert (tmp_path / "metrics" / "curve-reward.svg").exists()


@pytest.mark.slow
def test_an_evaluation_that_was_made_is_reported_as_its_files_say(quick: Any, tmp_path: Path) -> None:
    quick(
        "evaluate", "--plugin", "movies", "--policies", "random,popular", "--users", "sampled:n=20", "--episodes", "8",
        "--max-steps", "8", "--resamples", "200", "--no-charts", "--quiet", "--out", "e", timeout=300,
    )  # fmt: skip
    stored = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    report = report_of(tmp_path / "e")
    assert report.kind == "evaluation"
    assert {section.id for section in report.sections} == {
        "side-by-side",
        "user-split-test",
        "user-split-train",
        "setup",
    }
    for group, measured in stored["user_splits"].items():
        chart = next(one for one in report.charts if one.id == f"{group}-mean-reward")
        rewards = {name: one["metrics"]["mean_reward"] for name, one in measured["recommenders"].items()}
        for place, name in enumerate(chart.names):
            shown = [getattr(chart.series[0], which)[place] for which in ("y", "low", "high")]
            assert shown == [rewards[name][which] for which in ("estimate", "low", "high")]
        section = next(one for one in report.sections if one.id == f"user-split-{group}")
        table = next(one for one in section.tables if one.title == "All metrics")
        assert set(table.columns[1:]) == {"random", "popular", "oracle"}
        one = measured["recommenders"]["random"]
        assert len(table.rows) == len(one["metrics"]) + len(one["end_reasons"])
        # every run behind it can be reported by itself
        for one in measured["recommenders"].values():
            assert report_of(tmp_path / "e" / one["run"]).kind == "run"
    assert write_report(tmp_path / "e").stat().st_size > 1_000_000


def test_a_line_that_is_no_progress_is_named(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").write_text('{"timesteps": 1, "reward": 2}\n{"reward": 3}\n')
    with pytest.raises(RunError, match="line 2: is damaged: timesteps: Field required"):
        report_of(tmp_path)


def test_an_ablation_shows_each_side_of_each_study_by_variant(quick: Any, tmp_path: Path) -> None:
    quick(
        "ablate", "--plugin", "movies", "--study", "high_rating,sampling", "--items-retrieval",
        "last_3,decay_emotion_3", "--executor", "local", "--out", "abl", "--quiet", timeout=300,
    )  # fmt: skip
    report = report_of(tmp_path / "abl")
    results = json.loads((tmp_path / "abl" / "results.json").read_text())
    assert report.kind == "ablation"
    chart = next(chart for chart in report.charts if chart.id == "high-rating-success-share")
    assert list(chart.names) == ["last_3", "decay_emotion_3"]
    shares = [one["metrics"][0]["estimate"] for one in results["jobs"] if one["study"] == "high_rating"]
    assert list(chart.series[0].y) == shares
    overview = next(chart for chart in report.charts if chart.id == "overview")
    assert [series.name for series in overview.series] == ["last_3", "decay_emotion_3"]
    facts = {fact.name: fact for fact in report.facts}
    assert facts["ratings"].value == f"{sum(one['ratings'] for one in results['jobs']):,}"
    assert write_report(tmp_path / "abl").stat().st_size > 1_000_000


def ablation_job(variant: dict[str, str], share: float) -> dict[str, Any]:
    metrics = [
        {
            "metric": "success share", "side": side, "estimate": share, "low": share - 0.1, "high": share + 0.1,
            "interval": "bootstrap", "better": "higher", "ratings": 50, "failed": failed, "groups": {},
        }
        for side, failed in (("positive", 3), ("negative", 2))
    ]  # fmt: skip
    answers = {"rater": "r", **variant}
    return {"study": "collections", "seed": 1, "variant": answers, "ratings": 100, "failed": 5, "metrics": metrics}


def write_ablation(directory: Path, jobs: list[dict[str, Any]], differences: list[dict[str, Any]]) -> None:
    results = {
        "format": 2,
        "title": "Movies", "studies": ["collections"], "jobs": jobs, "pooled": [],
        "differences": differences, "missing": [], "left_out": {}, "uses_llm": False,
    }  # fmt: skip
    (directory / "manifest.json").write_text(json.dumps({"format": 2, "kind": "ablation"}))
    (directory / "results.json").write_text(json.dumps(results))


def test_a_difference_between_variants_says_what_both_have_where_other_options_vary_too(tmp_path: Path) -> None:
    variants = [{"items_retrieval": r, "perturbator": p} for p in ("off", "gaussian") for r in ("last_3", "none")]
    differences = [
        {
            "study": "collections", "metric": "success share", "side": "positive", "differs": ["items_retrieval"],
            "first": first, "second": second, "estimate": 0.3, "low": 0.2, "high": 0.4, "better": "higher",
        }
        for first, second in (variants[:2], variants[2:])
    ]  # fmt: skip
    write_ablation(tmp_path, [ablation_job(variant, 0.5) for variant in variants], differences)
    tables = {table.title: table for section in report_of(tmp_path).sections for table in section.tables}
    compared = ["last_3 - none (perturbator off)", "last_3 - none (perturbator gaussian)"]
    assert [row[1] for row in tables["Where variants differ"].rows] == compared
    assert [row[0] for row in tables["Differences"].rows] == compared


def test_an_ablation_counts_the_ratings_of_both_sides_and_says_which_variant_is_better(tmp_path: Path) -> None:
    differences = [
        {
            "study": "collections", "metric": "success share", "side": side, "differs": ["items_retrieval"],
            "first": {"items_retrieval": "last_3"}, "second": {"items_retrieval": "none"}, "estimate": estimate,
            "low": estimate - 0.05, "high": estimate + 0.05, "better": "higher",
        }
        for side, estimate in (("positive", -0.2), ("negative", 0.01))
    ]  # fmt: skip
    jobs = [ablation_job({"items_retrieval": name}, share) for name, share in (("last_3", 0.5), ("none", 0.7))]
    write_ablation(tmp_path, jobs, differences)
    report = report_of(tmp_path)
    facts = {fact.name: (fact.value, fact.aside) for fact in report.facts}
    assert facts["ratings"] == ("200", "each on record")
    assert facts["failed ratings"] == ("10", "left out of the shares")
    table = report.sections[0].tables[0]
    assert [row[:3] for row in table.rows] == [("collections", "last_3 - none", "positive")]
    assert table.rows[0][-1] == "none"
    study = next(section for section in report.sections if section.id == "study-collections")
    assert [row[-1] for row in study.tables[1].rows] == ["none", "not decided"]


@pytest.mark.slow
def test_a_validation_shows_simulated_users_beside_every_baseline(quick: Any, tmp_path: Path) -> None:
    for library in ("surprise", "implicit", "scipy"):
        pytest.importorskip(library)
    ratings = write_movielens(tmp_path / "ratings")
    few = ("--negatives", "1,2", "--folds", "2")
    quick("validate", "--plugin", "movies", "--ratings", f"movielens:{ratings}", "--out", "val", "--json", *few)
    report = report_of(tmp_path / "val")
    validation = json.loads((tmp_path / "val" / "validation.json").read_text())
    assert report.kind == "validation"
    assert report.headline == validation["sentence"]
    rows = {row[0]: row for row in report.sections[0].tables[0].rows}
    first = validation["choices"]["random"]["ratios"]["1:1"]
    assert set(rows) >= {*(name for name in first if "auc" in first[name]), *validation["ratings"]}
    assert rows["EASE"][1].startswith(f"{first['EASE']['auc']['estimate']:.3f} [")
    errors = next(chart for chart in report.charts if chart.id == "errors")
    assert list(errors.names) == list(validation["ratings"])
    for section in report.sections:
        for table in section.tables:
            assert {len(row) for row in table.rows} <= {len(table.columns)}
    assert write_report(tmp_path / "val", charts=tmp_path / "metrics").stat().st_size > 1_000_000


def test_a_study_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    for kind, results in (("validation", "validation.json"), ("ablation", "results.json")):
        (tmp_path / "manifest.json").write_text(json.dumps({"format": 2, "kind": kind}))
        (tmp_path / results).write_text('{"format": 2}')
        with pytest.raises(RunError, match=rf"{results} is damaged \(KeyError"):
            report_of(tmp_path)
        (tmp_path / results).unlink()
        with pytest.raises(RunError, match=results):
            report_of(tmp_path)
        with pytest.raises(ConfigurationError, match=f"--prompts is for runs; .* {kind}"):
            report_of(tmp_path, prompts=True)


PAGE = {
    "kind": "study",
    "title": "A study",
    "headline": "What came out.",
    "facts": [{"name": "n", "value": "3"}],
    "sections": [
        {
            "id": "s",
            "title": "Part",
            "charts": [
                {
                    "id": "f", "kind": "lines", "title": "F", "caption": "It rises.", "x": "x", "y": "y",
                    "series": [{"name": "one", "x": [1, 2], "y": [3.5, None]}],
                }
            ],
            "tables": [{"title": "T", "columns": ["a"], "rows": [["1"]]}],
        }
    ],
}  # fmt: skip


def test_a_page_that_somebody_described_is_made(tmp_path: Path) -> None:
    (tmp_path / "page.json").write_text(json.dumps(PAGE))
    report = report_of(tmp_path)
    assert report.charts[0].series[0].y == [3.5, None]
    assert "What came out." in write_report(tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda page: page.pop("title"), "title"),
        (lambda page: page["sections"][0]["charts"][0].update(id="../../x"), "must be lower-case"),
        (lambda page: page["sections"][0]["charts"][0].update(kind="pie"), "kind"),
        (lambda page: page["sections"].append(page["sections"][0]), "two charts have the id 'f'"),
    ],
)
def test_a_page_that_is_described_wrongly_is_an_error_that_names_the_field(
    tmp_path: Path, change: Any, message: str
) -> None:
    wrong = json.loads(json.dumps(PAGE))
    change(wrong)
    (tmp_path / "page.json").write_text(json.dumps(wrong))
    with pytest.raises(RunError, match=message):
        report_of(tmp_path)


def test_a_directory_of_nothing_and_prompts_of_no_run_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds nothing to report"):
        report_of(tmp_path)
    with pytest.raises(RunError, match="is no directory"):
        report_of(tmp_path / "none")
    (tmp_path / "page.json").write_text(json.dumps(PAGE))
    with pytest.raises(ConfigurationError, match="--prompts is for runs"):
        report_of(tmp_path, prompts=True)
