"""Signals that end a program, held back while something runs that must not be interrupted half way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import current_thread, main_thread
from types import FrameType

STOPPING = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
"""The signals that users and systems end a program with, where there are such."""


@contextmanager
def signals_later() -> Iterator[None]:
    """Hold these signals back until the end of the block, here and in the processes that it starts.

    The first that came is raised at the end. A signal whose handler is not Python's acts at once.
    """
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)

    with ExitStack() as leave:  # in reverse order, and all of it, whatever comes in between
        leave.callback(_raise_first, received)
        if hasattr(signal, "pthread_sigmask"):
            # What new processes inherit. A signal for this one may still come in by another thread.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            leave.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        if current_thread() is main_thread():
            for number in STOPPING:
                handler = signal.getsignal(number)
                if callable(handler):
                    leave.callback(signal.signal, number, handler)
                    signal.signal(number, receive)
        yield


def _raise_first(received: list[int]) -> None:
    if received:
        signal.raise_signal(received[0])
