"""Loaders of books: what they read, and one clear error for each thing that can be wrong."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emosim_books.book import CATEGORIES, STUDY_CATEGORIES, Book
from emosim_books.loaders import (
    Amazon,
    AmazonOptions,
    Goodreads,
    GoodreadsOptions,
)
from emosim_books.loaders.cells import TAGS as _TAGS
from emosim_books.loaders.cells import split_title
from pydantic import ValidationError

from emosim_core import ConfigurationError
from emosim_core.plugins import LoadedItems, LoadedRatings
from emosim_core.testing import fails, load_items, real, write_folder, write_zip


def table(*rows: dict[str, Any]) -> str:
    """A CSV file with the columns of the first row."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("model", [AmazonOptions, GoodreadsOptions])
def test_options_describe_themselves_and_refuse_what_they_do_not_know(model: Any) -> None:
    assert all(field.description for field in model.model_fields.values())
    with pytest.raises(ValidationError):
        model(path="x", pth="y")


# ----------------------------------------------------------------------------------------------- CSV

HEADER = "id,title,year,categories,authors,publisher,language,series,part,public_rating,ratings,description"


def load_csv(path: Path, text: str) -> LoadedItems:
    path.write_text(text, encoding="utf-8")
    return load_items("books", f"csv:{path}")


def test_csv_reads_every_column(tmp_path: Path) -> None:
    row = (
        'b-1,"Us, Two",1999,Drama|Humor,Ada Berg| Jon Ek,Ny,en,Twos,2,4.5,1200,"They ""meet"", and part.",0-439-02348-3'
    )
    loaded = load_csv(tmp_path / "books.csv", f"{HEADER},isbn\n{row}\n")
    assert loaded.items == [
        Book(
            id="b-1",
            title="Us, Two",
            year=1999,
            categories=("drama", "humor"),
            authors=("Ada Berg", "Jon Ek"),
            publisher="Ny",
            language="en",
            collection="Twos",
            part=2,
            public_rating=4.5,
            public_count=1200,
            description='They "meet", and part.',
            isbn="0439023483",
        )
    ]


@pytest.mark.parametrize(
    ("text", "row", "field", "says"),
    [
        ("id,title\n", None, "", "has no books"),
        ("id,title,author\n1,One,Ada\n", 1, "author", "did you mean 'authors'?"),
        ("id,title,collection\n1,One,Ones\n", 1, "collection", "unknown column"),
        ("id,title,year\n1,One,-4000\n", 2, "year", "greater than or equal to -3000"),
        ("id,title,public_rating\n1,One,inf\n", 2, "public_rating", "finite number"),
        ("id,title,public_rating\n1,One,6\n", 2, "public_rating", "less than or equal to 5"),
        ("id,title,public_rating\n1,One,0\n", 2, "public_rating", "greater than or equal to 1"),
        ("id,title,ratings\n1,One,-3\n", 2, "ratings", "greater than or equal to 0"),
        ("id,title,isbn\n1,One,12345\n", 2, "isbn", "match pattern"),
    ],
)
def test_csv_errors(tmp_path: Path, text: str, row: int | None, field: str, says: str) -> None:
    fails(lambda: load_csv(tmp_path / "books.csv", text), file="books.csv", row=row, field=field, message=says)


# -------------------------------------------------------------------------------------------- Amazon

AMAZON: dict[str, Any] = {
    "title": "Hard Times",
    "description": "A schoolmaster trusts in facts.",
    "authors": "['Charles Dickens', 'Ada  Berg']",
    "publisher": "Vintage",
    "published_year": "2004",
    "categories": "['Biography', 'Autobiography', 'Humor']",
    "book_id": "994",
    "count": "55",
    "vote_average": "4.25",
    "description_embedding": "[0.5, -1, 2e-1]",
}


def load_amazon(path: Path, content: str | bytes | list[dict[str, Any]], **options: Any) -> LoadedItems:
    if isinstance(content, list):
        content = table(*content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Amazon(AmazonOptions(path=path, **options)).load()


def amazon_book(path: Path, **cells: Any) -> Book:
    book = load_amazon(path, [{**AMAZON, **cells}]).items[0]
    assert isinstance(book, Book)
    return book


def test_amazon_reads_every_column(tmp_path: Path) -> None:
    loaded = load_amazon(tmp_path / "a.csv", [AMAZON])
    assert loaded.items == [
        Book(
            id="amazon-994",
            title="Hard Times",
            description="A schoolmaster trusts in facts.",
            authors=("Charles Dickens", "Ada Berg"),
            publisher="Vintage",
            year=2004,
            categories=("biography", "humor"),
            public_rating=4.25,
            public_count=55,
        )
    ]
    assert loaded.embeddings is not None
    assert loaded.embeddings.tolist() == np.array([[0.5, -1, 0.2]], dtype=np.float32).tolist()
    assert loaded.embedding_name == "description_embedding-3"
    assert loaded.source == str(tmp_path / "a.csv")


def test_amazon_cells_may_be_empty_and_other_columns_are_left_out(tmp_path: Path) -> None:
    empty = {name: "" for name in AMAZON if name != "description_embedding"}
    row = {"": "0", **empty, "title": "A", "book_id": "1", "price": "9.99"}
    loaded = load_amazon(tmp_path / "a.csv", [row])
    assert loaded.items == [Book(id="amazon-1", title="A")]
    assert loaded.embeddings is None
    assert loaded.embedding_name == ""


@pytest.mark.parametrize(
    ("text", "categories"),
    [
        ("['Biography', 'Autobiography']", ("biography",)),
        ("['Biography & Autobiography']", ("biography",)),
        ("['Business', 'Economics']", ("business", "economics")),
        ("['Business & Economics']", ("business", "economics")),
        ("['Economics']", ("economics",)),
        ("['Health', 'Fitness']", ("health",)),
        ("['Health & Fitness']", ("health",)),
        ("['Juvenile Fiction']", ("children",)),
        ("['Young Adult Fiction']", ("young adult",)),
        ("['Philosophy', 'Ancient']", ("philosophy", "ancient")),
        ('["Humor", "Computers"]', ("humor", "computers")),
        ("('Drama',)", ("drama",)),
        ("[]", ()),
        ("", ()),
    ],
)
def test_amazon_categories(tmp_path: Path, text: str, categories: tuple[str, ...]) -> None:
    assert amazon_book(tmp_path / "a.csv", categories=text).categories == categories


@pytest.mark.parametrize(
    ("text", "authors"),
    [
        ("['Samuel A. DiPiazza, Jr.', 'Robert G. Eccles']", ("Samuel A. DiPiazza, Jr.", "Robert G. Eccles")),
        ('["John J. O\'Neil"]', ("John J. O'Neil",)),
        (r"['A \ B', 'C \d']", ("A \\ B", "C \\d")),
        ('["Celâl Üster"]', ("Celâl Üster",)),
    ],
)
def test_amazon_authors(tmp_path: Path, text: str, authors: tuple[str, ...]) -> None:
    assert amazon_book(tmp_path / "a.csv", authors=text).authors == authors


@pytest.mark.parametrize(
    ("text", "year"),
    [("2004-05-12", 2004), ("2004-05", 2004), ("2004", 2004), ("2004.0", 2004), ("-380", -380), ("", None)],
)
def test_amazon_years(tmp_path: Path, text: str, year: int | None) -> None:
    assert amazon_book(tmp_path / "a.csv", published_year=text).year == year


@pytest.mark.parametrize(
    ("rating", "count", "expected"),
    [
        ("0", "0", (None, 0)),
        ("0.0", "", (None, None)),
        ("5.0", "1", (5.0, 1)),
        ("1", "7.0", (1.0, 7)),
        ("", "", (None,) * 2),
    ],
)
def test_amazon_ratings(tmp_path: Path, rating: str, count: str, expected: tuple[float | None, int | None]) -> None:
    book = amazon_book(tmp_path / "a.csv", vote_average=rating, count=count)
    assert (book.public_rating, book.public_count) == expected


def test_amazon_embeddings_may_be_missing(tmp_path: Path) -> None:
    rows = [{**AMAZON, "book_id": "1", "description_embedding": ""}, AMAZON]
    loaded = load_amazon(tmp_path / "a.csv", rows)
    assert loaded.embeddings is not None
    assert np.isnan(loaded.embeddings).tolist() == [[True] * 3, [False] * 3]
    without = load_amazon(tmp_path / "a.csv", rows, embeddings="none")
    assert (without.embeddings, without.embedding_name) == (None, "")
    assert load_amazon(tmp_path / "a.csv", rows[:1]).embeddings is None
    assert load_amazon(tmp_path / "a.csv", rows, embedding_name="mine").embedding_name == "mine"


@pytest.mark.parametrize(
    ("cells", "field", "says"),
    [
        ({"title": ""}, "title", "at least 1 character"),
        ({"book_id": ""}, "book_id", "expected a whole number, got ''"),
        ({"book_id": "B000123"}, "book_id", "expected a whole number, got 'B000123'"),
        ({"book_id": "9" * 30}, "book_id", "expected a whole number"),
        ({"authors": "['Charles Dickens'"}, "authors", "expected a list of names such as ['drama', 'crime'], drama|"),
        ({"authors": "[__import__('os').getcwd()]"}, "authors", "expected a list"),
        ({"authors": "[['Charles Dickens']]"}, "authors", "expected a list"),
        ({"authors": "[" * 100_000}, "authors", "expected a list"),
        ({"authors": "{'a': 'b'}"}, "authors", "expected a list"),
        ({"categories": "[1, 2]"}, "categories", "expected a list"),
        ({"published_year": "May 1995"}, "published_year", "expected a year or a date like 2004-05-12, got 'May 1995'"),
        ({"published_year": "9999"}, "published_year", "less than or equal to 2200"),
        ({"count": "many"}, "count", "expected a whole number, got 'many'"),
        ({"count": "-1"}, "count", "greater than or equal to 0"),
        ({"vote_average": "good"}, "vote_average", "expected a number, got 'good'"),
        ({"vote_average": "inf"}, "vote_average", "expected a number"),
        ({"vote_average": "5.5"}, "vote_average", "less than or equal to 5"),
        ({"vote_average": "0"}, "vote_average", "greater than or equal to 1"),
        ({"vote_average": "0.5", "count": "0"}, "vote_average", "greater than or equal to 1"),
        ({"description_embedding": "0.5 0.5"}, "description_embedding", "expected a list"),
        ({"description_embedding": "[]"}, "description_embedding", "expected a list of numbers"),
        ({"description_embedding": "['x']"}, "description_embedding", "expected a list of numbers"),
        ({"description_embedding": "[true, 1.0]"}, "description_embedding", "expected a list of numbers"),
        ({"description_embedding": "[NaN, 1.0]"}, "description_embedding", "not a finite number"),
        ({"description_embedding": "[1e999]"}, "description_embedding", "not a finite number"),
        ({"description_embedding": "[1e39]"}, "description_embedding", "not a finite number"),
        ({"description_embedding": f"[1{'0' * 400}]"}, "description_embedding", "not a finite number"),
    ],
)
def test_amazon_errors_in_a_cell(tmp_path: Path, cells: dict[str, str], field: str, says: str) -> None:
    rows = [{**AMAZON, "book_id": "1"}, {**AMAZON, **cells}]
    fails(lambda: load_amazon(tmp_path / "a.csv", rows), file="a.csv", row=3, field=field, message=says)


@pytest.mark.parametrize(
    ("authors", "names"),
    [("Ada Berg, Jon Ek", ("Ada Berg", "Jon Ek")), ("Ada Berg;Jon Ek", ("Ada Berg", "Jon Ek")), ("nan", ())],
)
def test_amazon_quirks(tmp_path: Path, authors: str, names: tuple[str, ...]) -> None:
    cells = {"authors": authors, "title": "R&amp;D", "vote_average": "nan", "count": "NaN", "publisher": "nan"}
    (book,) = load_amazon(tmp_path / "a.csv", [{**AMAZON, **cells, "published_year": "nan"}]).items
    assert (book.title, book.authors, book.publisher, book.year) == ("R&D", names, None, None)
    assert (book.public_rating, book.public_count) == (None, None)


def test_amazon_errors_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    fails(
        Amazon(AmazonOptions(path=path)).load,
        file="a.csv",
        message="no such file or folder; expected a CSV file of Amazon books",
    )
    fails(
        Amazon(AmazonOptions(path=tmp_path)).load, file=tmp_path, message="holds no such data set; expected a CSV file"
    )
    fails(lambda: load_amazon(path, ""), file="a.csv", message="the file is empty")
    fails(lambda: load_amazon(path, table(AMAZON).split("\n")[0]), file="a.csv", message="has no books")
    fails(lambda: load_amazon(path, b"\xff"), file="a.csv", row=1, message="is not UTF-8 text")
    fails(
        lambda: load_amazon(path, table(AMAZON) + "A\n"), file="a.csv", row=3, message="has 1 fields; the header has 10"
    )
    for name in AMAZON:
        without = {key: value for key, value in AMAZON.items() if key != name}
        if name == "description_embedding":
            assert load_amazon(path, [without]).embeddings is None
        else:
            missing = lambda: load_amazon(path, [without])  # noqa: B023, E731
            fails(missing, file="a.csv", row=1, field=name, message="the column is missing")
    twice = lambda: load_amazon(path, [AMAZON, AMAZON])  # noqa: E731
    fails(twice, file="a.csv", row=3, field="book_id", message="the book 994 stands in row 2 already")
    other = {**AMAZON, "book_id": "1", "description_embedding": "[1.0]"}
    uneven = lambda: load_amazon(path, [AMAZON, other])  # noqa: E731
    says = "has 1 numbers; the books before it have 3"
    fails(uneven, file="a.csv", row=3, field="description_embedding", message=says)


def test_amazon_real() -> None:
    loaded = Amazon(AmazonOptions(path=real("amazon-books/books.csv"))).load()
    books = {book.id: book for book in loaded.items if isinstance(book, Book)}
    assert len(books) == 160
    assert loaded.embeddings is not None
    assert loaded.embeddings.shape == (160, 768)
    assert np.isfinite(loaded.embeddings).all()
    assert loaded.embedding_name == "description_embedding-768"
    assert books["amazon-994"].title == "Hard Times"
    assert books["amazon-108811"].authors == ("Anne Rice",)
    assert books["amazon-108811"].year == 2010
    counts = Counter(category for book in loaded.items for category in book.categories)
    assert counts["biography"] == counts["health"] == counts["economics"] == 20
    assert (counts["business"], counts["children"], counts["young adult"], counts["ancient"]) == (19, 4, 1, 1)
    assert set(STUDY_CATEGORIES) <= set(counts)
    assert sum(book.publisher is None for book in books.values()) == 5
    assert min(book.public_rating or 0 for book in books.values()) == 2
    assert all(book.description and book.public_count for book in books.values())
    assert [book.id for book in books.values() if not book.authors] == ["amazon-43273"]


# ----------------------------------------------------------------------------------------- goodreads

GOODREADS: dict[str, Any] = {
    "book_id": "17",
    "goodreads_book_id": "6148028",
    "best_book_id": "6148028",
    "work_id": "6171458",
    "books_count": "201",
    "isbn": "439023491",
    "isbn13": "9.78E+12",
    "authors": "Suzanne Collins, Ada           Berg",
    "original_publication_year": "2009.0",
    "original_title": "Catching Fire",
    "title": "Catching Fire  (The Hunger Games, #2)",
    "language_code": "eng",
    "average_rating": "4.3",
    "ratings_count": "1831039",
    "work_ratings_count": "1988079",
    "work_text_reviews_count": "88538",
    **{f"ratings_{stars}": "397615" for stars in range(1, 6)},
    "image_url": "https://example.org/17.jpg",
    "small_image_url": "",
}
ILIAD = {
    **GOODREADS,
    "book_id": "18",
    "goodreads_book_id": "1371",
    "isbn": "",
    "isbn13": "",
    "authors": "Homer",
    "original_publication_year": "-750",
    "title": "The Iliad (Penguin Classics)",
    "language_code": "",
    "average_rating": "0",
    "ratings_count": "0",
}
TAGS = (
    "tag_id,tag_name\n1,to-read\n2,sci-fi\n3,science-fiction\n4,YA\n5,non-fiction\n6,adventure\n7,fiction\n8,fantasy\n"
    "9,teen\n"
)
BOOK_TAGS = (
    "goodreads_book_id,tag_id,count\n6148028,1,9000\n6148028,2,500\n6148028,3,700\n6148028,4,650\n6148028,9,800\n"
    "6148028,6,300\n6148028,7,600\n6148028,8,200\n1371,5,90\n1371,8,-1\n99,7,5\n"
)
FILES = {"books.csv": table(GOODREADS, ILIAD), "tags.csv": TAGS, "book_tags.csv": BOOK_TAGS}


def load_goodreads(path: Path) -> LoadedItems:
    return Goodreads(GoodreadsOptions(path=path)).load()


def goodreads_book(path: Path, **cells: Any) -> Book:
    path.write_text(table({**GOODREADS, **cells}), encoding="utf-8")
    book = load_goodreads(path).items[0]
    assert isinstance(book, Book)
    return book


def test_goodreads_reads_a_folder(tmp_path: Path) -> None:
    loaded = load_goodreads(write_folder(tmp_path, FILES))
    assert loaded.items == [
        Book(
            id="goodreads-17",
            title="Catching Fire",
            year=2009,
            categories=("young adult", "science fiction", "fiction", "adventure"),
            authors=("Suzanne Collins", "Ada Berg"),
            language="en",
            isbn="0439023491",
            collection="The Hunger Games",
            part=2,
            public_rating=4.3,
            public_count=1831039,
        ),
        Book(id="goodreads-18", title="The Iliad (Penguin Classics)", year=-750, authors=("Homer",), public_count=0),
    ]
    assert loaded.embeddings is None
    assert loaded.source == f"goodbooks-10k, {tmp_path}"


def test_goodreads_reads_a_parent_folder_a_file_and_zip_files_alike(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data" / "goodbooks-10k", FILES)
    expected = load_goodreads(folder).items
    assert load_goodreads(tmp_path / "data").items == expected
    assert load_goodreads(folder / "books.csv").items == expected
    nested = {f"goodbooks-10k-1.0/{name}": text for name, text in FILES.items()}
    nested |= {"goodbooks-10k-1.0/samples/books.csv": "x", "__MACOSX/._books.csv": "x"}
    assert load_goodreads(write_zip(tmp_path / "nested.zip", nested)).items == expected
    assert load_goodreads(write_zip(tmp_path / "flat.zip", FILES)).items == expected
    renamed = write_folder(tmp_path / "own", {"mine.csv": FILES["books.csv"]}) / "mine.csv"
    assert [book.id for book in load_goodreads(renamed).items] == ["goodreads-17", "goodreads-18"]


def test_goodreads_without_tags_has_no_categories(tmp_path: Path) -> None:
    for files in (
        {"books.csv": FILES["books.csv"]},
        {"books.csv": FILES["books.csv"], "tags.csv": "of,another,data set"},
    ):
        loaded = load_goodreads(write_folder(tmp_path, files))
        assert [book.categories for book in loaded.items] == [(), ()]


def test_goodreads_needs_four_columns_and_an_id(tmp_path: Path) -> None:
    needed = {name: GOODREADS[name] for name in ("title", "authors", "average_rating", "ratings_count")}
    for name in ("book_id", "goodreads_book_id", "best_book_id", "work_id", "id"):
        (tmp_path / "books.csv").write_text(table({**needed, name: "31"}), encoding="utf-8")
        (book,) = load_goodreads(tmp_path).items
        assert book == Book(
            id="goodreads-31",
            title="Catching Fire",
            authors=("Suzanne Collins", "Ada Berg"),
            collection="The Hunger Games",
            part=2,
            public_rating=4.3,
            public_count=1831039,
        )


def test_goodreads_tags_of_the_first_release_go_by_book_id(tmp_path: Path) -> None:
    first = {name: value for name, value in GOODREADS.items() if name != "goodreads_book_id"}
    books = table({"id": "1", **first, "book_id": "6148028"})
    (book,) = load_goodreads(write_folder(tmp_path, {**FILES, "books.csv": books})).items
    assert book.id == "goodreads-6148028"
    assert book.categories == ("young adult", "science fiction", "fiction", "adventure")


def test_goodreads_tags_speak_of_the_categories_of_books() -> None:
    assert set(_TAGS.values()) == set(CATEGORIES)
    assert all(tag == tag.lower() and " " not in tag for tag in _TAGS)
    assert _TAGS["sci-fi"] == _TAGS["science-fiction"] == "science fiction"
    assert not {"non-fiction", "nonfiction", "to-read", "favorites"} & set(_TAGS)


@pytest.mark.parametrize(
    ("text", "title", "series", "part"),
    [
        ("Catching Fire (The Hunger Games, #2)", "Catching Fire", "The Hunger Games", 2),
        ("Angels & Demons  (Robert Langdon, #1)", "Angels & Demons", "Robert Langdon", 1),
        ("No Time for Goodbye (No Time For Goodbye #1)", "No Time for Goodbye", "No Time For Goodbye", 1),
        ("Harry Potter Boxset (Harry Potter, #1-7)", "Harry Potter Boxset", "Harry Potter", None),
        ("Harry Potter (Harry Potter, #1-2)", "Harry Potter", "Harry Potter", None),
        ("Dream Dark (Caster Chronicles, #2.5)", "Dream Dark", "Caster Chronicles", None),
        ("The Assassin (Throne of Glass, #0.5)", "The Assassin", "Throne of Glass", None),
        ("Fallen Empire (Empire, #0)", "Fallen Empire", "Empire", None),
        ("Guards! Guards! (Discworld, #8; City Watch #1)", "Guards! Guards!", "Discworld", 8),
        ("A Storm of Swords (Ice and Fire, #3: Part 2 of 2)", "A Storm of Swords", "Ice and Fire", None),
        ("Saga, Vol. 1 (Saga, #1)", "Saga, Vol. 1", "Saga", 1),
        ("(500) Days (of) Summer (Days, #03)", "(500) Days (of) Summer", "Days", 3),
        ("The Iliad (Penguin Classics)", "The Iliad (Penguin Classics)", None, None),
        ("Death Takes a Honeymoon (Carnegie Kincaid, Book 4)", "Death Takes a Honeymoon (Carnegie Kincaid, Book 4)",
         None, None),
        ("(Saga, #1)", "(Saga, #1)", None, None),
        ("Title (#1)", "Title (#1)", None, None),
        ("1984", "1984", None, None),
    ],
)  # fmt: skip
def test_goodreads_titles(text: str, title: str, series: str | None, part: int | None) -> None:
    assert split_title(text) == (title, series, part)


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("eng", "en"), ("en-US", "en"), ("en-GB", "en"), ("en-CA", "en"), ("en", "en"), ("spa", "es"), ("fre", "fr"),
        ("ara", "ar"), ("nl", "nl"), ("mul", None), ("xyz", None), ("", None), ("--", None),
    ],
)  # fmt: skip
def test_goodreads_languages(tmp_path: Path, code: str, language: str | None) -> None:
    assert goodreads_book(tmp_path / "books.csv", language_code=code).language == language


@pytest.mark.parametrize(
    ("isbn", "isbn13", "read"),
    [
        ("439023483", "9.78043902348e+12", "0439023483"),
        ("043965548X", "", "043965548X"),
        ("", "9.78E+12", None),
        ("", "9780439023481", "9780439023481"),
        ("", "", None),
    ],
)
def test_goodreads_isbns(tmp_path: Path, isbn: str, isbn13: str, read: str | None) -> None:
    assert goodreads_book(tmp_path / "books.csv", isbn=isbn, isbn13=isbn13).isbn == read


@pytest.mark.parametrize(
    ("text", "authors"),
    [
        ("George Orwell, Erich Fromm, Celâl Üster", ("George Orwell", "Erich Fromm", "Celâl Üster")),
        ("Martin Luther King, Jr., Ada Berg", ("Martin Luther King, Jr.", "Ada Berg")),
        ("Kurt Vonnegut Jr.", ("Kurt Vonnegut Jr.",)),
        ("Naguib Mahfouz, نجيب محفوظ", ("Naguib Mahfouz", "نجيب محفوظ")),
        ("", ()),
    ],
)
def test_goodreads_authors(tmp_path: Path, text: str, authors: tuple[str, ...]) -> None:
    assert goodreads_book(tmp_path / "books.csv", authors=text).authors == authors


@pytest.mark.parametrize(
    ("cells", "field", "says"),
    [
        ({"title": ""}, "title", "at least 1 character"),
        ({"book_id": "one"}, "book_id", "expected a whole number, got 'one'"),
        ({"book_id": "17"}, "book_id", "the book 17 stands in row 2 already"),
        ({"goodreads_book_id": ""}, "goodreads_book_id", "expected a whole number, got ''"),
        ({"original_publication_year": "MCM"}, "original_publication_year", "expected a whole number, got 'MCM'"),
        ({"original_publication_year": "1999.5"}, "original_publication_year", "expected a whole number"),
        ({"original_publication_year": "20090"}, "original_publication_year", "less than or equal to 2200"),
        ({"average_rating": "good"}, "average_rating", "expected a number, got 'good'"),
        ({"average_rating": "5.01"}, "average_rating", "less than or equal to 5"),
        ({"average_rating": "0.5", "ratings_count": "0"}, "average_rating", "greater than or equal to 1"),
        ({"average_rating": "0", "ratings_count": "3"}, "average_rating", "greater than or equal to 1"),
        ({"ratings_count": "many"}, "ratings_count", "expected a whole number, got 'many'"),
        ({"average_rating": "4", "ratings_count": "-5"}, "ratings_count", "greater than or equal to 0"),
        ({"isbn": "not an isbn"}, "isbn", "match pattern"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_goodreads_errors_in_a_cell(tmp_path: Path, cells: dict[str, str], field: str, says: str, zipped: bool) -> None:
    files = {**FILES, "books.csv": table(GOODREADS, {**ILIAD, **cells})}
    path = write_zip(tmp_path / "g.zip", files) if zipped else write_folder(tmp_path / "g", files)
    fails(lambda: load_goodreads(path), file="books.csv", row=3, field=field, message=says)


@pytest.mark.parametrize(
    ("name", "text", "row", "field", "says"),
    [
        ("books.csv", "", None, "", "the file is empty"),
        ("books.csv", "book_id,title,authors,average_rating,ratings_count\n", None, "", "has no books"),
        ("books.csv", "book_id,title,authors,average_rating\n1,A,B,4\n", 1, "ratings_count", "the column is missing"),
        ("books.csv", "title,authors,average_rating,ratings_count\nA,B,4,1\n", 1, "book_id", "the column is missing"),
        ("books.csv", "book_id,title,authors,average_rating,ratings_count\n1,A,B\n", 2, "", "has 3 fields"),
        ("books.csv", 'book_id,title,authors,average_rating,ratings_count\n1,"A\n', 2, "", "not well-formed CSV"),
        ("tags.csv", "tag_id,name\n1,ya\n", 1, "tag_name", "the column is missing"),
        ("tags.csv", "tag_id,tag_name\nx,ya\n", 2, "tag_id", "expected a whole number, got 'x'"),
        ("book_tags.csv", "book_id,tag_id,count\n1,1,1\n", 1, "goodreads_book_id", "the column is missing"),
        ("book_tags.csv", "goodreads_book_id,tag_id,count\n1,1,few\n", 2, "count", "whole number, got 'few'"),
        ("book_tags.csv", "goodreads_book_id,tag_id,count\n1,1,1,1\n", 2, "", "has 4 fields"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_goodreads_errors_in_a_file(
    tmp_path: Path, name: str, text: str, row: int | None, field: str, says: str, zipped: bool
) -> None:
    files = {**FILES, name: text}
    path = write_zip(tmp_path / "g.zip", files) if zipped else write_folder(tmp_path / "g", files)
    fails(lambda: load_goodreads(path), file=name, row=row, field=field, message=says)


def test_goodreads_that_is_not_there(tmp_path: Path) -> None:
    fails(lambda: load_goodreads(tmp_path), file=tmp_path, message="holds no such data set; expected goodbooks-10k")
    half = write_folder(tmp_path / "half", {name: FILES[name] for name in ("books.csv", "book_tags.csv")})
    fails(
        lambda: load_goodreads(half), file="half/tags.csv", message="no such file; it names the tags of book_tags.csv"
    )


def test_goodreads_real() -> None:
    loaded = load_goodreads(real("goodbooks"))
    books = {book.id: book for book in loaded.items}
    assert len(books) == 10_000
    assert books["goodreads-1"].title == "The Hunger Games"
    assert (books["goodreads-17"].collection, books["goodreads-17"].part) == ("The Hunger Games", 2)
    assert all(book.public_rating and 1 <= book.public_rating <= 5 for book in loaded.items)


# ------------------------------------------------------------------------------------- ratings of goodbooks-10k


def goodbooks_ratings(folder: Path, rows: str, books: str = FILES["books.csv"]) -> LoadedRatings:
    files = {"books.csv": books, "ratings.csv": f"user_id,book_id,rating\n{rows}"}
    loader = Goodreads(GoodreadsOptions(path=write_folder(folder, files)))
    return loader.load_ratings(loader.load().items)


def test_goodbooks_ratings_have_no_times_and_leave_out_unlisted_books(tmp_path: Path) -> None:
    ratings = goodbooks_ratings(tmp_path, "7,18,5\n7,17,2\n8,99,1\n8,18,3\n")
    assert list(ratings.user_ids) == ["7", "7", "8"]
    assert ratings.items.tolist() == [1, 0, 1]
    assert ratings.values is not None
    assert ratings.values.tolist() == [5, 2, 3]
    assert ratings.times is None


def test_goodbooks_ratings_of_kaggle_name_books_by_the_short_number(tmp_path: Path) -> None:
    books = "id,book_id,title,authors,average_rating,ratings_count\n1,905,A,B,4,9\n2,731,C,D,4,9\n"
    assert goodbooks_ratings(tmp_path, "7,2,5\n8,1,4\n8,731,4\n", books).items.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rows", "field", "message"),
    [
        ("7,18,6\n", "rating", "expected a rating of 1 to 5, got '6'"),
        ("7,18,\n", "rating", "expected a rating of 1 to 5, got ''"),
        ("7,x,4\n", "book_id", "expected a whole number, got 'x'"),
        (",18,4\n", "user_id", "is empty"),
    ],
)
def test_goodbooks_ratings_that_are_wrong(tmp_path: Path, rows: str, field: str, message: str) -> None:
    fails(lambda: goodbooks_ratings(tmp_path, rows), file="ratings.csv", row=2, field=field, message=message)


def test_goodbooks_ratings_of_none_of_the_books(tmp_path: Path) -> None:
    fails(lambda: goodbooks_ratings(tmp_path, "7,99,4\n"), file="ratings.csv", message="nobody rated any of the books")
    with pytest.raises(ConfigurationError, match=r"no ratings\.csv lies beside"):
        Goodreads(GoodreadsOptions(path=write_folder(tmp_path / "b", FILES))).load_ratings([])


def test_goodbooks_ratings_real() -> None:
    loader = Goodreads(GoodreadsOptions(path=real("goodbooks")))
    ratings = loader.load_ratings(loader.load().items)
    assert (len(ratings.user_ids), len(set(ratings.user_ids))) == (240_215, 2_148)
    assert ratings.values is not None
    assert set(ratings.values.tolist()) == {1, 2, 3, 4, 5}
