"""The files of an audit: a manifest, records as lines of JSON, and those of each user until all are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from emosim_core.kinds import AUDIT, KINDS
from emosim_core.runs.schemas import Usage
from emosim_core.studies.jobs import JobRecords

RESULTS = KINDS[AUDIT].results

ANSWERS, TITLES = "answers", "titles"
"""The files of records."""


class _Head(TypedDict):
    format: int
    usage: Usage


class AuditJob(JobRecords):
    """The records about one user, or about items. Its file is there from when it is done until all are.

    Its name is ``"user-0"``, by the number of the user in the audit, or ``"titles"``.
    """

    head = TypeAdapter(_Head)
    line = TypeAdapter(dict[str, Any])

    def write(self, records: Sequence[Mapping[str, Any]], usage: Mapping[str, Any]) -> None:
        """Write its records, and what its model calls took."""
        self.write_lines({"usage": usage}, records)

    def read(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Its records, and what its model calls took."""
        head, lines = self.read_lines()
        return lines, head["usage"]
