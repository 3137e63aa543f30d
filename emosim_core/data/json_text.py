"""JSON as the standard has it: a number is finite, so that ``NaN``, ``Infinity`` and ``1e999`` are none."""

from __future__ import annotations

import json
import math
from typing import Any


def loads(text: str | bytes, **options: Any) -> Any:
    """The value of a JSON text; ``options`` as of :func:`json.loads`.

    Raises:
        ValueError: it is no JSON, or a number in it is none or not finite.
    """
    return json.loads(text, parse_constant=_finite, parse_float=_finite, **options)


def dumps(value: Any, **options: Any) -> str:
    """The JSON text of a value; ``options`` as of :func:`json.dumps`.

    Raises:
        ValueError: a number in it is not finite.
    """
    return json.dumps(value, allow_nan=False, **options)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number
