"""ExecutorConformance: holds an executor to its contract."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from emosim_core.errors import EmoSimError
from emosim_core.runs.cells import Cell, Executor, OnProgress, Worlds
from emosim_core.testing.conformance import ComponentConformance, no_error, registry
from emosim_core.testing.contract import hold

_CELLS = 5


class ExecutorConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`.

    The cells of the checks write into a temporary folder of this machine, so an executor that works elsewhere must see
    that folder.
    """

    kind = "executor"
    interface = Executor

    def test_it_does_every_cell_and_yields_it_once(self) -> None:
        executor: Executor = self.make()
        workers = executor.workers
        hold("executor-workers", isinstance(workers, int) and workers >= 1, f"{workers!r} workers.")
        counts: list[int] = []
        with tempfile.TemporaryDirectory() as folder:
            cells = _cells(Path(folder), _CELLS)
            yielded = []
            with no_error("executor-all", self.subject), closing(executor.run(cells, _worlds(), counts.append)) as done:
                for cell in done:
                    written = (Path(folder) / cell.key).exists()
                    hold("executor-all", written, f"the cell {cell.key!r} was yielded before it was done.")
                    yielded.append(cell.key)
        hold("executor-all", sorted(yielded) == [cell.key for cell in cells], f"{yielded} were yielded.")
        hold("executor-progress", sum(counts) == sum(range(_CELLS)), f"{sum(counts)} of {sum(range(_CELLS))} units.")

    def test_an_error_of_a_cell_is_raised_with_its_message(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cells = [*_cells(Path(folder), 1), Cell("none", write_number, (folder, -1))]
            raised: BaseException | None = None
            try:
                with closing(self.make().run(cells, _worlds(), lambda count: None)) as done:
                    list(done)
            except Exception as error:
                raised = error
        named = isinstance(raised, EmoSimError) and "-1 is no number of units" in str(raised)
        hold("executor-errors", named, f"{raised!r} for a cell that raised an EmoSimError.")


def _worlds() -> Worlds:
    return Worlds(registry())


def _cells(folder: Path, number: int) -> list[Cell]:
    return [Cell(str(units), write_number, (str(folder), units)) for units in range(number)]


def write_number(arguments: tuple[str, int], worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell: write a file that is called as its number of units of work.

    Raises:
        EmoSimError: the number is negative.
    """
    folder, units = arguments
    if units < 0:
        raise EmoSimError(f"{units} is no number of units")
    for _ in range(units):
        on_progress(1)
    (Path(folder) / str(units)).write_text("done", encoding="utf-8")
