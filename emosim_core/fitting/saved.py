"""Arrays of a saved model, checked as they are read: what is damaged is refused before it answers anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def array_of(
    arrays: Mapping[str, NDArray],
    name: str,
    shape: tuple[int, ...],
    low: float = -np.inf,
    high: float = np.inf,
    unknown: bool = False,
) -> NDArray[Any]:
    """One array of numbers.

    Args:
        shape: length of each axis; -1 for any.
        low, high: what no value is beyond; an infinite value is refused unless one of them is that value's own bound.
        unknown: whether NaN stands for what is not known.

    Raises:
        ValueError: it is missing, of another shape, or has other values.
    """
    if name not in arrays:
        raise ValueError(f"{name!r} is missing")
    array = arrays[name]
    if len(array.shape) != len(shape) or any(
        want not in (-1, size) for want, size in zip(shape, array.shape, strict=True)
    ):
        raise ValueError(f"{name!r} is of the shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name!r} holds no numbers")
    values = array[~np.isnan(array)] if unknown else array
    if not np.all((values >= low) & (values <= high)) or not (np.isinf(high) or np.isfinite(values).all()):
        raise ValueError(f"{name!r} has values that it cannot have")
    return array
