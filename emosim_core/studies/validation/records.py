"""The files of a validation: records as lines of JSON, a manifest, and what the records come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from emosim_core.data.files import write_whole
from emosim_core.errors import RunError
from emosim_core.runs.reading import check, check_format, read_object
from emosim_core.runs.reading import read_lines as read_lines_of
from emosim_core.runs.records import FORMAT, encode
from emosim_core.runs.schemas import Usage

MANIFEST, RESULTS = "manifest.json", "validation.json"


def write_lines(directory: Path, name: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records as the file ``NAME.jsonl``."""
    write_whole(directory / f"{name}.jsonl", b"".join(encode(record) for record in records))


def read_lines(directory: Path, name: str) -> list[dict[str, Any]]:
    """The records of ``NAME.jsonl``.

    Raises:
        RunError: there is no such file, or a line is not a record.
    """
    return [record for _, record in read_lines_of(directory / f"{name}.jsonl")]


class _Manifest(TypedDict):
    config: dict[str, Any]
    created: str
    data: dict[str, Any]
    parts: dict[str, Any]
    usage: Usage


_MANIFEST = TypeAdapter(_Manifest)


def resumed_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a validation that is to be resumed.

    Raises:
        RunError: there is none, or it is another kind of directory or damaged.
    """
    manifest = read_manifest(directory)
    check(str(directory / MANIFEST), manifest, _MANIFEST)
    return manifest


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a validation.

    Raises:
        RunError: there is none, or it is another kind of directory.
    """
    path = directory / MANIFEST
    manifest = read_object(path)
    if manifest.get("kind") != "validation":
        raise RunError(f"{directory} holds no validation")
    check_format(path, {"format": 1, **manifest}, FORMAT)
    return manifest
