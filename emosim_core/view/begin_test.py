"""Begin a believability test: ``emosim judge`` in a process of its own, about a log that lies below the root."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from emosim_core.errors import ConfigurationError
from emosim_core.hooks.names import checked_options
from emosim_core.model.frozen import Frozen, option
from emosim_core.view.context import Context
from emosim_core.view.places import file_inside, new_place, relative

_MOST_LISTED = 100

_FORMAT = re.compile(r"[a-z0-9_]{1,40}")

_LOOK = 0.2
"""Seconds between two looks whether the server is about to end."""

_PIPES: dict[str, Any] = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
    "text": True,
    "encoding": "utf-8",
    "errors": "replace",
}

_LONGEST = 2_000
"""Characters of a message."""


class TestChoice(Frozen):
    """What a form says of a test."""

    __test__ = False

    plugin: str = option(..., "Domain.", min_length=1)
    ratings: str = option(..., "Log below the root: a CSV or Parquet file, or a folder.", min_length=1)
    format: str = option("", "Source that reads the folder; empty for a file.")
    items: str = option("", "CSV file of items below the root; empty for those of the log or the domain.")
    columns: str = option("", "Columns of a file; empty for the usual names.")
    rater: Literal["rule_based", "fitted"] = option("fitted", "Rater that answers for the users.")
    max_users: int = option(30, "Maximum users, each one pair.", ge=2, le=1_000)
    history: int = option(10, "Ratings of each history.", ge=1, le=100)
    seed: int = option(42, "Seed.", ge=0, lt=2**63)
    name: str = option("judge", "Name of the directory of the test.")


class Beginning:
    """Makes tests, one at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._busy = Lock()

    def forms(self) -> dict[str, Any]:
        """What the form offers: domains, and what below the root may be a log or its items."""
        registry, root = self._context.registry, self._context.root
        registry.known_domains()
        domains = sorted(component.name for component, _ in registry.components("domain"))
        folders = [one for one in _visible(root) if one.is_dir() and self._context.listing.job(one) is None]
        files = [one for folder in (root, *folders) for one in _visible(folder) if one.is_file()]
        tables = [relative(root, one) for one in files if one.suffix in (".csv", ".parquet")]
        logs = [relative(root, one) for one in folders if any(file.suffix == ".csv" for file in _visible(one))]
        return {
            "domains": domains,
            "tables": [one for one in tables if one.endswith(".csv")][:_MOST_LISTED],
            "logs": (logs + tables)[:_MOST_LISTED],
        }

    def begin(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make the pairs of a test, and return where it is.

        Raises:
            ConfigurationError: a value is wrong, another test is being made, or the command says what is wrong.
        """
        command = self._command(checked_options(TestChoice, body, "judge"))
        if not self._busy.acquire(blocking=False):
            raise ConfigurationError("another test is being made; wait until it is there")
        try:
            return {"path": self._made(command)}
        finally:
            self._busy.release()

    def _command(self, chosen: TestChoice) -> list[str]:
        """The options of the command; names of files are found below the root alone."""
        context = self._context
        if chosen.ratings.endswith((".csv", ".parquet")):
            log = f"{chosen.ratings.rpartition('.')[2]}:{file_inside(context.root, chosen.ratings)}"
        elif _FORMAT.fullmatch(chosen.format):
            log = f"{chosen.format}:{context.directory(chosen.ratings)}"
        else:
            raise ConfigurationError(f"say how the folder {chosen.ratings!r} is read, such as movielens")
        given = {
            "plugin": chosen.plugin,
            "ratings": log,
            "columns": chosen.columns,
            "items": f"csv:{file_inside(context.root, chosen.items)}" if chosen.items else "",
            "rater": chosen.rater,
            "max-users": chosen.max_users,
            "history": chosen.history,
            "seed": chosen.seed,
            "out": _free(new_place(context.root, chosen.name)),
        }
        return [f"--{name}={value}" for name, value in given.items() if value != ""]

    def _made(self, options: list[str]) -> str:
        program = [sys.executable, "-m", "emosim_core"]
        if self._context.only == []:
            program.append("--no-plugins")
        command = [*program, "judge", *options, "--quiet"]
        with subprocess.Popen(command, **_PIPES) as process:
            out, errors = _ended(process, self._context.stopping)
        if process.returncode:
            text = errors.strip().removeprefix("Error: ")
            raise ConfigurationError(text[-_LONGEST:] or "the command was stopped")
        return relative(self._context.root, Path(out.strip().splitlines()[-1]))


def _ended(process: subprocess.Popen[str], stopping: Callable[[], bool]) -> tuple[str, str]:
    """What a process wrote until its end; it is stopped where the server ends, so that the test can be resumed."""
    while True:
        try:
            return process.communicate(timeout=_LOOK)
        except subprocess.TimeoutExpired:
            if stopping():
                process.send_signal(signal.SIGTERM)


def _visible(folder: Path) -> list[Path]:
    """What a folder holds but links and hidden names."""
    return [folder / name for name in sorted(os.listdir(folder)) if name[0] != "." and not (folder / name).is_symlink()]


def _free(place: Path) -> Path:
    """The place, or one with a number behind its name that is not taken."""
    number = 0
    while (one := place.with_name(f"{place.name}-{number}") if number else place).exists():
        number += 1
    return one
