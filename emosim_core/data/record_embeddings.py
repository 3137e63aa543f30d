"""Embeddings that stand in the records of a file, beside the other fields of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from emosim_core.data.cells import shortened
from emosim_core.errors import DataError
from emosim_core.model.frozen import Frozen, option


class RecordEmbeddingsOptions(Frozen):
    """Options of items from a file whose records may have embeddings. A loader subclasses it and describes its path."""

    path: Path = Field(description="The file.")
    embeddings: Literal["file", "none"] = option(
        "file", "'file': use the embeddings that the file has; 'none': leave them out."
    )
    embedding_name: str = option(
        "", "What made the embeddings; where empty, their field in the file, a hyphen and their length."
    )


class RecordEmbeddings:
    """Collects the embeddings of a file's records, one record after the other.

    Attributes:
        wanted: whether the options ask for them; where not, none is kept.

    Args:
        field: what the file calls an embedding.
        items_word: what its items are called, for messages ("films").
        options: whether to use the embeddings, and what made them.
    """

    def __init__(
        self, path: str | os.PathLike[str], field: str, items_word: str, options: RecordEmbeddingsOptions
    ) -> None:
        self.wanted = options.embeddings == "file"
        self._path, self._field, self._items_word, self._name = path, field, items_word, options.embedding_name
        self._vectors: list[NDArray[np.float32] | None] = []
        self._width = 0

    def add(self, values: Sequence[float] | None, row: int | str) -> None:
        """Take the embedding of the next record; a DataError where it is not finite, or another length than before."""
        if values is None or not self.wanted:
            self._vectors.append(None)
            return
        if not values:
            raise self._wrong(f"expected a list of numbers, got {shortened(values)}", row)
        try:
            with np.errstate(over="ignore"):
                vector = np.array(values, dtype=np.float32)
        except OverflowError:  # a whole number of JSON has as many digits as it likes
            vector = np.array([np.inf], dtype=np.float32)
        if not np.isfinite(vector).all():
            raise self._wrong("a value is not a finite number", row)
        self._width = self._width or len(vector)
        if len(vector) != self._width:
            raise self._wrong(f"has {len(vector)} numbers; the {self._items_word} before it have {self._width}", row)
        self._vectors.append(vector)

    def stacked(self) -> tuple[NDArray[np.float32] | None, str]:
        """All embeddings and what made them.

        Returns:
            One row per record, NaN where it has no embedding, and their name; None and an empty name where no record
            has one.
        """
        if not self._width:
            return None, ""
        table = np.full((len(self._vectors), self._width), np.nan, dtype=np.float32)
        for i, vector in enumerate(self._vectors):
            if vector is not None:
                table[i] = vector
        return table, self._name or f"{self._field}-{self._width}"

    def _wrong(self, message: str, row: int | str) -> DataError:
        return DataError(self._path, message, row=row, field=self._field)
