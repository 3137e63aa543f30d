"""What emosim-movies provides."""

from __future__ import annotations

from collections.abc import Iterable

from emosim_core.plugins import Component, hookimpl

EMOSIM_HOOK_VERSION = 1


@hookimpl
def emosim_domains() -> Iterable[Component]:
    yield Component("movies", "Films, rated 1 to 10.", "emosim_movies.domain:movies")


@hookimpl
def emosim_item_loaders() -> Iterable[Component]:
    for name, maker, value, summary in (
        ("sample", "Sample", None, "The bundled catalogue of real films."),
        ("csv", "CsvMovies", "path", "Films from a CSV file."),
        ("movielens", "MovieLens", "path", "MovieLens: a folder or zip file of any release."),
        ("tmdb", "Tmdb", "path", "Films of TMDB: SUBER's JSON, TMDB 5000, The Movies Dataset."),
        ("letterboxd", "Letterboxd", "path", "Films of a Letterboxd export."),
    ):
        where = f"emosim_movies.loaders:{maker}"
        options = f"{where}Options" if value else None
        formats = f"emosim_movies.loaders.formats:{name.upper()}" if value else None
        yield Component(name, summary, where, options=options, value=value, domain="movies", formats=formats)


@hookimpl
def emosim_user_loaders() -> Iterable[Component]:
    for name, maker, summary in (
        ("sampled", "Sampled", "Generated people with tastes and a description."),
        ("basic", "Basic", "Generated people of whose tastes nothing is known."),
        ("detailed", "Detailed", "Generated people whose description tells their tastes."),
    ):
        options = "emosim_core.loading:GeneratedUsersOptions"
        yield Component(name, summary, f"emosim_movies.users:{maker}", options=options, domain="movies")
    where = "emosim_movies.users:ViewersCsv"
    yield Component(
        "csv",
        "People from a CSV file.",
        where,
        options="emosim_core.loading:CsvUsersOptions",
        value="path",
        domain="movies",
    )


@hookimpl
def emosim_retrievals() -> Iterable[Component]:
    where, options = "emosim_movies.retrieval:SimpleRetrieval", "emosim_core.plugins:CountOptions"
    summary = "The k films most alike in cast, genres, rating and director."
    yield Component("simple", summary, where, options=options, number="k", domain="movies")
