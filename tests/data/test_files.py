"""Files of processes that have died: theirs are removed, also where their number belongs to something else by now."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emosim_core.data.files import remove_partials, runs

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell")


@pytest.fixture
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    program = "import time; print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def partial(folder: Path, process: int) -> Path:
    path = folder / "jobs" / f".records.jsonl.partial-{process}"
    path.parent.mkdir(exist_ok=True)
    path.write_text("half")
    return path


def test_a_file_that_a_running_process_writes_stays_and_that_of_a_dead_one_goes(
    tmp_path: Path, sleeping: subprocess.Popen[bytes]
) -> None:
    alive, dead = partial(tmp_path, sleeping.pid), partial(tmp_path, 999_999_999)
    remove_partials(tmp_path)
    assert (alive.exists(), dead.exists()) == (True, False)


@linux
def test_a_process_that_began_after_the_file_was_written_is_not_who_wrote_it(
    tmp_path: Path, sleeping: subprocess.Popen[bytes]
) -> None:
    left = partial(tmp_path, sleeping.pid)
    before = time.time() - 3600
    os.utime(left, (before, before))
    remove_partials(tmp_path)
    assert not left.exists()


@linux
def test_a_process_whose_end_nobody_has_asked_for_and_a_thread_do_not_run(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its number is still taken
    left = partial(tmp_path, process.pid)
    assert not runs(process.pid)
    remove_partials(tmp_path)
    assert not left.exists()
    process.wait()
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    assert thread.native_id is not None
    assert not runs(thread.native_id)
    end.set()
    assert runs(os.getpid())
