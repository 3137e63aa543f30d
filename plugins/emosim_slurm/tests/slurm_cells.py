"""Cells of the tests, in a module that jobs can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from emosim_core.plugins import OnProgress, Worlds


def note(arguments: tuple[str, str], worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that writes which process did it."""
    folder, name = arguments
    on_progress(2)
    (Path(folder) / name).write_text(str(os.getpid()))


def die(arguments: tuple[str, int], worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell whose process is killed the first times."""
    folder, times = arguments
    began = Path(folder) / "began"
    with began.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(began.read_text().splitlines()) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    (Path(folder) / "done").write_text("")


def wait_long(folder: str, worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that says that it began, and then takes a minute."""
    with (Path(folder) / "began").open("a") as file:
        file.write(f"{os.getpid()}\n")
    for _ in range(600):
        time.sleep(0.1)
        on_progress(1)
    (Path(folder) / "ended").write_text("")


def hold_on(folder: str, worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that takes a minute the first time, and writes the time all along; it does so once the second time."""
    began = Path(folder) / "began"
    if began.exists():
        (Path(folder) / "again").write_text(str(time.monotonic()))
        return
    began.write_text(str(os.getpid()))
    for _ in range(6000):
        with (Path(folder) / "times").open("a") as times:
            times.write(f"{time.monotonic()}\n")
        time.sleep(0.01)


def came_after(folder: Path) -> bool:
    """Whether the first job of ``hold_on`` had ended when the second began."""
    return float((folder / "times").read_text().splitlines()[-1]) < float((folder / "again").read_text())


def fail(arguments: None, worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that fails as no cell should."""
    print(1 / 0)


def is_running(process: int) -> bool:
    """Whether a process goes on."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
