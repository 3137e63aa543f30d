"""The executor in submitit's local mode: the same files as here, also where jobs are killed; what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from emosim_slurm.executor import SlurmExecutor, SlurmOptions
from slurm_cells import came_after, die, fail, is_running, note, wait_long

import emosim_core
from emosim_core import ConfigurationError, EmoSimError, RunError
from emosim_core.plugins import Cell, Registry, Worlds
from emosim_core.testing import ExecutorConformance


class TestSlurm(ExecutorConformance):
    component = "slurm:cluster=local"


def local(**options: Any) -> SlurmExecutor:
    return SlurmExecutor(SlurmOptions(cluster="local", **options))


def do(executor: SlurmExecutor, *cells: Cell, on_progress: Callable[[int], None] = lambda count: None) -> list[str]:
    return [cell.key for cell in executor.run(cells, Worlds(Registry(only=[])), on_progress)]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_each_cell_is_done_in_a_process_of_its_own_and_no_file_is_left(tmp_path: Path, start: Path) -> None:
    assert sorted(do(local(), *(Cell(name, note, (str(tmp_path), name)) for name in "abc"))) == ["a", "b", "c"]
    processes = {(tmp_path / name).read_text() for name in "abc"}
    assert len(processes) == 3
    assert str(os.getpid()) not in processes
    assert not list(start.iterdir())


def test_a_cell_whose_process_is_killed_is_done_again_three_times(tmp_path: Path) -> None:
    assert do(local(), Cell("one", die, (str(tmp_path), 3))) == ["one"]
    assert len((tmp_path / "began").read_text().splitlines()) == 4


def test_a_cell_that_is_lost_too_often_is_named_with_its_job_and_its_log(tmp_path: Path, start: Path) -> None:
    with pytest.raises(RunError, match=r"'one' was lost 4 times, at last in job \d+, whose log is (\S+)") as caught:
        do(local(), Cell("one", die, (str(tmp_path), 9)))
    log = Path(str(caught.value).partition("whose log is ")[2].partition(" ")[0])
    assert log.parent.parent == start
    assert "a job may take 60 minutes, see the option time" in str(caught.value)
    assert {path.suffix for path in log.parent.iterdir()} == {".out", ".err"}
    assert log.is_file()


def test_a_second_job_of_a_cell_begins_when_the_first_has_ended(tmp_path: Path) -> None:
    runner = subprocess.Popen([sys.executable, "-c", _PROGRAM.format("hold_on")], cwd=tmp_path)
    try:
        wait_until(lambda: (tmp_path / "times").is_file())
        task = (tmp_path / "began").read_text()
        job = int(Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(job, signal.SIGKILL)  # what submitit watches; what it has started goes on
        assert runner.wait(60) == 0
    finally:
        runner.kill()
    assert came_after(tmp_path)


_PROGRAM = """
import slurm_cells
from emosim_core.plugins import Cell, Registry, Worlds
from emosim_slurm.executor import SlurmExecutor, SlurmOptions
executor = SlurmExecutor(SlurmOptions(cluster="local"))
list(executor.run([Cell("one", slurm_cells.{}, ".")], Worlds(Registry(only=[])), lambda count: None))
"""


def test_a_command_that_is_interrupted_leaves_no_cell_under_way(tmp_path: Path, start: Path) -> None:
    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do(local(workers=2), *(Cell(name, wait_long, str(tmp_path)) for name in "ab"), on_progress=interrupt)
    began = [int(line) for line in (tmp_path / "began").read_text().splitlines()]
    assert began
    assert not any(map(is_running, began))
    assert not (tmp_path / "ended").exists()
    assert not list(start.iterdir())


def test_jobs_end_when_their_command_is_killed(tmp_path: Path) -> None:
    runner = subprocess.Popen([sys.executable, "-c", _PROGRAM.format("wait_long")], cwd=tmp_path)
    wait_until((tmp_path / "began").is_file)
    runner.kill()
    runner.wait()
    (folder,) = tmp_path.glob("emosim-slurm-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        path.unlink()  # at once; without it the job waits two minutes for a beat of the pulse
    wait_until(lambda: not is_running(int((tmp_path / "began").read_text())))
    assert not (tmp_path / "ended").exists()


def test_jobs_end_when_the_pulse_of_their_command_stays_away(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\nfrom pathlib import Path\nfrom emosim_slurm import task\n"
        "task._LOOK, task._SILENCE = 0.1, 0.5\nThread = task.Thread\n"
        "Thread(target=task._watch, args=(Path('pulse'), os.getppid()), daemon=True).start()\n"
        "time.sleep(float(sys.argv[1]))\n"
    )
    (tmp_path / "pulse").write_text("7")
    silent = subprocess.run([sys.executable, "-c", program, "30"], cwd=tmp_path, capture_output=True, text=True)
    assert silent.returncode == 1
    assert "nobody waits for this job any more" in silent.stderr
    beating = subprocess.Popen([sys.executable, "-c", program, "3"], cwd=tmp_path)
    for beat in range(8, 10_000):
        (tmp_path / "pulse").write_text(str(beat))
        time.sleep(0.05)
        if beating.poll() is not None:
            break
    assert beating.returncode == 0


def test_an_unexpected_error_in_a_cell_is_named_with_the_cell_its_job_and_its_log() -> None:
    with pytest.raises(
        RunError, match=r"the cell 'one' failed with ZeroDivisionError: division by zero, in job \d+, whose log is /"
    ):
        do(local(), Cell("one", fail, None))


def test_other_versions_in_a_job_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpy.__version__", "0.9")  # here alone
    with pytest.raises(EmoSimError, match=r"has other versions: numpy \S+ \(expected 0\.9\)"):
        do(local(), Cell("one", note, (str(tmp_path), "one")))
    assert not (tmp_path / "one").exists()


def test_relative_paths_begin_where_the_command_is_started(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    do(local(), Cell("one", note, (".", "one")))
    assert (start / "one").is_file()
    monkeypatch.setattr("os.getcwd", lambda: "/nowhere")
    with pytest.raises(EmoSimError, match="cannot enter the folder /nowhere: No such file or directory"):
        do(local(folder=start), Cell("one", note, (".", "two")))


def test_progress_is_that_of_all_jobs(tmp_path: Path) -> None:
    counts: list[int] = []
    do(local(), *(Cell(name, note, (str(tmp_path), name)) for name in "abc"), on_progress=counts.append)
    assert sum(counts) == 6


def test_options_are_checked() -> None:
    registry = Registry()
    assert registry.resolve("executor", "slurm:cpu,time=240,memory=1.5,cores=4,workers=7").build().workers == 7
    assert SlurmExecutor().workers == 1000
    for wrong, message in (
        ("slurm:time=0", "greater than or equal to 1"),
        ("slurm:cluster=remote", "'slurm' or 'local'"),
        ("slurm:sbatch=qos=high", "expected options of sbatch such as --qos=high"),
        ("slurm:partition=a\n#SBATCH --hold", "should match pattern"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            registry.resolve("executor", wrong).build()


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(RunError, match=r"no folder for jobs can be made in /nowhere: No such file or directory"):
        do(local(folder="/nowhere"), Cell("one", note, (".", "one")))


def test_a_machine_without_slurm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RunError, match="this machine has no command srun of Slurm"):
        list(
            SlurmExecutor().run([Cell("one", note, (".", "one"))], Worlds(Registry(only=[]), False), lambda count: None)
        )


@pytest.mark.slow
def test_a_run_whose_jobs_are_killed_leaves_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("emosim_movies", reason="the run needs a domain: install emosim-movies beside emosim-slurm")
    options: dict[str, Any] = {"policy": "random", "episodes": 70_000, "max_steps": 2, "num_envs": 256}
    emosim_core.run("movies", tmp_path / "whole", **options)
    killed: list[int] = []
    ended = []

    def lose() -> None:
        while len(killed) < 2 and not ended:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes()
                except OSError:
                    continue
                if b"submitit.core._submit" in line and str(tmp_path).encode() in line and len(killed) < 2:
                    time.sleep(1)
                    os.kill(int(path.parent.name), signal.SIGKILL)
                    killed.append(int(path.parent.name))
            time.sleep(0.2)

    losing = Thread(target=lose)
    losing.start()
    try:
        emosim_core.run("movies", tmp_path / "cut", executor={"name": "slurm", "cluster": "local"}, **options)
    finally:
        ended.append(True)
        losing.join()
    assert len(killed) == 2
    whole, cut = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("interactions/*")} for name in ("whole", "cut")
    )
    assert len(whole) == 5 + 2
    assert cut == whole
