"""The answers that a run used: found in the cache by the requests of its transcript, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.llm.chat import ChatRequest, Message
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.llm.gateway.cache_lines import CachedAnswer, Cleaner, cache_key_of, request_json, write_line
from emosim_core.runs.transcript import TRANSCRIPT, read_transcript

_AT_ONCE = 500

_DIFFERENT_ENDS = (
    "the same request failed once and was answered or failed otherwise at another time, which a replay cannot tell "
    "apart; make the run again, the answers that there are cost nothing"
)


class Written(NamedTuple):
    """Answers that were written.

    Attributes:
        answers: how many there are.
        redacted: in how many of them a key was replaced.
        failures: why the requests without an answer have none, by their cache keys.
    """

    answers: int
    redacted: int
    failures: dict[str, str]


def write_answers(directory: Path, identities: Sequence[str], cache: AnswerCache, out: Path) -> Written:
    """Write the answers that a run used, one line each, in the order in which it used them.

    Args:
        identities: the identity of the model, under which they are written, and others under which they may be cached.

    Raises:
        RunError: the run has no transcript, a request failed and was answered elsewhere in the run, or answers are
            missing in the cache.
        DataError: the cache cannot be read.
    """
    if not (directory / TRANSCRIPT).exists():
        raise RunError(
            f"{directory} has no {TRANSCRIPT}, which says what was asked. Make the run again with --replay, without "
            "--no-transcript: its answers are cached"
        )
    requests, failed = _requests(directory)
    cleaner, count, canonicals = Cleaner(), 0, list(requests)
    with out.open("w", encoding="ascii", newline="\n") as stream:
        for start in range(0, len(canonicals), _AT_ONCE):
            part = canonicals[start : start + _AT_ONCE]
            entries: dict[str, CachedAnswer] = {}
            for identity in identities:
                keys = {cache_key_of(identity, one): one for one in part if one not in entries}
                entries |= {keys[key]: entry for key, entry in cache.entries(list(keys)).items()}
            if missing := len(part) - len(entries):
                raise RunError(
                    f"{cache.path} lacks {_some(missing, 'answer')} of the first {start + len(part):,} of "
                    f"{len(canonicals):,} that {directory} used; name the cache that the run was made with: --llm-cache"
                )
            for canonical in part:
                entry = entries[canonical]
                stream.write(write_line(cleaner(entry._replace(identity=identities[0]))))
                count += 1
    return Written(count, cleaner.changed, {cache_key_of(identities[0], one): why for one, why in failed.items()})


def _requests(directory: Path) -> tuple[dict[str, None], dict[str, str]]:
    """The answered requests of a run as canonical JSON, each once, in their order; and why the others have no answer.

    Raises:
        RunError: one cannot be read, or the same request came to different ends.
    """
    requests: dict[str, None] = {}
    failed: dict[str, str] = {}
    for line in read_transcript(directory):
        try:
            canonical = request_json(_request(line))
        except (TypeError, ValueError, ConfigurationError) as error:
            raise RunError(f"{directory / TRANSCRIPT} holds a request that cannot be read: {error}") from error
        if line["answer"] is not None:
            requests[canonical] = None
        elif failed.setdefault(canonical, str(line.get("error", ""))) != str(line.get("error", "")):
            raise RunError(f"{directory}: {_DIFFERENT_ENDS}")
    if failed.keys() & requests.keys():
        raise RunError(f"{directory}: {_DIFFERENT_ENDS}")
    return requests, failed


def _request(line: dict[str, Any]) -> ChatRequest:
    options = {**line["options"], "choices": tuple(line["options"].get("choices", ()))}
    return ChatRequest(messages=tuple(Message(one["role"], one["text"]) for one in line["messages"]), **options)


def read_answers(file: Path, identity: str, cache: AnswerCache) -> int:
    """Put the answers of a pack into a new cache; returns how many there are.

    Raises:
        DataError: a line is no cached answer, or that of another model.
    """

    def of_the_model(entry: CachedAnswer) -> CachedAnswer:
        if entry.identity != identity:
            raise ValueError("it is that of another model than the pack names")
        return entry

    added, existing = cache.import_(file, of_the_model)
    return added + existing


def _some(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"
