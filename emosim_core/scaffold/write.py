"""Write: checks what a new plugin is called, fills its templates, and leaves all of its files or none."""

from __future__ import annotations

import csv
import errno
import keyword
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from emosim_core.data.files import partial_path, remove_partial, remove_partials
from emosim_core.errors import ConfigurationError, DataError, NameConflictError
from emosim_core.hooks import Registry
from emosim_core.hooks.component import KIND_TITLES
from emosim_core.hooks.names import split_number
from emosim_core.hooks.spec import HOOK_VERSION
from emosim_core.model import Words
from emosim_core.scaffold.words import GENERIC

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

PROVIDES: dict[str, tuple[str, ...]] = {
    "domain": ("domain",),
    "strategy": ("retrieval", "reward_shaping"),
    "llm_backend": ("llm_backend",),
}
"""By kind of plugin, the kinds of the components that a new one provides under its own name."""

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_PREFIX = re.compile(r"emosim[_-]")
_MOST = 40

KINDS: tuple[str, ...] = tuple(PROVIDES)
"""Kinds of plugins that can be written: each is a folder of templates."""

_SUFFIX = ".tmpl"
WORD = re.compile(r"[^\W\d_][\w' -]{0,29}")
"""What a word of a domain is: templates write it into sentences."""

_DOMAIN = {
    "scale": "{ low = 1, high = 5, step = 1 }",
    "rated": "1 to 5",
    "scale_name": "1-5",
    "real_ratings": "",
    "columns": "",
    "creators": "makers",
    "about": "a few made-up ${items}, users, and loaders for CSV files",
}
"""Fields of the templates of a domain that is made up; its categories are a template of their own."""


def write_plugin(kind: str, name: str, target: Path, words: Words = GENERIC) -> Path:
    """Write a distribution with a plugin of one of :data:`KINDS` that works as it is, and return its folder.

    The parent of ``target``, the folder to make, must be there. Of the words of a domain, traits and creators are not
    used.

    Raises:
        ConfigurationError: an unknown kind, a name or a word that cannot be used, or a target that exists.
        DataError: it cannot be written; nothing is left behind.
    """
    if kind not in KINDS:
        raise ConfigurationError(f"unknown kind of plugin {kind!r}; known: {', '.join(KINDS)}")
    return write_files([kind], name, target, words)


def write_files(
    templates: Sequence[str],
    name: str,
    target: Path,
    words: Words,
    more: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
    tables: Mapping[str, Iterable[Sequence[str]]] | None = None,
    finish: Callable[[Path], None] = lambda folder: None,
) -> Path:
    """Write a distribution, all of its files or none, and return its folder ``target``.

    Args:
        templates: folders of templates; a file of a later one takes the place of one of an earlier.
        more: fields of the templates beside those of every plugin.
        texts: by path, files that are written as they are; ``__package__`` in a path is the package.
        tables: by path, rows of CSV files, the header first.
        finish: puts more into the folder, which is not in its place yet.

    Raises:
        ConfigurationError: a name or a word that cannot be used, or a target that exists.
        DataError: it cannot be written; nothing is left behind.
    """
    check_name(name)
    fields = _fields(name, words)
    fields |= {field: Template(text).safe_substitute(fields) for field, text in (more or {}).items()}
    sources: dict[str, Traversable | str] = {}
    for folder in templates:
        for template, path in _templates(files("emosim_core.scaffold") / "templates" / folder):
            sources[path.removesuffix(_SUFFIX)] = template
    sources |= texts or {}
    check_absent(target)
    partial = partial_path(target)

    def place_of(path: str) -> Path:
        place = partial / path.replace("__package__", fields["package"]).replace("__name__", fields["module"])
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    try:
        remove_partials(target.parent, target.name)
        partial.mkdir()
        for path, source in sources.items():
            text = source if isinstance(source, str) else _filled(source, fields)
            place_of(path).write_text(text, encoding="utf-8")
        for path, rows in (tables or {}).items():
            with place_of(path).open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream).writerows(rows)
        finish(partial)
        if target.exists():  # an empty folder would be replaced
            raise _exists(target)
        partial.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another process was faster
            raise _exists(target) from error
        raise DataError(target, f"cannot be written: {error.strerror or error}") from error
    finally:
        remove_partial(partial)
    return target


def _filled(template: Traversable, fields: Mapping[str, str]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(fields)


def check_absent(target: Path) -> None:
    """Refuse a folder that is there already, with a ConfigurationError."""
    if os.path.lexists(target):
        raise _exists(target)


def _exists(target: Path) -> ConfigurationError:
    return ConfigurationError(f"{target} exists already; choose another folder with --out, or remove it first")


def _templates(folder: Traversable, within: str = "") -> Iterator[tuple[Traversable, str]]:
    """Every template of a folder, with its path there."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{within}/{entry.name}".lstrip("/")
        if entry.is_dir():
            yield from _templates(entry, path)
        elif path.endswith(_SUFFIX):
            yield entry, path


def _fields(name: str, words: Words) -> dict[str, str]:
    """The text that replaces each ``${field}`` of a template."""
    module = name.replace("-", "_")
    chosen = {field: getattr(words, field) for field in ("item", "items", "consume", "consumed", "consumption", "user")}
    for field, word in chosen.items():
        if not WORD.fullmatch(word):
            raise ConfigurationError(
                f"{word!r} cannot be the word for {field!r}: expected at most 30 letters, digits, blanks, hyphens and "
                "apostrophes, a letter first"
            )
    made_up = files("emosim_core.scaffold") / "templates" / "made_up_categories.toml.tmpl"
    return {
        **{field: Template(text).safe_substitute(chosen) for field, text in _DOMAIN.items()},
        **chosen,
        "categories": _filled(made_up, chosen),
        "name": name,
        "module": module,
        "package": f"emosim_{module}",
        "distribution": f"emosim-{name.replace('_', '-')}",
        "title": re.sub("[-_]", " ", name).capitalize(),
        "class": class_name(name),
        "environment": f"EmoSim/{name.title().replace('_', '')}-v0",
        "core": _compatible(metadata.version("emosim-core")),
        "hook_version": str(HOOK_VERSION),
    }


def class_name(name: str) -> str:
    """What the classes of a plugin begin with."""
    return "".join(part.capitalize() for part in re.split("[-_]", name))


def _compatible(version: str) -> str:
    """The range of releases that are compatible with one: ``>=0.1,<0.2`` for 0.1.3, ``>=2.1,<3`` for 2.1.0."""
    parts = re.match(r"(\d+)(?:\.(\d+))?", version)
    if parts is None:
        return f"=={version}"
    major, minor = int(parts[1]), int(parts[2] or 0)
    released = re.fullmatch(r"\d+(\.\d+)*", version)
    lowest = f"{major}.{minor}" if released else version.partition("+")[0]
    return f">={lowest},<{major + 1 if major else f'0.{minor + 1}'}"


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
