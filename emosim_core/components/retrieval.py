"""Retrieval strategies: which past interactions matter for the item at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emosim_core.components.base import Retrieval, RetrievalRequest
from emosim_core.components.ranking import NEVER, best_positions
from emosim_core.model import Catalog, History
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.emotion import CODE_AROUSAL, CODE_VALENCE
from emosim_core.model.frozen import Frozen, option

if TYPE_CHECKING:
    from emosim_core.kernels.compiled import Kernels


class CountOptions(Frozen):
    """Options of a strategy that retrieves a fixed number of interactions."""

    k: int = option(3, "How many interactions are retrieved at most.", ge=1)


class DecayEmotionOptions(CountOptions):
    """Options of ``decay_emotion``."""

    time_decay: float = option(0.15, "Decay per interaction, lambda of exp(-lambda * age).", ge=0)
    emotion_bonus: float = option(0.2, "Largest bonus of a memory with the emotion of the last one.", ge=0)
    consider_arousal: bool = option(False, "Whether arousal counts too, with half the bonus.")


class NoRetrieval(Retrieval):
    """Retrieves nothing."""

    def retrieve_batch(self, request: RetrievalRequest) -> Ints:
        return np.empty((*request.items.shape, 0), dtype=np.intp)


class Last(Retrieval):
    """The most recent interactions, one per item."""

    def __init__(self, options: CountOptions) -> None:
        self.k = options.k

    def retrieve_batch(self, request: RetrievalRequest) -> Ints:
        scores = np.where(request.history.latest, 0.0, NEVER)[:, None, ::-1]
        picked = best_positions(np.ascontiguousarray(scores), self.k)
        return np.broadcast_to(picked, (*request.items.shape, self.k))


class MostSimilar(Retrieval):
    """The interactions with the most similar items, by cosine of the embeddings."""

    def __init__(self, options: CountOptions) -> None:
        self.k = options.k

    def retrieve_batch(self, request: RetrievalRequest) -> Ints:
        history = request.history
        cosines = request.catalog.similarity(request.items[:, :, None], history.items[:, None, :])
        scores = np.where(history.latest[:, None, :], cosines, NEVER)
        return best_positions(np.ascontiguousarray(scores[..., ::-1]), self.k)


class BestWorst(Retrieval):
    """The item rated highest and the one rated lowest."""

    def retrieve_batch(self, request: RetrievalRequest) -> Ints:
        history = request.history
        ratings, latest = history.ratings[:, ::-1], history.latest[:, ::-1]
        best = best_positions(np.where(latest, ratings, NEVER)[:, None, :], 1)
        worst = best_positions(np.where(latest, -ratings, NEVER)[:, None, :], 1)
        worst[worst == best] = -1
        return np.broadcast_to(np.concatenate([best, worst], axis=2), (*request.items.shape, 2))


class DecayEmotion(Retrieval):
    """Similar, recent interactions with the emotion of the last one (EmoSim-RL).

    ``score(h) = sim * exp(-time_decay * age) * (1 + bonus)``, where ``sim`` is the cosine of the
    embeddings cut at 0, ``age`` the number of interactions since, and
    ``bonus = b * (1 - |valence_h - valence_now| / 2)``, plus ``b / 2 * (1 - |arousal_h - arousal_now|)``
    where ``consider_arousal`` is set. ``now`` is the user's most recent interaction.
    """

    def __init__(self, options: DecayEmotionOptions) -> None:
        self.k = options.k
        self._time_decay = options.time_decay
        self._decay = np.empty(0)
        apart = np.abs(CODE_VALENCE[:, None] - CODE_VALENCE[None, :])
        bonus = options.emotion_bonus * (1 - apart / 2)
        if options.consider_arousal:
            apart = np.abs(CODE_AROUSAL[:, None] - CODE_AROUSAL[None, :])
            bonus = bonus + 0.5 * options.emotion_bonus * (1 - apart)
        self._factor = (1 + bonus).ravel()

    def retrieve_batch(self, request: RetrievalRequest) -> Ints:
        history, catalog = request.history, request.catalog
        if history.memory.kernels is not None:
            return self.recall_batch(history.memory.kernels, request.items, history, catalog)[0]
        width = history.width
        self._reach(width)
        past = history.items
        newest = history.lengths - 1
        if len(newest) == 1:
            weights = self._decay[:width][None, ::-1]
        else:
            weights = self._decay.take(newest[:, None] - np.arange(width), mode="wrap")
        weights = weights * self._factor.take(history.codes + 9 * history.last_codes[:, None])
        cosines = catalog.similarity(request.items[:, :, None], past[:, None, :])
        scores = np.empty(cosines.shape)
        np.multiply(np.maximum(cosines, 0.0), weights[:, None, :], out=scores[..., ::-1])
        np.copyto(scores[..., ::-1], NEVER, where=~history.latest[:, None, :])
        return best_positions(scores, self.k)

    def recall_batch(
        self, kernels: Kernels, items: Ints, history: History, catalog: Catalog
    ) -> tuple[Ints, Ints, Floats, Ints]:
        """In one kernel, what :meth:`retrieve_batch` and :meth:`~emosim_core.model.History.recall` answer."""
        memory = history.memory
        self._reach(memory.capacity)
        table, vectors, norms = catalog.cosine_arrays
        *recalled, cosines = kernels.recall_decayed(
            items, history.slots, memory.items, memory.ratings, memory.codes, memory.times, memory.latest,
            memory.lengths, memory.last_codes, self._decay, self._factor, table, vectors, norms, self.k,
            *kernels.near.copies(vectors, len(memory.lengths)),
        )  # fmt: skip
        kernels.near.keep(items, recalled[1], cosines)
        positions, retrieved, rated, times = recalled
        return positions, retrieved, rated, times

    def _reach(self, width: int) -> None:
        """See that the decay is known up to ``width`` interactions ago."""
        if len(self._decay) < width:
            self._decay = np.exp(-self._time_decay * np.arange(2 * width))
