"""Summary: what a run comes to, gathered as it goes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.simulation.assembly import World

MOST = 5
"""Items listed as most and as least liked."""

ENOUGH = 3
"""Ratings that an item needs to be listed, where enough items have them: one lucky rating shall not top the list."""


@dataclass
class Episode:
    """One episode.

    Attributes:
        ratings: ratings of what was consumed, in order.
        mood: valence and arousal at the end.
    """

    number: int
    user_index: int
    name: str
    user: str
    steps: int = 0
    reward: float = 0.0
    ratings: list[float] = field(default_factory=list)
    end_reason: str = ""
    mood: tuple[float, float] = (0.0, 0.0)

    @property
    def mean_rating(self) -> float | None:
        """Mean of the ratings; None if nothing was consumed."""
        return sum(self.ratings) / len(self.ratings) if self.ratings else None

    def record(self) -> dict[str, Any]:
        """The episode as observers get it."""
        return {
            "number": self.number,
            "user": self.user,
            "name": self.name,
            "steps": self.steps,
            "reward": round(self.reward, 6),
            "mean_rating": self.mean_rating,
            "end_reason": self.end_reason,
            "mood": list(self.mood),
        }


class Tally:
    """Counts that a run's summary is made of."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._liked_from = world.domain.scale.carry(world.config.emotion.positive)
        self._levels: Counter[float] = Counter()
        self._count = np.zeros(len(world.catalog))
        self._total = np.zeros(len(world.catalog))
        self._episodes: list[tuple[int, float, float, float]] = []
        self._end_reasons: Counter[str] = Counter()
        self._users: set[int] = set()
        self.failed = 0
        self.steps = 0

    def consumed(self, item: int, rating: float) -> None:
        self._levels[rating] += 1
        self._count[item] += 1
        self._total[item] += rating

    def ended(self, episode: Episode) -> None:
        self._episodes.append((episode.steps, episode.reward, *episode.mood))
        self._end_reasons[episode.end_reason] += 1
        self._users.add(episode.user_index)

    def summary(self, seconds: float, complete: bool) -> dict[str, Any]:
        rated = sum(self._levels.values())
        table = np.array(self._episodes, dtype=np.float64).reshape(-1, 4)
        lengths, rewards, valences, arousals = (column if len(table) else np.array([np.nan]) for column in table.T)
        liked = sum(count for level, count in self._levels.items() if level >= self._liked_from)
        most_liked, least_liked = self._rankings()
        return {
            "complete": complete,
            "domain": self._world.domain.name,
            "rater": self._world.parts["rater"]["name"],
            "uses_llm": self._world.rater.uses_llm,
            "language_model": self._world.model or None,
            "answered_by": self._world.answered_by,
            "usage": dict(self._world.rater.usage()) or None,
            "episodes": len(table),
            "users": len(self._users),
            "steps": self.steps,
            "ratings": rated,
            "failed_ratings": self.failed,
            "scale": str(self._world.domain.scale),
            "mean_rating": _rounded(
                sum(level * count for level, count in self._levels.items()) / rated if rated else np.nan
            ),
            "share_liked": _rounded(liked / rated if rated else np.nan),
            "rating_counts": {
                self._world.domain.scale.format(level): self._levels.get(level, 0)
                for level in self._world.domain.scale.levels.tolist()
            },
            "mean_reward": _rounded(rewards.mean()),
            "episode_length": {
                "mean": _rounded(lengths.mean()),
                "median": _rounded(np.median(lengths)),
                "longest": int(lengths.max()) if len(table) else None,
            },
            "end_reasons": dict(self._end_reasons.most_common()),
            "mood_at_end": {"valence": _rounded(valences.mean()), "arousal": _rounded(arousals.mean())},
            "most_liked": most_liked,
            "least_liked": least_liked,
            "seconds": round(seconds, 3),
            "steps_per_second": round(self.steps / seconds) if seconds > 0 else None,
        }

    def _rankings(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The items liked most, best first, and those liked least, worst first; no item is in both lists."""
        enough = next((n for n in range(ENOUGH, 1, -1) if (self._count >= n).sum() >= 2 * MOST), 1)
        rated = np.flatnonzero(self._count >= enough)
        means = self._total[rated] / self._count[rated]
        best, worst = (rated[np.lexsort((rated, -self._count[rated], key))] for key in (-means, means))
        best = best[: min(MOST, (len(rated) + 1) // 2)]
        return self._listed(best), self._listed(worst[~np.isin(worst, best)][:MOST])

    def _listed(self, order: NDArray[np.intp]) -> list[dict[str, Any]]:
        return [
            {
                "item": self._world.catalog.items[index].id,
                "title": self._world.catalog.titles[index],
                "mean_rating": _rounded(self._total[index] / self._count[index]),
                "ratings": int(self._count[index]),
            }
            for index in order.tolist()
        ]


def _rounded(value: float | np.floating) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
