"""Grid: which variants, studies and seeds an ablation goes through, and the jobs that these make."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from emosim_core.errors import ConfigurationError
from emosim_core.hooks.fields import over, split_components
from emosim_core.hooks.names import checked_options, spelled
from emosim_core.llm.options import DEFAULT_STRATEGY
from emosim_core.model.frozen import option
from emosim_core.simulation.config import ComponentChoice, EnvironmentConfig, read_config
from emosim_core.studies.ablation.jobs import Job
from emosim_core.studies.jobs import JOBS, StudyConfig, folder_name

ALL = "all"
"""In the place of studies: all that the domain has material for."""

VARIANT_OPTIONS = {
    "raters": "rater",
    "llm_models": "llm_model",
    "llm_raters": "llm_rater",
    "retrievals": "items_retrieval",
    "perturbators": "perturbator",
}
"""Axes of the grid whose values make a variant, and the option of each; a configuration file calls them so too."""

OPTIONS = {**VARIANT_OPTIONS, "studies": "studies"}
"""All axes of the grid, and the option that takes the values of each."""


class AblationConfig(StudyConfig):
    """Grid of an ablation: variants, studies and seeds; all jobs share the environment but for what the grid sets."""

    model_config = ConfigDict(title="Ablation")

    raters: list[ComponentChoice] = option(..., "Raters that call no language model.", option=False)
    llm_models: list[ComponentChoice] = option(..., "Language models.", option=False)
    llm_raters: list[ComponentChoice] = option(..., "Prompt strategies, each with each language model.", option=False)
    retrievals: list[ComponentChoice] = option(..., "Retrieval strategies.", min_length=1, option=False)
    perturbators: list[ComponentChoice] = option(..., "Perturbators.", min_length=1, option=False)
    studies: list[ComponentChoice] = option(
        ...,
        "Studies, with commas between, such as sampling,high_rating.",
        min_length=1,
        aliases=["study"],
        unset="all",
    )
    seed: int = option(42, "First seed.", ge=0, le=2**63 - 1)
    num_seeds: int = option(1, "Number of seeds, from the first on.", ge=1, unit="seeds")


@dataclass(frozen=True)
class Variant:
    """An environment's configuration as JSON, and its rater, model, retrieval and perturbator by name."""

    environment: Mapping[str, Any]
    names: Mapping[str, str]


def choices(value: str | Mapping[str, Any] | Sequence[ComponentChoice] | None) -> list[ComponentChoice]:
    """The values of one axis, from what an option or a file holds: at least one, and none twice."""
    if value is None:
        return []
    chosen: list[ComponentChoice]
    if isinstance(value, str):
        chosen = list(split_components(value))
    else:
        chosen = [dict(value)] if isinstance(value, Mapping) else list(value)
    if not chosen:
        raise ConfigurationError(f"expected names with commas between, got {value!r}")
    twice = next((one for place, one in enumerate(chosen) if one in chosen[:place]), None)
    if twice is not None:
        raise ConfigurationError(f"{spelled(twice)!r} is named twice in {value!r}")
    return chosen


def read_axes(values: Mapping[str, Any]) -> dict[str, list[ComponentChoice]]:
    """The axes that options set, by name."""
    return {axis: choices(values[option]) for axis, option in OPTIONS.items() if values.get(option) is not None}


def given_again(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that an ablation which is resumed must have, by the fields of its grid and its environment."""
    shared = {name: value for name, value in values.items() if name not in OPTIONS.values()}
    axes = read_axes(values)
    # The stored grid has the names of the studies that "all" stood for.
    axes["studies"] = [one for one in axes.get("studies", ()) if one != ALL]
    return {**shared, **{axis: chosen for axis, chosen in axes.items() if chosen}}


def read_grid(values: Mapping[str, Any]) -> AblationConfig:
    """The configuration of an ablation, from its options.

    They are those of :data:`OPTIONS`, each a component or several; ``seed`` and ``num_seeds``; and fields of an
    environment, which all variants share.
    """
    axes = read_axes(values)
    if "llm_raters" in axes and "llm_models" not in axes:
        raise ConfigurationError("--llm-rater needs a language model: give --llm-model too")
    defaults: dict[str, list[ComponentChoice]] = {
        "raters": [] if "llm_models" in axes else [EnvironmentConfig.model_fields["rater"].default],
        "llm_models": [],
        "llm_raters": [],
        "studies": [ALL],
        **{axis: [EnvironmentConfig.model_fields[OPTIONS[axis]].default] for axis in ("retrievals", "perturbators")},
    }
    numbers = {name: values[name] for name in ("seed", "num_seeds") if values.get(name) is not None}
    shared = {name: value for name, value in values.items() if name not in {*OPTIONS.values(), "seed", "num_seeds"}}
    return checked_options(AblationConfig, {**defaults, **axes, **numbers, "environment": shared}, "ablate")


def variants(config: AblationConfig) -> list[Variant]:
    """All variants, those of one rater side by side."""
    who: list[dict[str, Any]] = [{"rater": rater} for rater in config.raters]
    who += [
        {"llm_model": model, "llm_rater": rater}
        for model, rater in itertools.product(config.llm_models, config.llm_raters or [DEFAULT_STRATEGY])
    ]
    made = []
    for one, retrieval, perturbator in itertools.product(who, config.retrievals, config.perturbators):
        own = {**one, "items_retrieval": retrieval, "perturbator": perturbator}
        own["on_failed_rating"] = "skip"  # a failed rating is counted; it ends nothing
        choices = over(EnvironmentConfig, own, config.environment)
        checked: EnvironmentConfig = read_config(EnvironmentConfig, choices, "ablation")
        names = {
            "rater": spelled(one["rater"] if "rater" in one else one["llm_rater"]),
            "llm_model": spelled(one["llm_model"]) if "llm_model" in one else "",
            "items_retrieval": spelled(retrieval),
            "perturbator": spelled(perturbator),
        }
        made.append(Variant(checked.model_dump(mode="json"), names))
    return made


def jobs(config: AblationConfig, directory: Path) -> list[Job]:
    """All jobs, those of one variant side by side."""
    planned = []
    for variant in variants(config):
        for study, number in itertools.product(config.studies, range(config.num_seeds)):
            seed = config.seed + number
            key = folder_name([spelled(study), *filter(None, variant.names.values()), f"seed{seed}"])
            planned.append(Job(key, directory / JOBS / key, study, seed, variant.environment, variant.names))
    return planned
