"""The formats in which books are published, by the item loader that reads them."""

from __future__ import annotations

from emosim_core.loading import Format

GOODBOOKS = Format(
    "goodbooks-10k",
    files=("books.csv",),
    columns=("title", "authors", "average_rating", "ratings_count"),
    beside=("book_tags.csv", "tags.csv", "ratings.csv", "to_read.csv"),
)
KAGGLE_GOODREADS = Format(
    "the data set goodreads-books of Kaggle",
    files=("books.csv",),
    columns=("bookID", "title", "authors", "average_rating"),
)
LIBRARY_EXPORT = Format(
    "a Goodreads library export",
    files=("goodreads_library_export*.csv",),
    columns=("Book Id", "Title", "Author", "My Rating", "Average Rating"),
)
UCSD_GOODREADS = Format(
    "UCSD Goodreads in JSON lines",
    files=("goodreads_books.json", "goodreads_books_*.json"),
    begins=r'\s*\{(?=.*"book_id"\s*:)(?=.*"title"\s*:)(?=.*"average_rating"\s*:)(?=.*"authors"\s*:)',
    beside=(
        "goodreads_book_authors.json",
        "goodreads_book_genres_initial.json",
        "goodreads_interactions*",
        "book_id_map.csv",
    ),
)
GOODREADS = (KAGGLE_GOODREADS, GOODBOOKS, LIBRARY_EXPORT, UCSD_GOODREADS)

AMAZON_CSV = Format(
    "a CSV file of Amazon books in the format of SUBER",
    files=("books.csv",),
    columns=("title", "authors", "categories", "book_id", "published_year", "vote_average"),
)
AMAZON_2023 = Format(
    "Amazon Reviews 2023 in JSON lines",
    files=("meta_Books.jsonl", "meta_*.jsonl"),
    begins=r'\s*\{(?=.*"parent_asin"\s*:)(?=.*"title"\s*:)(?!.*"user_id"\s*:)',
    beside=("*.jsonl",),
)
AMAZON_2018 = Format(
    "Amazon Reviews 2018 or 2014 in JSON lines",
    files=("meta_Books.json", "meta_*.json"),
    begins=r"""\s*\{(?=.*["']asin["']\s*:)(?!.*["']reviewerID["']\s*:)(?!.*"(?:parent_asin|book_id)"\s*:)""",
    beside=("*.json",),
)
AMAZON = (AMAZON_CSV, AMAZON_2023, AMAZON_2018)
