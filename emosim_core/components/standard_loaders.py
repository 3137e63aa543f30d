"""The loaders that are the same in every domain: what a domain plugin yields from its hooks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

from emosim_core.hooks.component import Component, in_module


def standard_item_loaders(domain: str, items: str = "items", without: Collection[str] = ()) -> Iterator[Component]:
    """Components for the hook ``emosim_item_loaders``: ``sample``, the bundled items, and ``csv``, those of a CSV file.

    What they read is said by the :class:`~emosim_core.plugins.Domain`: ``item_type``, ``columns`` and ``package``.

    Args:
        items: the domain's word for items, for listings ("films").
        without: names that are left out, such as one under which the plugin yields a loader of its own.
    """
    module, summary = "emosim_core.data.items_csv", f"{items[:1].upper()}{items[1:]} from a CSV file."
    more = {"value": "path", "formats": f"{module}:csv_formats", "domain": domain}
    for one in (
        in_module("emosim_core.data.bundled", "sample", f"The bundled {items}.", "BundledItems", domain=domain),
        in_module(module, "csv", summary, "CsvItems", "CsvItemsOptions", **more),
    ):
        if one.name not in without:
            yield one


def standard_user_loaders(domain: str, without: Collection[str] = ()) -> Iterator[Component]:
    """Components for the hook ``emosim_user_loaders``: users that are ``sampled``, ``basic``, ``detailed``, or ``csv``.

    The first three are generated from ``population`` of the :class:`~emosim_core.plugins.Domain`; ``csv`` reads a CSV
    file and renames its categories by ``category_aliases``.

    Args:
        without: names that are left out, such as one under which the plugin yields a loader of its own.
    """
    generated = partial(in_module, "emosim_core.population.generated", options="GeneratedUsersOptions", domain=domain)
    module, more = "emosim_core.population.users_csv", {"value": "path", "domain": domain}
    for one in (
        generated("sampled", "Generated users with tastes and a description.", "GeneratedUsers"),
        generated("basic", "Generated users of whose tastes nothing is known.", "BasicUsers"),
        generated("detailed", "Generated users whose description names their tastes.", "DetailedUsers"),
        in_module(module, "csv", "Users from a CSV file.", "CsvUsers", "CsvUsersOptions", **more),
    ):
        if one.name not in without:
            yield one
