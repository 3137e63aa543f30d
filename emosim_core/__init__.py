"""EmoSim: simulated people for recommender systems.

The public names below are imported when they are used, so that ``import emosim_core`` is instant.
What is not listed here is free to change.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emosim_core.api import make, make_vec, register_environment, run
    from emosim_core.components.base import (
        Consumption,
        Draws,
        Observations,
        Perturbator,
        Policy,
        Rater,
        RatingRequest,
        Ratings,
        Retrieval,
        RewardShaping,
        Selector,
        Situation,
    )
    from emosim_core.components.ranking import NEVER, best_positions
    from emosim_core.data.embeddings import (
        Embedded,
        EmbeddingOptions,
        build_bundled_embeddings,
        embed_items,
        load_array,
        load_bundled_embeddings,
        save_bundled_embeddings,
    )
    from emosim_core.data.people import (
        CategoryProfile,
        GeneratedUsers,
        GeneratedUsersOptions,
        PeopleProfile,
        generate_people,
    )
    from emosim_core.data.tables import checked, existing_file, number, read_csv, write_csv
    from emosim_core.data.users_csv import CsvUsers, CsvUsersOptions, write_users_csv
    from emosim_core.errors import (
        BrokenPluginError,
        ConfigurationError,
        DataError,
        EmoSimError,
        IncompatiblePluginError,
        MissingDependencyError,
        NameConflictError,
        PluginError,
        RatingError,
        RunError,
        UnknownNameError,
    )
    from emosim_core.hooks.component import Component
    from emosim_core.hooks.registry import Registry
    from emosim_core.hooks.spec import HOOK_VERSION, hookimpl
    from emosim_core.model.catalog import Catalog
    from emosim_core.model.domain import Domain, Words
    from emosim_core.model.emotion import Emotion, EmotionThresholds, MoodOptions
    from emosim_core.model.item import Item
    from emosim_core.model.loader import LoadedItems, Loader, UserLoader
    from emosim_core.model.memory import History, Interaction
    from emosim_core.model.population import Population
    from emosim_core.model.scale import RatingScale
    from emosim_core.model.user import User
    from emosim_core.simulation.assembly import World, assemble
    from emosim_core.simulation.config import EnvironmentConfig, RunConfig
    from emosim_core.simulation.env import EmoSimEnv
    from emosim_core.simulation.vector_env import EmoSimVectorEnv

_MODULES = {
    "api": ("make", "make_vec", "register_environment", "run"),
    "components.base": (
        "Consumption",
        "Draws",
        "Observations",
        "Perturbator",
        "Policy",
        "Rater",
        "RatingRequest",
        "Ratings",
        "Retrieval",
        "RewardShaping",
        "Selector",
        "Situation",
    ),
    "components.ranking": ("NEVER", "best_positions"),
    "data.embeddings": (
        "Embedded",
        "EmbeddingOptions",
        "build_bundled_embeddings",
        "embed_items",
        "load_array",
        "load_bundled_embeddings",
        "save_bundled_embeddings",
    ),
    "data.people": ("CategoryProfile", "GeneratedUsers", "GeneratedUsersOptions", "PeopleProfile", "generate_people"),
    "data.tables": ("checked", "existing_file", "number", "read_csv", "write_csv"),
    "data.users_csv": ("CsvUsers", "CsvUsersOptions", "write_users_csv"),
    "errors": (
        "BrokenPluginError",
        "ConfigurationError",
        "DataError",
        "EmoSimError",
        "IncompatiblePluginError",
        "MissingDependencyError",
        "NameConflictError",
        "PluginError",
        "RatingError",
        "RunError",
        "UnknownNameError",
    ),
    "hooks.component": ("Component",),
    "hooks.registry": ("Registry",),
    "hooks.spec": ("HOOK_VERSION", "hookimpl"),
    "model.catalog": ("Catalog",),
    "model.domain": ("Domain", "Words"),
    "model.emotion": ("Emotion", "EmotionThresholds", "MoodOptions"),
    "model.item": ("Item",),
    "model.loader": ("LoadedItems", "Loader", "UserLoader"),
    "model.memory": ("History", "Interaction"),
    "model.population": ("Population",),
    "model.scale": ("RatingScale",),
    "model.user": ("User",),
    "simulation.assembly": ("World", "assemble"),
    "simulation.config": ("EnvironmentConfig", "RunConfig"),
    "simulation.env": ("EmoSimEnv",),
    "simulation.vector_env": ("EmoSimVectorEnv",),
}

_HOMES = {name: f"emosim_core.{module}" for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'emosim_core' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
