"""Summary: what a run comes to, gathered as it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, with_config
from typing_extensions import NotRequired, TypedDict

from emosim_core.components.mixture import Mixture
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.simulation.assembly import World

_Count = Annotated[int, Field(ge=0, le=2**53)]

MOST = 5
"""Items listed as most and as least liked."""

ENOUGH = 3
"""Ratings that an item needs to be listed, where enough items have them: one lucky rating shall not top the list."""


@dataclass(slots=True)
class Episode:
    """One episode that has ended.

    Attributes:
        rated: ratings of what was consumed.
        total: their sum.
        mood: valence and arousal at the end.
    """

    number: int
    user_index: int
    name: str
    user: str
    steps: int = 0
    reward: float = 0.0
    rated: int = 0
    total: float = 0.0
    end_reason: str = ""
    mood: tuple[float, float] = (0.0, 0.0)

    @property
    def mean_rating(self) -> float | None:
        """Mean of the ratings; None if nothing was consumed."""
        return self.total / self.rated if self.rated else None

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


@with_config(strict=True, allow_inf_nan=False, extra="forbid")
class TallyState(TypedDict):
    """What a tally holds, as JSON values: counts of the steps, the ratings and the episodes of a part of a run.

    ``lengths`` has pairs of a length and a count; ``users`` and ``items`` are indices, the latter beside the count and
    the sum of the ratings of each; ``sums`` are of reward, valence and arousal at the end of episodes; ``policy`` are
    the policy's own counts; ``clicks`` has the slates with a click, and of each place how many items were recommended,
    examined and clicked there.
    """

    steps: _Count
    failed: _Count
    levels: list[_Count]
    items: list[tuple[_Count, _Count, float]]
    users: list[_Count]
    lengths: list[tuple[_Count, _Count]]
    sums: tuple[float, float, float]
    end_reasons: dict[str, _Count]
    policy: NotRequired[dict[str, _Count]]
    clicks: NotRequired[tuple[_Count, list[tuple[_Count, _Count, _Count]]]]


class Tally:
    """Counts that a run's summary is made of, from whole arrays."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scale = world.domain.scale
        self._levels = np.zeros(len(self._scale.levels), dtype=np.int64)
        self._count = np.zeros(len(world.catalog), dtype=np.int64)
        self._total = np.zeros(len(world.catalog))
        self._users = np.zeros(len(world.population), dtype=np.bool_)
        self._lengths: Counter[int] = Counter()
        self._sums = np.zeros(3)
        self._end_reasons: Counter[str] = Counter()
        self._policy: Counter[str] = Counter()
        self._places: Ints | None = None if world.choice.rates_first else np.zeros((world.config.slate, 3), np.int64)
        self._with_click = 0
        self.failed = 0
        self.steps = 0

    @property
    def episodes(self) -> int:
        """Episodes that have ended: as many as have an end reason, also where Ctrl-C came while they were counted."""
        return self._end_reasons.total()

    def sums(self) -> tuple[float, int, float]:
        """The sum of the rewards of episodes that have ended, the number of ratings, and the sum of these."""
        return float(self._sums[0]), int(self._levels.sum()), float(self._scale.levels @ self._levels)

    def consumed(self, items: Ints, ratings: Floats) -> None:
        """Count ratings of what was consumed: indices in the catalog, and levels of the scale; shape ``(n,)``."""
        level = np.rint((ratings - self._scale.low) / self._scale.step).astype(np.intp)
        self._levels += np.bincount(level, minlength=len(self._levels))
        self._count += np.bincount(items, minlength=len(self._count))
        np.add.at(self._total, items, ratings)

    def chosen(self, examined: Flags, clicked: Flags) -> None:
        """Count what users did with slates before they rated, shape ``(R, S)`` each."""
        assert self._places is not None
        self._places += np.stack([np.full(examined.shape[1], len(examined)), examined.sum(0), clicked.sum(0)], axis=1)
        self._with_click += int(clicked.any(axis=1).sum())

    def ended(self, users: Ints, steps: Ints, rewards: Floats, moods: Floats, end_reasons: Iterable[str]) -> None:
        """Count episodes that have ended: indices of users, steps and rewards, shape ``(n,)``, moods ``(n, 2)``."""
        self._users[users] = True
        self._lengths.update(steps.tolist())
        self._sums += rewards.sum(), *moods.sum(axis=0)
        self._end_reasons.update(end_reasons)

    def counted(self, counts: Mapping[str, int]) -> None:
        """Take over what the policy has counted."""
        self._policy.update(counts)

    def state(self) -> TallyState:
        """What it holds, as JSON values that :meth:`add` takes."""
        rated = np.flatnonzero(self._count)
        counts, totals = self._count[rated].tolist(), self._total[rated].tolist()
        state: TallyState = {
            "steps": self.steps,
            "failed": self.failed,
            "levels": self._levels.tolist(),
            "items": list(zip(rated.tolist(), counts, totals, strict=True)),
            "users": np.flatnonzero(self._users).tolist(),
            "lengths": sorted(self._lengths.items()),
            "sums": (float(self._sums[0]), float(self._sums[1]), float(self._sums[2])),
            "end_reasons": dict(self._end_reasons),
            "policy": dict(self._policy),
        }
        if self._places is not None:
            state["clicks"] = self._with_click, _triples(self._places)
        return state

    def add(self, state: TallyState) -> None:
        """Count what another tally of the same world holds; a ValueError or an IndexError where it is of another."""
        self.steps += state["steps"]
        self.failed += state["failed"]
        self._levels += state["levels"]
        for item, count, total in state["items"]:
            self._count[item] += count
            self._total[item] += total
        self._users[state["users"]] = True
        self._lengths.update(dict(state["lengths"]))
        self._sums += state["sums"]
        self._end_reasons.update(state["end_reasons"])
        self._policy.update(state.get("policy", {}))
        if self._places is not None:
            with_click, places = state["clicks"]
            self._with_click += with_click
            self._places += places

    def summary(self, seconds: float, complete: bool) -> dict[str, Any]:
        """The summary, as summary.json holds it."""
        episodes, levels = self.episodes, self._scale.levels
        rated = int(self._levels.sum())
        liked = int(self._levels[levels >= self._scale.carry(self._world.config.emotion.positive)].sum())
        lengths = np.array(sorted(self._lengths), dtype=np.int64)
        lengths = np.repeat(lengths, [self._lengths[length] for length in lengths.tolist()])
        reward, valence, arousal = (_mean(total, episodes) for total in self._sums.tolist())
        most_liked, least_liked = self._rankings()
        return {
            "complete": complete,
            "domain": self._world.domain.name,
            "rater": self._world.parts["rater"]["name"],
            "uses_llm": self._world.rater.uses_llm,
            "language_model": self._world.model or None,
            "answered_by": self._world.answered_by,
            "usage": dict(self._world.rater.usage()) or None,
            "episodes": episodes,
            "users": int(self._users.sum()),
            "steps": self.steps,
            "ratings": rated,
            "failed_ratings": self.failed,
            "scale": str(self._scale),
            "mean_rating": _mean(float(levels @ self._levels), rated),
            "share_liked": _mean(liked, rated),
            "rating_counts": dict(zip(map(self._scale.format, levels.tolist()), self._levels.tolist(), strict=True)),
            "mean_reward": reward,
            "episode_length": {
                "mean": _mean(int(lengths.sum()), episodes),
                "median": float(np.median(lengths)) if episodes else None,
                "longest": int(lengths[-1]) if episodes else None,
            },
            "end_reasons": dict(self._end_reasons.most_common()),
            "policy_counts": dict(sorted(self._policy.items())),
            **self._clicks(),
            **self._raters(),
            "mood_at_end": {"valence": valence, "arousal": arousal},
            "most_liked": most_liked,
            "least_liked": least_liked,
            "seconds": round(seconds, 3),
            "steps_per_second": round(self.steps / seconds) if seconds > 0 else None,
        }

    def _clicks(self) -> dict[str, Any]:
        """What users did with slates before they rated; empty where they rate first."""
        if self._places is None:
            return {}
        names = ("recommended", "examined", "clicked")
        recommended, _, clicked = self._places.sum(axis=0).tolist()
        return {
            "clicks": {
                "click_rate": _mean(clicked, recommended),
                "slates": int(self._places[0, 0]),
                "with_click": self._with_click,
                "places": [dict(zip(names, place, strict=True)) for place in self._places.tolist()],
            }
        }

    def _raters(self) -> dict[str, Any]:
        """The raters of a mixture, with their shares and how many users of each have an episode; empty otherwise."""
        rater = self._world.rater
        if not isinstance(rater, Mixture):
            return {}
        met = rater.answering(np.flatnonzero(self._users), self._world.population)
        return {
            "raters": {
                name: {"share": weight, "users": int((met == name).sum())} for name, weight in rater.weights.items()
            }
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
                "mean_rating": _mean(self._total[index], self._count[index]),
                "ratings": int(self._count[index]),
            }
            for index in order.tolist()
        ]


def _triples(places: Ints) -> list[tuple[int, int, int]]:
    return [(recommended, examined, clicked) for recommended, examined, clicked in places.tolist()]


def _mean(total: float, count: int) -> float | None:
    return round(float(total) / int(count), 4) if count else None
