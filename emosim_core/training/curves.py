"""Curves: how a training goes, as the lines of progress.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import NotRequired

from emosim_core.errors import RunError
from emosim_core.kinds import PROGRESS as PROGRESS
from emosim_core.runs.reading import read_lines
from emosim_core.runs.schemas import Count, Number, Written

LAST_EVALUATION = "evaluation_episodes.json"
"""The last evaluation, episode by episode: users and returns by group of users."""

REFERENCES = "references.json"
"""What ``random``, ``popular``, the oracle and the untrained network get in the evaluation episodes, by user split."""

UNTRAINED = "untrained"
"""The name, among the references, of the network before its training."""

RECENT = 100
"""Episodes over which a reward or a length while learning is a mean, as in stable-baselines3."""


@dataclass(frozen=True)
class TrainingProgress:
    """How a training is going.

    Attributes:
        timesteps: steps so far, over all environments.
        episodes: episodes that ended so far.
        reward, length: mean return and length of the episodes that ended since the last time; None if none did.
        fps: steps per second since the last time.
        evaluation: mean return by user split, where there was an evaluation.
    """

    timesteps: int
    episodes: int
    reward: float | None
    length: float | None
    fps: float
    evaluation: dict[str, float] | None = None


class _Line(Written):
    """One line of progress.jsonl; losses and what else was measured stand beside."""

    timesteps: Count
    episodes: NotRequired[Count]
    reward: NotRequired[Number | None]
    length: NotRequired[Number | None]
    fps: NotRequired[Number | None]
    evaluation: NotRequired[dict[str, Number]]
    intervals: NotRequired[dict[str, list[Number | None]]]


class Estimate(Written):
    """A mean return with the ends of its 95 % interval over users."""

    estimate: Number | None
    low: Number | None
    high: Number | None


class HeldOut(Estimate):
    """What the final recommender of a training gets from users whom it has not met."""

    user_split: str
    episodes: Count
    users: Count


class _Summary(Written):
    """What is used of summary.json of a training that is complete."""

    timesteps: Count
    episodes: Count
    reward: Number | None
    recent_episodes: Count
    evaluation: dict[str, Number] | None
    held_out: NotRequired[HeldOut | None]
    references: NotRequired[dict[str, dict[str, Estimate]]]
    seconds: Number
    steps_per_second: Number | None


class _References(Written):
    """What references.json holds."""

    episodes: Count
    rewards: dict[str, dict[str, Estimate]]


class _Episodes(Written):
    """Ids of the users of evaluation episodes, and the return of each."""

    users: list[str]
    returns: list[Number]


class _LastEvaluation(Written):
    """What evaluation_episodes.json holds."""

    timesteps: Count
    episodes: dict[str, _Episodes]


LINE, SUMMARY, STORED_REFERENCES = TypeAdapter(_Line), TypeAdapter(_Summary), TypeAdapter(_References)
STORED_EVALUATION = TypeAdapter(_LastEvaluation)


def read_progress(directory: Path) -> list[dict[str, Any]]:
    """The lines of progress.jsonl, but one in flight; a RunError where one is damaged or out of order."""
    path = directory / PROGRESS
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    for number, line in read_lines(path, LINE):
        if rows and line["timesteps"] <= rows[-1]["timesteps"]:
            raise RunError(f"{path}, line {number}: is out of order: timesteps do not rise")
        rows.append(line)
    return rows


def mean_over(lines: Sequence[Mapping[str, Any]], name: str, last: bool = True) -> tuple[float, int] | None:
    """Mean of a column of progress over the last episodes of a training, or over the first ones.

    Returns:
        The mean, and of how many episodes: of at least :data:`RECENT`, if so many ended; None where none ended.
    """
    ended = [0, *(line.get("episodes") or 0 for line in lines)]
    counts = [after - before for before, after in pairwise(ended)]
    known = [
        (count, line[name])
        for count, line in zip(counts, lines, strict=True)
        if count > 0 and line.get(name) is not None
    ]
    total, episodes = 0.0, 0
    for count, value in reversed(known) if last else known:
        total, episodes = total + count * value, episodes + count
        if episodes >= RECENT:
            break
    return (total / episodes, episodes) if episodes else None
