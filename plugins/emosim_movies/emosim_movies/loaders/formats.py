"""The formats in which films are published, by the item loader that reads them."""

from __future__ import annotations

from emosim_core.loading import Format

MOVIELENS_CSV = Format(
    "a MovieLens data set in CSV",
    files=("movies.csv",),
    columns=("movieId", "title", "genres"),
    beside=("ratings.csv", "links.csv", "tags.csv"),
)
MOVIELENS_DAT = Format(
    "MovieLens 1M or 10M",
    files=("movies.dat",),
    begins=r"(?!\d+::(?:\d+::[^\n]*::\d+|[MF]::\d+::[^\n]*)\s)\d+::[^\n]*::",  # neither ratings, tags nor users
    beside=("ratings.dat", "users.dat", "tags.dat"),
)
MOVIELENS_100K = Format(
    "MovieLens 100K",
    files=("u.item",),
    begins=r"\d+\|[^\n]*(?:\|[01]){18,19}\s",
    beside=("u.data", "u.genre", "u.user", "u.info", "u.occupation"),
)
MOVIELENS = (MOVIELENS_CSV, MOVIELENS_DAT, MOVIELENS_100K)

TMDB_JSON = Format(
    "a file of TMDB films in the JSON format of SUBER",
    files=("movies.json",),
    begins=r'\s*(?:\{\s*"\d+"\s*:|\[)\s*\{[\s\S]*"title"\s*:',
)
TMDB_5000 = Format(
    "the data set TMDB 5000 of Kaggle",
    files=("tmdb_5000_movies.csv",),
    columns=("id", "title", "genres", "release_date", "vote_average", "vote_count"),
    beside=("tmdb_5000_credits.csv",),
)
MOVIES_DATASET = Format(
    "The Movies Dataset of Kaggle",
    files=("movies_metadata.csv",),
    columns=("id", "imdb_id", "title", "genres", "belongs_to_collection", "release_date", "vote_average", "vote_count"),
    beside=("credits.csv", "keywords.csv", "ratings_small.csv"),
)
TMDB = (TMDB_JSON, MOVIES_DATASET, TMDB_5000)

LETTERBOXD = (
    Format(
        "an export of Letterboxd",
        files=("watched.csv", "ratings.csv"),
        columns=("Date", "Name", "Year", "Letterboxd URI"),
    ),
)
