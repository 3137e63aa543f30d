"""Runs the program of a page of docs/ecosystem as its reader does."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emosim_core.testing import Emosim

PAGES = Path(__file__).parents[2] / "docs" / "ecosystem"
SECONDS = 550


@pytest.fixture
def program(emosim: Emosim) -> Callable[..., str]:
    """``program("mlflow", "mlflow")`` runs the commands and the program of a page; what the program printed.

    The test is skipped where a module that is named further on is not installed.
    """

    def run(page: str, *needed: str) -> str:
        for name in needed:
            if importlib.util.find_spec(name) is None:
                pytest.skip(f"{name} is not installed; make ecosystem")
        text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
        shell, (source,) = (re.findall(f"^```{language}\n(.*?)^```$", text, re.M | re.S) for language in ("", "python"))
        for line in shell[0].splitlines():
            if line.startswith("emosim "):
                emosim(*shlex.split(line)[1:], timeout=SECONDS, OMP_NUM_THREADS="1")
        (emosim.folder / "program.py").write_text(source, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=emosim.folder,
            # Ray waits 30 s for its own start, which a busy machine takes longer for.
            env=emosim.environment(OMP_NUM_THREADS="1", RAY_raylet_start_wait_time_s="300"),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
