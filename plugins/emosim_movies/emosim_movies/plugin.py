"""What emosim-movies provides."""

from __future__ import annotations

from collections.abc import Iterable

from emosim_core.plugins import Component, hookimpl, standard_item_loaders, standard_user_loaders

EMOSIM_HOOK_VERSION = 1


@hookimpl
def emosim_domains() -> Iterable[Component]:
    yield Component("movies", "Films, rated 1 to 10.", "emosim_movies.domain:movies")


@hookimpl
def emosim_item_loaders() -> Iterable[Component]:
    yield from standard_item_loaders("movies", "films")
    for name, loader, summary in (
        ("movielens", "MovieLens", "MovieLens: a folder or zip file of any release."),
        ("tmdb", "Tmdb", "Films of TMDB: SUBER's JSON, TMDB 5000, The Movies Dataset."),
        ("letterboxd", "Letterboxd", "Films of a Letterboxd export."),
    ):
        factory = f"emosim_movies.loaders:{loader}"
        formats = f"emosim_movies.loaders.formats:{name.upper()}"
        options = f"{factory}Options"
        yield Component(name, summary, factory, options=options, value="path", domain="movies", formats=formats)


@hookimpl
def emosim_user_loaders() -> Iterable[Component]:
    yield from standard_user_loaders("movies")


@hookimpl
def emosim_retrievals() -> Iterable[Component]:
    factory, options = "emosim_movies.retrieval:SimpleRetrieval", "emosim_core.plugins:CountOptions"
    summary = "The k films most alike in cast, genres, rating and director."
    yield Component("simple", summary, factory, options=options, number="k", domain="movies")
