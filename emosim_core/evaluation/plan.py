"""Plan of an evaluation: which recommenders meet which users in which environment, and what to know about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, field_validator

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import all_fields, by_field
from emosim_core.hooks.names import spelled
from emosim_core.model.frozen import option
from emosim_core.runs.plain import own_files
from emosim_core.runs.records import MANIFEST, read_manifest, run_manifest
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


class EvaluationConfig(EnvironmentConfig):
    """An environment, the recommenders that are compared in it, and on whom.

    ``user_splits`` decides the environment's ``user_split`` and ``user_order``: each is met in the population's order.
    """

    model_config = ConfigDict(title="Evaluation")

    recommenders: tuple[str, ...] = option(
        (), "Directories of trained recommenders, with commas between.", unset="none"
    )
    policies: tuple[ComponentChoice, ...] = option(
        (), "Other recommenders, with commas between, such as random,popular.", unset="none"
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

    def environment(self) -> dict[str, Any]:
        """The fields of the environment but who is met in which order, as a run is given them."""
        return self.model_dump(include=set(EnvironmentConfig.model_fields) - {"user_split", "user_order"})

    def stored(self) -> dict[str, Any]:
        """All fields that count, for JSON."""
        return self.model_dump(mode="json", exclude={"user_split", "user_order"})

    def run(self, policy: ComponentChoice, user_split: str, **more: Any) -> RunConfig:
        """The run of a recommender with a user split."""
        values: dict[str, Any] = {"episodes": self.episodes, "seed": self.seed, **self.environment(), **more}
        if self.num_envs is not None:
            values["num_envs"] = self.num_envs
        return RunConfig(**{**values, "policy": policy, "user_split": user_split, "user_order": "sequential"})


@dataclass(frozen=True)
class Recommender:
    """One that is measured: ``name`` in tables, the ``policy`` to run, ``folder`` of its runs.

    ``model`` is its directory, where it was trained; ``needs_logs`` whether it learns from logs and none were named.
    """

    name: str
    policy: ComponentChoice
    model: str | None = None
    folder: str = ""
    needs_logs: bool = False


def with_user_splits(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an evaluation in which the users of an environment, ``user_split``, are the groups to measure on."""
    result = {name: value for name, value in values.items() if name not in ("user_split", "user_order")}
    if "user_split" in values:
        result.setdefault("user_splits", values["user_split"])
    return result


def recommenders_of(config: EvaluationConfig, registry: Registry) -> list[Recommender]:
    """The recommenders of a configuration, models first, each with a name of its own.

    An EmoSimError where there is none, one is named twice, a name or an option is wrong, or a model is none.
    """
    if not config.recommenders and not config.policies:
        raise ConfigurationError(
            "there is nothing to evaluate: name trained recommenders with --recommenders DIR,DIR "
            "or others with --policies random,popular"
        )
    domain = registry.resolve_domain(config.plugin).component.name
    made: list[Recommender] = []
    paths = [Path(model).resolve() for model in config.recommenders]
    for number, (model, path) in enumerate(zip(config.recommenders, paths, strict=True)):
        if path in paths[:number]:
            raise ConfigurationError(f"the model {model} is named twice")
        model_config(model)
        made.append(Recommender(_shortest_distinct(path, paths), {"name": "trained", "path": model}, model))
    written = [spelled(policy) for policy in config.policies]
    for number, (policy, name) in enumerate(zip(config.policies, written, strict=True)):
        if name in written[:number]:
            raise ConfigurationError(f"the policy {name!r} is named twice; two with different options may be")
        made.append(Recommender(name, policy, needs_logs=_needs_logs(policy, domain, registry)))
    for one in made:
        if not one.needs_logs:
            registry.resolve("policy", one.policy, domain)
    names = _distinct(one.name for one in made)
    folders = _distinct(re.sub(r"[^\w.=+-]+", "_", name)[:80].strip("._") or "policy" for name in names)
    return [
        replace(one, name=name, folder=folder.replace(" ", "_"))
        for one, name, folder in zip(made, names, folders, strict=True)
    ]


def with_logs(policy: ComponentChoice, logs: Sequence[str]) -> dict[str, Any]:
    """A policy with the option ``logs``."""
    table = {"name": policy} if isinstance(policy, str) else dict(policy)
    return {**table, "logs": list(logs)}


def _needs_logs(policy: ComponentChoice, domain: str, registry: Registry) -> bool:
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
    for model in config.recommenders:
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
    for logs in config.logs:
        if (Path(logs) / MANIFEST).is_file():
            logged = run_manifest(Path(logs))["config"]
            notes += _notes_on_users(logs, logged.get("user_split", "all"), "made with", config)
            if logged.get("seed") == config.seed:
                notes.append(f"{logs} was made under the seed {config.seed} too; measure under another with --seed.")
    return notes


def _notes_on_users(what: str, user_split: str, how: str, config: EvaluationConfig) -> list[str]:
    if user_split == "train" or "test" not in config.user_splits:
        return []
    whom = "everyone" if user_split == "all" else "the test users"
    return [f"{what} was {how} {whom}: to what learned from it, the split 'test' is not unseen."]
