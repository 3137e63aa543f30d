"""Fixtures of this package's tests: two nodes of a Ray cluster on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)  # for ray_cells, which workers import too

pytest_plugins = ["emosim_core.testing.pytest_plugin"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("EMOSIM_") or name == "RAY_ADDRESS":
            monkeypatch.delenv(name)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", HERE)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()
