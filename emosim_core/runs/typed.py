"""Typed: a command that a message suggests, quoted so that a shell reads it back as it is meant."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def typed(*words: str | Path) -> str:
    """A command of ``emosim`` as one types it.

    Args:
        words: what follows ``emosim``. A path is quoted, and is no option even where it begins with a dash; a text is
            quoted too.
    """
    return " ".join(["emosim", *(quoted(word) for word in words)])


def continue_with(command: str, directory: Path) -> str:
    """How to continue the job in a directory, which ``command`` of ``emosim`` made."""
    return f"Continue with: {typed(command, '--resume', directory)}"


def quoted(word: str | Path) -> str:
    """One word of a command, quoted where a shell needs that."""
    text = f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(
        one if one.isprintable() and one not in "\\'" else "".join(f"\\x{byte:02x}" for byte in os.fsencode(one))
        for one in text
    )
    return f"$'{escaped}'"  # what a terminal does not show as it is
