"""Fields of configurations: one description, and one value under whichever name it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

import emosim_core
from emosim_core import ConfigurationError
from emosim_core.evaluation.plan import EvaluationConfig
from emosim_core.hooks.fields import by_field, describe, field_names, over, split_components
from emosim_core.simulation.config import EnvironmentConfig, RunConfig, read_config_file
from emosim_core.training.config import TrainConfig


class Service(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: float | None = Field(
        default=None, description="Limit.", json_schema_extra={"aliases": ["most"], "unset": "no limit", "unit": "cost"}
    )
    cache: Path | None = Field(default=None, description="File.", json_schema_extra={"rare": True})


class Made(BaseModel):
    model_config = ConfigDict(title="Made")

    name: str = Field(description="Name.")
    sizes: tuple[int, ...] = Field(default=(64, 32), description="Sizes.")
    mode: Literal["a", "b"] = Field(default="a", description="Mode.")
    parts: list[str | dict[str, Any]] = Field(default=[], description="Parts.", json_schema_extra={"unset": "none"})
    extra: dict[str, Any] = Field(default_factory=dict, description="Further arguments.")
    on: bool = Field(default=True, description="On.")
    service: Service = Field(
        default_factory=Service, description="Service.", json_schema_extra={"section": "Outside", "rare": False}
    )
    inner: dict[str, Any] = Field(default_factory=dict, description="Inner.", json_schema_extra={"option": False})


def test_a_field_says_kind_default_unit_choices_and_where_it_is_shown() -> None:
    fields = {one.name: one for one in describe(Made)}
    assert list(fields) == ["name", "sizes", "mode", "parts", "extra", "on", "service.limit", "service.cache"]
    assert [one.kind for one in fields.values()] == [
        *("text", "list", "text", "list", "assignments", "flag", "number", "path"),
    ]  # fmt: skip
    assert [fields[name].default for name in ("name", "sizes", "mode", "parts", "on")] == [
        "",
        "64,32",
        "a",
        "none",
        "on",
    ]
    assert fields["mode"].choices == ("a", "b")
    limit = fields["service.limit"]
    assert (limit.default, limit.unit, limit.aliases, limit.section, limit.rare) == (
        "no limit", "cost", ("most",), "Outside", False,
    )  # fmt: skip
    assert fields["service.cache"].rare
    assert fields["name"].section == "Made"


def test_a_value_goes_to_its_field_under_a_short_name_a_path_or_its_own_name() -> None:
    for values in ({"most": 2}, {"service.limit": 2}, {"service": {"limit": 2}}, {"most": 2, "service.limit": 2}):
        assert by_field(Made, values) == {"service": {"limit": 2}}
    assert by_field(Made, {"service": Service(cache=Path("x")), "most": 2}) == {
        "service": {"cache": Path("x"), "limit": 2}
    }
    assert by_field(Made, {"unknown": 1, "service.other": 1}) == {"unknown": 1, "service": {"other": 1}}
    assert field_names(Made) == {"most": "service.limit"}


def test_a_text_with_commas_is_a_list_or_a_table_where_the_field_holds_one() -> None:
    values = {"sizes": "8, 4", "parts": "a:x=1,y=2,b", "name": "a,b"}
    assert by_field(Made, values) == {"sizes": ["8", "4"], "parts": ["a:x=1,y=2", "b"], "name": "a,b"}
    assert by_field(Made, {"extra": "n=3,word=four,flag=false"}) == {"extra": {"n": 3, "word": "four", "flag": False}}
    assert by_field(Made, {"sizes": [8], "extra": {"n": 3}}) == {"sizes": [8], "extra": {"n": 3}}
    assert split_components("") == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"most": 1, "service": {"limit": 2}}, "here: most stands for service.limit, which is given too"),
        ({"most": 1, "service.limit": 2}, "stands for service.limit, which is given too"),
        ({"most": 1, "service": 5}, "service is 5, which is no table"),
        ({"extra": "n"}, "extra: expected name=value with commas between, got 'n'"),
    ],
)
def test_two_values_for_one_field_and_values_in_no_table_are_mistakes(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        by_field(Made, values, "here")
    assert message in str(error.value)


def test_tables_are_merged_and_all_else_is_replaced() -> None:
    base = {"service": {"limit": 1, "cache": "a"}, "parts": [{"name": "x"}], "extra": {"n": 1}}
    assert over(Made, {"service": {"limit": 2}, "extra": {"m": 1}}, base) == {
        "service": {"limit": 2, "cache": "a"}, "parts": [{"name": "x"}], "extra": {"m": 1},
    }  # fmt: skip


SHORT = {"users": "basic", "retrieval": "last_3", "max_cost": 2.0, "concurrency": 4, "replay": True, "explain": True}


@pytest.mark.parametrize("model", [EnvironmentConfig, RunConfig, TrainConfig, EvaluationConfig])
def test_short_names_work_in_python_and_in_toml(model: type[EnvironmentConfig], tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        'plugin = "movies"\nusers = "basic"\nretrieval = "last_3"\nmax_cost = 2.0\nconcurrency = 4\nreplay = true\n'
        'explain = true\nllm_model = "m"\n'
    )
    python = model(plugin="movies", llm_model="m", **SHORT)  # type: ignore[arg-type]
    assert model(**read_config_file(model, file)) == python
    assert (python.user_dataset, python.items_retrieval) == ("basic", "last_3")
    assert isinstance(python.rater, dict)
    gateway = python.rater["gateway"]
    assert (gateway["max_cost"], gateway["concurrency"], gateway["replay"]) == (2.0, 4, True)
    assert (python.rater["name"], python.rater["model"], python.rater["explain"]) == ("llm", "m", True)


def test_a_file_with_one_field_under_two_names_is_named(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('users = "basic"\nuser_dataset = "sampled"\n')
    with pytest.raises(ConfigurationError, match=r"c\.toml: users stands for user_dataset"):
        read_config_file(RunConfig, file)


LONG = {"name": "llm", "model": "m", "explain": True, "gateway": {"concurrency": 5}}


@pytest.mark.parametrize(
    "values",
    [
        {"llm_model": "m", "llm": {"explain": True}, "gateway": {"concurrency": 5}},
        {"llm_model": "m", "explain": True, "concurrency": 5},
        {"llm_model": "m", "llm_rater": "0Shot_system_our", "llm.explain": True, "gateway.concurrency": 5},
        {"rater": LONG},
        {"rater": {**LONG, "strategy": "0Shot_system_our", "parse_attempts": 3}},
        {"rater": "llm:m", "explain": True, "concurrency": 5},
        {"rater": "llm:model=m,explain=true", "gateway": {"concurrency": 5}},
        {"rater": {"name": "llm:m", "gateway": {"concurrency": 5}}, "explain": True},
        {"rater": "llm", "llm_model": "m", "explain": True, "concurrency": 5},
        {"rater": LONG, "llm_model": "m", "llm_rater": None},
    ],
)
@pytest.mark.parametrize("model", [EnvironmentConfig, RunConfig, TrainConfig, EvaluationConfig])
def test_a_rater_that_is_a_language_model_is_the_same_however_it_is_written(
    model: type[EnvironmentConfig], values: dict[str, Any]
) -> None:
    made = model(plugin="movies", **values)
    assert made == model(plugin="movies", rater=LONG)
    assert model(**made.model_dump()) == made
    assert model(**by_field(model, made.model_dump(mode="json"))) == made


def test_the_options_of_a_rater_stand_under_fields_of_their_own() -> None:
    assert by_field(RunConfig, {"rater": LONG}) == {
        "llm_model": "m", "llm": {"explain": True}, "gateway": {"concurrency": 5},
    }  # fmt: skip
    for other in ("rule_based", {"name": "rule_based", "noise": 0.1}, ["llm:m", "rule_based"], "hearsay"):
        assert by_field(RunConfig, {"rater": other}) == {"rater": other}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"rater": "rule_based", "llm_model": "m"},
            "llm_model (--llm-model) chooses the rater 'llm', and rater (--rater) names another",
        ),
        ({"rater": "llm:m", "llm_model": "n"}, "rater.model stands for llm_model, which is given too"),
        ({"rater": LONG, "max_cost": 1, "concurrency": 6}, "gateway.concurrency, which is given too"),
        ({"rater": "llm"}, "rater 'llm': the option 'model' is needed"),
        ({"rater": {"name": "llm", "gateway": {"max_cost": 1}}}, "rater 'llm': the option 'model' is needed"),
        ({"rater": {"name": "llm", "modle": "m"}}, "unknown option 'modle'. Did you mean 'model'?"),
        ({"rater": {**LONG, "gateway": {"cash": "x"}}}, "gateway: unknown option 'cash'. Did you mean 'cache'?"),
        ({"rater": {**LONG, "gateway": 3}}, "rater.gateway is 3, which is no table"),
        (
            {"rater": {**LONG, "parse_attempts": 0}},
            "llm: option 'parse_attempts': Input should be greater than or equal to 1 (got 0)",
        ),
        ({"llm_rater": "s"}, "llm_rater 's' needs a language model: give --llm-model too (llm_model in a file)"),
        ({"rater": "rule_based", "llm_rater": "s"}, "llm_rater 's' needs a language model"),
        ({"gateway": {"cash": "x"}}, "gateway: unknown option 'cash'. Did you mean 'cache'?"),
        ({"llm": {"readings": "x"}}, "llm: unknown option 'readings'. Did you mean 'reading'?"),
        ({"llm_model": "m", "max_cost": float("nan")}, "gateway: option 'max_cost'"),
    ],
)
def test_options_of_a_language_model_that_do_not_fit_are_mistakes(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        EnvironmentConfig(plugin="movies", **values)
    assert message in str(error.value)


def test_options_of_model_calls_may_be_given_where_no_model_is_named() -> None:
    assert EnvironmentConfig(plugin="movies", gateway={"max_cost": 1}).rater == "rule_based"  # type: ignore[call-arg]


def test_values_that_choose_a_rater_replace_the_rater_below() -> None:
    model = {"llm_model": "m", "gateway": {"cache": "a"}}
    assert over(RunConfig, {"rater": "rule_based"}, model) == {"rater": "rule_based"}
    assert over(RunConfig, model, {"rater": "rule_based"}) == model
    assert over(RunConfig, {"rater": "llm:n"}, model) == {**model, "llm_model": "n"}
    assert over(RunConfig, {"max_cost": 1}, {"rater": {"name": "llm", "model": "m", "gateway": {"cache": "a"}}}) == {
        "llm_model": "m", "gateway": {"cache": "a", "max_cost": 1},
    }  # fmt: skip


def test_entries_become_a_table_and_each_name_stands_once() -> None:
    arms = by_field(EvaluationConfig, {"arms": ["control=popular", "new=python:mine.py:best"]})["arms"]
    assert arms == {"control": "popular", "new": "python:mine.py:best"}
    with pytest.raises(ConfigurationError, match="expected NAME=VALUE, such as control=popular, got 'popular'"):
        by_field(EvaluationConfig, {"arms": ["popular"]})
    with pytest.raises(ConfigurationError, match="the name 'a' is given twice, to 'random' and 'popular'"):
        by_field(EvaluationConfig, {"arms": ["a=random", "a=popular"]})


@pytest.mark.parametrize(
    ("function", "wrong", "meant"),
    [
        (emosim_core.run, {"epissodes": 3}, "episodes"),
        (emosim_core.run, {"resumee": True}, "resume"),
        (emosim_core.train, {"timestep": 3}, "timesteps"),
        (emosim_core.evaluate, {"chart": False}, "charts"),
        (emosim_core.fit, {"ratings": "x", "foldz": 3}, "folds"),
        (emosim_core.validate, {"ratings": "x", "fold": 3}, "folds"),
        (emosim_core.ablate, {"stuidies": "x"}, "studies"),
    ],
)
def test_a_misspelt_keyword_of_a_function_is_answered_with_the_nearest(
    function: Callable[..., Any], wrong: dict[str, Any], meant: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{function.__name__}: unknown option .* Did you mean .*'{meant}'"):
        function("movies", tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()
