"""Notebook: what objects show in Jupyter, as HTML that is escaped, styled inline, and readable on light and on dark."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from emosim_core.terminal import clean

_CELL = "text-align:left;vertical-align:top;padding:.15em .8em .15em 0"
_LINE = "border:0;border-top:1px solid rgba(128,128,128,.35);background:none"
"""Of a grey that is seen on any background; text has the colour that it has around it."""


def escaped(text: object) -> str:
    """A text as it stands in HTML: control characters as :func:`~emosim_core.terminal.clean` shows them."""
    return html.escape(clean(str(text)))


def table(rows: Iterable[Sequence[str]], columns: Sequence[str] = ()) -> str:
    """Rows of texts as an HTML table, the first cell of each its heading; line breaks in a text are kept."""
    head = "".join(f'<th scope="col" style="{_CELL}">{escaped(name)}</th>' for name in columns)
    lines = [f'<tr style="{_LINE}">{head}</tr>'] if columns else []
    for first, *others in rows:
        cells = "".join(f'<td style="{_CELL}">{escaped(one)}</td>' for one in others)
        lines.append(
            f'<tr style="{_LINE}"><th scope="row" style="{_CELL};font-weight:600">{escaped(first)}</th>{cells}</tr>'
        )
    return f'<table style="border-collapse:collapse;margin:.3em 0;white-space:pre-line">{"".join(lines)}</table>'


def card(title: str, *paragraphs: str, tables: Sequence[str] = (), notes: Sequence[str] = ()) -> str:
    """A title, paragraphs, tables that :func:`table` made, and notes below them, as one HTML element."""
    parts = [_words(title, "strong"), *map(_words, paragraphs), *tables, *map(_words, notes)]
    return f"<div>{''.join(parts)}</div>"


def _words(text: str, element: str = "span") -> str:
    """A paragraph; nothing of an empty text."""
    return f'<p style="margin:.3em 0;max-width:46em"><{element}>{escaped(text)}</{element}></p>' if text else ""
