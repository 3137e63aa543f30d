"""Binding: checks that an answer belongs to its request, as far as the service allows.

Every request has an id of its own in the header ``X-Request-ID``. Servers such as vLLM make it part of the answer's
id, and many gateways send it back; an answer that carries the id of another request is rejected. So is an answer with
the answer id of another request, where answer ids are unique.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from emosim_core.llm import LLMTransientError

HEADER = "X-Request-ID"

_NAME = re.compile(r"emosim-[0-9a-f]{32}")
_UNIQUE = 12
"""Characters after the prefix from which an answer id is unique; Ollama's three digits repeat by chance."""

_MAX_IDS = 65_536
"""Number of recent answer ids that are stored."""


class Binding:
    """Stores the ids of answers."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._seen: dict[str, tuple[int, int]] = {}

    def name(self) -> str:
        return f"emosim-{uuid.uuid4().hex}"

    def check(self, name: str, request: bytes, headers: Mapping[str, str], body: bytes, answer_id: object) -> None:
        """Check that an answer may belong to a request; an LLMTransientError where it is that to another one."""
        carried = set(_NAME.findall(body.decode("latin-1")))
        carried.update(match for value in headers.values() for match in _NAME.findall(value))
        if carried - {name}:
            raise self._foreign("it carries the id of another request")
        if not isinstance(answer_id, str) or not answer_id:
            return
        this = (hash(request), hash(body))
        before = self._seen.setdefault(answer_id, this)
        if len(self._seen) > _MAX_IDS:
            del self._seen[next(iter(self._seen))]
        if before[0] == this[0]:
            return
        unique = len(re.sub(r"^[A-Za-z]+[-_]", "", answer_id)) >= _UNIQUE
        if unique or (before[1] == this[1] and len(self._seen) > 1):
            raise self._foreign("it has the id of the answer to another one")

    def _foreign(self, why: str) -> LLMTransientError:
        return LLMTransientError(
            f"{self._service} sends an answer that is not the answer to this request: {why}. Something between here "
            "and the model mixes answers up"
        )
