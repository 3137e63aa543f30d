"""Manifest: what a run was made with, and whether another one is the same."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from emosim_core.data import json_text
from emosim_core.errors import RunError
from emosim_core.hooks.fields import by_field, with_components
from emosim_core.runs.records import FORMAT
from emosim_core.simulation.assembly import World

_LIBRARIES = ("gymnasium", "numpy", "pydantic")


def make_manifest(world: World, config: BaseModel, libraries: Iterable[str] = ()) -> dict[str, Any]:
    """What a run is made with, as manifest.json holds it.

    Args:
        world: what was assembled.
        config: the configuration of the run.
        libraries: distributions whose versions matter, beside those that every run has.
    """
    versions = {name: metadata.version(name) for name in (*_LIBRARIES, *libraries)} | provider_versions(world.parts)
    return {
        "format": FORMAT,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "uses_llm": world.rater.uses_llm,
        "language_model": world.model or None,
        "answered_by": world.answered_by,
        "config": config.model_dump(mode="json"),
        "parts": world.parts,
        "data": {
            "items": len(world.catalog),
            "items_sha256": digest(world.catalog.items),
            "embeddings": world.catalog.embedding_name,
            "users": len(world.population),
            "users_sha256": digest(world.population.users),
        },
        "versions": dict(sorted(versions.items())) | {"python": platform.python_version()},
        "announcements": world.announcements,
    }


def provider_versions(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The distributions that provide components and what these are made of, and their versions."""
    versions: dict[str, str] = {}
    for part in parts.values():
        name, _, version = part["provider"].rpartition(" ")
        versions |= {name: version, **provider_versions(part.get("parts", {}))}
    return versions


def check_same(
    directory: Path,
    stored: Mapping[str, Any],
    manifest: Mapping[str, Any],
    may_differ: Collection[str],
    model: type[BaseModel],
) -> None:
    """See that a run that is resumed was made with the same.

    Args:
        directory: where it is.
        stored: the manifest that is there.
        manifest: the manifest of now.
        may_differ: fields of the configuration that may have changed.
        model: the configuration.

    Raises:
        RunError: it was made with something else; says what differs.
    """
    differences = []
    for section in ("config", "parts", "data"):
        old, new = stored.get(section, {}), json_text.loads(json_text.dumps(manifest[section]))
        if section == "config":
            old, new = (by_field(model, with_components(model, by_field(model, one))) for one in (old, new))
        differences += [
            f"{name}: {_shown(old.get(name))} then, {_shown(new.get(name))} now"
            for name in {**old, **new}
            if old.get(name) != new.get(name) and not (section == "config" and name in may_differ)
        ]
    if differences:
        raise RunError(
            f"{directory} cannot be resumed, it was made with another configuration:\n  " + "\n  ".join(differences)
        )


def digest(objects: Iterable[BaseModel]) -> str:
    """SHA-256 of items or users in their order, as a manifest holds it."""
    made = hashlib.sha256()
    for one in objects:
        made.update(one.model_dump_json().encode())
    return made.hexdigest()


def _shown(value: Any) -> str:
    return json_text.dumps(value, ensure_ascii=False)
