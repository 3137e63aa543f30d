"""A report that was written by whoever made the directory: a study, an ablation, a validation, a plugin."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from emosim_core.errors import RunError
from emosim_core.reports.report import Report
from emosim_core.runs.reading import read_object

PAGE = "page.json"
"""File of a directory that says what its report says; its fields are those of :class:`Report`."""


def written_report(directory: Path) -> Report:
    """The report that the directory's ``page.json`` describes.

    Raises:
        RunError: it cannot be read, or is no report; names the field.
    """
    path = directory / PAGE
    try:
        report = TypeAdapter(Report).validate_python(read_object(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RunError(f"{path} is no report: {where}: {first['msg']}") from error
    ids = [chart.id for chart in report.charts]
    again = next((one for one in ids if ids.count(one) > 1), None)
    if again is not None:
        raise RunError(f"{path} is no report: two charts have the id {again!r}")
    return report
