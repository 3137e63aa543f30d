"""What emosim-books provides."""

from __future__ import annotations

from collections.abc import Iterable

from emosim_core.plugins import Component, hookimpl, standard_item_loaders, standard_user_loaders

EMOSIM_HOOK_VERSION = 1


@hookimpl
def emosim_domains() -> Iterable[Component]:
    yield Component("books", "Books, rated 1 to 5.", "emosim_books.domain:books")


@hookimpl
def emosim_item_loaders() -> Iterable[Component]:
    yield from standard_item_loaders("books", "books")
    for name, loader, summary in (
        ("amazon", "Amazon", "Books of Amazon: Amazon Reviews 2023, 2018, 2014, or SUBER's CSV."),
        ("goodreads", "Goodreads", "Books of Goodreads: goodbooks-10k, Kaggle, UCSD, a library export."),
    ):
        factory = f"emosim_books.loaders:{loader}"
        formats = f"emosim_books.loaders.formats:{name.upper()}"
        options = f"{factory}Options"
        yield Component(name, summary, factory, options=options, value="path", domain="books", formats=formats)


@hookimpl
def emosim_user_loaders() -> Iterable[Component]:
    yield from standard_user_loaders("books")


@hookimpl
def emosim_retrievals() -> Iterable[Component]:
    factory, options = "emosim_books.retrieval:SimpleRetrieval", "emosim_core.plugins:CountOptions"
    summary = "The k books most alike in authors, categories and rating."
    yield Component("simple", summary, factory, options=options, number="k", domain="books")
