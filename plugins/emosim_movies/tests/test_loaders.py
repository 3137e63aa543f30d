"""Loaders of films: what they read, and one clear error for each thing that can be wrong."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emosim_movies.loaders import (
    MovieLens,
    MovieLensOptions,
    Tmdb,
    TmdbOptions,
    movielens_files,
)
from emosim_movies.loaders.movielens import split_title
from emosim_movies.movie import Movie
from pydantic import ValidationError

from emosim_core.plugins import LoadedItems
from emosim_core.testing import fails, load_items, real, write_folder, write_zip

# ----------------------------------------------------------------------------------------------- CSV

HEADER = "id,title,year,genres,director,cast,runtime,language,collection,part,public_rating,votes,overview"


def load_csv(path: Path, text: str) -> LoadedItems:
    path.write_text(text, encoding="utf-8")
    return load_items("movies", f"csv:{path}")


def test_csv_reads_every_column(tmp_path: Path) -> None:
    row = 'm-1,"Us, Two",1999,Drama|War,Ada|Bo,Cy | Di,101,en,Twos,2,7.5,1200,"They ""meet"", and part."'
    loaded = load_csv(tmp_path / "films.csv", f"{HEADER}\n{row}\n")
    assert loaded.items == [
        Movie(
            id="m-1",
            title="Us, Two",
            year=1999,
            categories=("drama", "war"),
            director=("Ada", "Bo"),
            cast=("Cy", "Di"),
            runtime=101,
            language="en",
            collection="Twos",
            part=2,
            public_rating=7.5,
            public_count=1200,
            description='They "meet", and part.',
        )
    ]


@pytest.mark.parametrize(
    ("text", "row", "field", "says"),
    [
        ("id,title\n", None, "", "has no films"),
        ("id,title,genre\n1,One,war\n", 1, "genre", "did you mean 'genres'?"),
        ("id,title,year\n1,One,1869\n", 2, "year", "greater than or equal to 1870"),
        ("id,title,public_rating\n1,One,inf\n", 2, "public_rating", "finite number"),
        ("id,title,public_rating\n1,One,11\n", 2, "public_rating", "less than or equal to 10"),
        ("id,title,votes\n1,One,-3\n", 2, "votes", "greater than or equal to 0"),
    ],
)
def test_csv_errors(tmp_path: Path, text: str, row: int | None, field: str, says: str) -> None:
    fails(lambda: load_csv(tmp_path / "films.csv", text), file="films.csv", row=row, field=field, message=says)


@pytest.mark.parametrize("model", [MovieLensOptions, TmdbOptions])
def test_options_describe_themselves_and_refuse_what_they_do_not_know(model: Any) -> None:
    assert all(field.description for field in model.model_fields.values())
    with pytest.raises(ValidationError):
        model(path="x", pth="y")


# ----------------------------------------------------------------------------------------- MovieLens

MOVIES = """movieId,title,genres
1,Toy Story (1995),Adventure|Children|Sci-Fi|IMAX
2,"Postman, The (Postino, Il) (1994)",Film-Noir|Musical
3,Babylon 5,(no genres listed)
"""
RATINGS = "userId,movieId,rating,timestamp\n1,1,5.0,1\n2,1,4.0,1\n1,2,0.5,1\n3,99,3.0,1\n"
LINKS = "movieId,imdbId,tmdbId\n1,0114709,862\n2,0110877,\n"
TAGS = "userId,movieId,tag,timestamp\n1,1,Pixar,1\n2,1,pixar,1\n1,1,fun,1\n2,1,NA,1\n1,1, toys ,1\n"
FILES = {"movies.csv": MOVIES, "ratings.csv": RATINGS, "links.csv": LINKS, "tags.csv": TAGS}


def load_movielens(path: Path, **options: Any) -> LoadedItems:
    return MovieLens(MovieLensOptions(path=path, **options)).load()


def test_movielens_reads_a_folder(tmp_path: Path) -> None:
    one, two, three = load_movielens(write_folder(tmp_path, FILES), tags=3).items
    mean = (5 + 4 + 0.5 + 3) / 4
    assert one == Movie(
        id="ml-1",
        title="Toy Story",
        year=1995,
        categories=("adventure", "family", "science fiction"),
        description="Tagged: pixar, fun, na.",
        public_rating=round(2 * (9 + 5 * mean) / 7, 6),
        public_count=2,
        imdb_id="tt0114709",
        tmdb_id=862,
    )
    assert (two.title, two.year, two.genres) == ("The Postman (Il Postino)", 1994, ("film noir", "musical"))
    assert (two.imdb_id, two.tmdb_id) == ("tt0110877", None)
    assert (three.title, three.year, three.genres) == ("Babylon 5", None, ())
    assert (three.public_rating, three.public_count) == (None, 0)


def test_movielens_without_a_prior_doubles_the_stars(tmp_path: Path) -> None:
    loaded = load_movielens(write_folder(tmp_path, FILES), prior_count=0)
    assert [movie.public_rating for movie in loaded.items] == [9.0, 1.0, None]


def test_movielens_saved_again_by_pandas(tmp_path: Path) -> None:
    files = {
        "movies.csv": ",movieId,title,genres\n0,1.0,Toy &amp; Story (1995),Adventure|Children\n1,2.0,Two,nan\n",
        "ratings.csv": "userId;movieId;rating;timestamp\r\n1.0;1.0;5.0;1.0\r\n2.0;1.0;4.0;2.0\r\n",
        "links.csv": "movieId,imdbId,tmdbId\n1,114709.0,862.0\n2.0,nan,\n",
        "tags.csv": '"userId","movieId","tag","timestamp"\n"1","1.0","R&amp;D","1"\n',
    }
    one, two = load_movielens(write_folder(tmp_path, files), prior_count=0).items
    assert (one.id, one.title, one.imdb_id, one.tmdb_id) == ("ml-1", "Toy & Story", "tt0114709", 862)
    assert (one.public_rating, one.public_count, one.description) == (9.0, 2, "Tagged: r&d.")
    assert (two.id, two.genres, two.imdb_id, two.tmdb_id) == ("ml-2", (), None, None)
    ratings = MovieLens(MovieLensOptions(path=tmp_path)).load_ratings([one, two])
    assert (list(ratings.user_ids), ratings.values.tolist(), ratings.times.tolist()) == (["1", "2"], [10, 8], [1, 2])


def test_movielens_may_be_packed_file_by_file(tmp_path: Path) -> None:
    plain = load_movielens(write_folder(tmp_path / "plain", FILES)).items
    (tmp_path / "packed").mkdir()
    for name, text in FILES.items():
        (tmp_path / "packed" / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    assert load_movielens(tmp_path / "packed").items == plain


def test_movielens_goes_on_where_pandas_stumbles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movielens_files, "_ROWS_AT_ONCE", 2)
    table = "userId,movieId,rating,timestamp\n1,1,5.0,1\n2,1,4.0,1\n3.0,1,3.0,1\n4,1,2.0,1\n5,1.0,1.0,1\n"
    loaded = load_movielens(write_folder(tmp_path, {**FILES, "ratings.csv": table}), prior_count=0)
    assert (loaded.items[0].public_rating, loaded.items[0].public_count) == (6.0, 5)


def test_movielens_needs_neither_links_nor_tags(tmp_path: Path) -> None:
    loaded = load_movielens(write_folder(tmp_path, {k: FILES[k] for k in ("movies.csv", "ratings.csv")}))
    assert loaded.items[0].description == ""
    assert loaded.items[0].imdb_id is None


def test_movielens_reads_a_parent_folder_and_zip_files_alike(tmp_path: Path) -> None:
    expected = load_movielens(write_folder(tmp_path / "data" / "ml-latest-small", FILES)).items
    assert load_movielens(tmp_path / "data").items == expected
    nested = {f"ml-latest-small/{name}": text for name, text in FILES.items()}
    assert load_movielens(write_zip(tmp_path / "ml.zip", {**nested, "__MACOSX/._movies.csv": "x"})).items == expected
    assert load_movielens(write_zip(tmp_path / "flat.zip", FILES)).items == expected


def test_movielens_leaves_out_rarely_rated_films(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, FILES)
    assert [movie.id for movie in load_movielens(folder, min_ratings=2).items] == ["ml-1"]
    fails(lambda: load_movielens(folder, min_ratings=3), file=tmp_path, message="lower min_ratings")


def test_movielens_sums_are_those_of_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path, FILES)
    whole = load_movielens(folder).items
    monkeypatch.setattr("emosim_movies.loaders.movielens_files._ROWS_AT_ONCE", 1)
    assert load_movielens(folder).items == whole


@pytest.mark.parametrize(
    ("name", "text", "row", "field", "says"),
    [
        ("movies.csv", "", None, "", "the file is empty"),
        ("movies.csv", "movieId,title,genres\n", None, "", "has no films"),
        ("movies.csv", "movieId,title\n1,A\n", 1, "genres", "the column is missing"),
        ("movies.csv", "movieId,title,genres\none,A,War\n", 2, "movieId", "expected a whole number, got 'one'"),
        ("movies.csv", "movieId,title,genres\n1,A,War\n1,B,War\n", 3, "movieId", "stands in row 2 already"),
        ("movies.csv", "movieId,title,genres\n1,A,War,x\n", 2, "", "has 4 fields"),
        ("movies.csv", "movieId,title,genres\n1,,War\n", 2, "title", "at least 1 character"),
        ("movies.csv", "movieId,title,genres\n1,A (9999),War\n", 2, "title", "less than or equal to 2200"),
        ("ratings.csv", "", None, "", "the file is empty"),
        ("ratings.csv", "userId,movieId,stars\n1,1,5\n", 1, "rating", "the column is missing"),
        ("ratings.csv", "userId,movieId,rating\n1,1,5\n1,2,good\n", 3, "rating", "rating of 0.5 to 5, got 'good'"),
        ("ratings.csv", "userId,movieId,rating\n1,1,5\n1,2,\n", 3, "rating", "rating of 0.5 to 5, got ''"),
        ("ratings.csv", "userId,movieId,rating\n1,1,5\n\n1,2,6\n", 4, "rating", "rating of 0.5 to 5, got '6'"),
        ("ratings.csv", "userId,movieId,rating\n1,x,5\n", 2, "movieId", "whole number, got 'x'"),
        ("ratings.csv", "userId,movieId,rating\n1,1,5\n1,1,5,5\n", 3, "", "has 4 fields; the header has 3"),
        ("ratings.csv", "userId,movieId,rating\n1,1,4,5\n1,1,4,5\n", 2, "", "has 4 fields; the header has 3"),
        ("ratings.csv", "userId,movieId,rating\n1,1,5\n1,1\n", 3, "", "has 2 fields; the header has 3"),
        ("links.csv", "movieId,imdbId,tmdbId\n1,xx1,862\n", 2, "imdbId", "whole number, got 'xx1'"),
        ("links.csv", "movieId,imdbId\n1,1\n", 1, "tmdbId", "the column is missing"),
        ("tags.csv", "userId,movieId,tag\n1,x,fun\n", 2, "movieId", "whole number, got 'x'"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_movielens_errors(
    tmp_path: Path, name: str, text: str, row: int | None, field: str, says: str, zipped: bool
) -> None:
    files = {**FILES, name: text}
    path = write_zip(tmp_path / "ml.zip", files) if zipped else write_folder(tmp_path / "ml", files)
    fails(lambda: load_movielens(path), file=name, row=row, field=field, message=says)


def test_movielens_that_is_not_there(tmp_path: Path) -> None:
    fails(
        lambda: load_movielens(tmp_path), file=tmp_path, message="holds no such data set; expected a MovieLens folder"
    )
    write_folder(tmp_path / "old", {"movies.dat": "1::A::War"})
    fails(lambda: load_movielens(tmp_path / "old"), file="ratings.dat", message="no such file")
    write_folder(tmp_path / "half", {"movies.csv": MOVIES})
    fails(lambda: load_movielens(tmp_path / "half"), file="ratings.csv", message="no such file")
    half = write_zip(tmp_path / "half.zip", {"ml/movies.csv": MOVIES})
    fails(lambda: load_movielens(half), file="ml/ratings.csv", message="no such file")


@pytest.mark.parametrize("name", FILES)
def test_movielens_zip_that_does_not_inflate(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "deflated.zip", FILES)
    with zipfile.ZipFile(path) as archive:
        about = archive.getinfo(name)
    start = about.header_offset + 30 + len(name)
    content = bytearray(path.read_bytes())
    content[start : start + about.compress_size] = b"\xff" * about.compress_size
    path.write_bytes(content)
    fails(
        lambda: load_movielens(path),
        file=f"deflated.zip/{name}",
        message="cannot be read: Error -3 while decompressing",
    )


@pytest.mark.parametrize(
    ("text", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Usual Suspects, The (1995)", "The Usual Suspects", 1995),
        ("Blind Side, The  (2009) ", "The Blind Side", 2009),
        ("Goofy Movie, A (1995)", "A Goofy Movie", 1995),
        ("City of Lost Children, The (Cité des enfants perdus, La) (1995)",
         "The City of Lost Children (La Cité des enfants perdus)", 1995),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura (The Adventure)", 1960),
        ("Adventures of Priscilla, Queen of the Desert, The (1994)",
         "The Adventures of Priscilla, Queen of the Desert", 1994),
        ("Death Note: Desu nôto (2006–2007)", "Death Note: Desu nôto", 2006),  # noqa: RUF001
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("Corrina, Corrina (1994)", "Corrina, Corrina", 1994),
        ("I, Robot (2004)", "I, Robot", 2004),
        ("Babylon 5", "Babylon 5", None),
        ("1984", "1984", None),
        ("(1995)", "(1995)", None),
    ],
)  # fmt: skip
def test_movielens_titles(text: str, title: str, year: int | None) -> None:
    assert split_title(text) == (title, year)


def test_movielens_real() -> None:
    loaded = load_movielens(real("movielens-small"))
    movies = {movie.id: movie for movie in loaded.items}
    assert len(movies) == 9742
    assert movies["ml-1"].title == "Toy Story"
    assert movies["ml-1"].genres == ("adventure", "animation", "family", "comedy", "fantasy")
    assert movies["ml-1"].imdb_id == "tt0114709"
    assert movies["ml-1"].public_rating == pytest.approx(7.8, abs=0.2)
    assert sum(movie.year is None for movie in loaded.items) == 12
    assert sum(movie.public_count or 0 for movie in loaded.items) == 80_535
    known = [movie.public_rating for movie in loaded.items if movie.public_rating is not None]
    assert min(known) >= 1
    assert max(known) <= 10
    genres = {genre for movie in loaded.items for genre in movie.genres}
    assert {"family", "science fiction", "film noir", "musical"} <= genres
    assert not genres & {"imax", "children", "sci-fi", "film-noir", "(no genres listed)"}


# ---------------------------------------------------------------------------------------------- TMDB

FILM: dict[str, Any] = {
    "id": 862,
    "title": "Toy Story",
    "overview": "Toys live.",
    "genres": [{"id": 1, "name": "Animation"}, {"id": 2, "name": "Music"}, {"id": 3, "name": "Science Fiction"}],
    "actors": [{"name": "Tom Hanks", "character": "Woody"}, {"name": "Tim Allen"}],
    "director": {"name": "John Lasseter"},
    "runtime": 81,
    "original_language": "en",
    "release_date": "1995-10-30",
    "vote_average": 8.0,
    "vote_count": 17000,
    "imdb_id": "tt0114709",
    "belongs_to_collection": {"id": 10194, "name": "Toy Story Collection"},
    "overview_embedding": [0.1, 0.2],
}


def load_tmdb(path: Path, content: object, **options: Any) -> LoadedItems:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return Tmdb(TmdbOptions(path=path, **options)).load()


def test_tmdb_reads_every_field(tmp_path: Path) -> None:
    loaded = load_tmdb(tmp_path / "m.json", {"862": FILM})
    assert loaded.items == [
        Movie(
            id="tmdb-862",
            title="Toy Story",
            description="Toys live.",
            categories=("animation", "musical", "science fiction"),
            cast=("Tom Hanks", "Tim Allen"),
            director=("John Lasseter",),
            runtime=81,
            language="en",
            year=1995,
            public_rating=8.0,
            public_count=17000,
            collection="Toy Story Collection",
            imdb_id="tt0114709",
            tmdb_id=862,
        )
    ]
    assert loaded.embeddings is not None
    assert loaded.embeddings.shape == (1, 2)
    assert loaded.embedding_name == "overview_embedding-2"


def test_tmdb_fields_may_be_missing_or_empty(tmp_path: Path) -> None:
    empty = {
        "title": "B", "overview": None, "runtime": 0, "original_language": "xx", "release_date": "", "imdb_id": "",
        "vote_average": 0.0, "vote_count": 0, "director": ["Ada", {"name": "Bo"}],
    }  # fmt: skip
    one, two = load_tmdb(tmp_path / "m.json", {"1": {"title": "A"}, "2": empty}).items
    assert one == Movie(id="tmdb-1", title="A", tmdb_id=1)
    assert two == Movie(id="tmdb-2", title="B", tmdb_id=2, director=("Ada", "Bo"), public_count=0)


def test_tmdb_quirks(tmp_path: Path) -> None:
    film = {
        "id": "862", "title": "Toy &amp; Story", "genres": ["Drama", None], "actors": None, "director": None,
        "runtime": 120.0, "vote_average": "7.5", "vote_count": 12.0, "release_date": None, "overview": None,
        "belongs_to_collection": None, "original_language": None, "imdb_id": None, "overview_embedding": None,
    }  # fmt: skip
    expected = Movie(
        id="tmdb-862",
        title="Toy & Story",
        categories=("drama",),
        runtime=120,
        public_rating=7.5,
        public_count=12,
        tmdb_id=862,
    )
    assert load_tmdb(tmp_path / "m.json", {"862": film}).items == [expected]
    assert load_tmdb(tmp_path / "m.json", [film]).items == [expected]
    assert load_tmdb(tmp_path / "m.json", gzip.compress(json.dumps([film]).encode())).items == [expected]
    gaps = '{"862": {"title": "A", "runtime": NaN, "vote_average": "nan", "genres": null, "id": 862.0}}'
    assert load_tmdb(tmp_path / "m.json", gaps).items == [Movie(id="tmdb-862", title="A", tmdb_id=862)]


@pytest.mark.parametrize(
    ("rating", "votes", "expected"), [(0, 0, None), (0, 3, 1.0), (0.5, 1, 1.0), (10, 1, 10.0), (None, 0, None)]
)
def test_tmdb_ratings(tmp_path: Path, rating: float | None, votes: int, expected: float | None) -> None:
    loaded = load_tmdb(tmp_path / "m.json", {"1": {"title": "A", "vote_average": rating, "vote_count": votes}})
    assert loaded.items[0].public_rating == expected


def test_tmdb_embeddings_may_be_missing(tmp_path: Path) -> None:
    films = {"1": {"title": "A"}, "2": {"title": "B", "overview_embedding": [1.0, 2.0]}}
    loaded = load_tmdb(tmp_path / "m.json", films)
    assert loaded.embeddings is not None
    assert np.isnan(loaded.embeddings).tolist() == [[True, True], [False, False]]
    assert load_tmdb(tmp_path / "m.json", films, embeddings="none").embeddings is None
    assert load_tmdb(tmp_path / "m.json", {"1": {"title": "A"}}).embeddings is None
    assert load_tmdb(tmp_path / "m.json", films, embedding_name="mine").embedding_name == "mine"


@pytest.mark.parametrize(
    ("content", "row", "field", "says"),
    [
        ("{", None, "", "is not JSON: "),
        ('{"1":\n {"title": }}', None, "", "at line 2, column 12"),
        ("[]", None, "", "has no films; expected a JSON object of films"),
        ("7", None, "", "holds a number; expected a JSON object of films"),
        ("{}", None, "", "has no films"),
        ("[" * 100_000, 1, "", "nested too deeply"),
        ('{"1": {"title": "A", "genres": ' + "[" * 100_000, "1", "", "nested too deeply"),
        ('{"1": {"title": "A", "vote_average": Infinity}}', "1", "", "is not JSON: it holds Infinity"),
        ('{"1": {"title": "A"}, "1": {"title": "B"}}', "1", "", "the key '1' stands twice"),
        ('{"1": {"title": "A"}, "01": {"title": "B"}}', "01", "id", "the film 1 stands in row 1 already"),
        (b'{"1": {"title": "\xff"}}', None, "", "is not UTF-8 text"),
        ({"one": {"title": "A"}}, "one", "", "is no TMDB id"),
        ({"1": []}, "1", "", "expected an object with the film's fields, got list"),
        ({"1": {}}, "1", "title", "Field required"),
        ({"1": {"title": 7}}, "1", "title", "valid string"),
        ({"1": {"title": "A", "id": 2}}, "1", "id", "the id is 2; the film's key is 1"),
        ({"1": {"title": "A", "genres": [{"id": 3}]}}, "1", "genres.0.name", "Field required"),
        ({"1": {"title": "A", "genres": "Drama"}}, "1", "genres", "valid list"),
        ({"1": {"title": "A", "runtime": "long"}}, "1", "runtime", "valid integer"),
        ({"1": {"title": "A", "vote_average": "good"}}, "1", "vote_average", "valid number"),
        ({"1": {"title": "A", "vote_average": 11}}, "1", "vote_average", "less than or equal to 10"),
        ({"1": {"title": "A", "vote_count": -1}}, "1", "vote_count", "greater than or equal to 0"),
        ({"1": {"title": "A", "release_date": "May 1995"}}, "1", "release_date", "expected a date like 1995-10-30"),
        ({"1": {"title": "A", "release_date": "0095-01-01"}}, "1", "release_date", "greater than or equal to 1870"),
        ({"1": {"title": "A", "overview_embedding": ["x"]}}, "1", "overview_embedding.0", "valid number"),
        ('{"1": {"title": "A", "overview_embedding": [1e999]}}', "1", "overview_embedding", "not a finite number"),
        (
            {"1": {"title": "A", "overview_embedding": [1, 2]}, "2": {"title": "B", "overview_embedding": [1]}},
            "2", "overview_embedding", "has 1 numbers; the films before it have 2",
        ),
    ],
)  # fmt: skip
def test_tmdb_errors(tmp_path: Path, content: object, row: str | None, field: str, says: str) -> None:
    fails(lambda: load_tmdb(tmp_path / "movies.json", content), file="movies.json", row=row, field=field, message=says)


def test_tmdb_that_is_not_there(tmp_path: Path) -> None:
    fails(Tmdb(TmdbOptions(path=tmp_path / "none.json")).load, file="none.json", message="no such file")


def test_tmdb_real() -> None:
    loaded = Tmdb(TmdbOptions(path=real("tmdb-movies") / "movies.json")).load()
    assert len(loaded.items) == 159
    assert loaded.embeddings is not None
    assert loaded.embeddings.shape == (159, 768)
    assert sum(movie.public_rating is None for movie in loaded.items) == 17
    assert all(1 <= movie.public_rating <= 10 for movie in loaded.items if movie.public_rating is not None)
    assert "musical" in {genre for movie in loaded.items for genre in movie.genres}
