"""Numbers that are none: a training that diverges says so, and nobody recommends by weights that are no numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emosim_core import ConfigurationError
from emosim_core.data import json_text
from emosim_core.errors import RunError
from emosim_core.recommenders.recommender import WEIGHTS, load_recommender
from emosim_core.training.trainer import checkpoints


@pytest.mark.parametrize(("algo", "more"), [("a2c", {}), ("ppo", {"algorithm": {"batch_size": 20}})])
def test_a_training_that_diverges_keeps_the_last_good_state_and_says_what_to_change(
    train: Callable[..., Any], tmp_path: Path, algo: str, more: dict[str, Any]
) -> None:
    training = train(algo=algo, policy_net="mlp", timesteps=800, eval_every=80, **more)
    real, updates = training.model.train, []

    def spoilt() -> None:
        real()
        updates.append(1)
        if len(updates) == 10:
            with torch.no_grad():
                next(training.model.policy.parameters()).fill_(float("nan"))

    training.model.train = spoilt
    with pytest.raises(RunError, match=r"diverged: after 200 steps .* lower --learning-rate or another --seed"):
        training.train()
    last = checkpoints(tmp_path / "t")[-1]
    assert int(last.name) < 200
    state = torch.load(last / "state.pt", weights_only=True)
    assert all(torch.isfinite(one).all() for one in state["policy"].values())
    load_recommender(tmp_path / "t" / "best")
    assert not (tmp_path / "t" / "model").exists()


def test_a_learning_rate_without_measure_is_one_clear_error(quick: Any, tmp_path: Path) -> None:
    refused = quick(
        "train", "--plugin", "movies", "--timesteps", "400", "--num-envs", "8", "--learning-rate", "1e30",
        "--device", "cpu", "--out", "t", "--quiet", status=2,
    )  # fmt: skip
    assert "the training has diverged: after " in refused.err
    assert "lower --learning-rate than 1e+30" in refused.err
    assert not (tmp_path / "t" / "model").exists()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(
    train: Callable[..., Any], tmp_path: Path, quick: Any, number: float
) -> None:
    train(timesteps=80).train()
    path = tmp_path / "t" / "model" / WEIGHTS
    weights = load_file(path)
    name = next(name for name, one in weights.items() if one.is_floating_point())
    weights[name].view(-1)[0] = number
    save_file(weights, path)
    with pytest.raises(RunError, match="are not all finite numbers"):
        load_recommender(tmp_path / "t")
    (tmp_path / "history.csv").write_text("item,rating\ni1,9\n")
    refused = quick("recommend", "t", "--history", "history.csv", "--json", status=2)
    assert refused.out == ""
    assert "are not all finite numbers" in refused.err


def test_huge_weights_whose_scores_are_no_numbers_recommend_nothing(train: Callable[..., Any], tmp_path: Path) -> None:
    train(timesteps=80).train()
    path = tmp_path / "t" / "model" / WEIGHTS
    weights = load_file(path)
    save_file({name: one * 1e30 if one.is_floating_point() else one for name, one in weights.items()}, path)
    with pytest.raises(ConfigurationError, match="no number"):
        load_recommender(tmp_path / "t").recommend([("i1", 9.0)])


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", '{"a": [1, NaN]}'])
def test_json_with_numbers_that_are_none_is_refused(text: str) -> None:
    json.loads(text)
    with pytest.raises(ValueError, match="no finite number"):
        json_text.loads(text)


@pytest.mark.parametrize("value", [float("nan"), {"a": [float("inf")]}, np.float64("nan")])
def test_json_that_is_written_holds_finite_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text.dumps(value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--perturbator", "gaussian:sd=nan"], "perturbator 'gaussian': option 'sd'"),
        (["--rater", "rule_based:temper=inf"], "rater 'rule_based': option 'temper': expected a finite number"),
        (["--rater", "rule_based:noise=nan"], "rater 'rule_based': option 'noise'"),
        (["--p-interrupt", "nan"], "--p-interrupt: "),
        (["--max-cost", "nan", "--llm-model", "http://127.0.0.1:9#tiny"], "--max-cost: "),
        (["--max-cost", "inf", "--llm-model", "http://127.0.0.1:9#tiny"], "--max-cost: "),
        (["--config", "c.toml"], "option 'mood.half_life': expected a finite number"),
    ],
)
def test_an_option_that_is_no_number_is_refused(quick: Any, tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "c.toml").write_text("[mood]\nhalf_life = inf\n")
    assert message in quick("run", "--plugin", "movies", "--episodes", "1", *options, status=2).err
