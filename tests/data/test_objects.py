"""Objects in cells: whatever Python or JSON writes is read as it was, and nothing in a cell runs."""

from __future__ import annotations

import ast
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core import DataError
from emosim_core.data.objects import literal
from emosim_core.loading import list_of_objects

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=4)


@given(OBJECTS)
def test_what_python_and_json_write_is_read_as_it_was(objects: list[dict[str, Any]]) -> None:
    for text in (repr(objects), json.dumps(objects), json.dumps(objects, ensure_ascii=False)):
        assert list_of_objects(text, "a.csv", 1, "cast") == objects


@given(st.text(alphabet="[]{}'\",: \\nuTrueNo0123", max_size=30))
def test_any_other_text_is_none_or_a_value_and_never_an_error(text: str) -> None:
    expected = None
    for read in (ast.literal_eval, json.loads):  # JSON comes first, and does without spaces around
        with contextlib.suppress(ValueError, SyntaxError, TypeError):
            expected = read(text)
    assert repr(literal(text)) == repr(expected)


@pytest.mark.parametrize("text", ["{'a': 1}", "['a']", "[1]", "drama", "[{'a': }]", "[{'a': open('x')}]", "[" * 10_000])
def test_what_is_no_list_of_objects_names_its_field(text: str) -> None:
    with pytest.raises(DataError, match=r"a\.csv, row 3, field 'cast': expected a list of objects"):
        list_of_objects(text, "a.csv", 3, "cast")


def test_no_code_in_a_cell_runs(tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert literal(f"[open({str(made)!r}, 'w')]") is None
    assert not made.exists()
