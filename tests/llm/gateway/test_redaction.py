"""Redactor: no secret is left in any text, however a service wraps it, and all else stays as it is."""

from __future__ import annotations

import base64
import html
import json
import string
import traceback
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.errors import LLMError, LLMRateLimitError, LLMTransientError
from emosim_core.llm.chat import ChatAnswer, Usage
from emosim_core.llm.gateway.redaction import HIDDEN, Redactor

KEY = "sk-4f2a9c7e1b8d3056aaf0"

WRAPPED: dict[str, Callable[[str], str]] = {
    "plain": lambda secret: secret,
    "upper": lambda secret: secret.upper(),
    "basic": lambda secret: base64.b64encode(f"user:{secret}".encode()).decode(),
    "base64 at offset 1": lambda secret: base64.b64encode(b"x" + secret.encode()).decode(),
    "base64 at offset 2": lambda secret: base64.b64encode(b"xy" + secret.encode() + b"!").decode(),
    "urlsafe": lambda secret: base64.urlsafe_b64encode(json.dumps({"key": secret}).encode()).decode().rstrip("="),
    "base64 in lines": lambda secret: base64.encodebytes(b"a long header of some kind, " + secret.encode()).decode(),
    "hex": lambda secret: secret.encode().hex(),
    "upper hex": lambda secret: secret.encode().hex().upper(),
    "quoted": lambda secret: quote(secret, safe=""),
    "all quoted": lambda secret: "".join(f"%{ord(sign):02x}" for sign in secret),
    "quoted twice": lambda secret: quote("".join(f"%{ord(sign):02X}" for sign in secret)),
    "json": lambda secret: json.dumps(secret)[1:-1],
    "json escapes": lambda secret: "".join(f"\\u{ord(sign):04x}" for sign in secret),
    "bytes": lambda secret: "".join(f"\\x{ord(sign):02x}" for sign in secret),
    "hex with colons": lambda secret: secret.encode().hex(":"),
    "hex of each byte": lambda secret: " ".join(hex(sign) for sign in secret.encode()),
    "long escapes": lambda secret: "".join(f"\\U{ord(sign):08x}" for sign in secret),
    "escapes in braces": lambda secret: "".join(f"\\u{{{ord(sign):x}}}" for sign in secret),
    "octal": lambda secret: "".join(f"\\{ord(sign):03o}" for sign in secret),
    "html": lambda secret: "".join(f"&#{ord(sign)};" for sign in secret),
    "spaced": lambda secret: " ".join(secret),
    "invisible": lambda secret: "\u200b".join(secret),
}  # fmt: skip

keys = st.text(string.ascii_letters + string.digits + "-_./+", min_size=8, max_size=60)
around = st.text(max_size=30) | st.text("ab%\\u0&#+/=", max_size=12)


def decoded(text: str) -> str:
    """A text with everything resolved that a reader may resolve."""
    for _ in range(2):
        text = html.unescape(text)
    return text


@pytest.mark.parametrize("way", WRAPPED)
@settings(max_examples=25)
@given(keys, around, around)
def test_no_secret_is_left_however_it_is_wrapped(way: str, key: str, before: str, after: str) -> None:
    wrapped = WRAPPED[way](key)
    for clean in (Redactor([key]).text, Redactor([key]).message):
        shown = clean(f"{before}{wrapped}{after}")
        assert wrapped not in shown
        assert key.lower() not in decoded(shown).lower().replace(HIDDEN, "\n")
        assert HIDDEN in shown


@given(st.integers(8, 15), st.integers(8, 15))
def test_pieces_of_a_key_in_several_fields_are_taken_out(first: int, second: int) -> None:
    answer = ChatAnswer(f"7 {KEY[:first]}", f"because {KEY[first:]}", f"m-{KEY[-second:]}", Usage(1), {KEY: 1.0})
    clean = Redactor([KEY]).answer(answer)
    for start in range(len(KEY) - 7):
        assert KEY[start : start + 8] not in repr(clean)
    assert list(clean.probabilities.values()) == [1.0]


@given(st.text(alphabet="abcdefghij .,:0123456789/\n{}\"'%\\", max_size=300))
def test_a_text_without_a_secret_stays_the_same_object(text: str) -> None:
    assert Redactor([KEY]).text(text) is text
    assert Redactor([]).text(text) is text


def test_a_rating_is_still_read_from_an_answer_that_holds_the_key() -> None:
    text = json.dumps({"reasons": [f"the header was Bearer {KEY}"], "rating": 7})
    clean = Redactor([KEY]).answer(ChatAnswer(text))
    assert json.loads(clean.text)["rating"] == 7
    assert KEY not in clean.text


@pytest.mark.parametrize("between", [".", ", ", "|", "', '", ""])
def test_a_key_whose_signs_stand_apart_is_taken_out(between: str) -> None:
    key = "zq7Xk-Lm42-Pw9Rt"
    clean = Redactor([key]).text(f"it is {between.join(key.replace('-', between and '-'))}.")
    assert HIDDEN in clean
    assert "Lm42" not in clean.replace(between, "")


@pytest.mark.parametrize("word", ["7", "good", "EMPTY", "none", "ollama", "the"])
def test_a_short_key_changes_no_answer(word: str) -> None:
    answer = ChatAnswer(f"{word} and {word}", "7", "good", probabilities={"7": 1.0})
    assert Redactor([word]).answer(answer) is answer


def test_a_key_that_is_a_word_is_taken_out_as_a_whole_and_alone() -> None:
    text = Redactor(["internationalization"]).text(
        "an international film on internationalization, of national interest"
    )
    assert text == f"an international film on {HIDDEN}, of national interest"


def test_an_error_and_what_it_came_from_hold_no_key() -> None:
    class Odd(LLMTransientError):
        def __str__(self) -> str:
            return f"no answer with {KEY}"

    raised = LLMRateLimitError(f"slow down, {KEY}", 3.0)
    raised.usage = Usage(5)
    raised.__cause__ = ValueError(f"Authorization: Bearer {KEY}")
    raised.__notes__ = [KEY]  # type: ignore[attr-defined]
    for error in (raised, Odd("x")):
        clean: LLMError = Redactor([KEY]).error(error)
        assert KEY not in "".join(traceback.format_exception(clean)) + repr(clean)
    clean = Redactor([KEY]).error(raised)
    assert isinstance(clean, LLMRateLimitError)
    assert (clean.retry_after, clean.usage) == (3.0, Usage(5))
    harmless = LLMTransientError("busy")
    harmless.__cause__ = OSError("no route")
    assert Redactor([KEY]).error(harmless) is harmless
