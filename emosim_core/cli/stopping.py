"""Stopping: SIGTERM and SIGHUP end a command as Ctrl-C does, and what is said then."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from emosim_core.cli.printing import print_line
from emosim_core.errors import EmoSimError, PluginError, interruption
from emosim_core.signals import STOPPING

if TYPE_CHECKING:
    from emosim_core.runs.job import JobDirectory

CTRL_C = 130
"""Exit status after Ctrl-C, as shells have it: 128 and the number of the signal."""

_UNTOUCHED = (signal.SIG_DFL, signal.default_int_handler)

_AT_ONCE = 2.0
"""Seconds in which a signal that comes again is the same one: a terminal that closes sends several."""


_AGAIN = 0.05
"""Seconds after which a signal that was lost is delivered again."""

_received: list[int] = []
"""The signals that the command line has received, which is the main program of its process."""


class _Stopped(KeyboardInterrupt):
    """What SIGTERM and SIGHUP raise.

    Where a plain KeyboardInterrupt goes through an exec, as in imports, ``python -m`` ends by SIGINT in the end.
    """


def heeding_signals(main: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
    """Give the function of a command line, which leaves by SystemExit, an end on SIGTERM and SIGHUP as on Ctrl-C.

    The exit status is 128 and the number of the signal. A signal that the process ignores, as under ``nohup``, stays
    ignored. One that arrives where Python cannot raise, in a callback of C or a ``__del__``, is delivered again. A
    library may turn one into another error: :func:`came_of_signal` says whether one did.
    """

    @functools.wraps(main)
    def heeding(*arguments: object) -> NoReturn:
        _received.clear()
        last = 0.0

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal last
            _received.append(number)
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            before, last = last, time.monotonic()
            if last - before > _AT_ONCE:
                raise _Stopped

        def unraisable(lost: sys.UnraisableHookArgs) -> None:
            nonlocal last
            if not issubclass(lost.exc_type, KeyboardInterrupt):
                before_us(lost)
                return
            last = 0.0
            number = _received[-1] if issubclass(lost.exc_type, _Stopped) else signal.SIGINT
            later = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
            later.daemon = True
            later.start()

        changed = {}
        before_us, sys.unraisablehook = sys.unraisablehook, unraisable
        if threading.current_thread() is threading.main_thread():
            changed = {one: before for one in STOPPING if (before := signal.getsignal(one)) in _UNTOUCHED}
        for number in changed:
            signal.signal(number, stop)
        try:
            main(*arguments)
        except SystemExit as leaving:
            if _received and leaving.code:  # 130, or what a terminal leads to that is no longer there
                sys.exit(128 + _received[0])
            raise
        finally:
            sys.unraisablehook = before_us
            for number, before in changed.items():
                signal.signal(number, before)

    return heeding


def came_of_signal(error: BaseException) -> bool:
    """Whether an error is an interruption, or what became of one in a library.

    Some libraries drop the interruption: after a signal, an error that nobody raised on purpose came of it too.
    """
    unexpected = not isinstance(error, EmoSimError) or isinstance(error, PluginError)
    return interruption(error) is not None or bool(_received and unexpected and isinstance(error, Exception))


@contextmanager
def telling_progress(job: JobDirectory) -> Iterator[None]:
    """Says what is there after Ctrl-C or a signal, and how to go on, and leaves."""
    from emosim_core.runs.job import start_again

    try:
        yield
    except BaseException as error:
        if not came_of_signal(error):
            raise
        raise print_interrupted(job.resume_hint() or start_again()) from None


def leave_at_once() -> NoReturn:
    """End the process as after a signal, without waiting for its threads."""
    click.echo("Interrupted.", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + _received[0] if _received else CTRL_C)


def print_interrupted(what: str) -> click.exceptions.Exit:
    """Say that a command was interrupted; returns what to raise."""
    for line in ("", *f"Interrupted. {what}".split("\n")):
        print_line(line, err=True)
    return click.exceptions.Exit(CTRL_C)
