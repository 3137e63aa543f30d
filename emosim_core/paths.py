"""Folders of the user's machine that EmoSim writes to outside of what a command is given."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "EMOSIM_CACHE_DIR"
"""Environment variable that moves the cache."""

STATE_VARIABLE = "EMOSIM_STATE_DIR"
"""Environment variable that moves the state folder."""


def cache_directory() -> Path:
    """Folder of what can be made again: ``EMOSIM_CACHE_DIR``, else the platform's (``~/.cache/emosim`` on Linux)."""
    return _chosen(CACHE_VARIABLE) or platformdirs.user_cache_path("emosim", appauthor=False)


def state_directory() -> Path:
    """Folder of what must outlive a command: ``EMOSIM_STATE_DIR``, else the platform's (``~/.local/state/emosim``)."""
    return _chosen(STATE_VARIABLE) or platformdirs.user_state_path("emosim", appauthor=False)


def _chosen(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser() if value else None
