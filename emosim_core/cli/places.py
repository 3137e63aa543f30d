"""Where commands write: in the directory that is named, or in one of runs/ that is free."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.runs.typed import quoted

if TYPE_CHECKING:
    from emosim_core.runs.job import JobDirectory

_MANIFEST = "manifest.json"

NEWEST = "(newest)"
"""What ``--resume`` holds where it names no directory."""

_MADE = {
    "run": "run",
    "train": "training",
    "evaluate": "evaluation",
    "ablate": "ablation",
    "validate": "validation",
}
"""What each command makes."""


def job_place(
    command: str, stem: str, out: Path | None, resume: Path | None = None, *, begun: str = _MANIFEST
) -> JobDirectory:
    """The directory that a command writes.

    Args:
        command: the command.
        stem: what it is for; names the directory where neither ``out`` nor ``resume`` does.
        out: the directory, if one was given.
        resume: the directory of a job that is to be continued. What a beginning left behind that failed is begun again.
        begun: the file that a job has from its beginning on.

    Raises:
        ConfigurationError: ``out`` and ``resume`` name different directories.
    """
    from emosim_core.runs.job import JobDirectory, holds_remains

    if resume is not None:
        if out is not None and out != resume:
            raise ConfigurationError(f"--resume {resume} and --out {out} name different directories")
        return JobDirectory(resume, command, resume=not holds_remains(resume), begun=begun)
    if out is not None:
        return JobDirectory(out, command, begun=begun)
    return JobDirectory(new_name(stem), command, numbered=True, begun=begun)


def resumed_place(command: str, out: Path | None, resume: str | None) -> Path | None:
    """The directory that ``--resume`` means: the one it names, else that of ``--out``, else the newest in ``runs/``.

    Args:
        command: the command that resumes it.
        out: the directory of ``--out``, if one was given.
        resume: what ``--resume`` holds; None where it was not given.

    Raises:
        ConfigurationError: there is nothing in ``runs/`` that the command has made.
        RunError: a newer manifest there is not JSON.
    """
    from emosim_core.runs.records import newest_of

    if resume is None or resume != NEWEST:
        return None if resume is None else Path(resume)
    if out is not None:
        return out
    runs = Path("runs")
    newest = newest_of(runs, command)
    if newest is None:
        raise ConfigurationError(f"there is no {_MADE[command]} in {runs}/ to resume; name its directory: --resume DIR")
    return newest


def new_name(stem: str) -> Path:
    """A directory of ``runs/``, named by what it is for and the time."""
    return Path("runs") / f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"


def nothing_begun(path: Path) -> RunError:
    """What to say where a directory is to be resumed that holds only what a beginning left behind that failed."""
    return RunError(
        f"{path} holds nothing to resume: what began there was stopped at once. Begin again with its first command and "
        f"--out {quoted(path)}"
    )
