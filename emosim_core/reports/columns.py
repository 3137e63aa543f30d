"""RunColumns: a run as columns, read in one pass over its records."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.user import User
from emosim_core.runs.records import SUMMARY, read_records, read_summary, run_manifest

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNFINISHED = ""
"""The ending of an episode in the middle of which the run stopped."""


class Numbered(dict[Any, int]):
    """Numbers for whatever is looked up, from 0 in the order of first appearance."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


@dataclass
class Episode:
    """One episode while its records are read.

    Attributes:
        number: its number in the run.
        user: number of the user among :attr:`RunColumns.users`.
        steps: steps with a recommendation.
        end_reason: why it ended.
    """

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


@dataclass
class RunColumns:
    """A run: one row per episode, one per step, one per rating of what was consumed.

    Attributes:
        directory: where it lies.
        manifest: its manifest.
        summary: its summary; None where it was killed before it wrote one.
        users: the users, in the order of their first episode.
        titles: title by the id of an item, of all that were recommended.
        episodes: in the order of their numbers.
        step_episode: position of the episode of each step, shape ``(steps,)``.
        step: number of each step in its episode, from 1.
        moods: mood after each step, shape ``(steps, 2)``.
        rating_episode: position of the episode of each rating, shape ``(ratings,)``.
        rating_step: number of its step.
        item: number of the item rated, in the order of ``titles``.
        rating: the rating, after perturbation.
        liked: whether its valence is positive.
    """

    directory: Path
    manifest: Mapping[str, Any]
    summary: Mapping[str, Any] | None
    users: list[User] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)
    step_episode: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    step: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    moods: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    rating_episode: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    rating_step: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    item: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    rating: Floats = field(default_factory=lambda: np.zeros(0))
    liked: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

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


def read_run(
    directory: Path, seen: Callable[[Episode, Mapping[str, Any]], None] = lambda episode, record: None
) -> RunColumns:
    """Read a run.

    Args:
        directory: the run's directory.
        seen: called with each record and its episode, before what the record tells is added to the episode.

    Raises:
        RunError: the directory holds no run, or a file of it is damaged.
    """
    manifest = run_manifest(directory)
    summary = read_summary(directory) if (directory / SUMMARY).exists() else None
    run = RunColumns(directory, manifest, summary)
    users, items, episodes = Numbered(), Numbered(), dict[int, Episode]()
    ints = {name: array("q") for name in ("step_episode", "step", "rating_episode", "rating_step", "item", "liked")}
    floats = {name: array("d") for name in ("moods", "rating")}
    for record in read_records(directory):
        number = record["episode"]
        episode = episodes.get(number)
        if episode is None:
            user = record["user"]
            if user not in users:
                run.users.append(User(**record["user_profile"]))
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
        floats["moods"].extend(episode.mood)
        for slate_item in record["recommended"]:
            run.titles[slate_item["item"]] = slate_item["title"]
            item = items[slate_item["item"]]
            if slate_item["raw_rating"] is None and episode.end_reason != "interrupted":
                episode.failed += 1
            if not slate_item["consumed"]:
                continue
            liked = slate_item["valence"] == "positive"
            episode.total += slate_item["rating"]
            episode.rated += 1
            episode.liked += liked
            ints["rating_episode"].append(number)
            ints["rating_step"].append(record["step"])
            ints["item"].append(item)
            ints["liked"].append(liked)
            floats["rating"].append(slate_item["rating"])
    run.episodes = sorted(episodes.values(), key=lambda episode: episode.number)
    for position, episode in enumerate(run.episodes):
        episode.position = position
    numbers = np.array([episode.number for episode in run.episodes], dtype=np.int64)
    columns = {name: np.array(values, dtype=np.int64) for name, values in ints.items()}
    run.step_episode = np.searchsorted(numbers, columns["step_episode"])
    run.rating_episode = np.searchsorted(numbers, columns["rating_episode"])
    run.step, run.rating_step, run.item = columns["step"], columns["rating_step"], columns["item"]
    run.liked = columns["liked"].astype(np.bool_)
    run.moods = np.array(floats["moods"], dtype=np.float64).reshape(-1, 2)
    run.rating = np.array(floats["rating"], dtype=np.float64)
    return run
