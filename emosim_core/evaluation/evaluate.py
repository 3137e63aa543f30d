"""Evaluation: recommenders meet the same users in the same episodes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from emosim_core.components.base import Policy
from emosim_core.data.files import scratch
from emosim_core.errors import ConfigurationError, EmoSimError, LLMBudgetError
from emosim_core.evaluation.believed import trust_of
from emosim_core.evaluation.columns import RunColumns, read_run
from emosim_core.evaluation.plan import (
    EXPERIMENT_FIELDS,
    LOG_EPISODES,
    LOG_SEED,
    EvaluationConfig,
    Recommender,
    arm_text,
    model_environment,
    notes_on,
    oracle_of,
    own_values,
    recommenders_of,
    trained_in_arms,
    trainings_of,
    with_logs,
    with_oracle,
)
from emosim_core.evaluation.results import (
    CHARTS,
    ITEMS,
    LOGS,
    RESULTS,
    RUNS,
    compute_results,
    csv_bytes,
    is_complete,
    stored_evaluation,
)
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import over, split_names
from emosim_core.kinds import BLOCKS
from emosim_core.model.packed import values_of
from emosim_core.runs.cells import Cell, Executor, OnProgress, Worlds, executor_of
from emosim_core.runs.job import JobDirectory, holds_remains, job_directory
from emosim_core.runs.manifest import begin_job, check_same, data_of, make_manifest, now
from emosim_core.runs.plain import own_files
from emosim_core.runs.records import FORMAT, INTERACTIONS, MANIFEST, SUMMARY, read_manifest
from emosim_core.runs.runner import run_part, with_records
from emosim_core.runs.trust import CommandHint, confirmed
from emosim_core.runs.typed import typed
from emosim_core.simulation.assembly import World, assemble, latent_notes
from emosim_core.simulation.config import RunConfig, read_config
from emosim_core.simulation.oracle import tells_expectation
from emosim_core.terminal import counted

_MAY_CHANGE = frozenset({"resamples", "gateway", "on_failed_rating", *EXPERIMENT_FIELDS} - {"arms"})
"""What may change when an evaluation is resumed: it changes no episode."""


@dataclass(frozen=True)
class Progress:
    """How many episodes of an evaluation are done, and which run is going on, such as ``"popular, train users"``.

    The cost is what a language model has cost in this process; None where it is not known.
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
    executor: str | Mapping[str, Any] = "local",
    on_message: Callable[[str], None] = lambda text: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    draw: Callable[[Mapping[str, Any], Path], object] = lambda results, directory: None,
) -> dict[str, Any]:
    """Compare recommenders, as ``emosim evaluate`` does; returns and errors as of :func:`emosim_core.evaluate`.

    Each recommender meets each user split in a run of its own, ``OUT/runs/SPLIT/NAME``; all metrics are computed from
    the records of these runs. ``values`` are fields of :class:`~emosim_core.evaluation.plan.EvaluationConfig`.

    Args:
        resume: whether to continue the evaluation that is in ``out``; a job directory knows.
        registry: plugins to use; found anew if not given.
        executor: where the runs are simulated.
        on_message: called with each message for whoever runs this, a sentence.
        on_progress: called when an episode has ended.
        draw: called with the results and the directory for charts.
    """
    evaluation = Evaluation(values, out, resume, registry or Registry())
    with evaluation.job as job:
        evaluation.run(on_message, on_progress, executor)
        results = compute_results(job.path, evaluation.config.resamples, evaluation.columns)
        draw(results, job.path / CHARTS)
    return results


def base(values: Mapping[str, Any], resumed: Path | None) -> tuple[Path | None, dict[str, Any]]:
    """The directory that says what an evaluation is made with by default, and what it says.

    It is the one that is ``resumed``, or the first trained recommender of ``values``, those of arms before others; None
    where there is none. A RunError where there is nothing to resume, or the first recommender is none.
    """
    if resumed is not None:
        stored = stored_evaluation(resumed)["config"]
        own_files(resumed)
        return resumed, dict(stored)
    recommenders = values.get("recommenders") or ()
    others = split_names(recommenders) if isinstance(recommenders, str) else recommenders
    names = [*trained_in_arms(values.get("arms") or {}), *others]
    first = next(chain.from_iterable(map(trainings_of, names)), None)
    return (None, {}) if first is None else (Path(first), model_environment(first))


class Evaluation:
    """The episodes of an evaluation: what is to be simulated, and the simulation of it; as :func:`evaluate`.

    Attributes:
        columns: runs that were read while others were simulated elsewhere, by their directories.
    """

    def __init__(
        self, values: Mapping[str, Any], out: str | Path | JobDirectory, resume: bool, registry: Registry
    ) -> None:
        self.job = job_directory(Path(out) if isinstance(out, str) else out, "evaluate", resume, RESULTS)
        self._registry = registry
        own = own_values(values)
        place, resume = self.job.path, self.job.resume and not holds_remains(self.job.path)
        source, stored = base(own, place if resume else None)
        values = over(EvaluationConfig, own, stored)
        if source is not None:
            named = [("--arm", f"{name}={arm_text(one)}") for name, one in (own.get("arms") or {}).items()]
            if own.get("recommenders"):
                named.append(("--recommenders", ",".join(map(str, own["recommenders"]))))
            command: list[str | Path] = ["--resume", place] if resume else [*chain(*named), "--out", place]
            hint = CommandHint(typed("evaluate", *command))
            values = confirmed(source, values, own, stored, (EvaluationConfig,), registry, hint)
        self.config: EvaluationConfig = read_config(EvaluationConfig, values, "evaluation")
        self.recommenders = recommenders_of(self.config, registry)
        self.notes = notes_on(self.config)
        self._must_log = not self.config.logs and any(one.needs_logs for one in self.recommenders)
        for user_split in self.config.user_splits:
            self.config.run("random", user_split)
        self._worlds = Worlds(registry)
        self._runs_rated = self._done = 0
        self.columns: dict[Path, RunColumns] = {}
        self.job.check()
        if self.job.resume and self.job.begun:
            self._check_same(stored_evaluation(self.out))

    @property
    def out(self) -> Path:
        """The directory."""
        return self.job.path

    def _check_same(self, stored: Mapping[str, Any]) -> None:
        """See that the evaluation which is resumed has the same configuration."""
        new = {"config": self.config.stored()}
        check_same(self.out, {"config": stored["config"]}, new, _MAY_CHANGE, EvaluationConfig)

    def run(
        self,
        on_message: Callable[[str], None],
        on_progress: Callable[[Progress], None],
        executor: str | Mapping[str, Any] = "local",
    ) -> None:
        """Simulate what has not been simulated yet; completed episodes are kept whatever happens."""
        where = executor_of(executor, self._registry)
        world = assemble(self.config.run("random", self.config.user_splits[0]), self._registry)
        uses_llm = self._worlds.serves = world.rater.uses_llm
        if self._must_log and uses_llm:
            names = ", ".join(one.name for one in self.recommenders if one.needs_logs)
            raise ConfigurationError(
                f"{names} must be given runs to learn from, with --logs DIR: a language model answers for users here, "
                "and asking it costs money"
            )
        if self.config.oracle and tells_expectation(world.rater):
            self.recommenders = with_oracle(self.recommenders)
        elif self.config.oracle and with_oracle(self.recommenders) != self.recommenders:
            self.notes.append(
                f"No oracle: {world.label('rater')} does not tell users' expected ratings. With --policies oracle, "
                "it is asked for a rating of every item in each step."
            )
        runs = [(one, user_split) for user_split in self.config.user_splits for one in self.recommenders]
        if uses_llm:
            most = len(runs) * self.config.episodes * self.config.max_steps * self.config.slate
            on_message(
                f"A language model rates: {counted(most, 'rating')} at most. --max-cost bounds what it may cost."
            )
        for note in (*world.announcements, *self.notes):
            on_message(note)
        self._total = len(runs) * self.config.episodes + LOG_EPISODES * self._must_log
        data = data_of(world)
        try:
            self.job.claim()
            self._begin(world)
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
                self._play(where, [_Playing("logs", logs, self.out / LOGS, data)], on_progress)
            for one in self.recommenders:  # one that cannot be made is known before the first is measured
                self._registry.resolve("policy", self._policy(one), world.domain.name).build(Policy)
            playing = []
            for one, user_split in runs:
                what = f"{one.name}, {user_split if user_split == 'all' else f'{user_split} users'}"
                config = self.config.run(self._policy(one), user_split)
                directory, uses_log = self.out / RUNS / user_split / one.folder, one.needs_logs and self._must_log
                playing.append(_Playing(what, config, directory, data, uses_log))
            if where.workers > 1:  # the longest first, so that all workers end at about the same time
                playing.sort(key=lambda one: oracle_of([{"name": one.what, "policy": one.config.policy}]) is None)
            self._play(where, playing, on_progress, self.columns)
        except BaseException as error:
            self._leave(error)
            raise
        finally:
            world.close()

    def _take_logs(self, config: RunConfig, world: World, on_message: Callable[[str], None]) -> None:
        """Take the logs of an earlier evaluation over, or say that they are simulated."""
        why = "Some recommenders learn from logs, and --logs names none"
        existing = _same_logs(self.out, config, world, self._registry)
        if existing is None:
            on_message(
                f"{why}: {counted(config.episodes, 'episode')} of {config.policy!r} with the train users are simulated "
                f"first, into {self.out / LOGS}; evaluations in {self.out.parent} use them again."
            )
            return
        on_message(f"{why}: those of {existing.parent}, which were made the same, are used again.")
        _take_over(existing, self.out / LOGS)

    def _policy(self, one: Recommender) -> Any:
        return with_logs(one.policy, self.config.logs or [str(self.out / LOGS)]) if one.needs_logs else one.policy

    def _play(
        self,
        where: Executor,
        runs: Sequence[_Playing],
        on_progress: Callable[[Progress], None],
        columns: dict[Path, RunColumns] | None = None,
    ) -> None:
        """Simulate runs, or what is left of them; read them into ``columns`` while others are simulated elsewhere."""
        cells, done = [], 0
        for one in runs:
            if is_complete(one.directory):
                JobDirectory(one.directory, "run", resume=True, part=True).tidy()
                self._done += one.config.episodes
                done += 1
            else:
                cells.append(Cell(one.what, play, one, None if one.uses_log else one.directory))
        alone, ended = where.workers == 1, 0

        def on_episodes(count: int) -> None:
            self._done += count
            what = cells[ended].key if alone else f"{done + ended} of {len(runs)} runs"
            on_progress(
                Progress(what, self._done, self._total, self._worlds.spent if alone or self._worlds.serves else None)
            )

        if cells:
            with closing(where.run(cells, self._worlds, on_episodes)) as finished:
                for cell in finished:
                    ended += 1
                    self._runs_rated += 1
                    if columns is not None and not alone:
                        columns[cell.arguments.directory] = read_run(cell.arguments.directory)

    def _begin(self, world: World) -> None:
        """Write what is evaluated, or see that what is resumed is the same, and write the items."""
        scale, catalog = world.domain.scale, world.catalog
        plan = {
            "format": FORMAT,
            "complete": False,
            "created": now(),
            "domain": world.domain.name,
            "title": world.domain.title,
            "config": self.config.stored(),
            "scale": scale.model_dump(mode="json"),
            "liked_from": scale.carry(self.config.emotion.positive),
            "notes": [*latent_notes(world.observation), *self.notes],
            "trust": trust_of(world),
            "recommenders": [
                {
                    "name": one.name,
                    "policy": self._policy(one),
                    "model": one.model,
                    "folder": one.folder,
                    **({"arm": one.arm} if self.config.arms or one.arm != one.name else {}),
                    **({"added": True} if one.added else {}),
                }
                for one in self.recommenders
            ],
        }

        def read(out: Path) -> dict[str, Any]:
            stored = stored_evaluation(out)
            return {**{name: stored[name] for name in plan if name in stored}, "complete": False}

        models = (EvaluationConfig,)
        # First: whoever is killed here goes on with --resume.
        begin_job(self.job, plan, models, self._registry, self._check_same, read, name=RESULTS)
        ids, counts = catalog.ids, catalog.public_counts.tolist()
        categories = ("|".join(names) for names in values_of(catalog.items, "categories"))
        rows = zip(ids, catalog.titles, counts, categories, strict=True)
        self.job.write(ITEMS, csv_bytes([("item", "title", "public_count", "categories"), *rows]))

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
        elif isinstance(error, LLMBudgetError) and self._runs_rated:
            spent = self._worlds.spent
            error.args = (f"{error}\nThe runs of this evaluation have cost {spent:.6g} since it was started.",)


def _same_logs(out: Path, config: RunConfig, world: World, registry: Registry) -> Path | None:
    """Complete logs of an evaluation beside ``out`` that a run of ``config`` in ``world`` would repeat; the newest."""
    policy = registry.resolve("policy", config.policy, world.domain.name).describe()
    manifest = make_manifest(world, with_records(config)[0])
    manifest = {**manifest, "parts": {**manifest["parts"], "policy": policy}}
    candidates = [place for place in out.parent.glob(f"*/{LOGS}") if place.parent != out and not place.is_symlink()]
    for place in sorted(candidates, key=lambda place: place.stat().st_mtime, reverse=True):
        try:
            own_files(place)
            stored = read_manifest(place)
            check_same(place, stored, manifest, (), RunConfig)
            if stored.get("versions") == manifest["versions"] and is_complete(place):
                return place
        except (EmoSimError, OSError):
            continue  # made otherwise, or damaged: no logs for this evaluation
    return None


def _take_over(logs: Path, place: Path) -> None:
    """Copy complete logs, whole or not at all. Raises RunError: they cannot be copied."""
    with scratch(place) as folder:
        folder.mkdir()
        for name in (MANIFEST, INTERACTIONS, SUMMARY):
            if (logs / name).exists():
                shutil.copyfile(logs / name, folder / name)
        if (logs / BLOCKS).is_dir():
            shutil.copytree(logs / BLOCKS, folder / BLOCKS)
        folder.rename(place)


@dataclass(frozen=True)
class _Playing:
    """One run of an evaluation: what it is, in words, its configuration, its directory, and digests of its data.

    ``uses_log`` says that its recommender learns from the log that the evaluation has made.
    """

    what: str
    config: RunConfig
    directory: Path
    data: Mapping[str, Any]
    uses_log: bool = False


def play(one: _Playing, worlds: Worlds, on_episodes: OnProgress) -> None:
    """Simulate one run; errors as of :func:`~emosim_core.runs.runner.run_part`."""
    run_part(one.config, one.directory, worlds, on_episodes, one.data)
