"""The policy ``implicit``: the models of the library implicit, of what users choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from emosim_core.errors import MissingDependencyError
from emosim_core.model.arrays import Floats, Ints
from emosim_core.recommenders.fold_in import FoldIn, Linear, Vectors
from emosim_core.recommenders.libraries import LibraryOptions, LibraryPolicy, made, named

INSTALL = 'pip install "emosim-core[implicit]"'


class ImplicitPolicy(LibraryPolicy):
    """A model of implicit. ``als`` and the nearest neighbours fold users in themselves; ``bpr`` and ``lmf`` by
    :class:`~emosim_core.recommenders.fold_in.Vectors`."""

    def __init__(self, options: LibraryOptions) -> None:
        try:
            from implicit.als import AlternatingLeastSquares
            from implicit.bpr import BayesianPersonalizedRanking
            from implicit.lmf import LogisticMatrixFactorization
            from implicit.nearest_neighbours import (
                BM25Recommender,
                CosineRecommender,
                ItemItemRecommender,
                TFIDFRecommender,
            )
        except ImportError as error:
            raise MissingDependencyError("the policy 'implicit'", "implicit", INSTALL) from error
        models: dict[str, Callable[..., Any]] = {
            "als": AlternatingLeastSquares,
            "bpr": BayesianPersonalizedRanking,
            "lmf": LogisticMatrixFactorization,
            "item_item": ItemItemRecommender,
            "cosine": CosineRecommender,
            "tfidf": TFIDFRecommender,
            "bm25": BM25Recommender,
        }
        who, make = f"implicit:{options.algorithm}", named(models, options.algorithm, "implicit")
        model = made(make, options.parameters, {"num_threads": 1, "random_state": 0}, who)
        super().__init__(options, who, options.learns_ratings(False), model)

    def train(self, model: Any, matrix: Any) -> FoldIn:
        from implicit.cpu.als import AlternatingLeastSquares

        model.fit(matrix, show_progress=False)
        if hasattr(model, "similarity"):
            return Linear(model.similarity)
        if isinstance(model, AlternatingLeastSquares):
            return _Recalculated(model)
        return Vectors(model.user_factors.astype(np.float64), model.item_factors.astype(np.float64), matrix)


class _Recalculated:
    """A user's factors by one more alternation, of all users of a step at once."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def scores(self, profiles: Any, users: Ints) -> Floats:
        factors = self._model.recalculate_user(np.arange(len(users)), profiles.astype(np.float32))
        made: Floats = np.asarray(factors, dtype=np.float64) @ self._model.item_factors.astype(np.float64).T
        return made
