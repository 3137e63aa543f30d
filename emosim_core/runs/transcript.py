"""Transcript: the lines of transcript.jsonl, each a request to a language model with its answer, and their reader."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.runs import schemas
from emosim_core.runs.reading import check, read_lines

if TYPE_CHECKING:
    from emosim_core.components.base import Exchange

TRANSCRIPT = "transcript.jsonl"

Exchanges = dict[tuple[int, int, int], list[dict[str, Any]]]
"""What :func:`read_transcript` yields, by episode, step and place in the slate; the first attempt first."""

_CACHED = re.compile(rb',"cached":(?:true|false)\}\n$')


class Transcript:
    """Makes the lines of a transcript. What many requests have in common stands in a line of its own, once.

    Such a line has ``id``, the first 16 digits of the SHA-256 of its value, and either ``text``, a message, or
    ``options``. Shared are the options of a request and its messages before the last.
    """

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._options: tuple[Mapping[str, Any], str] | None = None

    def lines(self, exchange: Exchange, episode: int, step: int, user: str, item: str) -> list[bytes]:
        """The line of an exchange, after those of what it shares with others and no line holds yet."""
        lines: list[bytes] = []

        def shared(name: str, value: str | Mapping[str, Any], identity: str) -> str:
            if identity not in self._ids:
                self._ids.add(identity)
                lines.append(json_text.line({"id": identity, name: value}))
            return identity

        if self._options is None or self._options[0] != exchange.options:
            self._options = dict(exchange.options), _id(exchange.options)
        *before, (role, text) = exchange.messages
        line: dict[str, Any] = {"episode": episode, "step": step, "user": user, "place": exchange.place, "item": item}
        line["messages"] = [{"role": one, "id": shared("text", content, _id_of(content))} for one, content in before]
        line["messages"].append({"role": role, "text": text})
        line["options"] = shared("options", *self._options)
        line["answer"] = exchange.answer
        if exchange.about != "rating":
            line["about"] = exchange.about
        line |= {name: value for name in ("error", "reasoning", "model") if (value := getattr(exchange, name))}
        if not exchange.finished:
            line["finished"] = False
        return [*lines, json_text.line({**line, "usage": exchange.usage, "cached": exchange.cached})]


def compared(line: bytes) -> bytes:
    """What must be the same when a run is repeated: a line without ``cached``."""
    return _CACHED.sub(b"", line)


def read_transcript(directory: Path) -> Iterator[dict[str, Any]]:
    """The exchanges of a run with a language model, in the order of the file.

    Each has ``episode``, ``step``, ``user``, ``place`` and ``item``; ``messages``, each with ``role`` and ``text``;
    ``options``; ``answer``, null where the request failed; ``usage`` and ``cached``; and where there is something to
    say, ``error``, ``reasoning``, ``model`` and ``finished``.

    Raises:
        RunError: there is no transcript, or a line is damaged; names the line.
    """
    path = directory / TRANSCRIPT
    shared: dict[str, Any] = {}
    for number, line in read_lines(path):
        where = f"{path}, line {number}:"
        if "id" in line:
            check(where, line, schemas.SHARED)
            value = line["text"] if "text" in line else line.get("options", {})
            if _id(value) != line["id"]:
                raise RunError(f"{where} is damaged: id: it is not that of its value")
            shared[line["id"]] = value
            continue
        check(where, line, schemas.EXCHANGE)
        wanted = [line["options"], *(message["id"] for message in line["messages"] if "id" in message)]
        if missing := [identity for identity in wanted if identity not in shared]:
            raise RunError(f"{where} is damaged: no line before it has the id {missing[0]!r}")
        line["options"] = shared[line["options"]]
        line["messages"] = [
            {"role": message["role"], "text": shared[message["id"]] if "id" in message else message["text"]}
            for message in line["messages"]
        ]
        yield line


def exchanges_of(directory: Path, episode: int | None = None) -> Exchanges:
    """The exchanges of a run by their places.

    Args:
        episode: the only episode that is wanted; None for all.

    Raises:
        ConfigurationError: the run has no transcript.
        RunError: as of :func:`read_transcript`.
    """
    if not (directory / TRANSCRIPT).exists():
        raise ConfigurationError(
            f"--prompts: {directory} has no {TRANSCRIPT}; a run writes it when a language model is called, unless it "
            "was made with --no-transcript"
        )
    exchanges: Exchanges = {}
    for one in read_transcript(directory):
        if episode in (None, one["episode"]):
            exchanges.setdefault((one["episode"], one["step"], one["place"]), []).append(one)
    return exchanges


def _id(value: str | Mapping[str, Any]) -> str:
    return _id_of(value if isinstance(value, str) else json_text.dumps(value, sort_keys=True))


@lru_cache(maxsize=64)
def _id_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
