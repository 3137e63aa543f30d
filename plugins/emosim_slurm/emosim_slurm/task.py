"""Task: what a job does with a cell, and when it ends by itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import signal
import sys
import time
from pathlib import Path
from threading import Thread

from emosim_core.plugins import Cell, Worlds
from emosim_slurm.folder import PULSE, progress_path

_LOOK = 1.0
"""Seconds between two looks at whether anybody waits for this job."""

_SILENCE = 120.0
"""Seconds without a beat of the pulse after which the command is gone."""


def do(cell: Cell, worlds: Worlds, directory: str, folder: Path, number: int) -> str:
    """Do a cell; what went wrong, if anything did.

    Args:
        directory: where the command runs, so that relative paths are the same ones.
        folder: the folder of the command and its jobs.
        number: the number of the cell within the command.
    """
    # submitit waits for a job to save its state before it ends; a cell is whole without that, and done again.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        os.chdir(directory)
    except OSError as error:
        return (
            f"{platform.node()} cannot enter the folder {directory}: {error.strerror}. Start the command in a folder "
            "that all nodes have"
        )
    Thread(target=_watch, args=(folder / PULSE, os.getppid()), name="emosim-slurm", daemon=True).start()
    with open(folder / f"{number}.lock", "w") as lock, open(progress_path(folder, number), "a") as progress:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)  # a job of the same cell that was taken for lost comes to its end first

        def send(count: int) -> None:
            progress.write(f"{count}\n")
            progress.flush()

        return cell.attempt(worlds, send)


def _watch(pulse: Path, parent: int) -> None:
    """End this process when the command has ended or is lost, or the process that started this one."""
    latest, since = b"", time.monotonic()
    while os.getppid() == parent:
        time.sleep(_LOOK)
        try:
            beat = pulse.read_bytes()
        except FileNotFoundError:
            break
        except OSError:  # a shared folder that is away
            beat = latest
        if beat != latest:
            latest, since = beat, time.monotonic()
        elif time.monotonic() > since + _SILENCE:
            break
    print("nobody waits for this job any more: the command, or what started the job, has ended", file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)  # whatever is going on
