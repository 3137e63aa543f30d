"""A made-up log of films and the people who are fitted to it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("scipy")
pytest.importorskip("safetensors")

sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))


@pytest.fixture(scope="session")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 users who rate 24 of 90 films each, with times."""
    from made_up_ratings import write_movielens

    return write_movielens(tmp_path_factory.mktemp("ratings") / "made-up")


@pytest.fixture(scope="session")
def people(movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that they are fitted to."""
    import emosim_core

    out = tmp_path_factory.mktemp("people") / "people"
    emosim_core.fit("movies", out, ratings=f"movielens:{movielens}")
    return out
