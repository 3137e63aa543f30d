"""The files of a prompt bench: a manifest, and records of the answers to each strategy as lines of JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from typing_extensions import NotRequired, TypedDict

from emosim_core.errors import RunError
from emosim_core.kinds import KINDS, PROMPTS
from emosim_core.runs import reading
from emosim_core.runs.records import FORMAT, MANIFEST
from emosim_core.runs.schemas import Usage
from emosim_core.studies.jobs import JobRecords, folder_name

RESULTS = KINDS[PROMPTS].results

KIND = "prompts"
"""What the manifest calls a prompt bench."""

_Share = Annotated[float, Field(ge=0, le=1)]


class _Head(TypedDict):
    format: int
    strategy: str
    seconds: float
    usage: Usage


class Line(TypedDict):
    """One answer; see :func:`~emosim_core.studies.prompts.questions.answers`. ``real`` and ``baseline`` are ratings."""

    user: str
    kind: Literal["chosen", "other", "swapped", "reversed", "blank"]
    item: str
    distribution: list[_Share] | None
    copied: _Share | None
    prompt: int | None
    completion: int | None
    real: NotRequired[float]
    baseline: NotRequired[float]


class _Data(TypedDict):
    measured: list[str]


class _Manifest(TypedDict):
    config: dict[str, Any]
    created: str
    data: _Data
    levels: list[float]
    shares: list[_Share]
    language_model: str


_MANIFEST = TypeAdapter(_Manifest)


@dataclass(frozen=True)
class BenchJob(JobRecords):
    """The answers to one strategy."""

    strategy: str

    head = TypeAdapter(_Head)
    line = TypeAdapter(Line)

    @classmethod
    def of(cls, directory: Path, strategy: str) -> BenchJob:
        """The job of a strategy of the bench in a directory."""
        return cls(folder_name([strategy]), directory, strategy)

    def write(self, lines: Sequence[Mapping[str, Any]], usage: Mapping[str, Any], seconds: float) -> None:
        """Write its records, what its model calls took, and how long it took."""
        self.write_lines({"strategy": self.strategy, "seconds": round(seconds, 3), "usage": usage}, lines)

    def read(self) -> tuple[dict[str, Any], list[Line]]:
        """The first line and the records; a RunError names the line that is wrong."""
        return self.read_lines()  # type: ignore[return-value]


def bench_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a prompt bench; a RunError where there is none, it is of another kind, or it is damaged."""
    path = directory / MANIFEST
    manifest = reading.read_object(path)
    if manifest.get("kind") != KIND:
        raise RunError(f"{directory} holds no prompt bench")
    reading.check_format(path, manifest, FORMAT)
    reading.check(str(path), manifest, _MANIFEST)
    return manifest
