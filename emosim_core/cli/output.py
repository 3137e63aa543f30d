"""What commands print: the console, tables, the live line of progress, the line of an episode, a run's summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

import rich.table
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text

from emosim_core.model import RatingScale
from emosim_core.model.emotion import describe_mood
from emosim_core.runs.words import END_REASONS as END_REASONS
from emosim_core.runs.words import on_scale, summary_rows
from emosim_core.runs.words import usage_rows as usage_rows
from emosim_core.runs.words import who_answers as who_answers
from emosim_core.terminal import Piece, clean, one_line, pieces, standard_streams

if TYPE_CHECKING:
    from rich.progress import Progress

    from emosim_core.runs.summary import Episode


_GAP = 2
"""Columns between two columns of a table."""

_PLAIN: Any = {"box": None, "pad_edge": False, "padding": (0, _GAP, 0, 0)}
"""A table without a frame."""

_ENOUGH = 24
"""Columns below which a text is not broken, but stands in another table."""

_BAR = 20
"""Columns of a bar of progress."""


class Screen(Console):
    """A console that cleans every text before it is styled, so that only our own styling reaches the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=clean(segment.text))

    def print_line(self, *parts: str | tuple[str, str]) -> None:
        r"""Print one line of texts or texts with their styles; a line break is shown as ``\n``.

        A terminal that is too narrow gets it in several lines, broken between words; a command at its end stands in a
        line of its own.
        """
        cleaned = [one_line(part) if isinstance(part, str) else (one_line(part[0]), part[1]) for part in parts]
        text = Text.assemble(*cleaned)
        lines = pieces(text.plain, self.width, cell_len) if self.is_terminal else [Piece("", 0, len(text))]
        for line in lines:
            self.print(Text(line.indent) + text[line.start : line.end], soft_wrap=True)


class Table(rich.table.Table):
    r"""A table in which a text is one line, unless the table folds it; a line break is shown as ``\n``.

    It has no frame. Columns of text, ``texts`` of them from the first, are aligned left, those of numbers right; a
    number is never broken.
    """

    def __init__(
        self,
        *headings: str,
        rows: Iterable[Sequence[RenderableType]] = (),
        texts: int = 1,
        title: str | None = None,
        style: str = "table.header",
        show_header: bool = True,
    ) -> None:
        super().__init__(title=title, show_header=show_header, header_style=style, **_PLAIN)
        for place, heading in enumerate(headings):
            self.add_column(heading, justify="left" if place < texts else "right")
        for row in rows:
            self.add_row(*row)

    def add_column(self, header: RenderableType = "", *more: Any, **options: Any) -> None:
        super().add_column(_cell(header), *more, **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        super().add_row(*map(_cell, cells), **options)


def _cell(content: Any) -> Any:
    return one_line(content) if isinstance(content, str) else content


def console(stderr: bool = False) -> Screen:
    """A console that reads item and user texts as plain text, never as markup."""
    stream = sys.stderr if stderr else sys.stdout
    file = cast("IO[str]", getattr(stream, "styled", stream))
    return Screen(file=file, markup=False, emoji=False, highlight=False)


def print_notes(screen: Screen, notes: Iterable[str], usage: Mapping[str, Any] | None = None) -> None:
    """Print notes, and what the calls of a language model took where some were made."""
    for note in notes:
        screen.print_line(f"Note: {note}")
    for name, value in usage_rows(usage) if usage else ():
        screen.print_line(f"{name}: {value}")


@contextmanager
def loading(what: str, *, silent: bool = False) -> Iterator[None]:
    """Says on a terminal what is loading, as long as it does, unless it is to be silent."""
    screen = console()
    shown = screen.is_terminal and not silent
    with screen.status(f"Loading {what}") if shown else nullcontext(), standard_streams() if shown else nullcontext():
        yield


@contextmanager
def live_progress(screen: Screen, what: str, total: int | None = None, *, silent: bool = False) -> Iterator[Live]:
    """A live line of progress on a terminal; what is printed meanwhile is cleaned too and stands above it.

    It counts ``what``, of which there are ``total``, None where that is not known yet.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    shown = screen.is_terminal and not silent
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=_BAR),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[details]}", markup=False),
        console=screen,
        transient=True,
        disable=not shown,
        redirect_stderr=shown and sys.stderr.isatty(),
    )
    # While it shows, rich prints for everyone, and takes codes in the text for styling.
    with bar, standard_streams() if shown else nullcontext():
        yield Live(bar, screen, what, total)


class Live:
    """The live line of :func:`live_progress`."""

    def __init__(self, bar: Progress, screen: Screen, what: str, total: int | None) -> None:
        self._bar, self._screen, self._what, self._total, self._done = bar, screen, what, total, 0
        self._details: Sequence[str] = ()
        self._task = bar.add_task(what, total=total, count="", details="")
        self.update()

    def update(self, *lines: str, done: int | None = None, total: int | None = None, advance: int = 0) -> None:
        """Say how far it is: how many are ``done`` of how many, or how many more.

        ``lines`` are what else to say, the most important first; what does not fit the width is left out. What was said
        before stays by default.
        """
        self._details = lines or self._details
        self._total = self._total if total is None else total
        self._done = (self._done if done is None else done) + advance
        count = f"{self._done:,}" + ("" if self._total is None else f"/{self._total:,}")
        room = self._screen.width - len(self._what) - _BAR - len(count) - len("-:--:--") - 5
        self._bar.update(
            self._task, completed=self._done, total=self._total, count=count, details=_as_fits(self._details, room)
        )


def _as_fits(parts: Sequence[str], room: int) -> str:
    fits = [", ".join(parts[:count]) for count in range(len(parts) + 1)]
    return next(text for text in reversed(fits) if cell_len(one_line(text)) <= room or not text)


def show_table(screen: Console, table: rich.table.Table) -> None:
    """Print a table so that nothing is cut off and no number is broken.

    On a terminal that is too narrow, texts are broken between words; where that is not enough, the columns stand in
    several tables below each other, each with the first columns that tell the rows apart and without rows that say
    nothing more in it. A file or a pipe has no width of its own, so nothing is broken there, unless ``COLUMNS`` says
    how wide it is.
    """
    for column in table.columns:
        column.no_wrap, column.overflow = False, "fold"
    spans = [_span(screen, table, place) for place in range(len(table.columns))]
    everything = sum(span.most for span in spans) + _GAP * (len(spans) - 1)
    unlimited = not screen.is_terminal and "COLUMNS" not in os.environ
    width, before = max(screen.width, everything) if unlimited else screen.width, screen.width
    screen.width = width
    if table.title:
        screen.print(table.title, style="table.title")
    names = _names(table, spans, width)
    parts = _parts(spans, names, width)
    for number, places in enumerate(parts):
        if number:
            screen.print()
        widths = _widths([spans[place] for place in places], width)
        one = _columns(table, places, widths, names if len(parts) > 1 else 0)
        screen.print(_Trimmed(one))
    screen.width = before


class _Trimmed:
    """Something to print without the blanks at the ends of its lines."""

    def __init__(self, whole: RenderableType) -> None:
        self._whole = whole

    def __rich_console__(self, screen: Console, options: ConsoleOptions) -> Iterable[Segment]:
        for line in screen.render_lines(self._whole, options, pad=False):
            while line and not line[-1].text.strip(" "):
                line.pop()
            if line:
                line[-1] = line[-1]._replace(text=line[-1].text.rstrip(" "))
            yield from line
            yield Segment.line()


class _Span(NamedTuple):
    """How wide a column may be: ``least`` breaks no number and no word, ``most`` breaks nothing."""

    least: int
    most: int


def _span(screen: Console, table: rich.table.Table, place: int) -> _Span:
    column, options = table.columns[place], screen.options.update(width=100_000)
    spans = [_Span(1, 1)]
    for cell in column.cells:
        one = Measurement.get(screen, options, cell)
        least = one.maximum if column.justify == "right" else max(one.minimum, min(one.maximum, _ENOUGH))
        spans.append(_Span(least, one.maximum))
    if table.show_header:
        one = Measurement.get(screen, options, column.header)
        spans.append(_Span(one.minimum, one.maximum))
    return _Span(*map(max, zip(*spans, strict=True)))


def _names(table: rich.table.Table, spans: Sequence[_Span], width: int) -> int:
    """How many columns from the first tell the rows apart; 0 where none do, or no other column fits beside them."""
    rows = [tuple(map(str, row)) for row in zip(*(column.cells for column in table.columns), strict=True)]
    for count in range(1, len(spans)):
        if len({row[:count] for row in rows}) == len(rows):
            room = width - sum(span.least + _GAP for span in spans[:count])
            return count if max(span.least for span in spans[count:]) <= room else 0
    return 0


def _parts(spans: Sequence[_Span], names: int, width: int) -> list[list[int]]:
    """The columns of each of the tables that a table is split into: as few tables as it takes, ``names`` in all.

    The first column is in all of them, too.
    """
    names = max(names, 1)
    parts = [[*range(names)]]
    for place in range(names, len(spans)):
        last = parts[-1]
        if sum(spans[one].least + _GAP for one in last) + spans[place].least > width and len(last) > names:
            parts.append([*range(names)])
        parts[-1].append(place)
    return parts


def _widths(spans: Sequence[_Span], width: int) -> list[int]:
    """Widths of columns: what they need at least, and what is left to those that want the least more."""
    room = width - _GAP * (len(spans) - 1)
    widths = [span.least for span in spans]
    spare = room - sum(widths)
    while spare < 0 and max(widths) > 1:  # a word is longer than the screen is wide
        widths[widths.index(max(widths))] -= 1
        spare += 1
    order = sorted(range(len(spans)), key=lambda place: spans[place].most - widths[place])
    for remaining, place in zip(range(len(spans), 0, -1), order, strict=True):
        more = min(spans[place].most - widths[place], max(spare, 0) // remaining)
        widths[place] += more
        spare -= more
    return widths


def _columns(table: rich.table.Table, places: Sequence[int], widths: Sequence[int], names: int) -> rich.table.Table:
    """Some columns of a table, as a table of its own; without rows that hold only what ``names`` columns do, if any."""
    made = rich.table.Table(show_header=table.show_header, header_style=table.header_style, **_PLAIN)
    for place, width in zip(places, widths, strict=True):
        column = table.columns[place]
        made.add_column(column.header, justify=column.justify, style=column.style, overflow="fold", width=width)
    cells = [list(table.columns[place].cells) for place in places]
    for row in zip(*cells, strict=True):
        if not names or any(str(cell) for cell in row[names:]):
            made.add_row(*row)
    return made


def episode_line(episode: Episode, scale: RatingScale) -> list[tuple[str, str]]:
    """One episode in one line of at most 80 columns, as texts with their styles."""
    mean, end = episode.mean_rating, episode.end_reason
    rated = "no rating" if mean is None else f"{mean:.1f} {on_scale(str(scale))}"
    steps = f"{episode.steps:>3} {'step ' if episode.steps == 1 else 'steps'}"
    return [
        (f"{episode.number:>5}  ", "dim"),
        (_cut(one_line(episode.name), 16), "bold"),
        (f" {steps}  {rated:<9}  {describe_mood(*episode.mood):<13}  ", ""),
        (END_REASONS.get(end, end), "green" if end == "max_steps" else "yellow"),
    ]


def _cut(text: str, width: int) -> str:
    """A text of just so many columns: filled up with blanks, or cut off with a sign that it is."""
    return set_cell_size(text if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…", width)


def summary_table(summary: dict[str, Any]) -> Table:
    """The table at the end of a run."""
    table = Table(show_header=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value in summary_rows(summary):
        table.add_row(name, Text(value))
    return table
