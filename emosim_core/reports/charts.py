"""Charts: those of a directory's report as figures, for notebooks and papers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emosim_core.errors import UnknownNameError
from emosim_core.hooks.names import nearest
from emosim_core.notebook import escaped
from emosim_core.reports.chart import Chart
from emosim_core.reports.drawings import figure_of, need_matplotlib, svg
from emosim_core.reports.make import report_of
from emosim_core.reports.results import Results
from emosim_core.runs.records import RecordedRun

if TYPE_CHECKING:
    from emosim_core.reports.figure import ChartFigure


class Charts:
    """The charts of a directory by their ids, each drawn by matplotlib when it is looked up.

    ``list(charts)`` are the ids, ``charts["ratings"]`` is a figure. In a notebook, all are shown with their captions; a
    single figure shows itself. Made by :func:`charts`.

    Attributes:
        about: title and caption of each chart by its id.
    """

    def __init__(self, title: str, charts: Mapping[str, Chart]) -> None:
        self._title, self._charts = title, charts
        self.about = {name: (chart.title, chart.caption) for name, chart in charts.items()}

    def __getitem__(self, name: str) -> ChartFigure:
        if name not in self._charts:
            raise UnknownNameError("chart", name, self._charts, nearest(name, self._charts))
        return figure_of(self._charts[name])

    def __contains__(self, name: object) -> bool:
        return name in self._charts

    def __iter__(self) -> Iterator[str]:
        return iter(self._charts)

    def __len__(self) -> int:
        return len(self._charts)

    def __repr__(self) -> str:
        return "\n".join([self._title, *(f"  {name}: {title}" for name, (title, _) in self.about.items())])

    def _repr_html_(self) -> str:
        """All charts in a notebook."""
        figures = []
        for chart in self._charts.values():
            picture = base64.b64encode(svg(chart)).decode("ascii")
            figures.append(
                '<figure style="margin:0 0 1.5em">'
                f'<img style="max-width:100%" alt="{escaped(chart.title)}" src="data:image/svg+xml;base64,{picture}">'
                f"<figcaption>{escaped(chart.title)}. {escaped(chart.caption)}</figcaption></figure>"
            )
        return f"<div>{''.join(figures)}</div>"


def charts(of: str | Path | RecordedRun | Results) -> Charts:
    """The charts of a run, a training, an evaluation or a study as figures of matplotlib.

    They are those of the page that :func:`report` writes: ``charts("runs/a")["ratings"].savefig("ratings.pdf")``. A
    figure stands by itself, apart from pyplot, and its axes can be changed before it is saved.

    Args:
        of: a directory, or what :func:`run`, :func:`read_run`, :func:`train`, :func:`evaluate`, :func:`ablate`,
            :func:`validate` or :func:`fit` returned.

    Raises:
        MissingDependencyError: a package of the extra ``report`` is not installed.
        EmoSimError: the directory holds nothing to report or is damaged. Looking up a chart that there is not is an
            :class:`UnknownNameError`.
    """
    directory = of.directory if isinstance(of, RecordedRun | Results) else Path(of)
    need_matplotlib("drawing charts")
    report = report_of(directory)
    return Charts(f"{directory}: {report.title}", {chart.id: chart for chart in report.charts})
