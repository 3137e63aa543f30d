"""The tutorial: its files make a plugin that works, its commands do what it says, and nothing else stands in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"

BLOCK = re.compile(r"(?:^<!-- tutorial: ([^\n]+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

MUST_RUN = (
    "pip install -e ./emosim-music",
    "emosim run --plugin music --episodes 3 --json > summary.json",
    "emosim plugins check music",
    "pytest emosim-music",
)

WITHOUT_MODELS = '''\
"""Hides sentence models, which a user does not have by default."""
from importlib.machinery import PathFinder

_find = PathFinder.find_spec
_hidden = "sentence_transformers"
PathFinder.find_spec = classmethod(lambda _, name, *more: None if name == _hidden else _find(name, *more))
'''


class Block(NamedTuple):
    """A fenced block, with what the comment before it says."""

    comment: str
    language: str
    text: str


def blocks() -> Iterator[Block]:
    for comment, language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        yield Block(comment, language, text)


def commands(comment: str = "run") -> list[str]:
    return [line for block in blocks() if block.comment.startswith(comment) for line in block.text.splitlines()]


def test_every_block_says_what_it_is() -> None:
    for block in blocks():
        assert block.comment, block.text
        if block.language == "sh":
            assert block.comment in ("run", "run, status 2", "not run"), block.comment
        elif block.language:
            assert re.fullmatch(r"[\w./-]+\.\w+", block.comment), block.comment
        else:
            assert block.comment in ("prints", "shown"), block.comment


def test_every_command_in_the_text_is_one_that_is_run_or_said_not_to_be() -> None:
    prose = BLOCK.sub("", PAGE.read_text(encoding="utf-8"))
    mentioned = [one for one in re.findall(r"`([^`]+)`", prose) if re.match(r"(emosim|pip|pytest|python) ", one)]
    known = commands() + commands("not run")
    skipped = {"emosim embed --plugin music", 'pip install "emosim-core[embed]"'}  # need a package beyond the core
    for one in mentioned:
        plain = " ".join(one.split())
        if not plain.startswith("emosim plugins new music "):  # tests/cli/test_plugins_new.py runs it
            assert plain in skipped or any(line.startswith(plain) for line in known), plain
    assert set(MUST_RUN) <= set(commands())


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables of a virtual environment that begins with what a user has who installed the core and pytest."""
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    seen = f"import site, without_models; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (site / "seen.pth").write_text(seen, encoding="utf-8")
    (site / "without_models.py").write_text(WITHOUT_MODELS, encoding="utf-8")
    for command, module in (("pip", "pip"), ("emosim", "emosim_core"), ("pytest", "pytest")):
        script = home / "bin" / command
        script.write_text(f'#!/bin/sh\nexec "{home}/bin/python" -m {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("EMOSIM_", "PYTEST_", "PYTHON"))
    }
    path = f"{home}/bin{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "COLUMNS": "200", "EMOSIM_CACHE_DIR": str(tmp_path / "cache")}


@pytest.mark.long
@pytest.mark.slow
def test_its_files_and_commands_in_their_order_make_a_plugin_that_works(
    tmp_path: Path, environment: dict[str, str], strictly_typed: Callable[..., None]
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    printed, ran = "", []
    for block in blocks():
        if block.comment.startswith("run"):
            status = 2 if block.comment.endswith("status 2") else 0
            printed = ""
            for line in block.text.splitlines():
                done = subprocess.run(
                    line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
                )
                assert done.returncode == status, f"{line}\n{done.stdout}{done.stderr}"
                assert "Traceback" not in done.stdout + done.stderr, done.stderr
                printed += done.stdout + done.stderr
                ran.append(line)
        elif block.comment == "prints":
            assert_shown(block.text, printed)
        elif block.language and block.language != "sh":
            (folder / block.comment).write_text(block.text, encoding="utf-8")
    assert ran == commands()
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["complete"]
    assert summary["episodes"] == 3
    check_style(folder / "emosim-music")
    strictly_typed(folder / "emosim-music", ".")


def assert_shown(shown: str, printed: str) -> None:
    """Every line that is shown was printed, in this order, next to each other where no ``...`` stands between."""
    lines = [line.rstrip() for line in printed.splitlines()]
    place, anywhere = 0, False
    for line in shown.splitlines():
        if line == "...":
            anywhere = True
            continue
        pattern = re.sub(r"([\[*?])", r"[\1]", line).replace("...", "*")
        matches = [i for i in range(place, len(lines)) if fnmatchcase(lines[i], pattern)]
        assert matches, f"not printed: {line}\n{printed}"
        assert anywhere or matches[0] == place, f"something else is printed before: {line}\n{printed}"
        place, anywhere = matches[0] + 1, False
    assert anywhere or place == len(lines), f"more is printed: {lines[place:]}"


def check_style(project: Path) -> None:
    """The project is well kept, by the tool of this repository."""
    rules = "E,F,W,I,B,UP,SIM,RUF,C4,PIE,PT,TID"
    for command in (
        ["ruff", "check", "--isolated", "--line-length", "120", "--select", rules, "."],
        ["ruff", "format", "--isolated", "--line-length", "120", "--check", "."],
    ):
        done = subprocess.run([sys.executable, "-m", *command], cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
