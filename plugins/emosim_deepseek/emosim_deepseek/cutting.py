"""Cutting: detects from the reported tokens that a server truncates prompts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

log = logging.getLogger("emosim_core.llm")

_CHARACTERS = 20
"""Greatest mean number of characters per token of a prompt; living languages have 1 to 7."""

_SHORTEST = 400
"""Characters of the shortest prompt that is checked."""

_ALIKE = 8
"""Prompts with the same, highest number of tokens from which this number counts as a limit."""

_SPREAD = 1.25
"""Least ratio of the longest of these prompts to the shortest."""


class CutPrompts:
    """Compares the length of prompts with the tokens that a server reports, and warns once."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._warned = False
        self._most = 0
        self._lengths: set[int] = set()
        self._times = 0

    def look(self, messages: Sequence[Mapping[str, Any]], tokens: int) -> None:
        """Check whether a prompt was truncated, of which the server reports so many tokens, or 0 for none."""
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
