"""Assembly: from a configuration and the plugins to a world that can be stepped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from emosim_core.components.base import (
    Draws,
    PerturbationRequest,
    Perturbator,
    Rater,
    RatingRequest,
    Ratings,
    Retrieval,
    RetrievalRequest,
    RewardShaping,
    Selector,
    ShapingSetting,
    WorldSetting,
)
from emosim_core.components.emotion_models import EmotionModel, EmotionSetting, TagRequest
from emosim_core.components.observations import ObservationModel, ObservationSetting
from emosim_core.data.embeddings import EmbeddingOptions, embed_items
from emosim_core.errors import ConfigurationError
from emosim_core.hooks import Registry, Resolved
from emosim_core.hooks.component import KIND_TITLES
from emosim_core.hooks.faults import named
from emosim_core.hooks.names import explain
from emosim_core.model import (
    Catalog,
    CatalogSetting,
    Domain,
    History,
    ItemLoader,
    LoadedItems,
    Population,
    PopulationSetting,
    User,
    UserLoader,
)
from emosim_core.simulation.checks import check_codes, check_perturbed, check_positions, check_ratings
from emosim_core.simulation.config import EnvironmentConfig
from emosim_core.simulation.other_source import other_source_named

_SPLIT_SEED = 20_240_131
"""Decides who is new, so that it is the same in every run."""


@dataclass(repr=False)
class World:
    """A domain, its items and users, and the strategies that answer for them.

    Attributes:
        user_indices: indices in the population of those whom episodes are about, as ``config.user_split`` says.
        announcements: messages for whoever runs this, such as a fallback that was used.
        parts: name, options and provider of every component, for a manifest.
        made: the components that were made for these parts; what stands in their place now was put in by hand.
        spent: cost of the model calls that the command has made in worlds before this one.
    """

    config: EnvironmentConfig
    registry: Registry
    domain: Domain
    catalog: Catalog
    population: Population
    rater: Rater
    retrieval: Retrieval
    selector: Selector
    perturbator: Perturbator
    emotion_model: EmotionModel
    shaping: RewardShaping
    observation: ObservationModel
    user_indices: NDArray[np.intp] = field(init=False)
    announcements: list[str] = field(default_factory=list)
    parts: dict[str, Any] = field(default_factory=dict)
    made: dict[str, object] = field(default_factory=dict)
    spent: float = 0.0

    def __post_init__(self) -> None:
        self.user_indices = split_users(len(self.population), self.config.user_split, self.config.test_fraction)

    def __repr__(self) -> str:
        sizes = f"{len(self.catalog)} items, {len(self.population)} users"
        return f"World({self.domain.name!r}: {sizes}; rater {self.answered_by})"

    def trusted(self, kind: str) -> bool:
        """Whether a component is the core's own, whose answers need no check."""
        return self._as_made(kind) and _is_of_core(self.parts[kind])

    def _as_made(self, kind: str) -> bool:
        return kind in self.parts and (kind not in self.made or self._in_place(kind) is self.made[kind])

    def _in_place(self, kind: str) -> object:
        """The component of this kind that answers now."""
        return getattr(self, "shaping" if kind == "reward_shaping" else kind, None)

    def blaming(self, kind: str) -> AbstractContextManager[None]:
        """A context in which what the component of this kind raises is worded as its plugin's fault."""
        return named(self.label(kind))

    @property
    def model(self) -> str:
        """The identity of the language model that rates; empty where none does."""
        return self.rater.language_model

    @property
    def answered_by(self) -> str:
        """Who rates, in words: ``"rule_based (no language model)"``."""
        name = self.parts["rater"]["name"] if "rater" in self.parts else type(self.rater).__name__
        return self.rater.answered_by or f"{name} ({'language model' if self.rater.uses_llm else 'no language model'})"

    def setting(self, population: Population | None = None) -> WorldSetting:
        """What components are prepared with.

        Args:
            population: the users, where they are others than those of this world.
        """
        return WorldSetting(
            catalog=self.catalog,
            population=self.population if population is None else population,
            scale=self.domain.scale,
            words=self.domain.words,
            slate=self.config.slate,
            real_ratings=tuple(self.domain.real_ratings),
            domain=self.domain.name,
            examples=tuple(self.domain.examples),
            on_failed_rating=self.config.on_failed_rating,
            spent=self.spent,
        )

    def shaping_setting(self, batch_size: int, population: Population | None = None) -> ShapingSetting:
        """What a reward shaping is started with.

        Args:
            batch_size: number of slots.
            population: the users, where they are others than those of this world.
        """
        return ShapingSetting(**vars(self.setting(population)), batch_size=batch_size)

    def rating_request(
        self,
        users: NDArray[np.intp],
        items: NDArray[np.intp],
        moods: NDArray[np.float64],
        history: History,
        population: Population | None = None,
        doubted: bool | None = None,
    ) -> RatingRequest:
        """What the rater is asked about users in front of items, with what the retrieval chooses of their memories.

        Args:
            users: index of each user in the population, shape ``(R,)``.
            items: index of each item in the catalog, shape ``(R, S)``.
            moods: valence and arousal, shape ``(R, 2)``.
            history: the histories of the R users.
            population: the users, where they are others than those of this world.
            doubted: whether what the retrieval answers is checked; None for that of a plugin alone.

        Raises:
            PluginError: the answer is checked, and is something else.
        """
        population = self.population if population is None else population
        positions = self.retrieval.retrieve_batch(
            RetrievalRequest(
                users=users, items=items, moods=moods, history=history, catalog=self.catalog, population=population
            )
        )
        if not self.trusted("retrieval") if doubted is None else doubted:
            check_positions(positions, items, history, self.label("retrieval"))
        if history.width == 0 or positions.shape[2] == 0:
            retrieved, ratings = np.zeros(positions.shape, dtype=np.intp), np.full(positions.shape, np.nan)
        else:
            present = positions >= 0
            recalled, rated = history.at(positions)
            retrieved, ratings = recalled * present, np.where(present, rated, np.nan)
        return RatingRequest(
            users=users,
            items=items,
            retrieved=positions,
            retrieved_items=retrieved,
            retrieved_ratings=ratings,
            times=history.times_before(items),
            moods=moods,
            history=history,
            catalog=self.catalog,
            population=population,
            scale=self.domain.scale,
            words=self.domain.words,
        )

    def rate(self, request: RatingRequest, draws: Draws, doubted: bool | None = None) -> Ratings:
        """What the rater answers.

        Args:
            request: the users and items.
            draws: the draws of the users.
            doubted: whether the answer is checked; None for that of a plugin alone.

        Raises:
            PluginError: the answer is checked, and is something else.
        """
        answers = self.rater.rate_batch(request, draws)
        if not self.trusted("rater") if doubted is None else doubted:
            check_ratings(answers, request.items, request.scale, self.label("rater"))
        return answers

    def perturb(
        self,
        request: RatingRequest,
        ratings: NDArray[np.float64],
        consumed: NDArray[np.bool_],
        draws: Draws,
        doubted: bool | None = None,
    ) -> NDArray[np.float64]:
        """Ratings after perturbation, on the scale, shape ``(R, S)``; meaningless where not consumed.

        Args:
            request: what was rated.
            ratings: the rater's ratings, shape ``(R, S)``; NaN where it failed.
            consumed: which items were consumed, shape ``(R, S)``.
            draws: the draws of the users.
            doubted: whether the answer is checked; None for that of a plugin alone.

        Raises:
            PluginError: the answer is checked, and is something else.
        """
        doubted = not self.trusted("perturbator") if doubted is None else doubted
        given = ratings.copy() if doubted else ratings
        perturbed = self.perturbator.perturb_batch(
            PerturbationRequest(
                users=request.users,
                items=request.items,
                ratings=given,
                consumed=consumed,
                moods=request.moods,
                catalog=request.catalog,
                population=request.population,
                scale=request.scale,
            ),
            draws,
        )
        if doubted:
            check_perturbed(perturbed, ratings, self.label("perturbator"))
        return perturbed if perturbed is ratings else request.scale.round(perturbed)

    def tags(
        self,
        users: NDArray[np.intp],
        items: NDArray[np.intp],
        ratings: NDArray[np.float64],
        population: Population | None = None,
    ) -> NDArray[np.intp]:
        """Codes of the tags of past ratings, one item each of n users whose mood is at rest.

        Args:
            users: index of each user in the population, shape ``(n,)``.
            items: index of each item in the catalog, shape ``(n,)``.
            ratings: the ratings, shape ``(n,)``.
            population: the users, where they are others than those of this world.

        Returns:
            ``3 * (valence + 1) + 2 * arousal``, shape ``(n,)``.
        """
        population = self.population if population is None else population
        request = TagRequest(
            users=users,
            items=items[:, None],
            ratings=ratings[:, None],
            moods=population.baselines[users],
            catalog=self.catalog,
            population=population,
            scale=self.domain.scale,
        )
        with self.blaming("emotion_model"):
            return self.tag(request, doubted=not self.trusted("emotion_model"))[:, 0]

    def tag(self, request: TagRequest, doubted: bool) -> NDArray[np.intp]:
        """Codes of the tags of ratings, shape ``(R, S)``.

        Args:
            request: the ratings.
            doubted: whether what the emotion model answers is checked.

        Raises:
            PluginError: the answer is checked, and is something else.
        """
        codes = self.emotion_model.tag_batch(request)
        if doubted:
            check_codes(codes, request.ratings, self.label("emotion_model"))
        return codes

    def emotion_setting(self) -> EmotionSetting:
        """What an emotion model is prepared with."""
        config = self.config
        return EmotionSetting(**vars(self.setting()), thresholds=config.emotion, mood=config.mood)

    def observation_setting(self, history_length: int = 0) -> ObservationSetting:
        """What an observation model is asked for its space with.

        Args:
            history_length: recent interactions to show at least; the configuration may say more.
        """
        config = self.config
        return ObservationSetting(
            **vars(self.setting()),
            max_steps=config.max_steps,
            history_length=max(history_length, config.history_length),
            observe_consumed=config.observe_consumed,
        )

    def close(self) -> None:
        """Let go of what components hold on to, such as connections."""
        self.rater.close()

    def label(self, kind: str) -> str:
        """A component in words, such as ``"rater 'rule_based' of emosim-core 0.1.0"``."""
        if self._as_made(kind):
            return _label(kind, self.parts[kind])
        return f"{KIND_TITLES[kind]} {type(self._in_place(kind)).__name__}, put in by hand,"


def assemble(config: EnvironmentConfig, registry: Registry | None = None, spent: float = 0.0) -> World:
    """Load what a configuration names and put it together.

    Args:
        config: what to load.
        registry: plugins to use; found anew if not given.
        spent: cost of the model calls that the command has made before. It counts towards the limit on the cost.

    Raises:
        ConfigurationError: a name, an option or a combination is wrong.
        DataError: a file that it names is malformed.
        PluginError: a plugin that it needs cannot be used.
    """
    registry = registry or Registry()
    domain_part = registry.resolve_domain(config.plugin)
    domain = build(domain_part, Domain)
    parts: dict[str, Any] = {"domain": domain_part.describe()}
    announcements: list[str] = []
    made: dict[str, object] = {}

    def part(kind: str, choice: str | Mapping[str, Any], expected: type) -> Any:
        resolved = registry.resolve(kind, choice, domain.name)
        parts[kind] = resolved.describe()
        made[kind] = build(resolved, expected)
        return made[kind]

    rater: Rater = part("rater", config.rater, Rater)
    if rater.language_model:
        parts["rater"]["language_model"] = rater.language_model
    with named(_label("rater", parts["rater"])):
        announcements.extend(rater.announcements())
    retrieval = part("retrieval", config.items_retrieval, Retrieval)
    selector = part("selector", config.selector, Selector)
    perturbator = part("perturbator", config.perturbator, Perturbator)
    emotion_model = part("emotion_model", config.emotion_model, EmotionModel)
    shaping = part("reward_shaping", config.reward_shaping, RewardShaping)
    observation = part("observation", config.observation, ObservationModel)
    items_part = registry.resolve("item_loader", config.items or domain.default_items, domain.name)
    parts["item_loader"] = items_part.describe()
    item_loader = made["item_loader"] = build(items_part, ItemLoader)
    user_loader = part("user_loader", config.user_dataset or domain.default_users, UserLoader)

    with named(_label("item_loader", parts["item_loader"])), other_source_named(registry, items_part, domain):
        item_loader.prepare(CatalogSetting(domain=domain))
        loaded = item_loader.load()
        _check_items(loaded, domain)
    announcements.extend(loaded.notes)
    catalog = make_catalog(loaded, domain, config.embeddings, announcements)
    with named(_label("user_loader", parts["user_loader"])):
        user_loader.prepare(PopulationSetting(domain=domain, categories=catalog.category_names))
        users = user_loader.load()
        strange = next((user for user in users if not isinstance(user, User)), None)
        if strange is not None:
            raise TypeError(f"load() brought a {type(strange).__name__} among the users")
    population = Population(users)
    if config.slate > len(catalog):
        raise ConfigurationError(f"a slate of {config.slate} needs more items than the {len(catalog)} of the catalog")
    world = World(
        config=config,
        registry=registry,
        domain=domain,
        catalog=catalog,
        population=population,
        rater=rater,
        retrieval=retrieval,
        selector=selector,
        perturbator=perturbator,
        emotion_model=emotion_model,
        shaping=shaping,
        observation=observation,
        announcements=announcements,
        parts=parts,
        made=made,
        spent=spent,
    )
    setting = world.setting()
    with world.blaming("rater"):
        rater.prepare(setting)
    with world.blaming("selector"):
        selector.prepare(setting)
    with world.blaming("emotion_model"):
        emotion_model.prepare(world.emotion_setting())
    return world


def split_users(count: int, which: str, test_fraction: float) -> NDArray[np.intp]:
    """Indices of the users that episodes are about, rising.

    Who is new depends on the number of users and on ``test_fraction`` alone, not on a run's seed, so that
    whoever measures meets none of those that a recommender learned from.

    Raises:
        ConfigurationError: nobody would be left.
    """
    if which == "all":
        return np.arange(count)
    order = np.random.default_rng(_SPLIT_SEED).permutation(count)
    new = round(count * test_fraction)
    if not 0 < new < count:
        raise ConfigurationError(
            f"a share of {test_fraction:g} of {count} users leaves nobody on one side; change test_fraction"
        )
    return np.sort(order[:new] if which == "test" else order[new:])


def _check_items(loaded: LoadedItems, domain: Domain) -> None:
    """See that a loader brought items of the domain.

    Raises:
        TypeError: it brought something else.
        ValueError: a public rating lies off the scale.
    """
    if not isinstance(loaded, LoadedItems):
        raise TypeError(f"load() returned a {type(loaded).__name__}, not LoadedItems")
    low, high = domain.scale.low, domain.scale.high
    for item in loaded.items:
        if not isinstance(item, domain.item_type):
            raise TypeError(f"load() brought a {type(item).__name__}, not a {domain.item_type.__name__}")
        if item.public_rating is not None and not low <= item.public_rating <= high:
            raise ValueError(f"the public rating {item.public_rating} of {item.id!r} lies off the scale {domain.scale}")


def _is_of_core(part: Mapping[str, Any]) -> bool:
    """Whether a component and all that it is made of are the core's own."""
    of_core = str(part["provider"]).startswith("emosim-core ")
    return of_core and all(_is_of_core(one) for one in part.get("parts", {}).values())


def _label(kind: str, part: Mapping[str, Any]) -> str:
    return f"{KIND_TITLES[kind]} {part['name']!r} of {part['provider']}"


def item_source(registry: Registry, plugin: str, source: str | None) -> tuple[Domain, ItemLoader]:
    """A domain and where its items come from: ``source``, or the domain's default.

    Raises:
        ConfigurationError: a name or an option is wrong.
        PluginError: a plugin that it needs cannot be used.
    """
    return _item_source(registry, plugin, source)[:2]


def load_items(registry: Registry, plugin: str, source: str | None) -> tuple[Domain, ItemLoader, LoadedItems]:
    """A domain, where its items come from, and these items.

    Raises:
        ConfigurationError: a name or an option is wrong.
        DataError: the source cannot be read; names the source that can, where there is one.
        PluginError: a plugin that it needs cannot be used.
    """
    domain, loader, resolved = _item_source(registry, plugin, source)
    with other_source_named(registry, resolved, domain):
        return domain, loader, loader.load()


def _item_source(registry: Registry, plugin: str, source: str | None) -> tuple[Domain, ItemLoader, Resolved]:
    domain: Domain = build(registry.resolve_domain(plugin), Domain)
    resolved = registry.resolve("item_loader", source or domain.default_items, domain.name)
    return domain, item_loader_of(resolved, domain), resolved


def item_loader_of(resolved: Resolved, domain: Domain) -> ItemLoader:
    """A loader of items that is ready to load.

    Raises:
        PluginError: the factory made something else.
    """
    loader: ItemLoader = build(resolved, ItemLoader)
    with named(_label("item_loader", resolved.describe())):
        loader.prepare(CatalogSetting(domain=domain))
    return loader


def user_loader_of(resolved: Resolved, domain: Domain, categories: Sequence[str] = ()) -> UserLoader:
    """A loader of users that is ready to load.

    Raises:
        PluginError: the factory made something else.
    """
    loader: UserLoader = build(resolved, UserLoader)
    with named(_label("user_loader", resolved.describe())):
        loader.prepare(PopulationSetting(domain=domain, categories=categories))
    return loader


def build(resolved: Resolved, expected: type) -> Any:
    """Make a component and check that it is what its kind must be.

    Raises:
        PluginError: the factory made something else.
    """
    return resolved.build(expected)


def make_catalog(loaded: LoadedItems, domain: Domain, embeddings: str, announcements: list[str]) -> Catalog:
    """A catalog of what a loader brought; items without an embedding get one, which is announced.

    Raises:
        ConfigurationError: ``embeddings`` names no method.
        MissingDependencyError: the method needs a package that is not installed.
    """
    try:
        options = EmbeddingOptions(method=embeddings)
    except ValidationError as error:
        raise ConfigurationError(explain(error, EmbeddingOptions, f"embeddings={embeddings!r}")) from error
    embedded = embed_items(loaded.items, loaded.embeddings, loaded.embedding_name, options)
    if embedded.announcement:
        announcements.append(embedded.announcement)
    return Catalog(loaded.items, domain.scale, embedded.vectors, embedded.name)
