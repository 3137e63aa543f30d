"""Item features: what networks are told of an item, the same for every domain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emosim_core.model import Catalog
from emosim_core.model.arrays import Floats

_CATEGORY_SCALE = 2.0
"""Brings the categories of an item, whose squares sum to 1, to about the size of the other columns."""


def item_features(catalog: Catalog) -> NDArray[np.float32]:
    """Categories, public rating and how widely rated each item is, shape ``(N, C + 2)``.

    An item with n categories has 2 / sqrt(n) in each; public rating and log(1 + public count) are standardised.
    """
    categories = catalog.categories.astype(np.float64)
    categories *= _CATEGORY_SCALE / np.sqrt(np.maximum(categories.sum(axis=1, keepdims=True), 1.0))
    columns = [categories, public_ratings(catalog)[:, None], _standardised(np.log1p(catalog.public_counts))[:, None]]
    return np.concatenate(columns, axis=1).astype(np.float32)


def public_ratings(catalog: Catalog) -> Floats:
    """Standardised public ratings, shape ``(N,)``."""
    return _standardised(catalog.public_ratings)


def _standardised(values: NDArray) -> Floats:
    spread = float(values.std())
    made: Floats = (values - values.mean()) / (spread if spread > 1e-9 else 1.0)
    return made
