"""What emosim-books provides."""

from __future__ import annotations

from collections.abc import Iterable

from emosim_core.plugins import Component, hookimpl

EMOSIM_HOOK_VERSION = 1


@hookimpl
def emosim_domains() -> Iterable[Component]:
    yield Component("books", "Books, rated 1 to 5.", "emosim_books.domain:books")


@hookimpl
def emosim_item_loaders() -> Iterable[Component]:
    for name, maker, value, summary in (
        ("sample", "Sample", None, "The bundled catalogue of real books."),
        ("csv", "CsvBooks", "path", "Books from a CSV file."),
        ("amazon", "Amazon", "path", "Books of Amazon: Amazon Reviews 2023, 2018, 2014, or SUBER's CSV."),
        ("goodreads", "Goodreads", "path", "Books of Goodreads: goodbooks-10k, Kaggle, UCSD, a library export."),
    ):
        where = f"emosim_books.loaders:{maker}"
        options = f"{where}Options" if value else None
        formats = f"emosim_books.loaders.formats:{name.upper()}" if value else None
        yield Component(name, summary, where, options=options, value=value, domain="books", formats=formats)


@hookimpl
def emosim_user_loaders() -> Iterable[Component]:
    for name, maker, summary in (
        ("sampled", "Sampled", "Generated people with tastes and a description."),
        ("basic", "Basic", "Generated people of whose tastes nothing is known."),
        ("detailed", "Detailed", "Generated people whose description tells their tastes."),
    ):
        options = "emosim_core.loading:GeneratedUsersOptions"
        yield Component(name, summary, f"emosim_books.users:{maker}", options=options, domain="books")
    where = "emosim_books.users:ReadersCsv"
    yield Component(
        "csv",
        "People from a CSV file.",
        where,
        options="emosim_core.loading:CsvUsersOptions",
        value="path",
        domain="books",
    )


@hookimpl
def emosim_retrievals() -> Iterable[Component]:
    where, options = "emosim_books.retrieval:SimpleRetrieval", "emosim_core.plugins:CountOptions"
    summary = "The k books most alike in authors, categories and rating."
    yield Component("simple", summary, where, options=options, number="k", domain="books")
