"""Processes of a sweep end, whatever becomes of their jobs and of the signal that stops them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys, threading, time
from dataclasses import dataclass

import emosim_core.studies.ablation.executor as executor

@dataclass(frozen=True)
class Job:
    name: str
    only: None = None

class Worlds:
    def __init__(self, registry):
        pass

    def close(self):
        if sys.argv[1] == "cannot be closed":
            raise ValueError("cannot be closed")

def run_job(job, worlds, on_ratings):
    if job.name == "short":
        return
    time.sleep(1)  # the other process has nothing to do by now
    if sys.argv[1] == "fails":
        raise ValueError("fails")
    if sys.argv[1] == "leaves":
        sys.exit("leaves")
    os.kill(os.getppid(), signal.SIGINT)
    try:
        time.sleep(30)
    except BaseException:
        if sys.argv[1] != "swallows":
            raise
        time.sleep(1)  # what else tells this process to end comes too early

executor.run_job, executor.Worlds = run_job, Worlds
if __name__ == "__main__":
    for done in executor.Processes(2).run([Job("short"), Job("long")], lambda ratings: None):
        print("done", done.name, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("how", "end"),
    [
        ("fails", "ValueError: fails"),
        ("leaves", "EmoSimError: something that a job called has left the program, with 'leaves'"),
        ("is stopped", "KeyboardInterrupt"),
        ("swallows", "KeyboardInterrupt"),
        ("cannot be closed", "KeyboardInterrupt"),
    ],
)
def test_no_process_waits_for_ever_beside_one_that_is_idle(tmp_path: Path, how: str, end: str) -> None:
    script = tmp_path / "sweep.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, script, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert out == "done short\n"
    assert end in err.splitlines()[-1]
