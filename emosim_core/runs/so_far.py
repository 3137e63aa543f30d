"""So far: what a run says of itself between two of its files, for whoever looks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from emosim_core.data.files import plain_file
from emosim_core.runs.job import WRITER
from emosim_core.runs.schemas import Count, Number, Written
from emosim_core.runs.summary import Episode, Tally

NEWEST = 12
"""Episodes that are shown."""

_LARGEST = 1 << 20
"""Bytes of such a file that is read."""


class NewEpisode(Written):
    """An episode, as :meth:`~emosim_core.runs.summary.Episode.record` makes it."""

    number: Count
    name: str
    steps: Count
    reward: Number
    mean_rating: Number | None
    end_reason: str


class SoFar(Written):
    """Sums over a run.

    ``done`` episodes have ended, the sum of their rewards is ``reward``; ``ratings`` were given, ``total`` is their
    sum; ``newest`` are episodes that ended last, the last one at the end.
    """

    done: Count
    reward: Number
    ratings: Count
    total: Number
    newest: list[NewEpisode]


_SO_FAR = TypeAdapter(SoFar)


def so_far(tallies: Iterable[Tally], newest: Iterable[Episode]) -> dict[str, Any]:
    """What is noted, but for ``done``: the sums of tallies of different parts, and episodes."""
    reward, ratings, total = (sum(values) for values in zip(*(tally.sums() for tally in tallies), strict=True))
    return {"reward": reward, "ratings": ratings, "total": total, "newest": [one.record() for one in newest]}


def read_so_far(directory: Path) -> SoFar | None:
    """What the writer of a run has noted last; None where it has not, as of a run whose lines can be read."""
    try:
        with plain_file(directory / WRITER).open("rb") as stream:
            return _SO_FAR.validate_python(json.loads(stream.read(_LARGEST)))
    except (OSError, ValueError):
        return None
