"""JsonWriter: constrained decoding of a JSON text by llguidance, so that the text always follows its schema."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from emosim_local_gpu.writing import Sampler

if TYPE_CHECKING:
    import torch
    from llguidance import LLMatcher, LLTokenizer

_TO_END = 1000
"""Tokens beyond its budget in which a text may end as its schema allows, unless the context is full before."""

_ENDING = ('"', "}", "]", ",")
_LAYOUT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class UnknownSchemaError(ValueError):
    """A schema cannot be enforced; the message is that of llguidance."""


class Schemas:
    """Grammars of JSON schemas over the tokens of a model with ``size`` logits, V."""

    def __init__(self, tokenizer: Any, size: int, ends: Collection[int]) -> None:
        self._tokenizer, self.size, self._ends = tokenizer, size, sorted(ends)
        self._matchers: dict[str, LLMatcher] = {}

    @cached_property
    def tokens(self) -> LLTokenizer:
        """The tokens as bytes; made at the first schema, which takes seconds for a large vocabulary."""
        from llguidance.hf import from_tokenizer

        try:
            return from_tokenizer(self._tokenizer, self.size, eos_token=self._ends or None)
        except ValueError as error:
            raise UnknownSchemaError(f"the tokenizer has an unknown form: {error}") from error

    @cached_property
    def ending(self) -> list[int]:
        """Tokens by which a text ends soonest, in the order of preference."""
        return [token for mark in _ENDING for token in self.tokens.greedy_tokenize(mark)[:1]]

    def matcher(self, schema: Mapping[str, Any]) -> LLMatcher:
        """The state of a text of which nothing is written."""
        from llguidance import LLMatcher

        text = json.dumps(schema)
        if text not in self._matchers:
            matcher = LLMatcher(self.tokens, LLMatcher.grammar_from_json_schema(text, defaults=_LAYOUT), log_level=0)
            if matcher.is_error():
                raise UnknownSchemaError(" ".join(matcher.get_error().split()))
            self._matchers[text] = matcher
        return self._matchers[text].deep_copy()


class JsonWriter:
    """Writes one JSON text; an UnknownSchemaError where the schema cannot be enforced.

    After ``most`` tokens the text ends as soon as its schema allows, after ``room`` tokens in any case; ``cut_off``
    says whether it ended because of one of them, or is not whole.
    """

    thought = 0

    def __init__(self, schemas: Schemas, schema: Mapping[str, Any], sampler: Sampler, most: int, room: int) -> None:
        self._schemas, self._sampler, self._most, self._room = schemas, sampler, most, min(room, most + _TO_END)
        self._matcher, self._tokens = schemas.matcher(schema), list[int]()
        self.cut_off = False

    def write(self) -> Generator[list[int], torch.Tensor, None]:
        """Write the text; the first list of tokens that is yielded may be empty."""
        matcher = self._matcher
        logits = yield self._take(matcher.compute_ff_tokens())
        while not matcher.is_stopped():
            if self.written >= self._room:
                self.cut_off = True
                return
            tokens = matcher.compute_ff_tokens() or [self._next(logits)]
            if tokens[0] in self._schemas.tokens.eos_tokens:
                break
            logits = yield self._take(tokens)
        self.cut_off |= not self._matcher.is_accepting()  # no token goes on, or llguidance gives up

    @property
    def written(self) -> int:
        return len(self._tokens)

    @property
    def parts(self) -> tuple[str, str]:
        """No thoughts, and the text."""
        return "", self._schemas.tokens.decode_str(self._tokens)

    def _next(self, logits: torch.Tensor) -> int:
        import numpy as np
        import torch

        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder="little", count=self._schemas.size).view(np.bool_)
        if self.written >= self._most:
            self.cut_off = True
            if self._matcher.is_accepting():
                return self._schemas.tokens.eos_token
            for token in self._schemas.ending:
                if allowed[token]:
                    return token
        return self._sampler.pick(logits, torch.from_numpy(allowed))

    def _take(self, tokens: list[int]) -> list[int]:
        self._matcher.consume_tokens(tokens)
        self._tokens += tokens
        return tokens
