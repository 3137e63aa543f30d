"""Boosted regression trees: learned by LightGBM, kept as arrays and answered by NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import MissingDependencyError
from emosim_core.fitting.saved import array_of
from emosim_core.model.arrays import Floats

DEPTH = 4
"""Questions from the root of a tree to each of its leaves, at most."""

_SETTINGS = {
    "objective": "binary",
    "num_leaves": 10,
    "max_depth": DEPTH,
    "lambda_l2": 10.0,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True)
class Trees:
    """T trees, each filled up to ``DEPTH`` questions; a short branch asks what is always so.

    Attributes:
        columns: which feature a question is about, in the order of levels, shape ``(T, 2**DEPTH - 1)``.
        cuts: up to which value its answer is left, same shape; single precision, as the features are compared.
        leaves: what each leaf adds, shape ``(T, 2**DEPTH)``.
    """

    columns: NDArray[np.int16]
    cuts: NDArray[np.float32]
    leaves: Floats

    @classmethod
    def none(cls) -> Trees:
        """No tree: every answer is 0."""
        inner = 2**DEPTH - 1
        return cls(
            np.zeros((0, inner), dtype=np.int16), np.zeros((0, inner), dtype=np.float32), np.zeros((0, inner + 1))
        )

    @classmethod
    def fit(
        cls, features: NDArray[np.float32], chosen: Floats, weights: Floats, start: Floats, rounds: int, seed: int
    ) -> Trees:
        """Learn the log odds of ``chosen``, beyond ``start``.

        Args:
            features: of M examples, shape ``(M, F)``.
            chosen: 1 or 0, shape ``(M,)``.
            weights: of the examples, shape ``(M,)``.
            start: log odds that the trees add to, shape ``(M,)``.
            rounds: trees to learn.
            seed: of the draws of examples and features.

        Raises:
            MissingDependencyError: LightGBM is not installed.
        """
        try:
            import lightgbm
        except ImportError as error:
            raise MissingDependencyError(
                "learning what users choose", "lightgbm", 'pip install "emosim-core[fit]"'
            ) from error
        least = max(20, min(200, len(features) // 200))
        settings = {**_SETTINGS, "learning_rate": 7.5 / rounds, "min_data_in_leaf": least, "seed": seed % 2**31}
        data = lightgbm.Dataset(features, chosen, weight=weights, init_score=start)
        model = lightgbm.train(settings, data, rounds).dump_model()
        trees = cls.none()
        columns, cuts, leaves = (
            np.zeros((len(model["tree_info"]), one.shape[1]), dtype=one.dtype)
            for one in (trees.columns, trees.cuts, trees.leaves)
        )
        for number, tree in enumerate(model["tree_info"]):
            _fill(tree["tree_structure"], columns[number], cuts[number], leaves[number], 0)
        return cls(columns, cuts, leaves)

    def values(self, features: NDArray[np.float32]) -> Floats:
        """The sum of all trees for M examples, features of shape ``(M, F)``; shape ``(M,)``."""
        count, many = self.columns.shape
        if not count:
            return np.zeros(len(features))
        flat, width = features.ravel(), features.shape[1]
        columns, cuts = self.columns.ravel().astype(np.int32), self.cuts.ravel()
        roots = np.arange(count, dtype=np.int32) * many
        rows = np.arange(len(features), dtype=np.int32)[:, None] * width
        at = np.zeros((len(features), count), dtype=np.int32)
        for _ in range(DEPTH):
            node = roots + at
            right = flat.take(rows + columns.take(node)) > cuts.take(node)
            at += at
            at += 1
            at += right
        at += np.arange(count, dtype=np.int32) * (many + 1) - many
        # Sums along the last axis have one order, whatever the number of examples is.
        return self.leaves.ravel().take(at).sum(axis=1)

    def arrays(self) -> dict[str, NDArray]:
        """What :meth:`load` takes."""
        return {"tree_columns": self.columns, "tree_cuts": self.cuts, "tree_leaves": self.leaves}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray], width: int) -> Trees:
        """The trees whose :meth:`arrays` these are, of so many features.

        Raises:
            ValueError: the arrays are damaged.
        """
        inner = 2**DEPTH - 1
        columns = array_of(arrays, "tree_columns", (-1, inner), 0, width - 1)
        cuts = array_of(arrays, "tree_cuts", columns.shape)
        leaves = array_of(arrays, "tree_leaves", (len(columns), inner + 1), -1e6, 1e6)
        return cls(columns.astype(np.int16), cuts.astype(np.float32), leaves.astype(np.float64))


def _fill(node: Mapping[str, Any], columns: NDArray, cuts: NDArray, leaves: Floats, at: int) -> None:
    """Write a tree from ``node`` on, which stands ``at`` in the order of levels."""
    if at >= len(columns):
        leaves[at - len(columns)] = node["leaf_value"]
    elif "split_feature" in node:
        columns[at] = node["split_feature"]
        # Features are single precision: the largest such number that is not above the threshold decides alike.
        cut = np.float32(node["threshold"])
        cuts[at] = cut if float(cut) <= node["threshold"] else np.nextafter(cut, np.float32(-np.inf))
        _fill(node["left_child"], columns, cuts, leaves, 2 * at + 1)
        _fill(node["right_child"], columns, cuts, leaves, 2 * at + 2)
    else:
        cuts[at] = np.inf
        _fill(node, columns, cuts, leaves, 2 * at + 1)
        _fill(node, columns, cuts, leaves, 2 * at + 2)
