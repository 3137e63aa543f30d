"""Notes: which values of a job's directory its user gave on this machine, signed, in the user's state folder."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import platform
import secrets
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emosim_core.data.files import write_whole
from emosim_core.paths import STATE_VARIABLE, state_directory

_SECRET_BYTES = 32

_LOOKED_AT = 64
"""Other notes that are looked at when one is written. More are thrown away then than come to be."""

_FORGOTTEN_AFTER = 90 * 24 * 3600
"""Seconds after which the note of a directory that is not here goes, if another machine wrote it."""

Values = Mapping[str, Any]


def write_note(directory: Path, *values: Values) -> None:
    """Note that this user gave these values to the job in ``directory``; what was noted of it before goes.

    Args:
        values: JSON by the name of the field, and again where a field has had several values; the note holds digests
            alone.

    Raises:
        OSError: the state folder cannot be written.
    """
    folder = _folder()
    notes = folder / "notes"
    for made in (folder, notes):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = _secret(folder) or _new_secret(folder)
    signatures: dict[str, list[str]] = {}
    for configuration in values:
        for name, value in configuration.items():
            signatures.setdefault(name, []).append(_signed(secret, [name, value]))
    note = {"directory": os.path.realpath(directory), "machine": platform.node(), "values": signatures}
    write_whole(_path(notes, directory), json.dumps({**note, "signature": _signed(secret, note)}).encode() + b"\n")
    _prune(notes)


def forget_note(directory: Path) -> None:
    """Forget what is noted of ``directory``, if anything; a note that cannot be removed is no obstacle."""
    with contextlib.suppress(OSError):
        _path(_folder() / "notes", directory).unlink()


def noted(directory: Path, values: Values) -> set[str]:
    """The names of those values that are noted for ``directory`` as they are."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        folder = _folder()
        secret = _secret(folder)
        note = json.loads(_path(folder / "notes", directory).read_bytes())
        signature = note.pop("signature")
        if secret is not None and hmac.compare_digest(_signed(secret, note), signature):
            known = note["values"] if note["directory"] == os.path.realpath(directory) else {}
            return {name for name, value in values.items() if _signed(secret, [name, value]) in known.get(name, ())}
    return set()


def _folder() -> Path:
    folder = state_directory()
    if not folder.is_absolute():  # one that depends on the current folder could be anybody's
        raise OSError(f"{folder} is no absolute path; give one in {STATE_VARIABLE}")
    return folder / "trust"


def _path(notes: Path, directory: Path) -> Path:
    return notes / f"{hashlib.sha256(os.fsencode(os.path.realpath(directory))).hexdigest()[:40]}.json"


def _signed(secret: bytes, content: Any) -> str:
    return hmac.new(secret, json.dumps(content, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def _secret(folder: Path) -> bytes | None:
    """The secret; None where there is none, or another user could have read or written it."""
    try:
        descriptor = os.open(folder / "secret", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
        content = os.read(descriptor, _SECRET_BYTES + 1)
    finally:
        os.close(descriptor)
    if os.name == "posix" and (status.st_mode & 0o077 or (os.geteuid() and status.st_uid != os.geteuid())):
        return None
    return content if stat.S_ISREG(status.st_mode) and len(content) == _SECRET_BYTES else None


def _new_secret(folder: Path) -> bytes:
    """Make the secret, whole and at once; of several processes, one makes it and all take that one."""
    descriptor, name = tempfile.mkstemp(prefix=".secret-", dir=folder)  # for its owner alone
    final = folder / "secret"
    try:
        with open(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_SECRET_BYTES))
        try:
            os.link(name, final)
        except FileExistsError:
            if _secret(folder) is None:  # one that others could have read
                os.replace(name, final)
        except OSError:  # a disk without links
            os.replace(name, final)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    made = _secret(folder)
    if made is None:
        raise OSError(f"{folder / 'secret'} cannot be kept from other users")
    return made


def _prune(notes: Path) -> None:
    """Throw away notes of directories that are gone; a part of all is looked at each time."""
    names = os.listdir(notes)
    for name in secrets.SystemRandom().sample(names, min(_LOOKED_AT, len(names))):
        path = notes / name
        if name.startswith("."):  # another process is writing it
            continue
        with contextlib.suppress(OSError):
            try:
                note = json.loads(path.read_bytes())
                directory, here = note["directory"], note["machine"] == platform.node()
            except (ValueError, KeyError, TypeError):
                directory, here = "", True
            old = time.time() - path.stat().st_mtime > _FORGOTTEN_AFTER
            if (here or old) and not os.path.lexists(directory):
                path.unlink()
