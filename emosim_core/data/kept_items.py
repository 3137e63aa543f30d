"""Items of a large table, kept in the cache folder in columns, so that they are parsed once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

import pydantic

from emosim_core.data.bounds import max_records
from emosim_core.data.kept import keep, read_kept
from emosim_core.model.domain import Domain
from emosim_core.model.item import Item
from emosim_core.model.packed import LARGE, PackedItems
from emosim_core.paths import cache_directory
from emosim_core.terminal import counted

_SMALLEST = 4 * LARGE
"""Bytes of a table below which it cannot hold so many items: each has an id, a title and what parts them."""


def kept_items(path: str | os.PathLike[str], domain: Domain, read: Callable[[], Sequence[Item]]) -> Sequence[Item]:
    """The items of a file, from the cache where they were read before.

    Items are kept of a file of its own (not of a member of a zip file) with 10,000 items or more whose fields hold
    numbers, texts and names. They belong to the content of the file, to the type of the items and its source, and to
    what reads them; whatever of this changes, they are read anew.

    Args:
        read: reads the items; raises what is wrong with the file.
    """
    place = Path(path).expanduser()
    stamp = _stamp(place)
    key = _key(place, domain) if stamp and stamp[0] >= _SMALLEST else ""
    if not key:
        return read()
    folder = cache_directory() / "items" / key
    kept = read_kept(folder)
    if kept is not None:
        return PackedItems(domain.item_type, *kept[:1], sha256=kept[1]["sha256"])
    items = read()
    if len(items) < LARGE or _stamp(place) != stamp:
        return items
    packed = PackedItems.of(items)
    if packed is None:
        return items
    source = f"{domain.name}: {place.resolve()}"
    keep(folder, packed.arrays(), {"sha256": packed.sha256, "source": source}, counted(len(items), "item"))
    _forget_others(folder, source)
    return packed


def _stamp(place: Path) -> tuple[int, int, int] | None:
    """What changes where a file is written; None where there is none."""
    with suppress(OSError):
        about = place.stat()
        return (about.st_size, about.st_mtime_ns, about.st_ino) if place.is_file() else None
    return None


def _key(place: Path, domain: Domain) -> str:
    """What the items of a file depend on, as a name; empty where that cannot be known."""
    sources = hashlib.sha256()
    try:
        for file in _sources(domain.item_type):
            sources.update(file.read_bytes())
        with place.open("rb") as stream:
            content = file_sha256(stream)
    except (OSError, AttributeError, TypeError):  # a type that was typed in has no file
        return ""
    state = [
        f"{domain.item_type.__module__}.{domain.item_type.__qualname__}",
        dict(domain.columns),
        sorted(domain.left_out_columns),
        max_records(),
        sys.version_info[:2],
        pydantic.VERSION,
        sources.hexdigest(),
        content,
    ]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _sources(item_type: type[Item]) -> Iterator[Path]:
    """The source files of an item and of those beside it, and of what reads items here."""
    folders = {Path(__file__).parent}
    for one in item_type.__mro__:
        if issubclass(one, Item):
            folders.add(Path(str(sys.modules[one.__module__].__file__)).parent)
    for folder in sorted(folders):
        yield from sorted(folder.glob("*.py"))


def file_sha256(stream: BufferedReader) -> str:
    """SHA-256 of what remains of an open file."""
    made, buffer = hashlib.sha256(), memoryview(bytearray(1 << 20))
    while count := stream.readinto(buffer):
        made.update(buffer[:count])
    return made.hexdigest()


def _forget_others(folder: Path, source: str) -> None:
    """Remove what was kept of an earlier content of the same file."""
    for other in folder.parent.glob("*/about.json"):
        if other.parent != folder:
            with suppress(OSError, ValueError, KeyError, TypeError):
                if json.loads(other.read_text(encoding="utf-8"))["about"]["source"] == source:
                    shutil.rmtree(other.parent, ignore_errors=True)
