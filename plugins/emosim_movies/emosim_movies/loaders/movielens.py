"""Films from a MovieLens data set of any age."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from emosim_core import DataError
from emosim_core.loading import checked, open_format, plain_text
from emosim_core.plugins import Frozen, Item, ItemLoader, LoadedItems, LoadedRatings, option
from emosim_movies.loaders.formats import MOVIELENS
from emosim_movies.loaders.movielens_files import Film, MovieLensFiles
from emosim_movies.movie import Movie

_GENRES: dict[str, str | None] = {
    "Children": "family",
    "Children's": "family",
    "Sci-Fi": "science fiction",
    "Film-Noir": "film noir",
    "(no genres listed)": None,
    "IMAX": None,
}
_YEAR = re.compile(r"(?P<title>.*?)\s*\((?P<year>\d{4})(?:\s*[-\u2013]\s*(?:\d{4})?)?\)", re.DOTALL)
_ARTICLES = "The A An Le La Les L' Un Une El Los Las Una Il Lo I Gli Der Die Das Ein Eine De Det Den En Et O Os As"
_INVERTED = re.compile(
    rf"(?P<blanks>\s*)(?P<name>[^()]*\S), (?P<article>{_ARTICLES.replace(' ', '|')})(?=\s*(?:[()]|$))"
)
_WHAT = (
    "a MovieLens folder or zip file with movies.csv and ratings.csv, movies.dat and ratings.dat, or u.item and u.data"
)


class MovieLensOptions(Frozen):
    """Options of :class:`MovieLens`."""

    path: Path = option(
        ...,
        "A MovieLens folder or zip file of any release, or one of its files: movies.csv and ratings.csv, and links.csv "
        "and tags.csv where there are any; movies.dat and ratings.dat (1M, 10M); u.item and u.data (100K); or a folder "
        "that holds such a folder.",
    )
    min_ratings: int = option(0, "Films with fewer ratings are left out.", ge=0)
    prior_count: float = option(
        5.0, "How many ratings at the mean of all ratings each film's public rating is damped by.", ge=0
    )
    tags: int = option(5, "How many of a film's most frequent tags become its description.", ge=0)


class MovieLens(ItemLoader):
    """Films from any MovieLens release (Harper and Konstan, 2015, doi:10.1145/2827872).

    :class:`~emosim_movies.loaders.movielens_files.MovieLensFiles` says how each is written. Stars are doubled, so that
    half stars are the levels of 1 to 10. With n ratings that sum to s, a mean m of all ratings and a prior count p, a
    film's public rating is ``2 * (s + p * m) / (n + p)``. A film without ratings has none. Ratings and tags of films
    that are not listed are left out. "Postman, The (1994)" is the film "The Postman" of 1994. The identifier of movie 1
    is ``ml-1``.
    """

    def __init__(self, options: MovieLensOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        """Read the films. Ratings are read in pieces and only summed, so that tens of millions fit in memory."""
        options = self.options
        with open_format(options.path, MOVIELENS, _WHAT) as release:
            files = MovieLensFiles(release, _WHAT)
            films = files.films()
            links = files.links()
            public = _public_ratings(files, options.prior_count)
            tags = _frequent_tags(files, options.tags)
            movies = [
                _movie(film, str(files.table), links, public, tags)
                for film in films
                if public.get(film.number, (None, 0))[1] >= options.min_ratings
            ]
        if not movies:
            raise DataError(options.path, f"no film has {options.min_ratings} ratings or more; lower min_ratings")
        return LoadedItems(movies, source=f"MovieLens, {options.path}")

    def load_ratings(self, items: Sequence[Item]) -> LoadedRatings:
        """The ratings of each user, in stars times two, with their times; users wrote the tags of films, too."""
        index = {int(item.id.removeprefix("ml-")): place for place, item in enumerate(items)}
        known = np.fromiter(index, dtype="int64")
        names = ("userId", "movieId", "rating", "timestamp")
        columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
        with (
            open_format(self.options.path, MOVIELENS, _WHAT) as release,
            closing(MovieLensFiles(release, _WHAT).ratings(names)) as pieces,
        ):
            for piece in pieces:
                listed = np.isin(piece["movieId"], known)
                for name, parts in columns.items():
                    parts.append(piece[name][listed])
        users, films, stars, times = (np.concatenate(parts) if parts else np.zeros(0) for parts in columns.values())
        if not len(users):
            raise DataError(self.options.path, "nobody rated any of the films")
        return LoadedRatings(
            user_ids=[str(user) for user in users.tolist()],
            items=np.array([index[int(film)] for film in films.tolist()], dtype=np.intp),
            values=2.0 * stars,
            times=times.astype(np.float64),
            user_written_fields=("description",),
        )


def _public_ratings(files: MovieLensFiles, prior_count: float) -> dict[int, tuple[float, int]]:
    """Public rating on 1 to 10 and number of ratings, by movie."""
    import pandas as pd

    sums = []
    with closing(files.ratings(("movieId", "rating"))) as pieces:
        for piece in pieces:
            sums.append(pd.DataFrame(piece).groupby("movieId")["rating"].agg(["sum", "count"]))
    together = pd.concat(sums).groupby(level=0).sum() if sums else pd.DataFrame({"sum": [], "count": []})
    total = together["count"].sum()
    if not total:
        return {}
    mean = together["sum"].sum() / total
    damped = 2.0 * (together["sum"] + prior_count * mean) / (together["count"] + prior_count)
    # A mean of 5.0 may come out of the division a hair above it.
    levels = damped.round(6).clip(1.0, 10.0)
    counts = together["count"].astype("int64")
    return dict(zip(together.index.tolist(), zip(levels.tolist(), counts.tolist(), strict=True), strict=True))


def _frequent_tags(files: MovieLensFiles, count: int) -> dict[int, list[str]]:
    """The most frequent tags of each movie, in lower case; among equals in alphabetical order."""
    if not count:
        return {}
    totals: Counter[tuple[int, str]] = Counter()
    with closing(files.tags()) as tags:
        for number, text in tags:
            if tag := plain_text(text).strip().lower():
                totals[number, tag] += 1
    best: dict[int, list[str]] = {}
    for _, number, tag in sorted((-times, number, tag) for (number, tag), times in totals.items()):
        chosen = best.setdefault(number, [])
        if len(chosen) < count:
            chosen.append(tag)
    return best


def _movie(
    film: Film,
    path: str,
    links: Mapping[int, tuple[str | None, int | None]],
    public: Mapping[int, tuple[float, int]],
    tags: Mapping[int, Sequence[str]],
) -> Movie:
    number = film.number
    title, year = split_title(film.title)
    genres = [_GENRES.get(genre, genre.lower()) for genre in film.genres]
    rating, count = public.get(number, (None, 0))
    imdb, tmdb = links.get(number, (None, None))
    fields = {
        "id": f"ml-{number}",
        "title": title,
        "year": film.released if year is None else year,
        "categories": [genre for genre in genres if genre],
        "description": f"Tagged: {', '.join(tags[number])}." if number in tags else "",
        "public_rating": rating,
        "public_count": count,
        "imdb_id": imdb,
        "tmdb_id": tmdb,
    }
    return checked(Movie, fields, path, film.row, {"categories": "genres", "year": "title"})


def split_title(text: str) -> tuple[str, int | None]:
    """Title and year of a MovieLens title.

    Articles that were moved to the end go back to the front, also in a title in brackets:
    "Postman, The (Postino, Il) (1994)" is ("The Postman (Il Postino)", 1994). Of a span of years the
    first counts. A title may have no year.
    """
    text = " ".join(text.split())
    match = _YEAR.fullmatch(text)
    title, year = (match["title"], int(match["year"])) if match and match["title"] else (text, None)

    def inverted(match: re.Match[str]) -> str:
        space = "" if match["article"].endswith("'") else " "
        return f"{match['blanks']}{match['article']}{space}{match['name']}"

    return _INVERTED.sub(inverted, title), year
