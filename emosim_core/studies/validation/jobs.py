"""Jobs of a validation: the answers of one user split in one task, stored until all jobs are done."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from emosim_core.data.files import write_whole
from emosim_core.errors import RunError
from emosim_core.runs.reading import check, check_format, read_lines
from emosim_core.runs.records import FORMAT, encode
from emosim_core.runs.schemas import Usage

JOBS = "jobs"
"""Folder with the records of the jobs; removed when the results are written."""

RECORDS = ("users", "ratings", "choices", "activity", "recommended")
"""The files of records."""

Records = Mapping[str, Sequence[Mapping[str, Any]]]
"""Lines by the file of records that they go to."""


class _Head(TypedDict):
    format: int
    usage: Usage


class _Line(TypedDict):
    file: Literal["users", "ratings", "choices", "activity", "recommended"]
    record: dict[str, Any]


_HEAD, _LINE = TypeAdapter(_Head), TypeAdapter(_Line)


@dataclass(frozen=True)
class ValidationJob:
    """One job; its file is there when it is done.

    Attributes:
        user_split: the users who answer.
        what: ``"answers"``, ``"recommended"`` or ``"activity"``.
        directory: directory of the validation.
    """

    user_split: str
    what: str
    directory: Path

    @property
    def path(self) -> Path:
        """The file of its records."""
        return self.directory / JOBS / f"{self.user_split}-{self.what}.jsonl"

    @property
    def complete(self) -> bool:
        """Whether it is done."""
        return self.path.is_file()

    def write(self, records: Records, usage: Mapping[str, Any]) -> None:
        """Write its records, and what its model calls took."""
        lines: list[Mapping[str, Any]] = [{"format": FORMAT, "usage": usage}]
        lines += [{"file": name, "record": record} for name, of_file in records.items() for record in of_file]
        self.path.parent.mkdir(exist_ok=True)
        write_whole(self.path, b"".join(map(encode, lines)))

    def read(self) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
        """Its records by file, and what its model calls took.

        Raises:
            RunError: the file is missing or damaged; names the line.
        """
        lines = read_lines(self.path)
        number, head = next(lines, (0, {}))
        if not number:
            raise RunError(f"{self.path} is empty")
        check_format(self.path, head, FORMAT)
        check(f"{self.path}, line 1:", head, _HEAD)
        records: dict[str, list[dict[str, Any]]] = {}
        for number, line in lines:
            check(f"{self.path}, line {number}:", line, _LINE)
            records.setdefault(line["file"], []).append(line["record"])
        return records, head["usage"]


def remove_jobs(directory: Path) -> None:
    """Remove the records of the jobs, which stand in the files of the validation now."""
    shutil.rmtree(directory / JOBS, ignore_errors=True)
