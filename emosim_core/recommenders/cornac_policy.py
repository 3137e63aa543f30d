"""The policy ``cornac``: the models of the library Cornac by their names, such as ``cornac:BPR``."""

from __future__ import annotations

from typing import Any

import numpy as np

from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.model.arrays import Floats
from emosim_core.recommenders.fold_in import FoldIn, Linear, Vectors
from emosim_core.recommenders.libraries import KnownUsersOptions, LibraryPolicy, made, named

INSTALL = 'pip install "emosim-core[cornac]"'

_OF_RATINGS = frozenset({"BaselineOnly", "FM", "GlobalAvg", "ItemKNN", "MF", "NMF", "PMF", "SVD", "UserKNN"})
"""Models that predict ratings; the others rank what is chosen."""

_CHECKED = 8
"""Users by whose scores it is seen what a model's vectors mean."""


class CornacPolicy(LibraryPolicy):
    """A model of Cornac, which scores users whom it was trained on alone; the fold-in is chosen by what it has.

    A model whose scores are the logged matrix times another (EASE) is
    :class:`~emosim_core.recommenders.fold_in.Linear`, one whose scores are inner products (MF, BPR, WMF) is
    :class:`~emosim_core.recommenders.fold_in.Vectors`, up to a number that each user adds to all items; any other is
    :class:`~emosim_core.recommenders.fold_in.Neighbors`.
    """

    def __init__(self, options: KnownUsersOptions) -> None:
        try:
            from cornac import models
        except ImportError as error:
            raise MissingDependencyError("the policy 'cornac'", "cornac", INSTALL) from error
        others = (models.NextBasketRecommender, models.NextItemRecommender)
        known = {
            name: one
            for name, one in sorted(vars(models).items())
            if isinstance(one, type) and issubclass(one, models.Recommender) and not issubclass(one, others)
        }
        known = {name: one for name, one in known.items() if one is not models.Recommender and "ANN" not in name}
        make = named(known, options.algorithm, "Cornac")
        who, fixed = f"cornac:{make.__name__}", {"verbose": False, "seed": 0, "num_threads": 1}
        of_ratings = options.learns_ratings(make.__name__ in _OF_RATINGS)
        super().__init__(options, who, of_ratings, made(make, options.parameters, fixed, who))

    def train(self, model: Any, matrix: Any) -> FoldIn:
        from cornac.data import Dataset

        pairs = matrix.tocoo()
        triples = zip(pairs.row.tolist(), pairs.col.tolist(), pairs.data.tolist(), strict=True)
        table = Dataset.from_uir(list(triples), seed=0)
        try:
            model.fit(table)
        except AttributeError as error:
            if not isinstance(error.obj, Dataset):
                raise
            raise ConfigurationError(f"{self.who} learns from {error.name}, too, which logs do not have") from error
        # Cornac numbers users and items as it meets them: users in their order, items not.
        order = np.array([table.iid_map[item] for item in range(matrix.shape[1])])

        def score(user: int) -> Floats:
            return np.asarray(model.score(user), dtype=np.float64).ravel()[order]

        return self._of_vectors(model, matrix, score, order) or self.of_known_users(matrix, score)

    def _of_vectors(self, model: Any, matrix: Any, score: Any, order: Any) -> FoldIn | None:
        """A fold-in by the model's vectors; None where it has none whose inner products are its scores."""
        from cornac.models.recommender import ANNMixin

        if not isinstance(model, ANNMixin):
            return None
        users, items = (
            np.asarray(one.toarray() if hasattr(one, "toarray") else one, dtype=np.float64)
            for one in (model.get_user_vectors(), model.get_item_vectors())
        )
        some = np.unique(np.linspace(0, len(users) - 1, _CHECKED).astype(np.intp))
        expected = np.array([score(user) for user in some.tolist()])

        def same(scores: Floats) -> bool:
            off = scores - expected
            off -= off.mean(axis=1, keepdims=True)
            return bool(np.abs(off).max() <= 1e-3 * max(float(np.ptp(expected, axis=1).max()), 1e-12))

        if items.shape == (matrix.shape[1],) * 2:
            for weights in (items, items.T):
                weights = weights[np.ix_(order, order)]
                if same(matrix[some] @ weights):
                    return Linear(weights)
        elif items.shape[0] == matrix.shape[1] and same(users[some] @ items[order].T):
            return Vectors(users, items[order], matrix)
        return None
