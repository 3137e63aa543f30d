"""The answers that a run used: found in the cache by the requests of its transcript, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.llm.chat import ChatRequest, Message
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.llm.gateway.cache_lines import CachedAnswer, Cleaner, cache_key_of, request_json, write_line
from emosim_core.runs.transcript import TRANSCRIPT, read_transcript

_AT_ONCE = 500


def write_answers(directory: Path, identities: Sequence[str], cache: AnswerCache, out: Path) -> tuple[int, int]:
    """Write the answers that a run used, one line each, in the order in which it used them.

    Args:
        identities: the identity of the model, under which they are written, and others under which they may be cached.

    Returns:
        How many there are, and in how many of them a key was replaced.

    Raises:
        RunError: the run has no transcript, a request failed, or answers are missing in the cache.
        DataError: the cache cannot be read.
    """
    if not (directory / TRANSCRIPT).exists():
        raise RunError(
            f"{directory} has no {TRANSCRIPT}, which says what was asked. Make the run again with --replay, without "
            "--no-transcript: its answers are cached"
        )
    requests, failed = _requests(directory)
    if failed:
        raise RunError(
            f"{directory}: {_some(len(failed), 'request')} got no answer ({failed[0]}); a run with a failed request "
            "cannot be replayed"
        )
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
    return count, cleaner.changed


def _requests(directory: Path) -> tuple[dict[str, None], list[str]]:
    """The requests of a run as canonical JSON, each once, in their order; and why some got no answer."""
    requests: dict[str, None] = {}
    failed = []
    for line in read_transcript(directory):
        if line["answer"] is None:
            failed.append(str(line.get("error", "no reason is known"))[:300])
            continue
        try:
            requests[request_json(_request(line))] = None
        except (TypeError, ValueError, ConfigurationError) as error:
            raise RunError(f"{directory / TRANSCRIPT} holds a request that cannot be read: {error}") from error
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
