"""What users choose to consume: popularity, and what is consumed together, in low rank."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.interactions import Interactions
from emosim_core.estimators.interface import DECIMALS, Past, item_by_user
from emosim_core.model import Catalog, History
from emosim_core.model.arrays import Floats, Ints

_FACTORS = 32


class InterestModel:
    """A score of how likely a user is to choose an item: ``log(1 + n_i) + v_i . sum v_j / sqrt(1 + m)``.

    n_i is how many users took the item, v the left singular vectors of who took what, columns of items scaled by
    ``1 / sqrt(n_i)``; m how many items the user took. A state is m and the sum of their v. A new item has the mean n
    and v of its categories.
    """

    def __init__(self, counts: Floats, vectors: Floats, logged: Floats) -> None:
        self.counts, self.vectors, self.logged = counts, vectors, logged
        self._base = np.log1p(counts)

    @classmethod
    def fit(cls, log: Interactions, catalog: Catalog, seed: int) -> InterestModel:
        """Learn from all of ``log``; its items are those of the catalog."""
        from scipy.sparse.linalg import svds

        counts = np.bincount(log.items, minlength=log.item_count).astype(np.float64)
        taken = item_by_user(log)
        scaled = taken.multiply(1.0 / np.sqrt(np.maximum(counts, 1.0))[:, None]).tocsr()
        rank = min(_FACTORS, min(scaled.shape) - 1)
        vectors = np.zeros((log.item_count, _FACTORS))
        if rank >= 1:
            start = np.random.default_rng(seed).random(min(scaled.shape))
            left, sizes, _ = svds(scaled, k=rank, v0=start)
            left = left * np.sqrt(sizes)
            vectors[:, :rank] = left * np.sign(left[np.abs(left).argmax(axis=0), np.arange(rank)])
        return cls(counts, np.round(vectors, 7), (counts > 0).astype(np.float64))._with_content(catalog)

    def _with_content(self, catalog: Catalog) -> InterestModel:
        """The same where items that the log does not have are the mean of their categories."""
        flags = catalog.categories.astype(np.float64)
        flags /= np.maximum(flags.sum(axis=1, keepdims=True), 1.0)
        weight = flags * self.logged[:, None]
        of_category = weight.T / np.maximum(weight.sum(axis=0), 1e-9)[:, None]
        new = self.logged == 0
        self.counts[new] = (flags @ (of_category @ self.counts))[new]
        self.vectors[new] = (flags @ (of_category @ self.vectors))[new]
        self._base = np.log1p(self.counts)
        return self

    def states(self, log: Interactions) -> Floats:
        """What the past of each user of ``log.user_ids`` says, shape ``(U, D)``."""
        states = np.zeros((len(log.user_ids), 1 + self.vectors.shape[1]))
        states[:, 0] = np.bincount(log.users, minlength=len(states))
        np.add.at(states[:, 1:], log.users, self.vectors[log.items])
        return states

    def state(self, past: Past) -> Floats:
        """The same of one past, shape ``(D,)``."""
        return np.concatenate([[float(len(past.items))], self.vectors[past.items].sum(axis=0)])

    def scores(self, items: Ints, states: Floats, history: History) -> Floats:
        """How likely each of R users chooses each of S items, shape ``(R, S)``.

        Args:
            items: shape ``(R, S)``.
            states: shape ``(R, D)``.
            history: what the users consumed since.
        """
        count, total = states[:, 0] + history.lengths, states[:, 1:].copy()
        if history.width:
            used = np.arange(history.width) < history.lengths[:, None]
            total += np.einsum("rw,rwk->rk", used, self.vectors[history.items])
        total /= np.sqrt(1.0 + count)[:, None]
        return np.round(self._base[items] + np.einsum("rsk,rk->rs", self.vectors[items], total), DECIMALS)

    def arrays(self) -> dict[str, NDArray]:
        """What is saved."""
        return {"counts": self.counts, "vectors": self.vectors}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray], known: Ints, catalog: Catalog) -> InterestModel:
        """The model for the items of a catalog.

        Args:
            known: by item of the fitted model its index in the catalog, -1 where that lacks it.
        """
        here = known >= 0
        counts, logged = np.zeros(len(catalog)), np.zeros(len(catalog))
        vectors = np.zeros((len(catalog), arrays["vectors"].shape[1]))
        counts[known[here]], vectors[known[here]] = arrays["counts"][here], arrays["vectors"][here]
        logged[known[here]] = 1.0
        return cls(counts, vectors, logged)._with_content(catalog)
