"""Advice: a command that a message suggests does what the message says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from emosim_core import run


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
        ("compare", "t", "t"),
        ("show", "t", "--episode", "0"),
    ],
)
def test_what_is_for_runs_says_so_of_a_training_and_sends_nobody_to_a_command_that_refuses(
    quick: Any, training: Path, command: tuple[str, ...]
) -> None:
    said = quick(*command, status=2).err
    assert "holds a training" in said
    assert "--resume" not in said


def test_a_run_that_is_resumed_by_another_command_names_the_one_that_goes_on(
    quick: Any, made: Path, training: Path
) -> None:
    said = quick("train", "--resume", made, status=2).err
    way = re.search(r"Go on with: emosim (.*)", said)
    assert way is not None
    assert "nothing was left to do" in quick(*shlex.split(way[1])).out
    assert f"Go on with: emosim train --resume {training}" in quick("run", "--resume", training, status=2).err


def test_a_path_without_its_loader_is_suggested_with_it_and_the_suggestion_is_read(quick: Any, tmp_path: Path) -> None:
    quick("users", "generate", "--plugin", "movies", "--n", "5", "--out", "five.csv")
    said = quick("run", "--plugin", "movies", "--users", "five.csv", status=2).err
    suggestion = re.search(r"Did you mean '([^']*)'\?", said)
    assert suggestion is not None
    done = quick(
        "run", "--plugin", "movies", "--users", suggestion[1], "--episodes", "1", "--max-steps", "2", "--out", "r"
    )
    assert "5 users" in done.out or "5 users" in done.out
    assert (tmp_path / "r" / "summary.json").exists()


def test_a_model_without_its_backend_is_suggested_with_each_backend(quick: Any) -> None:
    said = quick("run", "--plugin", "movies", "--llm-model", "gpt-4", status=2).err
    assert "Did you mean 'deepseek:gpt-4'" in said
    assert "'openai:gpt-4'" in said
