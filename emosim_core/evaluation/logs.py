"""Logs of an evaluation: those that an earlier one simulated the same way are used again."""

from __future__ import annotations

import shutil
from pathlib import Path

from emosim_core.datasets.files import scratch
from emosim_core.errors import EmoSimError
from emosim_core.evaluation.results import LOGS, is_complete
from emosim_core.hooks import Registry
from emosim_core.runs.blocks import BLOCKS
from emosim_core.runs.manifest import check_same, make_manifest
from emosim_core.runs.plain import own_files
from emosim_core.runs.records import INTERACTIONS, MANIFEST, SUMMARY, read_manifest
from emosim_core.runs.runner import with_records
from emosim_core.simulation.assembly import World
from emosim_core.simulation.config import RunConfig


def same_logs(out: Path, config: RunConfig, world: World, registry: Registry) -> Path | None:
    """Complete logs of an evaluation beside ``out`` that a run of ``config`` in ``world`` would repeat; the newest."""
    policy = registry.resolve("policy", config.policy, world.domain.name).describe()
    manifest = make_manifest(world, with_records(config)[0])
    manifest = {**manifest, "parts": {**manifest["parts"], "policy": policy}}
    candidates = [place for place in out.parent.glob(f"*/{LOGS}") if place.parent != out and not place.is_symlink()]
    for place in sorted(candidates, key=lambda place: place.stat().st_mtime, reverse=True):
        try:
            own_files(place)
            stored = read_manifest(place)
            check_same(place, stored, manifest, (), RunConfig)
            if stored.get("versions") == manifest["versions"] and is_complete(place):
                return place
        except (EmoSimError, OSError):
            continue  # made otherwise, or damaged: no logs for this evaluation
    return None


def take_over(logs: Path, place: Path) -> None:
    """Copy complete logs, whole or not at all. Raises RunError: they cannot be copied."""
    with scratch(place) as folder:
        folder.mkdir()
        for name in (MANIFEST, INTERACTIONS, SUMMARY):
            if (logs / name).exists():
                shutil.copyfile(logs / name, folder / name)
        if (logs / BLOCKS).is_dir():
            shutil.copytree(logs / BLOCKS, folder / BLOCKS)
        folder.rename(place)
