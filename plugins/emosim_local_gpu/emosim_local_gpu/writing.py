"""Writing: several answers at once, each by its own writer, one token per answer and pass; and the Sampler, which
picks tokens."""

from __future__ import annotations

import hashlib
import json
import random
from collections import deque
from collections.abc import Collection, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from emosim_core.llm import ChatRequest, LLMRequestError
from emosim_local_gpu.chat_format import CLOSE, OPEN
from emosim_local_gpu.engine import Engine, Prefix, Rows

if TYPE_CHECKING:
    import torch

    Tokens = Generator[list[int], torch.Tensor, None]


class Writer(Protocol):
    """Chooses an answer token by token."""

    def write(self) -> Tokens:
        """Yield tokens, at least one except for the first time, and receive the logits after them."""
        ...


def write(engine: Engine, rows: Rows, prefix: Prefix, writers: Sequence[Writer]) -> None:
    """Let each writer continue its row; an LLMRequestError where the model has no cache, so that it cannot."""
    started = []
    for row, writer in zip(rows, writers, strict=True):
        generator = writer.write()
        first = next(generator, None)
        if first is not None:
            started.append((generator, [*row, *first]))
    groups: dict[int, list[tuple[Tokens, list[int]]]] = {}
    for one in started:
        groups.setdefault(0 if engine.branches else len(one[1]), []).append(one)
    for group in groups.values():
        _write_group(engine, [row for _, row in group], prefix, [generator for generator, _ in group])


def _write_group(engine: Engine, rows: Rows, prefix: Prefix, generators: Sequence[Tokens]) -> None:
    read = engine.read(rows, prefix, keep=True)
    if read.cache is None:
        raise LLMRequestError("the model has no cache of keys and values, so it can only choose, not write")
    queues: list[deque[int]] = [deque() for _ in rows]
    going = list(range(len(rows)))
    places = list(going)
    while True:
        for i, place in zip(going, places, strict=True):
            if not queues[i]:
                with suppress(StopIteration):
                    queues[i].extend(generators[i].send(read.logits[place, -1]))
        active = [(i, place) for i, place in zip(going, places, strict=True) if queues[i]]
        if not active:
            return
        if len(active) <= read.logits.shape[0] // 2:
            engine.keep_rows(read, [place for _, place in active])
            active = [(i, place) for place, (i, _) in enumerate(active)]
        going, places = [i for i, _ in active], [place for _, place in active]
        fed = [0] * read.logits.shape[0]
        for i, place in active:
            fed[place] = queues[i].popleft()
        engine.go_on(read, fed)


@dataclass
class Sampler:
    """Picks tokens; the likeliest one at a temperature of 0."""

    temperature: float = 0.0
    numbers: random.Random = field(default_factory=lambda: random.Random(0))

    @classmethod
    def of(cls, request: ChatRequest) -> Sampler:
        """The sampler of a request; its draws do not depend on other requests."""
        messages = [[one.role, one.content] for one in request.messages]
        key = json.dumps([request.seed, request.sample, messages], ensure_ascii=False)
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        return cls(request.temperature, random.Random(int.from_bytes(digest, "big")))

    def pick(self, logits: torch.Tensor, allowed: torch.Tensor | None = None) -> int:
        """One token, by logits of the shape ``(V,)``.

        Those that may be picked, if not all, are ``allowed``, of the same shape; at least one.
        """
        import torch

        scores = logits.float()
        if allowed is not None:
            scores = scores.masked_fill(~allowed.to(scores.device), -torch.inf)
        best = int(scores.argmax())
        if not torch.isfinite(scores[best]):
            raise LLMRequestError("what the model computes is no number: try dtype=float32 or dtype=bfloat16")
        if not self.temperature:
            return best
        edges = ((scores - scores[best]) / self.temperature).exp().cumsum(0)
        at = torch.searchsorted(edges, edges[-1] * self.numbers.random(), right=True)
        chosen = min(int(at), len(edges) - 1)
        return chosen if allowed is None or bool(allowed[chosen]) else best


class TextWriter:
    """Writes one answer until the model ends it, of ``most`` tokens without thoughts and ``most_in_all`` with them.

    ``thinks`` says whether the prompt ends with an open thought.
    """

    def __init__(
        self, tokenizer: Any, ends: Collection[int], sampler: Sampler, most: int, most_in_all: int, thinks: bool = False
    ) -> None:
        self._tokenizer, self._ends, self._sampler = tokenizer, ends, sampler
        self._most, self._most_in_all, self._thinks = most, most_in_all, thinks
        self._opened = thinks
        self._tokens: list[int] = []
        self._thought = 0
        self.cut_off = False

    def write(self) -> Tokens:
        """Yield the tokens one by one; the first list that is yielded is empty."""
        logits = yield []
        opening, closing = self._mark(OPEN), self._mark(CLOSE)
        while True:
            token = self._sampler.pick(logits)
            if token in self._ends:
                return
            self._tokens.append(token)
            if token == opening and len(self._tokens) <= 2:
                self._opened = True
            if token == closing:
                self._opened, self._thought = False, len(self._tokens)
            length = 0 if self._opened else len(self._tokens) - self._thought
            if length >= self._most or len(self._tokens) >= self._most_in_all:
                self.cut_off = True
                return
            logits = yield [token]

    @property
    def written(self) -> int:
        """Number of tokens, thoughts included."""
        return len(self._tokens)

    @property
    def thought(self) -> int:
        """Number of tokens of thoughts."""
        return len(self._tokens) if self._opened else self._thought

    @property
    def parts(self) -> tuple[str, str]:
        text = self._tokenizer.decode(self._tokens, skip_special_tokens=True).strip()
        thoughts, closed, answer = text.partition(CLOSE)
        begun = self._thinks or text.startswith(OPEN)
        if closed and begun:
            return thoughts.removeprefix(OPEN).strip(), answer.strip()
        if begun or self._opened:
            return text.removeprefix(OPEN).strip(), ""
        if self._thought:  # the marks are special tokens, which leave no text
            tokens = self._tokens
            shown = [
                self._tokenizer.decode(part, skip_special_tokens=True).strip()
                for part in (tokens[: self._thought], tokens[self._thought :])
            ]
            return shown[0], shown[1]
        return "", text

    def _mark(self, text: str) -> int | None:
        token = self._tokenizer.convert_tokens_to_ids(text)
        return token if isinstance(token, int) and token != self._tokenizer.unk_token_id else None
