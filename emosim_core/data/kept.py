"""Arrays that are kept in the cache folder between commands and mapped into memory: whole and sound, or made again."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.files import partial_path, remove_partial, remove_partials
from emosim_core.terminal import note

_ABOUT = "about.json"
_FORMAT = 1
_PIECE = 1 << 22
_SMALL = 1 << 16
"""Bytes of a file up to which it is read and not mapped."""


def read_kept(folder: Path) -> tuple[dict[str, NDArray], dict[str, Any]] | None:
    """The arrays of a folder by name, and what was written about them; None where there are none.

    Every byte is compared with a checksum (CRC-32), which is there against damage, not against forgery. Damaged arrays
    are removed, with a warning.
    """
    if not folder.is_dir():
        return None
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if about["format"] != _FORMAT:
            raise ValueError(f"it has the format {about['format']}")
        for name, (size, checksum) in about["files"].items():
            if (size, checksum) != _measured(folder / f"{name}.npy"):
                raise ValueError(f"{name}.npy is not what was written")
        return {name: _mapped(folder / f"{name}.npy") for name in about["files"]}, about["about"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        warnings.warn(f"{folder} is damaged and is made anew: {error}", stacklevel=2)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def keep(folder: Path, arrays: Mapping[str, NDArray], about: Mapping[str, Any], what: str) -> None:
    """Keep arrays in a folder, whole or not at all; where it cannot be written, with a warning.

    Two processes may keep the same arrays at the same time; those of the first stay.

    Args:
        about: what is to be known of them, as JSON.
        what: what they are, for messages ("1,000,000 films").
    """
    partial = partial_path(folder.with_name(f"{folder.name}-{secrets.token_hex(4)}"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_partials(folder.parent)
        partial.mkdir()
        files = {}
        for name, array in arrays.items():
            np.save(partial / f"{name}.npy", array, allow_pickle=False)
            files[name] = _measured(partial / f"{name}.npy")
        content = json.dumps({"format": _FORMAT, "files": files, "about": dict(about)})
        (partial / _ABOUT).write_text(content, encoding="utf-8")
        try:
            os.rename(partial, folder)
        except OSError:
            if not folder.is_dir():
                raise  # else another process has kept them meanwhile
        note(f"{what} are kept in {folder}, from where later commands load them.")
    except OSError as error:
        warnings.warn(f"{what} cannot be kept in {folder.parent} and are made again next time: {error}", stacklevel=2)
    finally:
        remove_partial(partial)


def _measured(path: Path) -> tuple[int, int]:
    """Size and checksum of a file."""
    size, checksum, buffer = 0, 0, memoryview(bytearray(_PIECE))
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            size, checksum = size + count, zlib.crc32(buffer[:count], checksum)
    return size, checksum


def _mapped(path: Path) -> NDArray:
    array = np.load(path, mmap_mode="r" if path.stat().st_size > _SMALL else None, allow_pickle=False)
    return array.view(np.ndarray)
