"""The notebooks of the documentation: they run, and what is stored in them is what they show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "run_notebooks.py"
NOTEBOOKS = ROOT / "docs" / "notebooks"


def check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--check", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_without_a_warning_and_shows_what_is_stored(path: Path) -> None:
    done = check(path)
    assert done.returncode == 0, done.stderr


def test_a_stored_output_that_is_stale_is_named(tmp_path: Path) -> None:
    notebook = json.loads((NOTEBOOKS / "first-steps.ipynb").read_text(encoding="utf-8"))
    stored = {"output_type": "stream", "name": "stdout", "text": ["4\n"]}
    shown = ["import warnings\n", "warnings.warn('late')\n", "print(2 + 3, 'steps at 12.5 steps/s')"]
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "outputs": [stored], "source": shown}
    (tmp_path / "one.ipynb").write_text(json.dumps({**notebook, "cells": [cell]}), encoding="utf-8")
    before = (tmp_path / "one.ipynb").read_bytes()
    done = check(tmp_path / "one.ipynb")
    assert done.returncode == 1
    assert "one.ipynb, cell 0 shows: stdout: 5 steps at - steps/s" in done.stderr
    assert "one.ipynb, cell 0 has stored: stdout: 4" in done.stderr
    assert "UserWarning: late" in done.stderr
    assert (tmp_path / "one.ipynb").read_bytes() == before


def test_notebooks_are_small() -> None:
    assert all(path.stat().st_size < 200_000 for path in NOTEBOOKS.glob("*.ipynb"))
