"""Suites of a domain, with its items, users and environment, and of the loaders that bring items and users."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np

from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model import (
    CatalogSetting,
    Domain,
    Emotion,
    Example,
    ItemLoader,
    LoadedItems,
    LoadedRatings,
    PopulationSetting,
    RatingScale,
    StudyUsers,
    User,
    UserLoader,
    Words,
)
from emosim_core.model.user import TRAITS
from emosim_core.simulation.assembly import item_source, loader_of
from emosim_core.testing.command_line import in_new_process
from emosim_core.testing.conformance import (
    ComponentConformance,
    domain_named,
    embeddings_of,
    no_error,
    registry,
    run_suite,
)
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import CATEGORIES, small_world

_REGISTERED = """
import importlib, sys
importlib.import_module(sys.argv[1])
import gymnasium
print(*(spec.id for spec in gymnasium.registry.values() if spec.kwargs.get("plugin") == sys.argv[2]))
"""
"""Prints the environments of a domain, in a process that imported its package and nothing else."""

_RUN = {"episodes": 4, "max_steps": 8, "seed": 3}


def load_items(domain: str, source: str | Mapping[str, Any]) -> LoadedItems:
    """What an item loader brings, as in a run.

    ``source`` is as a user writes it, such as ``"csv:songs.csv"``, or a table with ``name`` and options.
    """
    return loader_of(registry().resolve("item_loader", source, domain), domain_named(domain)).load()


def load_ratings(domain: str, source: str | Mapping[str, Any]) -> LoadedRatings:
    """The log of real users that comes with the items of a loader; ``source`` is as of :func:`load_items`.

    A ConfigurationError where none comes with them.
    """
    loader = loader_of(registry().resolve("item_loader", source, domain), domain_named(domain))
    ratings: LoadedRatings = loader.load_ratings(loader.load().items)
    return ratings


def load_users(domain: str, source: str | Mapping[str, Any], categories: Sequence[str] = ()) -> list[User]:
    """What a user loader brings, as in a run; ``source`` is as of :func:`load_items`.

    ``categories`` are those of the catalog, empty where it is not known.
    """
    resolved = registry().resolve("user_loader", source, domain)
    return list(loader_of(resolved, domain_named(domain), categories).load())


class _SourceConformance(ComponentConformance):
    """Base of the suites of sources: set ``component``, with the file where it reads one, and ``domain``."""

    rule: str

    def load(self) -> Any:
        """What a new loader brings."""
        with no_error(f"{self.rule}-type", f"load() of {self.subject}"):
            loader = self.make()
            loader.prepare(self.setting())
            return loader.load()

    def setting(self) -> CatalogSetting | PopulationSetting:
        """What the loader is prepared with."""
        raise NotImplementedError

    def test_an_error_names_a_missing_file(self) -> None:
        component, _ = self._installed()
        model = component.options_model()
        if component.value is None or model is None:
            raise SkipTest("it reads no file")
        with tempfile.TemporaryDirectory() as folder:
            nowhere = Path(folder) / "nowhere"
            try:
                resolved = registry().resolve(self.kind, f"{component.name}:{nowhere}", self.domain)
            except ConfigurationError as error:
                raise SkipTest(f"its option {component.value!r} is no path: {error}") from error
            finding = "no error."
            try:
                loader = resolved.build()
                loader.prepare(self.setting())
                loader.load()
            except Exception as error:
                if isinstance(error, DataError) and "nowhere" in str(error):
                    return
                finding = f"{type(error).__name__}: {error}."
            hold(f"{self.rule}-missing", False, finding)


class ItemLoaderConformance(_SourceConformance):
    """Subclass it and set ``component`` and ``domain``; see :class:`_SourceConformance`."""

    kind = "item_loader"
    interface = ItemLoader
    rule = "items"

    def setting(self) -> CatalogSetting:
        return CatalogSetting(domain=self.domain_of(small_world()))

    def test_it_brings_items_of_the_domain(self) -> None:
        domain = self._domain()
        loaded = self._loaded()
        hold("items-type", len(loaded.items) > 0, "no items.")
        for item in loaded.items:
            of_type = isinstance(item, domain.item_type)
            hold("items-type", of_type, f"a {type(item).__name__}, not a {domain.item_type.__name__}.")
        ids = [item.id for item in loaded.items]
        hold("items-type", len(set(ids)) == len(ids), "an id twice.")

    def test_public_ratings_lie_on_the_scale(self) -> None:
        scale = self._domain().scale
        for item in self._loaded().items:
            rating = item.public_rating
            fits = rating is None or scale.low <= rating <= scale.high
            hold("items-ratings", fits, f"{rating} of {item.id!r} on the scale {scale}.")

    def test_embeddings_are_numbers(self) -> None:
        loaded = self._loaded()
        if loaded.embeddings is None:
            raise SkipTest("it brings no embeddings")
        vectors = np.asarray(loaded.embeddings)
        shaped = vectors.ndim == 2 and vectors.shape[0] == len(loaded.items) and vectors.dtype.kind == "f"
        hold("items-embeddings", shaped, f"{vectors.dtype} of the shape {vectors.shape} for {len(loaded.items)} items.")
        finite = np.isfinite(vectors).all(axis=1) | np.isnan(vectors[:, :1]).any(axis=1)
        hold("items-embeddings", bool(finite.all()), f"row {int(np.argmin(finite))}.")

    def test_loading_twice_brings_the_same(self) -> None:
        first, again = self._loaded(), self._loaded()
        hold("items-again", list(first.items) == list(again.items), "other items the second time.")
        if first.embeddings is None or again.embeddings is None:
            same = first.embeddings is again.embeddings
        else:
            same = np.array_equal(first.embeddings, again.embeddings, equal_nan=True)
        hold("items-again", same, "other embeddings the second time.")

    def _domain(self) -> Domain:
        if self.domain is None:
            raise SkipTest("set the attribute 'domain': items belong to one")
        return domain_named(self.domain)

    def _loaded(self) -> LoadedItems:
        loaded: LoadedItems = self.load()
        hold("items-type", isinstance(loaded, LoadedItems), f"a {type(loaded).__name__}.")
        listed = isinstance(loaded.items, Sequence)
        hold("items-type", listed, f"items that are no sequence, but a {type(loaded.items).__name__}.")
        return loaded


class UserLoaderConformance(_SourceConformance):
    """Subclass it and set ``component`` and ``domain``; see :class:`_SourceConformance`."""

    kind = "user_loader"
    interface = UserLoader
    rule = "users"

    def setting(self) -> PopulationSetting:
        return PopulationSetting(domain=self.domain_of(small_world()), categories=self._categories())

    def _categories(self) -> Sequence[str]:
        """The categories of the items that the users are among: the domain's, or made-up ones."""
        if self.domain is None:
            return CATEGORIES
        _, loader = item_source(registry(), self.domain, None)
        return sorted({category for item in loader.load().items for category in item.categories})

    def test_it_brings_users(self) -> None:
        users = self.load()
        listed = isinstance(users, Sequence)
        hold("users-type", listed, f"no sequence, but a {type(users).__name__}.")
        hold("users-type", len(users) > 0, "nobody.")
        for user in users:
            hold("users-type", isinstance(user, User), f"a {type(user).__name__}.")
        ids = [user.id for user in users]
        hold("users-type", len(set(ids)) == len(ids), "an id twice.")

    def test_loading_twice_brings_the_same(self) -> None:
        hold("users-again", list(self.load()) == list(self.load()), "other users the second time.")


class DomainConformance(ComponentConformance):
    """Subclass it and set ``component`` to the domain's name, such as ``"music"``.

    Its default items and users are checked too, each by the suite of its kind.
    """

    kind = "domain"
    interface = Domain

    @property
    def name(self) -> str:
        """The name of the domain."""
        return str(self.component)

    def test_its_name_is_that_of_its_component(self) -> None:
        domain: Domain = self.make()
        hold("domain-name", domain.name == self.described()[0].name, f"the domain's name is {domain.name!r}.")
        hold("domain-name", bool(domain.title), "no title.")

    def test_its_plugin_says_that_it_brings_it(self) -> None:
        _, provider = self.described()
        finding = f"{provider.label} names {list(provider.domains)} there."
        hold("plugin-declares", self.name in provider.domains, finding)

    def test_it_has_all_words(self) -> None:
        words = self.make().words
        hold("domain-words", isinstance(words, Words), f"a {type(words).__name__}.")
        for name in ("item", "items", "consume", "consumed", "consumption", "user", "creators"):
            hold("domain-words", bool(getattr(words, name)), f"nothing for {name!r}.")
        for trait in TRAITS:
            texts = tuple(words.traits.get(trait, ()))
            hold("domain-words", len(texts) == 3 and all(texts), f"{len(texts)} texts for the trait {trait!r}.")
            hold("domain-words", len(set(texts)) == 3, f"the same text for two levels of the trait {trait!r}.")

    def test_the_best_and_the_worst_rating_have_their_emotions(self) -> None:
        scale = self.make().scale
        hold("domain-scale", isinstance(scale, RatingScale), f"a {type(scale).__name__}.")
        emotion = Emotion(scale)
        for rating, valence, arousal in ((scale.high, 1.0, 1.0), (scale.low, -1.0, 0.0)):
            mood = (float(emotion.valence(rating)), float(emotion.arousal(rating)))
            hold("domain-scale", mood == (valence, arousal), f"a {rating:g} feels like {mood}.")

    def test_its_shares_of_real_ratings_sum_to_1(self) -> None:
        domain: Domain = self.make()
        shares = list(domain.real_ratings)
        if not shares:
            return
        hold("domain-real-ratings", len(shares) == len(domain.scale.levels), f"{len(shares)} shares.")
        whole = min(shares) >= 0 and abs(sum(shares) - 1) < 1e-6
        hold("domain-real-ratings", whole, f"shares that sum to {sum(shares)}.")
        hold("domain-real-ratings", bool(domain.real_ratings_source), "no source.")

    def test_its_examples_have_words_and_a_rating_of_the_scale(self) -> None:
        domain: Domain = self.make()
        for place, example in enumerate(domain.examples):
            which = f"example {place + 1}"
            hold("domain-examples", isinstance(example, Example), f"{which} is a {type(example).__name__}.")
            hold("domain-examples", isinstance(example.user, User), f"{which} has no User.")
            hold("domain-examples", isinstance(example.item, domain.item_type), f"{which} has no item of the domain.")
            worded = isinstance(example.reason, str) and bool(example.reason.strip())
            hold("domain-examples", worded, f"{which} has no reason.")
            for memory in example.memories:
                remembered = memory.ago >= 1 and domain.scale.contains(memory.rating)
                hold("domain-examples", remembered, f"{which} has the memory {memory}.")
            fits = isinstance(example.rating, (int, float)) and domain.scale.contains(example.rating)
            hold("domain-examples", fits, f"{which} has the rating {example.rating!r}.")

    def test_its_study_users_are_complete(self) -> None:
        written = self.make().study_users
        if written is None:
            return
        hold("domain-study-users", isinstance(written, StudyUsers), f"a {type(written).__name__}.")
        groups = {**written.lovers, "generous": written.generous, "strict": written.strict}
        for name, users in groups.items():
            hold("domain-study-users", bool(users), f"nobody for {name!r}.")
            for user in users:
                hold("domain-study-users", isinstance(user, User), f"a {type(user).__name__} for {name!r}.")
        for category, users in written.lovers.items():
            for user in users:
                hold("domain-study-users", category in user.liked, f"{user.id!r} does not like {category!r}.")
        ids = [user.id for users in groups.values() for user in users]
        hold("domain-study-users", len(set(ids)) == len(ids), "two of them have the same id.")

    def test_its_default_items_and_users_keep_to_their_contract(self) -> None:
        domain: Domain = self.make()
        for suite, default in (
            (ItemLoaderConformance, domain.default_items),
            (UserLoaderConformance, domain.default_users),
        ):
            with no_error("domain-defaults", f"the default {suite.kind} {default!r}"):
                registry().resolve(suite.kind, default, self.name).build()
            for outcome in run_suite(suite, component=default, domain=self.name):
                if outcome.error is not None:
                    raise outcome.error

    def test_its_environment_passes_the_checks_of_gymnasium(self) -> None:
        from gymnasium.utils.env_checker import check_env

        from emosim_core.simulation.env import EmoSimEnv

        with no_error("domain-environment", "check_env"), warnings.catch_warnings():
            warnings.simplefilter("error")
            env = EmoSimEnv(
                self.name, registry=registry(), max_steps=5, embeddings=embeddings_of(self.name), observation="full"
            )
            check_env(env, skip_render_check=True)

    def test_importing_its_package_registers_its_environment(self) -> None:
        package = self.described()[0].factory.partition(":")[0].partition(".")[0]
        done = in_new_process(_REGISTERED, package, self.name)
        last = "".join(done.stderr.strip().splitlines()[-1:])
        hold("domain-registered", done.returncode == 0, f"importing {package} ended with {last}.")
        detail = f"{package} registers nothing; call register_environment({self.name!r}) in it."
        hold("domain-registered", bool(done.stdout.strip()), detail)

    def test_the_same_seed_gives_the_same_episodes(self) -> None:
        one = self._run(num_envs=1)
        hold("domain-repeats", one == self._run(num_envs=1), "other episodes the second time.")
        hold("domain-repeats", one == self._run(num_envs=4), "other episodes side by side.")

    def _run(self, **options: Any) -> list[bytes]:
        """The lines of a run, sorted."""
        from emosim_core.runs.runner import Run
        from emosim_core.simulation.config import RunConfig

        with tempfile.TemporaryDirectory() as folder, no_error("domain-repeats", "a run"):
            options |= {"plugin": self.name, "embeddings": embeddings_of(self.name)}
            run = Run(RunConfig(**_RUN, **options), Path(folder) / "run", registry=registry())
            run.run()
            return sorted((Path(folder) / "run" / "interactions.jsonl").read_bytes().splitlines())
