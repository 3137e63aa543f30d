"""Processes: cells are done beside each other, and no process outlives the one that began them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emosim_core import EmoSimError
from emosim_core.plugins import Registry
from emosim_core.runs.cells import Cell, OnProgress, Worlds, executor_of

SCRIPT = """
import os, signal, sys, time

from emosim_core.plugins import Registry
from emosim_core.runs.cells import Cell, Worlds
from emosim_core.runs.processes import Processes, ProcessesOptions

class Unclosable(Worlds):
    def close(self):
        raise ValueError("cannot be closed")

def work(how, worlds, on_progress):
    if how == "short":
        return
    time.sleep(1)  # the other process has nothing to do by now
    if how == "fails":
        raise ValueError("fails")
    if how == "leaves":
        sys.exit("leaves")
    os.kill(os.getppid(), signal.SIGINT)
    try:
        time.sleep(30)
    except BaseException:
        if how != "swallows":
            raise
        time.sleep(1)  # what else tells this process to end comes too early

if __name__ == "__main__":
    worlds = (Unclosable if sys.argv[1] == "cannot be closed" else Worlds)(Registry(only=[]))
    cells = [Cell("short", work, "short"), Cell("long", work, sys.argv[1])]
    for done in Processes(ProcessesOptions(workers=2)).run(cells, worlds, print):
        print("done", done.key, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("how", "end"),
    [
        ("fails", "ValueError: fails"),
        ("leaves", "EmoSimError: something that a cell called has left the program, with 'leaves'"),
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


def add_up(arguments: tuple[Path, int], worlds: Worlds, on_progress: OnProgress) -> None:
    """Write the sum of the numbers up to one; -1 cannot be done."""
    path, number = arguments
    if number < 0:
        raise EmoSimError(f"{path.name}: {number} is no number to add up to")
    for _ in range(number):
        on_progress(1)
    path.write_text(str(sum(range(number + 1))))


@pytest.mark.parametrize("name", ["local", "processes:2", "processes"])
def test_all_cells_are_done_and_their_progress_counted(tmp_path: Path, name: str) -> None:
    counts: list[int] = []
    registry = Registry(only=[])
    cells = [Cell(str(n), add_up, (tmp_path / str(n), n)) for n in range(4)]
    done = [one.key for one in executor_of(name, registry).run(cells, Worlds(registry), counts.append)]
    assert sorted(done) == ["0", "1", "2", "3"]
    assert [(tmp_path / str(n)).read_text() for n in range(4)] == ["0", "1", "3", "6"]
    assert sum(counts) == 6


@pytest.mark.parametrize("name", ["local", "processes:2"])
def test_an_error_of_a_cell_is_the_executors(tmp_path: Path, name: str) -> None:
    registry = Registry(only=[])
    cells = [Cell(str(n), add_up, (tmp_path / str(n), n)) for n in (1, -1)]
    with pytest.raises(EmoSimError, match="-1: -1 is no number to add up to"):
        list(executor_of(name, registry).run(cells, Worlds(registry), lambda count: None))
