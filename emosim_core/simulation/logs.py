"""A log of real users and the items that it is about, each from the source that is named for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import ConfigDict

from emosim_core.data.logs import FORMATS, LogColumns, joined, read_log
from emosim_core.errors import ConfigurationError, UnknownNameError
from emosim_core.hooks import Component, Registry
from emosim_core.hooks.component import load_object
from emosim_core.hooks.names import nearest, with_value
from emosim_core.model import Domain, LoadedItems, LoadedRatings
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.loader import ItemLoader
from emosim_core.simulation.assembly import load_items


class LogSource(Frozen):
    """A log of real users and the items that it is about."""

    model_config = ConfigDict(title="Log")

    ratings: str = option(..., "Log of real users: movielens:PATH, csv:FILE or parquet:FILE.")
    items: str | None = option(None, "Item source of the log.", unset="that of the log, or the domain's")
    columns: str = option(
        "",
        "Columns of a csv: or parquet: log, such as user=uid,item=id,rating=stars,scale=1-5.",
        unset="the usual names",
    )

    @property
    def source(self) -> tuple[str, str | None, str]:
        """The log, its items and its columns, as :func:`load_log` takes them."""
        return self.ratings, self.items, self.columns


class LogConfig(LogSource):
    """A log of real users, and how it is split for a validation."""

    folds: int = option(5, "Folds of users; each is measured by what the users of the others make known.", ge=2, le=100)
    seed: int = option(42, "Seed of all random numbers.", ge=0, le=2**63 - 1)


def is_table_log(source: str) -> bool:
    """Whether ratings come from a table of any columns, ``csv:FILE`` or ``parquet:FILE``."""
    return source.partition(":")[0] in FORMATS and ":" in source


def load_log(
    registry: Registry, plugin: str, ratings: str, items: str | None = None, columns: str = ""
) -> tuple[Domain, LoadedItems, LoadedRatings]:
    """A domain, its items, and the log of them.

    Args:
        ratings: ``csv:FILE`` or ``parquet:FILE``, or a source of items that has ratings.
        items: the source of items; None for that of ``ratings``, or the domain's own beside a table.
        columns: what the columns of a table are called, as :meth:`LogColumns.of` reads it.

    Raises:
        ConfigurationError: a name or an option is wrong, or the source has no ratings of users.
        DataError: a file is missing or malformed, or most ratings are of other items.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
        PluginError: a plugin that is needed cannot be used.
    """
    if is_table_log(ratings):
        named = LogColumns.of(columns)
        domain, _, loaded = load_items(registry, plugin, items)
        named = replace(named, words={"user": domain.words.user, "item": domain.words.item})
        return domain, loaded, read_log(ratings, loaded.items, domain.scale, named)
    if columns:
        raise ConfigurationError(f"columns are named for a csv: or parquet: log only, not for {ratings!r}")
    _check_source(registry, plugin, ratings)
    domain, loader, own = load_items(registry, plugin, ratings)
    log = loader.load_ratings(own.items)
    if items is None or items == ratings:
        return domain, own, log
    loaded = load_items(registry, plugin, items)[2]
    return domain, loaded, joined(log, own.items, loaded.items, ratings)


def _check_source(registry: Registry, plugin: str, source: str) -> None:
    """See that a source of items is one that may have ratings of single users.

    Raises:
        ConfigurationError: it has none, or its name is unknown; lists those that may.
    """
    domain: Domain = registry.resolve_domain(plugin).build(Domain)
    sources = [one for one, _ in registry.components("item_loader", domain.name) if _has_ratings(one)]
    known = [*(f"{one}:FILE" for one in FORMATS), *(one.usage() for one in sources)]
    try:
        chosen, _ = registry.describe("item_loader", source, domain.name)
    except UnknownNameError as error:
        ending = Path(source).suffix[1:].lower()
        close = [f"{ending}:{source}"] if ending in FORMATS and ":" not in source else []
        close = close or nearest(error.name, [one.name for one in sources]) or with_value(source, sources)
        raise UnknownNameError("source of ratings", error.name, known, close) from None
    if chosen not in sources:
        raise ConfigurationError(
            f"the {chosen.title} has no ratings of single users. Sources that have: {', '.join(known)}"
        )


def _has_ratings(component: Component) -> bool:
    """Whether an item loader may have ratings: it overrides ``load_ratings``, or a function makes it."""
    try:
        made = load_object(component.factory)
    except Exception:  # it says so itself where it is chosen
        return True
    return not isinstance(made, type) or getattr(made, "load_ratings", None) is not ItemLoader.load_ratings
