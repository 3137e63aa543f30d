"""Evaluation: what is simulated, on whom, what is made of it, and how it goes on after it was stopped."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.evaluations import SMALL, config_of, trained

from emosim_core import ConfigurationError, EmoSimError, RunError, TrustError, UnknownNameError, run
from emosim_core.components.base import Rater
from emosim_core.components.rule_based import RuleBased
from emosim_core.evaluation.evaluate import base, evaluate
from emosim_core.evaluation.metrics import METRICS
from emosim_core.evaluation.plan import (
    model_environment,
    notes_on,
    recommenders_of,
    with_logs,
)
from emosim_core.evaluation.results import compute_results
from emosim_core.hooks.fields import split_components
from emosim_core.hooks.names import spelled
from emosim_core.plugins import Registry


def lines_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "interactions.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An evaluation of two policies with both user splits, and its metrics."""
    out = tmp_path_factory.mktemp("made") / "e"
    return out, evaluate(SMALL, out)


# ------------------------------------------------------------------------------------ what is simulated


def test_every_recommender_meets_the_same_users_of_each_split_in_order(made: tuple[Path, dict[str, Any]]) -> None:
    out, results = made
    met: dict[str, list[list[str]]] = {}
    for group in ("train", "test"):
        for name in ("random", "popular"):
            first = [line for line in lines_of(out / "runs" / group / name) if line["step"] == 1]
            met.setdefault(group, []).append([line["user"] for line in sorted(first, key=lambda one: one["episode"])])
    for users in met.values():
        assert users[0] == users[1]
        assert len(users[0]) == 6
    known, new = met["train"][0], met["test"][0]
    assert len(set(known)) == 6
    assert new == new[:4] + new[:2]
    assert not set(known) & set(new)
    assert results["user_splits"]["test"]["users"] == 4


def test_the_metrics_are_those_of_the_runs(made: tuple[Path, dict[str, Any]]) -> None:
    out, results = made
    for group, measured in results["user_splits"].items():
        for name, one in measured["recommenders"].items():
            summary = json.loads((out / "runs" / group / name / "summary.json").read_text())
            for metric, wanted in (
                ("mean_reward", summary["mean_reward"]),
                ("mean_rating", summary["mean_rating"]),
                ("share_liked", summary["share_liked"]),
                ("episode_length", summary["episode_length"]["mean"]),
                ("valence_at_end", summary["mood_at_end"]["valence"]),
                ("arousal_at_end", summary["mood_at_end"]["arousal"]),
            ):
                assert one["metrics"][metric]["estimate"] == pytest.approx(wanted, abs=1e-4), metric
            counts = {end: round(value["estimate"] * 6) for end, value in one["end_reasons"].items()}
            assert {end: count for end, count in counts.items() if count} == summary["end_reasons"]
            assert one["run"] == f"runs/{group}/{name}"


def test_the_directory_alone_gives_the_metrics_again_and_a_changed_record_changes_them(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    import shutil

    out, results = made
    shutil.copytree(out, tmp_path / "moved")
    assert compute_results(tmp_path / "moved") == results == json.loads((out / "evaluation.json").read_text())
    records = tmp_path / "moved" / "runs" / "test" / "popular" / "interactions.jsonl"
    text = records.read_text()
    records.write_text(text.replace('"rating":9', '"rating":1'))
    again = compute_results(tmp_path / "moved")
    before, after = (
        one["user_splits"]["test"]["recommenders"]["popular"]["metrics"]["mean_rating"]["estimate"]
        for one in (results, again)
    )
    assert after < before
    assert again["user_splits"]["train"] == results["user_splits"]["train"]


def test_the_table_has_a_row_for_each_recommender_user_split_and_metric(made: tuple[Path, dict[str, Any]]) -> None:
    out, results = made
    with (out / "evaluation.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    ends = {end for one in results["user_splits"]["train"]["recommenders"].values() for end in one["end_reasons"]}
    for group in ("train", "test"):
        for name in ("random", "popular"):
            mine = [row for row in rows if (row["user_split"], row["recommender"]) == (group, name)]
            metrics = [row["metric"] for row in mine]
            assert len(metrics) == len(set(metrics))
            assert {metric.name for metric in METRICS} <= set(metrics)
            if group == "train":
                assert {f"end_reason:{end}" for end in ends} <= set(metrics)
            (reward,) = [row for row in mine if row["metric"] == "mean_reward"]
            wanted = results["user_splits"][group]["recommenders"][name]["metrics"]["mean_reward"]
            assert {key: float(reward[key]) for key in wanted} == wanted
    assert next(row for row in rows if row["metric"] == "coverage")["low"] == ""


def test_differences_are_to_the_best_that_was_not_trained_and_to_the_first(made: tuple[Path, dict[str, Any]]) -> None:
    _, results = made
    for measured in results["user_splits"].values():
        rewards = {name: one["metrics"]["mean_reward"]["estimate"] for name, one in measured["recommenders"].items()}
        best, first = measured["differences"]["best_baseline"], measured["differences"]["first"]
        assert max(rewards, key=lambda name: rewards[name]) == "oracle"
        assert best["reference"] == "popular"
        assert first["reference"] == "random"
        above = first["recommenders"]["popular"]["metrics"]["mean_reward"]
        assert above["estimate"] == pytest.approx(rewards["popular"] - rewards["random"], abs=1e-5)
        assert above["low"] <= above["estimate"] <= above["high"]
        assert set(best["recommenders"]) == {"random", "oracle"}


def test_the_oracle_stands_beside_recommenders_with_the_regret_of_each(made: tuple[Path, dict[str, Any]]) -> None:
    out, results = made
    assert results["recommenders"][-1] == {
        "name": "oracle", "policy": "oracle", "model": None, "folder": "oracle", "added": True,
    }  # fmt: skip
    with (out / "evaluation.csv").open(newline="") as stream:
        rows = {(row["user_split"], row["recommender"], row["metric"]): row for row in csv.DictReader(stream)}
    for split, measured in results["user_splits"].items():
        assert measured["regret"]["oracle"] == "oracle"
        assert set(measured["regret"]["recommenders"]) == {"random", "popular"}
        for name, one in measured["regret"]["recommenders"].items():
            regret = one["metrics"]["mean_reward"]
            own, best = (measured["recommenders"][who]["metrics"]["mean_reward"] for who in (name, "oracle"))
            assert regret["estimate"] == pytest.approx(best["estimate"] - own["estimate"], abs=1e-5)
            assert 0 < regret["low"] <= regret["estimate"] <= regret["high"]
            above = measured["differences"]["first"]["recommenders"]["oracle"]["metrics"]["mean_reward"]
            if name == "random":
                assert above == regret  # paired: the same resamples of the same users
            assert float(rows[split, name, "regret:mean_reward"]["estimate"]) == regret["estimate"]


def test_the_oracle_is_left_out_where_it_is_not_wanted_and_stands_once_where_it_is_named(tmp_path: Path) -> None:
    given = {**SMALL, "user_splits": "test"}
    without = evaluate({**given, "oracle": False}, tmp_path / "a")
    assert [one["name"] for one in without["recommenders"]] == ["random", "popular"]
    assert "regret" not in without["user_splits"]["test"]
    named = evaluate({**given, "policies": ["oracle", "random"]}, tmp_path / "b")
    assert [one["name"] for one in named["recommenders"]] == ["oracle", "random"]
    assert set(named["user_splits"]["test"]["regret"]["recommenders"]) == {"random"}
    assert named["user_splits"]["test"]["differences"]["best_baseline"]["reference"] == "random"


def test_of_a_rater_that_does_not_tell_what_users_rate_there_is_an_oracle_only_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RuleBased, "expected_batch", Rater.expected_batch)
    given = {**SMALL, "user_splits": "test", "episodes": 3, "max_steps": 2}
    results = evaluate(given, tmp_path / "a")
    assert [one["name"] for one in results["recommenders"]] == ["random", "popular"]
    (note,) = results["notes"]
    assert note.startswith("No oracle: rater 'rule_based' of emosim-core ")
    assert "--policies oracle" in note
    named = evaluate({**given, "policies": ["random", "oracle"]}, tmp_path / "b")
    assert named["notes"] == []
    assert named["user_splits"]["test"]["regret"]["recommenders"]["random"]["metrics"]["mean_reward"]["estimate"] > 0


def test_neither_the_seed_of_the_resamples_nor_of_the_episodes_is_left_to_chance(tmp_path: Path) -> None:
    first, again = (evaluate({**SMALL, "user_splits": "test"}, tmp_path / name) for name in ("a", "b"))
    assert first["user_splits"] == again["user_splits"]
    other = evaluate({**SMALL, "user_splits": "test", "seed": 7}, tmp_path / "c")
    assert other["user_splits"] != first["user_splits"]


def test_the_catalog_and_the_scale_of_another_domain_are_used(tmp_path: Path) -> None:
    results = evaluate({**SMALL, "plugin": "books", "user_splits": ["all"]}, tmp_path / "e")
    assert results["scale"]["high"] == 5
    assert results["liked_from"] == pytest.approx(1 + 6 / 9 * 4)
    assert results["user_splits"]["all"]["recommenders"]["random"]["metrics"]["mean_rating"]["estimate"] <= 5


# --------------------------------------------------------------------------------------------- charts


def test_charts_are_drawn_of_the_results_when_all_is_measured(tmp_path: Path) -> None:
    calls: list[Any] = []
    results = evaluate({**SMALL, "user_splits": "test"}, tmp_path / "e", draw=lambda *call: calls.append(call))
    assert calls == [(results, tmp_path / "e" / "charts")]


# ----------------------------------------------------------------------------------------------- logs


def test_policies_that_learn_from_logs_are_given_some_of_train_users_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("surprise")
    monkeypatch.setattr("emosim_core.evaluation.evaluate.LOG_EPISODES", 40)
    messages: list[str] = []
    given = {**SMALL, "policies": ["random", "item_knn:k=5"], "user_splits": "test"}
    results = evaluate(given, tmp_path / "e", on_message=messages.append)
    assert any("40 episodes of 'random' with the train users" in text for text in messages)
    manifest = json.loads((tmp_path / "e" / "logs" / "manifest.json").read_text())
    assert (manifest["config"]["user_split"], manifest["config"]["policy"]) == ("train", "random")
    assert manifest["config"]["seed"] != results["config"]["seed"]
    new = {line["user"] for line in lines_of(tmp_path / "e" / "runs" / "test" / "random")}
    assert not new & {line["user"] for line in lines_of(tmp_path / "e" / "logs")}
    assert [one["policy"] for one in results["recommenders"]] == [
        "random", {"name": "item_knn:k=5", "logs": [str(tmp_path / "e" / "logs")]}, "oracle",
    ]  # fmt: skip
    assert list(results["user_splits"]["test"]["recommenders"]) == ["random", "item_knn:k=5", "oracle"]


def test_logs_of_an_earlier_evaluation_are_used_again_where_they_would_be_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("surprise")
    monkeypatch.setattr("emosim_core.evaluation.evaluate.LOG_EPISODES", 10)
    given = {**SMALL, "policies": ["item_knn:k=5"], "user_splits": "test"}
    first = evaluate(given, tmp_path / "first")
    messages: list[str] = []
    again = evaluate({**given, "policies": ["item_knn:k=5", "random"]}, tmp_path / "again", on_message=messages.append)
    assert any(f"those of {tmp_path / 'first'}, which were made the same, are used again" in text for text in messages)
    for name in ("manifest.json", "interactions.jsonl", "summary.json"):
        made = (tmp_path / "first" / "logs" / name).read_bytes()
        assert (tmp_path / "again" / "logs" / name).read_bytes() == made
    of = [one["user_splits"]["test"]["recommenders"]["item_knn:k=5"]["metrics"] for one in (first, again)]
    assert of[0]["mean_rating"] == of[1]["mean_rating"]
    for one in ("first", "again"):
        moved = (tmp_path / one / "logs" / "interactions.jsonl").rename(tmp_path / f"{one}.jsonl")
        (tmp_path / one / "logs" / "interactions.jsonl").symlink_to(moved)
    others: dict[str, Any] = {"steps": {"max_steps": 7}, "users": {"user_dataset": "sampled:n=30"}, "linked": {}}
    for name, other in others.items():
        messages.clear()
        evaluate({**given, **other}, tmp_path / name, on_message=messages.append)
        assert any("are simulated first" in text for text in messages), name


def test_logs_that_are_named_are_used_and_none_are_made(tmp_path: Path) -> None:
    pytest.importorskip("surprise")
    run("movies", tmp_path / "logs", user_dataset="sampled:n=20", user_split="train", episodes=10, max_steps=20)
    given = {**SMALL, "policies": ["item_knn"], "user_splits": "test", "logs": str(tmp_path / "logs")}
    results = evaluate(given, tmp_path / "e")
    assert not (tmp_path / "e" / "logs").exists()
    assert results["recommenders"][0]["policy"]["logs"] == [str(tmp_path / "logs")]
    assert results["notes"] == []


@pytest.mark.parametrize(
    ("policy", "needs"),
    [
        ("item_knn", True),
        ("item_knn:k=5", True),
        ("item_knn:runs/logs", False),
        ("item_knn:k=5,logs=runs/logs", False),
        ({"name": "item_knn", "k": 5}, True),
        ({"name": "item_knn", "logs": ["runs/logs"]}, False),
        ("popular", False),
        ("epsilon_greedy:epsilon=0.2", False),
    ],
)
def test_who_names_logs_with_a_policy_is_not_given_others(policy: Any, needs: bool) -> None:
    (recommender,) = recommenders_of(config_of(policies=[policy]), Registry())
    assert recommender.needs_logs is needs


def test_logs_are_added_to_a_policy_in_any_form() -> None:
    assert with_logs("item_knn:k=5", ["a", "b"]) == {"name": "item_knn:k=5", "logs": ["a", "b"]}
    assert with_logs({"name": "item_knn", "k": 5}, ["a"]) == {"name": "item_knn", "k": 5, "logs": ["a"]}


# --------------------------------------------------------------------------------------------- models


def test_the_environment_is_that_of_the_first_model_but_for_who_is_met(tmp_path: Path) -> None:
    model = trained(
        tmp_path / "a", plugin="books", max_steps=30, user_order="sequential", items_retrieval="last_3",
        history_length=50,
        llm_model="m", gateway={"concurrency": 4, "replay": True, "max_cost": 1},
    )  # fmt: skip
    environment = model_environment(model)
    assert (environment["plugin"], environment["max_steps"], environment["items_retrieval"]) == ("books", 30, "last_3")
    assert not {"user_split", "user_order", "history_length", "observe_consumed", "algo", "seed"} & set(environment)
    assert environment["gateway"] == {"concurrency": 4, "attempts": 5, "cache": None}
    assert (environment["llm_model"], "rater" in environment) == ("m", False)
    assert base({"recommenders": f"{model},other"}, None) == (Path(model), environment)
    assert base({"policies": ["random"]}, None) == (None, {})


def test_a_model_that_was_trained_elsewhere_is_noted_with_what_differs(tmp_path: Path) -> None:
    models = [
        trained(tmp_path / "a"),
        trained(tmp_path / "b", max_steps=30, items_retrieval="last_3", test_fraction=0.3, history_length=7),
    ]
    notes = notes_on(config_of(recommenders=models, max_steps=50, user_dataset=None))
    assert notes == [
        f"{models[1]} was trained in another environment; what differs: items_retrieval, max_steps, test_fraction."
    ]


def test_a_model_or_logs_that_know_the_new_users_are_noted(tmp_path: Path) -> None:
    model = trained(tmp_path / "a", user_split="all")
    run("movies", tmp_path / "logs", user_dataset="sampled:n=20", episodes=2, max_steps=3)
    given = {"recommenders": [model], "max_steps": 50, "user_dataset": None, "logs": [str(tmp_path / "logs")]}
    notes = notes_on(config_of(**given))
    assert [note for note in notes if "the split 'test' is not unseen" in note] == notes
    assert len(notes) == 2
    assert notes_on(config_of(**given, user_splits=["train"])) == []


def test_logs_of_the_episodes_that_are_measured_are_noted(tmp_path: Path) -> None:
    run("movies", tmp_path / "logs", user_dataset="sampled:n=20", user_split="train", episodes=2, max_steps=3, seed=7)
    logs = [str(tmp_path / "logs")]
    (note,) = notes_on(config_of(logs=logs, seed=7))
    assert "was made under the seed 7 too" in note
    assert notes_on(config_of(logs=logs)) == []


def test_what_a_model_from_elsewhere_would_reach_is_asked_for_with_what_was_given(tmp_path: Path) -> None:
    model = trained(tmp_path / "m", llm_model="http://example.com/v1#m", user_dataset="sampled:n=20")
    out, typed = tmp_path / "e", "--llm-model 'http://example.com/v1#m'"
    for given, words in (
        ({"recommenders": model}, f"--recommenders {model}"),
        ({"arms": {"a": model, "b": "popular"}}, f"--arm a={model} --arm b=popular"),
    ):
        with pytest.raises(TrustError) as raised:
            evaluate(given, out)
        assert str(raised.value).splitlines()[-1].strip() == f"emosim evaluate {words} --out {out} {typed}"
        assert not out.exists()


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "is no trained recommender: it has no manifest.json"),
        ("{", "manifest.json is not JSON"),
        ("{}", "manifest.json is damaged"),
        (
            '{"format": 2, "uses_llm": false, "answered_by": "rule_based", "parts": {}, "data": {}, '
            '"config": {"plugin": "movies", "policy": "random", "episodes": 3}}',
            "is a run, no trained recommender",
        ),
    ],
)
def test_a_directory_that_is_no_model_is_named_as_such(tmp_path: Path, manifest: str | None, message: str) -> None:
    (tmp_path / "m").mkdir()
    if manifest is not None:
        (tmp_path / "m" / "manifest.json").write_text(manifest)
    with pytest.raises(RunError, match=message):
        evaluate({"plugin": "movies", "recommenders": [str(tmp_path / "m")]}, tmp_path / "e")
    assert not (tmp_path / "e").exists()


# ---------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("random,popular", ["random", "popular"]),
        (" random , popular,", ["random", "popular"]),
        ("epsilon_greedy:epsilon=0.2,prior_weight=5,random", ["epsilon_greedy:epsilon=0.2,prior_weight=5", "random"]),
        ("replay:a.csv,epsilon_greedy:epsilon=0.2", ["replay:a.csv", "epsilon_greedy:epsilon=0.2"]),
        ("", []),
    ],
)
def test_a_list_of_policies_is_split_where_a_policy_begins(text: str, parts: list[str]) -> None:
    assert split_components(text) == parts


def test_a_policy_is_labelled_as_it_is_written() -> None:
    assert spelled("epsilon_greedy:epsilon=0.2") == "epsilon_greedy:epsilon=0.2"
    assert spelled({"name": "epsilon_greedy", "epsilon": 0.2}) == "epsilon_greedy:epsilon=0.2"
    assert spelled({"name": "popular"}) == "popular"


def test_recommenders_that_would_share_a_folder_get_folders_of_their_own(tmp_path: Path) -> None:
    for name in ("a b.csv", "a_b.csv"):
        (tmp_path / name).write_text("item\nthe-matrix-1999\n")
    policies = [f"replay:{tmp_path}/a b.csv", f"replay:{tmp_path}/a_b.csv", {"name": "replay", "file": "../../x"}]
    recommenders = recommenders_of(config_of(policies=policies), Registry())
    folders = [one.folder for one in recommenders]
    assert len(set(folders)) == 3
    assert all("/" not in folder and not folder.startswith(".") for folder in folders)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"policies": []}, ConfigurationError, "nothing to evaluate: name trained recommenders with --recommenders"),
        ({"policies": ["random", "random"]}, ConfigurationError, "the policy 'random' is named twice"),
        ({"policies": ["popluar"]}, UnknownNameError, "Did you mean 'popular'"),
        ({"policies": ["epsilon_greedy:epsilon=2"]}, ConfigurationError, "epsilon"),
        ({"user_splits": "train,old"}, ConfigurationError, "user_splits"),
        ({"user_splits": "test,test"}, ConfigurationError, "'test' is named twice"),
        ({"user_splits": []}, ConfigurationError, "user_splits"),
        ({"episodes": 0}, ConfigurationError, "episodes"),
        ({"resamples": 1}, ConfigurationError, "resamples"),
        ({"user_dataset": "sampled:n=2"}, ConfigurationError, "leaves nobody"),
        ({"policies": ["replay:nowhere.csv"]}, EmoSimError, "nowhere.csv"),
    ],
)
def test_a_mistake_is_an_error_and_leaves_nothing(
    tmp_path: Path, more: dict[str, Any], error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate({**SMALL, **more}, tmp_path / "e")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------- resuming


def test_an_evaluation_that_was_cut_anywhere_resumes_to_the_same_metrics(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    import shutil

    out, wanted = made
    for cut in ("a line", "a run", "a manifest", "results", "remains"):
        copy = tmp_path / cut
        shutil.copytree(out, copy)
        plan = {key: value for key, value in wanted.items() if key != "user_splits"}
        (copy / "evaluation.json").write_text(json.dumps({**plan, "complete": False}))
        last = copy / "runs" / "test" / "popular"
        if cut == "a line":
            (last / "summary.json").unlink()
            records = last / "interactions.jsonl"
            records.write_bytes(records.read_bytes()[:-40])
        elif cut == "a run":
            shutil.rmtree(last)
        elif cut == "a manifest":
            shutil.rmtree(last)
            last.mkdir()
            (last / ".manifest.json.partial-4194305").write_text("{")
        elif cut == "remains":  # of a process that was killed as it had written its last file
            (last / ".summary.json.partial-4194305").write_text("{")
        content = (copy / "runs" / "train" / "random" / "summary.json").read_bytes()
        again = evaluate({}, copy, resume=True)
        assert again["user_splits"] == wanted["user_splits"], cut
        assert (last / "interactions.jsonl").read_bytes() == (out / "runs/test/popular/interactions.jsonl").read_bytes()
        assert (copy / "runs" / "train" / "random" / "summary.json").read_bytes() == content
        assert again["created"] == wanted["created"]
        assert not list(last.glob(".*.partial-*"))


def test_an_evaluation_is_resumed_only_with_its_own_configuration(
    made: tuple[Path, dict[str, Any]],
) -> None:
    out, results = made
    before = (out / "evaluation.json").read_bytes()
    with pytest.raises(RunError, match="another configuration") as error:
        evaluate({"seed": 7, "policies": ["random"]}, out, resume=True)
    assert "seed: 1042 then, 7 now" in str(error.value)
    assert 'policies: ["random", "popular"] then, ["random"] now' in str(error.value)
    assert (out / "evaluation.json").read_bytes() == before
    more = evaluate({"resamples": 200}, out, resume=True)
    assert more["config"]["resamples"] == 200
    assert evaluate({"resamples": 100}, out, resume=True)["user_splits"] == results["user_splits"]


def test_a_directory_that_is_taken_or_no_evaluation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "note.txt").write_text("mine")
    with pytest.raises(RunError, match=r"exists already; choose another place"):
        evaluate(SMALL, tmp_path / "taken")
    with pytest.raises(RunError, match=r"is no evaluation: it has no evaluation\.json"):
        evaluate({}, tmp_path / "taken", resume=True)
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["note.txt"]


def test_a_run_of_other_users_is_not_compared(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    import shutil

    out, _ = made
    shutil.copytree(out, tmp_path / "e")
    shutil.rmtree(tmp_path / "e" / "runs" / "test" / "popular")
    shutil.copytree(out / "runs" / "train" / "popular", tmp_path / "e" / "runs" / "test" / "popular")
    with pytest.raises(RunError, match="the users are others"):
        compute_results(tmp_path / "e")


def test_progress_counts_every_episode_once(tmp_path: Path) -> None:
    seen: list[Any] = []
    evaluate({**SMALL, "user_splits": "test"}, tmp_path / "e", on_progress=seen.append)
    assert [one.done for one in seen] == list(range(1, 19))
    assert {one.total for one in seen} == {18}
    assert [one.what for one in seen[5:7]] == ["random, test users", "popular, test users"]
