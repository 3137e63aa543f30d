"""Manifest: what a run was made with, and whether another one is the same."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from operator import itemgetter
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from emosim_core.data import json_text
from emosim_core.errors import RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import by_field, with_components
from emosim_core.model.packed import PackedItems, sha256_of
from emosim_core.runs.job import JobDirectory
from emosim_core.runs.job import now as now
from emosim_core.runs.records import FORMAT, MANIFEST, read_manifest
from emosim_core.runs.trust import note_made
from emosim_core.simulation.assembly import World

_LIBRARIES = ("gymnasium", "numpy", "pydantic")

_LONGEST = 300
"""Characters of a value that a message shows."""


def make_manifest(world: World, config: BaseModel, libraries: Iterable[str] = ()) -> dict[str, Any]:
    """What a run is made with, as manifest.json holds it.

    Args:
        libraries: distributions whose versions matter, beside those that every run has.
    """
    return {
        "format": FORMAT,
        "created": now(),
        "uses_llm": world.rater.uses_llm,
        "language_model": world.model or None,
        "answered_by": world.answered_by,
        "config": config.model_dump(mode="json"),
        "parts": world.parts,
        "data": data_of(world),
        "versions": versions_of([world.parts], libraries),
        "announcements": world.announcements,
    }


def data_of(world: World) -> dict[str, Any]:
    """How many items and users a world has, and their digests."""
    return {
        "items": len(world.catalog),
        "items_sha256": digest(world.catalog.items),
        "embeddings": world.catalog.embedding_name,
        "users": len(world.population),
        "users_sha256": digest(world.population.users),
    }


def versions_of(parts: Iterable[Mapping[str, Any]], libraries: Iterable[str] = ()) -> dict[str, str]:
    """Versions of Python, of libraries and of the distributions that provide the parts of some worlds."""
    versions = {name: metadata.version(name) for name in (*_LIBRARIES, *libraries)}
    for one in parts:
        versions |= provider_versions(one)
    return dict(sorted(versions.items())) | {"python": platform.python_version()}


def begin_job(
    job: JobDirectory,
    manifest: Mapping[str, Any],
    models: Sequence[type[BaseModel]],
    registry: Registry,
    check: Callable[[Mapping[str, Any]], None],
    read: Callable[[Path], dict[str, Any]] = read_manifest,
    configuration: Callable[[Mapping[str, Any]], Mapping[str, Any]] = itemgetter("config"),
    name: str = MANIFEST,
) -> None:
    """Write the manifest of a job; of one that is resumed, see that it is the same, and write what may change.

    That the job is its user's own, to be continued without a question, is noted before it is written.

    Args:
        check: raises a RunError where the manifest that is there is of something else.
        configuration: the configuration of a manifest, with all fields in one table.
        name: the file of the manifest.

    Raises:
        RunError: the job was made with something else, or the manifest cannot be written.
    """
    stored = read(job.path) if job.resume else None
    if stored is not None:
        check(stored)
    before = None if stored is None else configuration(stored)
    note_made(job.path, configuration(manifest), models, registry, before)
    if stored is None:
        try:
            job.write(name, manifest)
        except RunError:
            job.discard(name)
            raise
    elif stored["config"] != manifest["config"]:
        job.write(name, {**stored, "config": manifest["config"]})


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
    may_differ: Collection[str] = (),
    model: type[BaseModel] | None = None,
) -> None:
    """See that a run that is resumed was made with the same.

    Args:
        manifest: the manifest of now; of both, the tables ``config``, ``parts`` and ``data`` are compared.
        may_differ: fields of the configuration that may have changed.
        model: the configuration, whose fields may be written in several ways; None for any other table.

    Raises:
        RunError: it was made with something else; says what differs.
    """
    differences: list[str] = []
    for section in ("config", "parts", "data"):
        old, new = stored.get(section, {}), json_text.loads(json_text.dumps(manifest.get(section, {})))
        if section == "config" and model is not None:
            old, new = (by_field(model, with_components(model, by_field(model, one))) for one in (old, new))
        for name in {**old, **new}:
            if not (section == "config" and name in may_differ):
                differences += _differences(name, old.get(name), new.get(name))
    if differences:
        raise RunError(
            f"{directory} cannot be resumed, it was made with another configuration:\n  " + "\n  ".join(differences)
        )


def digest(objects: Iterable[BaseModel]) -> str:
    """SHA-256 of items or users in their order, as a manifest holds it."""
    return objects.sha256 if isinstance(objects, PackedItems) else sha256_of(objects)


def _differences(name: str, old: Any, new: Any) -> Iterator[str]:
    """What differs between two values, down to the entries of tables."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            yield from _differences(f"{name}.{key}", old.get(key), new.get(key))
    elif old != new:
        yield f"{name}: {_shown(old)} then, {_shown(new)} now"


def _shown(value: Any) -> str:
    text = json_text.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
