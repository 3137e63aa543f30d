"""Listing: what lies below the root, read again only where its files have changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from emosim_core.kinds import BLOCKS, INTERACTIONS, KINDS, MANIFEST, RUN
from emosim_core.reports.directories import JobInfo, job_info
from emosim_core.runs.transcript import TRANSCRIPT

MOST = 20_000
"""Directories that are looked into; what lies beyond is not listed."""

_DEEPEST = 12
_MARKS = {MANIFEST, INTERACTIONS, *(kind.mark for kind in KINDS.values() if kind.mark)}
"""Files by which a directory is known to hold something."""

Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Looked:
    files: Signature
    folders: tuple[str, ...]


class Listing:
    """The jobs below a root; any thread may ask."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = Lock()
        self._known: dict[Path, tuple[Signature, JobInfo]] = {}

    def jobs(self, below: Path | None = None) -> list[JobInfo]:
        """The jobs below the root, or below a directory in it, the newest first; of a job its parts are none of them.

        Symbolic links and names that begin with a dot are left out.
        """
        listed: list[JobInfo] = []
        looked = 0
        waiting = [(below or self._root, 0)]
        while waiting and looked < MOST:
            place, depth = waiting.pop()
            looked += 1
            what = _look(place)
            if (depth or below is None) and not _MARKS.isdisjoint(name for name, _, _ in what.files):
                info = self._info(place, what.files)
                if info is not None:
                    listed.append(info)
                    continue
            if depth < _DEEPEST:
                waiting += [(place / name, depth + 1) for name in what.folders]
        return sorted(listed, key=lambda info: (info.created, str(info.path)), reverse=True)

    def job(self, place: Path) -> JobInfo | None:
        """What a directory holds; None where it is no job."""
        return self._info(place, _look(place).files)

    def _info(self, place: Path, files: Signature) -> JobInfo | None:
        with self._lock:
            known = self._known.get(place)
        # Whether its process runs is no matter of files.
        if known is not None and known[0] == files and known[1].state in ("complete", "unreadable"):
            return known[1]
        info = job_info(place)
        if info is not None:
            with self._lock:
                self._known[place] = files, info
        return info


def has_blocks(place: Path) -> bool:
    """Whether a run in Parquet has a block that is written."""
    return any((place / BLOCKS).glob("block-*.parquet"))


def pages_of(info: JobInfo) -> dict[str, bool]:
    """Which pages about its parts a job has by now: ``episodes`` and ``prompts``."""
    episodes = info.kind == RUN and ((info.path / INTERACTIONS).exists() or has_blocks(info.path))
    return {"episodes": episodes, "prompts": (info.path / TRANSCRIPT).exists()}


def signature(place: Path) -> Signature:
    """Names, times and sizes of the files of a directory: as long as it is the same, so is what is known of it."""
    return _look(place).files


def _look(place: Path) -> _Looked:
    files: list[tuple[str, int, int]] = []
    folders: list[str] = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_symlink():
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith("."):
                        folders.append(entry.name)
                    continue
                status = entry.stat(follow_symlinks=False)
                files.append((entry.name, status.st_mtime_ns, status.st_size))
    except OSError:
        pass
    return _Looked(tuple(sorted(files)), tuple(sorted(folders)))
