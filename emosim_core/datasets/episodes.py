"""Episodes of runs, read back one after another with every field checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.runs.records import INTERACTIONS, read_records, run_manifest
from emosim_core.runs.typed import typed


class LoggedItem(BaseModel):
    """One item that was recommended; see :func:`emosim_core.runs.records.step_records`."""

    model_config = ConfigDict(strict=True)

    item: str
    title: str
    raw_rating: float | None
    consumed: bool
    rating: float | None = None
    times: int | None = None
    valence: str | None = None
    arousal: str | None = None


class LoggedStep(BaseModel):
    """One step of an episode; see :func:`emosim_core.runs.records.step_records`."""

    model_config = ConfigDict(strict=True)

    episode: int
    step: int
    user: str
    recommended: list[LoggedItem]
    reward: float
    mood: list[float]
    end_reason: str | None


@dataclass(frozen=True)
class LoggedRun:
    """One run.

    Attributes:
        name: the name of its directory; the directory as given where two have the same name.
        directory: where it is.
        manifest: what it was made of.
    """

    name: str
    directory: Path
    manifest: dict[str, Any]


@dataclass
class LoggedEpisode:
    """One episode.

    Attributes:
        run: name of the run.
        number: its number in the run.
        user: id of the user.
        steps: its steps, in order; each recommended something.
        end_reason: why it ended; None if the run was stopped in the middle of it.
    """

    run: str
    number: int
    user: str
    steps: list[LoggedStep] = field(default_factory=list)
    end_reason: str | None = None

    @property
    def left(self) -> bool:
        """Whether the user left in the last step; otherwise the episode was cut off."""
        return self.steps[-1].end_reason not in (None, "max_steps")


def open_runs(directories: Sequence[Path]) -> list[LoggedRun]:
    """The runs in directories.

    Raises:
        ConfigurationError: a directory is named twice.
        RunError: a directory is no run, or its run took no step.
    """
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

    Episodes without a step, where the recommender had nothing to recommend, are left out. Memory is taken by
    the episodes that were going on side by side, not by the run.

    Raises:
        RunError: a line is not the step of a run, or a step is missing.
    """
    going: dict[int, LoggedEpisode] = {}
    for number, record in enumerate(read_records(run.directory), start=1):
        where = f"{run.directory / INTERACTIONS}, line {number}"
        try:
            step = LoggedStep.model_validate(record)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(map(str, wrong["loc"]))
            raise RunError(f"{where}: is not a step of a run ({place}: {wrong['msg']})") from error
        episode = going.setdefault(step.episode, LoggedEpisode(run.name, step.episode, step.user))
        if step.step != len(episode.steps) + 1 or step.user != episode.user:
            raise RunError(
                f"{where}: step {step.step} of episode {step.episode} with {step.user} is out of place; "
                f"expected step {len(episode.steps) + 1} with {episode.user}"
            )
        if step.recommended:
            episode.steps.append(step)
        if step.end_reason is not None:
            episode.end_reason = step.end_reason
            del going[step.episode]
            if episode.steps:
                yield episode
    yield from going.values()
