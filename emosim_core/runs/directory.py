"""Run directory: written so that a killed run can be read and resumed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel

from emosim_core.data.files import write_all
from emosim_core.errors import RunError
from emosim_core.hooks import Registry
from emosim_core.kinds import BLOCKS
from emosim_core.runs.job import JobDirectory, cannot_write, job_directory
from emosim_core.runs.manifest import begin_job, check_same
from emosim_core.runs.records import INTERACTIONS, MANIFEST, SUMMARY
from emosim_core.runs.transcript import TRANSCRIPT, compared

_MAY_DIFFER = ("gateway", "on_failed_rating")
"""What may change when a run is resumed: it changes no rating that is there."""


class _Lines:
    """A file of lines that grows by one unbuffered write each batch.

    On resuming, the lines are made again from the first. Each must equal the line that is there; writing goes on where
    the lines end.

    Args:
        compared: what must be equal of two lines.
    """

    def __init__(self, path: Path, resume: bool, compared: Callable[[bytes], bytes] = lambda line: line) -> None:
        self._path, self._resume, self._compared = path, resume, compared
        self._old: BinaryIO | None = None
        self._new: BinaryIO | None = None
        self._checked = 0

    def write(self, lines: Sequence[bytes], what: str | None) -> None:
        """Append lines, or compare them with those that are there.

        Args:
            what: what another line would be, for the error; None if the file may be cut off there.

        Raises:
            RunError: the disk is full or the file cannot be written, or a line differs.
        """
        try:
            if self._new is None:
                lines = self._check(lines, what)
            if lines and self._new is not None:
                write_all(self._new.fileno(), b"".join(lines))
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _check(self, lines: Sequence[bytes], what: str | None) -> Sequence[bytes]:
        """The lines that are not there yet; opens the file for writing where the old ones end."""
        if self._old is None:
            self._old = self._path.open("ab+" if self._resume else "xb+")
            self._old.seek(0)
        for number, line in enumerate(lines):
            end = self._old.tell()
            existing = self._old.readline()
            same = self._compared(existing) == self._compared(line)
            if existing.endswith(b"\n") and (same or what):
                if not same:
                    raise RunError(
                        f"{self._path}, line {self._checked + 1}: simulating it again gives another {what}; "
                        "the file was changed, or the run depends on something that its manifest does not hold"
                    )
                self._checked += 1
                continue
            self._old.close()
            os.truncate(self._path, end)
            self._new = self._path.open("ab", buffering=0)
            return lines[number:]
        return []

    def at_end(self) -> bool:
        """Whether no whole line is left to compare with."""
        if self._old is None or self._new is not None:
            return self._new is not None or not self._resume
        place = self._old.tell()
        left = self._old.readline()
        self._old.seek(place)
        return not left.endswith(b"\n")

    def finish(self, complete: bool) -> None:
        """See that what was written is on the disk, and that a complete run has left no line of the file out."""
        if self._new is not None:
            os.fsync(self._new.fileno())
        left = self._old.read(1) if complete and self._old is not None and self._new is None else b""
        self.close()
        if left:
            raise RunError(
                f"{self._path}, line {self._checked + 1}: the run ends before this line; the file was changed"
            )

    def close(self) -> None:
        """Close the file."""
        for stream in (self._old, self._new):
            if stream is not None:
                stream.close()


class RunDirectory:
    """The files of one run.

    A killed run loses at most what was in flight. When a run is resumed, its steps are simulated again from the start,
    which a seed makes repeatable, and each must equal its record; so must the transcript as far as the records go.

    Args:
        resume: whether it must exist already, or must not; a job directory knows.
        lines: whether the steps are written as JSON lines, which this object does; else somebody else writes them.
        claimed: whether another process, whose part this one does, holds the claim.

    Attributes:
        job: the claim on the directory, which this object holds from the beginning on.

    Raises:
        RunError: it exists without ``resume``, or does not with it, or cannot be made, or another process writes it.
    """

    def __init__(
        self, place: Path | JobDirectory, resume: bool = False, lines: bool = True, claimed: bool = False
    ) -> None:
        self.job = job_directory(place, "run", resume)
        if not claimed:
            self.job.claim()
        self.path = self.job.path
        self._records = _Lines(self.path / INTERACTIONS, self.job.resume)
        self._transcript = _Lines(self.path / TRANSCRIPT, self.job.resume, compared)
        self._lines, self._stepped = lines, False

    def begin(self, manifest: Mapping[str, Any], model: type[BaseModel], registry: Registry) -> None:
        """Write the manifest; of a run that is resumed, check that it is the same, and write what may change.

        Raises:
            RunError: the run was made with something else; says what differs. Or the manifest cannot be written.
        """

        def check(stored: Mapping[str, Any]) -> None:
            config = {"records": "jsonl", **stored["config"]}  # what runs wrote before there was a choice
            check_same(self.path, {**stored, "config": config}, manifest, _MAY_DIFFER, model)

        try:
            begin_job(self.job, manifest, (model,), registry, check)
        except BaseException as error:
            if isinstance(error.__cause__, OSError) and isinstance(error, RunError):
                self.job.explain(error)
            self.abandon()
            raise

    def write(self, records: Sequence[bytes], exchanges: Sequence[bytes] = (), *, whole: bool = True) -> None:
        """Append the lines of a batch of steps, or check them against those that are there already.

        Args:
            records: lines of interactions.jsonl.
            exchanges: lines of the transcript.
            whole: whether the steps came to their end. Exchanges of others are written after the last record alone.

        Raises:
            RunError: the disk is full or a file cannot be written, or a line differs on resuming.
        """
        self._stepped |= whole
        if whole and self._lines:
            self._records.write(records, "step")
        last = not self._lines or self._records.at_end()
        if exchanges and (whole or last):
            self._transcript.write(exchanges, None if last else "exchange with the language model")

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary and close the files.

        Raises:
            RunError: it cannot be written, or the run is complete and a file has more than its steps.
        """
        for lines in (self._records, self._transcript):  # on the disk before a summary says that all is there
            lines.finish(summary["complete"])
        self.job.write(SUMMARY, summary)

    def keep(self) -> None:
        """Leave the directory to be resumed, whatever becomes of the run: others write steps into it."""
        self._stepped = True

    def abandon(self) -> None:
        """Close the files; what was written stays, but a run that has not taken a step leaves nothing behind."""
        self.close()
        if self.job.resume or self._stepped:
            self.job.release()
        else:
            shutil.rmtree(self.path / BLOCKS, ignore_errors=True)
            self.job.discard(MANIFEST)

    def close(self) -> None:
        """Close the files; what was written stays."""
        self._records.close()
        self._transcript.close()
