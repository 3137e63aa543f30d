"""Meeting: one simulated user, step by step, with slates that somebody chooses by hand or has a policy recommend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from emosim_core.components.base import BeginRequest, Exchange, Policy
from emosim_core.errors import ConfigurationError, EmoSimError, RunError
from emosim_core.hooks.faults import named
from emosim_core.model import User
from emosim_core.runs.job import JobDirectory
from emosim_core.runs.recommending import exchanges_under_way, outcome_of, recommended, start_policy
from emosim_core.runs.runner import Run
from emosim_core.runs.steps import Labels, four_decimals, records_of, signals_of, steps_of
from emosim_core.runs.words import END_REASONS
from emosim_core.simulation.assembly import World
from emosim_core.simulation.config import RunConfig
from emosim_core.simulation.engine import Engine, Step

_EPISODE = 0
"""Number of the episode that a meeting is; with the seed it decides all draws."""

MOST_MATCHES = 50
"""Items that a search returns."""


@dataclass(frozen=True)
class MeetingStep:
    """One step of a meeting.

    Attributes:
        record: the step as a line of interactions.jsonl holds it, see :func:`~emosim_core.runs.steps.records_of`.
        exchanges: what was requested of a language model and what it answered, each as a line of the transcript has it:
            ``about``, ``place``, ``messages``, ``answer``, ``error`` and ``cached``.
    """

    record: dict[str, Any]
    exchanges: list[dict[str, Any]]


@dataclass(frozen=True)
class _Suggested:
    policy: str


@dataclass(frozen=True)
class _Offered:
    items: tuple[int, ...]


@dataclass(frozen=True)
class _Recommending:
    """A policy that has been asked for a slate in this meeting, and what it is in words."""

    policy: Policy
    label: str


class Meeting:
    """One user of a world, who is offered one slate after another.

    What happened decides all that comes: the same world, user, seed and slates give the same steps, so that a meeting
    goes back by beginning anew, and is saved as the run that recommends the same slates. Nothing is written before.

    Args:
        world: made by :func:`~emosim_core.simulation.assembly.assemble` from a :class:`RunConfig`.
        user_id: the user.
        seed: decides all draws, with what is offered.

    Attributes:
        steps: the steps so far.

    Raises:
        ConfigurationError: the world has no such user, or was made for something else than a run.
    """

    def __init__(self, world: World, user_id: str, seed: int = 42) -> None:
        if not isinstance(world.config, RunConfig):
            raise ConfigurationError("a meeting needs a world that is made from the configuration of a run")
        self.world, self.seed, self._config = world, seed, world.config
        self._user = world.index_of_user(user_id)
        self.engine = Engine(world)
        users = [user.id for user in world.population.users]
        self._labels = Labels(world.catalog.ids, world.catalog.titles, users, self.engine.end_reasons)
        self._signals = signals_of(world, self._config)
        self._begin()

    def _begin(self) -> None:
        self._events: list[_Suggested | _Offered] = []
        self._policies: dict[str, _Recommending] = {}
        self._outcomes: list[Step] = []
        self.steps: list[MeetingStep] = []
        rows = self.engine.all_rows
        self.engine.begin(rows, [self.seed], [_EPISODE], [self._user])

    # ------------------------------------------------------------------------------------------- looking

    @property
    def user(self) -> User:
        """The user."""
        return self.world.population.users[self._user]

    @property
    def slate(self) -> int:
        """Items of a slate."""
        return self.engine.slate

    @property
    def mood(self) -> tuple[float, float]:
        """Valence and arousal now."""
        valence, arousal = four_decimals(self.engine.moods)[0].tolist()
        return valence, arousal

    @property
    def end_reason(self) -> str | None:
        """Why the user left, None while they stay."""
        return self.steps[-1].record["end_reason"] if self.steps else None

    def memories(self) -> list[dict[str, Any]]:
        """What the user remembers, the most recent first: id and title of the item, and its rating."""
        past = self.engine.memory.history(self.engine.all_rows).interactions(0)
        items, titles = self._labels.items, self._labels.titles
        return [{"item": items[one.item], "title": titles[one.item], "rating": one.rating} for one in reversed(past)]

    def policies(self) -> list[str]:
        """Names of the policies that can recommend without an option being given."""
        names = []
        for component, _ in self.world.registry.components("policy", self.world.domain.name):
            try:
                options = component.options_model()
                names += [component.name] if options is None or options() else []
            except (ValidationError, EmoSimError):  # it needs options, or a package that is not installed
                continue
        return names

    # ------------------------------------------------------------------------------------------- offering

    def suggest(self, policy: str) -> list[str]:
        """Ids of the items that a policy recommends next; it knows what its observation shows, and learns of each step.

        Raises:
            ConfigurationError: there is no such policy, it cannot recommend here, or nothing is left to recommend.
            PluginError: it fails.
        """
        self._check_going()
        items = self._suggested(policy)
        if (items < 0).any():
            raise ConfigurationError(f"{self._policies[policy].label} has nothing left to recommend")
        self._events.append(_Suggested(policy))
        return [self._labels.items[item] for item in items.tolist()]

    def _suggested(self, policy: str) -> np.ndarray[Any, np.dtype[np.intp]]:
        if policy not in self._policies:
            self._policies[policy] = self._made(policy)
        one = self._policies[policy]
        return recommended(one.policy, self.engine, one.label, self.engine.all_rows, everyone=True)[0]

    def _made(self, policy: str) -> _Recommending:
        """A policy that has learned of the steps so far."""
        resolved = self.world.registry.resolve("policy", policy, self.world.domain.name)
        one = _Recommending(resolved.build(Policy), resolved.label)
        if one.policy.history_length > self.engine.history_length:
            raise ConfigurationError(
                f"{one.label} needs the last {one.policy.history_length} interactions of a user, and observations show "
                f"{self.engine.history_length}; give history_length={one.policy.history_length}"
            )
        start_policy(one.policy, self.engine, one.label)
        with named(one.label):
            rows = self.engine.all_rows
            one.policy.begin(BeginRequest(rows=rows), self.engine.policy_draws(rows))
            for step in self._outcomes:
                one.policy.learn(outcome_of(step))
        return one

    def offer(self, items: Sequence[str]) -> MeetingStep:
        """Offer a slate and see what the user does; ``items`` are ids, as many as the slate has, each once.

        Raises:
            ConfigurationError: an item is unknown or stands twice, there are not as many, or the user has left.
            RatingError: the rater failed, and failed ratings raise; the step was not taken.
            LLMError: the language model cannot be called; the step was not taken.
        """
        self._check_going()
        index = self.world.catalog.index
        if unknown := [item for item in items if item not in index]:
            raise ConfigurationError(f"the catalog has no item {unknown[0]!r}")
        if len(items) != self.slate or len(set(items)) < len(items):
            raise ConfigurationError(f"a slate has {self.slate} items here, each once; got {len(items)}")
        offered = _Offered(tuple(index[item] for item in items))
        try:
            step = self._step(offered)
        except EmoSimError:
            self.rewind(len(self.steps))  # without the draws of the step that failed
            raise
        self._events.append(offered)
        return step

    def _check_going(self) -> None:
        if self.end_reason is not None:
            why = END_REASONS.get(self.end_reason, self.end_reason)
            raise ConfigurationError(f"{self.user.name} {why}: go back, save the meeting, or begin another")

    def _step(self, offered: _Offered) -> MeetingStep:
        engine, rows = self.engine, self.engine.all_rows
        actions = np.array([offered.items], dtype=np.intp)
        step = engine.step(actions)
        self._outcomes.append(step)
        exchanges = [_exchange(one) for one, _, _ in exchanges_under_way(engine, rows, actions)]
        for one in self._policies.values():
            with named(one.label):
                one.policy.learn(outcome_of(step))
        number = np.array([len(self.steps) + 1])
        # As the run that this is saved as says it: its policy is certain of what it recommends.
        sure = np.ones(actions.shape) if "propensity" in self._signals else None
        columns = steps_of(step, np.array([_EPISODE]), number, four_decimals(step.moods), propensities=sure)
        record = records_of(
            columns,
            self._labels,
            lambda row: step.reason(*divmod(row, self.slate)),
            lambda row: step.probabilities(*divmod(row, self.slate)),
        )[0]
        if not self.steps:
            record["user_profile"] = self.user.model_dump(mode="json")
        self.steps.append(MeetingStep(record, exchanges))
        return self.steps[-1]

    # --------------------------------------------------------------------------------- going back, saving

    def rewind(self, steps: int) -> None:
        """Go back to when ``steps`` steps had been taken, by beginning anew and offering the same.

        A language model is not called again for what it has answered: its answers are cached.

        Raises:
            ConfigurationError: there were not as many steps.
            RunError: the user does something else now; the rater, a policy or a plugin is not repeatable.
        """
        if not 0 <= steps <= len(self.steps):
            raise ConfigurationError(f"there are {len(self.steps)} steps; cannot go back to step {steps}")
        events, before = self._events, self.steps
        self._begin()
        for event in events:
            if len(self.steps) == steps:
                break
            if isinstance(event, _Suggested):
                self._suggested(event.policy)
                self._events.append(event)
                continue
            step = self._step(event)
            self._events.append(event)
            if step.record != before[len(self.steps) - 1].record:
                raise RunError(
                    f"step {len(self.steps)} came out in another way than before: {self.world.answered_by}, or a "
                    "plugin, depends on more than the seed. The meeting was begun anew up to there."
                )

    def config(self) -> RunConfig:
        """The configuration of the run that this meeting is: one episode with this user and the same slates.

        Raises:
            ConfigurationError: nothing was offered yet.
        """
        if not self.steps:
            raise ConfigurationError("nothing was offered yet: there is nothing to save")
        items = [self._labels.items[item] for one in self._events if isinstance(one, _Offered) for item in one.items]
        return self._config.model_copy(
            update={
                "policy": {"name": "replay", "items": items},
                "user_id": self.user.id,
                "seed": self.seed,
                "episodes": 1,
                "num_envs": 1,
                "max_steps": len(self.steps),
                "records": "jsonl",
            }
        )

    def save(self, directory: Path | JobDirectory) -> dict[str, Any]:
        """Save the meeting as a run of one episode, which ends where the meeting does; returns its summary.

        Raises:
            RunError: the directory is taken or cannot be written.
            EmoSimError: as of :meth:`~emosim_core.runs.runner.Run.run`.
        """
        return Run(self.config(), directory, registry=self.world.registry).run()


def search_items(world: World, text: str, limit: int = MOST_MATCHES) -> tuple[list[int], int]:
    """Indices of items with all words of a text in their title, people or categories, and how many there are in all.

    Titles that begin with the text come first, then those that hold it, then the others; the most rated first.
    """
    wanted = text.casefold().split()
    ranked: list[tuple[int, float, int]] = []
    for number, item in enumerate(world.catalog.items):
        title = item.title.casefold()
        rest = "\n".join((title, *item.categories, *item.creators)).casefold()
        if all(word in rest for word in wanted):
            inside = all(word in title for word in wanted)
            begins = bool(wanted) and title.startswith(" ".join(wanted))
            ranked.append((2 - inside - begins, -float(item.public_count or 0), number))
    return [number for _, _, number in sorted(ranked)[:limit]], len(ranked)


def _exchange(one: Exchange) -> dict[str, Any]:
    """An exchange as a page shows it."""
    return {
        "about": one.about,
        "place": one.place,
        "messages": [{"role": role, "text": text} for role, text in one.messages],
        "answer": one.answer,
        "error": one.error,
        "cached": one.cached,
    }
