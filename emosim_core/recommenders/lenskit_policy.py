"""The policy ``lenskit``: the scorers of the library LensKit by their names, such as ``lenskit:ImplicitMF``."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import numpy as np

from emosim_core.errors import MissingDependencyError
from emosim_core.model.arrays import Floats, Ints
from emosim_core.recommenders.fold_in import FoldIn
from emosim_core.recommenders.libraries import KnownUsersOptions, LibraryPolicy, made, named

INSTALL = 'pip install "emosim-core[lenskit]"'

_MODULES = ("als", "basic", "flexmf", "funksvd", "graphs.lightgcn", "hpf", "knn", "sklearn.nmf", "sklearn.svd")
"""Modules of LensKit that scorers are in; those whose own libraries are not installed are left out."""

_OF_RATINGS = frozenset({"Bias", "BiasedMF", "BiasedSVD", "FlexMFExplicit", "FunkSVD", "ItemKNN", "UserKNN"})
"""Scorers that predict ratings, unless their parameter ``feedback`` says otherwise; the others rank what is chosen."""


class LensKitPolicy(LibraryPolicy):
    """A scorer of LensKit.

    Those that score by a user's history (``ImplicitMF``, ``BiasedMF``, ``EASE``, ``ItemKNN``, ``SLIM`` and others) fold
    users in themselves, one after another; any other is :class:`~emosim_core.recommenders.fold_in.Neighbors`.
    """

    def __init__(self, options: KnownUsersOptions) -> None:
        try:
            import lenskit
        except ImportError as error:
            raise MissingDependencyError("the policy 'lenskit'", "lenskit", INSTALL) from error
        scorers: dict[str, Any] = {}
        for module in _MODULES:
            try:
                imported = importlib.import_module(f"{lenskit.__name__}.{module}")
            except ImportError:
                continue
            scorers |= {name[:-6]: getattr(imported, name) for name in dir(imported) if name.endswith("Scorer")}
        for name in ("Fallback", "KnownRating"):  # which are parts of pipelines
            scorers.pop(name, None)
        scorer: Any = named(dict(sorted(scorers.items())), options.algorithm.removesuffix("Scorer"), "LensKit")
        name = scorer.__name__.removesuffix("Scorer")
        who, of_ratings = f"lenskit:{name}", options.learns_ratings(name in _OF_RATINGS)
        fixed = {"feedback": "explicit" if of_ratings else "implicit"}
        fields = list(getattr(scorer.config_class(), "model_fields", {}))
        super().__init__(options, who, of_ratings, made(scorer, options.parameters, fixed, who, fields))

    def train(self, model: Any, matrix: Any) -> FoldIn:
        import pandas as pd
        from lenskit.data import from_interactions_df
        from lenskit.training import TrainingOptions

        pairs = matrix.tocoo()
        table = pd.DataFrame({"user_id": pairs.row, "item_id": pairs.col, "rating": pairs.data})
        data = from_interactions_df(table if self.of_ratings else table[["user_id", "item_id"]])
        model.train(data, TrainingOptions(rng=0))
        queried = _Queried(model, matrix.shape[1], self.of_ratings)
        if np.isfinite(queried.scores(matrix[:1], np.array([-1]))).any():
            return queried
        return self.of_known_users(matrix, lambda user: queried.scores(matrix[user], np.array([user]))[0])


class _Queried:
    """Scores by queries with the profile as the history."""

    def __init__(self, scorer: Any, items: int, of_ratings: bool) -> None:
        from lenskit.data import ItemList

        self._scorer, self._of_ratings = scorer, of_ratings
        self._of_users = "query" in inspect.signature(scorer.__call__).parameters
        self._all = ItemList(item_ids=np.arange(items))

    def scores(self, profiles: Any, users: Ints) -> Floats:
        from lenskit.data import ItemList, RecQuery

        made = np.empty(profiles.shape)
        for row, user in enumerate(users.tolist()):
            part = slice(*profiles.indptr[row : row + 2])
            ratings = {"rating": profiles.data[part]} if self._of_ratings else {}
            history = ItemList(item_ids=profiles.indices[part], **ratings)
            query = RecQuery(user_id=None if user < 0 else user, history_items=history)
            scored = self._scorer(query=query, items=self._all) if self._of_users else self._scorer(items=self._all)
            made[row] = scored.scores()
        return made
