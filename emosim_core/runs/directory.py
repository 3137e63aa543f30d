"""Run directory: written so that a killed run can be read and resumed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel

from emosim_core.data.files import write_all
from emosim_core.errors import RunError
from emosim_core.hooks import Registry
from emosim_core.runs.job import JobDirectory, cannot_write, job_directory
from emosim_core.runs.manifest import begin_job, check_same
from emosim_core.runs.records import INTERACTIONS, MANIFEST, SUMMARY

_MAY_DIFFER = ("gateway", "on_failed_rating")
"""What may change when a run is resumed: it changes no rating that is there."""


class RunDirectory:
    """The files of one run.

    Lines are appended with one unbuffered write each batch, so a killed run loses at most what was
    in flight. When a run is resumed, its steps are simulated again from the start, which a seed makes
    repeatable, and each must equal the line that is there; writing goes on where the lines end.

    Args:
        resume: whether it must exist already, or must not; a job directory knows.

    Attributes:
        job: the claim on the directory, which this object holds from the beginning on.

    Raises:
        RunError: it exists without ``resume``, or does not with it, or cannot be made, or another process writes it.
    """

    def __init__(self, place: Path | JobDirectory, resume: bool = False) -> None:
        self.job = job_directory(place, "run", resume)
        self.job.claim()
        self.path = self.job.path
        self.resumed_lines = 0
        self._old: BinaryIO | None = None
        self._new: BinaryIO | None = None

    def begin(self, manifest: Mapping[str, Any], model: type[BaseModel], registry: Registry) -> None:
        """Write the manifest; of a run that is resumed, check that it is the same, and write what may change.

        Raises:
            RunError: the run was made with something else; says what differs. Or the manifest cannot be written.
        """

        def check(stored: Mapping[str, Any]) -> None:
            check_same(self.path, stored, manifest, _MAY_DIFFER, model)

        try:
            begin_job(self.job, manifest, (model,), registry, check)
        except BaseException as error:
            if isinstance(error.__cause__, OSError) and isinstance(error, RunError):
                self.job.explain(error)
            self.abandon()
            raise

    def write(self, lines: list[bytes]) -> None:
        """Append lines, or check them against those that are there already.

        Raises:
            RunError: the disk is full or the file cannot be written, or a line differs on resuming.
        """
        path = self.path / INTERACTIONS
        try:
            if self._new is None:
                lines = self._check(path, lines)
            if lines and self._new is not None:
                write_all(self._new.fileno(), b"".join(lines))
        except OSError as error:
            raise cannot_write(path, error) from error

    def _check(self, path: Path, lines: list[bytes]) -> list[bytes]:
        """The lines that are not there yet; opens the file for writing where the old ones end."""
        if self._old is None:
            self._old = path.open("ab+" if self.job.resume else "xb+")
            self._old.seek(0)
        for number, line in enumerate(lines):
            end = self._old.tell()
            existing = self._old.readline()
            if existing.endswith(b"\n"):
                if existing != line:
                    raise RunError(
                        f"{path}, line {self.resumed_lines + 1}: simulating it again gives another step; "
                        "the file was changed, or the run depends on something that its manifest does not hold"
                    )
                self.resumed_lines += 1
                continue
            self._old.close()
            os.truncate(path, end)
            self._new = path.open("ab", buffering=0)
            return lines[number:]
        return []

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary and close the files.

        Raises:
            RunError: it cannot be written, or the run is complete and the file has more than its steps.
        """
        more = b""
        if self._new is not None:
            os.fsync(self._new.fileno())  # before a summary says that all is there
        elif summary["complete"] and self._old is not None:
            more = self._old.read(1)
        self.close()
        if more:
            raise RunError(
                f"{self.path / INTERACTIONS}, line {self.resumed_lines + 1}: the run ends before this line; "
                "the file was changed"
            )
        self.job.write(SUMMARY, summary)

    def abandon(self) -> None:
        """Close the files; what was written stays, but a run that has not taken a step leaves nothing behind."""
        self.close()
        if self.job.resume or self._old is not None:
            self.job.release()
        else:
            self.job.discard(MANIFEST)

    def close(self) -> None:
        """Close the files; what was written stays."""
        for stream in (self._old, self._new):
            if stream is not None:
                stream.close()
