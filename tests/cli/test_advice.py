"""Advice: a command that a message suggests does what the message says."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from emosim_core import run
from emosim_core.cli.main import cli
from emosim_core.kinds import kinds_of, made_by

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "run"
    run("movies", directory, episodes=2, max_steps=3, user_dataset="sampled:n=6")
    return directory


@pytest.fixture
def training(made: Path, tmp_path: Path) -> Path:
    """A directory of whose training only the manifest is there."""
    text = (made / "manifest.json").read_text().replace('"policy": "random"', '"algo": "a2c"', 1)
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "manifest.json").write_text(text)
    return tmp_path / "t"


@pytest.mark.parametrize(
    "command",
    [
        ("data", "export", "t", "--format", "csv", "--out", "x.csv"),
        ("show", "t", "--episode", "0"),
    ],
)
def test_what_is_for_runs_says_so_of_a_training_and_sends_nobody_to_a_command_that_refuses(
    quick: Any, training: Path, command: tuple[str, ...]
) -> None:
    message = quick(*command, status=2).err
    assert "holds a training" in message
    assert "--resume" not in message


def test_a_run_that_is_resumed_by_another_command_names_the_one_that_goes_on(
    quick: Any, made: Path, training: Path
) -> None:
    message = quick("train", "--resume", made, status=2).err
    match = re.search(r"Continue with: emosim (.*)", message)
    assert match is not None
    assert "nothing was left to do" in quick(*shlex.split(match[1])).out
    assert f"Continue with: emosim train --resume {training}" in quick("run", "--resume", training, status=2).err


def test_a_path_without_its_loader_is_suggested_with_it_and_the_suggestion_is_read(quick: Any, tmp_path: Path) -> None:
    quick("users", "generate", "--plugin", "movies", "--n", "5", "--out", "five.csv")
    message = quick("run", "--plugin", "movies", "--users", "five.csv", status=2).err
    suggestion = re.search(r"Did you mean '([^']*)'\?", message)
    assert suggestion is not None
    done = quick(
        "run", "--plugin", "movies", "--users", suggestion[1], "--episodes", "1", "--max-steps", "2", "--out", "r"
    )
    assert "5 users" in done.out
    assert (tmp_path / "r" / "summary.json").exists()


def test_a_model_without_its_backend_is_suggested_with_each_backend(quick: Any) -> None:
    message = quick("run", "--plugin", "movies", "--llm-model", "gpt-4", status=2).err
    assert "Did you mean 'deepseek:gpt-4'" in message
    assert "'openai:gpt-4'" in message


# ----------------------------------------------------------------------- what the source can suggest

PACKAGES = [ROOT / "emosim_core", *(ROOT / "plugins").glob("*/emosim_*")]

OTHERS = {
    "--force-reinstall",
    "--no-deps",
    "--upgrade",
    "--max-model-len",
    "--no",
    "--text",
    "--delay",
    "--port",
    "--head",
    *("--exclusive", "--qos"),
    *("--examples", "--steps", "--batch-size", "--rank", "--learning-rate", "--longest", "--model"),
}
"""Options of pip, vLLM, Ray, Slurm, the chat server for tests and the tuning of a model; ``--no-`` begins a flag."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], set[str]]:
    """The options of every command, by its words."""
    context = click.Context(group, **group.context_settings)  # commands keep the help option they make here
    options = {path: {one for param in group.get_params(context) for one in param.opts}}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = (*path, name)
        options[words] = {one for param in command.get_params(context) for one in (*param.opts, *param.secondary_opts)}
        if isinstance(command, click.Group):
            options |= commands(command, words)
    return options


COMMANDS = commands(cli)


@cache
def sources() -> list[tuple[Path, ast.Module]]:
    paths = [path for package in PACKAGES for path in sorted(package.rglob("*.py")) if "tests" not in path.parts]
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def docstrings(tree: ast.Module) -> set[int]:
    """Ids of the constants that are docstrings."""
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
    expressions = [one for body in bodies for one in body if isinstance(one, ast.Expr)]
    return {id(one.value) for one in expressions}


def test_every_command_that_is_made_for_a_message_exists_with_its_options() -> None:
    seen = 0
    for path, tree in sources():
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "typed"):
                continue
            words = [one.value if isinstance(one, ast.Constant) else None for one in call.args]
            if not isinstance(words[0], str):
                continue  # a variable: the name of the command that wrote the directory
            command = next(words_ for words_ in (tuple(words[:2]), (words[0],)) if words_ in COMMANDS)
            options = {one for one in words if isinstance(one, str) and one.startswith("-")}
            assert options <= COMMANDS[command], f"{path}:{call.lineno}"
            seen += 1
    assert seen > 15


def test_every_option_that_a_message_names_is_an_option_of_a_command() -> None:
    known = set().union(*COMMANDS.values()) | OTHERS
    seen = 0
    for path, tree in sources():
        docstring_ids = docstrings(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstring_ids:
                for option in re.findall(r"(?<![\w-])--[a-z][a-z.-]*[a-z]", node.value):
                    assert option in known, f"{path}:{node.lineno} names {option}"
                    seen += 1
    assert seen > 100


def test_every_command_that_a_message_names_is_one() -> None:
    known = {words[0] for words in COMMANDS if words}
    seen = 0
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for name in re.findall(r"(?:``|'|^|: |  )emosim ([a-z][a-z-]+)", node.value):
                    assert name in known, f"{path}:{node.lineno} names emosim {name}"
                    seen += 1
    assert seen > 30


@pytest.mark.parametrize("command", sorted(words for words, options in COMMANDS.items() if "--resume" in options))
def test_where_there_is_nothing_to_resume_each_command_says_so(
    quick: Any, made: Path, training: Path, tmp_path: Path, command: tuple[str]
) -> None:
    (tmp_path / "runs").mkdir()
    other = training if command in (("run",), ("log",)) else made
    (tmp_path / "runs" / "other").symlink_to(other, target_is_directory=True)
    (tmp_path / "plan.toml").write_text('command = "run"\n[base]\nplugin = "movies"\n[grid]\nseed = [1]\n')
    arguments = ("plan.toml",) if command == ("sweep",) else ()
    made_of = made_by(command[0]) if kinds_of(command[0]) else "run"
    assert f"there is no {made_of} in runs/ to resume" in quick(*command, *arguments, "--resume", status=2).err
