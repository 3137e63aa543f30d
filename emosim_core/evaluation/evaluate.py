"""Evaluation: recommenders meet the same users in the same episodes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosim_core.components.base import Policy
from emosim_core.errors import ConfigurationError, EmoSimError, LLMBudgetError
from emosim_core.evaluation.logs import same_logs, take_over
from emosim_core.evaluation.plan import (
    LOG_EPISODES,
    LOG_SEED,
    EvaluationConfig,
    Recommender,
    model_environment,
    notes_on,
    recommenders_of,
    with_logs,
    with_user_splits,
)
from emosim_core.evaluation.results import (
    CHARTS,
    ITEMS,
    LOGS,
    RESULTS,
    RUNS,
    as_json,
    compute_results,
    is_complete,
    stored_evaluation,
    write_text,
)
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import by_field, over, split_names
from emosim_core.runs.job import JobDirectory, holds_remains, job_directory
from emosim_core.runs.manifest import check_same, now
from emosim_core.runs.plain import own_files
from emosim_core.runs.records import FORMAT, MANIFEST
from emosim_core.runs.runner import Run
from emosim_core.runs.trust import CommandHint, confirmed, note_made
from emosim_core.runs.typed import typed
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import RunConfig, read_config

_MAY_CHANGE = frozenset({"resamples", "gateway", "on_failed_rating"})
"""What may change when an evaluation is resumed: it changes no episode."""


@dataclass(frozen=True)
class Progress:
    """How far an evaluation is.

    Attributes:
        what: which run is going on, such as ``"popular, train users"``.
        done: episodes that are simulated.
        total: episodes in all.
        cost: what a language model has cost in this process; None where it is not known, or none is asked.
    """

    what: str
    done: int
    total: int
    cost: float | None


def evaluate(
    values: Mapping[str, Any],
    out: str | Path | JobDirectory,
    *,
    resume: bool = False,
    registry: Registry | None = None,
    on_message: Callable[[str], None] = lambda text: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    draw: Callable[[Mapping[str, Any], Path], object] = lambda results, directory: None,
) -> dict[str, Any]:
    """Compare recommenders, as ``emosim evaluate`` does.

    Each recommender meets each user split in a run of its own, ``OUT/runs/SPLIT/NAME``; all metrics are computed from
    the records of these runs.

    Args:
        values: fields of :class:`~emosim_core.evaluation.plan.EvaluationConfig`, such as
            ``{"plugin": "movies", "policies": ["random", "popular"]}``. Where ``recommenders`` are named,
            the environment of the first is the default.
        out: the directory of the evaluation.
        resume: whether to continue the evaluation that is there, as a job directory knows; what it was made with is
            then the default.
        registry: plugins to use; found anew if not given.
        on_message: called with each message for whoever runs this, a sentence.
        on_progress: called when an episode has ended.
        draw: called with what evaluation.json holds and the directory for charts, to draw them.

    Returns:
        What evaluation.json holds.

    Raises:
        EmoSimError: something that is named is wrong or missing, or the directory cannot be used. What was simulated
            is kept.
        KeyboardInterrupt: completed episodes are kept.
    """
    evaluation = Evaluation(values, out, resume, registry or Registry())
    with evaluation.job as job:
        evaluation.run(on_message, on_progress)
        results = compute_results(job.path, evaluation.config.resamples)
        draw(results, job.path / CHARTS)
    return results


def base_directory(values: Mapping[str, Any], out: Path, resume: bool) -> Path | None:
    """The directory that says what an evaluation is made with by default; None where there is none."""
    if resume:
        return out
    recommenders = values.get("recommenders") or ()
    names = split_names(recommenders) if isinstance(recommenders, str) else list(recommenders)
    return Path(names[0]) if names else None


def base_values(values: Mapping[str, Any], out: Path, resume: bool) -> dict[str, Any]:
    """What an evaluation is made with by default: as before, or the environment of its first model.

    Raises:
        RunError: there is nothing to resume, or the first model is none.
    """
    if resume:
        stored = stored_evaluation(out)["config"]
        own_files(out)
        return dict(stored)
    model = base_directory(values, out, resume)
    return {} if model is None else model_environment(str(model))


def confirmed_values(
    values: Mapping[str, Any], given: Mapping[str, Any], out: Path, resume: bool, registry: Registry, again: CommandHint
) -> dict[str, Any]:
    """The values of an evaluation, once those that a directory brought along reach no further than they may.

    Args:
        values: what is given over what the directory says.
        given: what is given alone.
        out: the directory of the evaluation.
        resume: whether it is continued.
        registry: plugins to use.
        again: how values are given again.

    Raises:
        EmoSimError: as of :func:`emosim_core.runs.trust.confirmed`.
    """
    source = base_directory(given, out, resume)
    if source is None:
        return dict(values)
    stored = base_values(given, out, resume)
    return confirmed(source, values, given, stored, (EvaluationConfig,), registry, again)


class Evaluation:
    """The episodes of an evaluation: what is to be simulated, and the simulation of it.

    Args:
        values: as :func:`evaluate` takes them.
        out: the directory.
        resume: whether the directory holds an evaluation that is to be continued; a job directory knows.
        registry: plugins to use.

    Raises:
        EmoSimError: something that is named is wrong or missing, or the directory cannot be used.
    """

    def __init__(
        self, values: Mapping[str, Any], out: str | Path | JobDirectory, resume: bool, registry: Registry
    ) -> None:
        self.job = job_directory(Path(out) if isinstance(out, str) else out, "evaluate", resume, RESULTS)
        self._registry = registry
        own = by_field(EvaluationConfig, with_user_splits(values), "evaluation")
        place, resume = self.job.path, self.job.resume and not holds_remains(self.job.path)
        recommenders = ",".join(own.get("recommenders") or ())
        command: list[str | Path] = ["--resume", place] if resume else ["--recommenders", recommenders, "--out", place]
        again = CommandHint(typed("evaluate", *command))
        values = over(EvaluationConfig, own, base_values(own, place, resume))
        given = confirmed_values(values, own, place, resume, registry, again)
        self.config: EvaluationConfig = read_config(EvaluationConfig, given, "evaluation")
        self.recommenders = recommenders_of(self.config, registry)
        self.notes = notes_on(self.config)
        self._must_log = not self.config.logs and any(one.needs_logs for one in self.recommenders)
        for user_split in self.config.user_splits:
            self.config.run("random", user_split)
        self._spent = 0.0
        self._runs_rated = 0
        self.job.check()
        if self.job.resume and self.job.begun:
            self._check_stored()

    @property
    def out(self) -> Path:
        """The directory."""
        return self.job.path

    def _check_stored(self) -> dict[str, Any]:
        """See that the evaluation which is resumed has the same configuration; returns what evaluation.json holds."""
        evaluation = stored_evaluation(self.out)
        old, new = {"config": evaluation["config"]}, {"config": self.config.stored()}
        check_same(self.out, old, new, _MAY_CHANGE, EvaluationConfig)
        return evaluation

    # ----------------------------------------------------------------------------------------- playing

    def run(self, on_message: Callable[[str], None], on_progress: Callable[[Progress], None]) -> None:
        """Simulate what has not been simulated yet.

        Raises:
            EmoSimError: something is wrong or missing; completed episodes are kept.
            KeyboardInterrupt: completed episodes are kept.
        """
        world = self._world()
        uses_llm = world.rater.uses_llm
        if self._must_log and uses_llm:
            names = ", ".join(one.name for one in self.recommenders if one.needs_logs)
            raise ConfigurationError(
                f"{names} must be given runs to learn from, with --logs DIR: a language model answers for users here, "
                "and asking it costs money"
            )
        runs = [(one, user_split) for user_split in self.config.user_splits for one in self.recommenders]
        if uses_llm:
            most = len(runs) * self.config.episodes * self.config.max_steps * self.config.slate
            on_message(f"A language model rates: {most:,} ratings at most. --max-cost bounds what it may cost.")
        for note in (*world.announcements, *self.notes):
            on_message(note)
        total = len(runs) * self.config.episodes + LOG_EPISODES * self._must_log
        done = 0
        try:
            self.job.claim()
            self._write_plan(world)
            if self._must_log:
                logs = RunConfig(
                    **{**self.config.environment(), "user_split": "train", "user_order": "sequential"},
                    policy="random",
                    episodes=LOG_EPISODES,
                    seed=LOG_SEED,
                    num_envs=64,
                )
                if not (self.out / LOGS).exists():
                    self._take_logs(logs, world, on_message)
                done = self._run(logs, self.out / LOGS, "logs", done, total, on_progress)
            self._try_out(world)
            for one, user_split in runs:
                config = self.config.run(self._policy(one), user_split)
                what = f"{one.name}, {user_split if user_split == 'all' else f'{user_split} users'}"
                done = self._run(config, self.out / RUNS / user_split / one.folder, what, done, total, on_progress)
        except BaseException as error:
            self._leave(error)
            raise
        finally:
            world.close()

    def _take_logs(self, config: RunConfig, world: World, on_message: Callable[[str], None]) -> None:
        """Take the logs of an earlier evaluation over, or say that they are simulated."""
        why = "Some recommenders learn from logs, and --logs names none"
        existing = same_logs(self.out, config, world, self._registry)
        if existing is None:
            on_message(
                f"{why}: {config.episodes:,} episodes of {config.policy!r} with the train users are simulated first, "
                f"into {self.out / LOGS}; evaluations in {self.out.parent} use them again."
            )
            return
        on_message(f"{why}: those of {existing.parent}, which were made the same, are used again.")
        take_over(existing, self.out / LOGS)

    def _world(self) -> World:
        """The items, users, scale and rater; nobody is asked to rate yet."""
        return assemble(self.config.run("random", self.config.user_splits[0]), self._registry)

    def _policy(self, one: Recommender) -> Any:
        return with_logs(one.policy, self.config.logs or [str(self.out / LOGS)]) if one.needs_logs else one.policy

    def _try_out(self, world: World) -> None:
        """Make every recommender once, so that one that cannot be made is known before the first is measured."""
        for one in self.recommenders:
            self._registry.resolve("policy", self._policy(one), world.domain.name).build(Policy)

    def _run(
        self,
        config: RunConfig,
        directory: Path,
        what: str,
        done: int,
        total: int,
        on_progress: Callable[[Progress], None],
    ) -> int:
        """Simulate one run, or what is left of it; how many episodes are simulated then."""
        if is_complete(directory):
            JobDirectory(directory, "run", resume=True, part=True).tidy()
            return done + config.episodes
        place = JobDirectory(directory, "run", resume=(directory / MANIFEST).exists(), part=True)
        run = Run(config, place, registry=self._registry, spent=self._spent)
        count = done

        def on_episode(episode: object) -> None:
            nonlocal count
            count += 1
            cost = run.world.rater.usage().get("cost")
            on_progress(Progress(what, count, total, None if cost is None else cost + self._spent))

        try:
            run.run(on_episode)
        finally:
            self._runs_rated += 1
            self._spent += run.world.rater.usage().get("cost") or 0.0
        return count

    def _write_plan(self, world: World) -> None:
        scale = world.domain.scale
        plan = {
            "format": FORMAT,
            "complete": False,
            "created": now(),
            "domain": world.domain.name,
            "title": world.domain.title,
            "config": self.config.stored(),
            "scale": scale.model_dump(mode="json"),
            "liked_from": scale.carry(self.config.emotion.positive),
            "notes": self.notes,
            "recommenders": [
                {"name": one.name, "policy": self._policy(one), "model": one.model, "folder": one.folder}
                for one in self.recommenders
            ],
        }
        before = None
        if self.job.resume:
            stored = self._check_stored()  # once more, as nobody else can change it now
            before, plan["created"] = stored["config"], stored.get("created", plan["created"])
        note_made(self.out, self.config.stored(), (EvaluationConfig,), self._registry, before)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["item", "title", "public_count"])
        catalog = world.catalog
        writer.writerows(
            zip((i.id for i in catalog.items), catalog.titles, catalog.public_counts.tolist(), strict=True)
        )
        write_text(self.out / RESULTS, as_json(plan))  # first: whoever is killed here goes on with --resume
        write_text(self.out / ITEMS, text.getvalue())

    def _leave(self, error: BaseException) -> None:
        """Leave nothing behind where nothing was simulated."""
        if not self.job.claimed:
            return
        begun = list(self.out.glob(f"{RUNS}/*/*/{MANIFEST}")) + list(self.out.glob(f"{LOGS}/{MANIFEST}"))
        if not begun and not self.job.resume and isinstance(error, EmoSimError):
            for folder in [*self.out.glob(f"{RUNS}/*"), self.out / RUNS]:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
            self.job.discard(ITEMS, RESULTS)
        elif isinstance(error, LLMBudgetError) and self._runs_rated > 1:
            error.args = (f"{error}\nThe runs of this evaluation have cost {self._spent:.6g} since it was started.",)
