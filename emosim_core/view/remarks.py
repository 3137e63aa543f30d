"""Remarks: tags and notes that the user writes about directories, in the state folder and not in them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emosim_core.data.files import write_whole
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.runs.reading import read_object
from emosim_core.terminal import one_line

_MOST_TAGS, _LONGEST_TAG, _LONGEST_NOTE = 20, 40, 10_000


@dataclass(frozen=True)
class Remark:
    """What the user wrote about a directory."""

    tags: tuple[str, ...] = ()
    note: str = ""


class Remarks:
    """The remarks in a folder, one file for each directory that has any, found by the directory's real path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self, places: list[Path]) -> dict[Path, Remark]:
        """The remarks about some directories; those without any are not among them."""
        try:
            names = set(os.listdir(self._folder))
        except OSError:
            return {}
        return {place: self.of(place) for place in places if _name(place) in names} if names else {}

    def of(self, place: Path) -> Remark:
        """What is remarked about a directory; what cannot be read counts as nothing."""
        try:
            stored = read_object(self._folder / _name(place))
            return _remark(stored.get("tags", []), stored.get("note", ""))
        except (RunError, ConfigurationError):
            return Remark()

    def write(self, place: Path, tags: Any, note: Any) -> Remark:
        """Remark something about a directory, in place of what was remarked before.

        Raises:
            ConfigurationError: there are too many tags, or a text is too long or none.
            RunError: the state folder cannot be written.
        """
        remark = _remark(tags, note)
        path = self._folder / _name(place)
        try:
            if remark == Remark():
                path.unlink(missing_ok=True)
                return remark
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = json.dumps({"directory": str(place), **asdict(remark)}, ensure_ascii=False, indent=1)
            write_whole(path, content.encode("utf-8", "backslashreplace") + b"\n")
        except OSError as error:
            raise RunError(f"{self._folder} cannot be written: {error.strerror or error}") from error
        return remark


def _remark(tags: Any, note: Any) -> Remark:
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags) or not isinstance(note, str):
        raise ConfigurationError("tags must be a list of texts, and the note a text")
    chosen = tuple(dict.fromkeys(one_line(tag.strip()) for tag in tags if tag.strip()))
    if len(chosen) > _MOST_TAGS or any(len(tag) > _LONGEST_TAG for tag in chosen) or len(note) > _LONGEST_NOTE:
        raise ConfigurationError(
            f"at most {_MOST_TAGS} tags of {_LONGEST_TAG} characters and a note of {_LONGEST_NOTE:,} are stored"
        )
    return Remark(chosen, note.strip())


def _name(place: Path) -> str:
    return f"{hashlib.sha256(os.fsencode(os.path.realpath(place))).hexdigest()[:40]}.json"
