"""Configuration: bounds and defaults of its fields, fields that follow from others, and files in TOML."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from emosim_core.errors import ConfigurationError, DataError
from emosim_core.runs.reach import is_harmless
from emosim_core.simulation.config import EnvironmentConfig, RunConfig, read_config, read_toml


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_mark_of_the_encoding_and_line_ends_do_no_harm(tmp_path: Path, encoding: str, end: str) -> None:
    content = f'plugin = "movies"{end}[items]{end}name = "caf\u00e9"{end}'.encode(encoding)
    for name, written in (("run.toml", content), ("run.toml.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        assert read_toml(tmp_path / name) == {"plugin": "movies", "items": {"name": "caf\u00e9"}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('plugin = "movies"'.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ('plugin = "movies"\nname = "caf\u00e9"'.encode("latin-1"), "row 2: is not UTF-8 text .the byte 0xe9."),
        (b"# " + b"a" * (1 << 20), "has more than 1,048,576 bytes"),
        (b"a = " + b"[" * 100_000, "run.toml is nested too deeply"),
        (b"plugin movies", "run.toml is not a TOML file: .*line 1"),
    ],
)
def test_what_is_no_configuration_is_one_error(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises((ConfigurationError, DataError), match=says):
        read_toml(tmp_path / "run.toml")


BOUNDS: list[tuple[str, list[Any], list[Any]]] = [
    ("slate", [1, 2], [0, -1]),
    ("max_steps", [1], [0]),
    ("p_interrupt", [0, 0.5, 1], [-0.01, 1.01]),
    ("test_fraction", [0.01, 0.99], [0, 1]),
    ("history_length", [1], [0]),
    ("episodes", [1], [0]),
    ("num_envs", [None, 1], [0]),
    ("seed", [0, 2**63 - 1], [-1, 2**63]),
    ("records", [None, "jsonl", "parquet", "none", "sample:1", "sample:0.01"], ["csv", "sample:0", "sample:1.1"]),
    ("records", [], ["sample", "sample:", "sample:x", "sampled:0.5", "parquet:0.5", "sample:nan"]),
    ("user_order", ["random", "sequential"], ["by_age"]),
    ("user_split", ["all", "train", "test"], ["validation"]),
    ("on_failed_rating", ["raise", "skip"], ["ignore"]),
]


@pytest.mark.parametrize(("name", "right", "wrong"), BOUNDS, ids=[name for name, *_ in BOUNDS])
def test_values_within_the_bounds_of_a_field_are_taken_and_others_are_refused(
    name: str, right: list[Any], wrong: list[Any]
) -> None:
    for value in right:
        assert getattr(RunConfig(plugin="movies", **{name: value}), name) == value
    for value in wrong:
        with pytest.raises(ConfigurationError, match=name):
            read_config(RunConfig, {"plugin": "movies", name: value}, "here")


def test_who_names_a_domain_alone_gets_the_same_run_as_ever() -> None:
    """The same configuration must simulate the same in each version: a default that changes changes all results."""
    config = RunConfig(plugin="movies").model_dump()
    assert {name: value for name, value in config.items() if isinstance(value, str | int | float)} == {
        "plugin": "movies", "embeddings": "auto", "rater": "rule_based", "items_retrieval": "decay_emotion_3",
        "choice": "ratings_first", "selector": "greedy", "perturbator": "none", "reward_shaping": "churn_satisfaction",
        "emotion_model": "valence_arousal", "observation": "behavior", "slate": 1, "max_steps": 50, "p_interrupt": 0.0,
        "keep_memory": False, "user_order": "random", "user_split": "all", "test_fraction": 0.2, "history_length": 10,
        "observe_consumed": False, "on_failed_rating": "raise", "policy": "random", "episodes": 100, "seed": 42,
    }  # fmt: skip
    assert [name for name, value in config.items() if value is None] == [
        "items", "user_dataset", "num_envs", "user_id", "propensities", "records",
    ]  # fmt: skip


def test_fields_that_may_reach_code_hosts_or_files_are_sources_and_components() -> None:
    """What a directory of somebody else says in them counts only when it is given again."""
    assert [name for name, field in RunConfig.model_fields.items() if not is_harmless(field)] == [
        "items", "user_dataset", "embeddings", "rater", "items_retrieval", "choice", "selector", "perturbator",
        "reward_shaping", "emotion_model", "observation", "policy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "rater"),
    [
        ({"users": "sampled"}, "rule_based"),
        ({"users": "fitted:here"}, {"name": "fitted", "path": "here"}),
        ({"users": {"name": "fitted", "path": "here", "count": 3}}, {"name": "fitted", "path": "here"}),
        ({"users": "fitted:here", "rater": "rule_based"}, "rule_based"),
        ({"rater": "rule_based"}, "rule_based"),
    ],
)
def test_fitted_users_have_the_rater_of_their_directory_unless_another_is_named(given: Any, rater: Any) -> None:
    assert EnvironmentConfig(plugin="movies", **given).rater == rater


def test_the_fitted_rater_of_a_mixture_has_the_directory_of_the_users_unless_it_names_one() -> None:
    def fitted(raters: Any) -> Any:
        given = EnvironmentConfig(plugin="movies", users="fitted:here", rater={"name": "mix", "raters": raters}).rater
        assert isinstance(given, dict)
        return given["raters"]["fitted"]

    assert fitted({"fitted": {"weight": 0.5}, "rule_based": {"weight": 0.5}})["path"] == "here"
    other = {"weight": 0.5, "path": "there"}
    assert fitted({"fitted": other, "rule_based": {"weight": 0.5}}) == other
    written = EnvironmentConfig(plugin="movies", users="fitted:here", rater="mix:fitted=0.5,rule_based=0.5").rater
    assert isinstance(written, dict)
    assert written["raters"]["fitted"]["path"] == "here"
    assert "path" not in written["raters"]["rule_based"]
