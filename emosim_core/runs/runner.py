"""Runner: a recommender meets simulated users, episode after episode, many side by side."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.components.answers import whole_numbers
from emosim_core.components.base import (
    BeginRequest,
    Policy,
)
from emosim_core.data import json_text
from emosim_core.errors import (
    LLMBudgetError,
    LLMError,
    PluginError,
    RatingError,
    RunError,
)
from emosim_core.hooks import Registry
from emosim_core.hooks.faults import pass_on
from emosim_core.model import User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.runs.blocks import (
    INSTALL_PARQUET,
    BlockFiles,
    BlockWriter,
    block_files,
    block_path,
    has_pyarrow,
    need_pyarrow,
)
from emosim_core.runs.cells import Cell, Executor, OnProgress, Worlds, check_data
from emosim_core.runs.directory import RunDirectory
from emosim_core.runs.job import MANIFEST, JobDirectory
from emosim_core.runs.manifest import make_manifest
from emosim_core.runs.recommending import exchanges_under_way, outcome_of, recommended, start_policy
from emosim_core.runs.so_far import NEWEST, so_far
from emosim_core.runs.steps import (
    PROPENSITY,
    RATER,
    Labels,
    Steps,
    four_decimals,
    joined,
    out_of_items,
    records_of,
    signals_of,
    steps_of,
)
from emosim_core.runs.summary import Episode, Tally, TallyState
from emosim_core.runs.transcript import Transcript
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import RunConfig
from emosim_core.simulation.engine import INTERRUPTED, Engine, Step
from emosim_core.simulation.oracle import NOTE, Oracle

_MOST_PUT_OFF = 1000
"""Episodes that may wait because their user is in another one; beyond, slots stay empty for a while."""


JSON_LINES = "jsonl"

LARGE = 10_000
"""Episodes above which a run writes Parquet, if that is installed and nothing else is chosen."""


def with_records(config: RunConfig) -> tuple[RunConfig, list[str]]:
    """A configuration that says how the steps are written, and what to tell its user of that.

    Raises:
        MissingDependencyError: it chooses Parquet, and pyarrow is not installed.
    """
    if config.records is None:
        large, parquet = config.episodes > LARGE, has_pyarrow()
        notes = []
        if large and parquet:
            notes = [
                f"more than {LARGE:,} episodes: records are written as Parquet; --records jsonl writes JSON lines."
            ]
        elif large:
            notes = [f"records are written as JSON lines; Parquet would be faster and smaller: {INSTALL_PARQUET}"]
        return config.model_copy(update={"records": "parquet" if large and parquet else JSON_LINES}), notes
    if config.records not in (JSON_LINES, "none"):
        need_pyarrow(f"--records {config.records}")
    return config, []


class Run:
    """One run: its world, its recommender, its directory.

    Args:
        resume: whether the directory holds a run that is to be continued; a job directory knows.
        spent: cost of the model calls that the command has made before this run.
        part: whether it simulates blocks alone, for a run that another process has begun.
        ask_service: how the rater asks its service, as of :class:`~emosim_core.simulation.assembly.World`.

    Attributes:
        whole: why the run cannot be cut into blocks that are simulated side by side; empty where it can.

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
        part: bool = False,
        ask_service: Callable[[Iterable[Any]], Any] | None = None,
    ) -> None:
        world = assemble(config, registry, spent, ask_service)
        if config.num_envs is None:
            with world.blaming("rater"):
                config = config.model_copy(update={"num_envs": index(world.rater.batch_size)})
        config, notes = with_records(config)
        self.config = config
        resolved = world.registry.resolve("policy", config.policy, world.domain.name)
        self.policy: Policy = resolved.build(Policy)
        announcements = [*world.announcements, *notes]
        if isinstance(self.policy, Oracle):
            announcements.append(NOTE)
        parts = {**world.parts, "policy": resolved.describe()}
        self.world: World = replace(world, parts=parts, announcements=announcements)
        self._batch = min(config.num_envs or 1, config.episodes)
        with self.world.blaming("policy"):
            shown = index(self.policy.history_length)
        self.engine = Engine(self.world, self._batch, shared_memory=True, history_length=shown)
        start_policy(self.policy, self.engine, self.world.label("policy"))
        self._only_user = None if config.user_id is None else self.world.index_of_user(config.user_id)
        self.directory = RunDirectory(directory, resume, config.records == JSON_LINES, claimed=part)
        self.manifest = make_manifest(self.world, config)
        if not part:
            self.directory.begin(self.manifest, RunConfig, self.world.registry)
        catalog, users = self.world.catalog, self.world.population.users
        self._labels = Labels(catalog.ids, catalog.titles, [user.id for user in users], self.engine.end_reasons)
        self.whole = ""
        if config.keep_memory:
            self.whole = "users remember earlier episodes"
        elif world.rater.uses_llm:
            self.whole = "a language model rates, for all users at once"
        elif self.policy.learns_across_episodes:
            self.whole = "the policy learns from one episode to the next"
        self._blocks = block_files(self.world, self._labels, config, self.directory.path, bool(self.whole))
        if self._blocks is None:
            self.whole = self.whole or "only records in Parquet are written in blocks (--records parquet)"
        elif len(self._blocks.ranges) < 2:
            self.whole = self.whole or "it is a single block of episodes"
        self._tally = Tally(self.world)
        self._part = self._tally if self._blocks is None else Tally(self.world)
        self._block: BlockWriter | None = None
        self._terms: Sequence[str] = () if self._blocks is None else self._blocks.terms
        self._signals = signals_of(self.world, config)
        self._transcript = Transcript()
        self._slots = _Slots(self._batch)
        self._noted = config.records != JSON_LINES  # its steps cannot be seen while it goes on
        self._newest: deque[Episode] = deque(maxlen=NEWEST)
        self._begun = self._end = 0
        self._put_off: deque[tuple[int, int]] = deque()
        self._policy_counts: Counter[str] = Counter()
        hook = self.world.registry.hook
        self._steps_observed = bool(hook.emosim_step_recorded.get_hookimpls())
        self._episodes_observed = bool(hook.emosim_episode_ended.get_hookimpls())

    @property
    def steps(self) -> int:
        """Steps so far, those included that were there when a run was resumed."""
        return self._tally.steps + (self._part.steps if self._part is not self._tally else 0)

    @property
    def episodes(self) -> int:
        """Episodes that have ended so far, those included that were there when a run was resumed."""
        return self._tally.episodes + (self._part.episodes if self._part is not self._tally else 0)

    def run(
        self,
        on_episode: Callable[[Episode], None] | None = None,
        executor: Executor | None = None,
        on_episodes: OnProgress = lambda count: None,
    ) -> dict[str, Any]:
        """Simulate all episodes.

        Args:
            on_episode: called with each episode that ends in this process.
            executor: does the blocks of a run that is not ``whole``; they are done here, in order, if not given.
            on_episodes: called with numbers of episodes that an executor has done.

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
            return self._play(on_episode, executor, on_episodes)

    def _play(
        self, on_episode: Callable[[Episode], None] | None, executor: Executor | None, on_episodes: OnProgress
    ) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            self._notify("emosim_run_started", directory=str(self.directory.path), manifest=self.manifest)
            if self._blocks is None:
                self._play_episodes(0, self.config.episodes, on_episode)
            else:
                self._blocks.begin()
                if executor is not None and executor.workers > 1 and not self.whole:
                    self._play_apart(self._blocks, executor, on_episodes)
                self._play_blocks(self._blocks, on_episode)
        except (KeyboardInterrupt, LLMError, RatingError) as error:
            if self.steps or isinstance(error, KeyboardInterrupt | LLMBudgetError):
                self.directory.finish(self._tally.summary(time.perf_counter() - started, complete=False))
            else:
                self.directory.abandon()
            raise
        except BaseException:
            self.directory.abandon()
            raise
        finally:
            self.world.close()
        summary = self._tally.summary(time.perf_counter() - started, complete=True)
        self.directory.finish(summary)
        self._notify("emosim_run_ended", directory=str(self.directory.path), summary=summary)
        return summary

    def _play_blocks(self, blocks: BlockFiles, on_episode: Callable[[Episode], None] | None) -> None:
        """Simulate the blocks that are not there yet."""
        for number in range(len(blocks.ranges)):
            self._tally.add(blocks.read(number) or self.play_block(blocks, number, on_episode))

    def _play_apart(self, blocks: BlockFiles, executor: Executor, on_episodes: OnProgress) -> None:
        """Let an executor simulate the blocks that are not there yet."""
        missing = [number for number in range(len(blocks.ranges)) if blocks.read(number) is None]
        config, data = self.config.model_dump(mode="json"), self.manifest["data"]
        directory, cells = self.directory.path, []
        for n in missing:
            work, name = BlockWork(config, directory, n, data), block_path(directory, n).relative_to(directory)
            cells.append(Cell(f"block {n}", play_block, work, directory, (MANIFEST,), name.as_posix()))
        ended = 0

        def on_ended(count: int) -> None:
            nonlocal ended
            ended += count
            self.directory.job.note(ended)
            on_episodes(count)

        on_ended(self.config.episodes - sum(end - first for first, end in (blocks.ranges[n] for n in missing)))
        if not cells:
            return
        self.directory.keep()
        try:
            worlds = Worlds(self.world.registry, serves=False)  # a run with a language model is whole
            with closing(executor.run(cells, worlds, on_ended)) as done:
                for _ in done:
                    pass
        except BaseException:
            for state in map(blocks.read, range(len(blocks.ranges))):  # what is there is in the summary
                if state is not None:
                    self._tally.add(state)
            raise

    def play_block(
        self,
        blocks: BlockFiles,
        number: int,
        on_episode: Callable[[Episode], None] | None = None,
        on_episodes: OnProgress = lambda count: None,
    ) -> TallyState:
        """Simulate one block and write its file; returns what it counts."""
        first, end = blocks.ranges[number]
        with blocks.writing(number) as self._block:
            self._play_episodes(first, end, on_episode, on_episodes)
            state = self._part.state()
            self._block.finish((first, end), state)
        self._part = Tally(self.world)
        return state

    def _play_episodes(
        self,
        first: int,
        end: int,
        on_episode: Callable[[Episode], None] | None,
        on_episodes: OnProgress = lambda count: None,
    ) -> None:
        """Simulate the episodes from ``first`` to the one before ``end``."""
        self._begun, self._end = first, end
        try:
            self._fill_slots(range(self._batch))
            while self._slots.going.any():
                before = self._part.episodes
                for episode in self._step_all(on_episode is not None):
                    if on_episode is not None:
                        on_episode(episode)
                on_episodes(self._part.episodes - before)
                if self._noted:
                    self.directory.job.note(self.episodes, self._so_far)
        finally:
            self._count_policy()

    def _so_far(self) -> dict[str, Any]:
        """What is noted of the run while it goes on."""
        return so_far({self._tally, self._part}, self._newest)

    def _count_policy(self) -> None:
        """Add to the tally what the policy has counted since this was called before."""
        with self.world.blaming("policy"):
            tally = self.policy.counts()
            numbers = whole_numbers(tally.values(), "counts", "whole numbers by name", "policy-shape")
            counts = Counter(dict(zip(map(str, tally), numbers, strict=True)))
        self._part.counted(counts - self._policy_counts)
        self._policy_counts = counts

    def _notify(self, hook: str, **what: Any) -> None:
        try:
            getattr(self.world.registry.hook, hook)(**what)
        except Exception as error:
            pass_on(f"an observer ({hook})", error)

    # -------------------------------------------------------------------------------------- episodes

    def _fill_slots(self, slots: Iterable[int]) -> None:
        """Begin a waiting episode in each of ``slots``, as long as there are any that may begin."""
        begun: list[tuple[int, int, int]] = []
        for slot in slots:
            chosen = self._next_episode(begun)
            if chosen is None:
                break
            begun.append((slot, *chosen))
        if begun:
            rows, episodes, users = (np.array(column) for column in zip(*begun, strict=True))
            self._slots.begin(rows, episodes, users, four_decimals(self.world.population.baselines[users]))
            self.engine.begin(rows, [self.config.seed] * len(begun), episodes.tolist(), users.tolist())
            with self.world.blaming("policy"):
                self.policy.begin(BeginRequest(rows=rows), self.engine.policy_draws(rows))

    def _next_episode(self, begun: Sequence[tuple[int, int, int]]) -> tuple[int, int] | None:
        """The next episode, as number and user. Who remembers earlier episodes lives them one after another."""
        busy: set[int] = set()
        if self.config.keep_memory:
            busy = {*self._slots.user[self._slots.going].tolist(), *(user_index for _, _, user_index in begun)}
            for place, (_, user_index) in enumerate(self._put_off):
                if user_index not in busy:
                    chosen = self._put_off[place]
                    del self._put_off[place]
                    return chosen
                busy.add(user_index)
        while self._begun < self._end and len(self._put_off) < _MOST_PUT_OFF:
            episode = self._begun
            user_index = self._user_of(episode)
            self._begun += 1
            if user_index not in busy:
                return episode, user_index
            self._put_off.append((episode, user_index))
        return None

    def _user_of(self, episode: int) -> int:
        """Index of the user whom an episode is about."""
        return self.engine.user_of(self.config.seed, episode) if self._only_user is None else self._only_user

    def _step_all(self, wanted: bool) -> list[Episode]:
        """One step of every episode that is going on; the episodes that it ended, where they are wanted."""
        slots = self._slots
        everyone = bool(slots.going.all())
        rows = self.engine.all_rows if everyone else np.flatnonzero(slots.going)
        actions = recommended(self.policy, self.engine, self.world.label("policy"), rows, everyone)
        propensities = self._propensities(actions) if PROPENSITY in self._signals else None
        going = (actions >= 0).all(axis=1)
        all_going = bool(going.all())
        gone = rows[:0] if all_going else rows[~going]
        parts = []
        if len(gone):
            slots.end_code[gone] = end = len(self.engine.end_reasons) - 1
            number = slots.steps[gone] + 1
            parts.append(
                out_of_items(
                    *(slots.number[gone], number, slots.user[gone], slots.moods[gone], end),
                    *(self._terms, self._signals),
                )
            )
        step, exchanges = None, list[bytes]()
        if going.any():
            try:
                if all_going:
                    step = self.engine.step(actions, None if everyone else rows)
                else:
                    step = self.engine.step(actions[going], rows[going])
            except (LLMError, RatingError):
                if self.steps:  # else the run leaves nothing behind
                    self.directory.write([], self._exchanges(rows, actions), whole=False)
                raise
            exchanges = self._exchanges(rows, actions)
            over = step.terminated | step.truncated
            with self.world.blaming("policy"):
                self.policy.learn(outcome_of(step))
            moods = four_decimals(step.moods)
            slots.step(step, moods)
            self._count(step)
            if propensities is not None and not all_going:
                propensities = propensities[going]
            number = slots.steps[step.rows]
            raters = self.world.rater.answering(step.users, self.world.population) if RATER in self._signals else None
            parts.append(steps_of(step, slots.number[step.rows], number, moods, self._terms, propensities, raters))
            gone = np.sort(np.concatenate([gone, step.rows[over]]))
        self._write(joined(parts), len(parts[0]) if step is None or len(parts) > 1 else 0, step, exchanges)
        self.engine.end(gone)
        return self._ended(gone, wanted)

    def _propensities(self, actions: Ints) -> Floats:
        """How probable what the policy recommends was, shape ``(R, S)``; NaN where it does not say."""
        if self.policy.deterministic:
            return np.ones(actions.shape)
        with self.world.blaming("policy"):
            given = self.policy.propensities()
        if given is None:
            return np.full(actions.shape, np.nan)
        given = np.asarray(given, dtype=np.float64)
        if given.shape != actions.shape or not ((given >= 0) & (given <= 1) | np.isnan(given)).all():
            raise PluginError(
                f"{self.world.label('policy')} has propensities of the shape {given.shape}; expected probabilities of "
                f"the shape {actions.shape}"
            )
        return given

    def _exchanges(self, rows: Ints, actions: Ints) -> list[bytes]:
        """Lines of the transcript: what was requested of a language model in the step under way."""
        lines: list[bytes] = []
        for one, slot, item in exchanges_under_way(self.engine, rows, actions):
            episode, step = int(self._slots.number[slot]), int(self._slots.steps[slot]) + 1
            user = self.world.population.users[int(self._slots.user[slot])].id
            lines.extend(self._transcript.lines(one, episode, step, user, item))
        return lines

    def _count(self, step: Step) -> None:
        """Add a step to the tally."""
        tally = self._part
        tally.steps += len(step.rows)
        tally.failed += step.failed
        if step.examined is not None and step.clicked is not None:
            answered = step.end_codes != INTERRUPTED
            tally.chosen(step.examined[answered], step.clicked[answered])
        tally.consumed(step.actions[step.consumed], step.ratings[step.consumed])

    def _write(self, steps: Steps, gone: int, step: Step | None, exchanges: list[bytes]) -> None:
        """Write steps down, of which the first ``gone`` rows are of episodes that ran out of items."""
        slate = self.config.slate

        def reason(row: int) -> str:
            return "" if step is None or row < gone else step.reason(*divmod(row - gone, slate))

        def probabilities(row: int) -> Mapping[str, float]:
            return {} if step is None or row < gone else step.probabilities(*divmod(row - gone, slate))

        records = []
        if self._steps_observed or self.config.records == JSON_LINES:
            records = records_of(steps, self._labels, reason, probabilities)
            for record, user_index in zip(records, steps.user[steps.place == 0].tolist(), strict=True):
                if record["step"] == 1:
                    record["user_profile"] = self.world.population.users[user_index].model_dump(mode="json")
        self.directory.write([json_text.line(record) for record in records], exchanges)
        if self._block is not None:
            self._block.write(steps, reason, probabilities)
        if self._steps_observed:
            for record in records:
                self._notify("emosim_step_recorded", record=record)

    def _ended(self, rows: Ints, wanted: bool) -> list[Episode]:
        """The episodes in the slots ``rows`` are over: count them, and begin others."""
        if not len(rows):
            return []
        slots = self._slots
        reasons = [self.engine.end_reasons[code] for code in slots.end_code[rows].tolist()]
        self._part.ended(slots.user[rows], slots.steps[rows], slots.rewards[rows], slots.moods[rows], reasons)
        over, users = list(zip(rows.tolist(), reasons, strict=True)), self.world.population.users
        episodes = []
        if wanted or self._episodes_observed:
            episodes = [slots.episode(slot, users, reason) for slot, reason in over]
        if self._noted:
            self._newest.extend(slots.episode(slot, users, reason) for slot, reason in over[-NEWEST:])
        if self._episodes_observed:
            for episode in episodes:
                self._notify("emosim_episode_ended", episode=episode.record())
        slots.going[rows] = False
        self._fill_slots(np.flatnonzero(~slots.going).tolist())
        return episodes


def run_part(
    config: RunConfig,
    directory: Path,
    worlds: Worlds,
    on_episodes: OnProgress,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Simulate a run that is a part of another job, or what is left of it; its cost goes on in ``worlds``.

    Args:
        data: digests of the items and users that it must have; None for any.

    Raises:
        RunError: it has other items or users.
        EmoSimError: as of :meth:`Run.run`.
    """
    place = JobDirectory(directory, "run", resume=(directory / MANIFEST).exists(), part=True)
    before = worlds.spent
    run = Run(config, place, registry=worlds.registry, spent=before, ask_service=worlds.ask_service(config))
    try:
        check_data(run.manifest["data"], data or {})
    except RunError:
        run.directory.abandon()
        raise

    def spend() -> None:
        worlds.spent = before + (run.world.rater.usage().get("cost") or 0.0)

    def on_episode(episode: Episode) -> None:
        spend()
        on_episodes(1)

    try:
        run.run(on_episode)
    finally:
        spend()


@dataclass(frozen=True)
class BlockWork:
    """One block of a run that another process has begun: configuration, directory, number, and digests of its data."""

    config: Mapping[str, Any]
    directory: Path
    number: int
    data: Mapping[str, Any]


def play_block(work: BlockWork, worlds: Worlds, on_episodes: OnProgress) -> None:
    """Simulate one block of a run.

    Raises:
        RunError: items or users are others than where the run was begun.
        EmoSimError: as of :meth:`Run.run`.
    """
    key = (str(work.directory), json_text.dumps(work.config, sort_keys=True))
    run: Run = worlds.cached(key, lambda: _part_of_run(work, worlds.registry))
    assert run._blocks is not None
    run.play_block(run._blocks, work.number, on_episodes=on_episodes)


def _part_of_run(work: BlockWork, registry: Registry) -> Run:
    place = JobDirectory(work.directory, "run", resume=True, part=True)
    run = Run(RunConfig(**work.config), place, resume=True, registry=registry, part=True)
    check_data(run.manifest["data"], work.data)
    return run


class _Slots:
    """What is going on in the slots of the engine, each an array of the shape ``(slots,)``; moods ``(slots, 2)``.

    ``moods`` are to four decimals; ``rated`` and ``total`` are the number and the sum of ratings of what was consumed.
    """

    def __init__(self, count: int) -> None:
        self.going = np.zeros(count, dtype=np.bool_)
        self.number, self.user, self.steps, self.end_code, self.rated = (
            np.zeros(count, dtype=np.intp) for _ in range(5)
        )
        self.rewards, self.total, self.moods = np.zeros(count), np.zeros(count), np.zeros((count, 2))

    def begin(self, rows: Ints, number: Ints, user: Ints, moods: Floats) -> None:
        self.going[rows] = True
        self.number[rows], self.user[rows], self.moods[rows] = number, user, moods
        for column in (self.steps, self.rewards, self.rated, self.total):
            column[rows] = 0

    def step(self, step: Step, moods: Floats) -> None:
        rows = step.rows
        self.steps[rows] += 1
        self.rewards[rows] += step.rewards
        self.moods[rows] = moods
        self.end_code[rows] = step.end_codes
        self.rated[rows] += step.consumed.sum(axis=1)
        for place in range(step.actions.shape[1]):
            self.total[rows] += np.where(step.consumed[:, place], step.ratings[:, place], 0.0)

    def episode(self, slot: int, users: Sequence[User], end_reason: str) -> Episode:
        """The episode in a slot that has ended."""
        user_index = int(self.user[slot])
        user = users[user_index]
        return Episode(
            number=int(self.number[slot]),
            user_index=user_index,
            name=user.name,
            user=user.id,
            steps=int(self.steps[slot]),
            reward=float(self.rewards[slot]),
            rated=int(self.rated[slot]),
            total=float(self.total[slot]),
            end_reason=end_reason,
            mood=(float(self.moods[slot, 0]), float(self.moods[slot, 1])),
        )
