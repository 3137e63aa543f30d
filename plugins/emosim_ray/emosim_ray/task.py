"""Task: what a worker of the cluster does with a cell, and the counter of the progress of all of them."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from emosim_core.plugins import Cell, Registry, Worlds

_cached: dict[ray.ObjectRef[Worlds], Worlds] = {}
"""The worlds that a worker keeps from one cell to the next; those of one command."""


class Progress:
    """Counts units of work; an actor on the node of the command."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, count: int) -> None:
        """Count more units."""
        self._count += count

    def take(self) -> int:
        """The number of units since the last call."""
        count, self._count = self._count, 0
        return count


def begin(cores: float, retries: int) -> tuple[Any, Any]:
    """The task that does a cell, and a new actor that counts progress."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(Progress).options(num_cpus=0, scheduling_strategy=here).remote()
    task = ray.remote(do).options(num_cpus=cores, max_retries=retries, retry_exceptions=False)
    return task, actor


def do(cell: Cell, shared: list[ray.ObjectRef[Worlds]], expected: dict[str, str], folder: str, progress: Any) -> str:
    """Do a cell; what went wrong, if anything did.

    ``shared`` holds the reference to the worlds of the command, ``folder`` is where the command runs, so that relative
    paths are the same ones.
    """
    worlds = _worlds(*shared)
    if problem := difference(expected, versions(worlds.registry)):
        return problem
    try:
        os.chdir(folder)
    except OSError as error:
        return (
            f"{_this_node()} cannot enter the folder {folder}: {error.strerror}. Start the command in a folder that "
            "all nodes have"
        )
    return cell.attempt(worlds, lambda count: ray.get(progress.add.remote(count)))


def _worlds(shared: ray.ObjectRef[Worlds]) -> Worlds:
    if shared not in _cached:
        _cached.clear()
        _cached[shared] = ray.get(shared)
    return _cached[shared]


def versions(registry: Registry) -> dict[str, str]:
    """What must be the same on all nodes, by name: Python, NumPy, EmoSim and the plugins that are loaded."""
    loaded = {record.distribution: record.version for record in registry.records if record.status == "ok"}
    return {"Python": platform.python_version(), "numpy": version("numpy"), **loaded}


def difference(expected: dict[str, str], actual: dict[str, str]) -> str:
    """What is another version on a node than where the command runs, in a sentence; empty if nothing is."""
    differing = [
        f"{name} {actual.get(name, 'is missing')} (here {value})"
        for name, value in expected.items()
        if actual.get(name) != value
    ]
    if not differing:
        return ""
    return f"{_this_node()} has other versions: {', '.join(differing)}. Install the same ones there"


def _this_node() -> str:
    return f"the node {ray.get_runtime_context().get_node_id()[:8]} ({platform.node()})"
