"""One directory has one writer, and whatever a beginning left behind that failed is no obstacle."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.errors import RunError
from emosim_core.runs.job import LOCK, MARKER, WRITER, JobDirectory, holds_remains

MOVIES = ("run", "--plugin", "movies", "--quiet", "--episodes", "3")

_HOLDER = """
import sys, time
from pathlib import Path
from emosim_core.runs.job import JobDirectory
job = JobDirectory(Path(sys.argv[1]), "run")
job.claim()
print("claimed", flush=True)
time.sleep(60)
"""


def claimed(path: Path, **options: Any) -> JobDirectory:
    job = JobDirectory(path, "run", **options)
    job.claim()
    return job


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def held_by_another(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    return process


# --------------------------------------------------------------------------------------------- claiming


def test_a_claimed_directory_is_refused_with_who_writes_it_and_nothing_is_touched(tmp_path: Path) -> None:
    job = claimed(tmp_path / "r")
    (tmp_path / "r" / ".manifest.json.partial-999999999").write_text("half")
    before = files(tmp_path)
    for options in ({}, {"resume": True}):
        with pytest.raises(
            RunError, match=rf"r is being written by process {os.getpid()} on .*, since 20.*nothing was"
        ):
            claimed(tmp_path / "r", **options)
        assert files(tmp_path) == before
    job.release()
    assert claimed(tmp_path / "r").claimed


def test_a_lock_ends_with_its_process_however_that_ends_and_is_not_held_by_its_children(tmp_path: Path) -> None:
    process = held_by_another(tmp_path / "r")
    with pytest.raises(RunError, match=f"being written by process {process.pid}"):
        claimed(tmp_path / "r")
    process.kill()
    process.communicate()
    assert (tmp_path / "r" / WRITER).exists()
    job = claimed(tmp_path / "r")
    assert json.loads((tmp_path / "r" / WRITER).read_text())["process"] == os.getpid()
    job.release()
    assert list((tmp_path / "r").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_child_does_not_hold_on_to_a_directory(tmp_path: Path) -> None:
    forks = _HOLDER.replace("time.sleep(60)", "import os\nif os.fork() == 0:\n    time.sleep(30)\nos._exit(0)")
    process = subprocess.Popen([sys.executable, "-c", forks, str(tmp_path / "r")], stdout=subprocess.DEVNULL)
    assert process.wait(30) == 0
    assert claimed(tmp_path / "r").claimed


def test_processes_without_a_name_of_their_own_all_find_a_free_one(tmp_path: Path) -> None:
    code = (
        _HOLDER.replace('"run")', '"run", numbered=True)')
        .replace('print("claimed", flush=True)', "print(job.path.name, flush=True)\njob.release()")
        .replace("time.sleep(60)", "")
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "runs" / "r")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    names = sorted(process.communicate(timeout=60)[0].strip() for process in running)
    assert names == ["r", "r-1", "r-2", "r-3"]


@settings(deadline=None, max_examples=30)
@given(st.sets(st.sampled_from([LOCK, MARKER, WRITER, ".manifest.json.partial-4", ".x.partial-99999999"])))
def test_what_a_failed_beginning_leaves_is_taken_over(names: set[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for resume in (False, True):
            path = Path(folder) / f"r{resume}"
            path.mkdir()
            for name in names:
                (path / name).write_text("{")
            assert holds_remains(path)
            job = claimed(path, resume=resume)
            assert not job.resume
            assert not list(path.glob(".x.*"))
            job.release()


@settings(deadline=None, max_examples=30)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=12))
def test_a_directory_with_anything_else_in_it_is_refused_and_left_as_it_is(name: str) -> None:
    import tempfile

    if name in (".", "..", LOCK, MARKER, WRITER, "manifest.json"):
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text("mine")
        before = files(Path(folder))
        for options, message in (
            ({}, "exists already"),
            ({"resume": True}, "is no run" if name != "manifest.json" else ""),
        ):
            if message:
                with pytest.raises(RunError, match=message):
                    claimed(Path(folder), **options)
        assert files(Path(folder)) == before


def test_letting_go_of_a_directory_removes_only_what_this_process_made(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for path, stays in ((tmp_path / "there", True), (tmp_path / "new", False)):
        job = claimed(path)
        (path / "manifest.json").write_text("{}")
        job.discard("manifest.json")
        assert path.exists() is stays
    job = claimed(tmp_path / "kept")
    (tmp_path / "kept" / "thesis.txt").write_text("mine")
    job.discard("manifest.json")
    assert [one.name for one in (tmp_path / "kept").iterdir()] == ["thesis.txt"]
    winner = claimed(tmp_path / "new")
    job.discard("manifest.json")  # which has let go already
    assert winner.path.exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_gets_a_marker_file_and_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match="r has no locks"):
        job = claimed(tmp_path / "r")
    with pytest.raises(RunError, match="being written by process"):
        claimed(tmp_path / "r")
    job.release()
    assert list((tmp_path / "r").iterdir()) == []


def test_what_writes_elsewhere_without_a_right_to_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be written: Not a directory"):
        claimed(tmp_path / "file" / "r")
    with pytest.raises(RunError, match=r"exists already"):
        claimed(tmp_path / "file")


# --------------------------------------------------------------------------------------------- commands

COMMANDS: dict[str, tuple[str, ...]] = {
    "run": MOVIES,
    "log": ("log", *MOVIES[1:]),
    "evaluate": (
        "evaluate", "--plugin", "movies", "--policies", "random", "--user-splits", "test", "--episodes", "2",
        "--no-charts",
        "--quiet", "--users", "sampled:n=20",
    ),
    "ablate": ("ablate", "--plugin", "movies", "--study", "sampling:pairs=5", "--quiet", "--executor", "local"),
    "train": ("train", "--plugin", "movies", "--timesteps", "64", "--num-envs", "8", "--device", "cpu", "--quiet"),
}  # fmt: skip


KILLED_AT_THE_END = """
import os, signal, sys
from emosim_core.cli.main import main
from emosim_core.runs.job import JobDirectory

JobDirectory.release = lambda job: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "command",
    [
        "run --episodes 2",
        "train --timesteps 128 --num-envs 4 --n-steps 8 --device cpu",
        "evaluate --policies random,popular --user-splits test --episodes 2 --max-steps 3 --no-charts",
        "ablate --study sampling:pairs=10",
    ],
)
def test_a_job_that_is_killed_as_its_last_file_is_written_leaves_nothing_once_it_is_resumed(
    emosim: Any, command: str
) -> None:
    begun = [*command.split(), "--plugin", "movies", "--quiet", "--out", "d"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_THE_END, *begun],
        cwd=emosim.folder,
        env=emosim.environment(),
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list((emosim.folder / "d").rglob(".*"))
    emosim(begun[0], "--resume", "d", "--quiet")
    assert not list((emosim.folder / "d").rglob(".*"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_directory_that_another_process_writes(
    quick: Any, tmp_path: Path, command: str
) -> None:
    quick(*COMMANDS[command], "--out", "r")
    if command in ("run", "log"):
        (tmp_path / "r" / "summary.json").unlink()  # of a run that is complete nothing is left to do
    job = claimed(tmp_path / "r", resume=True, begun="evaluation.json" if command == "evaluate" else "manifest.json")
    before = files(tmp_path / "r")
    resumes = {"log": "run"}.get(command, command)
    more = {"train": ("--timesteps", "128"), "evaluate": ("--no-charts",)}.get(resumes, ())
    for arguments in ((*COMMANDS[command], "--out", "r"), (resumes, "--resume", "r", *more, "--quiet")):
        message = quick(*arguments, status=2).err
        assert "r is being written by process" in message
        assert files(tmp_path / "r") == before
    if command in ("run", "log"):
        quick("show", "r")
        quick("compare", "r", "r")
    quick("report", "r", "--out", "page.html")
    job.release()
    quick(resumes, "--resume", "r", *more, "--quiet")


def test_two_that_resume_one_run_at_once_leave_what_one_leaves(emosim: Any) -> None:
    options = ("run", "--plugin", "movies", "--episodes", "60", "--quiet", "--policy", "popular")
    process = emosim.start(*options, "--out", "r")
    written = emosim.folder / "r" / "interactions.jsonl"
    until = time.monotonic() + 60
    while not (written.exists() and written.stat().st_size > 20_000):
        assert time.monotonic() < until
        time.sleep(0.005)
    process.kill()
    process.communicate()
    both = [emosim.start("run", "--resume", "r", "--quiet") for _ in range(2)]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in both]
    assert 0 in {status for _, status in ends}
    for message, status in ends:
        assert status == 0 or (status == 2 and "r is being written by process" in message)
    emosim(*options, "--out", "whole")
    assert written.read_bytes() == (emosim.folder / "whole" / "interactions.jsonl").read_bytes()


@pytest.mark.parametrize("command", COMMANDS)
def test_what_holds_only_remains_is_begun_again_by_out_and_by_resume(quick: Any, tmp_path: Path, command: str) -> None:
    for option in ("--out", "--resume"):
        folder = tmp_path / f"r{option}"
        folder.mkdir()
        for name in (LOCK, WRITER, ".manifest.json.partial-99999999"):
            (folder / name).write_text("")
        resumes = {"log": "run"}.get(command, command)
        message = quick(resumes, "--resume", folder.name, status=2).err
        assert "holds nothing to resume" in message
        if command == "ablate" and option == "--resume":
            continue
        quick(*COMMANDS[command], option, folder.name)
        assert not [one.name for one in folder.iterdir() if one.name.startswith(".")]


# --------------------------------------------------------------------------------------------- full disks

Fault = Callable[..., Any]


def failing_from(number: int, monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """Let the disk be full from the numbered call on that writes below a folder; returns the calls, as they come."""
    calls: list[str] = []
    inside: set[int] = set()

    def guarded(name: str) -> None:
        real: Fault = getattr(os, name)

        def call(first: Any, *more: Any, **named: Any) -> Any:
            where = os.fspath(first) if not isinstance(first, int) else None
            ours = first in inside if where is None else os.path.abspath(where).startswith(str(folder))
            if ours:
                calls.append(name)
                if len(calls) >= number:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), where)
            return real(first, *more, **named)

        monkeypatch.setattr(os, name, call)

    real_open = Path.open

    def opened(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        ours = mode[0] in "wax" and os.path.abspath(path).startswith(str(folder))
        if ours:
            calls.append("open")
            if len(calls) >= number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        stream = real_open(path, mode, *more, **named)
        if ours:
            inside.add(stream.fileno())
        return stream

    for name in ("write", "mkdir", "replace"):
        guarded(name)
    monkeypatch.setattr(Path, "open", opened)
    return calls


@pytest.mark.parametrize("command", ["run", "ablate", "evaluate"])
def test_a_disk_that_is_full_at_any_moment_leaves_what_one_command_goes_on_with(
    quick: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    file = {"run": "interactions.jsonl", "ablate": "results.csv", "evaluate": "evaluation.csv"}[command]
    arguments = COMMANDS[command]
    whole = tmp_path / "whole"
    with monkeypatch.context() as patch:
        calls = failing_from(10**9, patch, whole)
        quick(*arguments, "--out", "whole")
    moments = range(1, len(calls) + 1)
    for number in moments if len(moments) <= 8 else [*range(1, 6), *range(6, len(calls), len(calls) // 3)]:
        folder = tmp_path / f"r{number}"
        with monkeypatch.context() as patch:
            failing_from(number, patch, folder)
            message = quick(*arguments, "--out", folder.name, status=2).err
        assert "No space left on device" in message
        if "run the same command again" in message:
            assert not folder.exists()
            quick(*arguments, "--out", folder.name)
        else:
            (line,) = [line.strip() for line in message.splitlines() if line.strip().startswith("emosim ")]
            assert line == f"emosim {command} --resume {folder.name}"
            more = ("--no-charts",) if command == "evaluate" else ()
            quick(*line.split()[1:], "--quiet", *more)
        assert (folder / file).read_bytes() == (whole / file).read_bytes()


# --------------------------------------------------------------------------------------------- kills


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_ends_on_a_signal_as_on_ctrl_c(emosim: Any, number: signal.Signals) -> None:
    process = emosim.start("run", "--plugin", "movies", "--episodes", "2000", "--quiet", "--out", "r")
    written = emosim.folder / "r" / "interactions.jsonl"
    until = time.monotonic() + 60
    while not (written.exists() and written.stat().st_size > 20_000):
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(number)
    process.send_signal(number)  # as a shell and the kernel do together
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert errors == "\nInterrupted. Progress is saved in r; continue with:\n  emosim run --resume r\n"
    assert json.loads((emosim.folder / "r" / "summary.json").read_text())["complete"] is False
    assert sorted(one.name for one in (emosim.folder / "r").iterdir()) == [
        "interactions.jsonl", "manifest.json", "summary.json",
    ]  # fmt: skip
