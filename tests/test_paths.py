"""Where the cache and the state folder lie."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emosim_core.paths import cache_directory, state_directory


def test_environment_variables_move_both_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("EMOSIM_STATE_DIR", str(tmp_path / "state"))
    assert (cache_directory(), state_directory()) == (tmp_path / "cache", tmp_path / "state")


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
def test_without_them_both_follow_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("EMOSIM_CACHE_DIR", "EMOSIM_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "emosim"
    assert state_directory() == tmp_path / ".local" / "state" / "emosim"
