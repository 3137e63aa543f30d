"""Trust: what a directory says chooses data alone, unless its user made it here or gives it again."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

import emosim_core
from emosim_core.data.files import write_whole
from emosim_core.errors import ConfigurationError, RunError, TrustError
from emosim_core.evaluation.plan import EvaluationConfig
from emosim_core.plugins import Registry
from emosim_core.runs import notes
from emosim_core.runs.plain import child, own_files
from emosim_core.runs.reach import _is_harmless, reaches
from emosim_core.runs.records import read_json
from emosim_core.runs.trust import CommandHint, confirmed, note_made
from emosim_core.simulation.config import RunConfig
from emosim_core.studies.ablation.ablation import results
from emosim_core.studies.ablation.grid import AblationConfig
from emosim_core.testing import ChatServer, Emosim, Finished
from emosim_core.training.config import TrainConfig

SMALL = ("--plugin", "movies", "--episodes", "2", "--max-steps", "3", "--quiet")

PLUGIN = """
from pathlib import Path
from pydantic import BaseModel, Field
from emosim_core.plugins import Component, Perturbator, hookimpl

EMOSIM_HOOK_VERSION = 1

class Options(BaseModel):
    where: str
    size: float = 1.0

class Counted(BaseModel):
    size: float = 1.0
    label: str = Field(default="a", json_schema_extra={"harmless": True})

class Defaults(BaseModel):
    host: str = "a.company.example"

class Writes(Perturbator):
    def __init__(self, options):
        if getattr(options, "where", None):
            Path(options.where).write_text("written")

    def perturb(self, situation, rng):
        return situation.rating

@hookimpl
def emosim_perturbators():
    yield Component("writes", "Writes.", "emosim_tool:Writes", options="emosim_tool:Options", value="where")
    yield Component("counted", "Counts.", "emosim_tool:Writes", options="emosim_tool:Counted")
    yield Component("company", "Asks.", "emosim_tool:Writes", options="emosim_tool:Defaults")
"""
"""A third party's plugin, which knows nothing of trust."""

PROMPTS = """
from pydantic import BaseModel, ConfigDict, Field

from emosim_core.llm import PromptStrategy
from emosim_core.plugins import Component, hookimpl

EMOSIM_HOOK_VERSION = 1


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    where: str = Field("a", description="Where.")


class Prompts(PromptStrategy):
    def __init__(self, options):
        pass


@hookimpl
def emosim_prompt_strategies():
    yield Component("writes_prompts", "Asks.", "emosim_tool:Prompts", options="emosim_tool:Options")
"""
"""One that brings a prompt strategy with an option that is a text."""


def made_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with this configuration."""
    return {
        "format": 2,
        "uses_llm": False,
        "answered_by": "rule_based",
        "config": config,
        "parts": {},
        "data": {},
    }


def edit(directory: Path, file: str = "manifest.json", **config: Any) -> None:
    """Change the configuration that a directory brings along."""
    path = directory / file
    content = json.loads(path.read_text())
    content["config"].update(config)
    if "llm_model" in config:
        content["config"].pop("rater", None)
    path.write_text(json.dumps(content))


def suggested(folder: Path, finished: Finished) -> list[str]:
    """The arguments of the command that a message says to type, after its file was written."""
    before, _, command = finished.err.rpartition("Continue with:\n")
    _, _, text = before.partition("trusted.toml:\n")
    if text:
        (folder / "trusted.toml").write_text(text)
    typed = shlex.split(command)
    assert typed.pop(0) == "emosim"
    return typed


@pytest.fixture
def own(quick: Callable[..., Any], tmp_path: Path) -> Path:
    """A run of this user, in ``r``."""
    quick("run", *SMALL, "--out", "r")
    return tmp_path / "r"


# ------------------------------------------------------------------------------ code, keys, hosts, paths


def test_a_directory_that_came_from_elsewhere_sends_no_key_to_its_host_until_its_user_types_it(
    quick: Emosim, tmp_path: Path
) -> None:
    quick("run", *SMALL, "--out", "r")
    with ChatServer(lambda body: "5") as server:
        table = {"name": "openai", "model": "m", "base_url": server.url, "api_key_env": "BANK_SECRET"}
        edit(tmp_path / "r", llm_model=table, llm_rater="0Shot_system_our", num_envs=2)
        (tmp_path / "r" / "interactions.jsonl").unlink()
        (tmp_path / "r" / "summary.json").unlink()
        refused = quick("run", "--resume", "r", status=2, BANK_SECRET="hunter2-hunter2")
        assert server.calls == []
        assert "hunter2" not in refused.output
        assert f"llm_model = {json.dumps(table)}" in refused.err
        assert "Nothing of this was used" in refused.err
        manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
        shutil.rmtree(tmp_path / "r")
        options = "openai:model=m,base_url=" + server.url + ",api_key_env=BANK_SECRET"
        asking = ("--llm-model", options, "--llm-rater", "0Shot_system_our", "--num-envs", "2")
        quick("run", *SMALL, *asking, "--out", "r", BANK_SECRET="hunter2-hunter2")
        made = json.loads((tmp_path / "r" / "manifest.json").read_text())
        (tmp_path / "r").rename(tmp_path / "from-elsewhere")
        made["config"] = manifest["config"]
        (tmp_path / "from-elsewhere" / "manifest.json").write_text(json.dumps(made))
        calls = len(server.calls)
        assert calls
        whole = (tmp_path / "from-elsewhere" / "interactions.jsonl").read_bytes()
        (tmp_path / "from-elsewhere" / "interactions.jsonl").write_bytes(whole[:-30])
        (tmp_path / "from-elsewhere" / "summary.json").unlink()
        refused = quick("run", "--resume", "from-elsewhere", status=2, BANK_SECRET="hunter2-hunter2")
        assert "--llm-model openai:model=m,base_url=" in refused.err
        assert len(server.calls) == calls
        quick(*suggested(tmp_path, refused), BANK_SECRET="hunter2-hunter2")
        assert (tmp_path / "from-elsewhere" / "interactions.jsonl").read_bytes() == whole
        assert quick("run", "--resume", "from-elsewhere", "--quiet").out == "from-elsewhere\n"  # noted now


@pytest.mark.parametrize("command", ["run", "log"])
def test_a_directory_that_came_from_elsewhere_loads_no_code_of_a_model(
    quick: Emosim, tmp_path: Path, command: str
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"auto_map": {"AutoConfig": "evil.Config"}, "model_type": "evil"}))
    (model / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    quick(command, *SMALL, "--out", "r")
    table = {"name": "local", "model": str(model), "trust_remote_code": True}
    edit(tmp_path / "r", llm_model=table)
    refused = quick(command, "--resume", "r", status=2)
    assert f"emosim {command} --resume r --llm-model local:model={model},trust_remote_code=true" in refused.err
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gateway": {"cache": "/etc/passwd"}}, "--llm-cache /etc/passwd"),
        ({"items": "csv:/etc/passwd"}, "--items csv:/etc/passwd"),
        ({"items": {"name": "csv", "path": "a,b.csv"}}, 'name = "csv"'),
        ({"user_dataset": {"name": "csv:/etc/passwd"}}, "--user-dataset csv:path=/etc/passwd"),
        ({"embeddings": "sentence-transformers:/tmp/model"}, "--embeddings sentence-transformers:/tmp/model"),
        ({"policy": "replay:/etc/passwd"}, "--policy replay:/etc/passwd"),
        ({"policy": {"name": "trained", "path": "/tmp/$(id)"}}, "--policy 'trained:path=/tmp/$(id)'"),
        ({"policy": {"name": "item_knn", "logs": ["/tmp/logs"], "k": 5}}, "logs = ["),
        ({"policy": "linucb:logs=/tmp/logs"}, "--policy linucb:logs=/tmp/logs"),
        ({"llm_model": "deepseek-chat"}, "--llm-model deepseek-chat"),
        ({"llm_model": "http://127.0.0.1:1/v1#x"}, "--llm-model 'http://127.0.0.1:1/v1#x'"),
        ({"items": "csv:/a\x1b[31m\u202eb"}, "\\u001b[31m\\u202eb"),
    ],
)
def test_what_reaches_beyond_data_is_listed_with_what_to_type(
    quick: Callable[..., Any], own: Path, values: dict[str, Any], message: str
) -> None:
    edit(own, **values)
    (own / "summary.json").unlink()
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    refused = quick("run", "--resume", "r", status=2)
    assert message in refused.err
    assert next(iter(values)) in refused.err
    assert "\x1b" not in refused.err
    assert "\u202e" not in refused.err
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before
    unused = "gateway" in values  # no model is called, so no answer is kept; all else names what is not there
    again = quick(*suggested(own.parent, refused), status=0 if unused else 2)
    assert "was not made here" not in again.err


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("users", "csv:/etc/passwd", "user_dataset"),
        ("llm_cache", "/etc/passwd", "gateway.cache"),
        ("gateway.cache", "/etc/passwd", "gateway.cache"),
        ("policies", "random,trained:/etc/passwd", "policies"),
        ("study", "sampling:about=/etc/passwd", "studies"),
    ],
)
def test_a_short_name_or_a_text_reaches_as_far_as_its_field(name: str, value: str, field: str) -> None:
    values = {"plugin": "movies", name: value}
    assert list(reaches(values, (EvaluationConfig, AblationConfig), REGISTRY, "movies")) == [field]


MODEL = {"name": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key_env": "BANK_SECRET"}


@pytest.mark.parametrize(
    ("written", "short"),
    [
        ({"name": "llm", "model": MODEL}, {"llm_model": MODEL}),
        ({"name": "llm:deepseek-chat", "explain": True}, {"llm_model": "deepseek-chat", "explain": True}),
        ("llm:deepseek-chat", {"llm_model": "deepseek-chat"}),
        ("llm:model=deepseek-chat,strategy=0Shot_system_our", {"llm_model": "deepseek-chat"}),
        (
            {"name": "llm", "model": "local:/tmp/m", "gateway": {"cache": "/etc/passwd", "concurrency": 3}},
            {"llm_model": "local:/tmp/m", "gateway": {"cache": "/etc/passwd"}},
        ),
        (
            {"name": "llm", "model": "deepseek-chat", "strategy": {"name": "writes_prompts", "where": "a"}},
            {"llm_model": "deepseek-chat", "llm_rater": {"name": "writes_prompts", "where": "a"}},
        ),
    ],
)
@pytest.mark.parametrize("model", [RunConfig, TrainConfig, EvaluationConfig])
def test_a_language_model_reaches_as_far_when_it_is_written_as_a_rater(
    quick: Callable[..., Any],
    install: Callable[..., str],
    written: Any,
    short: dict[str, Any],
    model: type[RunConfig],
) -> None:
    install("tool", PROMPTS)
    registry = Registry()
    domain = registry.resolve_domain("movies").component.name
    reached = reaches({"plugin": "movies", "rater": written}, (model,), registry, domain)
    assert reached
    assert reached == reaches({"plugin": "movies", **short}, (model,), registry, domain)
    listed = reaches({"plugin": "movies", "raters": ["rule_based", written]}, (AblationConfig,), registry, domain)
    assert list(listed) == ["raters"]


@pytest.mark.parametrize("written", ["llm:deepseek-chat", {"name": "llm", "model": MODEL}])
def test_a_rater_in_a_directory_asks_no_model_until_its_user_types_it(
    quick: Callable[..., Any], own: Path, written: Any
) -> None:
    edit(own, rater=written)
    (own / "summary.json").unlink()
    refused = quick("run", "--resume", "r", status=2)
    assert "llm_model = " in refused.err
    assert "emosim run --resume r --llm-model " in refused.err
    again = quick(*suggested(own.parent, refused), status=2)
    assert "was made with another configuration" in again.err
    pytest.importorskip("minari")
    refused = quick("data", "export", "r", "--format", "minari", "--out", "sets", status=2).err
    assert "llm_model = " in refused


def test_a_short_name_in_a_directory_opens_nothing(quick: Callable[..., Any], own: Path) -> None:
    manifest = json.loads((own / "manifest.json").read_text())
    del manifest["config"]["user_dataset"]
    manifest["config"]["users"] = "csv:/etc/passwd"
    (own / "manifest.json").write_text(json.dumps(manifest))
    (own / "summary.json").unlink()
    for command in (("run", "--resume", "r"), ("data", "export", "r", "--format", "minari", "--out", "sets")):
        assert "user_dataset" in quick(*command, status=2).err


@pytest.mark.parametrize(
    "values",
    [
        {"items": "sample", "user_dataset": {"name": "sampled", "n": 20, "seed": 3}},
        {"items_retrieval": {"name": "decay_emotion", "k": 5, "consider_arousal": False}, "embeddings": "lexical"},
        {"policy": "epsilon_greedy:epsilon=0.2", "perturbator": "gaussian", "gateway": {"concurrency": 3}},
        {"llm": {"reading": "sampled"}, "selector": "probabilistic:p=0.5", "keep_memory": True},
        {"policy": "linucb", "reward_shaping": "identity", "mood": {}, "rater": {"name": "rule_based", "noise": 0.1}},
    ],
)
def test_what_chooses_data_alone_is_taken_from_any_directory(
    quick: Callable[..., Any], own: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    stored = {**json.loads((own / "manifest.json").read_text())["config"], **values}
    assert confirmed(own, stored, {}, stored, (RunConfig,), Registry(), CommandHint("")) == stored
    assert not (tmp_path / "state").exists()  # a run with nothing of this kind leaves no note


def test_a_third_partys_text_option_is_asked_for_too(
    quick: Callable[..., Any], install: Callable[..., str], tmp_path: Path
) -> None:
    install("tool", PLUGIN)
    quick("run", *SMALL, "--perturbator", "writes:a", "--out", "r")
    (tmp_path / "r").rename(tmp_path / "copy")
    (tmp_path / "copy" / "summary.json").unlink()
    edit(tmp_path / "copy", perturbator={"name": "writes", "where": "b"})
    refused = quick("run", "--resume", "copy", status=2)
    assert "'writes' of emosim-tool, with where" in refused.err
    assert not (tmp_path / "b").exists()
    for accepted in ("counted", {"name": "counted", "size": 2.0, "label": "any text"}, "none"):
        edit(tmp_path / "copy", perturbator=accepted)
        assert "was not made here" not in quick("run", "--resume", "copy", status=2).err
    for doubtful in ("company", {"name": "company", "host": "a.company.example"}):
        edit(tmp_path / "copy", perturbator=doubtful)
        assert "'company' of emosim-tool" in quick("run", "--resume", "copy", status=2).err


def test_a_training_is_resumed_with_nothing_that_only_its_user_may_choose(
    quick: Callable[..., Any], tmp_path: Path
) -> None:
    config = TrainConfig(plugin="movies", items="csv:/etc/passwd", track=("wandb",), device="cuda")
    (tmp_path / "t").mkdir()
    manifest = made_of(config.model_dump(mode="json"))
    manifest["config"]["algorithm"] = {"tensorboard_log": "/tmp/x"}
    (tmp_path / "t" / "manifest.json").write_text(json.dumps(manifest))
    refused = quick("train", "--resume", "t", status=2).err
    assert "--items csv:/etc/passwd --track wandb" in refused
    assert 'tensorboard_log = "/tmp/x"' in refused
    assert "device =" not in refused
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["manifest.json"]


def test_an_evaluation_takes_no_reach_from_a_model_or_from_what_is_resumed(
    quick: Callable[..., Any], tmp_path: Path
) -> None:
    config = TrainConfig(plugin="movies", items="csv:/etc/passwd", llm_model="deepseek-chat", llm_cache="/etc/passwd")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "manifest.json").write_text(json.dumps(made_of(config.model_dump(mode="json"))))
    refused = quick("evaluate", "--recommenders", "t", "--policies", "random", "--no-charts", status=2)
    assert (
        "emosim evaluate --recommenders t --policies random --no-charts --llm-cache /etc/passwd "
        "--items csv:/etc/passwd --llm-model deepseek-chat\n" in refused.err
    )
    assert "/etc/passwd" in quick(*suggested(tmp_path, refused), status=2).err

    few = ("--episodes", "2", "--max-steps", "2", "--resamples", "100", "--no-charts", "--quiet")
    quick("evaluate", "--plugin", "movies", "--policies", "random", *few, "--out", "e")
    edit(tmp_path / "e", "evaluation.json", policies=["random", "replay:/etc/passwd"])
    refused = quick("evaluate", "--resume", "e", status=2).err
    assert "--policies random,replay:/etc/passwd" in refused


def test_an_ablation_is_resumed_with_what_its_user_gives_again(
    quick: Callable[..., Any], install: Callable[..., str], tmp_path: Path
) -> None:
    install("tool", PLUGIN)
    grid = ("--plugin", "movies", "--study", "sampling:pairs=5", "--executor", "local")
    quick("ablate", *grid, "--perturbator", "none,writes:where=file", "--out", "a", "--quiet")
    before = json.loads((tmp_path / "a" / "results.json").read_text())
    assert quick("ablate", "--resume", "a", "--json").json == before
    (tmp_path / "a").rename(tmp_path / "b")
    refused = quick("ablate", "--resume", "b", status=2)
    assert "emosim ablate --resume b --perturbator none,writes:where=file" in refused.err
    wrong = quick(
        "ablate", "--resume", "b", "--perturbator", "none,writes:where=file", "--items", "csv:x", status=2
    ).err
    assert "which has another items; leave it out" in wrong
    assert quick(*suggested(tmp_path, refused), "--json").json == before
    assert quick("ablate", "--resume", "b", "--json").json == before  # noted now


def test_names_in_a_file_lead_nowhere_else(quick: Callable[..., Any], tmp_path: Path) -> None:
    grid = ("--plugin", "movies", "--study", "sampling:pairs=5", "--executor", "local")
    quick("ablate", *grid, "--out", "a", "--quiet")
    shutil.copytree(tmp_path / "a" / "jobs", tmp_path / "elsewhere")
    path = tmp_path / "a" / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in ("../../elsewhere", str(tmp_path), "..", "", 5, "a\0b"):
        manifest["jobs"][0]["job"] = name
        path.write_text(json.dumps(manifest))
        with pytest.raises(RunError, match=r"is no name of a folder|is damaged: jobs\.0\.job"):
            results(tmp_path / "a", Registry())
    assert child(tmp_path, "a") == tmp_path / "a"


def test_a_report_reads_no_items_that_the_directory_names(quick: Callable[..., Any], own: Path, tmp_path: Path) -> None:
    edit(own, items="csv:/etc/passwd")
    quick("report", "r", "--quiet")
    page = (own / "report.html").read_text(encoding="utf-8")
    assert "The items were not loaded" in page
    assert "emosim report r --quiet --config trusted.toml" in page
    (tmp_path / "trusted.toml").write_text('items = "csv:/etc/passwd"\n')
    quick("report", "r", "--quiet", "--config", "trusted.toml")
    assert "The items cannot be loaded" in (own / "report.html").read_text(encoding="utf-8")


def test_data_sets_of_a_directory_take_no_reach_from_it(quick: Callable[..., Any], own: Path) -> None:
    edit(own, llm_model="deepseek-chat", llm_rater="0Shot_system_our", gateway={"cache": "/etc/passwd"})
    pytest.importorskip("minari")
    refused = quick("data", "export", "r", "--format", "minari", "--out", "sets", status=2).err
    assert 'llm_model = "deepseek-chat"' in refused
    assert "emosim data export r --format minari --out sets --config trusted.toml" in refused


# -------------------------------------------------------------------------------------- own directories


def test_an_own_directory_goes_on_and_a_copied_moved_or_edited_one_is_asked_about(
    quick: Callable[..., Any], tmp_path: Path
) -> None:
    world = emosim_core.make("movies").unwrapped.engine.world
    (tmp_path / "list.csv").write_text("item\n" + "\n".join(item.id for item in world.catalog.items[:9]))
    quick("run", *SMALL, "--policy", "replay:list.csv", "--out", "r")
    (tmp_path / "r" / "summary.json").unlink()
    quick("run", "--resume", "r", "--quiet")
    (tmp_path / "link").symlink_to(tmp_path / "r")
    quick("run", "--resume", "link", "--quiet")
    shutil.copytree(tmp_path / "r", tmp_path / "copy")
    refused = quick("run", "--resume", "copy", status=2)
    assert "emosim run --resume copy --policy replay:list.csv" in refused.err
    (tmp_path / "copy" / "summary.json").unlink()
    quick(*suggested(tmp_path, refused), "--quiet")
    quick("run", "--resume", "copy", "--quiet")
    edit(tmp_path / "r", policy="replay:other.csv")
    assert "--policy replay:other.csv" in quick("run", "--resume", "r", status=2).err
    edit(tmp_path / "r", policy={"name": "replay", "file": str(tmp_path / "list.csv")})  # the same, spelled otherwise
    quick("run", "--resume", "r", "--quiet")
    (tmp_path / "copy").rename(tmp_path / "moved")
    assert "was not made here" in quick("run", "--resume", "moved", status=2).err


KILLED = """
import os, signal, sys
from emosim_core.cli.main import main

replace = os.replace

def replace_and_end(source, target, **more):
    replace(source, target, **more)
    if os.path.basename(target) == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = replace_and_end
main(sys.argv[2:])
"""


def killed_after_writing(emosim: Emosim, file: str, *arguments: str) -> None:
    """Run a command that is killed as soon as it has put a file of this name in place."""
    command = [sys.executable, "-c", KILLED, file, *arguments]
    killed = subprocess.run(command, cwd=emosim.folder, env=emosim.environment(), capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("manifest.json", "run --episodes 2 --max-steps 3"),
        ("manifest.json", "train --timesteps 128 --num-envs 4 --n-steps 8 --device cpu"),
        ("evaluation.json", "evaluate --policies random --user-splits test --episodes 2 --max-steps 3 --no-charts"),
        ("manifest.json", "ablate --study sampling:pairs=10"),
    ],
)
def test_a_directory_is_its_users_from_its_first_file_on(
    quick: Emosim, tmp_path: Path, file: str, command: str
) -> None:
    films = quick("items", "--plugin", "movies", "--csv").out.replace("item,", "id,", 1)
    (tmp_path / "films.csv").write_text(films.replace(",categories,", ",genres,", 1))
    items = ("--plugin", "movies", "--items", "csv:films.csv", "--embeddings", "lexical")
    begun = [*command.split(), *items, "--quiet", "--out", "d"]
    killed_after_writing(quick, file, *begun)
    quick(begun[0], "--resume", "d", "--quiet")


def test_a_run_that_is_killed_as_its_manifest_changes_is_its_users_before_and_after(
    quick: Emosim, tmp_path: Path
) -> None:
    with ChatServer(lambda request: "7") as server:
        quick.variables.update({"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url})
        model = ("--llm-model", "deepseek-chat", "--users", "sampled:n=2", "--llm-cache", "a.sqlite3")
        quick("run", *SMALL, *model, "--out", "r")
        manifest = tmp_path / "r" / "manifest.json"
        before = manifest.read_bytes()
        killed_after_writing(quick, "manifest.json", "run", "--resume", "r", "--quiet", "--llm-cache", "b.sqlite3")
        after = manifest.read_bytes()
        assert after != before
        for content in (before, after):
            manifest.write_bytes(content)
            quick("run", "--resume", "r", "--quiet")


def test_what_its_user_has_replaced_is_not_trusted_when_it_comes_back(quick: Emosim, tmp_path: Path) -> None:
    with ChatServer(lambda request: "7") as server:
        quick.variables.update({"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url})
        model = ("--llm-model", "deepseek-chat", "--users", "sampled:n=2")
        quick("run", *SMALL, *model, "--llm-cache", "a.sqlite3", "--out", "r")
        config = json.loads((tmp_path / "r" / "manifest.json").read_text())["config"]
        config["rater"]["gateway"]["cache"] = str(tmp_path / "hostile.sqlite3")
        edit(tmp_path / "r", **config)
        hostile = (tmp_path / "r" / "manifest.json").read_bytes()
        assert "hostile.sqlite3" in quick("run", "--resume", "r", "--quiet", status=2).err
        quick("run", "--resume", "r", "--quiet", "--llm-cache", "b.sqlite3")
        (tmp_path / "r" / "manifest.json").write_bytes(hostile)
        assert "hostile.sqlite3" in quick("run", "--resume", "r", "--quiet", status=2).err


def test_an_ablation_that_is_continued_with_another_cache_stays_its_users(quick: Emosim, tmp_path: Path) -> None:
    with ChatServer(lambda request: "7") as server:
        quick.variables.update({"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url})
        begun = ("--study", "sampling:pairs=3", "--llm-model", "deepseek-chat", "--llm-cache", "a.sqlite3", "--yes")
        quick("ablate", "--plugin", "movies", *begun, "--quiet", "--out", "d")
        quick("ablate", "--resume", "d", "--quiet", "--yes", "--llm-cache", "b.sqlite3")
        quick("ablate", "--resume", "d", "--quiet", "--yes")


def test_a_relative_path_is_that_of_the_folder_in_which_it_was_given(
    quick: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"plugin": "movies", "items": "csv:films.csv", "policy": "trained:model"}
    (tmp_path / "model").mkdir()
    (tmp_path / "r").mkdir()
    note_made(tmp_path / "r", values, (RunConfig,), Registry())
    confirmed(tmp_path / "r", values, {}, values, (RunConfig,), Registry(), CommandHint(""))
    (tmp_path / "hostile" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "hostile")
    with pytest.raises(TrustError) as refused:
        confirmed(tmp_path / "r", values, {}, values, (RunConfig,), Registry(), CommandHint(""))
    assert refused.value.names == ("items", "policy")


def test_the_secret_is_its_owners_alone_and_a_note_without_it_counts_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("EMOSIM_STATE_DIR", str(tmp_path / "state"))
    directory, values = tmp_path / "r", {"policy": ["a"]}
    directory.mkdir()
    notes.write_note(directory, values)
    assert notes.noted(directory, values) == {"policy"}
    assert notes.noted(directory, {"policy": ["b"], "items": ["a"]}) == set()
    secret = tmp_path / "state" / "trust" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    (file,) = (tmp_path / "state" / "trust" / "notes").iterdir()
    assert "policy" in file.read_text()
    payload = json.loads(file.read_text())
    for name, wrong in (("directory", "/elsewhere"), ("values", {}), ("signature", "0" * 64), ("signature", None)):
        file.write_text(json.dumps({**payload, name: wrong}))
        assert notes.noted(directory, values) == set()
    file.write_text("[]")
    assert notes.noted(directory, values) == set()
    file.write_text(json.dumps(payload))
    assert notes.noted(directory, values) == {"policy"}
    secret.chmod(0o644)  # anybody could have signed
    assert notes.noted(directory, values) == set()
    notes.write_note(directory, values)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert notes.noted(directory, values) == {"policy"}
    monkeypatch.setenv("EMOSIM_STATE_DIR", "state")
    monkeypatch.chdir(tmp_path)  # a state folder that lies where the user stands may be anybody's
    assert notes.noted(directory, values) == set()


def test_many_at_once_make_one_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSIM_STATE_DIR", str(tmp_path / "state"))
    for number in range(16):
        (tmp_path / str(number)).mkdir()
    start = threading.Barrier(16)

    def write(number: int) -> None:
        start.wait()
        notes.write_note(tmp_path / str(number), {"a": number})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(notes.noted(tmp_path / str(number), {"a": number}) == {"a"} for number in range(16))
    assert sorted(path.name for path in (tmp_path / "state" / "trust").iterdir()) == ["notes", "secret"]


def test_notes_of_directories_that_are_gone_go_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSIM_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path / "state" / "trust" / "notes"
    for number in range(400):
        (tmp_path / "r").mkdir()
        notes.write_note(tmp_path / "r", {"a": number})
        (tmp_path / "r").rename(tmp_path / str(number))
        notes.write_note(tmp_path / str(number), {"a": number})
        if number % 10:
            (tmp_path / str(number)).rmdir()
    assert 40 <= len(list(folder.iterdir())) < 100
    monkeypatch.setattr(notes.platform, "node", lambda: "another")  # with the same home, and other disks
    before = len(list(folder.iterdir()))
    shutil.rmtree(tmp_path / "0")
    notes.write_note(tmp_path, {"a": 1})
    assert len(list(folder.iterdir())) == before + 1
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    notes.write_note(tmp_path, {"a": 1})
    assert len(list(folder.iterdir())) <= before


def test_without_a_state_folder_a_run_works_and_says_what_it_will_want_again(
    quick: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("EMOSIM_STATE_DIR", str(tmp_path / "taken" / "state"))
    (tmp_path / "people.csv").write_text("id,name,description\n1,Ann,x\n2,Bo,y\n")
    done = quick("run", *SMALL, "--users", "csv:people.csv", "--out", "r")
    assert done.out == "r\n"
    assert "Warning: that r was made here cannot be noted" in done.err
    assert "will want these given again: user_dataset" in done.err
    refused = quick("run", "--resume", "r", status=2)
    assert quick(*suggested(tmp_path, refused), "--quiet").out == "r\n"
    assert quick("run", *SMALL, "--out", "plain").err == ""  # nothing to note


# ------------------------------------------------------------------------------------------- files


def test_a_link_a_pipe_or_a_device_in_a_directory_is_not_followed(
    quick: Callable[..., Any], own: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "bashrc"
    victim.write_text("mine")
    lines = (own / "interactions.jsonl").read_bytes()
    for make, what in (
        (lambda path: path.symlink_to(victim), "a symbolic link"),
        (os.mkfifo, "a pipe, a socket or a device"),
    ):
        for name in ("interactions.jsonl", "summary.json", "manifest.json", "new.txt"):
            path = own / name
            content = path.read_bytes() if path.exists() else None
            path.unlink(missing_ok=True)
            make(path)
            refused = quick("run", "--resume", "r", status=2).err
            assert f"r/{name}" in refused
            assert what in refused
            if name in ("manifest.json", "interactions.jsonl"):
                for reader in (
                    ("show", "r", "--episode", "0"),
                    ("report", "r"),
                    ("compare", "r", "r"),
                    ("data", "export", "r"),
                ):
                    more = ("--out", "x.parquet") if reader[0] == "data" else ()
                    quick(*reader, *more, status=2)
            path.unlink()
            if content is not None:
                path.write_bytes(content)
    assert victim.read_text() == "mine"
    assert (own / "interactions.jsonl").read_bytes() == lines
    (own / "summary.json").unlink()
    (own / "summary.json").symlink_to("/dev/zero")
    with pytest.raises(RunError, match="symbolic link"):
        emosim_core.run("movies", own, resume=True, episodes=2, max_steps=3)


def test_folders_of_a_directory_that_lead_elsewhere_are_not_followed(quick: Callable[..., Any], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "000000000001").mkdir(parents=True)
    (tmp_path / "t").mkdir()
    config = TrainConfig(plugin="movies").model_dump(mode="json")
    (tmp_path / "t" / "manifest.json").write_text(json.dumps(made_of(config)))
    for name in ("checkpoints", "model", "best", "wandb", "tensorboard"):
        (tmp_path / "t" / name).symlink_to(elsewhere)
        assert f"t/{name} is a symbolic link" in quick("train", "--resume", "t", status=2).err
        assert f"t/{name} is a symbolic link" in quick("evaluate", "--recommenders", "t", status=2).err
        (tmp_path / "t" / name).unlink()
    (tmp_path / "t" / "wandb").mkdir()
    (tmp_path / "t" / "wandb" / "latest-run").symlink_to("run-1")  # wandb's own
    own_files(tmp_path / "t")
    assert [path.name for path in elsewhere.iterdir()] == ["000000000001"]


def test_a_file_is_written_in_place_of_a_link_and_never_through_one(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "a.json").symlink_to(victim)
    (tmp_path / f".a.json.partial-{os.getpid()}").symlink_to(victim)
    with pytest.raises(RunError, match="symbolic link, which is not followed"):
        read_json(tmp_path / "a.json")
    write_whole(tmp_path / "a.json", b"{}")
    assert victim.read_text() == "mine"
    assert read_json(tmp_path / "a.json") == {}


# ---------------------------------------------------------------------------------------------- rule

CANARY = "/canary"


class Kind(Enum):
    ONE = "one"


class Inner(BaseModel):
    number: int = 0


class Deep(BaseModel):
    inner: Inner = Inner()
    other: list[tuple[float, ...]] = []
    kind: Kind | None = None
    one_of: Annotated[Literal["a", "b"] | bool, Field(description="")] = "a"


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Aliased(BaseModel):
    number: int = Field(default=0, alias="text")


class Loop(BaseModel):
    inner: Loop | None = None


@pytest.mark.parametrize(
    ("annotation", "harmless"),
    [
        (int, True), (bool | None, True), (Literal["a"], True), (tuple[float, ...], True), (Kind, True), (Deep, True),
        (list[Annotated[int, Field(ge=1)]], True), (Inner | None, True),
        (str, False), (Path, False), (Any, False), (dict[str, int], False), (list, False), (bytes, False),
        (list[str], False), (str | int, False), (Open, False), (Aliased, False), (Loop, False), (object, False),
        (Mapping[str, Any], False), (type, False), (Callable[[], None], False), (complex, False),
    ],
)  # fmt: skip
def test_a_type_is_harmless_where_nothing_can_be_reached_with_it(annotation: Any, harmless: bool) -> None:
    model = type("Made", (BaseModel,), {"__annotations__": {"option": annotation}, "option": None})
    assert _is_harmless(model) is harmless


def _all_components() -> list[tuple[str, str, str, list[str]]]:
    """Field, kind and name of each component that is installed, with its options."""
    registry = Registry()
    domain = registry.resolve_domain("movies").component.name
    fields = {"llm_model": "llm_backend", **{name: name for name in RunConfig.model_fields}}
    components = []
    for name, kind in fields.items():
        for component, _ in registry.components(kind, domain):
            model = component.options_model()
            components.append((name, kind, component.name, [] if model is None else list(model.model_fields)))
    return components


COMPONENTS = _all_components()
KINDS = {name: kind for name, kind, _, _ in COMPONENTS}

_values = st.one_of(
    st.integers(0, 9), st.booleans(), st.none(), st.just(CANARY), st.just([CANARY]), st.just({"x": CANARY}),
    st.text(max_size=3),
)  # fmt: skip


@st.composite
def choice(draw: Any) -> tuple[str, Any]:
    name, _, component, options = draw(st.sampled_from(COMPONENTS))
    keys = draw(st.lists(st.sampled_from([*options, "other"]), unique=True, max_size=3)) if options else []
    return name, {"name": component, **{key: draw(_values) for key in keys}}


def _holds(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds, value))
    return str(value).startswith(CANARY)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    chosen=st.lists(choice(), max_size=3),
    more=st.fixed_dictionaries(
        {},
        optional={
            "gateway": st.fixed_dictionaries({}, optional={"cache": _values, "replay": st.booleans()}),
            "embeddings": st.one_of(st.sampled_from(["auto", "lexical", "sentence-transformers"]), _values),
            "algorithm": st.dictionaries(st.text(max_size=3), _values, max_size=2),
            "device": st.sampled_from(["cpu", "cuda"]),
            "recommenders": st.lists(st.just(CANARY)),
            "logs": st.lists(st.just(CANARY)),
            "max_steps": st.integers(1, 9),
        },
    ),
)
def test_whatever_a_manifest_says_no_text_comes_through_that_could_reach_anything(
    chosen: list[tuple[str, Any]], more: dict[str, Any]
) -> None:
    values = {"plugin": "movies", **dict(chosen), **more}
    try:
        original = reaches(values, (RunConfig, TrainConfig, EvaluationConfig), REGISTRY, "movies")
    except ConfigurationError:
        return  # no such options: nothing is made of it
    again = reaches(json.loads(json.dumps(values)), (RunConfig, TrainConfig, EvaluationConfig), REGISTRY, "movies")
    assert {name: one.identity for name, one in again.items()} == {name: one.identity for name, one in original.items()}
    for name, value in chosen:
        try:
            REGISTRY.resolve(KINDS[name], value, "movies")
        except ConfigurationError:
            values.pop(name, None)  # no such value: nothing is made of it
    reached = {name.partition(".")[0] for name in original}
    assert {name for name, value in values.items() if _holds(value)} <= reached
    if isinstance(values.get("llm_model"), dict):
        assert "llm_model" in reached
    harmless = {"max_steps", "device", "plugin"}
    assert not reached & harmless


REGISTRY = Registry()
REGISTRY.resolve_domain("movies")
