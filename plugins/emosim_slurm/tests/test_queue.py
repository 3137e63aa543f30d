"""What is said to Slurm, whose commands a script plays: arrays, options, jobs that are preempted, lost or cancelled."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from emosim_slurm import queue
from emosim_slurm.executor import SlurmExecutor, SlurmOptions
from emosim_slurm.queue import sbatch_parameters
from slurm_cells import came_after, die, hold_on, is_running, note, wait_long

from emosim_core import RunError
from emosim_core.plugins import Cell, Registry, Worlds


def do(options: dict[str, Any], *cells: Cell) -> list[str]:
    worlds = Worlds(Registry(only=[]), serves=False)
    return [cell.key for cell in SlurmExecutor(SlurmOptions(**options)).run(cells, worlds, lambda count: None)]


def test_cells_are_an_array_of_jobs_with_the_options(slurm: Path, tmp_path: Path, start: Path) -> None:
    options = {
        "partition": "cpu",
        "time": 240,
        "memory": 1.5,
        "cores": 4,
        "account": "lab",
        "sbatch": "--qos=high --hold",
    }
    cells = [Cell(name, note, (str(tmp_path), name)) for name in "abc"]
    assert sorted(do(options, *cells)) == ["a", "b", "c"]
    (script,) = slurm.glob("*.sh")
    written = {line for line in script.read_text().splitlines() if line.startswith("#SBATCH")}
    assert {
        *("#SBATCH --array=0-2%3", "#SBATCH --partition=cpu", "#SBATCH --time=240", "#SBATCH --mem=1536MB"),
        *("#SBATCH --cpus-per-task=4", "#SBATCH --account=lab", "#SBATCH --qos=high", "#SBATCH --hold"),
        *("#SBATCH --no-requeue", "#SBATCH --job-name=emosim"),
    } <= written
    assert not list(start.iterdir())


def test_no_more_jobs_are_in_the_queue_than_workers(slurm: Path, tmp_path: Path) -> None:
    do({"workers": 2}, *(Cell(name, note, (str(tmp_path), name)) for name in "abc"))
    first, *others = sorted(slurm.glob("*.sh"))
    assert "--array=0-1%2" in first.read_text()
    assert len(others) == 1


def test_a_job_that_is_lost_is_submitted_again(slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_REFRESH", 0.5)
    assert do({}, Cell("one", die, (str(tmp_path), 1))) == ["one"]
    assert len(list(slurm.glob("*.sh"))) == 2


def test_a_job_that_is_preempted_is_cancelled_and_submitted_again(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_REFRESH", 0.5)

    def preempt() -> None:
        while not (tmp_path / "began").exists():
            time.sleep(0.05)
        (slurm / "100.state").write_text("PREEMPTED")

    preempting = Thread(target=preempt)
    preempting.start()
    assert do({}, Cell("one", hold_on, str(tmp_path))) == ["one"]
    preempting.join()
    assert (slurm / "cancelled").read_text().splitlines() == ["100"]
    assert came_after(tmp_path)


def test_jobs_are_cancelled_together_when_the_command_is_interrupted(slurm: Path, tmp_path: Path, start: Path) -> None:
    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    cells = [Cell(name, wait_long, str(tmp_path)) for name in "ab"]
    run = SlurmExecutor().run(cells, Worlds(Registry(only=[]), serves=False), interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert {"100_0", "100_1"} <= set((slurm / "cancelled").read_text().splitlines())
    assert not any(is_running(int(line)) for line in (tmp_path / "began").read_text().splitlines())
    assert not list(start.iterdir())


def test_what_slurm_says_of_a_job_that_it_does_not_take_is_told(slurm: Path) -> None:
    with pytest.raises(
        RunError, match="Slurm does not take the jobs: sbatch: error: invalid partition specified: none"
    ):
        do({"partition": "none"}, Cell("one", note, (".", "one")))


@pytest.mark.parametrize("address", ["127.0.1.1", None])
def test_jobs_that_ask_a_language_model_need_an_address_of_this_machine(
    slurm: Path, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    def look_up(name: str) -> str:
        if address is None:
            raise OSError("not known")
        return address

    monkeypatch.setattr("socket.gethostbyname", look_up)
    with pytest.raises(
        RunError, match=r"the host name \S+ (is 127\.0\.1\.1, which|has no address \(not known\)).* with host="
    ):
        list(SlurmExecutor().run([Cell("one", note, (".", "one"))], Worlds(Registry(only=[])), lambda count: None))


def test_options_of_sbatch_are_read_as_a_shell_does() -> None:
    assert sbatch_parameters("--exclusive --comment='a b' --gres=gpu:1") == {
        "exclusive": True,
        "comment": "a b",
        "gres": "gpu:1",
    }
    for wrong in ("exclusive", "-q high", "--=1", "--a;b=1"):
        with pytest.raises(ValueError, match="expected options of sbatch"):
            sbatch_parameters(wrong)
