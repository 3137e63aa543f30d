"""Text of web pages: markup goes, entities become characters."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.data.web_text import web_text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("a<br/>b &amp; <b>c</b>d", "a b & cd"),
        ("<p>One</p><p>Two&nbsp;&quot;x&quot;</p>", 'One Two "x"'),
        ("I <3 you, 3 < 4 & 5 > 2", "I <3 you, 3 < 4 & 5 > 2"),
        ("x<script>var a = '<b>';</script>y<style>b {}</style>z", "xyz"),
        ("plain  text\nhere", "plain text here"),
    ],
)
def test_markup_and_entities_become_plain_text(page: str, text: str) -> None:
    assert web_text(page) == text


@given(st.lists(st.text(alphabet="abc é'\"&;#", min_size=1), max_size=4))
def test_text_without_tags_stays_but_for_entities_and_blanks(words: Sequence[str]) -> None:
    text = " ".join(words)
    assert web_text(text) == " ".join(html.unescape(text).split())
