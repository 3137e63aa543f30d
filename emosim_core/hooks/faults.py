"""Faults: an error that escaped from a plugin's code, as one message that names the plugin and the line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from emosim_core.errors import EmoSimError, PluginError, WrongAnswerError

TRACEBACK_VARIABLE = "EMOSIM_TRACEBACK"
"""Environment variable that makes the command line show the whole traceback of an error."""


def fault(what: str, error: Exception) -> PluginError:
    """What to raise in place of an error that a plugin's code raised.

    Args:
        what: whose code it was, such as ``"retrieval strategy 'oldest' of emosim-oldest 1.2"``.
    """
    where = ""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "numpy" not in Path(frame.filename).parts]
    if ours:
        where = f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})"
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return PluginError(f"{what} failed with {message}{where}. {TRACEBACK_VARIABLE}=1 shows the whole traceback.")


def pass_on(what: str, error: Exception) -> NoReturn:
    """Raise what a plugin's code raised: an error of EmoSim as it is, a wrong answer with whose it is, else a fault."""
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
