"""The policy ``trained``: a recommender that ``emosim train`` left behind meets simulated users again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from emosim_core.components.base import Draws, PolicySetting, RecommendationRequest
from emosim_core.errors import ConfigurationError
from emosim_core.model.frozen import Frozen
from emosim_core.recommenders.heuristics import ScoredPolicy
from emosim_core.recommenders.recommender import load_recommender


class TrainedOptions(Frozen):
    """Options of ``trained``."""

    path: str = Field(min_length=1, description="Directory of a training, or the folder 'model' or 'best' in it.")


class Trained(ScoredPolicy):
    """Recommends the items that a trained network scores highest, never one that was consumed again.

    Users are known by their ids; the network ``cf`` takes who was not trained on for the mean of those who were.
    """

    deterministic = True

    def __init__(self, options: TrainedOptions) -> None:
        self.recommender = load_recommender(options.path)
        self.history_length = self.recommender.options.history_length
        self.observes = (
            "user",
            "history_items",
            *(key for key in self.recommender.options.keys if key != "consumed_items"),
        )
        self._path = options.path

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        catalog = setting.catalog
        recommender = self.recommender
        if recommender.items != [*catalog.ids]:
            raise ConfigurationError(
                f"{self._path} was trained on {len(recommender.items)} items of {recommender.metadata['domain']!r}, "
                f"which are not the {len(catalog)} of this catalog"
            )
        index = {user: number for number, user in enumerate(recommender.users)}
        self._users = np.array([index.get(user, -1) for user in self.users], dtype=np.intp)

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> NDArray[np.intp]:
        observations = request.observations
        length = observations["history_items"].shape[1]
        if length < self.history_length:
            raise ConfigurationError(
                f"{self._path} was trained to see {self.history_length} interactions; observations here show {length}. "
                f"Give their environment history_length={self.history_length}"
            )
        users = observations["user"]
        known = self._users[users] if len(self._users) else np.full(len(users), -1)
        seen = {
            key: values[:, : self.history_length] if key.startswith("history_") else values
            for key, values in observations.items()
        }
        # What was recommended, or clicked, is left out below.
        seen.update(user=known, consumed_items=np.full((len(known), 0), -1))
        return self.pick(request, self.recommender.scores(seen).astype(np.float64))
