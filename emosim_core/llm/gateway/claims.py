"""Claims: which process sends which request, in tables of the cache, so that no two processes send the same one.

A claim has an owner, which records at intervals that it is alive. A claim ends when its owner releases it, when the
process of the owner on this machine has ended, or when the owner has given no sign of life for a minute.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import time
import uuid
from collections.abc import Collection, Sequence

EXPIRY = 60.0
"""Seconds without a sign of life after which the claims of an owner expire."""

HEARTBEAT = 10.0
"""Seconds between two signs of life of an owner."""

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS owners (id TEXT PRIMARY KEY, machine TEXT NOT NULL, process INTEGER NOT NULL, "
    "expires REAL NOT NULL) WITHOUT ROWID",
)
AT_ONCE = 500


class Owner:
    """Owner of claims: a gateway in this process, with a unique ``id``."""

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self._process = os.getpid()

    def register(self, connection: sqlite3.Connection) -> None:
        """Record a sign of life; in a transaction."""
        connection.execute(
            "INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?)",
            (self.id, _machine(), self._process, time.time() + EXPIRY),
        )

    def claim(self, connection: sqlite3.Connection, keys: Sequence[str]) -> set[str]:
        """Claim the keys that no other owner has claimed; in a transaction. Returns the keys that others claimed."""
        others = claimed(connection, keys, self.id)
        for expired in {owner for owner, alive in others.values() if not alive}:
            connection.execute("DELETE FROM claims WHERE owner = ?", (expired,))
            connection.execute("DELETE FROM owners WHERE id = ?", (expired,))
        elsewhere = {key for key, (_, alive) in others.items() if alive}
        mine = [(key, self.id) for key in keys if key not in elsewhere]
        connection.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?)", mine)
        return elsewhere

    def release(self, connection: sqlite3.Connection, keys: Collection[str]) -> None:
        """Release claims; in a transaction."""
        connection.executemany("DELETE FROM claims WHERE key = ? AND owner = ?", [(key, self.id) for key in keys])

    def leave(self, connection: sqlite3.Connection) -> None:
        """Release all claims of this owner; in a transaction."""
        connection.execute("DELETE FROM claims WHERE owner = ?", (self.id,))
        connection.execute("DELETE FROM owners WHERE id = ?", (self.id,))


def drop(connection: sqlite3.Connection, keys: Sequence[str]) -> None:
    """Remove the claims of answered requests; in a transaction."""
    connection.executemany("DELETE FROM claims WHERE key = ?", [(key,) for key in keys])


def claimed(connection: sqlite3.Connection, keys: Sequence[str], but: str) -> dict[str, tuple[str, bool]]:
    """The keys that owners other than ``but`` have claimed, each with its owner and whether that owner is alive."""
    owners: dict[str, tuple[str, bool]] = {}
    for start in range(0, len(keys), AT_ONCE):
        batch = keys[start : start + AT_ONCE]
        rows = connection.execute(
            "SELECT claims.key, claims.owner, owners.machine, owners.process, owners.expires FROM claims "
            f"LEFT JOIN owners ON owners.id = claims.owner WHERE claims.key IN ({','.join('?' * len(batch))})",
            batch,
        ).fetchall()
        for key, owner, machine, process, expires in rows:
            if owner != but:
                owners[key] = (owner, expires is not None and _is_alive(machine, process, expires))
    return owners


def _is_alive(machine: str, process: int, expires: float) -> bool:
    if time.time() >= expires:
        return False
    if machine != _machine() or os.name != "posix":  # on other systems a signal of 0 ends the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process of another user
        return True
    return True


def _machine() -> str:
    """Identifier of this machine, or of this container on it."""
    try:
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()
