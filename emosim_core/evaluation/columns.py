"""RunColumns: a run as columns, read in one pass over its records; what metrics and charts are made of."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.emotion import VALENCE_NAMES
from emosim_core.model.user import User
from emosim_core.runs.records import SUMMARY, open_blocks, read_records, read_summary, run_manifest
from emosim_core.stats import Floats

if TYPE_CHECKING:
    from emosim_core.runs.blocks import RunBlocks

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


class EpisodeTable(Sequence[Episode]):
    """Episodes as columns, E of them.

    Attributes:
        number, user, steps, rated, liked, failed, position: shape ``(E,)``.
        reward, total: shape ``(E,)``.
        mood: shape ``(E, 2)``.
        end: why each ended, an index into ``reasons``, shape ``(E,)``.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]], reasons: Sequence[str]) -> None:
        self.number, self.user, self.steps, self.rated = (
            columns[name] for name in ("number", "user", "steps", "rated")
        )
        self.liked, self.failed, self.position = (columns[name] for name in ("liked", "failed", "position"))
        self.reward, self.total, self.mood, self.end = (columns[name] for name in ("reward", "total", "mood", "end"))
        self.reasons = reasons

    @classmethod
    def of(cls, episodes: Sequence[Episode]) -> EpisodeTable:
        """A table of episodes, whose positions are their places in it."""
        reasons = Numbered()
        columns = {
            name: np.array([getattr(one, name) for one in episodes], dtype=np.int64)
            for name in ("number", "user", "steps", "rated", "liked", "failed")
        }
        columns["position"] = np.arange(len(episodes))
        columns["end"] = np.array([reasons[one.end_reason] for one in episodes], dtype=np.int64)
        floats = {name: np.array([getattr(one, name) for one in episodes]) for name in ("reward", "total")}
        mood = np.array([one.mood for one in episodes], dtype=np.float64).reshape(-1, 2)
        return cls({**columns, **floats, "mood": mood}, list(reasons))

    def __len__(self) -> int:
        return len(self.number)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice | NDArray[Any]) -> EpisodeTable: ...

    def __getitem__(self, index: int | slice | NDArray[Any]) -> Episode | EpisodeTable:
        columns = {name: column[index] for name, column in vars(self).items() if name != "reasons"}
        if not isinstance(index, int):
            return EpisodeTable(columns, self.reasons)
        end = self.reasons[columns.pop("end")]
        return Episode(**{name: column.tolist() for name, column in columns.items()}, end_reason=end)

    def ended_by(self, reason: str) -> NDArray[np.bool_]:
        """Which of them ended for a reason, shape ``(E,)``."""
        return self.end == (self.reasons.index(reason) if reason in self.reasons else -1)

    def end_counts(self) -> Counter[str]:
        """How many ended for each reason, the reasons in the order in which they come up."""
        codes, first, counts = np.unique(self.end, return_index=True, return_counts=True)
        order = np.argsort(first)
        return Counter(dict(zip((self.reasons[code] for code in codes[order]), counts[order].tolist(), strict=True)))


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
    episodes: EpisodeTable = field(default_factory=lambda: EpisodeTable.of([]))
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
        return self.episodes.user

    @property
    def ended(self) -> EpisodeTable:
        """The episodes that are over."""
        return self.episodes[~self.episodes.ended_by(UNFINISHED)]

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
                if raw is None and slate_item.get("clicked", True) and episode.end_reason != "interrupted":
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
        self.episodes = EpisodeTable.of(sorted(episodes.values(), key=lambda episode: episode.number))
        numbers = self.episodes.number
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
    """Read a run; ``seen`` is that of :meth:`RunColumns.read`.

    Raises:
        MissingDependencyError: its records are Parquet, and pyarrow is not installed.
        RunError: the directory holds no run, or a file of it is damaged.
    """
    return _opened(directory).read(read_records(directory), seen)


def _opened(directory: Path) -> RunColumns:
    manifest = run_manifest(directory)
    return RunColumns(directory, manifest, read_summary(directory) if (directory / SUMMARY).exists() else None)


def read_episodes(directory: Path) -> RunColumns:
    """Read the episodes of a run, and as much else of it as comes along; errors as of :func:`read_run`."""
    blocks = open_blocks(directory)
    return read_run(directory) if blocks is None else read_blocks(directory, blocks, lambda part: None)


@dataclass(frozen=True)
class Part:
    """Some steps of a run as sums are made of them; numbers of users and items are those of :class:`RunColumns`.

    Attributes:
        user, item, step, rating, liked: of each rating of what was consumed, shape ``(ratings,)``.
        step_number, moods, stayed: of each step its number in the episode, the mood after it, and whether the episode
            came to its last step, shape ``(steps,)``, moods ``(steps, 2)``.
    """

    user: Ints
    item: Ints
    step: Ints
    rating: Floats
    liked: NDArray[np.bool_]
    step_number: Ints
    moods: Floats
    stayed: NDArray[np.bool_]

    @classmethod
    def of(cls, run: RunColumns) -> Part:
        """All steps of a run that was read whole."""
        stayed = run.episodes.ended_by("max_steps")[run.step_episode]
        user = run.episode_users[run.rating_episode]
        return cls(user, run.item, run.rating_step, run.rating, run.liked, run.step, run.moods, stayed)


def read_blocks(directory: Path, blocks: RunBlocks, seen: Callable[[Part], None]) -> RunColumns:
    """Read the episodes of a run from its blocks; memory is taken by the episodes, not by the steps.

    Args:
        seen: called with the steps of each part.

    Raises:
        RunError: a file is damaged; names it.
    """
    run, reasons = _opened(directory), blocks.labels.end_reasons
    number_of_user = _Renumbered(len(blocks.labels.users))
    number_of_item = _Renumbered(len(blocks.labels.items))
    lasts = max((end for _, end in blocks.ranges()), default=0)
    parts: list[Ints] = []
    ints = {name: np.zeros(lasts, dtype=np.int32) for name in ("user", "steps", "rated", "liked", "failed", "end")}
    floats = {"reward": np.zeros(lasts), "total": np.zeros(lasts), "mood": np.zeros((lasts, 2))}
    for steps, ends in blocks.steps():
        user, item = number_of_user(steps.user), number_of_item(steps.item)
        episode, begins, eaten = steps.episode, steps.place == 0, steps.consumed
        valid = begins & (steps.item >= 0)
        ints["user"][episode], ints["end"][episode], floats["mood"][episode] = user, steps.end, steps.moods
        np.add.at(ints["steps"], episode[valid], 1)
        np.add.at(ints["rated"], episode[eaten], 1)
        liked = steps.code[eaten] // 3 == _POSITIVE
        np.add.at(ints["liked"], episode[eaten], liked)
        failed = np.isnan(steps.raw_rating) & (steps.item >= 0) & steps.signals.get("clicked", True)
        failed &= np.array([reason != "interrupted" for reason in reasons])[steps.end]
        np.add.at(ints["failed"], episode[failed], 1)
        np.add.at(floats["reward"], episode[begins], steps.reward[begins])
        np.add.at(floats["total"], episode[eaten], steps.rating[eaten])
        stayed = np.array([reason == "max_steps" for reason in reasons])[ends]
        seen(
            Part(
                *(user[eaten], item[eaten], steps.step[eaten], steps.rating[eaten], liked),
                *(steps.step[valid], steps.moods[valid], stayed[valid]),
            )
        )
        parts.append(np.unique(episode))
    existing = np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)
    whole: dict[str, NDArray[Any]] = {**ints, **floats}
    columns = {name: column[existing] for name, column in whole.items()}
    columns |= {"number": existing, "position": np.arange(len(existing))}
    run.episodes = EpisodeTable(columns, list(reasons))
    run.users = [blocks.users[index] for index in number_of_user.order]
    run.titles = {blocks.labels.items[index]: blocks.labels.titles[index] for index in number_of_item.order}
    return run


_POSITIVE = VALENCE_NAMES.index("positive")


class _Renumbered:
    """Numbers of what comes up, from 0 in the order of first appearance, for numbers below ``count``; -1 stays."""

    def __init__(self, count: int) -> None:
        self.order: list[int] = []
        self._number = np.full(count + 1, -1, dtype=np.int64)  # the last is for -1

    def __call__(self, values: Ints) -> Ints:
        numbers = self._number[values]
        new = (numbers < 0) & (values >= 0)
        if new.any():
            fresh, first = np.unique(values[new], return_index=True)
            fresh = fresh[np.argsort(first)]
            self._number[fresh] = np.arange(len(self.order), len(self.order) + len(fresh))
            self.order += fresh.tolist()
            numbers = self._number[values]
        return numbers
