"""Commands whose worker processes are killed at random times go on to the same files."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

COMMANDS = {
    "run": ("run", "--plugin", "movies", "--policy", "random", "--episodes", "70000", "--max-steps", "2", "--quiet"),
    "evaluate": (
        *("evaluate", "--plugin", "movies", "--policies", "random,popular,top_rated,item_knn", "--no-charts"),
        *("--users", "sampled:n=20", "--episodes", "60", "--max-steps", "8", "--resamples", "200"),
    ),
    "ablate": ("ablate", "--plugin", "movies", "--study", "sampling:pairs=300,low_rating:items=3", "--num-seeds", "3"),
}
KILLS, BOUND = 3, 240.0


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that do cells for a command."""
    found = []
    for child in map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def content(directory: Path) -> dict[str, bytes]:
    """Records and tables: all that holds no times."""
    kept = [path for path in directory.rglob("*") if path.suffix in (".jsonl", ".csv", ".parquet")]
    return {str(path.relative_to(directory)): path.read_bytes() for path in kept}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the children of a process are read from /proc")
@pytest.mark.parametrize("name", COMMANDS)
def test_workers_that_are_killed_at_random_change_no_byte(quick: Any, name: str) -> None:
    command, chance = COMMANDS[name], random.Random(name)
    quick(*command, "--executor", "local", "--out", "whole", timeout=BOUND)
    killed, longest, end = 0, 2.0, time.monotonic() + BOUND
    whole = arguments = (*command, "--executor", "processes:2", "--out", "cut")
    while True:
        process = quick.start(*arguments)
        wait, began = chance.uniform(0.0, longest), 0.0
        while process.poll() is None and killed < KILLS:
            assert time.monotonic() < end
            # Not before the directory can be resumed.
            if workers := list((quick.folder / "cut").glob("*.json")) and workers_of(process):
                began = began or time.monotonic()
                if time.monotonic() > began + wait:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(chance.choice(workers), signal.SIGKILL)
                        killed += 1
                    break
            time.sleep(0.01)
        _, error = process.communicate(timeout=BOUND)
        if process.returncode == 0 and killed:
            break
        if process.returncode == 0:  # it was done before: once more, with less patience
            shutil.rmtree(quick.folder / "cut")
            longest /= 2
            continue
        assert process.returncode == 2, error
        assert "a process that did cells has died" in error
        # A command whose first cell was not done leaves nothing, and begins anew.
        begun = any((quick.folder / "cut").glob("*.json"))
        arguments = (name, "--resume", "cut", "--executor", "processes:2") if begun else whole
    assert content(quick.folder / "cut") == content(quick.folder / "whole")
