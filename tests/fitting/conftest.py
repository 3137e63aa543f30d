"""Fitted people need the libraries of the extra ``fit``."""

from __future__ import annotations

import pytest

pytest.importorskip("scipy")
pytest.importorskip("safetensors")
