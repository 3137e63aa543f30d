"""Fixtures of this package's tests: two nodes of a Ray cluster on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest_plugins = ["emosim_core.testing.pytest_plugin"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("EMOSIM_") or name == "RAY_ADDRESS":
            monkeypatch.delenv(name)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()
