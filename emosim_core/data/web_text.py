"""Text of web pages as plain text."""

from __future__ import annotations

from html.parser import HTMLParser

_HIDDEN = ("script", "style")
"""Elements whose content a page does not show."""


def web_text(text: str) -> str:
    """The text that a page shows: without markup, with entities as their characters, and with single blanks."""
    if "<" not in text and "&" not in text:
        return " ".join(text.split())
    page = _Page()
    page.feed(text)
    page.close()
    return " ".join("".join(page.pieces).split())


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in _HIDDEN
        # Two words with a line break between them are two words; <b>bold</b>er is one.
        if tag in ("br", "p", "div", "li", "ul", "ol", "tr", "td", "hr", "h1", "h2", "h3", "h4"):
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))
        if tag in ("p", "div", "li", "tr", "td"):
            self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)
