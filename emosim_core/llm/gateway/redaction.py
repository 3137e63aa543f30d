"""Redactor: takes the secrets of a backend out of texts, in plain and in the encodings that services wrap them in."""

from __future__ import annotations

import base64
import contextlib
import copy
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from emosim_core.errors import EmoSimError, LLMError, PluginError
from emosim_core.llm.chat import ChatAnswer

HIDDEN = "[key]"
"""Stands in the place of a secret."""

SHORTEST = 8
"""Characters from which a secret is taken out of answers; a shorter one is no key of a service, but may be a rating."""

_PART, _PART_OF_MESSAGE = 8, 6
_LONG, _LONG_LETTERS = 16, 32
_LOOKS_LIKE_A_KEY = re.compile(r"(?<![A-Za-z0-9])(sk|pk)-[^\s\"',;)]+|Bearer\s+[^\s\"',;)]+|[^\s\"']*\*{2,}[^\s\"']*")
_IS_A_KEY = re.compile(r"(?<![A-Za-z0-9])(?:sk|pk)-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}")
_NAMES_A_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)

_ESCAPE = re.compile(
    r"%([0-9A-Fa-f]{2})|\\+u([0-9A-Fa-f]{4})|\\+x([0-9A-Fa-f]{2})|&#[xX]0*([0-9A-Fa-f]{1,4});|&#0*([0-9]{1,5});|\\+(/)"
    r"|\\+U000([0-9A-Fa-f]{5})|\\+u\{0*([0-9A-Fa-f]{1,5})\}|\\+([0-3][0-7]{2})"
)
_SKIPPED = re.compile(r"[\s\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff]+")
_BETWEEN = re.compile(r"0[xX](?=[0-9A-Fa-f]{2})|[^A-Za-z0-9+/=]+")
_QUOTED = re.compile(r"%(2[0-9A-Fa-f]|3[A-Fa-f]|40|5[B-Fb-f]|60|7[B-Eb-e])")
"""Signs that URLs quote; a "%" before a letter or digit of a secret makes no escape of it."""

_READINGS = ((), (_ESCAPE,), (_ESCAPE, _ESCAPE), (_ESCAPE, _ESCAPE, _SKIPPED), (_QUOTED,), (_BETWEEN,))
"""Ways to read a text: escapes are resolved, all else that matches is left out."""

_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_STANDARD = str.maketrans("-_", "+/")

_Error = TypeVar("_Error", bound=EmoSimError)
_Span = tuple[int, int]
_Reading = tuple[re.Pattern[str], ...]


class _Needle(NamedTuple):
    """Something of which no part, of ``least`` characters or more, may stand in a text that is read in its ``form``.

    Every part of it holds one of the ``pieces``, all of the same length, each ``step`` characters behind the one
    before, so that only they are searched for.
    """

    form: dict[int, int]
    text: str
    least: int
    step: int
    pieces: list[str]

    @classmethod
    def of(cls, form: dict[int, int], text: str, least: int) -> _Needle:
        size = (least + 1) // 2
        step = least - size + 1
        return cls(form, text, least, step, [text[at : at + size] for at in range(0, len(text) - size + 1, step)])


class Redactor:
    """Takes secrets out of texts.

    A secret is found in plain, in any case, as base64 (both alphabets, at any offset, as in ``Authorization: Basic``),
    in hexadecimal digits, in URL, JSON, HTML and backslash escapes, and with white space, invisible characters or
    punctuation in between. Of a secret of 16 characters or more that has a digit, and of any of 32, parts of 8
    characters are taken out too, so that it does not pass in pieces.

    Args:
        secrets: what to take out. Those of fewer than :data:`SHORTEST` characters stay in answers, as they may be words
            or numbers; in messages of errors they are taken out where they stand alone.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({stripped for secret in secrets if (stripped := _SKIPPED.sub("", secret))})
        self._answers = [needle for secret in known if len(secret) >= SHORTEST for needle in _needles(secret)]
        self._messages = [
            needle for secret in known if len(secret) >= _PART_OF_MESSAGE for needle in _needles(secret, True)
        ]
        short = "|".join(re.escape(secret) for secret in known if len(secret) < _PART_OF_MESSAGE)
        self._short = re.compile(rf"(?<!\w)(?:{short})(?!\w)") if short else None

    def text(self, text: str) -> str:
        """A text of an answer without a secret; the same object where it has none, or is no text."""
        return _without(text, self._answers) if isinstance(text, str) else text

    def message(self, text: str) -> str:
        """A message of an error without a secret, a part of one, or what looks like a key."""
        text = _LOOKS_LIKE_A_KEY.sub(HIDDEN, text)
        if self._short is not None:
            text = self._short.sub(HIDDEN, text)
        return _without(text, self._messages)

    def answer(self, answer: ChatAnswer) -> ChatAnswer:
        """An answer without a secret; the same object where it has none."""
        return with_texts(answer, self.text) if self._answers else answer

    def error(self, error: _Error) -> _Error:
        """An error without a secret in its message, its notes and its causes; the same object where it has none.

        What it came from is left out where that holds a secret.
        """
        if (not self._messages and self._short is None) or all(self._is_clean(one) for one in _chain(error)):
            return error
        redacted: EmoSimError = error
        if not self._is_clean(error):
            redacted = self._clean(error)
            redacted.__cause__, redacted.__suppress_context__ = error.__cause__, error.__suppress_context__
        if not all(self._is_clean(one) for one in list(_chain(redacted))[1:]):
            redacted.__cause__ = redacted.__context__ = None
        return redacted  # type: ignore[return-value]

    def _is_clean(self, error: BaseException) -> bool:
        texts = [str(error), repr(error), *map(str, getattr(error, "__notes__", ()))]
        return all(self.message(text) == text for text in texts)

    def _clean(self, error: EmoSimError) -> EmoSimError:
        with contextlib.suppress(Exception):  # a class of a plugin may not be made to be copied
            redacted = copy.copy(error)
            redacted.args = tuple(self.message(str(one)) if isinstance(one, str) else one for one in error.args)
            redacted.__dict__.pop("__notes__", None)
            if self._is_clean(redacted):
                return redacted
        if not isinstance(error, LLMError):
            return PluginError(self.message(str(error)))
        plain = LLMError(self.message(str(error)))
        plain.usage = error.usage
        return plain


def with_texts(answer: ChatAnswer, clean: Callable[[str], str]) -> ChatAnswer:
    """An answer each text of which is cleaned; the same object where that changes none."""
    texts: dict[str, Any] = {name: clean(getattr(answer, name)) for name in ("text", "reasoning", "model")}
    shares = answer.probabilities
    if isinstance(shares, Mapping) and shares:
        cleaned = {clean(label): share for label, share in shares.items()}
        shares = shares if cleaned == shares else cleaned
    if shares is answer.probabilities and all(text == getattr(answer, name) for name, text in texts.items()):
        return answer
    return replace(answer, **texts, probabilities=shares)


def looks_like_a_key(text: str) -> bool:
    """Whether a text looks like a key of a service, such as ``sk-`` and many letters and digits."""
    return _IS_A_KEY.search(text) is not None


def secrets_of_environment() -> list[str]:
    """The values of environment variables whose names suggest a key, a token, a password or a secret."""
    return [value.strip() for name, value in os.environ.items() if _NAMES_A_SECRET.search(name)]


def without_keys(text: str, redactor: Redactor) -> str:
    """A text that is to be given away, without secrets and without what looks like a key of a service."""
    return redactor.text(_IS_A_KEY.sub(HIDDEN, text))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it came from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def _needles(secret: str, message: bool = False) -> Iterator[_Needle]:
    """All forms in which a secret is looked for."""
    data = secret.encode("utf-8", "surrogatepass")
    in_parts = (len(secret) >= _LONG and any(sign.isdigit() for sign in secret)) or len(secret) >= _LONG_LETTERS
    part = _PART_OF_MESSAGE if message else _PART if in_parts else 0
    plain = secret.translate(_LOWER)
    yield _Needle.of(_LOWER, plain, part or len(plain))
    if len(bare := _BETWEEN.sub("", plain)) < len(plain) and len(bare) >= SHORTEST:
        yield _Needle.of(_LOWER, bare, part or len(bare))
    digits = data.hex()
    yield _Needle.of(_LOWER, digits, min(2 * (part or len(data)), len(digits)))
    for offset in range(3):
        # Only those signs that depend on nothing but the secret, whatever stands around it.
        first = (8 * offset + 5) // 6
        sure = base64.b64encode(bytes(offset) + data).decode()[first : 8 * (offset + len(data)) // 6]
        yield _Needle.of(_STANDARD, sure, min(part * 8 // 6, len(sure)) if part else len(sure))


def _without(text: str, needles: list[_Needle]) -> str:
    """A text in which no part of a needle stands; the same object where none did."""
    if not needles or len(text) < min(needle.least for needle in needles):
        return text
    hidden: list[_Span] = []
    for view, reading in _views(text).items():
        matches = list(_matches(view, needles))
        if matches:
            spans = _spans(text, reading)
            hidden += [(spans[start][0], spans[end - 1][1]) for start, end in matches]
    if not hidden:
        return text
    shown, at = [], 0
    for start, end in _merged(hidden):
        shown += [text[at:start], HIDDEN]
        at = end
    return "".join([*shown, text[at:]])


def _views(text: str) -> dict[str, _Reading]:
    """A text as it can be read, each with the reading that makes it so."""
    escaped = "%" in text or "\\" in text or "&#" in text
    views: dict[str, _Reading] = {}
    for reading in _READINGS:
        view = text
        for step in reading:
            if escaped or step not in (_ESCAPE, _QUOTED):
                view = step.sub(_read if step in (_ESCAPE, _QUOTED) else "", view)
        views.setdefault(view, reading)
    return views


def _spans(text: str, reading: _Reading) -> list[_Span]:
    """Where each character of a view of a text stands in the text itself."""
    spans = [(at, at + 1) for at in range(len(text))]
    for step in reading:
        view, more, at = [], [], 0
        for match in step.finditer(text):
            sign = _read(match)
            view += [text[at : match.start()], sign]
            more += spans[at : match.start()]
            if sign:
                more.append((spans[match.start()][0], spans[match.end() - 1][1]))
            at = match.end()
        text, spans = "".join([*view, text[at:]]), more + spans[at:]
    return spans


def _read(match: re.Match[str]) -> str:
    """The character that an escape stands for; nothing for what is left out."""
    if match.re is _QUOTED:
        return chr(int(match[1], 16))
    if match.re is not _ESCAPE:
        return ""
    url, code, byte, hexadecimal, decimal, slash, long, braced, octal = match.groups()
    if slash:
        return slash
    if decimal or octal:
        return chr(int(decimal) if decimal else int(octal, 8))
    return chr(int(url or code or byte or hexadecimal or long or braced, 16))


def _matches(view: str, needles: list[_Needle]) -> Iterator[_Span]:
    """Where parts of needles stand in a view of a text."""
    lower, standard = view.translate(_LOWER), view.translate(_STANDARD)
    for needle in needles:
        straw = lower if needle.form is _LOWER else standard
        text, size = needle.text, len(needle.pieces[0])
        for number, piece in enumerate(needle.pieces):
            at = straw.find(piece)
            while at >= 0:
                start, left, right = number * needle.step, 0, size
                while left < min(start, at) and text[start - left - 1] == straw[at - left - 1]:
                    left += 1
                while start + right < len(text) and straw[at + right : at + right + 1] == text[start + right]:
                    right += 1
                if left + right >= needle.least:
                    yield at - left, at + right
                at = straw.find(piece, at + 1)


def _merged(spans: list[_Span]) -> list[_Span]:
    """Spans in order, those that touch made one."""
    merged: list[_Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
