"""Hook specifications: what EmoSim asks a plugin.

A hook that names components answers with descriptions. It does no work, reads no file, opens no
connection and needs no key. An implementation may take fewer arguments than its specification.
"""

# mypy: disable-error-code="empty-body"
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from emosim_core.hooks.component import Component

PROJECT = "emosim"

HOOK_VERSION = 1
"""Version of these hooks. A plugin states the one it was built for as ``EMOSIM_HOOK_VERSION``; without it, 1 counts."""

OLDEST_HOOK_VERSION = 1
"""The oldest version of the hooks that a plugin may have been built for."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def emosim_domains() -> Iterable[Component]:
    """Domains, such as movies. The factory is called without arguments and returns a ``Domain``."""


@hookspec
def emosim_item_loaders() -> Iterable[Component]:
    """Item loaders for ``--items``; the factory returns an ``ItemLoader``. Give ``domain``."""


@hookspec
def emosim_user_loaders() -> Iterable[Component]:
    """User loaders for ``--users``; the factory returns a ``UserLoader``."""


@hookspec
def emosim_raters() -> Iterable[Component]:
    """Raters; the factory returns a ``Rater``."""


@hookspec
def emosim_retrievals() -> Iterable[Component]:
    """Retrieval strategies: which memories enter a rating. The factory returns a ``Retrieval``."""


@hookspec
def emosim_choices() -> Iterable[Component]:
    """Choice models: what of a slate is examined and clicked before it is rated. The factory returns a ``Choice``."""


@hookspec
def emosim_selectors() -> Iterable[Component]:
    """Selectors: which items of a slate that was rated first are consumed. The factory returns a ``Selector``."""


@hookspec
def emosim_perturbators() -> Iterable[Component]:
    """Noise on the ratings of consumed items. The factory returns a ``Perturbator``."""


@hookspec
def emosim_emotion_models() -> Iterable[Component]:
    """Emotion models: tags of ratings and mood dynamics. The factory returns an ``EmotionModel``."""


@hookspec
def emosim_reward_shapings() -> Iterable[Component]:
    """Rewards from ratings, and when a user leaves. The factory returns a ``RewardShaping``."""


@hookspec
def emosim_observations() -> Iterable[Component]:
    """Observations: what a recommender sees. The factory returns an ``ObservationModel``."""


@hookspec
def emosim_policies() -> Iterable[Component]:
    """Recommenders for ``--policy``; the factory returns a ``Policy``."""


@hookspec
def emosim_llm_backends() -> Iterable[Component]:
    """Language-model backends, for ``--llm-model``; the factory returns an ``LLMBackend``."""


@hookspec
def emosim_prompt_strategies() -> Iterable[Component]:
    """Prompt strategies, for ``--llm-rater``; the factory returns a ``PromptStrategy``."""


@hookspec
def emosim_studies() -> Iterable[Component]:
    """Studies of how faithfully users are simulated, for ``emosim ablate --study``; the factory returns a ``Study``."""


@hookspec
def emosim_executors() -> Iterable[Component]:
    """Where the cells of a command are done, for ``--executor``; the factory returns an ``Executor``."""


@hookspec
def emosim_run_started(directory: str, manifest: Mapping[str, Any]) -> None:
    """Observer: a run begins; ``manifest`` is what its manifest.json holds."""


@hookspec
def emosim_step_recorded(record: Mapping[str, Any]) -> None:
    """Observer: a step was written to interactions.jsonl; ``record`` is its line."""


@hookspec
def emosim_episode_ended(episode: Mapping[str, Any]) -> None:
    """Observer: an episode ended; ``episode`` has number, user, name, steps, reward, mean_rating, end and mood."""


@hookspec
def emosim_run_ended(directory: str, summary: Mapping[str, Any]) -> None:
    """Observer: a run ended; ``summary`` is what its summary.json holds."""
