"""Where commands write when nobody says where."""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path


def new_directory(stem: str) -> Path:
    """A directory of ``runs/`` that does not exist yet, named by what it is for and the time."""
    name = f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(1)))
    runs = Path("runs")
    return next(runs / free for free in names if not (runs / free).exists())
