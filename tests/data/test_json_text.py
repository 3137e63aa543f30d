"""Lines of JSON: what is written is read again as it was, and numbers that are none are refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.data import json_text

TEXTS = st.text() | st.sampled_from(["half of a pair: \ud83d", "\udc00.", "NaN", "-Infinity War"])
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=10)


@given(VALUES)
def test_a_line_holds_the_value(value: Any) -> None:
    line = json_text.line(value)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    read = json_text.loads(line)
    assert read == value
    assert json_text.line(read) == line


@given(st.sampled_from([math.nan, math.inf, -math.inf]), VALUES)
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(number: float, value: Any) -> None:
    for part in (number, [value, number], {"title": value, "ratings": [{"rating": number}]}):
        with pytest.raises(ValueError, match="not JSON compliant"):
            json_text.line(part)


@pytest.mark.parametrize("value", [object(), {"rating": np.int64(3)}, [np.array([1.0])]])
def test_what_has_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        json_text.line(value)
