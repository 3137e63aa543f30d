"""What a run needs of a rater: any plugin's rater can give it, and a rater can be made of other components."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emosim_core import ConfigurationError, EmoSimError, EnvironmentConfig, run
from emosim_core.plugins import Registry, assemble
from emosim_core.runs.runner import Run
from emosim_core.simulation.config import RunConfig

ORACLE = """
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from emosim_core.plugins import Component, Rater, hookimpl

EMOSIM_HOOK_VERSION = 1


class OracleOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str | dict[str, Any] = Field("rule_based", description="Rater.", json_schema_extra={"component": "rater"})
    other: str | None = Field(None, description="One more.", json_schema_extra={"component": "rater"})


class Oracle(Rater):
    uses_llm = True
    language_model = "oracle 7"
    answered_by = "the oracle"
    batch_size = 3

    def __init__(self, options, parts):
        assert set(parts) == {"of"}
        self.inner, self.setting = parts["of"].build(Rater), None

    def announcements(self):
        return ("The oracle is slow.",)

    def prepare(self, setting):
        self.setting = setting
        self.inner.prepare(setting)

    def rate_batch(self, request, draws):
        return self.inner.rate_batch(request, draws)

    def usage(self):
        return {"calls": 2, "cost": 0.5}


@hookimpl
def emosim_raters():
    yield Component("oracle", "s", "emosim_oracle:Oracle", options="emosim_oracle:OracleOptions")
    yield Component("broken_oracle", "s", "builtins:dict")
"""


@pytest.fixture
def oracle(install: Callable[..., str]) -> None:
    install("oracle", ORACLE)


def test_a_run_records_who_rates_and_what_the_rater_is_made_of(oracle: None, tmp_path: Path) -> None:
    summary = run(
        "movies", tmp_path / "r", rater={"name": "oracle", "of": "rule_based:noise=0"}, episodes=2, max_steps=2
    )
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert (manifest["uses_llm"], manifest["language_model"]) == (True, "oracle 7")
    assert manifest["answered_by"] == summary["answered_by"] == "the oracle"
    assert manifest["announcements"][0] == "The oracle is slow."
    assert manifest["config"]["num_envs"] == 3
    assert (summary["rater"], summary["usage"]) == ("oracle", {"calls": 2, "cost": 0.5})
    part = manifest["parts"]["rater"]
    assert (part["name"], part["provider"], part["language_model"]) == ("oracle", "emosim-oracle 1.2", "oracle 7")
    assert part["options"] == {"other": None}
    assert (part["parts"]["of"]["name"], part["parts"]["of"]["options"]["noise"]) == ("rule_based", 0)
    assert manifest["versions"]["emosim-oracle"] == "1.2"


def test_a_run_that_says_how_many_episodes_are_simulated_at_once_is_obeyed(oracle: None, tmp_path: Path) -> None:
    config = RunConfig(plugin="movies", rater="oracle", num_envs=5)
    assert Run(config, tmp_path / "r").config.num_envs == 5


def test_a_rater_gets_what_a_failed_rating_does_and_what_was_spent(oracle: None) -> None:
    config = EnvironmentConfig(plugin="books", rater="oracle", on_failed_rating="skip")
    world = assemble(config, spent=0.25)
    setting: Any = world.rater.setting  # type: ignore[attr-defined]
    assert (setting.domain, setting.on_failed_rating, setting.spent) == ("books", "skip", 0.25)
    assert len(setting.examples) == 3
    assert not world.trusted("rater")


def test_a_rater_that_says_nothing_is_labelled_by_its_name() -> None:
    world = assemble(EnvironmentConfig(plugin="movies"))
    assert world.answered_by == "rule_based (no language model)"
    assert world.trusted("rater")
    rater = {**world.parts["rater"], "parts": {"of": {"provider": "emosim-oracle 1.2"}}}
    assert not replace(world, parts={**world.parts, "rater": rater}).trusted("rater")


@pytest.mark.parametrize(
    ("rater", "message"),
    [
        ({"name": "oracle", "of": "rulebased"}, "unknown rater 'rulebased'. Did you mean 'rule_based'?"),
        ({"name": "oracle", "of": "rule_based:nois=1"}, "Did you mean 'noise'?"),
        ({"name": "oracle", "of": "broken_oracle"}, "must be of the class Rater; its factory returned a dict"),
        ("llm:nothing-known", "unknown language-model backend 'nothing-known'"),
        ("llm:model=deepseek-chat,strategy=0Shot", "unknown prompt strategy '0Shot'"),
    ],
)
def test_a_part_that_cannot_be_made_is_named(oracle: None, rater: Any, message: str) -> None:
    with pytest.raises(EmoSimError) as error:
        assemble(EnvironmentConfig(plugin="movies", rater=rater), Registry())
    assert message in str(error.value)


def test_a_rater_that_is_a_language_model_labels_itself_without_loading_anything() -> None:
    program = (
        "import sys\n"
        "from emosim_core import EnvironmentConfig\n"
        "from emosim_core.plugins import assemble\n"
        "config = EnvironmentConfig(plugin='movies', users='sampled:n=3')\n"
        "assemble(config)\n"
        "loaded = {'emosim_core.llm.rater', 'emosim_core.llm.gateway.gateway', 'sqlite3'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "world = assemble(EnvironmentConfig(plugin='movies', users='sampled:n=3', rater='llm:http://127.0.0.1:9/v1#m'))\n"
        "print(world.answered_by, world.rater.batch_size)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == ("m at http://127.0.0.1:9/v1 (language model; prompt strategy 0Shot_system_our) 1024\n"), (
        done.stderr
    )


def test_what_was_spent_before_counts_towards_the_limit_of_a_language_model() -> None:
    config = EnvironmentConfig(plugin="movies", rater="llm:http://127.0.0.1:9/v1#m", max_cost=2.0)  # type: ignore[call-arg]
    world = assemble(config, spent=0.5)
    rater: Any = world.rater
    try:
        assert rater.gateway.usage.spent == 0.5
        rater.prepare(replace(world.setting(), spent=5.0))
        assert rater.gateway.usage.spent == 5.0
    finally:
        rater.close()
    with pytest.raises(ConfigurationError):
        EnvironmentConfig(plugin="movies", rater="llm:m", max_cost=-1)  # type: ignore[call-arg]
