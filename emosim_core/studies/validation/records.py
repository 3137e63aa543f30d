"""The files of a validation: a manifest, records as lines of JSON, and those of its jobs until all are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from emosim_core.data import json_text
from emosim_core.errors import RunError
from emosim_core.kinds import AUDIT, KINDS, VALIDATION
from emosim_core.runs import reading
from emosim_core.runs.job import write_file
from emosim_core.runs.records import FORMAT, MANIFEST
from emosim_core.runs.schemas import Usage
from emosim_core.studies.jobs import JobRecords

RESULTS = KINDS[VALIDATION].results

RECORDS = ("users", "ratings", "choices")
"""The files of records."""


class _Head(TypedDict):
    format: int
    usage: Usage


class _Line(TypedDict):
    file: Literal["users", "ratings", "choices"]
    record: dict[str, Any]


class _Manifest(TypedDict):
    config: dict[str, Any]
    created: str
    data: dict[str, Any]
    parts: dict[str, Any]
    usage: Usage


_MANIFEST = TypeAdapter(_Manifest)


class ValidationJob(JobRecords):
    """The answers of the users of one part. Its file is there from when it is done until all are."""

    head = TypeAdapter(_Head)
    line = TypeAdapter(_Line)

    @classmethod
    def of(cls, directory: Path, part: str) -> ValidationJob:
        """The job of a part of the validation in a directory."""
        return cls(part.replace(" ", "-"), directory)

    def write(self, records: Mapping[str, Sequence[Mapping[str, Any]]], usage: Mapping[str, Any]) -> None:
        """Write its records, by the file that they go to, and what its model calls took."""
        lines = [{"file": name, "record": record} for name, of_file in records.items() for record in of_file]
        self.write_lines({"usage": usage}, lines)

    def read(self) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
        """Its records by file, and what its model calls took."""
        head, lines = self.read_lines()
        records: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            records.setdefault(line["file"], []).append(line["record"])
        return records, head["usage"]


def write_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records as a file."""
    write_file(path, b"".join(map(json_text.line, records)))


def read_lines(directory: Path, name: str) -> list[dict[str, Any]]:
    """The records of ``NAME.jsonl``. Raises RunError: there is no such file, or a line is not a record."""
    return [record for _, record in reading.read_lines(directory / f"{name}.jsonl")]


def resumed_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a validation that is to be resumed; a RunError where there is none, or it is damaged."""
    manifest = read_manifest(directory)
    reading.check(str(directory / MANIFEST), manifest, _MANIFEST)
    return manifest


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a validation or an audit. Raises RunError: there is none, or it is another kind of directory."""
    path = directory / MANIFEST
    manifest = reading.read_object(path)
    if manifest.get("kind") not in (VALIDATION, AUDIT):
        raise RunError(f"{directory} holds no validation")
    reading.check_format(path, {"format": 1, **manifest}, FORMAT)
    return manifest
