"""Vectors of a large catalog, kept in the cache folder in the forms in which a catalog holds them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.kept import keep, read_kept
from emosim_core.model.catalog import Catalog
from emosim_core.paths import cache_directory
from emosim_core.terminal import counted

_FORMAT = "vectors/1"


class KeptVectors(NamedTuple):
    """What is kept: the normalized embeddings, shape ``(N, D)``, and what :class:`Catalog` takes as ``whole``."""

    vectors: NDArray[np.float32]
    whole: tuple[NDArray[np.int16], NDArray[np.float64]]


def vectors_folder(*state: str) -> Path:
    """Where vectors are kept that depend on some texts alone."""
    lengths = " ".join(str(len(text)) for text in state)
    name = hashlib.sha256(f"{_FORMAT} {lengths}\n{''.join(state)}".encode("utf-8", "surrogatepass"))
    return cache_directory() / "vectors" / name.hexdigest()


def read_vectors(folder: Path, count: int) -> KeptVectors | None:
    """The vectors of ``count`` items, mapped into memory; None where none are kept."""
    kept = read_kept(folder)
    if kept is None or len(kept[0]["embeddings"]) != count:
        return None
    arrays = kept[0]
    return KeptVectors(arrays["embeddings"], (arrays["whole"], arrays["norms"]))


def keep_vectors(folder: Path, catalog: Catalog) -> None:
    """Keep the vectors of a catalog."""
    arrays: dict[str, NDArray] = {
        "embeddings": catalog.embeddings,
        "whole": catalog.whole_vectors,
        "norms": catalog.norms,
    }
    what = f"vectors of {counted(len(catalog), 'item')}"
    keep(folder, arrays, {"name": catalog.embedding_name}, what)
