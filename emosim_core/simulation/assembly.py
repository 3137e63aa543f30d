"""Assembly: from a configuration and the plugins to a world that can be stepped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import ValidationError

from emosim_core.components.base import (
    Draws,
    ItemsRequest,
    PerturbationRequest,
    Perturbator,
    Rater,
    RatingRequest,
    Ratings,
    Retrieval,
    RetrievalRequest,
    RewardShaping,
    Selector,
    WorldSetting,
)
from emosim_core.components.choice import Choice
from emosim_core.components.emotion_models import EmotionModel, EmotionSetting, TagRequest
from emosim_core.components.observations import ObservationModel
from emosim_core.components.perturbation import NoPerturbation
from emosim_core.components.retrieval import DecayEmotion
from emosim_core.data.embeddings import EmbeddingOptions, embed_items
from emosim_core.data.kept_vectors import keep_vectors
from emosim_core.errors import ConfigurationError
from emosim_core.hooks import Registry, Resolved
from emosim_core.hooks.component import KIND_TITLES
from emosim_core.hooks.faults import named
from emosim_core.hooks.names import did_you_mean, explain
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
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.model.packed import of_each_type, values_of
from emosim_core.simulation.checks import check_codes, check_perturbed, check_positions, check_ratings
from emosim_core.simulation.config import EnvironmentConfig
from emosim_core.simulation.other_source import other_source_named
from emosim_core.terminal import counted

_SPLIT_SEED = 20_240_131
"""Decides who is new, so that it is the same in every run."""


STRATEGIES: dict[str, tuple[str, type]] = {
    "rater": ("rater", Rater),
    "retrieval": ("items_retrieval", Retrieval),
    "choice": ("choice", Choice),
    "selector": ("selector", Selector),
    "perturbator": ("perturbator", Perturbator),
    "emotion_model": ("emotion_model", EmotionModel),
    "reward_shaping": ("reward_shaping", RewardShaping),
    "observation": ("observation", ObservationModel),
}
"""The components that answer in a step: the option that names each, and its interface."""


@dataclass(frozen=True, repr=False)
class World:
    """A domain, its items and users, and the strategies that answer for them.

    A world never changes; ``dataclasses.replace(world, rater=...)`` makes another one.

    Attributes:
        announcements: messages for whoever runs this, such as a fallback that was used.
        parts: name, options and provider of every component, for a manifest.
        made: the components that were made for these parts; what stands in their place was put in by hand.
        spent: cost of the model calls that the command has made in worlds before this one.
        ask_service: how the rater asks its service in the process of the command; None in that process.
    """

    config: EnvironmentConfig
    registry: Registry
    domain: Domain
    catalog: Catalog
    population: Population
    rater: Rater
    retrieval: Retrieval
    choice: Choice
    selector: Selector
    perturbator: Perturbator
    emotion_model: EmotionModel
    reward_shaping: RewardShaping
    observation: ObservationModel
    announcements: Sequence[str] = ()
    parts: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, object] = field(default_factory=dict)
    spent: float = 0.0
    ask_service: Callable[[Iterable[Any]], Any] | None = None

    @cached_property
    def user_indices(self) -> Ints:
        """Indices in the population of those whom episodes are about, as ``config.user_split`` says, rising."""
        return split_users(len(self.population), self.config.user_split, self.config.test_fraction)

    def index_of_user(self, user_id: str) -> int:
        """Index in the population of the user with an id; a ConfigurationError where there is none."""
        ids = [user.id for user in self.population.users]
        if user_id not in ids:
            close = did_you_mean(user_id, ids) or f" It has {ids[0]!r} to {ids[-1]!r}."
            raise ConfigurationError(f"the population has no user {user_id!r}.{close}")
        return ids.index(user_id)

    @cached_property
    def doubted(self) -> frozenset[str]:
        """Kinds of the components whose answers are checked: all but the core's own, which are tested."""
        return frozenset(kind for kind in STRATEGIES if not self.trusted(kind))

    @cached_property
    def items_and_users(self) -> dict[str, Any]:
        """What every request says of the world: its items, its users and its scale."""
        return {"catalog": self.catalog, "population": self.population, "scale": self.domain.scale}

    def __repr__(self) -> str:
        sizes = f"{len(self.catalog)} items, {len(self.population)} users"
        return f"World({self.domain.name!r}: {sizes}; rater {self.answered_by})"

    def trusted(self, kind: str) -> bool:
        """Whether a component is the core's own, whose answers need no check."""
        return self._as_made(kind) and _is_of_core(self.parts[kind])

    def _as_made(self, kind: str) -> bool:
        return kind in self.parts and (kind not in self.made or getattr(self, kind) is self.made[kind])

    def label(self, kind: str) -> str:
        """A component in words, such as ``"rater 'rule_based' of emosim-core 0.1.0"``."""
        if self._as_made(kind):
            return f"{KIND_TITLES[kind]} {self.parts[kind]['name']!r} of {self.parts[kind]['provider']}"
        return f"{KIND_TITLES[kind]} {type(getattr(self, kind, None)).__name__}, put in by hand,"

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

    def setting(self) -> WorldSetting:
        """What components are prepared with."""
        return WorldSetting(
            **self.items_and_users,
            words=self.domain.words,
            slate=self.config.slate,
            real_ratings=tuple(self.domain.real_ratings),
            domain=self.domain.name,
            examples=tuple(self.domain.examples),
            on_failed_rating=self.config.on_failed_rating,
            spent=self.spent,
            ask_service=self.ask_service,
        )

    def emotion_setting(self) -> EmotionSetting:
        """What an emotion model is prepared with."""
        return EmotionSetting(**vars(self.setting()), thresholds=self.config.emotion, mood=self.config.mood)

    def rating_request(self, users: Ints, items: Ints, moods: Floats, history: History) -> RatingRequest:
        """What the rater is asked, with what the retrieval chooses of memories; arguments as in :class:`RatingRequest`.

        Raises:
            PluginError: a retrieval of a plugin answers something else than positions.
        """
        catalog, population, kernels = self.catalog, self.population, history.memory.kernels
        if kernels is not None and type(self.retrieval) is DecayEmotion:
            positions, *recalled = self.retrieval.recall_batch(kernels, items, history, catalog)
        else:
            positions = self.retrieval.retrieve_batch(
                RetrievalRequest(
                    users=users, items=items, moods=moods, history=history, catalog=catalog, population=population
                )
            )
            if "retrieval" in self.doubted:
                check_positions(positions, items, history, self.label("retrieval"))
            recalled = [*history.recall(positions, items)]
        return self.request_with(users, items, moods, history, positions, recalled)

    def request_with(
        self, users: Ints, items: Ints, moods: Floats, history: History, positions: Ints, recalled: Sequence[Any]
    ) -> RatingRequest:
        """As :meth:`rating_request`, with memories at known positions, of which ``History.recall`` says the others."""
        retrieved, ratings, times = recalled
        return RatingRequest(
            users=users,
            items=items,
            retrieved=positions,
            retrieved_items=retrieved,
            retrieved_ratings=ratings,
            times=times,
            moods=moods,
            history=history,
            words=self.domain.words,
            **self.items_and_users,
        )

    def rate(self, request: RatingRequest, draws: Draws) -> Ratings:
        """What the rater answers.

        Raises:
            PluginError: a rater of a plugin answers something else than ratings of the scale.
        """
        answers = self.rater.rate_batch(request, draws)
        if "rater" in self.doubted:
            check_ratings(answers, request.items, request.scale, self.label("rater"))
            answers.values = np.ascontiguousarray(answers.values, dtype=np.float64)
        return answers

    def perturb(self, about: ItemsRequest, ratings: Floats, consumed: Flags, draws: Draws) -> Floats:
        """Ratings after perturbation, on the scale, shape ``(R, S)``; meaningless where not consumed.

        Args:
            about: the users, and the items in front of them.
            ratings: the rater's ratings, shape ``(R, S)``; NaN where it failed.
            consumed: which items were consumed, shape ``(R, S)``.

        Raises:
            PluginError: a perturbator of a plugin answers something else than numbers.
        """
        if type(self.perturbator) is NoPerturbation:
            return ratings
        doubted = "perturbator" in self.doubted
        perturbed = self.perturbator.perturb_batch(
            PerturbationRequest(
                users=about.users,
                items=about.items,
                ratings=ratings.copy() if doubted else ratings,
                consumed=consumed,
                moods=about.moods,
                **self.items_and_users,
            ),
            draws,
        )
        if doubted:
            check_perturbed(perturbed, ratings, self.label("perturbator"))
        return perturbed if perturbed is ratings else self.domain.scale.round(perturbed)

    def tags(self, users: Ints, items: Ints, ratings: Floats) -> Ints:
        """Codes of the tags of past ratings, see :meth:`~EmotionModel.tag_batch`, each of a user whose mood is at rest.

        Users, items, ratings and codes have the shape ``(n,)``.
        """
        with self.blaming("emotion_model"):
            return self.tag(users, items[:, None], ratings[:, None], self.population.baselines[users])[:, 0]

    def tag(self, users: Ints, items: Ints, ratings: Floats, moods: Floats) -> Ints:
        """Codes of the tags of ratings, shape ``(R, S)``, as the shapes of ``items`` and ``ratings``.

        Raises:
            PluginError: an emotion model of a plugin answers something else than codes.
        """
        codes = self.emotion_model.tag_batch(
            TagRequest(users=users, items=items, ratings=ratings, moods=moods, **self.items_and_users)
        )
        if "emotion_model" in self.doubted:
            check_codes(codes, ratings, self.label("emotion_model"))
        return codes

    def close(self) -> None:
        """Let go of what components hold on to, such as connections."""
        self.rater.close()


def assemble(
    config: EnvironmentConfig,
    registry: Registry | None = None,
    spent: float = 0.0,
    ask_service: Callable[[Iterable[Any]], Any] | None = None,
    learns: bool = False,
    catalog: Catalog | None = None,
) -> World:
    """Load what a configuration names and put it together.

    Args:
        registry: plugins to use; found anew if not given.
        spent: cost of the model calls that the command has made before. It counts towards the limit on the cost.
        ask_service: as of :class:`World`.
        learns: whether the rater is handed a log to learn from before it rates.
        catalog: the items, in place of those that the configuration names.

    Raises:
        ConfigurationError: a name, an option or a combination is wrong.
        DataError: a file that it names is malformed.
        PluginError: a plugin that it needs cannot be used.
    """
    registry = registry or Registry()
    domain_part = registry.resolve_domain(config.plugin)
    domain: Domain = domain_part.build(Domain)
    parts: dict[str, Any] = {"domain": domain_part.describe()}
    announcements: list[str] = []

    def part(kind: str, choice: str | Mapping[str, Any]) -> Resolved:
        defaults = domain.rater_options if kind == "rater" else {}
        resolved = registry.resolve(kind, choice, domain.name, defaults)
        parts[kind] = resolved.describe()
        return resolved

    made: dict[str, Any] = {}
    for kind, (option, interface) in STRATEGIES.items():
        resolved = part(kind, getattr(config, option))
        made[kind] = resolved.build(interface)
        if kind == "rater":
            if made[kind].language_model:
                parts[kind]["language_model"] = made[kind].language_model
            if made[kind].data_sha256:
                parts[kind]["data_sha256"] = made[kind].data_sha256
            with named(resolved.label):
                announcements.extend(made[kind].announcements())
    announcements.extend(latent_notes(made["observation"]))
    items_part = part("item_loader", config.items or domain.default_items)
    users_part = part("user_loader", config.user_dataset or domain.default_users)

    if catalog is None:
        with named(items_part.label), other_source_named(registry, items_part, domain):
            loaded = loader_of(items_part, domain).load()
            _check_items(loaded, domain)
        announcements.extend(loaded.notes)
        catalog = make_catalog(loaded, domain, config.embeddings, announcements)
    with named(users_part.label):
        users = loader_of(users_part, domain, catalog.category_names).load()
        strange = next((user for user in users if not isinstance(user, User)), None)
        if strange is not None:
            raise TypeError(f"load() brought a {type(strange).__name__} among the users")
    population = Population(users)
    if config.slate > len(catalog):
        raise ConfigurationError(f"a slate of {config.slate} needs more items than the {len(catalog)} of the catalog")
    world = World(
        config,
        registry,
        domain,
        catalog,
        population,
        **made,
        announcements=announcements,
        parts=parts,
        made=made,
        spent=spent,
        ask_service=ask_service,
    )
    if not (world.choice.rates_first or world.choice.asks_llm or world.rater.tells_interest()):
        announcements.append("What users click of a slate follows the interest of rule_based: the rater tells none.")
    _ = world.user_indices  # an error if there is nobody
    setting = replace(world.setting(), learns=learns)
    for kind in ("rater", "choice", "selector"):
        with world.blaming(kind):
            if kind == "choice":
                made[kind].meet(world.rater)
            made[kind].prepare(setting)
    with world.blaming("emotion_model"):
        world.emotion_model.prepare(world.emotion_setting())
    return world


def split_users(count: int, which: str, test_fraction: float) -> Ints:
    """Indices of the users that episodes are about, rising; a ConfigurationError where nobody would be left.

    Who is new depends on the number of users and on ``test_fraction`` alone, not on a run's seed, so that
    whoever measures meets none of those that a recommender learned from.
    """
    if which == "all":
        return np.arange(count)
    order = np.random.default_rng(_SPLIT_SEED).permutation(count)
    new = round(count * test_fraction)
    if not 0 < new < count:
        raise ConfigurationError(
            f"a share of {test_fraction:g} of {counted(count, 'user')} leaves nobody on one side; change test_fraction"
        )
    return np.sort(order[:new] if which == "test" else order[new:])


def _check_items(loaded: LoadedItems, domain: Domain) -> None:
    """See that a loader brought items of the domain: a TypeError or ValueError where not."""
    if not isinstance(loaded, LoadedItems):
        raise TypeError(f"load() returned a {type(loaded).__name__}, not LoadedItems")
    low, high = domain.scale.low, domain.scale.high
    for item in of_each_type(loaded.items):
        if not isinstance(item, domain.item_type):
            raise TypeError(f"load() brought a {type(item).__name__}, not a {domain.item_type.__name__}")
    for place, rating in enumerate(values_of(loaded.items, "public_rating")):
        if rating is not None and not low <= rating <= high:
            item = loaded.items[place]
            raise ValueError(f"the public rating {rating} of {item.id!r} lies off the scale {domain.scale}")


def _is_of_core(part: Mapping[str, Any]) -> bool:
    """Whether a component and all that it is made of are the core's own."""
    of_core = str(part["provider"]).startswith("emosim-core ")
    return of_core and all(_is_of_core(one) for one in part.get("parts", {}).values())


def item_source(registry: Registry, plugin: str, source: str | None) -> tuple[Domain, ItemLoader]:
    """A domain and where its items come from: ``source``, or the domain's default; raises as :func:`load_items`."""
    domain: Domain = registry.resolve_domain(plugin).build(Domain)
    return domain, loader_of(registry.resolve("item_loader", source or domain.default_items, domain.name), domain)


def load_items(registry: Registry, plugin: str, source: str | None) -> tuple[Domain, ItemLoader, LoadedItems]:
    """A domain, where its items come from, and these items.

    Raises:
        ConfigurationError: a name or an option is wrong.
        DataError: the source cannot be read; names the source that can, where there is one.
        PluginError: a plugin that it needs cannot be used.
    """
    domain, loader = item_source(registry, plugin, source)
    resolved = registry.resolve("item_loader", source or domain.default_items, domain.name)
    with other_source_named(registry, resolved, domain):
        return domain, loader, loader.load()


def loader_of(resolved: Resolved, domain: Domain, categories: Sequence[str] = ()) -> Any:
    """A loader of items, or of users who may like ``categories``, ready to load; raises as ``Resolved.build``."""
    of_items = resolved.component.kind == "item_loader"
    loader = resolved.build(ItemLoader if of_items else UserLoader)
    with named(resolved.label):
        users = PopulationSetting(domain=domain, categories=categories)
        loader.prepare(CatalogSetting(domain=domain) if of_items else users)
    return loader


def latent_notes(observation: ObservationModel) -> list[str]:
    """What is to be said with results where observations show what no real recommender sees."""
    if not observation.latent:
        return []
    shown = " and ".join(observation.latent)
    return [f"Observations show the {shown} of users, which no real recommender sees, to recommenders that read them."]


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
    embedded = embed_items(
        loaded.items, loaded.embeddings, loaded.embedding_name, options, sha256=loaded.embeddings_sha256
    )
    if embedded.announcement:
        announcements.append(embedded.announcement)
    catalog = Catalog(loaded.items, domain.scale, embedded.vectors, embedded.name, embedded.whole)
    if embedded.folder is not None:
        keep_vectors(embedded.folder, catalog)
    return catalog
