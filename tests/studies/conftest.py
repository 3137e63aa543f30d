"""Made-up ratings for the tests of validations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ratings of 60 made-up users in the files of MovieLens."""
    from made_up_ratings import write_movielens

    return write_movielens(tmp_path_factory.mktemp("ratings") / "made-up")
