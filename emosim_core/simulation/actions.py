"""Actions: how a recommender names a slate, as the indices of its items or as a score for every item."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from emosim_core.errors import ConfigurationError
from emosim_core.hooks.names import did_you_mean
from emosim_core.model.arrays import Ints
from emosim_core.simulation.assembly import World
from emosim_core.simulation.engine import Engine

ActionSpace = Literal["items", "scores"]

_KINDS = ("items", "scores")


class Actions:
    """What an action of an environment is.

    - ``"items"``: an item index, ``Discrete(N)``; with a slate of S items, ``MultiDiscrete([N] * S)``
    - ``"scores"``: a score of every item, ``Box(-1, 1, (N,), float32)``. The S highest are recommended, best first (as
      in SARDINE, Deffayet et al., 2024), the item that stands first in the catalog where scores are equal. With
      ``observe_consumed``, what the user remembers comes after all that they do not.

    Attributes:
        space: of one environment.

    Raises:
        ConfigurationError: ``kind`` is none of these.
    """

    def __init__(self, kind: str, world: World, engine: Engine) -> None:
        if kind not in _KINDS:
            raise ConfigurationError(f"action_space is items or scores, not {kind!r}.{did_you_mean(kind, _KINDS)}")
        self._engine, self._count, self._slate = engine, len(world.catalog), world.config.slate
        self._as_scores, self._leaves_out = kind == "scores", world.config.observe_consumed
        self.space: spaces.Space[Any]
        if self._as_scores:
            self.space = spaces.Box(-1.0, 1.0, (self._count,), dtype=np.float32)
        elif self._slate == 1:
            self.space = spaces.Discrete(self._count)
        else:
            self.space = spaces.MultiDiscrete([self._count] * self._slate)

    def items(self, actions: Any, users: int) -> Any:
        """The actions of B users, who are all, as item indices: scores as ``(B, S)``, others as they are.

        Raises:
            ConfigurationError: scores are no finite numbers, or not one for each item.
        """
        if not self._as_scores:
            return actions
        try:
            scores = np.asarray(actions, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"an action must be {self._count} scores, got {actions!r}") from error
        if scores.size != users * self._count:
            raise ConfigurationError(f"expected {users * self._count} scores of items, got {scores.size}")
        if not np.isfinite(scores).all():
            raise ConfigurationError("scores of items must be finite numbers")
        return self._best(scores.reshape(users, self._count))

    def _best(self, scores: np.ndarray[Any, np.dtype[np.float64]]) -> Ints:
        if self._leaves_out:
            remembered = self._engine.memory.consumed() > 0
            scores = np.where(remembered, scores - 2.0 * (1.0 + np.abs(scores).max()), scores)
        return np.argsort(-scores, axis=1, kind="stable")[:, : self._slate]
