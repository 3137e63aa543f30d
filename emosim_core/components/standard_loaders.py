"""The loaders that are the same in every domain: what a domain plugin yields from its hooks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from emosim_core.hooks.component import Component

_ITEMS = "emosim_core.data"
_USERS = "emosim_core.population"


def standard_item_loaders(domain: str, items: str = "items", without: Collection[str] = ()) -> Iterator[Component]:
    """Components for the hook ``emosim_item_loaders``: ``sample``, the bundled items, and ``csv``, those of a CSV file.

    What they read is said by the :class:`~emosim_core.plugins.Domain`: ``item_type``, ``columns`` and ``package``.

    Args:
        items: the domain's word for items, for listings ("films").
        without: names that are left out, such as one under which the plugin yields a loader of its own.
    """
    yield from _except(
        without,
        Component("sample", f"The bundled {items}.", f"{_ITEMS}.bundled:BundledItems", domain=domain),
        Component(
            "csv",
            f"{items[:1].upper()}{items[1:]} from a CSV file.",
            f"{_ITEMS}.items_csv:CsvItems",
            options=f"{_ITEMS}.items_csv:CsvItemsOptions",
            value="path",
            domain=domain,
            formats=f"{_ITEMS}.items_csv:csv_formats",
        ),
    )


def standard_user_loaders(domain: str, without: Collection[str] = ()) -> Iterator[Component]:
    """Components for the hook ``emosim_user_loaders``: users that are ``sampled``, ``basic``, ``detailed``, or ``csv``.

    The first three are generated from ``population`` of the :class:`~emosim_core.plugins.Domain`; ``csv`` reads a CSV
    file and renames its categories by ``category_aliases``.

    Args:
        without: names that are left out, such as one under which the plugin yields a loader of its own.
    """
    generated = f"{_USERS}.generated"
    options = f"{generated}:GeneratedUsersOptions"
    yield from _except(
        without,
        *(
            Component(name, summary, f"{generated}:{factory}", options=options, domain=domain)
            for name, factory, summary in (
                ("sampled", "GeneratedUsers", "Generated users with tastes and a description."),
                ("basic", "BasicUsers", "Generated users of whose tastes nothing is known."),
                ("detailed", "DetailedUsers", "Generated users whose description names their tastes."),
            )
        ),
        Component(
            "csv",
            "Users from a CSV file.",
            f"{_USERS}.users_csv:CsvUsers",
            options=f"{_USERS}.users_csv:CsvUsersOptions",
            value="path",
            domain=domain,
        ),
    )


def _except(without: Collection[str], *components: Component) -> Iterator[Component]:
    return (component for component in components if component.name not in without)
