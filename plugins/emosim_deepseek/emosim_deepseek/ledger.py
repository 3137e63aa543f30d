"""Ledger: the batches that were sent to a service, in the user's cache folder, so that none is paid for twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from emosim_core.plugins import cache_directory

KEPT = timedelta(days=29)
"""How long a batch is looked for; OpenAI keeps the files of one for 30 days."""


@dataclass
class Sent:
    """One batch: the ids of its requests, no text of them, and no key.

    Attributes:
        file: id of the file of requests at the service.
        batch: id of the batch; empty while it is not known whether it was begun.
        created: when it was sent, as ISO 8601.
        spent: requests without an answer in it; they are sent again.
    """

    service: str
    file: str
    created: str
    requests: list[str]
    batch: str = ""
    spent: list[str] = field(default_factory=list)

    @property
    def open(self) -> set[str]:
        """Requests that it has an answer to, or may get one."""
        return set(self.requests) - set(self.spent)


class Ledger:
    """The batches of one service; ``url`` is its whole address, of which no more than a digest is written."""

    def __init__(self, url: str) -> None:
        self._digest = hashlib.sha256(url.encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where the batches of the service are noted."""
        return cache_directory() / "batches" / self._digest

    def having(self, ids: Iterable[str]) -> list[Sent]:
        """The batches that have some of these requests, the oldest first; damaged and old notes are left out."""
        wanted = set(ids)
        return [one for one in sorted(self._all(), key=lambda one: one.created) if one.open & wanted]

    def write(self, sent: Sent) -> None:
        """Note a batch, whole or not at all; an OSError where that is not possible."""
        path = self._path(sent)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        partial.write_text(json.dumps(asdict(sent)), encoding="utf-8")
        os.replace(partial, path)

    def forget(self, sent: Sent) -> None:
        """Forget a batch that the service does not know any more."""
        self._path(sent).unlink(missing_ok=True)

    def _path(self, sent: Sent) -> Path:
        named = hashlib.sha256("\n".join([sent.created, *sent.requests]).encode()).hexdigest()
        return self.folder / f"{named[:32]}.json"

    def _all(self) -> Iterator[Sent]:
        oldest = (datetime.now(timezone.utc) - KEPT).isoformat()
        for path in self.folder.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
                sent = Sent(**json.loads(path.read_text(encoding="utf-8")))
                texts: Sequence[object] = (sent.file, sent.batch, sent.created, *sent.requests, *sent.spent)
                if sent.created < oldest:
                    path.unlink(missing_ok=True)
                elif all(isinstance(text, str) for text in texts):
                    yield sent
