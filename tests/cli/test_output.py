"""Tables on the screen: nothing is cut off, however narrow it is."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from emosim_core.cli.output import show_table

NAMES = ("simulated people, a single answer", "always the commoner answer")
CELL = "0.821 [0.797, 0.845]"


def table() -> Table:
    made = Table(box=None, pad_edge=False)
    for heading in ("", "accuracy", "precision", "recall", "F1", "area under the curve"):
        made.add_column(heading, justify="right", no_wrap=True)
    for name in NAMES:
        made.add_row(name, *(CELL,) * 5)
    return made


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_narrow_screen_breaks_lines_and_cuts_nothing_off(width: int) -> None:
    screen = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    show_table(screen, table())
    said = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in said
    letters = sorted("".join(said.split()))
    words = ["accuracy", "precision", "recall", "F1", "area under the curve", *NAMES, *[CELL] * 10]
    assert letters == sorted("".join("".join(words).split()))
    assert max(map(len, said.splitlines())) <= width
    assert screen.width == width


def test_a_file_has_each_row_in_one_line_unless_it_is_said_how_wide_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    screen = Console(file=StringIO(), markup=False)
    show_table(screen, table())
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.count(CELL) for line in lines] == [0, 5, 5]
    monkeypatch.setenv("COLUMNS", "60")
    narrow = Console(file=StringIO(), markup=False)
    show_table(narrow, table())
    assert max(map(len, narrow.file.getvalue().splitlines())) <= 60  # type: ignore[attr-defined]
