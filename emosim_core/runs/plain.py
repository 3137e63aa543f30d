"""Plain: files of a job's directory that lead nowhere else, names of folders in it, and texts that can be seen."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from emosim_core.errors import RunError

_SHOWN = 300

_NOT_OURS = ("wandb", "tensorboard")
"""Folders of a training that other programs write, with links of their own."""


def own_files(directory: Path) -> None:
    """See that a job's directory holds plain files and folders alone, which lead nowhere else.

    Raises:
        RunError: there is a link, a pipe or a device in it; it has not been opened.
    """
    try:
        folders = [os.fspath(directory)] if directory.is_dir() else []
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    mode = entry.stat(follow_symlinks=False).st_mode
                    if stat.S_ISDIR(mode):
                        if entry.name not in _NOT_OURS:
                            folders.append(entry.path)
                    elif not stat.S_ISREG(mode):
                        what = "a symbolic link" if stat.S_ISLNK(mode) else "a pipe, a socket or a device"
                        raise RunError(
                            f"{visible(entry.path)} is {what}, and files of a job are not followed elsewhere. Put the "
                            "file itself in its place, or remove it"
                        )
    except OSError as error:
        raise RunError(f"{directory} cannot be read: {error.strerror}") from error


def child(directory: Path, name: Any) -> Path:
    """The path of a folder in ``directory`` that a file of it names.

    Raises:
        RunError: the name is none, or leads elsewhere.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or not set(name).isdisjoint("/\\\0") or ":" in name:
        raise RunError(f"{directory}: {json.dumps(name)[:_SHOWN]} is no name of a folder in it; the files were changed")
    return directory / name


def visible(text: str) -> str:
    """A text with escapes, as TOML and JSON have them, for what is not seen or turns the line around."""
    return "".join(
        one if one.isprintable() else f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"
        for one in text
    )
