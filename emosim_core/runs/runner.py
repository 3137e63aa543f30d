"""Runner: a recommender meets simulated users, episode after episode, many side by side."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import (
    BeginRequest,
    Policy,
    PolicySetting,
    RecommendationOutcome,
    RecommendationRequest,
)
from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError, EmoSimError, LLMBudgetError, LLMError, PluginError, RatingError
from emosim_core.hooks import Registry
from emosim_core.hooks.faults import fault
from emosim_core.runs.directory import RunDirectory
from emosim_core.runs.job import JobDirectory
from emosim_core.runs.manifest import make_manifest
from emosim_core.runs.records import step_records
from emosim_core.runs.summary import Episode, Tally
from emosim_core.runs.transcript import Transcript
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import RunConfig
from emosim_core.simulation.engine import OUT_OF_ITEMS, Engine, Step

_MOST_PUT_OFF = 1000
"""Episodes that may wait because their user is in another one; beyond, slots stay empty for a while."""


class Run:
    """One run: its world, its recommender, its directory.

    Args:
        resume: whether the directory holds a run that is to be continued; a job directory knows.
        spent: cost of the model calls that the command has made before this run.

    Raises:
        EmoSimError: something that the configuration names is wrong, or the directory cannot be used.
    """

    def __init__(
        self,
        config: RunConfig,
        directory: Path | JobDirectory,
        resume: bool = False,
        registry: Registry | None = None,
        spent: float = 0.0,
    ) -> None:
        world = assemble(config, registry, spent)
        if config.num_envs is None:
            with world.blaming("rater"):
                config = config.model_copy(update={"num_envs": index(world.rater.batch_size)})
        self.config = config
        resolved = world.registry.resolve("policy", config.policy, world.domain.name)
        self.policy: Policy = resolved.build(Policy)
        self.world: World = replace(world, parts={**world.parts, "policy": resolved.describe()})
        self._batch = min(config.num_envs or 1, config.episodes)
        with self.world.blaming("policy"):
            shown = index(self.policy.history_length)
        self.engine = Engine(self.world, self._batch, shared_memory=True, history_length=shown)
        parts = self.engine.observation_parts
        if missing := [part for part in self.policy.observes if part not in parts]:
            raise ConfigurationError(
                f"{self.world.label('policy')} reads {missing[0]!r}, which the "
                f"{self.world.label('observation')} leaves out; it has {', '.join(parts)}. Choose another with "
                "--observation, such as full"
            )
        with self.world.blaming("policy"):
            self.policy.start(
                PolicySetting(
                    catalog=self.world.catalog,
                    slate=config.slate,
                    batch_size=self._batch,
                    users=[user.id for user in self.world.population.users],
                    history_length=self.engine.history_length,
                )
            )
        self.directory = RunDirectory(directory, resume)
        self.manifest = make_manifest(self.world, config)
        self.directory.begin(self.manifest, RunConfig, self.world.registry)
        self.tally = Tally(self.world)
        self._transcript = Transcript()
        self._playing: dict[int, Episode] = {}
        self._begun = 0
        self._put_off: deque[tuple[int, int]] = deque()

    def run(self, on_episode: Callable[[Episode], None] = lambda episode: None) -> dict[str, Any]:
        """Simulate all episodes.

        Args:
            on_episode: called with each episode that ends.

        Returns:
            The summary, as written to summary.json.

        Raises:
            KeyboardInterrupt: after the files were left so that the run can be resumed.
            LLMBudgetError: the budget is spent; the files are left so too.
            LLMError: no question can be answered; the files are left so too, if any step was taken.
            RatingError: the rater failed and ``on_failed_rating`` is ``"raise"``; the files are left in the same way.
            RunError: a file cannot be written.
        """
        with self.directory.job:
            return self._play(on_episode)

    def _play(self, on_episode: Callable[[Episode], None]) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            self._notify("emosim_run_started", directory=str(self.directory.path), manifest=self.manifest)
            self._fill_slots(range(self._batch))
            while self._playing:
                for episode in self._step_all():
                    on_episode(episode)
        except (KeyboardInterrupt, LLMError, RatingError) as error:
            if self.tally.steps or isinstance(error, KeyboardInterrupt | LLMBudgetError):
                self.directory.finish(self.tally.summary(time.perf_counter() - started, complete=False))
            else:
                self.directory.abandon()
            raise
        except BaseException:
            self.directory.abandon()
            raise
        finally:
            self.world.close()
        summary = self.tally.summary(time.perf_counter() - started, complete=True)
        self.directory.finish(summary)
        self._notify("emosim_run_ended", directory=str(self.directory.path), summary=summary)
        return summary

    def _notify(self, hook: str, **what: Any) -> None:
        try:
            getattr(self.world.registry.hook, hook)(**what)
        except EmoSimError:
            raise
        except Exception as error:
            raise fault(f"an observer ({hook})", error) from error

    # -------------------------------------------------------------------------------------- episodes

    def _fill_slots(self, slots: Iterable[int]) -> None:
        """Begin a waiting episode in each of ``slots``, as long as there are any that may begin."""
        begun: list[tuple[int, int, int]] = []
        for slot in slots:
            chosen = self._next_episode()
            if chosen is None:
                break
            episode, user_index = chosen
            user = self.world.population.users[user_index]
            mood = (round(user.baseline_valence, 4), round(user.baseline_arousal, 4))
            self._playing[slot] = Episode(episode, user_index, user.name, user.id, mood=mood)
            begun.append((slot, episode, user_index))
        if begun:
            rows = np.array([slot for slot, _, _ in begun])
            seeds = [self.config.seed] * len(begun)
            self.engine.begin(rows, seeds, [e for _, e, _ in begun], [p for _, _, p in begun])
            with self.world.blaming("policy"):
                self.policy.begin(BeginRequest(rows=rows), self.engine.policy_draws(rows))

    def _next_episode(self) -> tuple[int, int] | None:
        """The next episode, as number and user. Who remembers earlier episodes lives them one after another."""
        busy: set[int] = set()
        if self.config.keep_memory:
            busy = {episode.user_index for episode in self._playing.values()}
            for place, (_, user_index) in enumerate(self._put_off):
                if user_index not in busy:
                    chosen = self._put_off[place]
                    del self._put_off[place]
                    return chosen
                busy.add(user_index)
        while self._begun < self.config.episodes and len(self._put_off) < _MOST_PUT_OFF:
            episode = self._begun
            user_index = self.engine.user_of(self.config.seed, episode)
            self._begun += 1
            if user_index not in busy:
                return episode, user_index
            self._put_off.append((episode, user_index))
        return None

    def _step_all(self) -> list[Episode]:
        """One step of every episode that is going on; the episodes that it ended."""
        rows = np.array(sorted(self._playing))
        with self.world.blaming("policy"):
            request = RecommendationRequest(rows=rows, observations=self.engine.observe(rows))
            actions = self.policy.recommend_batch(request, self.engine.policy_draws(rows))
            actions = np.asarray(actions, dtype=np.intp)
        expected, items, strange = (len(rows), self.config.slate), len(self.world.catalog), ""
        if actions.shape != expected:
            strange = f"an array of the shape {actions.shape}; expected {expected}"
        elif (actions >= items).any():
            strange = f"the item {int(actions.max())}; the catalog has {items}, from 0 on"
        if strange:
            raise PluginError(f"{self.world.label('policy')} recommended {strange}")
        going = (actions >= 0).all(axis=1)
        records = [self._out_of_items(row) for row in rows[~going].tolist()]
        exchanges: list[bytes] = []
        ended = rows[~going].tolist()
        if going.any():
            try:
                step = self.engine.step(actions[going], rows[going])
            except (LLMError, RatingError):
                if self.tally.steps:  # else the run leaves nothing behind
                    self.directory.write([], self._exchanges(rows, actions), whole=False)
                raise
            exchanges = self._exchanges(rows, actions)
            over = step.terminated | step.truncated
            with self.world.blaming("policy"):
                self.policy.learn(
                    RecommendationOutcome(
                        rows=step.rows, actions=step.actions, ratings=step.ratings, rewards=step.rewards, ended=over
                    )
                )
            records.extend(self._records(step))
            ended.extend(step.rows[over].tolist())
        self.directory.write([json_text.line(record) for record in records], exchanges)
        for record in records:
            self._notify("emosim_step_recorded", record=record)
        self.engine.end(np.array(ended, dtype=np.intp))
        finished = [self._playing.pop(slot) for slot in sorted(ended)]
        for episode in finished:
            self.tally.ended(episode)
            self._notify("emosim_episode_ended", episode=episode.record())
        if finished:
            self._fill_slots([slot for slot in range(self._batch) if slot not in self._playing])
        return finished

    def _exchanges(self, rows: NDArray[np.intp], actions: NDArray[np.intp]) -> list[bytes]:
        """Lines of the transcript: what the rater requested of a language model in the step under way."""
        slates = dict(zip(rows.tolist(), actions.tolist(), strict=True))
        rated = self.engine.rated_rows.tolist()
        lines: list[bytes] = []
        with self.world.blaming("rater"):
            for one in self.world.rater.exchanges() if rated else ():
                episode = self._playing[rated[one.row]]
                item = self.world.catalog.items[slates[rated[one.row]][one.place]].id
                lines += self._transcript.lines(one, episode.number, episode.steps + 1, episode.user, item)
        return lines

    def _records(self, step: Step) -> list[dict[str, Any]]:
        episodes = [self._playing[slot] for slot in step.rows.tolist()]
        for episode in episodes:
            episode.steps += 1
        records = step_records(self.world, step, [(episode.number, episode.steps) for episode in episodes])
        self.tally.steps += len(records)
        # Who was interrupted was not asked: that is no failed rating.
        self.tally.failed += int(np.isnan(step.raw_ratings[step.answered >= 0]).sum())
        rewards, ratings, actions = step.rewards.tolist(), step.ratings.tolist(), step.actions.tolist()
        for row, place in zip(*(places.tolist() for places in np.nonzero(step.consumed)), strict=True):
            episodes[row].ratings.append(ratings[row][place])
            self.tally.consumed(actions[row][place], ratings[row][place])
        for episode, record, reward in zip(episodes, records, rewards, strict=True):
            episode.reward += reward
            episode.mood = tuple(record["mood"])
            if record["end_reason"]:
                episode.end_reason = record["end_reason"]
        return [self._with_profile(episode, record) for episode, record in zip(episodes, records, strict=True)]

    def _out_of_items(self, slot: int) -> dict[str, Any]:
        episode = self._playing[slot]
        episode.end_reason = OUT_OF_ITEMS
        record = {"episode": episode.number, "step": episode.steps + 1, "user": episode.user, "recommended": []}
        record |= {"reward": 0, "mood": list(episode.mood), "end_reason": OUT_OF_ITEMS}
        return self._with_profile(episode, record)

    def _with_profile(self, episode: Episode, record: dict[str, Any]) -> dict[str, Any]:
        if record["step"] == 1:
            record["user_profile"] = self.world.population.users[episode.user_index].model_dump(mode="json")
        return record
