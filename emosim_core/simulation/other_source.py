"""The error about a file that was given to the wrong item loader: it names the one that reads it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emosim_core.data.formats import Format, recognized
from emosim_core.errors import BrokenPluginError, DataError
from emosim_core.hooks import Registry, Resolved
from emosim_core.hooks.component import Component, load_object
from emosim_core.model import Domain


@contextmanager
def other_source_named(registry: Registry, resolved: Resolved, domain: Domain) -> Iterator[None]:
    """Load items in the body; a file that it refuses and another source reads is an error that names that source.

    Args:
        registry: the plugins whose sources are considered, those of other domains included.
        resolved: the source that loads in the body.

    Raises:
        DataError: the body raised one; says what to type where the file is of a format of another source.
    """
    try:
        yield
    except DataError as error:
        path = getattr(resolved.options, resolved.component.value or "", None)
        better = _suggestion(registry, resolved.component, path, domain) if isinstance(path, Path) else None
        if better is None:
            raise
        raise DataError(str(path), better) from error


def _suggestion(registry: Registry, component: Component, path: Path, domain: Domain) -> str | None:
    """What to say of a file that another source reads; None where it is of this source, or of none."""
    if recognized(path, _formats(registry, component, domain)):
        return None
    registry.load_all()
    own = component.domain
    sources = [
        one for record in registry.records for one in record.components if one.kind == "item_loader" and one.formats
    ]
    for other in sorted(sources, key=lambda one: one.domain != own):
        form = None if other == component else recognized(path, _formats(registry, other, domain))
        if form is not None:
            plugin = "" if other.domain in (None, own) else f"--plugin {other.domain} "
            source = shlex.quote(f"{other.name}:{path}")
            return f"is {form.name}, which {component.name!r} does not read. Use: {plugin}--items {source}"
    return None


def _formats(registry: Registry, component: Component, domain: Domain) -> tuple[Format, ...]:
    """The formats that an item loader reads, in ``domain`` where it is of no other."""
    if component.formats is None:
        return ()
    try:
        described = load_object(component.formats)
        if callable(described):
            other = component.domain not in (None, domain.name)
            described = described(registry.resolve("domain", str(component.domain)).build() if other else domain)
        formats = tuple(described)
    except Exception as error:
        raise BrokenPluginError(
            f"the formats of the item loader {component.name!r} cannot be imported from {component.formats}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not all(isinstance(one, Format) for one in formats):
        raise BrokenPluginError(f"{component.formats} of the item loader {component.name!r} must hold Formats")
    return formats
