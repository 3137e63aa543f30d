"""The plan of an evaluation: bounds and defaults of its fields, guards, names, and what is run with them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from fixtures.evaluations import SMALL, config_of, trained

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.evaluation.metrics import METRICS
from emosim_core.evaluation.plan import (
    DECIDABLE,
    EXPERIMENT_FIELDS,
    EvaluationConfig,
    arm_text,
    oracle_of,
    read_guard,
    recommenders_of,
    trainings_of,
    with_oracle,
    with_user_splits,
)
from emosim_core.hooks import Registry
from emosim_core.runs.reach import is_harmless
from emosim_core.simulation.config import EnvironmentConfig, read_config


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("episodes", [1], [0]),
        ("resamples", [100], [99]),
        ("num_envs", [None, 1], [0]),
        ("seed", [0, 2**63 - 1], [-1, 2**63]),
        ("effect", [None, 1e-9], [0, -1, math.inf]),
        ("user_splits", [("all",), ("test", "train")], [(), ("new",), ("test", "test")]),
        ("metric", ["mean_reward", "share_liked"], ["coverage", "no_such"]),
        ("guards", [("share_liked",), ("mean_rating=0.1",)], [("mean_rating=0",), ("gini=1",), ("share_liked",) * 2]),
        ("arms", [{"a" * 40: "random"}, {"a-b+c.d e": "random"}], [{"a" * 41: "random"}, {" a": "random"}, {"": "x"}]),
        ("arms", [{"a": "random", "b": "popular"}], [{"a": "random", "A": "popular"}]),
    ],
)
def test_values_within_the_bounds_of_a_field_are_taken_and_others_are_refused(
    name: str, right: list[Any], wrong: list[Any]
) -> None:
    for value in right:
        assert getattr(config_of(**{name: value}), name) == value
    for value in wrong:
        with pytest.raises(ConfigurationError, match=name):
            config_of(**{name: value})


def test_who_names_recommenders_alone_gets_the_same_evaluation_as_ever() -> None:
    config = EvaluationConfig(plugin="movies", policies=("random",))
    own = set(EvaluationConfig.model_fields) - set(EnvironmentConfig.model_fields) - {"policies"}
    assert config.model_dump(include=own) == {
        "recommenders": (), "arms": {}, "control": None, "metric": "mean_reward", "effect": None, "guards": (),
        "user_splits": ("train", "test"), "episodes": 240, "seed": 1042, "num_envs": None, "logs": (), "oracle": True,
        "resamples": 2000,
    }  # fmt: skip
    assert config.is_experiment is False
    assert not set(EXPERIMENT_FIELDS) & set(config.stored())
    assert not {"user_split", "user_order"} & set(config.stored())


@pytest.mark.parametrize(
    "more",
    [{"arms": {"a": "random", "b": "popular"}}, {"control": "random"}, {"effect": 0.1}, {"guards": "share_liked"}],
)
def test_any_field_of_an_experiment_but_its_metric_makes_one_and_is_stored(more: dict[str, Any]) -> None:
    config = config_of(**more)
    assert config.is_experiment is True
    assert set(EXPERIMENT_FIELDS) & set(config.stored()) == set(more)
    assert config_of(metric="share_liked").is_experiment is False


def test_a_run_of_a_recommender_is_of_the_environment_with_the_users_of_one_split_in_order() -> None:
    config = config_of(max_steps=7, seed=3, num_envs=5)
    run = config.run("popular", "test")
    assert (run.policy, run.user_split, run.user_order) == ("popular", "test", "sequential")
    assert (run.max_steps, run.seed, run.num_envs, run.episodes) == (7, 3, 5, 6)
    assert config.run("popular", "train", episodes=2, seed=9).model_dump(include={"episodes", "seed"}) == {
        "episodes": 2, "seed": 9,
    }  # fmt: skip
    assert config_of().run("popular", "all").num_envs is None
    assert with_user_splits({"user_split": "all", "user_order": "random", "seed": 1}) == {
        "user_splits": "all",
        "seed": 1,
    }
    both = {"user_split": "all", "user_splits": "test"}
    assert with_user_splits(both) == {"user_splits": "test"}


@pytest.mark.parametrize(
    ("text", "guard"),
    [
        ("share_liked", ("share_liked", None)),
        ("mean_rating=0.1", ("mean_rating", 0.1)),
        (" mean_rating = 1e-3 ", ("mean_rating", 0.001)),
        ("valence_at_end=0.05", ("valence_at_end", 0.05)),
    ],
)
def test_a_guard_is_a_metric_with_a_margin_where_it_has_one(text: str, guard: Any) -> None:
    assert read_guard(text) == guard


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("share_likd", "no metric 'share_likd' can be a guard. Did you mean 'share_liked'"),
        ("zzz", "no metric 'zzz' can be a guard. Those that can: mean_reward, "),
        ("valence_at_end", "may be 0 or less and needs a margin, such as valence_at_end=0.05"),
        *[(f"mean_rating={one}", "must be a number above 0, got") for one in ("", "0", "-1", "inf", "nan", "x")],
    ],
)
def test_a_guard_that_guards_nothing_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_guard(text)


def test_metrics_that_decide_have_a_better_direction_and_are_sums_over_users() -> None:
    assert set(DECIDABLE) == {one.name for one in METRICS if one.better and one.sums}
    assert "mean_reward" in DECIDABLE
    assert not {"coverage", "novelty", "gini", "arousal_at_end"} & set(DECIDABLE)


def test_recommenders_have_names_and_folders_that_no_other_has(tmp_path: Path) -> None:
    one, other = trained(tmp_path / "a" / "last"), trained(tmp_path / "b" / "last", seed=1)
    alone = trained(tmp_path / "c")
    config = config_of(recommenders=[one, other, alone], policies=["random", "epsilon_greedy:epsilon=0.2"])
    made = recommenders_of(config, Registry())
    assert [entry.name for entry in made] == ["a/last", "b/last", "c", "random", "epsilon_greedy:epsilon=0.2"]
    assert [entry.folder for entry in made] == ["a_last", "b_last", "c", "random", "epsilon_greedy_epsilon=0.2"]
    assert [entry.arm for entry in made] == [entry.name for entry in made]
    assert [entry.model for entry in made] == [one, other, alone, None, None]
    assert made[0].policy == {"name": "trained", "path": one}
    with pytest.raises(ConfigurationError, match="c is named twice"):
        recommenders_of(config_of(recommenders=[alone, str(tmp_path / "a" / ".." / "c")]), Registry())
    named = recommenders_of(config_of(arms={"Random": "random", "b": "popular"}, policies=["random"]), Registry())
    assert [entry.name for entry in named] == ["Random", "b", "random 2"]
    assert trainings_of(str(tmp_path / "c")) == [alone]
    assert trainings_of(str(tmp_path / "a")) == [one]
    assert trainings_of(str(tmp_path)) == [alone]  # those right in it
    with pytest.raises(RunError, match="is no trained recommender"):
        recommenders_of(config_of(recommenders=[str(tmp_path / "nowhere")]), Registry())


def test_the_oracle_is_added_once_under_a_free_name() -> None:
    registry = Registry()
    added = with_oracle(recommenders_of(config_of(policies=["random"]), registry))
    assert [(one.name, one.arm, one.policy, one.added) for one in added] == [
        ("random", "random", "random", False), ("oracle", "oracle", "oracle", True),
    ]  # fmt: skip
    taken = with_oracle(recommenders_of(config_of(policies=[], arms={"oracle": "random", "b": "popular"}), registry))
    assert [(one.name, one.folder) for one in taken] == [("oracle", "oracle"), ("b", "b"), ("oracle 2", "oracle_2")]
    named = recommenders_of(config_of(policies=["random", {"name": "oracle", "candidates": 50}]), registry)
    assert with_oracle(named) == named
    assert oracle_of([{"name": "a", "policy": "random"}, {"name": "b", "policy": {"name": "oracle"}}]) == "b"
    assert oracle_of([{"name": "a", "arm": "of a", "policy": "oracle"}]) == "of a"
    assert oracle_of([{"name": "a", "policy": "random"}]) is None


def test_an_experiment_has_two_arms_and_a_control_that_is_one_of_them() -> None:
    registry = Registry()
    with pytest.raises(ConfigurationError, match="there is one, 'a': add another, such as --arm control=popular"):
        recommenders_of(config_of(policies=[], arms={"a": "random"}), registry)
    arms = {"a": "random", "b": "popular"}
    assert len(recommenders_of(config_of(policies=[], arms=arms, control="b"), registry)) == 2
    with pytest.raises(ConfigurationError, match=r"the control 'c' is no arm\..*The arms: 'a', 'b'\."):
        recommenders_of(config_of(policies=[], arms=arms, control="c"), registry)
    assert len(recommenders_of(config_of(control="random"), registry)) == 2  # policies are arms too


@pytest.mark.parametrize(
    ("value", "text"),
    [("random:k=1", "random:k=1"), ({"name": "a", "k": 2}, "a:k=2"), (("runs/a", "runs/b"), "runs/a,runs/b")],
)
def test_an_arm_is_written_as_one_types_it(value: Any, text: str) -> None:
    assert arm_text(value) == text


def test_paths_are_texts_in_a_configuration() -> None:
    config: EvaluationConfig = read_config(EvaluationConfig, {**SMALL, "logs": [Path("a"), "b"]}, "here")
    assert config.logs == ("a", "b")
    guards = read_config(
        EvaluationConfig, {**SMALL, "guards": {"share_liked": None, "mean_rating": 0.1}}, "here"
    ).guards
    assert guards == ("share_liked", "mean_rating=0.1")


def test_fields_that_may_reach_code_hosts_or_files_are_those_of_a_run_and_who_recommends_from_what() -> None:
    own = EvaluationConfig.model_fields.keys() - EnvironmentConfig.model_fields.keys()
    reaching = [
        name
        for name in EvaluationConfig.model_fields
        if name in own and not is_harmless(EvaluationConfig.model_fields[name])
    ]
    assert reaching == ["recommenders", "policies", "arms", "logs"]
