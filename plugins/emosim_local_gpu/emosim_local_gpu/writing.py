"""Writing: several answers at once, each by its own writer, one token per answer and pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from emosim_core.llm import LLMRequestError
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
    """Let each writer continue its row.

    Raises:
        LLMRequestError: the model has no cache of keys and values, so it cannot continue a row.
    """
    started = []
    for row, writer in zip(rows, writers, strict=True):
        generator = writer.write()
        first = next(generator, None)
        if first is not None:
            started.append((generator, [*row, *first]))
    if engine.branches:
        groups = [started] if started else []
    else:
        by_length: dict[int, list[tuple[Tokens, list[int]]]] = {}
        for one in started:
            by_length.setdefault(len(one[1]), []).append(one)
        groups = list(by_length.values())
    for group in groups:
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
