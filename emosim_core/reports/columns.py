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
"""The ending of a session in the middle of which the run stopped."""


class Numbered(dict[Any, int]):
    """Numbers for whatever is looked up, from 0 in the order of first appearance."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


@dataclass
class Session:
    """One session while its records are read.

    Attributes:
        number: its number in the run.
        person: number of the person among :attr:`RunColumns.people`.
        steps: steps with a proposal.
        end: why it ended.
    """

    number: int
    person: int
    steps: int = 0
    reward: float = 0.0
    total: float = 0.0
    rated: int = 0
    liked: int = 0
    failed: int = 0
    mood: tuple[float, float] = (0.0, 0.0)
    end: str = UNFINISHED
    position: int = 0


@dataclass
class RunColumns:
    """A run: one row per session, one per step, one per rating of what was consumed.

    Attributes:
        directory: where it lies.
        manifest: its manifest.
        summary: its summary; None where it was killed before it wrote one.
        users: the people, in the order of their first session.
        titles: title by the id of an item, of all that were proposed.
        sessions: in the order of their numbers.
        step_session: position of the session of each step, shape ``(steps,)``.
        step: number of each step in its session, from 1.
        moods: mood after each step, shape ``(steps, 2)``.
        rating_session: position of the session of each rating, shape ``(ratings,)``.
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
    sessions: list[Session] = field(default_factory=list)
    step_session: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    step: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    moods: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    rating_session: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    rating_step: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    item: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    rating: Floats = field(default_factory=lambda: np.zeros(0))
    liked: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    @property
    def people(self) -> Ints:
        """Number of the person of each session, shape ``(sessions,)``."""
        return np.array([session.person for session in self.sessions], dtype=np.int64)

    @property
    def ended(self) -> list[Session]:
        """The sessions that are over."""
        return [session for session in self.sessions if session.end != UNFINISHED]

    @property
    def complete(self) -> bool:
        """Whether all sessions were simulated."""
        return bool(self.summary and self.summary["complete"])

    def by_person(self, people: Ints, values: Floats) -> tuple[Floats, Floats]:
        """Sums and counts of values per person, each of shape ``(people, 1)``."""
        count = len(self.users)
        totals = np.bincount(people, weights=values, minlength=count).astype(np.float64)
        return totals[:, None], np.bincount(people, minlength=count).astype(np.float64)[:, None]


def read_run(
    directory: Path, seen: Callable[[Session, Mapping[str, Any]], None] = lambda session, record: None
) -> RunColumns:
    """Read a run.

    Args:
        directory: the run's directory.
        seen: called with each record and its session, before what the record tells is added to the session.

    Raises:
        RunError: the directory holds no run, or a file of it is damaged.
    """
    manifest = run_manifest(directory)
    summary = read_summary(directory) if (directory / SUMMARY).exists() else None
    run = RunColumns(directory, manifest, summary)
    people, items, sessions = Numbered(), Numbered(), dict[int, Session]()
    ints = {name: array("q") for name in ("step_session", "step", "rating_session", "rating_step", "item", "liked")}
    floats = {name: array("d") for name in ("moods", "rating")}
    for record in read_records(directory):
        number = record["episode"]
        session = sessions.get(number)
        if session is None:
            user = record["user"]
            if user not in people:
                run.users.append(User(**record["person"]))
            session = sessions[number] = Session(number, people[user])
        seen(session, record)
        session.mood = (record["mood"][0], record["mood"][1])
        session.reward += record["reward"]
        session.end = record["end"] or UNFINISHED
        if not record["proposed"]:
            continue
        session.steps += 1
        ints["step_session"].append(number)
        ints["step"].append(record["step"])
        floats["moods"].extend(session.mood)
        for told in record["proposed"]:
            run.titles[told["item"]] = told["title"]
            item = items[told["item"]]
            if told["rating"] is None and session.end != "interrupted":
                session.failed += 1
            if not told["consumed"]:
                continue
            liked = told["valence"] == "positive"
            session.total += told["felt"]
            session.rated += 1
            session.liked += liked
            ints["rating_session"].append(number)
            ints["rating_step"].append(record["step"])
            ints["item"].append(item)
            ints["liked"].append(liked)
            floats["rating"].append(told["felt"])
    run.sessions = sorted(sessions.values(), key=lambda session: session.number)
    for position, session in enumerate(run.sessions):
        session.position = position
    numbers = np.array([session.number for session in run.sessions], dtype=np.int64)
    columns = {name: np.array(values, dtype=np.int64) for name, values in ints.items()}
    run.step_session = np.searchsorted(numbers, columns["step_session"])
    run.rating_session = np.searchsorted(numbers, columns["rating_session"])
    run.step, run.rating_step, run.item = columns["step"], columns["rating_step"], columns["item"]
    run.liked = columns["liked"].astype(np.bool_)
    run.moods = np.array(floats["moods"], dtype=np.float64).reshape(-1, 2)
    run.rating = np.array(floats["rating"], dtype=np.float64)
    return run
