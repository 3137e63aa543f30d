"""Binding: whether an answer is that of its question, as far as the service lets that be seen.

Every question takes along a name of its own in the header ``X-Request-ID``. Servers such as vLLM make it part of the
answer's id, and many gateways send it back; an answer that carries the name of another question is refused. So is one
with the id of an answer to another question, where ids are such as name one answer alone.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from emosim_core.llm import LLMTransientError

HEADER = "X-Request-ID"

_NAME = re.compile(r"emosim-[0-9a-f]{32}")
_UNIQUE = 12
"""Characters behind its prefix with which an id names one answer; Ollama's three digits come again by chance."""

_REMEMBERED = 65_536
"""Ids that are looked through."""


class Binding:
    """Remembers the ids of answers.

    Args:
        service: who answers, for messages.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._seen: dict[str, tuple[int, int]] = {}

    def name(self) -> str:
        """A name for a question."""
        return f"emosim-{uuid.uuid4().hex}"

    def check(self, name: str, question: bytes, headers: Mapping[str, str], body: bytes, answer_id: object) -> None:
        """See whether an answer may be that of a question.

        Args:
            name: the question's name.
            question: what was sent.
            headers: of the answer.
            body: of the answer.
            answer_id: the id in it.

        Raises:
            LLMTransientError: it is the answer to another question.
        """
        carried = set(_NAME.findall(body.decode("latin-1")))
        carried.update(match for value in headers.values() for match in _NAME.findall(value))
        if carried - {name}:
            raise self._foreign("it carries the name of another question")
        if not isinstance(answer_id, str) or not answer_id:
            return
        this = (hash(question), hash(body))
        before = self._seen.setdefault(answer_id, this)
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if before[0] == this[0]:
            return
        unique = len(re.sub(r"^[A-Za-z]+[-_]", "", answer_id)) >= _UNIQUE
        if unique or (before[1] == this[1] and len(self._seen) > 1):
            raise self._foreign("it has the id of the answer to another one")

    def _foreign(self, why: str) -> LLMTransientError:
        return LLMTransientError(
            f"{self._service} sends an answer that is not the answer to this question: {why}. Something between here "
            "and the model mixes answers up"
        )
