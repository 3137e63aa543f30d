"""Results: what a command's file of results holds, as a dictionary that shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emosim_core.errors import EmoSimError
from emosim_core.notebook import card, table


class Results(dict[str, Any]):
    """The content of a file of results, such as ``summary.json`` or ``evaluation.json``.

    In a notebook it shows what came out, and the first table of the report; in all else it is a dictionary.

    Attributes:
        directory: where the command wrote.
    """

    def __init__(self, values: Mapping[str, Any], directory: str | Path) -> None:
        super().__init__(values)
        self.directory = Path(directory)

    def _repr_html_(self) -> str | None:
        """What the directory's report says; None where it is gone, so that the dictionary is shown."""
        try:
            return shown(self.directory)
        except EmoSimError:
            return None


def shown(directory: Path) -> str:
    """What the report of a directory says, as HTML for a notebook; errors as of :func:`~.make.report_of`."""
    from emosim_core.kinds import RUN
    from emosim_core.reports.directories import kind_of
    from emosim_core.reports.make import report_of
    from emosim_core.runs.records import read_run

    if kind_of(directory) == RUN:  # its summary says as much, and need not read all steps
        html: str = read_run(directory)._repr_html_()
        return html
    report = report_of(directory)
    facts = table([(fact.name, fact.value, fact.aside) for fact in report.facts])
    tabled = next((one for one in report.sections if one.tables and one.id != "setup"), None)
    tables = [
        card(one.title, one.caption, tables=[table(one.rows, one.columns)])
        for one in (tabled.tables[:1] if tabled else ())
    ]
    return card(f"{directory}: {report.title}", report.headline, tables=[facts, *tables], notes=report.notes)
