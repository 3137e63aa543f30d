"""Sources: files and folders that the configuration of a run names, described, packed, and put in place again."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks import Component, Registry
from emosim_core.hooks.fields import extra
from emosim_core.hooks.mixtures import WEIGHT, choice_of, read_mixture
from emosim_core.packs.archive import DATA, DataSource, Digest, digest_of
from emosim_core.runs.reach import field_reaches, is_harmless, names_path

PACKABLE = {"items": "item_loader", "user_dataset": "user_loader", "rater": "rater"}
"""Fields whose files a pack may hold, and the kind of each: what they name is read as data."""

NAMED = {**PACKABLE, "policy": "policy"}
"""Fields that may name files, and the kind of each."""

_MOST_FILES = 1000
_MOST_BYTES = 8 * 2**30


@dataclass(frozen=True)
class Source:
    """A path in a configuration: the field, the component and the option that hold it."""

    field: str
    component: str
    option: str
    path: str

    def described(self, number: int | None, known: dict[str, dict[str, Digest] | None]) -> DataSource:
        """What a pack says of it; ``known`` are files by path, as :func:`files_of` found them before."""
        if self.path not in known:
            members = files_of(Path(self.path).expanduser())
            known[self.path] = None if members is None else {name: digest_of(path) for name, path in members.items()}
        name = os.path.basename(os.path.normpath(self.path)) or DATA
        return DataSource(
            field=self.field, component=self.component, option=self.option, name=name, number=number,
            files=known[self.path],
        )  # fmt: skip


def sources_of(config: Mapping[str, Any], registry: Registry, domain: str) -> Iterator[Source]:
    """The paths that a configuration names by options of its components, and of those in a mixture."""
    for field, kind in NAMED.items():
        if config.get(field) is None:
            continue
        parts = parts_of(kind, config[field], registry, domain).values()
        for choice in (config[field], *parts):
            component, _, written = registry.written(kind, choice, domain)
            model = component.options_model()
            fields = {} if model is None else model.model_fields
            for option, value in written.items():
                if isinstance(value, str) and value and option in fields and names_path(fields[option].annotation):
                    yield Source(field, component.name, option, value)


def parts_of(kind: str, value: Any, registry: Registry, domain: str) -> dict[str, dict[str, Any]]:
    """The components in a mixture by the names that it gives them, each as a configuration names one; else none."""
    component, _, written = registry.written(kind, value, domain)
    option = _mixing(component)
    if option is None or option not in written:
        return {}
    return {name: choice_of(name, entry) for name, entry in read_mixture(written[option], component.title).items()}


def _mixing(component: Component) -> str | None:
    """The option of a component that holds a mixture; None where none does."""
    model = component.options_model()
    fields = {} if model is None else model.model_fields
    return next((name for name, one in fields.items() if "mixture" in extra(one)), None)


def with_path(config: Mapping[str, Any], source: Source, path: str, registry: Registry, domain: str) -> dict[str, Any]:
    """A configuration with another path in the place of a source."""
    options = {source.option: path}
    return {**config, source.field: with_options(config[source.field], source, options, registry, domain)}


def with_options(
    value: Any, source: Source | DataSource, options: Mapping[str, Any], registry: Registry, domain: str
) -> dict[str, Any]:
    """A component with other options in the place of a source's; that of the source may be one in a mixture.

    Raises:
        ConfigurationError: it is neither the source's component nor a mixture with it.
    """
    kind = NAMED[source.field]
    component, _, written = registry.written(kind, value, domain)
    if component.name == source.component:
        return {"name": component.name, **written, **options}
    for name, part in parts_of(kind, value, registry, domain).items():
        inner, _, own = registry.written(kind, part, domain)
        if inner.name == source.component:
            mixing = _mixing(component)
            assert mixing is not None  # it has parts
            entries = read_mixture(written[mixing], component.title)
            entries[name] = {WEIGHT: entries[name][WEIGHT], "name": inner.name, **own, **options}
            return {"name": component.name, **written, mixing: entries}
    raise ConfigurationError(f"{source.field} names no {source.component!r}")


def reaches_alone(kind: str, value: Any, paths: Collection[str], registry: Registry, domain: str) -> bool:
    """Whether a component reaches nothing but these paths, whatever its plugin makes of them.

    What an option of a plugin's component reaches by its default, nobody but its author knows; an empty default
    reaches nothing.
    """
    component, record, written = registry.written(kind, value, domain)
    model = component.options_model()
    if model is None or not written.keys() <= model.model_fields.keys():
        return False
    own = record is registry.records[0]
    parts = parts_of(kind, value, registry, domain)
    for name, field in model.model_fields.items():
        if parts and name == _mixing(component):
            right = all(reaches_alone(kind, one, paths, registry, domain) for one in parts.values())
        elif name in written:
            path = names_path(field.annotation) and isinstance(written[name], str) and written[name] in paths
            right = path or not field_reaches(field, written[name])
        else:
            right = own or is_harmless(field) or (not field.is_required() and field.default in (None, ""))
        if not right:
            return False
    return True


def files_of(path: Path) -> dict[str, Path] | None:
    """The files of a folder by their names in it, or a file itself as ``"."``; None where there are too many.

    Raises:
        RunError: the path leads nowhere, or cannot be read.
    """
    try:
        if path.is_file():
            return {".": path}
        if not path.is_dir():
            raise RunError(f"{path} is gone: the run read it; put it back, or give where it is now")
        members: dict[str, Path] = {}
        size = 0
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                one = Path(folder, name)
                if one.is_symlink() or not one.is_file():
                    continue
                members[one.relative_to(path).as_posix()] = one
                size += one.stat().st_size
                if len(members) > _MOST_FILES or size > _MOST_BYTES:
                    return None
        return members
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error


def members_of(source: DataSource, path: str) -> dict[str, Path]:
    """The members of a pack that hold a source."""
    members = files_of(Path(path).expanduser())
    assert members is not None
    top = f"{DATA}/{source.number}/{source.name}"
    return {top if name == "." else f"{top}/{name}": one for name, one in members.items()}
