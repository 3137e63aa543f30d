"""Plan of an evaluation: which recommenders meet which users in which environment, and what to know about it."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, field_validator

from emosim_core.errors import ConfigurationError, EmoSimError, RunError
from emosim_core.evaluation.metrics import METRICS, Metric
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import all_fields, by_field, split_names
from emosim_core.hooks.names import did_you_mean, spelled
from emosim_core.model.frozen import option
from emosim_core.runs.plain import own_files
from emosim_core.runs.records import MANIFEST, read_json, read_manifest, run_manifest
from emosim_core.simulation.config import ComponentChoice, EnvironmentConfig, RunConfig, read_config

EVALUATION_SEED = 1042
"""Seed of the episodes that are measured. Episodes are numbered under their seed; those of a training have seeds that
are derived from its own, far above."""

LOG_SEED = 2042
"""Seed of the episodes that are logged for recommenders that learn from logs."""

LOG_EPISODES = 1000
"""Episodes that are logged for them."""

_NOT_COMPARED = frozenset({"user_split", "user_order", "history_length", "observe_consumed", "gateway"})
"""Fields of an environment in which a training may differ from what it is measured in."""

_GATEWAY_FIELDS = ("concurrency", "attempts", "cache")

_ARM_NAME = re.compile(r"\w[\w .+-]{0,39}")

_EXPERIMENT: dict[str, Any] = {"section": "Experiment"}

DECIDABLE: Mapping[str, Metric] = {one.name: one for one in METRICS if one.sums and one.better}
"""Metrics that can decide an experiment or guard it: one direction is better, and each user adds to them."""

ORACLE = "oracle"
"""The policy that knows each user's expected ratings."""

GUARD_MARGIN = 0.02
"""Margin of a guard that names none, as a share of the control's value."""


class EvaluationConfig(EnvironmentConfig):
    """An environment, the recommenders that are compared in it, and on whom.

    ``user_splits`` decides the environment's ``user_split`` and ``user_order``: each is met in the population's order.
    """

    model_config = ConfigDict(title="Evaluation")

    recommenders: tuple[str, ...] = option(
        (),
        "Directories of trained recommenders, with commas between; one that holds trainings of several seeds is one "
        "recommender, the mean over them.",
        unset="none",
    )
    policies: tuple[ComponentChoice, ...] = option(
        (), "Other recommenders, with commas between, such as random,popular.", unset="none"
    )
    arms: dict[str, ComponentChoice | tuple[str, ...]] = option(
        {},
        "An arm of an experiment: a name and a recommender, such as control=popular, new=http://127.0.0.1:8000 or "
        "trained=runs/a,runs/b (trainings of several seeds, or a directory that holds them). Once for each arm.",
        aliases=["arm"],
        each="policy",
        unset="none",
        **_EXPERIMENT,
    )
    control: str | None = option(
        None, "Arm that the others are compared with.", unset="the first arm", harmless=True, **_EXPERIMENT
    )
    metric: str = option("mean_reward", "Metric that the experiment is about.", harmless=True, **_EXPERIMENT)
    effect: float | None = option(
        None,
        "Difference that a live test must show, in the unit of the metric (0.01 for one point of a share).",
        gt=0,
        allow_inf_nan=False,
        unset="the measured one",
        **_EXPERIMENT,
    )
    guards: tuple[str, ...] = option(
        (),
        "Metrics that must not get worse than the control's by more than a margin, with commas between, such as "
        "mean_rating=0.1; without a margin, it is 2 % of the control's value.",
        aliases=["guard"],
        unset="none",
        harmless=True,
        **_EXPERIMENT,
    )
    user_splits: tuple[Literal["train", "test", "all"], ...] = option(
        ("train", "test"),
        "User splits to measure on, each by itself: train, test, all, with commas between.",
        min_length=1,
    )
    episodes: int = option(240, "Episodes of each recommender on each user split.", ge=1, unit="episodes")
    seed: int = option(EVALUATION_SEED, "Seed of all random numbers; not that of a training.", ge=0, le=2**63 - 1)
    num_envs: int | None = option(
        None,
        "Episodes that are simulated as one batch. It changes the speed alone, except with policies that learn across "
        "episodes (epsilon_greedy, linucb, thompson).",
        ge=1,
        unset="as for emosim run",
        unit="episodes",
    )
    logs: tuple[str, ...] = option(
        (), "Runs for recommenders that learn from logs, with commas between.", unset="simulated first"
    )
    oracle: bool = option(
        True,
        "Whether the oracle, which knows each user's expected ratings, stands beside the recommenders, with the regret "
        "of each; where the rater cannot tell, such as a language model, only if --policies names it.",
    )
    resamples: int = option(
        2000, "Bootstrap resamples of the users for the intervals.", ge=100, unit="resamples", rare=True
    )

    @field_validator("recommenders", "logs", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        paths = value if isinstance(value, list | tuple) else ()
        return [str(one) if isinstance(one, Path) else one for one in paths] if paths else value

    @field_validator("recommenders", "logs", "user_splits")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name, times in Counter(value).items():
            if times > 1:
                raise ValueError(f"{name!r} is named twice")
        return value

    @field_validator("arms")
    @classmethod
    def _named(cls, value: dict[str, Any]) -> dict[str, Any]:
        folded: dict[str, str] = {}
        for name in value:
            if not _ARM_NAME.fullmatch(name):
                raise ValueError(
                    f"the name {name!r} of an arm must be of letters, digits, '_', ' ', '.', '+' and '-', 40 at most"
                )
            other = folded.setdefault(name.lower(), name)
            if other != name:
                raise ValueError(f"the arms {other!r} and {name!r} differ in upper and lower case alone")
        return {name: arm_value(one) for name, one in value.items()}

    @field_validator("metric")
    @classmethod
    def _decides(cls, value: str) -> str:
        if value not in DECIDABLE:
            raise ValueError(f"no metric {value!r} can decide an experiment.{_known_metrics(value)}")
        return value

    @field_validator("guards", mode="before")
    @classmethod
    def _guard_texts(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return [name if margin is None else f"{name}={margin}" for name, margin in value.items()]
        return value

    @field_validator("guards")
    @classmethod
    def _guards_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [name for name, _ in map(read_guard, value)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the guard {name!r} is named twice")
        return value

    @property
    def is_experiment(self) -> bool:
        """Whether recommenders are compared as arms of an experiment."""
        return bool(self.arms or self.control or self.effect or self.guards)

    @property
    def trained(self) -> list[str]:
        """The directories of all trained recommenders."""
        return [*trained_in_arms(self.arms), *chain.from_iterable(map(trainings_of, self.recommenders))]

    def environment(self) -> dict[str, Any]:
        """The fields of the environment but who is met in which order, as a run is given them."""
        return self.model_dump(include=set(EnvironmentConfig.model_fields) - {"user_split", "user_order"})

    def stored(self) -> dict[str, Any]:
        """All fields that count, for JSON; those of an experiment where they say something."""
        fields = type(self).model_fields
        unset = {name for name in EXPERIMENT_FIELDS if getattr(self, name) == fields[name].default}
        return self.model_dump(mode="json", exclude={"user_split", "user_order", *unset})

    def run(self, policy: ComponentChoice, user_split: str, **more: Any) -> RunConfig:
        """The run of a recommender with a user split."""
        values: dict[str, Any] = {"episodes": self.episodes, "seed": self.seed, **self.environment(), **more}
        if self.num_envs is not None:
            values["num_envs"] = self.num_envs
        return RunConfig(**{**values, "policy": policy, "user_split": user_split, "user_order": "sequential"})


EXPERIMENT_FIELDS = ("arms", "control", "metric", "effect", "guards")
"""Fields that make an evaluation an experiment; all but ``arms`` change no episode."""


@dataclass(frozen=True)
class Recommender:
    """One that is measured: ``name`` in tables, the ``policy`` to run, ``folder`` of its runs.

    ``model`` is its directory, where it was trained; ``needs_logs`` whether it learns from logs and none were named;
    ``arm`` the arm that it is in, which is named as it is where it is in it alone; ``added`` whether it is the oracle
    and nobody named it.
    """

    name: str
    policy: ComponentChoice
    model: str | None = None
    folder: str = ""
    needs_logs: bool = False
    arm: str = ""
    added: bool = False


def arm_value(value: Any) -> Any:
    """What an arm is: a policy, or a tuple of directories of trained recommenders.

    A text with a ``/`` and without a ``:`` is of directories, with commas between.
    """
    if isinstance(value, Path) or (isinstance(value, str) and ":" not in value and ("/" in value or os.sep in value)):
        return tuple(split_names(str(value)))
    return tuple(map(str, value)) if isinstance(value, list | tuple) else value


def arm_text(value: Any) -> str:
    """An arm as one types it."""
    return spelled(value) if isinstance(value, str | dict) else ",".join(map(str, value))


def trained_in_arms(arms: Mapping[str, Any]) -> Iterator[str]:
    """The directories of the trained recommenders in some arms."""
    for value in map(arm_value, arms.values()):
        if isinstance(value, tuple):
            yield from value


def read_guard(text: str) -> tuple[str, float | None]:
    """The metric of a guard and its margin, None where it names none; a ValueError where one is wrong."""
    name, equals, written = (part.strip() for part in text.partition("="))
    if name not in DECIDABLE:
        raise ValueError(f"no metric {name!r} can be a guard.{_known_metrics(name)}")
    if not equals:
        if DECIDABLE[name].signed:
            raise ValueError(f"the guard {name!r} may be 0 or less and needs a margin, such as {name}=0.05")
        return name, None
    try:
        margin = float(written)
    except ValueError:
        margin = math.nan
    if not 0 < margin < math.inf:
        raise ValueError(f"the margin of the guard {name!r} must be a number above 0, got {written!r}")
    return name, margin


def _known_metrics(name: str) -> str:
    return did_you_mean(name, DECIDABLE) or f" Those that can: {', '.join(DECIDABLE)}."


def own_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an evaluation by field, as :func:`with_user_splits` has them, with the directories of arms found.

    A directory that holds several trainings, by itself or as a sweep, stands for them.
    """
    result = by_field(EvaluationConfig, with_user_splits(values), "evaluation")
    if isinstance(result.get("arms"), Mapping):
        result["arms"] = {name: _training_paths(name, arm_value(value)) for name, value in result["arms"].items()}
    return result


def _training_paths(arm: str, value: Any) -> Any:
    """What an arm is, with each directory that holds several trainings replaced by these."""
    if not isinstance(value, tuple):
        return value
    directories: list[str] = []
    for directory in map(Path, value):
        inside = [] if _is_training(directory) else _trainings_in(directory)
        if not inside:
            with _naming(arm):
                if directory.is_dir() and not (directory / MANIFEST).exists():
                    raise ConfigurationError(f"{directory} holds no trained recommender")
                model_config(str(directory))
        directories += map(str, inside or [directory])
    return directories


@contextmanager
def _naming(arm: str, hint: str = "") -> Iterator[None]:
    """Say in an error which arm it is about."""
    try:
        yield
    except EmoSimError as error:
        error.args = (f"the arm {arm!r}: {error}{hint}",)
        raise


def _is_training(directory: Path) -> bool:
    return (directory / MANIFEST).is_file() and "algo" in (read_manifest_config(directory) or {})


def trainings_of(directory: str) -> list[str]:
    """The trainings that a directory stands for: itself, or those that it holds where it is none."""
    place = Path(directory)
    return [directory] if _is_training(place) else [*map(str, _trainings_in(place))] or [directory]


def _trainings_in(directory: Path) -> list[Path]:
    """The trainings right in a directory, or in that of the jobs of a sweep."""
    for place in (directory, directory / "jobs"):
        if place.is_dir() and (inside := sorted(one for one in place.iterdir() if _is_training(one))):
            return inside
    return []


def read_manifest_config(directory: Path) -> dict[str, Any] | None:
    """The table ``config`` of a manifest; None where it has none. A RunError where it cannot be read."""
    config = read_json(directory / MANIFEST).get("config")
    return config if isinstance(config, dict) else None


def with_user_splits(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an evaluation in which the users of an environment, ``user_split``, are the groups to measure on."""
    result = {name: value for name, value in values.items() if name not in ("user_split", "user_order")}
    if "user_split" in values:
        result.setdefault("user_splits", values["user_split"])
    return result


def recommenders_of(config: EvaluationConfig, registry: Registry) -> list[Recommender]:
    """The recommenders of a configuration: those of arms, models, policies; each with a name of its own.

    An EmoSimError where there is none, one is named twice, a name or an option is wrong, a model is none or of another
    domain, or an experiment has no two arms or not the control that it names.
    """
    if not config.recommenders and not config.policies and not config.arms:
        raise ConfigurationError(
            "there is nothing to evaluate: name trained recommenders with --recommenders DIR,DIR, "
            "others with --policies random,popular, or arms of an experiment with --arm control=popular"
        )
    domain = registry.resolve_domain(config.plugin).component.name
    made = [one for name, value in config.arms.items() for one in _recommenders_of_arm(name, value, domain, registry)]
    paths = [Path(model).resolve() for model in config.recommenders]
    for number, (model, path) in enumerate(zip(config.recommenders, paths, strict=True)):
        if path in paths[:number]:
            raise ConfigurationError(f"the model {model} is named twice")
        name, trainings = _shortest_distinct(path, paths), trainings_of(model)
        if len(trainings) == 1:
            made.append(_trained(name, trainings[0], domain, registry))
        else:
            made += _recommenders_of_arm(name, tuple(trainings), domain, registry)
    written = [spelled(policy) for policy in config.policies]
    for number, (policy, name) in enumerate(zip(config.policies, written, strict=True)):
        if name in written[:number]:
            raise ConfigurationError(f"the policy {name!r} is named twice; two with different options may be")
        made.append(Recommender(name, policy, needs_logs=needs_logs(policy, domain, registry)))
    for one in made:
        if not one.needs_logs:
            registry.resolve("policy", one.policy, domain)
    names = _distinct(one.name for one in made)
    folders = _distinct(re.sub(r"[^\w.=+-]+", "_", name)[:80].strip("._") or "policy" for name in names)
    result = [
        replace(one, name=name, folder=folder.replace(" ", "_"), arm=one.arm or name)
        for one, name, folder in zip(made, names, folders, strict=True)
    ]
    if config.is_experiment:
        _check_experiment(config, list(dict.fromkeys(one.arm for one in result)))
    return result


def with_oracle(recommenders: Sequence[Recommender]) -> list[Recommender]:
    """Recommenders and the oracle after them, unless it is one of them."""
    if oracle_of({"name": one.name, "policy": one.policy} for one in recommenders):
        return list(recommenders)
    *_, name = _distinct([*(one.name for one in recommenders), ORACLE])
    *_, folder = _distinct([*(one.folder for one in recommenders), ORACLE])
    return [*recommenders, Recommender(name, ORACLE, folder=folder.replace(" ", "_"), arm=name, added=True)]


def oracle_of(recommenders: Iterable[Mapping[str, Any]]) -> str | None:
    """The name of the one that knows users' expected ratings, of recommenders as evaluation.json has them."""
    for one in recommenders:
        policy = one["policy"]
        if (policy["name"] if isinstance(policy, Mapping) else policy) == ORACLE:
            return str(one.get("arm", one["name"]))
    return None


def _check_experiment(config: EvaluationConfig, arms: Sequence[str]) -> None:
    if len(arms) < 2:
        raise ConfigurationError(
            f"an experiment compares two arms or more, and there is one, {arms[0]!r}: add another, such as "
            "--arm control=popular"
        )
    if config.control is not None and config.control not in arms:
        raise ConfigurationError(
            f"the control {config.control!r} is no arm.{did_you_mean(config.control, arms)} "
            f"The arms: {', '.join(map(repr, arms))}."
        )


def _recommenders_of_arm(arm: str, value: Any, domain: str, registry: Registry) -> list[Recommender]:
    """The recommenders of an arm: a policy, or trained ones."""
    hint = f" For the directory {value}, write ./{value}." if isinstance(value, str) and Path(value).is_dir() else ""
    with _naming(arm, hint):
        if not isinstance(value, tuple):
            return [Recommender(arm, value, needs_logs=needs_logs(value, domain, registry), arm=arm)]
        if not value:
            raise ConfigurationError("no directory is named")
        paths = [Path(model).resolve() for model in value]
        if len(set(paths)) < len(paths):
            raise ConfigurationError("a directory is named twice")
        names = [arm] if len(paths) == 1 else [f"{arm}/{_shortest_distinct(path, paths)}" for path in paths]
        made = [_trained(name, model, domain, registry) for name, model in zip(names, value, strict=True)]
    return [replace(one, arm=arm) for one in made]


def _trained(name: str, model: str, domain: str, registry: Registry) -> Recommender:
    """A trained recommender, which is of the domain."""
    plugin = model_config(model)["plugin"]
    if plugin != domain and registry.resolve_domain(plugin).component.name != domain:
        raise ConfigurationError(f"{model} was trained on {plugin!r}, and this evaluation is of {domain!r}")
    return Recommender(name, {"name": "trained", "path": model}, model)


def with_logs(policy: ComponentChoice, logs: Sequence[str]) -> dict[str, Any]:
    """A policy with the option ``logs``."""
    table = {"name": policy} if isinstance(policy, str) else dict(policy)
    return {**table, "logs": list(logs)}


def needs_logs(policy: ComponentChoice, domain: str, registry: Registry) -> bool:
    """Whether a policy learns from logs and names none; an EmoSimError where its name is wrong."""
    component, _, written = registry.written("policy", policy, domain)
    model = component.options_model()
    return model is not None and "logs" in model.model_fields and "logs" not in written


def _shortest_distinct(path: Path, paths: Iterable[Path]) -> str:
    """The end of a path that tells it from the others: its last part, or as many more as it takes."""
    others = [other.parts for other in paths if other != path]
    for length in range(1, len(path.parts)):
        end = path.parts[-length:]
        if all(other[-length:] != end for other in others):
            return "/".join(end)
    return str(path)


def _distinct(names: Iterable[str]) -> list[str]:
    """Names, of which the second of a kind gets " 2", the third " 3"; none differs from another by case alone."""
    seen: set[str] = set()
    distinct = []
    for name in names:
        free, number = name, 1
        while free.lower() in seen:
            number += 1
            free = f"{name} {number}"
        seen.add(free.lower())
        distinct.append(free)
    return distinct


def model_config(model: str) -> dict[str, Any]:
    """The table ``config`` of a trained recommender's manifest; a RunError where its directory holds none."""
    if not (Path(model) / MANIFEST).is_file():
        raise RunError(f"{model} is no trained recommender: it has no {MANIFEST}; 'emosim train' makes one")
    config: dict[str, Any] = read_manifest(Path(model))["config"]
    if not isinstance(config.get("plugin"), str):
        raise RunError(f"{Path(model) / MANIFEST} is damaged: its table 'config' names no plugin")
    if "policy" in config and "episodes" in config:
        raise RunError(f"{model} is a run, no trained recommender; name its policy with --policies")
    own_files(Path(model))
    return config


def model_environment(model: str) -> dict[str, Any]:
    """The environment that a recommender was trained in, as far as an evaluation takes it over.

    Who was met in which order is not; nor what may be spent on a language model, nor whether only cached answers count.
    """
    config = by_field(EnvironmentConfig, model_config(model))
    result = {
        name: config[name]
        for name in all_fields(EnvironmentConfig)
        if name in config and (name not in _NOT_COMPARED or name == "gateway")
    }
    if isinstance(result.get("gateway"), dict):
        result["gateway"] = {name: result["gateway"][name] for name in _GATEWAY_FIELDS if name in result["gateway"]}
    return result


def notes_on(config: EvaluationConfig) -> list[str]:
    """What one should know who reads the metrics: models trained elsewhere, and what knows who or what is measured."""
    here = by_field(EvaluationConfig, config.model_dump(mode="json"))
    notes = []
    for model in dict.fromkeys(config.trained):
        trained = by_field(EnvironmentConfig, model_config(model))
        fields = all_fields(EnvironmentConfig)
        known = {name: value for name, value in trained.items() if name in fields}
        made = read_config(EnvironmentConfig, known, str(Path(model) / MANIFEST))
        trained_in = by_field(EnvironmentConfig, made.model_dump(mode="json"))
        compared = [name for name in fields if name in {**trained_in, **here} and name not in _NOT_COMPARED]
        differing = [name for name in compared if trained_in.get(name) != here.get(name)]
        if differing:
            notes.append(f"{model} was trained in another environment; what differs: {', '.join(differing)}.")
        notes += _notes_on_users(model, trained_in["user_split"], "trained on", config)
    several = {one: tuple(trainings_of(one)) for one in config.recommenders}
    for arm, value in {**config.arms, **several}.items():
        notes += _notes_on_trainings(arm, value) if isinstance(value, tuple) else []
    for logs in config.logs:
        if (Path(logs) / MANIFEST).is_file():
            logged = run_manifest(Path(logs))["config"]
            notes += _notes_on_users(logs, logged.get("user_split", "all"), "made with", config)
            if logged.get("seed") == config.seed:
                notes.append(f"{logs} was made under the seed {config.seed} too; measure under another with --seed.")
    return notes


def _notes_on_trainings(arm: str, models: Sequence[str]) -> list[str]:
    """What one should know of the trainings of one arm: that they differ in more than the seed, or not in it."""
    configs = [by_field(EnvironmentConfig, model_config(model)) for model in models]
    differing = [
        name
        for name in dict.fromkeys(name for one in configs for name in one)
        if any(one.get(name) != configs[0].get(name) for one in configs)
    ]
    notes = []
    if more := [name for name in differing if name != "seed"]:
        notes.append(
            f"The trainings of the arm {arm!r} differ in more than the seed: {', '.join(more)}. Its spread is not that "
            "of seeds alone."
        )
    seeds = [one.get("seed") for one in configs]
    if len(set(map(str, seeds))) < len(seeds):
        notes.append(f"Trainings of the arm {arm!r} have the same seed: its spread is too small.")
    return notes


def _notes_on_users(what: str, user_split: str, how: str, config: EvaluationConfig) -> list[str]:
    if user_split == "train" or "test" not in config.user_splits:
        return []
    whom = "everyone" if user_split == "all" else "the test users"
    return [f"{what} was {how} {whom}: to what learned from it, the split 'test' is not unseen."]
