"""Recommenders from outside: what they receive, in items' ids, and how their lists of ids become slates."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from emosim_core.components.base import BeginRequest, Draws, Observations, Policy, PolicySetting, RecommendationRequest
from emosim_core.errors import WrongAnswerError
from emosim_core.model.arrays import Ints
from emosim_core.recommenders.heuristics import clicked_last

History = list[tuple[str, float]]
"""Items that a user consumed with their ratings, oldest first."""


class OutsidePolicy(Policy):
    """Base of policies that ask a recommender that knows items by their ids.

    Lists are read until a slate is full. Ids that the catalog does not have (``unknown_items``), that stand twice in a
    list (``repeated_items``) or were recommended in the episode before (``excluded_items``) are left out. A list with
    less than a slate of others has nothing left to recommend (``short_lists``), which ends the episode. All are
    counted, and the first id of each kind is a warning.

    Args:
        history_length: most recent interactions that the recommender receives.
    """

    observes = ("user", "history_items", "history_ratings", "history_mask")

    def __init__(self, history_length: int) -> None:
        self.history_length = history_length
        self._counts: Counter[str] = Counter()

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        self._ids = [*setting.catalog.ids]
        self._recommended: list[list[int]] = [[] for _ in range(setting.batch_size)]

    def begin(self, request: BeginRequest, draws: Draws) -> None:
        for row in request.rows.tolist():
            self._recommended[row] = []

    def lists(
        self, users: Sequence[str], histories: Sequence[History], exclude: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[str]]:
        """Ids of items for each of R users, best first, at least a slate of them where there are as many.

        Args:
            users: their ids.
            histories: of each, what the observation shows.
            exclude: for each, what was recommended in this episode; where users click before they rate, what they
                clicked.
        """
        raise NotImplementedError

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        rows = request.rows.tolist()
        last = clicked_last(request.observations, self.slate)
        if last is not None:
            for row, shown, clicked in zip(rows, *last, strict=True):
                self._recommended[row] += shown[clicked].tolist()
        exclude = [[self._ids[item] for item in self._recommended[row]] for row in rows]
        users = [self.users[user] for user in np.asarray(request.observations["user"]).ravel().tolist()]
        answers = self.lists(users, self._histories(request.observations), exclude)
        actions = np.full((len(rows), self.slate), -1, dtype=np.intp)
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            slate = self._slate(answer, self._recommended[row])
            if len(slate) == self.slate:
                actions[place] = slate
                self._recommended[row] += slate if last is None else []
            else:
                self._counts["short_lists"] += 1
        return actions

    def counts(self) -> Mapping[str, int]:
        return self._counts

    def _histories(self, observations: Observations) -> list[History]:
        """What R observations show, oldest first."""
        known = observations["history_mask"][:, ::-1].astype(bool)
        items, ratings = (observations[name][:, ::-1][known].tolist() for name in ("history_items", "history_ratings"))
        pairs = list(zip(map(self._ids.__getitem__, items), ratings, strict=True))
        ends = [0, *np.cumsum(known.sum(axis=1)).tolist()]
        return [pairs[begin:end] for begin, end in pairwise(ends)]

    def _slate(self, answer: Sequence[str], before: Sequence[int]) -> list[int]:
        """The first items of a list that may be recommended, at most a slate."""
        slate: list[int] = []
        index = self.catalog.index
        for id_ in answer:
            if len(slate) == self.slate:
                break
            item = index.get(id_)
            if item is None:
                self._leave_out("unknown_items", f"{id_!r}, which is no item of the catalog")
            elif item in before:
                self._leave_out("excluded_items", f"{id_!r} again in one episode")
            elif item in slate:
                self._leave_out("repeated_items", f"{id_!r} twice in one list")
            else:
                slate.append(item)
        return slate

    def _leave_out(self, kind: str, what: str) -> None:
        if not self._counts[kind]:
            warnings.warn(f"the recommender recommended {what}; such items are left out of its lists", stacklevel=2)
        self._counts[kind] += 1


def id_lists(answer: object, users: int, who: str) -> list[list[str]]:
    """An answer as lists of ids, one for each user; a WrongAnswerError where it is something else."""
    if not isinstance(answer, Sequence) or isinstance(answer, str) or len(answer) != users:
        count = f" of {len(answer)}" if isinstance(answer, Sequence) and not isinstance(answer, str) else ""
        what = f"{who} answered a {type(answer).__name__}{count}; expected {users} lists of ids of items"
        raise WrongAnswerError(what, "policy-shape")
    return [id_list(one, who) for one in answer]


def id_list(answer: object, who: str) -> list[str]:
    """An answer as a list of ids; a WrongAnswerError where it is something else."""
    made = answer.tolist() if isinstance(answer, np.ndarray) else answer
    if not isinstance(made, list | tuple) or not all(isinstance(one, str) for one in made):
        strange = type(made).__name__
        if isinstance(made, list | tuple):
            odd = next(one for one in made if not isinstance(one, str))
            strange = f"{strange} with {odd!r}, of the type {type(odd).__name__}"
        raise WrongAnswerError(f"{who} answered a {strange}; expected a list of ids of items, as text", "policy-shape")
    return list(made)
