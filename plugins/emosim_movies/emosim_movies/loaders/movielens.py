"""Films from a MovieLens data set."""

from __future__ import annotations

import re
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from emosim_core import DataError, LoadedItems, Loader, checked, read_rows
from emosim_movies.movie import Movie

if TYPE_CHECKING:
    import pandas as pd

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
_INVERTED = re.compile(rf"(?P<name>[^()]*\S), (?P<article>{_ARTICLES.replace(' ', '|')})(?=\s*(?:[()]|$))")
_LOWEST, _HIGHEST = 0.5, 5.0
_ROWS_AT_ONCE = 1_000_000
_WHAT = "a MovieLens folder or zip file with movies.csv and ratings.csv"
_READ_ERRORS = (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, OSError)
"""What reading a member of a damaged, encrypted or truncated zip file raises."""


class MovieLensOptions(BaseModel):
    """Options of :class:`MovieLens`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(
        description="A MovieLens folder or zip file: movies.csv and ratings.csv, and links.csv and tags.csv where "
        "there are any; or a folder that holds such a folder."
    )
    min_ratings: int = Field(0, ge=0, description="Films with fewer ratings are left out.")
    prior_count: float = Field(
        5.0, ge=0, description="How many ratings at the mean of all ratings each film's public rating is damped by."
    )
    tags: int = Field(5, ge=0, description="How many of a film's most frequent tags become its description.")


class MovieLens(Loader):
    """Films from any MovieLens release in CSV (Harper and Konstan, 2015, doi:10.1145/2827872).

    Stars are doubled, so that half stars are the levels of 1 to 10. With n ratings that sum to s, a
    mean m of all ratings and a prior count p, a film's public rating is ``2 * (s + p * m) / (n + p)``.
    A film without ratings has none. Ratings and tags of films that movies.csv does not list are left
    out. "Postman, The (1994)" is the film "The Postman" of 1994. The identifier of movie 1 is ``ml-1``.
    """

    def __init__(self, options: MovieLensOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        """Read the films. Ratings are read in pieces and only summed, so that tens of millions fit in memory.

        Raises:
            DataError: a file is missing or malformed; names file, row and column.
        """
        options = self.options
        with _opened(options.path) as release:
            listed = list(_listed(release))
            links = _links(release)
            public = _public_ratings(release, options.prior_count)
            tags = _frequent_tags(release, options.tags)
            movies = [
                _movie(release, row, values, links, public, tags)
                for row, values in listed
                if public.get(int(values["movieId"]), (None, 0))[1] >= options.min_ratings
            ]
        if not movies:
            raise DataError(options.path, f"no film has {options.min_ratings} ratings or more; lower min_ratings")
        return LoadedItems(movies, source=f"MovieLens, {options.path}")


# --------------------------------------------------------------------------------------- its files


class _Release(ABC):
    """The files of a release, by name, wherever they lie."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    @abstractmethod
    def label(self, name: str) -> str:
        """The file as messages name it."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """The file, to be read from its beginning."""


class _Folder(_Release):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def label(self, name: str) -> str:
        return str(self._folder / name)

    def open(self, name: str) -> IO[bytes]:
        return (self._folder / name).open("rb")


class _Zip(_Release):
    """Members are read as streams by their exact names; nothing is extracted."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, prefix: str) -> None:
        self._path, self._archive, self._prefix = path, archive, prefix
        self._names = frozenset(archive.namelist())

    def has(self, name: str) -> bool:
        return self._prefix + name in self._names

    def label(self, name: str) -> str:
        return f"{self._path}, member {self._prefix}{name}"

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(self._prefix + name)


@contextmanager
def _opened(path: Path) -> Iterator[_Release]:
    found = path.expanduser()
    if found.is_dir():
        yield _required(_Folder(_single(path, _folders(found), [file.name for file in found.iterdir()])))
    elif not found.is_file():
        raise DataError(path, f"no such file or folder; expected {_WHAT}")
    else:
        try:
            archive = zipfile.ZipFile(found)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(path, f"is not a zip file ({error}); expected {_WHAT}") from error
        with archive:
            names = archive.namelist()
            prefixes = [name.removesuffix("movies.csv") for name in names if ("/" + name).endswith("/movies.csv")]
            yield _required(_Zip(path, archive, _single(path, prefixes, [name.split("/")[-1] for name in names])))


def _folders(folder: Path) -> list[Path]:
    if (folder / "movies.csv").is_file():
        return [folder]
    return sorted(inner for inner in folder.iterdir() if (inner / "movies.csv").is_file())


def _single(path: Path, found: Sequence[Any], names: Sequence[str]) -> Any:
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(str(place) or "its top" for place in found)
        raise DataError(path, f"holds several data sets ({places}); name the folder of one")
    older = [name for name in names if name in ("movies.dat", "ratings.dat", "u.item", "u.data")]
    hint = f"; {older[0]} is of an older release in another format" if older else ""
    raise DataError(path, f"holds no movies.csv{hint}; expected {_WHAT}")


def _required(release: _Release) -> _Release:
    if not release.has("ratings.csv"):
        raise DataError(release.label("ratings.csv"), f"no such file; expected {_WHAT}")
    return release


def _rows(release: _Release, name: str, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of one of the files, as (line number, values by column)."""
    label = release.label(name)
    try:
        with release.open(name) as raw:
            yield from read_rows(raw, label, "a CSV file of MovieLens", required, strip=False)
    except _READ_ERRORS as error:
        raise DataError(label, f"cannot be read: {error}") from error


def _pieces(
    release: _Release, name: str, types: Mapping[str, str], check: Callable[[pd.DataFrame], bool], **more: Any
) -> Iterator[pd.DataFrame]:
    """The columns ``types`` of a large file, a million rows at a time.

    pandas does not tell which row it stumbled over; where it does, or where ``check`` says no, the file
    is read again row by row to name it.
    """
    import pandas as pd

    # The header and the first row, which pandas would fit to each other.
    next(_rows(release, name, list(types)), None)
    try:
        with release.open(name) as stream:
            # All columns are parsed, since pandas checks the number of fields of a row only then: a rating
            # written as 4,5 must not become a 4.
            table = pd.read_csv(
                stream, dtype=dict(types), chunksize=_ROWS_AT_ONCE, low_memory=False, encoding="utf-8-sig", **more
            )
            for piece in table:
                if not check(piece):
                    raise ValueError("a value is out of range")
                yield piece[list(types)]
    except (ValueError, OverflowError) as error:
        for row, values in _rows(release, name, list(types)):
            _integer(values["movieId"], release.label(name), row, "movieId")
            if "rating" in types:
                _stars(values["rating"], release.label(name), row)
        raise DataError(release.label(name), f"cannot be read: {error}") from error
    except _READ_ERRORS as error:
        raise DataError(release.label(name), f"cannot be read: {error}") from error


def _integer(text: str, label: str, row: int, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise DataError(label, f"expected a whole number, got {text!r}", row=row, field=field)
    return int(text)


def _stars(text: str, label: str, row: int) -> None:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not _LOWEST <= value <= _HIGHEST:
        raise DataError(
            label, f"expected a rating of {_LOWEST:g} to {_HIGHEST:g}, got {text!r}", row=row, field="rating"
        )


# -------------------------------------------------------------------------------------- what is read


def _listed(release: _Release) -> Iterator[tuple[int, dict[str, str]]]:
    label = release.label("movies.csv")
    rows: dict[int, int] = {}
    for row, values in _rows(release, "movies.csv", ("movieId", "title", "genres")):
        number = _integer(values["movieId"], label, row, "movieId")
        first = rows.setdefault(number, row)
        if first != row:
            raise DataError(label, f"the movie {number} stands in row {first} already", row=row, field="movieId")
        yield row, values
    if not rows:
        raise DataError(label, "has no films, only a header line")


def _links(release: _Release) -> dict[int, tuple[str | None, int | None]]:
    """IMDb and TMDB identifiers by movie."""
    found: dict[int, tuple[str | None, int | None]] = {}
    if not release.has("links.csv"):
        return found
    label = release.label("links.csv")
    for row, values in _rows(release, "links.csv", ("movieId", "imdbId", "tmdbId")):
        number = _integer(values["movieId"], label, row, "movieId")
        imdb, tmdb = values["imdbId"], values["tmdbId"]
        found[number] = (
            f"tt{_integer(imdb, label, row, 'imdbId'):07d}" if imdb else None,
            _integer(tmdb, label, row, "tmdbId") if tmdb else None,
        )
    return found


def _public_ratings(release: _Release, prior_count: float) -> dict[int, tuple[float, int]]:
    """Public rating on 1 to 10 and number of ratings, by movie."""
    import pandas as pd

    sums = []
    types = {"movieId": "int64", "rating": "float64"}
    for piece in _pieces(release, "ratings.csv", types, lambda p: bool(p["rating"].between(_LOWEST, _HIGHEST).all())):
        sums.append(piece.groupby("movieId")["rating"].agg(["sum", "count"]))
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


def _frequent_tags(release: _Release, count: int) -> dict[int, list[str]]:
    """The most frequent tags of each movie, in lower case; among equals in alphabetical order."""
    import pandas as pd

    if not count or not release.has("tags.csv"):
        return {}
    types = {"movieId": "int64", "tag": "str"}
    pieces = []
    for piece in _pieces(release, "tags.csv", types, lambda p: True, keep_default_na=False):
        piece = piece.assign(tag=piece["tag"].str.strip().str.lower())
        pieces.append(piece[piece["tag"] != ""].value_counts())
    if not pieces:
        return {}
    totals = pd.concat(pieces).groupby(level=["movieId", "tag"]).sum()
    best: dict[int, list[str]] = {}
    numbers, tags = (totals.index.get_level_values(name).tolist() for name in ("movieId", "tag"))
    ranked = sorted(zip((-totals).tolist(), numbers, tags, strict=True))
    for _, number, tag in ranked:
        chosen = best.setdefault(number, [])
        if len(chosen) < count:
            chosen.append(tag)
    return best


def _movie(
    release: _Release,
    row: int,
    values: Mapping[str, str],
    links: Mapping[int, tuple[str | None, int | None]],
    public: Mapping[int, tuple[float, int]],
    tags: Mapping[int, Sequence[str]],
) -> Movie:
    number = int(values["movieId"])
    title, year = split_title(values["title"])
    genres = [_GENRES.get(genre, genre.lower()) for genre in values["genres"].split("|")]
    rating, count = public.get(number, (None, 0))
    imdb, tmdb = links.get(number, (None, None))
    fields = {
        "id": f"ml-{number}",
        "title": title,
        "year": year,
        "categories": [genre for genre in genres if genre],
        "description": f"Tagged: {', '.join(tags[number])}." if number in tags else "",
        "public_rating": rating,
        "public_count": count,
        "imdb_id": imdb,
        "tmdb_id": tmdb,
    }
    return checked(Movie, fields, release.label("movies.csv"), row, {"categories": "genres", "year": "title"})


def split_title(text: str) -> tuple[str, int | None]:
    """Title and year of a MovieLens title.

    Articles that were moved to the end go back to the front, also in a title in brackets:
    "Postman, The (Postino, Il) (1994)" is ("The Postman (Il Postino)", 1994). Of a span of years the
    first counts. A title may have no year.
    """
    text = " ".join(text.split())
    match = _YEAR.fullmatch(text)
    title, year = (match["title"], int(match["year"])) if match and match["title"] else (text, None)
    return _INVERTED.sub(_with_article, title), year


def _with_article(match: re.Match[str]) -> str:
    name, article = match["name"], match["article"]
    space = len(name) - len(name.lstrip())
    joined = article + ("" if article.endswith("'") else " ") + name.lstrip()
    return name[:space] + joined
