"""Writing: several answers at once, each written by its own writer, one token each per pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from emosim_core.llm import LLMRequestError
from emosim_local_gpu.engine import Engine, Prefix, Rows

if TYPE_CHECKING:
    import torch


class Writer(Protocol):
    """Decides what follows, token by token."""

    def write(self) -> Generator[list[int], torch.Tensor, None]:
        """Yields tokens to be read by the model, at least one but the first time, and is sent the logits after them."""
        ...


def write(engine: Engine, rows: Rows, prefix: Prefix, writers: Sequence[Writer]) -> None:
    """Let each writer write after its row.

    Args:
        engine: the model.
        rows: tokens of each question.
        prefix: what the rows begin with.
        writers: one for each row.

    Raises:
        LLMRequestError: the model cannot go on with what it has read.
    """
    started = []
    for row, writer in zip(rows, writers, strict=True):
        hand = writer.write()
        first = next(hand, None)
        if first is not None:
            started.append((hand, [*row, *first]))
    if engine.branches:
        groups = [started] if started else []
    else:
        by_length: dict[int, list[tuple[Generator[list[int], torch.Tensor, None], list[int]]]] = {}
        for one in started:
            by_length.setdefault(len(one[1]), []).append(one)
        groups = list(by_length.values())
    for group in groups:
        _write_group(engine, [row for _, row in group], prefix, [hand for hand, _ in group])


def _write_group(
    engine: Engine, rows: Rows, prefix: Prefix, hands: Sequence[Generator[list[int], torch.Tensor, None]]
) -> None:
    read = engine.read(rows, prefix, keep=True)
    if read.cache is None:
        raise LLMRequestError("the model keeps nothing of what it has read, so it can only choose, not write")
    queues: list[deque[int]] = [deque() for _ in rows]
    going = list(range(len(rows)))
    places = list(going)
    while True:
        for i, place in zip(going, places, strict=True):
            if not queues[i]:
                with suppress(StopIteration):
                    queues[i].extend(hands[i].send(read.logits[place, -1]))
        kept = [(i, place) for i, place in zip(going, places, strict=True) if queues[i]]
        if not kept:
            return
        if len(kept) <= read.logits.shape[0] // 2:
            engine.keep_rows(read, [place for _, place in kept])
            kept = [(i, place) for place, (i, _) in enumerate(kept)]
        going, places = [i for i, _ in kept], [place for _, place in kept]
        fed = [0] * read.logits.shape[0]
        for i, place in kept:
            fed[place] = queues[i].popleft()
        engine.go_on(read, fed)
