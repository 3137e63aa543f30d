"""What emosim-ray provides."""

from __future__ import annotations

from collections.abc import Iterable

from emosim_core.plugins import Component, hookimpl

EMOSIM_HOOK_VERSION = 1


@hookimpl
def emosim_executors() -> Iterable[Component]:
    yield Component(
        "ray",
        "On a Ray cluster: that of an address, of RAY_ADDRESS, or one on this machine.",
        "emosim_ray.executor:RayExecutor",
        options="emosim_ray.executor:RayOptions",
        value="address",
    )
