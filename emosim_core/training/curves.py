"""Curves: how a training goes, as the lines of progress.jsonl."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosim_core.errors import RunError

PROGRESS = "progress.jsonl"
"""One line each time that the curves move: timesteps, episodes, reward, length, fps, updates, losses, evaluation."""


@dataclass(frozen=True)
class Told:
    """How a training is going.

    Attributes:
        timesteps: steps so far, over all environments.
        episodes: sessions that ended so far.
        reward: mean return of the sessions that ended since the last time; None if none did.
        length: their mean length.
        fps: steps per second since the last time.
        evaluation: mean return by group of people, where there was an evaluation.
    """

    timesteps: int
    episodes: int
    reward: float | None
    length: float | None
    fps: float
    evaluation: dict[str, float] | None = None


def read_progress(directory: Path) -> list[dict[str, Any]]:
    """The lines of progress.jsonl; one in flight when the training was killed is left out.

    Raises:
        RunError: a line is no JSON.
    """
    path = directory / PROGRESS
    if not path.exists():
        return []
    try:
        lines = path.read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
