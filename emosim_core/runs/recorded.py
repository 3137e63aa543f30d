"""A run read back from its directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosim_core.runs.records import SUMMARY, read_records, read_summary, run_manifest
from emosim_core.runs.transcript import read_transcript


@dataclass(frozen=True)
class RecordedRun:
    """A run in its directory; made by :func:`~emosim_core.read_run`.

    Attributes:
        manifest: what ``manifest.json`` holds: the configuration, seed, components, versions and digests.
        summary: what ``summary.json`` holds; None if the run was stopped before one was written.
    """

    directory: Path
    manifest: dict[str, Any]
    summary: dict[str, Any] | None

    def steps(self) -> Iterator[dict[str, Any]]:
        """The records of ``interactions.jsonl``, one per step, in the order in which they were written.

        The steps of one episode are in order; steps of episodes that ran side by side alternate. The first step of an
        episode also holds ``user_profile``.

        Raises:
            RunError: a record is damaged, missing or out of place; names the line.
        """
        return read_records(self.directory)

    def transcript(self) -> Iterator[dict[str, Any]]:
        """The exchanges with the language model, in the order of ``transcript.jsonl``.

        Each has ``episode``, ``step``, ``user``, ``place`` (in the slate) and ``item``; ``messages``, each with
        ``role`` and ``text``; ``options`` of the request; ``answer``, None where the request failed; ``usage``;
        ``cached``; and where there is something to say, ``error``, ``reasoning``, ``model`` and ``finished``.

        Raises:
            RunError: there is no transcript, or a line is damaged; names the line.
        """
        return read_transcript(self.directory)


def read_run(directory: str | Path) -> RecordedRun:
    """Read a run back: its manifest, its summary and its steps.

    Args:
        directory: the directory of the run, complete or not.

    Raises:
        RunError: the directory is no run, is damaged, or was written by a newer version.
    """
    directory = Path(directory)
    manifest = run_manifest(directory)
    summary = read_summary(directory) if (directory / SUMMARY).exists() else None
    return RecordedRun(directory, manifest, summary)
