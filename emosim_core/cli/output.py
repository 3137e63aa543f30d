"""What commands print: the console, the live line of a session and the table of a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any, cast

import rich.table
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from emosim_core.model import RatingScale
from emosim_core.model.emotion import describe_mood
from emosim_core.runs.words import END_REASONS as END_REASONS
from emosim_core.runs.words import signed
from emosim_core.runs.words import usage_rows as usage_rows
from emosim_core.runs.words import who_answers as who_answers
from emosim_core.terminal import clean, one_line, standard_streams

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from emosim_core.runs.summary import Episode


_WIDE = 160
"""Columns of a table that goes to no terminal."""


class Screen(Console):
    """A console that cleans every text before it is styled, so that only our own styling reaches the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=clean(segment.text))

    def print_line(self, *parts: str | tuple[str, str]) -> None:
        r"""Print one line, however long, of texts or texts with their styles; a line break is shown as ``\n``."""
        cleaned = [one_line(part) if isinstance(part, str) else (one_line(part[0]), part[1]) for part in parts]
        self.print(Text.assemble(*cleaned), soft_wrap=True)


class Table(rich.table.Table):
    r"""A table in which a text is one line, unless the table folds it; a line break is shown as ``\n``."""

    def add_column(self, header: RenderableType = "", *more: Any, **options: Any) -> None:
        super().add_column(_cell(header), *more, **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        super().add_row(*map(_cell, cells), **options)


def _cell(content: Any) -> Any:
    return one_line(content) if isinstance(content, str) else content


def console(stderr: bool = False) -> Screen:
    """A console that reads item and person texts as plain text, never as markup."""
    stream = sys.stderr if stderr else sys.stdout
    file = cast("IO[str]", getattr(stream, "styled", stream))
    return Screen(file=file, markup=False, emoji=False, highlight=False)


@contextmanager
def live_progress(screen: Screen, *columns: ProgressColumn, silent: bool = False) -> Iterator[Progress]:
    """A live line of progress on a terminal; what is printed meanwhile is cleaned too and stands above it."""
    from rich.progress import Progress

    shown = screen.is_terminal and not silent
    bar = Progress(
        *columns, console=screen, transient=True, disable=not shown, redirect_stderr=shown and sys.stderr.isatty()
    )
    # While it shows, rich prints for everyone, and takes codes in the text for styling.
    with bar, standard_streams() if shown else nullcontext():
        yield bar


def show_table(screen: Console, table: rich.table.Table) -> None:
    """Print a table so that nothing is cut off: what is too long goes on in the next line.

    A file or a pipe has no width of its own, so tables are wider there, unless ``COLUMNS`` says how wide.
    """
    for column in table.columns:
        column.no_wrap, column.overflow = False, "fold"
    width = screen.width
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen.width = max(width, _WIDE)
    screen.print(table)
    screen.width = width


def episode_line(episode: Episode, scale: RatingScale) -> list[tuple[str, str]]:
    """One session in one line, as texts with their styles."""
    mean = episode.mean_rating
    rated = "rated nothing" if mean is None else f"rated {mean:.1f} of {scale.format(scale.high)} on average"
    steps = f"{episode.steps:>3} {'step ' if episode.steps == 1 else 'steps'}"
    return [
        (f"{episode.number:>5}  ", "dim"),
        (f"{one_line(episode.name):<24.24}", "bold"),
        (f" {steps}, {rated:<30} {describe_mood(*episode.mood):<14}", ""),
        (
            END_REASONS.get(episode.end_reason, episode.end_reason),
            "green" if episode.end_reason == "max_steps" else "yellow",
        ),
    ]


def summary_table(summary: dict[str, Any]) -> Table:
    """The table at the end of a run."""
    table = Table(title=None, show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, value: str) -> None:
        table.add_row(name, Text(value))

    top = summary["scale"].rpartition("-")[2]
    length = summary["episode_length"]
    episodes = summary["episodes"]
    row("rater", one_line(who_answers(summary["rater"], summary["uses_llm"], summary.get("language_model"))))
    row("episodes", f"{episodes}, with {summary['users']} different users; {summary['steps']:,} steps")
    if summary["mean_rating"] is not None:
        row("mean rating", f"{summary['mean_rating']:.2f} of {top}")
        row("share liked", f"{summary['share_liked']:.1%}")
    if summary["failed_ratings"]:
        row("failed ratings", str(summary["failed_ratings"]))
    for name, value in usage_rows(summary["usage"]) if summary.get("usage") else ():
        row(name, value)
    if episodes:
        row("mean reward", f"{summary['mean_reward']:.2f} per episode")
        row(
            "episode length",
            f"{length['mean']:.1f} steps on average, median {length['median']:g}, longest {length['longest']}",
        )
        ends = summary["end_reasons"].items()
        row(
            "end reasons",
            "\n".join(f"{count / episodes:>6.1%}  {one_line(END_REASONS.get(end, end))}" for end, count in ends),
        )
        mood = summary["mood_at_end"]
        valence, arousal = mood["valence"], mood["arousal"]
        row(
            "mood at the end", f"valence {signed(valence, 2)}, arousal {arousal:.2f}: {describe_mood(valence, arousal)}"
        )
    for name, key in (("most liked", "most_liked"), ("least liked", "least_liked")):
        liked = summary[key]
        if liked:
            row(
                name,
                "\n".join(
                    f"{one['mean_rating']:>5.2f}  {one_line(one['title'])} ({_times(one['ratings'])})" for one in liked
                ),
            )
    if summary["steps_per_second"] is not None:
        row("speed", f"{summary['steps_per_second']:,} steps/s, written to disk included")
    return table


def _times(count: int) -> str:
    return "1 rating" if count == 1 else f"{count} ratings"
