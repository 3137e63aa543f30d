"""Task: what a worker of the cluster does with a cell, and the counter of the progress of all of them."""

from __future__ import annotations

import os
import platform
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from emosim_core.plugins import Cell, Worlds
from emosim_ray.travel import Left, Trip, do_away

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


def do(
    cell: Cell, shared: list[ray.ObjectRef[Worlds]], folder: str, progress: Any, trip: Trip | None
) -> tuple[str, Left | None]:
    """Do a cell; what went wrong, if anything did, and what it has left in the storage if it made a trip.

    ``shared`` holds the reference to the worlds of the command, ``folder`` is where the command runs, so that relative
    paths are the same ones.
    """

    def attempt(cell: Cell) -> str:
        return cell.attempt(_worlds(*shared), lambda count: ray.get(progress.add.remote(count)))

    try:
        os.chdir(folder)
    except OSError as error:
        if trip is None:
            return _no_folder(folder, error), None
    return (attempt(cell), None) if trip is None else do_away(cell, trip, attempt)


def _no_folder(folder: str, error: OSError) -> str:
    return (
        f"the node {ray.get_runtime_context().get_node_id()[:8]} ({platform.node()}) cannot enter the folder "
        f"{folder}: {error.strerror}. Start the command in a folder that all nodes have"
    )


def _worlds(shared: ray.ObjectRef[Worlds]) -> Worlds:
    if shared not in _cached:
        _cached.clear()
        _cached[shared] = ray.get(shared)
    return _cached[shared]
