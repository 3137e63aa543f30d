"""The backend keeps to the contract of plugins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from emosim_core.testing import LLMBackendConformance


class TestLocal(LLMBackendConformance):
    component = "local"

    @pytest.fixture(autouse=True)
    def _tiny(self, models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
        chosen = {"name": "local", "model": str(models("merged")), "device": "cpu"}
        monkeypatch.setattr(type(self), "component", chosen)


class TestLocalOfWords(TestLocal):
    @pytest.fixture(autouse=True)
    def _tiny(self, models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
        chosen = {"name": "local", "model": str(models("words")), "device": "cpu", "batch_size": 2, "top": 2}
        monkeypatch.setattr(type(self), "component", chosen)
