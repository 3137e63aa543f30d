"""Episodes of runs, read back one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.runs.records import read_records, run_manifest
from emosim_core.runs.schemas import StepRecord
from emosim_core.runs.typed import typed


@dataclass(frozen=True)
class LoggedRun:
    """One run; ``name`` is that of its directory, or the directory as given where two have the same name."""

    name: str
    directory: Path
    manifest: dict[str, Any]


@dataclass
class LoggedEpisode:
    """One episode of a run: its number in it, the user's id, and its steps, each of which recommended something.

    The end reason is None if the run was stopped in the middle of the episode.
    """

    run: str
    number: int
    user: str
    steps: list[StepRecord] = field(default_factory=list)
    end_reason: str | None = None

    @property
    def left(self) -> bool:
        """Whether the user left in the last step; otherwise the episode was cut off."""
        return self.steps[-1]["end_reason"] not in (None, "max_steps")


def open_runs(directories: Sequence[Path]) -> list[LoggedRun]:
    """The runs in directories; an EmoSimError where one is named twice, is no run, or took no step."""
    if len({directory.resolve() for directory in directories}) < len(directories):
        raise ConfigurationError("a run is named twice")
    names = [directory.resolve().name for directory in directories]
    runs = []
    for directory, name in zip(directories, names, strict=True):
        manifest = run_manifest(directory)
        if not any(record["recommended"] for record in read_records(directory)):
            raise RunError(f"{directory} holds no step; continue it with: {typed('run', '--resume', directory)}")
        runs.append(LoggedRun(name if names.count(name) == 1 else str(directory), directory, manifest))
    return runs


def logged_episodes(run: LoggedRun) -> Iterator[LoggedEpisode]:
    """The episodes of a run in the order in which they ended, those without an end last.

    Episodes without a step, where the recommender had nothing to recommend, are left out. Memory is taken by the
    episodes that were going on side by side, not by the run. Errors are those of
    :func:`~emosim_core.runs.records.read_records`.
    """
    going: dict[int, LoggedEpisode] = {}
    for record in read_records(run.directory):
        step = cast(StepRecord, record)
        episode = going.setdefault(step["episode"], LoggedEpisode(run.name, step["episode"], step["user"]))
        if step["recommended"]:
            episode.steps.append(step)
        if step["end_reason"] is not None:
            episode.end_reason = step["end_reason"]
            del going[episode.number]
            if episode.steps:
                yield episode
    yield from going.values()
