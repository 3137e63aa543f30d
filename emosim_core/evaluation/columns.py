"""RunColumns: a run as columns, read in one pass over its records; what metrics and charts are made of."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.user import User
from emosim_core.runs.records import SUMMARY, read_records, read_summary, run_manifest
from emosim_core.stats import Floats

Ints = NDArray[np.int64]

UNFINISHED = ""
"""The ending of an episode in the middle of which the run stopped."""


class Numbered(dict[Any, int]):
    """Numbers for whatever is looked up, from 0 in the order of first appearance."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


@dataclass
class Episode:
    """One episode while its records are read; ``user`` is a number among :attr:`RunColumns.users`."""

    number: int
    user: int
    steps: int = 0
    reward: float = 0.0
    total: float = 0.0
    rated: int = 0
    liked: int = 0
    failed: int = 0
    mood: tuple[float, float] = (0.0, 0.0)
    end_reason: str = UNFINISHED
    position: int = 0


Seen = Callable[[Episode, Mapping[str, Any]], None]


@dataclass
class RunColumns:
    """A run: one row per episode, one per step, one per item of a slate, one per rating of what was consumed.

    Attributes:
        summary: its summary; None where it was killed before it wrote one.
        users: the users, in the order of their first episode.
        titles: title by the id of an item, of all that were recommended.
        episodes: in the order of their numbers.
        step_episode, step, step_reward, moods: of each step the position of its episode, its number in it, from 1, its
            reward, and the mood after it; shape ``(steps,)``, moods ``(steps, 2)``.
        slate_episode, slate_item, slate_rating: of each item that was recommended the position of the episode, its
            number in the order of ``titles``, and its rating, after perturbation where it was consumed, NaN where there
            is none; shape ``(slates * slate,)``.
        rating_episode, rating_step, item, rating, liked: of each rating of what was consumed the position of the
            episode, the number of the step and of the item, the rating after perturbation, and whether its valence is
            positive; shape ``(ratings,)``.
    """

    directory: Path
    manifest: Mapping[str, Any]
    summary: Mapping[str, Any] | None
    users: list[User] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)
    step_episode: Ints = field(init=False)
    step: Ints = field(init=False)
    step_reward: Floats = field(init=False)
    moods: Floats = field(init=False)
    slate_episode: Ints = field(init=False)
    slate_item: Ints = field(init=False)
    slate_rating: Floats = field(init=False)
    rating_episode: Ints = field(init=False)
    rating_step: Ints = field(init=False)
    item: Ints = field(init=False)
    rating: Floats = field(init=False)
    liked: NDArray[np.bool_] = field(init=False)

    @property
    def episode_users(self) -> Ints:
        """Number of the user of each episode, shape ``(episodes,)``."""
        return np.array([episode.user for episode in self.episodes], dtype=np.int64)

    @property
    def ended(self) -> list[Episode]:
        """The episodes that are over."""
        return [episode for episode in self.episodes if episode.end_reason != UNFINISHED]

    @property
    def complete(self) -> bool:
        """Whether all episodes were simulated."""
        return bool(self.summary and self.summary["complete"])

    def by_user(self, users: Ints, values: Floats) -> tuple[Floats, Floats]:
        """Sums and counts of values per user, each of shape ``(users, 1)``."""
        count = len(self.users)
        totals = np.bincount(users, weights=values, minlength=count).astype(np.float64)
        return totals[:, None], np.bincount(users, minlength=count).astype(np.float64)[:, None]

    def read(self, records: Iterable[Mapping[str, Any]], seen: Seen = lambda episode, record: None) -> RunColumns:
        """Fill the columns from steps as :func:`~emosim_core.runs.records.read_records` yields them; returns this run.

        ``seen`` is called with each record and its episode, before what the record tells is added to the episode.
        """
        users, items, episodes = Numbered(), Numbered(), dict[int, Episode]()
        ints = {name: array("q") for name in _INTS}
        floats = {name: array("d") for name in _FLOATS}
        for record in records:
            number = record["episode"]
            episode = episodes.get(number)
            if episode is None:
                user = record["user"]
                if user not in users:
                    self.users.append(User(**record["user_profile"]))
                episode = episodes[number] = Episode(number, users[user])
            seen(episode, record)
            episode.mood = (record["mood"][0], record["mood"][1])
            episode.reward += record["reward"]
            episode.end_reason = record["end_reason"] or UNFINISHED
            if not record["recommended"]:
                continue
            episode.steps += 1
            ints["step_episode"].append(number)
            ints["step"].append(record["step"])
            floats["step_reward"].append(record["reward"])
            floats["moods"].extend(episode.mood)
            for slate_item in record["recommended"]:
                self.titles[slate_item["item"]] = slate_item["title"]
                item, raw, consumed = items[slate_item["item"]], slate_item["raw_rating"], slate_item["consumed"]
                rating = slate_item["rating"] if consumed else raw
                ints["slate_episode"].append(number)
                ints["slate_item"].append(item)
                floats["slate_rating"].append(np.nan if rating is None else rating)
                if raw is None and episode.end_reason != "interrupted":
                    episode.failed += 1
                if not consumed:
                    continue
                liked = slate_item["valence"] == "positive"
                episode.total += rating
                episode.rated += 1
                episode.liked += liked
                ints["rating_episode"].append(number)
                ints["rating_step"].append(record["step"])
                ints["item"].append(item)
                ints["liked"].append(liked)
                floats["rating"].append(rating)
        self.episodes = sorted(episodes.values(), key=lambda episode: episode.number)
        for position, episode in enumerate(self.episodes):
            episode.position = position
        numbers = np.array([episode.number for episode in self.episodes], dtype=np.int64)
        for name, values in ints.items():
            column = np.array(values, dtype=np.int64)
            setattr(self, name, np.searchsorted(numbers, column) if name.endswith("_episode") else column)
        for name, numbers_ in floats.items():
            setattr(self, name, np.array(numbers_, dtype=np.float64))
        self.moods = self.moods.reshape(-1, 2)
        self.liked = self.liked.astype(np.bool_)
        return self


_INTS = (*("step_episode", "step", "slate_episode", "slate_item"), *("rating_episode", "rating_step", "item", "liked"))
_FLOATS = ("step_reward", "moods", "slate_rating", "rating")


def read_run(directory: Path, seen: Seen = lambda episode, record: None) -> RunColumns:
    """Read a run; ``seen`` is that of :meth:`RunColumns.read`. A RunError where there is none, or it is damaged."""
    manifest = run_manifest(directory)
    summary = read_summary(directory) if (directory / SUMMARY).exists() else None
    return RunColumns(directory, manifest, summary).read(read_records(directory), seen)
