"""Bodies: strict JSON, and the errors of services in all common formats, with what they mean by ``phrases.toml``."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, NamedTuple, NoReturn

from pydantic import BeforeValidator

from emosim_core.loading import read_toml

_SHOWN = 200
_READ = 4000
"""Characters of an error message that are read."""

_HIDDEN_HTML = re.compile(r"<(script|style|head)\b.*?(</\1>|$)|<!--.*?(-->|$)", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")


class Fault(NamedTuple):
    """An error as a service reports it: its message, its codes, types and reasons in lower case, and the fields of the
    request that it names."""

    text: str
    codes: tuple[str, ...] = ()
    params: tuple[str, ...] = ()


Pattern = Annotated[re.Pattern[str], BeforeValidator(lambda parts: f"(?i){'|'.join(parts)}")]


@dataclass(frozen=True)
class Meaning:
    """What an error means by its codes or by its text."""

    code: Pattern
    text: Pattern

    def of(self, fault: Fault) -> bool:
        """Whether an error means this."""
        return any(map(self.code.search, fault.codes)) or self.text.search(fault.text) is not None


@dataclass(frozen=True)
class Phrases:
    """Patterns by what they mean; ``phrases.toml`` describes each."""

    starting: Pattern
    no_path: Pattern
    wrong_key: Pattern
    not_taken: Pattern
    refusal: Meaning
    setup: Meaning
    no_balance: Meaning
    statuses: dict[int, Pattern]


PHRASES = read_toml(files("emosim_deepseek") / "phrases.toml", "emosim_deepseek/phrases.toml", Phrases)


def strict_json(text: str | bytes) -> Any:
    """The value of a JSON text; a whole number of more than 20 digits becomes None.

    A ValueError where it is not JSON, has a key twice in an object, or NaN or Infinity; a RecursionError where it is
    nested too deeply.
    """
    return json.loads(
        text,
        object_pairs_hook=_once,
        parse_constant=_no_constant,
        parse_int=lambda digits: int(digits) if len(digits) <= 20 else None,
    )


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def shortened(text: str) -> str:
    """A text on one line without control and invisible characters, cut off after 200 characters."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 4 * _SHOWN + _READ]).split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def fault_in(body: bytes) -> Fault:
    """The error in a body, in the format of OpenAI, Anthropic, Google or FastAPI, as text or as HTML."""
    text = body[: 64 * 1024].decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Fault(_plain(text)[:_READ])
    fault = fault_of(value)
    return fault if fault.text else fault._replace(text=text[:_READ])


def fault_of(value: Any) -> Fault:
    """The error in a JSON value."""
    entries: dict[str, list[str]] = {"message": [], "code": [], "param": []}
    for kind, entry in _entries(value, 0):
        entries[kind].append(entry)
    text = "; ".join(dict.fromkeys(message.strip() for message in entries["message"] if message.strip()))
    return Fault(text[:_READ], tuple(code.lower() for code in entries["code"]), tuple(entries["param"]))


def _entries(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """The messages, codes and fields in a JSON value, each with its kind."""
    if depth > 6:
        return
    if isinstance(value, str):
        yield "message", value
    elif isinstance(value, list):
        for one in value[:20]:
            yield from _entries(one, depth + 1)
    elif isinstance(value, dict):
        for kind, names in (("code", ("code", "type", "status", "reason", "reasons")), ("param", ("param", "loc"))):
            for name in names:
                entry = value.get(name)
                parts = entry if isinstance(entry, list) else [entry]
                yield from ((kind, str(part)) for part in parts if isinstance(part, str) or type(part) is int)
        for name in ("message", "msg", "error", "detail", "error_description", "error_msg", "raw", "title"):
            entry = value.get(name)
            if name == "title" and "detail" in value:
                continue
            if name == "msg" and isinstance(entry, str) and isinstance(value.get("loc"), list):
                entry = f"{'.'.join(str(step) for step in value['loc'])}: {entry}"  # FastAPI's
            yield from _entries(entry, depth + 1)
        for name in ("errors", "innererror", "metadata", "content_filter_result"):
            yield from _entries(value.get(name), depth + 1)


def _plain(text: str) -> str:
    """The text of a page in HTML; any other text as it is."""
    if not re.match(r"\s*<(!doctype|html|head|body|\?xml|h1|center|pre|p|div)\b", text, re.IGNORECASE):
        return text
    title = _TITLE.search(text)
    rest = _TAG.sub(" ", _HIDDEN_HTML.sub(" ", text))
    parts = [" ".join(html.unescape(part).split()) for part in (title[1] if title else "", rest)]
    first, second = parts
    return second if not first or second.startswith(first) else f"{first}: {second}" if second else first
