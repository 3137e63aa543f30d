"""Names: what a new plugin may be called, so that it clashes with nothing that is installed."""

from __future__ import annotations

import keyword
import re
import unicodedata

from emosim_core.errors import ConfigurationError, NameConflictError
from emosim_core.hooks import Registry
from emosim_core.hooks.component import KIND_TITLES
from emosim_core.hooks.names import split_number

PROVIDES: dict[str, tuple[str, ...]] = {
    "domain": ("domain",),
    "strategy": ("retrieval", "reward_shaping"),
    "llm_backend": ("llm_backend",),
}
"""By kind of plugin, the kinds of the components that a new one provides under its own name."""

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_PREFIX = re.compile(r"emosim[_-]")
_MOST = 40


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a plugin, its package and its distribution.

    Raises:
        ConfigurationError: says what is wrong, and a name near it that can be used.
    """
    if _PREFIX.match(name):
        reason = "the distribution and the package put 'emosim' before the name; leave it out"
    elif len(name) > _MOST:
        reason = f"a name has {_MOST} characters at most"
    elif not _NAME.fullmatch(name):
        reason = (
            "a name consists of lower-case letters and digits, with single '-' or '_' between, and begins with a letter"
        )
    elif keyword.iskeyword(name):
        reason = "the name is a word of the Python language"
    elif name == "core":
        reason = "the name is that of the built-in components"
    else:
        return
    raise ConfigurationError(f"a plugin cannot be called {name!r}: {reason}. Try {_valid(name)!r}.")


def check_free(kind: str, name: str, registry: Registry) -> None:
    """Refuse a name that an installed plugin has, or under which one provides what a new one of a kind would.

    Raises:
        NameConflictError: names who has it.
    """
    for record in registry.records[1:]:
        if _canonical(name) in (_canonical(record.name), _canonical(record.distribution).removeprefix("emosim-")):
            raise NameConflictError(
                f"{record.label} is installed already; choose another name than {name!r}, or remove that plugin "
                f"with: pip uninstall {record.distribution}"
            )
    registry.load_all(warn=False)
    base = split_number(name)
    for record in registry.records:
        for component in record.components:
            if component.kind not in PROVIDES[kind]:
                continue
            numbered = base is not None and component.number and base[0] in component.names
            begun = any(f"{name}-".startswith(text) or text.startswith(f"{name}-") for text in component.prefixes)
            if name in component.names or numbered or begun:
                raise NameConflictError(
                    f"the {KIND_TITLES[component.kind]} {component.usage()!r} of {record.label} has the name {name!r}; "
                    f"choose another, such as {f'my-{name}'!r}"
                )


def _canonical(name: str) -> str:
    """A name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _valid(name: str) -> str:
    """A name near ``name`` that can be used."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    near = re.sub(r"[^a-z0-9_]+", "-", _PREFIX.sub("", plain))
    near = re.sub(r"[-_]*([-_])[-_]*", r"\1", near.lstrip("-_0123456789"))[:_MOST].strip("-_")
    if not near:
        return "music"
    return f"my-{near}" if keyword.iskeyword(near) or near == "core" else near
