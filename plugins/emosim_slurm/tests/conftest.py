"""Fixtures of this package's tests: a folder to start in, and commands of Slurm that a script plays."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for slurm_cells, which jobs import too

pytest_plugins = ["emosim_core.testing.pytest_plugin"]


@pytest.fixture(autouse=True)
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in which commands are started, with no settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("EMOSIM_", "SLURM_", "SUBMITIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    folder = tmp_path / "start"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """sbatch, srun, sacct and scancel of a cluster that does not exist, and the folder of its state.

    They start processes here and say what has become of them; nothing queues, preempts or sets limits.
    """
    state, commands = tmp_path / "cluster", tmp_path / "commands"
    state.mkdir()
    commands.mkdir()
    for name in ("sbatch", "srun", "sacct", "scancel"):
        script = f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "played_slurm.py"}" {name} "$@"\n'
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PLAYED_SLURM", str(state))
    return state
