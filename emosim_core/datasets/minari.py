"""Episodes for Minari: what the environment would have shown, rebuilt from the records of runs."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from emosim_core.data.files import scratch
from emosim_core.datasets.episodes import LoggedEpisode, LoggedRun, logged_episodes
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import all_fields, by_field
from emosim_core.runs.manifest import digest
from emosim_core.runs.records import MANIFEST
from emosim_core.runs.steps import CHOICE_SIGNALS
from emosim_core.runs.trust import CommandHint, confirmed
from emosim_core.runs.typed import typed
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import EnvironmentConfig, RunConfig, read_config
from emosim_core.simulation.engine import Engine
from emosim_core.simulation.env import EmoSimEnv

if TYPE_CHECKING:
    from minari import MinariDataset

DATASETS_PATH = "MINARI_DATASETS_PATH"
"""Environment variable in which Minari looks for the folder of data sets."""

UNFINISHED = "unfinished"
"""The ``end_reason`` of an episode in whose middle the run was stopped."""

_EPISODES_AT_ONCE = 200

_CHANGES_NO_EPISODE = {"gateway", "on_failed_rating"}
"""Fields of an environment in which runs of one data set may differ."""

_MOOD_ROUNDING = 5.1e-5
"""Records hold moods to four decimals."""


def check_dataset(out: Path, dataset_id: str | None) -> None:
    """See that the name is one, and that the folder is one and has no data set of this name."""
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"{out} exists already and is no folder of data sets; choose another with --out")
    if dataset_id is None:
        return
    from minari.dataset.minari_dataset import parse_dataset_id

    try:
        parse_dataset_id(dataset_id)
    except (ValueError, TypeError) as error:  # without a version, Minari stumbles
        raise ConfigurationError(
            f"{dataset_id!r} is no name of a data set; expected one such as emosim/movies/random-v0"
        ) from error
    if (out / dataset_id).exists():
        raise ConfigurationError(f"{out} has a data set {dataset_id} already; choose another name with --dataset-id")


def write_minari(
    runs: Sequence[LoggedRun],
    out: Path,
    dataset_id: str | None = None,
    registry: Registry | None = None,
    given: Mapping[str, Any] | None = None,
    again: CommandHint | None = None,
) -> tuple[str, int, int, int]:
    """Write the episodes of runs of one environment as one data set; as :func:`~emosim_core.datasets.export.export`.

    Returns:
        The name of the data set; episodes, episodes without an end, and steps.
    """
    registry = registry or Registry()
    configs: list[RunConfig] = [
        read_config(RunConfig, run.manifest["config"], str(run.directory / MANIFEST)) for run in runs
    ]
    if again is None:
        places = [run.directory for run in runs]
        again = CommandHint(typed("data", "export", *places, "--format", "minari", "--out", out), {})
    for run in runs:
        # Whoever loads the data set makes the environment again: see that this user chose it.
        config = by_field(RunConfig, run.manifest["config"])
        values = {name: config[name] for name in all_fields(EnvironmentConfig) if name in config and name != "gateway"}
        confirmed(run.directory, values, given or {}, values, (EnvironmentConfig,), registry, again)
    _check_same_environment(runs, configs)
    if not dataset_id:
        domain, policy = (re.sub(r"\W", "_", one) for one in (runs[0].manifest["config"]["plugin"], _policy(runs)))
        dataset_id = f"emosim/{domain}/{policy}-v0"
    check_dataset(out, dataset_id)
    # Observations hold nothing of who rates, so the rater need not be there.
    world = assemble(configs[0].model_copy(update={"rater": RunConfig.model_fields["rater"].default}), registry)
    env, first = EmoSimEnv(world=world), configs[0]
    # How Gymnasium makes the environment again, its language model included.
    env.spec = EnvSpec(
        id=f"EmoSim/{first.plugin.title().replace('_', '')}-v0",
        entry_point="emosim_core.simulation.env:EmoSimEnv",
        vector_entry_point="emosim_core.simulation.vector_env:EmoSimVectorEnv",
        kwargs={**_environment(first, exclude_defaults=True), "on_failed_rating": first.on_failed_rating},
    )
    try:
        for run in runs:
            _check_world(run, world)
        with _staged(out, dataset_id):
            counts = _write(runs, env, dataset_id)
    finally:
        world.close()
    return dataset_id, *counts


def _environment(config: RunConfig, **how: Any) -> dict[str, Any]:
    """The fields of the environment, without what changes no episode."""
    dumped = config.model_dump(mode="json", include=set(EnvironmentConfig.model_fields), **how)
    fields = by_field(EnvironmentConfig, dumped)
    return {name: value for name, value in fields.items() if name not in _CHANGES_NO_EPISODE}


def _check_same_environment(runs: Sequence[LoggedRun], configs: Sequence[RunConfig]) -> None:
    first = _environment(configs[0])
    for run, config in zip(runs, configs, strict=True):
        other = _environment(config)
        differing = next((name for name in {**first, **other} if first.get(name) != other.get(name)), None)
        if differing is not None:
            raise ConfigurationError(
                f"{runs[0].directory} and {run.directory} are about different environments and make no data set "
                f"together: {differing} is {json.dumps(first.get(differing))} in one and "
                f"{json.dumps(other.get(differing))} in the other"
            )


def _check_world(run: LoggedRun, world: World) -> None:
    """See that items and users are those of the run, whose indices the data set holds."""
    for kind, part, objects in (
        ("items", "item_loader", world.catalog.items),
        ("users", "user_loader", world.population.users),
    ):
        if run.manifest["data"].get(f"{kind}_sha256") != digest(objects):
            raise RunError(
                f"{run.directory} was made with other {kind} than its "
                f"configuration brings now ({kind}: {world.parts[part]['name']!r} of {world.parts[part]['provider']}); "
                "observations cannot be rebuilt. Bring back what it was made with, or export a table"
            )


def _policy(runs: Sequence[LoggedRun]) -> str:
    names = {str(run.manifest["parts"].get("policy", {}).get("name", "unknown")) for run in runs}
    return names.pop() if len(names) == 1 else "mixed"


def _write(runs: Sequence[LoggedRun], env: EmoSimEnv, dataset_id: str) -> tuple[int, int, int]:
    """Write the data set where Minari's environment variable says: episodes, episodes without an end, and steps."""
    import minari

    count = unfinished = steps = 0
    dataset: MinariDataset | None = None
    for run in runs:
        rebuilt = Rebuilt(run, env.world)
        source = logged_episodes(run)
        while part := list(itertools.islice(source, _EPISODES_AT_ONCE)):
            buffers = [minari.data_collector.EpisodeBuffer(**rebuilt.episode(episode)) for episode in part]
            if dataset is None:
                dataset = _created(runs, env, dataset_id, buffers)
            else:
                dataset.update_dataset_from_buffer(buffers)
            about = [
                {"run": one.run, "episode": one.number, "user": one.user, "end_reason": one.end_reason or UNFINISHED}
                for one in part
            ]
            dataset.storage.update_episode_metadata(about, range(count, count + len(part)))
            count += len(part)
            unfinished += sum(episode.end_reason is None for episode in part)
            steps += sum(len(episode.steps) for episode in part)
    return count, unfinished, steps


def _created(runs: Sequence[LoggedRun], env: EmoSimEnv, dataset_id: str, buffers: list[Any]) -> MinariDataset:
    import minari

    versions = {name: version for run in runs for name, version in run.manifest.get("versions", {}).items()}
    domain, policy = env.world.domain, _policy(runs)
    with warnings.catch_warnings():
        # Who made the data and where their code lies is for them to say; they can add it to the metadata.
        warnings.filterwarnings("ignore", message=r"`(code_permalink|author|author_email|eval_env)` is set to None")
        dataset = minari.create_dataset_from_buffers(
            dataset_id,
            buffers,
            env=env,
            algorithm_name=policy,
            description=f"{domain.title}: episodes of simulated users with the recommender {policy}, made by EmoSim.",
            requirements=[f"{name}=={version}" for name, version in versions.items() if name.startswith("emosim-")],
        )
    sources = [{"run": run.name, "manifest": run.manifest} for run in runs]
    dataset.storage.update_metadata({"emosim": {"format": 2, "runs": sources}})
    return dataset


class Rebuilt:
    """What the environment showed in the episodes of one run.

    Records hold what was consumed and how it was rated. From that an engine makes memories, moods and observations
    as an environment of the run's configuration shows them, also to a policy that asked for a longer history; nobody
    is asked again.
    """

    def __init__(self, run: LoggedRun, world: World) -> None:
        self._run, self._world = run, world
        self._engine = Engine(world, 1, shared_memory=True)
        self._seed = int(run.manifest["config"]["seed"])  # an emotion model may draw
        self._slot = self._engine.all_rows

    def episode(self, episode: LoggedEpisode) -> dict[str, Any]:
        """The arrays of one episode of T steps, for an ``EpisodeBuffer``. S is the size of the slate.

        With ``keep_memory``, the episodes of one user must come in the order in which they were lived.

        Returns:
            ``observations``, arrays of length T + 1; ``actions``, ``rewards``, ``terminations`` and ``truncations``
            of length T; ``infos`` of length T + 1 as Minari records them, the first of which says nothing:
            ``ratings`` (NaN where not consumed), ``raw_ratings`` (NaN where none was given) and ``consumed``; where
            users choose before they rate also ``examined`` and ``clicked``.
            Actions and infos have a second axis S where S is more than 1.

        Raises:
            RunError: the records name somebody or something unknown, or are not what this world makes.
        """
        engine, count, slate = self._engine, len(episode.steps), self._world.config.slate
        user = self._world.population.index.get(episode.user)
        if user is None:
            raise self._damaged(episode, f"there is no user {episode.user!r}")
        actions = np.zeros((count, slate), dtype=np.int64)
        ratings, raw = np.full((2, count + 1, slate), np.nan)
        consumed = np.zeros((count + 1, slate), dtype=np.bool_)
        signals = () if self._world.choice.rates_first else CHOICE_SIGNALS
        chosen = {name: np.zeros((count + 1, slate), dtype=np.bool_) for name in signals}
        engine.begin(self._slot, [self._seed], [episode.number], [user])
        seen = [engine.observe()]
        for number, step in enumerate(episode.steps):
            if (shown := len(step["recommended"])) != slate:
                raise self._damaged(episode, f"step {step['step']} recommends {shown} items, not {slate}")
            for place, one in enumerate(step["recommended"]):
                item = self._world.catalog.index.get(one["item"])
                if item is None:
                    raise self._damaged(episode, f"there is no item {one['item']!r}")
                actions[number, place] = item
                raw[number + 1, place] = np.nan if one["raw_rating"] is None else one["raw_rating"]
                for name, values in chosen.items():
                    values[number + 1, place] = bool(one.get(name))
                if one["consumed"]:
                    consumed[number + 1, place] = True
                    ratings[number + 1, place] = one["rating"]
            now = slice(number + 1, number + 2)
            ratings[now] = self._world.domain.scale.round(ratings[now])  # to the last digit
            clicked = chosen["clicked"][now] if chosen else None
            mood = engine.replay(self._slot, actions[number : number + 1], ratings[now], consumed[now], clicked)[0]
            if np.abs(mood - step["mood"]).max() > _MOOD_ROUNDING:
                made = [round(value, 4) for value in mood.tolist()]
                after = f"after step {step['step']} the mood is {step['mood']}, and its ratings make it {made}"
                raise self._damaged(episode, after)
            seen.append(engine.observe())
        engine.end(self._slot)
        last = np.arange(count) == count - 1
        flat = slate == 1
        return {
            "observations": {name: np.concatenate([one[name] for one in seen]) for name in seen[0]},
            "actions": actions[:, 0] if flat else actions,
            "rewards": np.array([step["reward"] for step in episode.steps]),
            "terminations": last & episode.left,
            "truncations": last & (not episode.left),
            "infos": {
                name: values[:, 0] if flat else values
                for name, values in {"ratings": ratings, "raw_ratings": raw, "consumed": consumed, **chosen}.items()
            },
        }

    def _damaged(self, episode: LoggedEpisode, problem: str) -> RunError:
        return RunError(f"{self._run.directory}, episode {episode.number}: {problem}; the records were changed")


@contextmanager
def _staged(out: Path, dataset_id: str) -> Iterator[None]:
    """Minari writes to a folder of data sets beside ``out``; it is moved to ``out`` on success."""
    with scratch(out) as folder:
        folder.mkdir()
        before = os.environ.get(DATASETS_PATH)
        os.environ[DATASETS_PATH] = str(folder.absolute())
        try:
            yield
        finally:
            del os.environ[DATASETS_PATH]
            if before is not None:
                os.environ[DATASETS_PATH] = before
        if not out.exists():
            os.rename(folder, out)
            return
        (out / dataset_id).parent.mkdir(parents=True, exist_ok=True)
        for about in folder.rglob("namespace_metadata.json"):
            if not (out / about.relative_to(folder)).exists():
                shutil.copyfile(about, out / about.relative_to(folder))
        os.rename(folder / dataset_id, out / dataset_id)
