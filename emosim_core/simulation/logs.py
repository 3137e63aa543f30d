"""A log of real users and the items that it is about, each from the source that is named for it."""

from __future__ import annotations

from dataclasses import replace

from emosim_core.data.logs import FORMATS, LogColumns, joined, read_log
from emosim_core.errors import ConfigurationError
from emosim_core.hooks import Registry
from emosim_core.model import Domain, LoadedItems, LoadedRatings
from emosim_core.simulation.assembly import load_items


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
    domain, loader, own = load_items(registry, plugin, ratings)
    log = loader.load_ratings(own.items)
    if items is None or items == ratings:
        return domain, own, log
    loaded = load_items(registry, plugin, items)[2]
    return domain, loaded, joined(log, own.items, loaded.items, ratings)
