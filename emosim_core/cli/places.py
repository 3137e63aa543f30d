"""Where commands write: in the directory that is named, or in one of runs/ that is free."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.runs.typed import quoted

if TYPE_CHECKING:
    from emosim_core.runs.job import JobDirectory

MANIFEST = "manifest.json"

NEWEST = "(newest)"
"""What ``--resume`` holds where it names no directory."""

MADE = {
    "run": "run",
    "train": "training",
    "evaluate": "evaluation",
    "ablate": "ablation",
    "validate": "validation",
    "judge": "believability test",
    "sweep": "sweep",
    "distill": "distillation",
    "prompt-bench": "prompt bench",
    "trust": "study of trust",
}
"""What each command makes."""


def new_job(
    command: str, stem: str, out: Path | None, begun: str = MANIFEST, arguments: Sequence[str | Path] = ()
) -> JobDirectory:
    """The directory of a new job: ``out`` if it was given, or one of ``runs/`` that ``stem`` says the purpose of.

    ``begun`` and ``arguments`` are as of :class:`~emosim_core.runs.job.JobDirectory`.
    """
    from emosim_core.runs.job import JobDirectory

    return JobDirectory(
        new_name(stem) if out is None else out, command, numbered=out is None, begun=begun, arguments=arguments
    )


def resumed_job(
    command: str, out: Path | None, resume: str | None, begun: str = MANIFEST, arguments: Sequence[str | Path] = ()
) -> JobDirectory | None:
    """The job that ``--resume`` means: the one it names, else that of ``--out``, else the newest in ``runs/``.

    The remains of a failed start are begun again. A ConfigurationError where the two name different directories, or the
    command has made nothing in ``runs/``.
    """
    from emosim_core.runs.job import JobDirectory, holds_remains
    from emosim_core.runs.records import newest_of

    if resume is None:
        return None
    place = out or newest_of(Path("runs"), command) if resume == NEWEST else Path(resume)
    if place is None:
        raise ConfigurationError(f"there is no {MADE[command]} in runs/ to resume; name its directory: --resume DIR")
    if out not in (None, place):
        raise ConfigurationError(f"--resume {place} and --out {out} name different directories")
    return JobDirectory(place, command, resume=not holds_remains(place), begun=begun, arguments=arguments)


def new_name(stem: str) -> Path:
    """A directory of ``runs/``, named by what it is for and the time."""
    return Path("runs") / f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"


def nothing_begun(path: Path) -> RunError:
    """What to say where a directory is to be resumed that holds only what a beginning left behind that failed."""
    return RunError(
        f"{path} holds nothing to resume: what began there was stopped at once. Begin again with its first command and "
        f"--out {quoted(path)}"
    )
