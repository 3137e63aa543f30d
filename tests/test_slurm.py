"""Jobs of submitit's local mode: commands leave the same files as in one process, also after Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from fixtures.directories import check_shared_calls, files_of

pytestmark = pytest.mark.slow

LOCAL = ("--executor", "slurm:cluster=local")


def test_a_run_that_ctrl_c_stops_in_a_terminal_goes_on_to_the_same_directory(emosim: Any) -> None:
    run = ("run", "--plugin", "movies", "--policy", "random", "--episodes", "40000", "--max-steps", "5", "--quiet")
    process = subprocess.Popen(
        [sys.executable, "-m", "emosim_core", *run, *LOCAL, "--out", "cut"],
        cwd=emosim.folder,
        env=emosim.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while not list(emosim.folder.glob("cut/interactions/block-*")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the jobs too
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in told
    assert "emosim run --resume cut" in told
    assert not list(emosim.folder.glob("emosim-slurm-*"))
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nothing of it goes on
    assert len(list(emosim.folder.glob("cut/interactions/block-*.parquet"))) < 3
    emosim("run", "--resume", "cut", *LOCAL, "--quiet", timeout=300)
    emosim(*run, "--out", "whole", timeout=300)
    assert files_of(emosim.folder / "cut") == files_of(emosim.folder / "whole")


def test_jobs_share_a_budget_a_cache_and_a_limit_of_model_calls(emosim: Any) -> None:
    assert "(In job " in check_shared_calls(emosim, LOCAL)
