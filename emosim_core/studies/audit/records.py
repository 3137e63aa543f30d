"""The files of an audit: a manifest, records as lines of JSON, and those of each user until all are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from emosim_core.kinds import AUDIT, KINDS
from emosim_core.runs.records import FORMAT
from emosim_core.runs.schemas import Usage
from emosim_core.studies.jobs import JOBS, read_job_file
from emosim_core.studies.validation.records import write_lines

RESULTS = KINDS[AUDIT].results

ANSWERS, TITLES = "answers", "titles"
"""The files of records."""


class _Head(TypedDict):
    format: int
    usage: Usage


_HEAD: TypeAdapter[Any] = TypeAdapter(_Head)
_LINE: TypeAdapter[Any] = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class AuditJob:
    """The records about one user, or about items. Its file is there from when it is done until all are.

    Attributes:
        name: ``"user-0"``, by the number of the user in the audit, or ``"titles"``.
    """

    name: str
    directory: Path

    @property
    def path(self) -> Path:
        """The file of its records."""
        return self.directory / JOBS / f"{self.name}.jsonl"

    @property
    def complete(self) -> bool:
        """Whether it is done."""
        return self.path.is_file()

    def write(self, records: Sequence[Mapping[str, Any]], usage: Mapping[str, Any]) -> None:
        """Write its records, and what its model calls took."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_lines(self.path, [{"format": FORMAT, "usage": usage}, *records])

    def read(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Its records, and what its model calls took."""
        head, lines = read_job_file(self.path, _HEAD, _LINE)
        return lines, head["usage"]
