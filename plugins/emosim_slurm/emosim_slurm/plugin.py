"""What emosim-slurm provides."""

from __future__ import annotations

from collections.abc import Iterable

from emosim_core.plugins import Component, hookimpl

EMOSIM_HOOK_VERSION = 1


@hookimpl
def emosim_executors() -> Iterable[Component]:
    yield Component(
        "slurm",
        "As jobs of a Slurm cluster, submitted with submitit.",
        "emosim_slurm.executor:SlurmExecutor",
        options="emosim_slurm.executor:SlurmOptions",
        value="partition",
    )
