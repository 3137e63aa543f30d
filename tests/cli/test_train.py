"""``emosim train``: what it prints, how it is stopped and resumed, what it says about mistakes."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core import read_run
from emosim_core.testing import Answer, ChatServer, Emosim
from emosim_core.training.curves import read_progress

MOVIES = ("train", "--plugin", "movies", "--device", "cpu")

SHORT = (*MOVIES, "--num-envs", "4", "--max-steps", "6", "--users", "sampled:n=20")


@pytest.fixture
def alone(emosim: Emosim) -> Emosim:
    """The command line with one thread for the networks."""
    emosim.variables["OMP_NUM_THREADS"] = "1"
    return emosim


def rising(path: Path) -> list[int]:
    steps = [line["timesteps"] for line in read_progress(path)]
    assert steps == sorted(set(steps))
    return steps


def test_a_training_says_what_it_does_and_how_to_measure_it(alone: Emosim, quick: Any) -> None:
    done = alone(*SHORT, "--timesteps", "200", "--eval-every", "100", "--out", "t")
    assert done.err == ""
    for word in (
        "16 of 20 users to learn from", "(no language model)", "A2C with the network 'cf'", "4 environments",
        "reward", "length", "steps/s", "train users", "test users", "in evaluation episodes",
        "200 steps in ", "Measure the recommender with: emosim evaluate --recommenders t",
    ):  # fmt: skip
        assert word in done.out, word
    again = quick("train", "--resume", "t").out
    assert "t is complete; nothing was left to do." in again


def seeds_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("weights.safetensors"))}


def test_several_seeds_are_trained_side_by_side_and_are_one_recommender(quick: Any, tmp_path: Path) -> None:
    options = (*SHORT, "--timesteps", "200", "--eval-every", "100", "--eval-episodes", "8")
    done = quick(*options, "--seeds", "2", "--seed", "7", "--out", "both")
    assert "test users, mean of 2 seeds: " in done.out
    assert "(random " in done.out
    assert "2 trainings of 1 configuration." in done.out
    for seed in (7, 8):
        quick(*options, "--seed", str(seed), "--quiet", "--out", str(seed))
        (beside,) = (tmp_path / "both" / "jobs").glob(f"001-seed{seed}-*")
        weights = [one / "model" / "weights.safetensors" for one in (tmp_path / str(seed), beside)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    result = quick(
        "evaluate", "--recommenders", "both,7", "--policies", "popular", "--user-splits", "test", "--episodes", "4",
        "--no-charts", "--out", "e",
    )  # fmt: skip
    assert re.search(r"^both +2 ", result.out, re.M)
    results = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    found = results["user_splits"]["test"]["recommenders"]
    assert list(found) == ["both", "7", "popular", "oracle"]
    members = [one["metrics"]["mean_reward"]["estimate"] for one in found["both"]["trainings"].values()]
    assert found["both"]["metrics"]["mean_reward"]["estimate"] == pytest.approx(sum(members) / 2, abs=1e-5)
    assert members[0] == found["7"]["metrics"]["mean_reward"]["estimate"]


def test_several_seeds_that_are_killed_go_on_to_the_same_recommenders(alone: Emosim, quick: Any) -> None:
    options = (
        *SHORT, "--timesteps", "1200", "--checkpoint-every", "400", "--eval-every", "0", "--num-seeds", "2", "--quiet",
    )  # fmt: skip
    process = alone.start(*options, "--out", "cut")
    jobs = alone.folder / "cut" / "jobs"
    deadline = time.monotonic() + 300
    while not list(jobs.glob("001-seed43-*/checkpoints/*/counters.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert len(list(jobs.glob("*/summary.json"))) == 1
    assert "emosim train --resume cut" in quick("report", "cut", status=2).err
    unready = quick("compare", "cut", "cut", status=2).err
    assert "was not evaluated while it was trained" in unready
    message = quick("train", "--resume", "cut", "--timesteps", "500", status=2).err
    assert "was begun with another plan" in message
    alone("train", "--resume", "cut", "--quiet")
    alone(*options, "--out", "whole", "--executor", "processes:2")
    made, again = seeds_of(alone.folder / "whole"), seeds_of(alone.folder / "cut")
    assert len(made) == 2
    assert made == again


def test_a_line_is_the_mean_of_the_episodes_since_the_line_before(quick: Any, tmp_path: Path) -> None:
    out = quick(*SHORT, "--timesteps", "400", "--eval-every", "200", "--out", "t").out
    printed = [
        (int(steps.replace(",", "")), float(reward), float(length))
        for steps, reward, length in re.findall(r"^ *([\d,]+) steps  reward ([-\d.]+), length ([\d.]+)", out, re.M)
    ]
    assert len(printed) >= 2
    lines, before, episodes = read_progress(tmp_path / "t"), 0, 0
    most = 0
    for steps, reward, length in printed:
        rewards, lengths, counts = [], [], []
        for line in lines:
            if before < line["timesteps"] <= steps:
                if line["reward"] is not None:
                    rewards.append(line["reward"])
                    lengths.append(line["length"])
                    counts.append(line["episodes"] - episodes)
                episodes = line["episodes"]
        before, most = steps, max(most, len(counts))
        assert reward == pytest.approx(np.average(rewards, weights=counts), abs=0.06)
        assert length == pytest.approx(np.average(lengths, weights=counts), abs=0.06)
    assert most > 1


def test_json_is_the_summary_and_nothing_else_and_quiet_is_the_directory(quick: Any, tmp_path: Path) -> None:
    payload = quick(*SHORT, "--timesteps", "40", "--out", "t", "--json").json
    assert payload.pop("directory") == "t"
    assert payload == json.loads((tmp_path / "t" / "summary.json").read_text())
    path = quick(*SHORT, "--timesteps", "40", "--quiet").output.strip()
    assert path.startswith("runs/movies-a2c")
    assert (tmp_path / path / "model" / "recommender.json").exists()
    more = quick("train", "--resume", path, "--timesteps", "80", "--json").json
    assert more["timesteps"] == 80
    rising(tmp_path / path)


def test_every_option_reaches_the_configuration(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('plugin = "movies"\nhidden = [8, 4]\n[algorithm]\nn_epochs = 2\n')
    given = {
        "--algo": "ppo", "--policy-net": "mlp", "--timesteps": "30", "--num-envs": "3", "--seed": "9",
        "--device": "cpu", "--gamma": "0.9", "--embedding-dim": "5", "--learning-rate": "0.01", "--n-steps": "5",
        "--eval-every": "20", "--checkpoint-every": "15", "--track": "tensorboard", "--user-split": "all",
        "--max-steps": "4", "--users": "basic:n=12", "--items-retrieval": "last_2", "--config": "c.toml",
        "--hidden": "16,4", "--prior": "0.5", "--threads": "2", "--eval-episodes": "3", "--mood.half-life": "7",
        "--algorithm": "n_epochs=3,clip_range=0.1",
    }  # fmt: skip
    quick("train", *[word for pair in given.items() for word in pair], "--out", "t", "--quiet")
    config = json.loads((tmp_path / "t" / "manifest.json").read_text())["config"]
    assert (config["algo"], config["policy_net"], config["timesteps"], config["num_envs"]) == ("ppo", "mlp", 30, 3)
    assert (config["seed"], config["device"], config["gamma"], config["embedding_dim"]) == (9, "cpu", 0.9, 5)
    assert (config["learning_rate"], config["n_steps"], config["eval_every"]) == (0.01, 5, 20)
    assert (config["checkpoint_every"], config["track"], config["user_split"]) == (15, ["tensorboard"], "all")
    assert (config["max_steps"], config["items_retrieval"], config["hidden"]) == (4, "last_2", [16, 4])
    assert (config["prior"], config["threads"], config["eval_episodes"]) == (0.5, 2, 3)
    assert config["mood"]["half_life"] == 7
    assert config["algorithm"] == {"n_epochs": 3, "clip_range": 0.1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algo", "pp0"], "'a2c', 'ppo', 'dqn', 'trpo', 'maskable_ppo'"),
        (["--policy-net", "cnn"], "'cf', 'mlp', 'bayes'"),
        (["--slate", "2"], "a2c learns one item per step; with slate 2, algo is slateq or topk"),
        (["--algo", "topk"], "topk learns slates; give a slate of 2 or more, or another algo"),
        (["--timesteps", "0"], "timesteps"),
        (["--gamma", "1.5"], "gamma"),
        (["--track", "mlflow"], "track"),
        (["--device", "toaster"], "toaster"),
        (["--resume", "nowhere"], "nowhere"),
        (["--resume", "a", "--out", "b"], "name different directories"),
        (["--out", "taken"], "taken exists already; choose another place"),
        (["--config", "wrong.toml"], "A2C has no such argument. Did you mean 'ent_coef'"),
        (["--rater", "rule_basd"], "Did you mean 'rule_based'"),
        (["--max-cost", "1"], "--max-cost needs a language model"),
    ],
)
def test_a_mistake_is_one_clear_message_and_leaves_nothing(
    quick: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "note").write_text("mine")
    (tmp_path / "wrong.toml").write_text("[algorithm]\nent_coeff = 0.1\n")
    before = sorted(tmp_path.rglob("*"))
    first = [word for word in SHORT if "--device" not in arguments or word not in ("--device", "cpu")]
    assert message in quick(*first, *arguments, status=2).err
    assert sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts) == before


def test_what_another_command_made_is_not_resumed(quick: Any, tmp_path: Path) -> None:
    quick("run", "--plugin", "movies", "--users", "sampled:n=5", "--episodes", "1", "--out", "r", "--quiet")
    quick(*SHORT, "--timesteps", "8", "--out", "t", "--quiet")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for command, other in (("train", "r"), ("run", "t")):
        message = quick(command, "--resume", other, status=2).err
        made_by = "train" if command == "run" else "run"
        continued = f"Continue with: emosim {made_by} --resume {other}"
        assert f"{other} was not made by 'emosim {command}'. {continued}" in message
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_graphics_card_that_is_not_there_is_not_replaced_in_silence(quick: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    message = quick(*SHORT, "--device", "cuda", "--timesteps", "40", status=2).err
    assert "device 'cuda': torch finds no CUDA here; give --device auto or cpu" in message


def test_a_domain_must_be_named(quick: Any) -> None:
    assert "choose a domain with --plugin" in quick("train", status=2).err


@pytest.mark.parametrize("missing", ["torch", "stable_baselines3", "sb3_contrib"])
def test_a_missing_package_is_named_with_how_to_install_it(alone: Emosim, missing: str) -> None:
    guard = (alone.site / "sitecustomize.py").read_text()
    (alone.site / "sitecustomize.py").write_text(
        f"{guard}\nimport importlib.abc\nimport importlib.util\n"
        "_find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, *more: None if name == {missing!r} else _find(name, *more)\n"
        "class _Missing(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name.split('.')[0] == {missing!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, _Missing())\n"
    )
    message = alone(*SHORT, "--timesteps", "40", "--out", "t", status=2).err
    assert missing.replace("_", "-") in message
    assert 'pip install "emosim-core[train]"' in message
    assert not (alone.folder / "t").exists()


def started(alone: Emosim, *more: str) -> subprocess.Popen[str]:
    """A long training that has a checkpoint."""
    process = alone.start(*SHORT, "--timesteps", "400000", "--checkpoint-every", "200", "--out", "t", "--quiet", *more)
    end = time.monotonic() + 60
    while not list((alone.folder / "t" / "checkpoints").glob("*/counters.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["a2c", "dqn"])
def test_a_training_that_was_killed_goes_on_with_the_same_counters(alone: Emosim, quick: Any, algo: str) -> None:
    process = started(alone, "--algo", algo)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    last = sorted((alone.folder / "t" / "checkpoints").glob("*/counters.json"))[-1]
    counters = json.loads(last.read_text())
    steps = counters["timesteps"] + 400
    payload = quick("train", "--resume", "t", "--timesteps", str(steps), "--json").json
    assert steps <= payload["timesteps"] < steps + 200
    assert payload["episodes"] > counters["episodes"]
    assert sum(payload["end_reasons"].values()) == payload["episodes"]
    assert payload["updates"] >= counters["updates"]
    assert counters["timesteps"] in rising(alone.folder / "t")


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_says_how_to_go_on(alone: Emosim, quick: Any) -> None:
    process = started(alone)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "emosim train --resume t" in err
    assert "Traceback" not in out + err
    last = sorted((alone.folder / "t" / "checkpoints").glob("*/counters.json"))[-1]
    counters = json.loads(last.read_text())
    payload = quick("train", "--resume", "t", "--timesteps", str(counters["timesteps"] + 200), "--json").json
    assert payload["timesteps"] >= counters["timesteps"] + 200
    assert sum(payload["end_reasons"].values()) == payload["episodes"]
    rising(alone.folder / "t")


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="MLflow is installed")
def test_a_tracker_that_is_not_installed_is_said_with_the_command_that_installs_it(alone: Emosim) -> None:
    done = alone(*SHORT, "--timesteps", "40", "--out", "t", "--track", "mlflow", "--json", status=2)
    assert "--track mlflow needs the package 'mlflow'" in done.err
    assert 'pip install "emosim-core[mlflow]"' in done.err


@pytest.mark.slow
def test_wandb_offline_needs_no_network_and_says_nothing(alone: Emosim) -> None:
    done = alone(*SHORT, "--timesteps", "100", "--out", "t", "--json", "--track", "tensorboard,wandb-offline")
    assert done.json["timesteps"] == 100
    assert done.err == ""
    assert list((alone.folder / "t" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert list((alone.folder / "t" / "tensorboard").glob("events.out.tfevents.*"))
    assert not list(alone.folder.glob("wandb"))


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """A model that rates everything 7."""
    with ChatServer(lambda request: Answer("7")) as served:
        yield served


def of_model(server: ChatServer) -> tuple[str, ...]:
    return ("--llm-model", f"{server.url}#m", "--timesteps", "24", "--num-envs", "4", "--n-steps", "3")


def test_a_language_model_rates_and_is_not_asked_twice(quick: Any, tmp_path: Path, server: ChatServer) -> None:
    payload = quick(*SHORT, *of_model(server), "--llm-rater", "0Shot_cotlite_our", "--out", "a", "--json").json
    assert payload["uses_llm"] is True
    calls = len(server.calls)
    assert calls > 0
    again = quick(*SHORT, *of_model(server), "--llm-rater", "0Shot_cotlite_our", "--out", "b", "--json").json
    assert len(server.calls) == calls
    assert again["reward"] == payload["reward"]
    assert (tmp_path / "a/model/weights.safetensors").read_bytes() == (
        tmp_path / "b/model/weights.safetensors"
    ).read_bytes()


def test_a_model_that_fails_ends_the_training_and_it_can_go_on(quick: Any, tmp_path: Path) -> None:
    count = [0]

    def script(request: Any) -> Answer:
        count[0] += 1
        return Answer("7") if count[0] <= 14 or count[0] > 10_000 else Answer("no such key", status=401)

    with ChatServer(script) as served:
        options = (*SHORT, *of_model(served), "--out", "t", "--quiet")
        message = quick(*options, status=2).err
        assert "emosim train --resume t" in message
        assert not (tmp_path / "t" / "summary.json").exists()
        count[0] = 10_000
        payload = quick("train", "--resume", "t", "--json").json
    assert payload["timesteps"] == 24
    assert sum(payload["end_reasons"].values()) == payload["episodes"]
    rising(tmp_path / "t")


@pytest.mark.slow
@pytest.mark.parametrize("domain", ["movies", "books"])
@pytest.mark.parametrize("algo", ["a2c", "ppo", "dqn", "trpo", "maskable_ppo"])
def test_every_algorithm_trains_on_both_domains(quick: Callable[..., Any], domain: str, algo: str) -> None:
    steps = 4096 if algo == "dqn" else 1024  # it looks at 3,000 before it learns
    of = ("--plugin", domain, "--algo", algo)
    payload = quick("train", *of, "--timesteps", str(steps), "--num-envs", "16", "--json").json
    assert payload["timesteps"] >= steps
    assert payload["updates"] > 0


@pytest.mark.parametrize("algo", ["slateq", "topk"])
def test_a_training_on_slates_is_run_asked_and_resumed_as_any_other(quick: Any, tmp_path: Path, algo: str) -> None:
    arguments = ("--algo", algo, "--policy-net", "mlp", "--slate", "3", "--eval-every", "0", "--out", "t")
    quick(*SHORT, "--timesteps", "64", *arguments)
    summary = quick("train", "--resume", "t", "--timesteps", "128", "--json").json
    assert (summary["timesteps"], summary["algo"]) == (128, algo)
    (tmp_path / "h.csv").write_text("item,rating\nthe-matrix-1999,9\n")
    recommended = quick("recommend", "t", "--history", "h.csv", "--k", "4", "--json").json
    assert len({one["item"] for one in recommended} - {"the-matrix-1999"}) == 4
    options = ("--episodes", "3", "--max-steps", "4", "--users", "sampled:n=20", "--json", "--out", "r")
    assert quick("run", "--plugin", "movies", "--policy", "trained:t", "--slate", "3", *options).json["episodes"] == 3
    steps = read_run(tmp_path / "r").steps()
    assert {item["propensity"] for step in steps for item in step["recommended"]} == {1.0}  # nothing is drawn
