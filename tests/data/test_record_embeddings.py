"""Embeddings of records: put together with gaps, checked one by one, named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core.data.record_embeddings import RecordEmbeddings, RecordEmbeddingsOptions
from emosim_core.errors import DataError


def collected(*records: Sequence[float] | None, **options: Any) -> RecordEmbeddings:
    made = RecordEmbeddings("s.csv", "vector", "songs", RecordEmbeddingsOptions(path=Path("s.csv"), **options))
    for row, values in enumerate(records, start=2):
        made.add(values, row)
    return made


def test_a_record_without_an_embedding_has_a_row_of_nan() -> None:
    table, name = collected(None, [0.5, 1], None, [-1, 2.5]).stacked()
    assert table is not None
    assert table.dtype == np.float32
    assert name == "vector-2"
    assert np.isnan(table).all(axis=1).tolist() == [True, False, True, False]
    assert table[[1, 3]].tolist() == [[0.5, 1], [-1, 2.5]]


def test_what_made_them_may_be_named() -> None:
    assert collected([1.0], embedding_name="mine").stacked()[1] == "mine"


def test_no_embedding_is_none_without_a_name() -> None:
    assert collected().stacked() == (None, "")
    assert collected(None, None, embedding_name="mine").stacked() == (None, "")
    without = collected([1.0], [], embeddings="none", embedding_name="mine")
    assert not without.wanted
    assert without.stacked() == (None, "")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "expected a list of numbers, got []"),
        ([1.0, float("nan")], "a value is not a finite number"),
        ([1.0, float("inf")], "a value is not a finite number"),
        ([1.0, 1e39], "a value is not a finite number"),
        ([1.0, 10**400], "a value is not a finite number"),
        ([1.0], "has 1 numbers; the songs before it have 2"),
    ],
)
def test_a_wrong_embedding_is_named(values: list[float], says: str) -> None:
    with pytest.raises(DataError) as caught:
        collected([1.0, 2.0], values)
    assert str(caught.value) == f"s.csv, row 3, field 'vector': {says}"
