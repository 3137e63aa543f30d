"""Faults: an error that escaped from a plugin's code, as one message that names the plugin and the line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from emosim_core.errors import EmoSimError, PluginError, WrongAnswerError, interruption

TRACEBACK_VARIABLE = "EMOSIM_TRACEBACK"
"""Environment variable that makes the command line show the whole traceback of an error."""


def fault(what: str, error: Exception) -> PluginError:
    """What to raise in place of an error that a plugin's code raised.

    Args:
        what: whose code it was, such as ``"retrieval strategy 'oldest' of emosim-oldest 1.2"``.
    """
    return PluginError(f"{what} failed with {worded(error)}. {TRACEBACK_VARIABLE}=1 shows the whole traceback.")


def worded(error: BaseException) -> str:
    """Type, message and place of an error that is not EmoSim's own: ``"KeyError: 'a' (retrieval.py, line 35)"``."""
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return message + place(error)


def place(error: BaseException) -> str:
    """The file and the line of a plugin's code that raised, as ``" (retrieval.py, line 35)"``; empty where unknown."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _passes_on(frame.filename)]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _passes_on(file: str) -> bool:
    """Whether a file only calls what plugins wrote: numpy, pluggy, the import system, and the files beside this one."""
    path = Path(file)
    return (
        file.startswith("<") or path.parent == Path(__file__).parent or not {"numpy", "pluggy"}.isdisjoint(path.parts)
    )


def pass_on(what: str, error: Exception) -> NoReturn:
    """Raise what a plugin's code raised: an error of EmoSim as it is, a wrong answer with whose it is, else a fault.

    What a library made of Ctrl-C, as compiled code makes a SystemError of it, is raised as the KeyboardInterrupt again.
    """
    if (stopped := interruption(error)) is not None:
        raise stopped
    if not isinstance(error, EmoSimError):
        raise fault(what, error) from error
    if isinstance(error, WrongAnswerError) and not str(error).startswith(what):
        error.args = (f"{what}: {error}",)
    raise error


@contextmanager
def named(what: str) -> Iterator[None]:
    """Words what is raised inside as :func:`pass_on` does."""
    try:
        yield
    except Exception as error:
        pass_on(what, error)
