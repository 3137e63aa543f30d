"""Rows of a Parquet file, with errors that name the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from emosim_core.errors import DataError, MissingDependencyError

INSTALL_PARQUET = 'pip install "emosim-core[parquet]"'


def parquet_rows(
    place: Path, path: str, choose: Callable[[list[str]], Sequence[str]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file as (number from 1, values by column).

    Args:
        place: the file.
        path: what messages call it.
        choose: which columns are read, given the names of all.

    Raises:
        DataError: the file cannot be read as Parquet.
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("reading a .parquet file", "pyarrow", INSTALL_PARQUET) from error
    try:
        with parquet.ParquetFile(place.absolute()) as opened:
            batches = opened.iter_batches(columns=list(choose(opened.schema_arrow.names)))
            yield from enumerate((values for batch in batches for values in batch.to_pylist()), start=1)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(path, f"cannot be read as a Parquet file: {error}") from error
