"""ItemLoaderConformance and UserLoaderConformance: hold loaders to their contract."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np

from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model import CatalogSetting, Domain, ItemLoader, LoadedItems, PopulationSetting, User, UserLoader
from emosim_core.simulation.assembly import item_source, loader_of
from emosim_core.testing.conformance import ComponentConformance, domain_named, no_error, registry
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import CATEGORIES, small_world


def load_items(domain: str, source: str | Mapping[str, Any]) -> LoadedItems:
    """What an item loader brings, as in a run.

    ``source`` is as a user writes it, such as ``"csv:songs.csv"``, or a table with ``name`` and options.
    """
    return loader_of(registry().resolve("item_loader", source, domain), domain_named(domain)).load()


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
            found = "no error."
            try:
                loader = resolved.build()
                loader.prepare(self.setting())
                loader.load()
            except Exception as error:
                if isinstance(error, DataError) and "nowhere" in str(error):
                    return
                found = f"{type(error).__name__}: {error}."
            hold(f"{self.rule}-missing", False, found)


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
