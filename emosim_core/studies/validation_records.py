"""The files of a validation: records as lines of JSON, a manifest, and what the records come to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosim_core.data.files import write_whole
from emosim_core.errors import RunError
from emosim_core.runs.records import encode

MANIFEST, RESULTS = "manifest.json", "validation.json"


def write_lines(directory: Path, name: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records as the file ``NAME.jsonl``."""
    write_whole(directory / f"{name}.jsonl", b"".join(encode(record) for record in records))


def write_json(path: Path, told: Mapping[str, Any]) -> None:
    """Write a file of JSON."""
    write_whole(path, (json.dumps(told, ensure_ascii=False, indent=2) + "\n").encode())


def read_lines(directory: Path, name: str) -> list[dict[str, Any]]:
    """The records of ``NAME.jsonl``.

    Raises:
        RunError: there is no such file, or a line is not a record.
    """
    path = directory / f"{name}.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise RunError(f"{path}, line {number}: is not JSON ({error})") from error
        if not isinstance(record, dict):
            raise RunError(f"{path}, line {number}: is not a record")
        records.append(record)
    return records


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a validation.

    Raises:
        RunError: there is none, or it is another kind of directory.
    """
    path = directory / MANIFEST
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path} is not JSON ({error})") from error
    if not isinstance(told, dict) or told.get("kind") != "validation":
        raise RunError(f"{directory} holds no validation")
    return told
