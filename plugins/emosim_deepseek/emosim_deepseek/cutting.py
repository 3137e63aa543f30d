"""Cutting: notices where a server has cut prompts, by the tokens that it reports for them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

log = logging.getLogger("emosim_core.llm")

_CHARACTERS = 20
"""Characters that a token holds at most, on average over a prompt; those of languages in use hold 1 to 7."""

_SHORTEST = 400
"""Characters below which a prompt proves nothing."""

_ALIKE = 8
"""Prompts that are reported with one and the same number of tokens, the highest of all, before that is a cap."""

_SPREAD = 1.25
"""How many times as long as the shortest of them the longest is, at least."""


class CutPrompts:
    """Compares what was sent with what a server says that it has read, and warns once.

    Args:
        service: who is asked, for the warning.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._warned = False
        self._most = 0
        self._lengths: set[int] = set()
        self._times = 0

    def look(self, messages: Sequence[Mapping[str, Any]], tokens: int) -> None:
        """See whether a prompt was cut.

        Args:
            messages: what was sent.
            tokens: how many tokens the server reports for it; 0 where it does not say.
        """
        if self._warned or tokens <= 0:
            return
        sent = sum(len(message["content"]) for message in messages)
        if sent < _SHORTEST:
            return
        if tokens * _CHARACTERS < sent:
            self._warn(f"{tokens:,} tokens for a prompt of {sent:,} characters")
            return
        if tokens > self._most:
            self._most, self._lengths, self._times = tokens, set(), 0
        if tokens == self._most:
            self._lengths.add(sent)
            self._times += 1
            if self._times >= _ALIKE and max(self._lengths) >= _SPREAD * min(self._lengths):
                self._warn(
                    f"{tokens:,} tokens, and never more, for prompts of {min(self._lengths):,} to "
                    f"{max(self._lengths):,} characters"
                )

    def _warn(self, what: str) -> None:
        self._warned = True
        log.warning(
            "%s reports %s: it seems to cut prompts, so that the model does not read all of them. Give it a longer "
            "context (vLLM: --max-model-len, llama.cpp: -c, Ollama: num_ctx), or show less (--llm-rater)",
            self._service,
            what,
        )
