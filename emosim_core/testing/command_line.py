"""The command line, or a few lines of Python, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finished:
    """The result of a command."""

    status: int
    out: str
    err: str

    @property
    def output(self) -> str:
        """Both streams."""
        return self.out + self.err

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Emosim:
    """Runs ``python -m emosim_core`` in a process of its own, in a folder, as a user meets it; without a network.

    The process sees the distributions and modules of the folder ``site`` beside what is installed, and further
    environment ``variables``.
    """

    folder: Path
    site: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, status: int = 0, timeout: float = 60, **more: Any) -> Finished:
        """Run a command that must end with ``status``, without a traceback, and with one message if it is 2.

        ``more`` are environment variables (upper case) and arguments of ``subprocess.run``.
        """
        env = self.environment(**{name: more.pop(name) for name in list(more) if name.isupper()})
        command = [sys.executable, "-m", "emosim_core", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=timeout, check=False, **more
        )
        return checked(Finished(done.returncode, done.stdout, done.stderr), status)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "emosim_core", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, code: str, *arguments: str) -> str:
        """Standard output of a program that must succeed."""
        command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of the process."""
        env = {
            **os.environ,
            "EMOSIM_CACHE_DIR": str(self.folder / "cache"),
            "EMOSIM_STATE_DIR": str(self.folder / "state"),
            "COLUMNS": "200",
        }
        env.pop("EMOSIM_PLUGINS", None)
        path = os.pathsep.join([str(self.site), *filter(None, [env.get("PYTHONPATH")])])
        return {**env, "PYTHONPATH": path, **self.variables, **more}


def checked(finished: Finished, status: int) -> Finished:
    """The result of a command, held to how every command must end."""
    assert finished.status == status, finished.output
    assert "Traceback" not in finished.output, finished.output
    if status == 2:
        errors = [line for line in finished.err.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, finished.output
        assert finished.out == "", finished.output
    return finished


def in_new_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The result of a program that finds the same modules as this process, and has imported nothing yet."""
    path = os.pathsep.join(place for place in sys.path if place)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
