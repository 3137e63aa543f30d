"""Jobs of a study: the records of each, read back line by line, and a beginning that leaves nothing when it fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from emosim_core.errors import RunError
from emosim_core.runs.job import MANIFEST, JobDirectory
from emosim_core.runs.reading import check, check_format, read_lines
from emosim_core.runs.records import FORMAT

JOBS = "jobs"
"""Folder of a study with the records of its jobs."""


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
    """The first line of a file of records, and the others.

    Raises:
        RunError: the file is missing or empty, or a line is not what its schema says; names the line.
    """
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
