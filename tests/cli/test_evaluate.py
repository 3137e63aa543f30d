"""``emosim evaluate``: what it prints and leaves, how it is stopped and resumed, what it says about mistakes."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from emosim_core.evaluation.metrics import METRICS
from emosim_core.testing import Answer, ChatServer

FEW = ("--users", "sampled:n=20", "--episodes", "4", "--max-steps", "8", "--resamples", "200")
MOVIES = ("evaluate", "--plugin", "movies", *FEW)


def test_an_evaluation_in_several_processes_leaves_the_same_and_counts_its_episodes(quick: Any) -> None:
    command = (*MOVIES, "--policies", "random,popular,item_knn", "--no-charts")
    for name in ("local", "processes:2"):
        done = quick(*command, "--executor", name, "--out", name.replace(":", ""))
        assert f"All files are in {name.replace(':', '')}." in done.out
    files = []
    for folder in (quick.folder / "local", quick.folder / "processes2"):
        kept = [path for path in folder.rglob("*") if path.suffix in (".jsonl", ".csv")]
        files.append({str(path.relative_to(folder)): path.read_bytes() for path in kept})
    assert len(files[0]) == 1 + 8 + 2
    assert files[0] == files[1]
    first, second = (
        json.loads((quick.folder / name / "evaluation.json").read_text()) for name in ("local", "processes2")
    )
    assert first["user_splits"] == second["user_splits"]
    message = quick(*command, "--executor", "processses:2", "--out", "n", status=2).err
    assert "processses" in message
    assert "Did you mean 'processes'?" in message
    assert not (quick.folder / "n").exists()


def test_an_evaluation_prints_its_tables_and_leaves_metrics_and_charts(quick: Any) -> None:
    done = quick(*MOVIES, "--policies", "random,epsilon_greedy:epsilon=0.2,prior_weight=5", "--out", "e", COLUMNS="80")
    assert done.err == ""
    for word in (
        "Rater: rule_based (no language model).",
        "Train users", "Test users", "4 users, 4 episodes with each recommender.", "ended: stayed to the end",
        "Above the first, 'random'", "All files are in e. Charts, as a page: emosim report e",
    ):  # fmt: skip
        assert word in done.out, word
    lines = done.out.splitlines()
    labels = [metric.label for metric in METRICS]
    rows = [line for line in lines if line.startswith(("metric ", *(f"{label} " for label in labels)))]
    assert max(map(len, rows)) <= 80
    assert {label for label in labels if sum(row.startswith(f"{label} ") for row in rows) < 4} == set()
    results = json.loads((quick.folder / "e" / "evaluation.json").read_text())
    shown = results["user_splits"]["train"]["recommenders"]["random"]["metrics"]["mean_reward"]["estimate"]
    assert any(re.search(rf"^reward per episode .*\b{shown:.1f} \[", line) for line in lines)
    written = sorted(str(path.relative_to(quick.folder / "e")) for path in (quick.folder / "e").rglob("*.*"))
    assert written == sorted(
        [
            "evaluation.csv", "evaluation.json", "items.csv",
            *(f"charts/{name}.{kind}" for name in ("end_reasons", "lists", "reward", "reward_by_step", "survival")
              for kind in ("png", "svg")),
            *(f"runs/{group}/{name}/{file}" for group in ("train", "test")
              for name in ("random", "oracle", "epsilon_greedy_epsilon=0.2_prior_weight=5")
              for file in ("interactions.jsonl", "manifest.json", "summary.json")),
            *(f"runs/{group}/epsilon_greedy_epsilon=0.2_prior_weight=5" for group in ("train", "test")),
        ]
    )  # fmt: skip


def test_json_is_the_metrics_and_nothing_else_and_quiet_is_the_directory(quick: Any, tmp_path: Path) -> None:
    options = (*MOVIES, "--policies", "popular", "--user-splits", "test", "--no-charts")
    payload = quick(*options, "--out", "e", "--json").json
    assert payload.pop("directory") == "e"
    assert payload == json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert list(payload["user_splits"]) == ["test"]
    assert not (tmp_path / "e" / "charts").exists()
    output = quick(*options, "--quiet").output
    assert output.startswith("runs/evaluation-movies-")
    assert (tmp_path / output.strip() / "evaluation.json").exists()


def test_every_option_reaches_the_configuration(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('history_length = 5\nuser_split = "test"\n[reward_shaping]\nname = "identity"\n')
    given = {
        "--user-splits": "all", "--episodes": "3", "--seed": "7", "--num-envs": "2", "--resamples": "150",
        "--items-retrieval": "last_2", "--test-fraction": "0.4", "--slate": "2", "--max-steps": "4",
        "--users": "basic:n=12",
        "--config": "c.toml", "--logs": "a,b",
    }  # fmt: skip
    options = [word for pair in given.items() for word in pair]
    payload = quick(
        "evaluate", "--plugin", "movies", "--policies", "random", "--policies", "popular,top_rated", *options,
        "--no-charts", "--json",
    ).json  # fmt: skip
    config = payload["config"]
    assert config["policies"] == ["random", "popular", "top_rated"]
    assert (config["user_splits"], config["episodes"], config["seed"], config["num_envs"]) == (["all"], 3, 7, 2)
    assert (config["resamples"], config["items_retrieval"], config["test_fraction"], config["slate"]) == (
        150,
        "last_2",
        0.4,
        2,
    )
    assert (config["max_steps"], config["history_length"], config["logs"]) == (4, 5, ["a", "b"])
    manifest = json.loads((tmp_path / payload["directory"] / "runs" / "all" / "random" / "manifest.json").read_text())
    assert manifest["config"]["reward_shaping"] == {"name": "identity"}
    assert (manifest["config"]["user_order"], manifest["config"]["user_split"]) == ("sequential", "all")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to evaluate: name trained recommenders with --recommenders"),
        (["--policies", ","], "there is nothing to evaluate"),
        (["--policies", "popluar"], "Did you mean 'popular'"),
        (["--policies", "random,random"], "the policy 'random' is named twice"),
        (["--policies", "random:k=2"], "takes no options"),
        (["--policies", "replay:nowhere.csv"], "nowhere.csv: no such file"),
        (["--recommenders", "nowhere"], "nowhere is no trained recommender: it has no manifest.json"),
        (["--recommenders", "runs/r"], "runs/r is a run, no trained recommender"),
        (["--policies", "random", "--user-splits", "old"], "--user-splits: "),
        (["--policies", "random", "--episodes", "0"], "--episodes: "),
        (["--policies", "random", "--resamples", "3"], "--resamples: "),
        (["--policies", "random", "--user-order", "random"], "No such option"),
        (["--policies", "random", "--out", "taken"], "taken exists already; choose another place"),
        (["--policies", "random", "--resume", "taken"], "taken is no evaluation: it has no evaluation.json"),
        (["--policies", "random", "--resume", "a", "--out", "b"], "name different directories"),
        (["--policies", "random", "--max-cost", "1"], "--max-cost needs a language model"),
        (["--policies", "item_knn", "--llm-model", "http://127.0.0.1:1/v1#m"], "item_knn must be given runs to learn"),
        (["--policies", "item_knn", "--logs", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_clear_message_and_leaves_nothing(
    quick: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "note").write_text("mine")
    (tmp_path / "runs" / "r").mkdir(parents=True)
    config = {"plugin": "movies", "policy": "random", "episodes": 3}
    manifest = {
        "format": 2,
        "uses_llm": False,
        "answered_by": "rule_based",
        "config": config,
        "parts": {},
        "data": {},
    }
    (tmp_path / "runs" / "r" / "manifest.json").write_text(json.dumps(manifest))
    before = sorted(tmp_path.rglob("*"))
    assert message in quick(*MOVIES, *arguments, "--no-charts", status=2).err
    assert sorted(path for path in tmp_path.rglob("*") if not {"cache", "state"} & set(path.parts)) == before
    assert not list((tmp_path / "state").rglob("*.json"))


def test_a_configuration_file_names_recommenders_and_users(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'plugin = "movies"\nuser_dataset = "sampled:n=20"\nuser_splits = ["test"]\nepisodes = 2\nmax_steps = 3\n'
        'policies = ["popular", {name = "epsilon_greedy", epsilon = 0.3}]\n'
    )
    payload = quick("evaluate", "--config", "c.toml", "--no-charts", "--json").json
    assert list(payload["user_splits"]) == ["test"]
    assert list(payload["user_splits"]["test"]["recommenders"]) == ["popular", "epsilon_greedy:epsilon=0.3", "oracle"]


def test_without_a_domain_or_a_model_it_says_how_to_choose_one(quick: Any) -> None:
    assert "choose a domain with --plugin" in quick("evaluate", "--policies", "random", status=2).err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_evaluation_that_is_stopped_in_the_middle_goes_on_to_the_same_metrics(
    quick: Any, how: signal.Signals
) -> None:
    options = (
        "evaluate", "--plugin", "movies", "--policies", "popular,random", "--episodes", "60", "--user-splits", "test",
        "--resamples", "200", "--no-charts", "--quiet",
    )  # fmt: skip
    process = quick.start(*options, "--out", "e")
    written = quick.folder / "e" / "runs" / "test" / "random" / "interactions.jsonl"
    deadline = time.monotonic() + 60
    while not (written.exists() and written.stat().st_size > 20_000):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(how)
    out, errors = process.communicate(timeout=60)
    assert out == ""
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert errors.split("\n") == [
            "", "Interrupted. Progress is saved in e; continue with:", "  emosim evaluate --resume e", "",
        ]  # fmt: skip
    assert json.loads((quick.folder / "e" / "evaluation.json").read_text())["complete"] is False
    complete = quick.folder / "e" / "runs" / "test" / "popular" / "summary.json"
    content = complete.read_bytes()
    assert quick("evaluate", "--resume", "e", "--no-charts", "--quiet").out == "e\n"
    quick(*options, "--out", "whole")
    metrics = [
        json.loads((quick.folder / name / "evaluation.json").read_text())["user_splits"] for name in ("e", "whole")
    ]
    assert metrics[0] == metrics[1]
    assert complete.read_bytes() == content


def test_a_language_model_is_asked_as_much_as_may_be_spent_over_all_runs(quick: Any) -> None:
    dear = {"prompt_tokens": 1_000_000, "completion_tokens": 0}  # 0.30 USD
    with ChatServer(lambda body: Answer("7", usage=dear)) as server:
        quick.variables.update({"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url})
        options = (
            "evaluate", "--plugin", "movies", "--users", "sampled:n=20", "--episodes", "2", "--max-steps", "3",
            "--llm-model", "deepseek-chat", "--policies", "popular,top_rated", "--user-splits", "test",
            "--concurrency", "1",
            "--no-charts", "--out", "e",
        )  # fmt: skip
        error = quick(*options, "--quiet", "--max-cost", "2.5", status=2).err
        assert len(server.calls) == 9
        assert "the budget is spent" in error
        assert "The runs of this evaluation have cost 2.7 since it was started." in error
        assert "continue with:\n    emosim evaluate --resume e\n" in error
        output = quick("evaluate", "--resume", "e", "--no-charts", "--max-cost", "100").out
    requests = [json.dumps(call.body) for call in server.calls]
    assert len(requests) > 9
    assert len(set(requests)) == len(requests)
    assert "A language model rates: 12 ratings at most." in output
    assert "Rater: deepseek" in output
    assert "Calls, tokens and cost" in output
    results = json.loads((quick.folder / "e" / "evaluation.json").read_text())
    assert results["uses_llm"] is True
    assert results["user_splits"]["test"]["recommenders"]["popular"]["metrics"]["mean_rating"]["estimate"] == 8
