"""Claims: which process asks which question, in tables of the cache, so that no two ask the same at the same time.

A claim names its owner, and an owner says again and again that it is alive. A claim lapses when its owner takes it
back, when the owner's process on this machine is gone, or when the owner has not been heard of for a minute.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence

EXPIRY = 60.0
"""Seconds after which an owner that is not heard of has lost its claims."""

HEARTBEAT = 10.0
"""Seconds between two signs of life of an owner."""

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS owners (id TEXT PRIMARY KEY, machine TEXT NOT NULL, process INTEGER NOT NULL, "
    "expires REAL NOT NULL) WITHOUT ROWID",
)
AT_ONCE = 500


class Owner:
    """Who claims questions: a gateway in this process.

    Attributes:
        id: differs from that of every other owner.
    """

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self._process = os.getpid()

    def register(self, connection: sqlite3.Connection) -> None:
        """Give a sign of life; in a transaction."""
        connection.execute(
            "INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?)",
            (self.id, _machine(), self._process, time.time() + EXPIRY),
        )

    def claim(self, connection: sqlite3.Connection, keys: Sequence[str]) -> set[str]:
        """Claim those questions that no other owner has; in a transaction. Returns those that others have."""
        others = claimed(connection, keys, self.id)
        for gone in {owner for owner, alive in others.values() if not alive}:
            connection.execute("DELETE FROM claims WHERE owner = ?", (gone,))
            connection.execute("DELETE FROM owners WHERE id = ?", (gone,))
        elsewhere = {key for key, (_, alive) in others.items() if alive}
        mine = [(key, self.id) for key in keys if key not in elsewhere]
        connection.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?)", mine)
        return elsewhere

    def release(self, connection: sqlite3.Connection, keys: Sequence[str]) -> None:
        """Take claims back; in a transaction."""
        connection.executemany("DELETE FROM claims WHERE key = ? AND owner = ?", [(key, self.id) for key in keys])

    def leave(self, connection: sqlite3.Connection) -> None:
        """Take all claims back; in a transaction."""
        connection.execute("DELETE FROM claims WHERE owner = ?", (self.id,))
        connection.execute("DELETE FROM owners WHERE id = ?", (self.id,))


class Heartbeat:
    """Calls something again and again, in a thread of its own, from :meth:`start` to :meth:`stop`."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._wake = threading.Event()
        self._ends = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, if that was not done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="emosim-llm-claims", daemon=True)
            self._thread.start()

    def soon(self) -> None:
        """Call it now, without waiting for it."""
        self._wake.set()

    def stop(self) -> None:
        """End."""
        if self._thread is not None:
            self._ends = True
            self._wake.set()
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait(HEARTBEAT)
            self._wake.clear()
            if self._ends:
                return
            self._beat()


def drop(connection: sqlite3.Connection, keys: Sequence[str]) -> None:
    """Remove the claims of questions that are answered; in a transaction."""
    connection.executemany("DELETE FROM claims WHERE key = ?", [(key,) for key in keys])


def claimed(connection: sqlite3.Connection, keys: Sequence[str], but: str) -> dict[str, tuple[str, bool]]:
    """Those questions that others than ``but`` have claimed: of each its owner, and whether that one is alive."""
    found: dict[str, tuple[str, bool]] = {}
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        rows = connection.execute(
            "SELECT claims.key, claims.owner, owners.machine, owners.process, owners.expires FROM claims "
            f"LEFT JOIN owners ON owners.id = claims.owner WHERE claims.key IN ({','.join('?' * len(some))})",
            some,
        ).fetchall()
        for key, owner, machine, process, expires in rows:
            if owner != but:
                found[key] = (owner, expires is not None and _is_alive(machine, process, expires))
    return found


def _is_alive(machine: str, process: int, expires: float) -> bool:
    if time.time() >= expires:
        return False
    if machine != _machine() or os.name != "posix":  # elsewhere a signal of 0 ends the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _machine() -> str:
    """This machine; of several containers on it, this one."""
    try:
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()
