"""AnswerCache: the answers of language models in an SQLite file, safe with several threads and processes."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from emosim_core.data.files import partial_path, remove_partial
from emosim_core.data.places import open_table, read_lines
from emosim_core.errors import ConfigurationError, DataError, LLMCacheError
from emosim_core.llm.chat import LARGEST_COUNT, ChatAnswer, Usage, checked
from emosim_core.llm.gateway import claims
from emosim_core.llm.gateway.cache_lines import (
    CachedAnswer,
    answer_json,
    answer_of,
    cache_key_of,
    read_line,
    request_json,
    request_of,
    write_line,
)
from emosim_core.paths import cache_directory

_APPLICATION = 0x454D4F53
"""Application id in the header of the file ("EMOS")."""

_VERSION = 2
"""Format of the file. A file of format 1, which had no claims, is upgraded when it is opened for writing."""

_BUSY_SECONDS = 60.0
_MIB = 1024 * 1024

_LARGEST_LOG = 8000
"""Pages in SQLite's write-ahead log at which a commit checkpoints it, unless :meth:`settle` did so before."""

# The columns that a look-up reads come before the request, which is long, so that its pages are not read.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    identity TEXT NOT NULL,
    created INTEGER NOT NULL,
    prompt INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    completion INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    answer TEXT NOT NULL,
    request TEXT NOT NULL
)
"""
# A file written by another program may hold numbers that EmoSim never writes.
_IS_COUNT = f"(typeof({{0}}) = 'integer' AND {{0}} BETWEEN 0 AND {LARGEST_COUNT})"
_COUNTS = ("prompt", "cached", "completion", "reasoning")
_DAY = "CASE WHEN typeof(created) = 'integer' AND created BETWEEN 0 AND 253402300799 THEN created END"
_STATISTICS = (
    "SELECT CAST(identity AS TEXT), count(*), "
    + ", ".join(f"total(CASE WHEN {_IS_COUNT.format(name)} THEN {name} END)" for name in _COUNTS)
    + f", total(NOT ({' AND '.join(_IS_COUNT.format(name) for name in _COUNTS)})), min({_DAY}), max({_DAY}) "
    "FROM answers GROUP BY identity ORDER BY count(*) DESC, identity"
)
_NEXT_ROWS = (
    "SELECT id, identity, created, prompt, cached, completion, reasoning, answer, request "
    "FROM answers WHERE id > ? ORDER BY id LIMIT 500"
)
_UNKNOWN = -1

_PASSING = ("full", "disk I/O", "locked", "readonly", "unable to open")
"""Texts in SQLite's messages for errors that may be temporary."""

_INSERT = (
    "INSERT OR IGNORE INTO answers (key, identity, created, prompt, cached, completion, reasoning, answer, request) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def default_cache_path() -> Path:
    """The cache file that is used if no other is given."""
    return cache_directory() / "llm.sqlite3"


class Pruned(NamedTuple):
    """Numbers of answers that :meth:`AnswerCache.prune` removed and that remain, and the bytes of the file after it."""

    removed: int
    remaining: int
    bytes: int


Row = tuple[str | int, ...]
"""A row of the table ``answers``, without its id."""


class Exchange(NamedTuple):
    """Result of :meth:`AnswerCache.exchange`.

    Attributes:
        existing: answers by key that another process wrote first; they are not replaced.
        answered: cached answers to requests that were to be claimed.
        elsewhere: keys of requests that another process has claimed.
    """

    existing: Mapping[str, ChatAnswer]
    answered: Mapping[str, ChatAnswer]
    elsewhere: set[str]


class AnswerCache:
    """Answers by cache key. A cached answer is never replaced.

    The file is opened at the first use, and created if it does not exist. Answers survive the death of the process as
    soon as :meth:`exchange` returns; those of the last moments before a power failure may be lost. Every method raises
    a DataError where the file cannot be read or written or is no cache of answers; it is an :class:`LLMCacheError`
    where SQLite says so.

    Args:
        path: the file.
        read_only: whether nothing is written, so that the file may be on read-only storage; a missing file then has
            no answers.
        patience: seconds to wait while another process writes.
    """

    def __init__(self, path: str | os.PathLike[str], read_only: bool = False, patience: float = _BUSY_SECONDS) -> None:
        self.path = Path(path).expanduser()
        self._read_only = read_only
        self._patience = patience
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    # -------------------------------------------------------------------------------- reading and writing

    def get_many(self, keys: Sequence[str]) -> dict[str, ChatAnswer]:
        """The cached answers by key; a key without an answer is absent."""
        with self._reading() as connection:
            return {} if connection is None else _look_up(connection, keys)

    def entries(self, keys: Sequence[str]) -> dict[str, CachedAnswer]:
        """The cached answers by key, each with its request; a key without an answer is absent."""
        with self._reading() as connection:
            if connection is None:
                return {}
            rows = [
                row
                for start in range(0, len(keys), claims.AT_ONCE)
                for row in _rows_of(connection, keys[start : start + claims.AT_ONCE])
            ]
            return {key: _entry(*entry) for key, *entry in rows}

    def progress(self, keys: Sequence[str], owner: claims.Owner) -> tuple[dict[str, ChatAnswer], set[str]]:
        """State of requests that another process has claimed: answers by key, and the keys that are still claimed."""
        with self._reading() as connection:
            assert connection is not None
            # In this order: a request answered between the two queries is no longer claimed, and :meth:`exchange`
            # finds its answer.
            answered = _look_up(connection, keys)
            owners = claims.claimed(connection, [key for key in keys if key not in answered], owner.id)
        return answered, {key for key, (_, alive) in owners.items() if alive}

    @staticmethod
    def row(key: str, identity: str, canonical: str, answer: ChatAnswer) -> Row:
        """An answer as :meth:`exchange` takes it; ``canonical`` is its request as canonical JSON."""
        return _row(key, identity, int(time.time()), answer, canonical)

    def exchange(
        self, rows: Sequence[Row], wanted: Sequence[str], owner: claims.Owner, released: Collection[str] = ()
    ) -> Exchange:
        """Write answers, and release and claim requests, in one transaction.

        Args:
            rows: answers, as :meth:`row` returns them; their claims are released.
            wanted: keys of requests to claim. Those that have an answer, and those that another process has claimed,
                are not claimed.
            owner: owner of the claims; it is alive.
            released: keys of requests whose claims are released.
        """
        existing: dict[str, ChatAnswer] = {}
        answered: dict[str, ChatAnswer] = {}
        elsewhere: set[str] = set()
        with self._writing() as connection:
            if rows:
                keys = [str(row[0]) for row in rows]
                if connection.executemany(_INSERT, rows).rowcount < len(rows):
                    existing = _look_up(connection, keys)  # another process wrote one of them first
                claims.drop(connection, keys)
            if released:
                owner.release(connection, released)
            if wanted:
                owner.register(connection)
                answered = _look_up(connection, wanted)
                elsewhere = owner.claim(connection, [key for key in wanted if key not in answered])
        return Exchange(existing, answered, elsewhere)

    def sign_of_life(self, owner: claims.Owner) -> None:
        """Record that an owner of claims is alive."""
        with self._writing() as connection:
            owner.register(connection)

    def release(self, owner: claims.Owner) -> None:
        """Release all claims of an owner."""
        with self._writing() as connection:
            owner.leave(connection)

    def settle(self) -> None:
        """Checkpoint SQLite's write-ahead log; while others read and write."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    # ---------------------------------------------------------------------------------------- maintenance

    def stats(self) -> dict[str, Any]:
        """Size of the file, and per backend the number of answers, tokens and dates, as JSON values."""
        rows: list[tuple[Any, ...]] = []
        if self.path.exists():
            with self._reading() as connection:
                assert connection is not None
                rows = connection.execute(_STATISTICS).fetchall()
        names = ("answers", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "unknown_usage")
        models = [
            {
                "identity": identity,
                **dict(zip(names, map(int, counts), strict=True)),
                "first": _day(first),
                "last": _day(last),
            }
            for identity, *counts, first, last in rows
        ]
        return {
            "path": str(self.path),
            "bytes": self._bytes(),
            "answers": sum(model["answers"] for model in models),
            "models": models,
        }

    def prune(
        self, older_than_days: float | None = None, max_mb: float | None = None, identity: str | None = None
    ) -> Pruned:
        """Remove answers, and shrink the file.

        Args:
            older_than_days: remove answers that are older than this, in days.
            max_mb: then remove the oldest answers until the file is no larger than this, in MiB.
            identity: remove only answers of this backend; all of them if given alone.

        Raises:
            ConfigurationError: no criterion is given.
        """
        if older_than_days is None and max_mb is None and identity is None:
            raise ConfigurationError(
                "say which answers to remove: by age (--older-than), by the size of the file (--max-mb), or by model "
                "(--model)"
            )
        condition, parameters = ("identity = ?", [_storable(identity)]) if identity is not None else ("1", [])
        removed = 0
        with self._writing() as connection:
            if older_than_days is not None:
                before = time.time() - older_than_days * 86400
                removed += connection.execute(
                    f"DELETE FROM answers WHERE {condition} AND created < ?", [*parameters, before]
                ).rowcount
            elif max_mb is None:
                removed += connection.execute(f"DELETE FROM answers WHERE {condition}", parameters).rowcount
            if max_mb is not None:
                removed += _shrink(connection, int(max_mb * _MIB), condition, parameters)
            (remaining,) = connection.execute("SELECT count(*) FROM answers").fetchone()
        with self._lock, contextlib.suppress(sqlite3.OperationalError):  # fails beside a reader; the file stays large
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return Pruned(removed, remaining, self._bytes())

    def export(
        self, path: str | os.PathLike[str], clean: Callable[[CachedAnswer], CachedAnswer] = lambda entry: entry
    ) -> int:
        """Write all answers, each cleaned, to a file of JSON lines, whole or not at all; returns how many."""
        target = Path(path).expanduser()
        partial = partial_path(target)
        count = 0
        try:
            with partial.open("w", encoding="ascii", newline="\n") as stream:
                for entry in self._all():
                    stream.write(write_line(clean(entry)))
                    count += 1
            os.replace(partial, target)
        except OSError as error:
            raise DataError(target, f"cannot be written: {error.strerror or error}") from error
        finally:
            remove_partial(partial)
        return count

    def import_(
        self, path: str | os.PathLike[str], clean: Callable[[CachedAnswer], CachedAnswer] = lambda entry: entry
    ) -> tuple[int, int]:
        """Add the answers of a file that :meth:`export` wrote, each cleaned, all of them or none.

        A DataError names a line that is malformed. Returns how many were added, and how many exist already and are
        unchanged.
        """
        added = total = 0
        with self._writing() as connection:
            for number, line in _lines(Path(path).expanduser()):
                try:
                    identity, request, answer, created = clean(read_line(line))
                    canonical = request_json(request)
                except (ValueError, ConfigurationError) as error:
                    raise DataError(path, f"is not a cached answer: {error}", row=number) from error
                row = _row(cache_key_of(identity, canonical), identity, created, answer, canonical)
                added += connection.execute(_INSERT, row).rowcount
                total += 1
        return added, total - added

    def _all(self) -> Iterator[CachedAnswer]:
        """All answers, in the order in which they were written."""
        rows: list[tuple[Any, ...]] = [(0,)]
        while rows:
            with self._reading() as connection:
                rows = [] if connection is None else connection.execute(_NEXT_ROWS, (rows[-1][0],)).fetchall()
                entries = [_entry(*row[1:]) for row in rows]
            yield from entries

    def _bytes(self) -> int:
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    # -------------------------------------------------------------------------------------------- the file

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """The connection; None if there is no file and none may be created."""
        with self._lock, self._worded("cannot be read"):
            yield None if self._read_only and not self.path.exists() else self._opened()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all changes made inside are committed, or none."""
        with self._lock, self._worded("cannot be written"):
            if self._read_only:
                raise DataError(self.path, "was opened for reading only")
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _worded(self, what: str) -> Iterator[None]:
        """Turn errors of SQLite and of damaged rows into an :class:`LLMCacheError` that says what to do."""
        advice = "Choose another file, or move this one away"
        try:
            yield
        except sqlite3.OperationalError as error:
            full, passing = "full" in str(error), any(sign in str(error) for sign in _PASSING)
            advice = "Make room on its disk" if full else advice
            worded = LLMCacheError(self.path, f"the cache of answers {what}: {error}. {advice}.")
            worded.passing = passing
            raise worded from error
        except (sqlite3.Error, UnicodeError, ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"is damaged, or no cache of answers ({error})"
            raise LLMCacheError(
                self.path, f"{message}. {advice}; answers that are still readable stay in it."
            ) from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open_to_read() if self._read_only else self._open()
            self._connection.execute(f"PRAGMA busy_timeout = {int(self._patience * 1000)}")
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(self.path, f"its folder cannot be made: {error.strerror or error}") from error
        return self._prepared(_connect(self.path))

    def _open_to_read(self) -> sqlite3.Connection:
        uri = self.path.absolute().as_uri()
        try:
            return self._prepared(_connect(f"{uri}?mode=ro", uri=True))
        except sqlite3.OperationalError:  # on read-only storage a file in WAL mode opens only as immutable
            return self._prepared(_connect(f"{uri}?immutable=1", uri=True))

    def _prepared(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """A connection that is checked and, for writing, set up; it is closed where that fails."""
        try:
            self._check(connection)
            if not self._read_only:
                _set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Reject a file of another application or of a newer version, before anything is written."""
        connection.execute("BEGIN")  # one state of the file: another process may be making it at this moment
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("COMMIT")
        if application != _APPLICATION and (tables or self._read_only):
            raise DataError(self.path, "is a database of something else, no cache of answers; choose another file")
        if version > _VERSION:
            raise DataError(self.path, f"has the format {version} of a newer EmoSim; this one reads up to {_VERSION}")


def _connect(path: str | Path, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=uri)


def _set_up(connection: sqlite3.Connection) -> None:
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:  # SQLite does not wait where two processes switch a new file to WAL at the same time
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LARGEST_LOG}")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == _VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in (_SCHEMA, *claims.SCHEMA):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _look_up(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, ChatAnswer]:
    answers: dict[str, ChatAnswer] = {}
    for start in range(0, len(keys), claims.AT_ONCE):
        batch = keys[start : start + claims.AT_ONCE]
        rows = connection.execute(
            "SELECT key, answer, prompt, cached, completion, reasoning FROM answers "
            f"WHERE key IN ({','.join('?' * len(batch))})",
            batch,
        )
        for key, answer, *usage in rows.fetchall():
            answers[key] = answer_of(json.loads(answer), _usage(*usage))
    return answers


def _rows_of(connection: sqlite3.Connection, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT key, identity, created, prompt, cached, completion, reasoning, answer, request FROM answers "
        f"WHERE key IN ({','.join('?' * len(keys))})",
        keys,
    ).fetchall()


def _entry(identity: str, created: int, *more: Any) -> CachedAnswer:
    """A row of the table, from its column ``identity`` on."""
    *usage, answer, request = more
    return CachedAnswer(
        identity, request_of(json.loads(request)), answer_of(json.loads(answer), _usage(*usage)), created
    )


def _row(key: str, identity: str, created: int, answer: ChatAnswer, canonical: str) -> Row:
    usage = checked(answer.usage)
    tokens = (usage.prompt, usage.cached, usage.completion, usage.reasoning)
    stored = tokens if usage.known else tuple(count or _UNKNOWN for count in tokens)
    return (key, _storable(identity), created, *stored, answer_json(answer), canonical)


def _usage(prompt: object, cached: object, completion: object, reasoning: object) -> Usage:
    return Usage.reported(prompt, completion, cached, reasoning)


def _storable(text: str) -> str:
    """A text with lone surrogates, which come from paths that are not UTF-8, escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _shrink(connection: sqlite3.Connection, most: int, condition: str, parameters: list[str]) -> int:
    """Remove the oldest answers until the file uses at most ``most`` bytes; returns the number removed."""
    removed = 0
    while True:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        used = (pages - free) * size
        (rows,) = connection.execute(f"SELECT count(*) FROM answers WHERE {condition}", parameters).fetchone()
        if used <= most or not rows:
            return removed
        (total,) = connection.execute("SELECT count(*) FROM answers").fetchone()
        count = min(rows, max(1, math.ceil(total * (1 - most / used))))
        removed += connection.execute(
            f"DELETE FROM answers WHERE id IN (SELECT id FROM answers WHERE {condition} ORDER BY created, id LIMIT ?)",
            [*parameters, count],
        ).rowcount


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The non-empty lines of a file, with their numbers from 1; the file may be compressed by gzip."""
    with open_table(path, "answers that 'emosim cache export' wrote") as stream:
        for number, line in read_lines(stream, path):
            try:
                yield number, line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(path, f"is not UTF-8: {error.reason}", row=number) from error


def _day(seconds: int | None) -> str:
    return "unknown" if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d")
