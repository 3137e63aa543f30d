"""What studies share: their configuration, records of jobs, and a beginning that leaves nothing when it fails."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, field_validator
from typing_extensions import Self

from emosim_core.data import json_text
from emosim_core.errors import RunError
from emosim_core.hooks.fields import by_field
from emosim_core.hooks.names import checked_options
from emosim_core.model.frozen import Frozen, option
from emosim_core.runs.job import MANIFEST, JobDirectory
from emosim_core.runs.reading import check, check_format, read_lines
from emosim_core.runs.records import FORMAT
from emosim_core.simulation.config import EnvironmentConfig

JOBS = "jobs"
"""Folder of a study with the records of its jobs."""


def folder_name(parts: Sequence[str]) -> str:
    """A name for the folder of a job: readable, and different for every job."""
    digest = blake2b(json_text.line({"parts": list(parts)}), digest_size=4).hexdigest()
    words = "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", part)[:24].strip("._") for part in parts)
    return f"{words[:200]}-{digest}"


class StudyConfig(Frozen):
    """Configuration of a study: fields of its own, and the environment that its users live in."""

    environment: dict[str, Any] = option(..., "Values of an environment: the rater and its components.", option=False)

    @field_validator("environment")
    @classmethod
    def _under_their_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        return by_field(EnvironmentConfig, value)

    @classmethod
    def of(cls, directory: Path, manifest: Mapping[str, Any]) -> Self:
        """The configuration that the manifest of a directory holds; a ConfigurationError says what is wrong with it."""
        return checked_options(cls, manifest["config"], str(directory / MANIFEST))

    @classmethod
    def flat_of(cls, directory: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """As :meth:`of`, but all fields in one table."""
        return cls.of(directory, manifest).flat()

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str) -> Self:
        """The configuration of values among which are those of the environment: the reverse of :meth:`flat`."""
        own = {name: value for name, value in values.items() if name in cls.model_fields}
        environment = {name: value for name, value in values.items() if name not in own}
        return checked_options(cls, {**own, "environment": environment}, where)

    def flat(self) -> dict[str, Any]:
        """All fields, with those of the environment beside the others, as JSON."""
        values = self.model_dump(mode="json")
        return {**values.pop("environment"), **values}


@contextmanager
def claimed(directory: JobDirectory, done: Callable[[], bool]) -> Iterator[None]:
    """Claim a directory; a study that fails before a job is ``done`` leaves nothing behind, unless it was resumed."""
    with directory:
        directory.claim()
        try:
            yield
        except BaseException:
            if not directory.resume and not done():
                shutil.rmtree(directory.path / JOBS, ignore_errors=True)
                directory.discard(MANIFEST)
            raise


def read_job_file(
    path: Path, head: TypeAdapter[Any], line: TypeAdapter[Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first line of a file of records, and the others; a RunError names the line that is wrong."""
    lines = read_lines(path)
    first = next(lines, (0, None))[1]
    if first is None:
        raise RunError(f"{path} is empty")
    check_format(path, first, FORMAT)
    check(f"{path}, line 1:", first, head)
    records = []
    for number, record in lines:
        check(f"{path}, line {number}:", record, line)
        records.append(record)
    return first, records
