"""Files of an export: there as a whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emosim_core.data.files import partial_path, remove_partial, remove_partials
from emosim_core.errors import RunError


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A path to write a file to; it replaces ``out`` on success, and nothing is left of it on a RunError."""
    with scratch(out) as partial:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        try:
            os.link(partial, out)  # unlike a rename, this replaces nothing that another process has written meanwhile
        except FileExistsError as error:
            raise RunError(f"{out} exists already: another process wrote it meanwhile; choose another place") from error
        except OSError:  # a file system without links
            os.rename(partial, out)


@contextmanager
def scratch(out: Path) -> Iterator[Path]:
    """A path beside ``out``, gone in the end unless it was moved; a RunError where something cannot be written."""
    final = Path(os.path.abspath(out))
    partial = partial_path(final)
    remove_partials(final.parent, final.name)
    try:
        yield partial
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        remove_partial(partial)
