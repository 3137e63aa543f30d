"""Runs to report on, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

import emosim_core
from emosim_core.reports import write_report


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs ``a`` (films), ``better`` (the same users, another recommender) and ``books``."""
    folder = tmp_path_factory.mktemp("runs")
    emosim_core.run("movies", folder / "a", episodes=60, max_steps=20)
    emosim_core.run("movies", folder / "better", episodes=60, max_steps=20, policy="top_rated")
    emosim_core.run("books", folder / "books", episodes=30, max_steps=20, slate=2, p_interrupt=0.05)
    return folder


@pytest.fixture(scope="session")
def page(made: Path) -> Path:
    """The report of the run ``a``."""
    return write_report(made / "a")
