"""Published data sets: each is read as it is and compressed, and a wrong loader names the right one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from emosim_books.loaders import Amazon, AmazonOptions, Goodreads, GoodreadsOptions

from emosim_core.plugins import LoadedItems
from emosim_core.testing import PublishedDataSet, PublishedFormatsConformance, fails, write_folder

# ------------------------------------------------------------- the formats, with books that do not exist


def lines(*objects: dict[str, Any]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in objects).encode()


KAGGLE_HEADER = (
    "bookID,title,authors,average_rating,isbn,isbn13,language_code,  num_pages,ratings_count,text_reviews_count,"
    "publication_date,publisher\n"
)
KAGGLE = {
    "archive/books.csv": (
        KAGGLE_HEADER
        + "1,The Slow Ferry (Harbour  #2),Ada Berg/Jon Ek,4.25,0439785960,9780439785969,en-US,652,1200,91,9/16/2006,"
        "Quay Press\n"
        "2,Streets of Nowhere: A History  1870-1900,Sam Holm, Jr./Mia Roth,3.58,074324382X,9780743243827,eng,236,61,6,"
        "4/20/2004,Nowhere University Press\n"
        "3,Untold,NOT A WRITER,0.00,0000000000,9780000000000,grc,0,0,0,11/31/2000,Quay  Inc.\n"
    ).encode()
}
EXPORT_HEADER = (
    "Book Id,Title,Author,Author l-f,Additional Authors,ISBN,ISBN13,My Rating,Average Rating,Publisher,Binding,"
    "Number of Pages,Year Published,Original Publication Year,Date Read,Date Added,Bookshelves,"
    "Bookshelves with positions,Exclusive Shelf,My Review,Spoiler,Private Notes,Read Count,Owned Copies\n"
)
EXPORT = {
    "goodreads_library_export.csv": (
        EXPORT_HEADER
        + '11,"The Slow Ferry (Harbour, #2)",Ada  Berg,"Berg, Ada","Jon Ek, Mia   Roth","=""0439785960""",'
        '"=""9780439785969""",0,4.25,Quay Press,Paperback,240,2016,1999,,2022/11/30,"to-read, sci-fi, classics",'
        '"to-read (#1)",to-read,"It was<br/>slow, I ""guess"".",,,0,0\n'
        '12,Untold,Cy Holm,"Holm, Cy",,"=""""","=""""",5,0.0,,Kindle,,2020,,2022/11/29,2022/09/16,,,read,,,,1,0\n'
    ).encode()
}
UCSD = {
    "goodreads/goodreads_books.json": lines(
        {
            "isbn": "0439785960", "text_reviews_count": "1", "series": ["7"], "country_code": "US",
            "language_code": "en-US",
            "popular_shelves": [{"count": "9", "name": "to-read"}, {"count": "2", "name": "humor"},
                                {"count": "5", "name": "sci-fi"}],
            "asin": "", "is_ebook": "false", "average_rating": "4.25", "kindle_asin": "", "similar_books": [],
            "description": "A <b>ferry</b>man&#39;s letter.<br /><br />And a storm.", "format": "Paperback",
            "authors": [{"author_id": "31", "role": ""}, {"author_id": "32", "role": "Illustrator"}],
            "publisher": "Quay Press", "num_pages": "240", "publication_year": "1999", "isbn13": "",
            "book_id": "11", "ratings_count": "1200", "work_id": "5", "title": "The Slow Ferry (Harbour, #2)",
            "title_without_series": "The Slow Ferry",
        },
        {"book_id": "12", "title": "Untold", "average_rating": "0.00", "ratings_count": "", "authors": [],
         "popular_shelves": [], "publication_year": "65535", "isbn": "B00X", "language_code": "", "publisher": ""},
        {"book_id": "13", "title": "", "average_rating": "3.00", "ratings_count": "2", "authors": []},
    ),
    "goodreads/goodreads_book_authors.json": lines(
        {"average_rating": "3.98", "author_id": "31", "name": "Ada  Berg"},
        {"author_id": "32", "name": "Jon Ek"}, {"author_id": "33", "name": "Nobody"},
    ),
    "goodreads/goodreads_book_genres_initial.json": lines(
        {"book_id": "11", "genres": {"romance": 1}},
        {"book_id": "12", "genres": {"mystery, thriller, crime": 1, "young-adult": 3, "non-fiction": 9}},
    ),
    "goodreads/goodreads_interactions.csv": b"user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n",
}  # fmt: skip
META_2023 = {
    "main_category": "Books", "title": "The Slow Ferry", "subtitle": "Hardcover \u2013 May 12, 2001",
    "author": {"avatar": "x", "name": "Ada Berg", "about": ["Ada writes."]}, "average_rating": 4.5,
    "rating_number": 1200, "features": ["f"], "description": ["A <b>ferry</b>man&rsquo;s", "letter."], "price": 9.5,
    "images": [], "videos": [], "store": "Ada Berg (Author), Jon Ek (Illustrator)",
    "categories": ["Books", "Literature & Fiction", "Ferries"],
    "details": {"Publisher": "Quay Press; 2nd edition (May 12, 2001)", "Language": "English",
                "ISBN 10": "0439785960", "ISBN 13": "978-0439785969"},
    "parent_asin": "0439785960", "bought_together": None,
}  # fmt: skip
AMAZON_2023 = {
    "amazon/meta_Books.jsonl": lines(
        META_2023,
        {"title": "Untold", "author": None, "average_rating": None, "rating_number": None, "description": [],
         "store": "Cy Holm (Author), Mia Roth (Author)", "categories": [], "details": {}, "parent_asin": "B00UNTOLD"},
        {"title": "", "parent_asin": "B00EMPTY", "details": {}},
        META_2023,
    ),
    "amazon/Books.jsonl": lines(
        {"rating": 5.0, "title": "t", "text": "x", "images": [], "asin": "B1", "parent_asin": "B00UNTOLD",
         "user_id": "AE1", "timestamp": 1588687728923, "helpful_vote": 0, "verified_purchase": True},
        {"rating": 2.0, "title": "t", "text": "x", "images": [], "asin": "B1", "parent_asin": "0439785960",
         "user_id": "AE2", "timestamp": 1588687728000, "helpful_vote": 0, "verified_purchase": True},
    ),
}  # fmt: skip
AMAZON_2018 = {
    "old/meta_Books.json": lines(
        {"category": ["Books", "New, Used & Rental Textbooks", "Science & Math"], "description": ["A &amp; B"],
         "fit": "", "title": "The Slow Ferry", "also_buy": [], "brand": "Visit Amazon's Ada Berg Page",
         "asin": "0439785960", "price": "$9.50"},
        {"category": [], "description": [], "title": "Untold", "brand": "", "asin": "B00UNTOLD", "main_cat": "Books"},
        {"category": [], "title": "var aPageStart = (new Date()).getTime();", "asin": "B00SCRIPT"},
    ),
    "old/Books.json": lines(
        {"overall": 5.0, "verified": True, "reviewTime": "03 30, 2005", "reviewerID": "A1", "asin": "0439785960",
         "reviewerName": "x", "reviewText": "x", "summary": "s", "unixReviewTime": 1112140800},
        {"overall": 4.0, "reviewerID": "A2", "asin": "0439785960", "unixReviewTime": 1112140801},
        {"overall": 1.0, "reviewerID": "A2", "asin": "B00OTHER", "unixReviewTime": 1112140802},
    ),
}  # fmt: skip
AMAZON_2014 = {
    "meta_Books.json": (
        b"{'asin': '0439785960', 'salesRank': {'Books': 6334800}, 'imUrl': 'http://example.org/a.jpg', "
        b"'categories': [['Books', \"Children's Books\"]], 'title': 'The Slow Ferry', 'description': 'A \"ferry\".'}\n"
        b"{'asin': 'B00UNTOLD', 'categories': [['Books']], 'title': 'Untold'}\n"
    ),
    "reviews_Books.json": lines(
        {"reviewerID": "A1", "asin": "0439785960", "overall": 5.0, "unixReviewTime": 1112140800},
        {"reviewerID": "A2", "asin": "B00UNTOLD", "overall": 2.0, "unixReviewTime": 1112140800},
    ),
}
GOODBOOKS = {
    "goodbooks-10k/books.csv": b"book_id,goodreads_book_id,authors,original_publication_year,title,language_code,"
    b'average_rating,ratings_count\n1,11,"Ada Berg, Jon Ek",1999.0,"The Slow Ferry (Harbour, #2)",eng,4.25,1200\n'
    b"2,12,Cy Holm,,Untold,,3.5,10\n",
    "goodbooks-10k/tags.csv": b"tag_id,tag_name\n1,sci-fi\n",
    "goodbooks-10k/book_tags.csv": b"goodreads_book_id,tag_id,count\n11,1,5\n",
}
SUBER = {
    "books.csv": b"title,description,authors,publisher,published_year,categories,book_id,count,vote_average\n"
    b"The Slow Ferry,A letter.,['Ada Berg'],Quay Press,1999,['Fiction'],7,1200,4.25\n"
    b"Untold,,['Cy Holm'],,,[],8,3,2.0\n"
}

TITLES = ("The Slow Ferry", "Untold")


class TestFormats(PublishedFormatsConformance):
    domain = "books"
    data_sets: ClassVar = {
        "goodbooks-10k": PublishedDataSet("goodreads", GOODBOOKS, "goodbooks-10k/books.csv", TITLES),
        "Kaggle's goodreads-books": PublishedDataSet("goodreads", KAGGLE, "archive/books.csv", TITLES),
        "a Goodreads library export": PublishedDataSet("goodreads", EXPORT, "goodreads_library_export.csv", TITLES),
        "UCSD Goodreads": PublishedDataSet("goodreads", UCSD, "goodreads/goodreads_books.json", TITLES),
        "SUBER's books of Amazon": PublishedDataSet("amazon", SUBER, "books.csv", TITLES),
        "Amazon Reviews 2023": PublishedDataSet("amazon", AMAZON_2023, "amazon/meta_Books.jsonl", TITLES),
        "Amazon Reviews 2018": PublishedDataSet("amazon", AMAZON_2018, "old/meta_Books.json", TITLES),
        "Amazon Reviews 2014": PublishedDataSet("amazon", AMAZON_2014, "reviews_Books.json", TITLES),
    }


def test_the_command_line_names_the_loader_that_reads_a_file_and_what_was_left_out(emosim: Any) -> None:
    write_folder(emosim.folder, AMAZON_2023)
    message = emosim("items", "--plugin", "books", "--items", "goodreads:amazon", status=2).err
    assert message == (
        "Error: amazon: is Amazon Reviews 2023 in JSON lines, which 'goodreads' does not read. "
        "Use: --items amazon:amazon\n"
    )
    done = emosim("items", "--plugin", "books", "--items", "amazon:amazon")
    assert "Untold" in done.out
    assert "left out books without a title that can be read: 1." in done.err
    assert "left out rows about a book that stands there already: 1." in done.err


# ------------------------------------------------------------------------------------------ what is read


def load_goodreads(path: Path, **options: Any) -> LoadedItems:
    return Goodreads(GoodreadsOptions(path=path, **options)).load()


def load_amazon(path: Path, **options: Any) -> LoadedItems:
    return Amazon(AmazonOptions(path=path, **options)).load()


def test_kaggles_goodreads_books(tmp_path: Path) -> None:
    loaded = load_goodreads(write_folder(tmp_path, KAGGLE))
    one, two, three = loaded.items
    assert (one.id, one.title, one.collection, one.part) == ("goodreads-1", "The Slow Ferry", "Harbour", 2)
    assert (one.authors, one.year, one.publisher) == (("Ada Berg", "Jon Ek"), 2006, "Quay Press")
    assert (one.public_rating, one.public_count, one.language, one.isbn) == (4.25, 1200, "en", "0439785960")
    assert (two.authors, two.public_rating) == (("Sam Holm, Jr.", "Mia Roth"), 3.58)
    assert two.title == "Streets of Nowhere: A History 1870-1900"
    assert (three.public_rating, three.public_count, three.year) == (None, 0, 2000)
    (note,) = loaded.notes
    assert note.endswith("books.csv: rows in which commas without quotes were read as part of the authors: 1.")
    assert len(load_goodreads(tmp_path, min_ratings=61).items) == 2


@pytest.mark.parametrize(
    ("rows", "row", "field", "says"),
    [
        ("1,A,Ada,4.5,0,0,eng,1,2,3\n", 2, "", "has 10 fields; the header has 12"),
        ("1,A,Ada,4.5,3.5,0,0,eng,1,2,3,9/16/2006,P\n", 2, "", "has 13 fields; the header has 12"),
        ("1,A,Ada,good,,,eng,1,2,3,9/16/2006,P\n", 2, "average_rating", "expected a number, got 'good'"),
        ("1,A,Ada,4.5,,,eng,1,2,3,2006,P\n", 2, "publication_date", "expected a date like 9/16/2006"),
        ("1,A,Ada,4.5,,,eng,1,2,3,,P\n1,B,Bo,4.5,,,eng,1,2,3,,P\n", 3, "bookID", "stands in row 2 already"),
    ],
)
def test_kaggles_goodreads_books_errors(tmp_path: Path, rows: str, row: int, field: str, says: str) -> None:
    path = tmp_path / "books.csv"
    path.write_text(KAGGLE_HEADER + rows)
    fails(lambda: load_goodreads(path), file="books.csv", row=row, field=field, message=says)


def test_the_first_version_of_goodreads_books_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "books.csv"
    path.write_text(
        "bookID,title,authors,average_rating,isbn,isbn13,language_code,# num_pages,ratings_count,text_reviews_count\n"
        "1,A,Ada Berg-Jon Ek,4.5,0439785960,9780439785969,eng,1,2,3\n"
    )
    fails(lambda: load_goodreads(path), file="books.csv", message="hyphens between authors")


def test_a_goodreads_library_export(tmp_path: Path) -> None:
    one, two = load_goodreads(write_folder(tmp_path, EXPORT)).items
    assert (one.id, one.title, one.collection, one.part) == ("goodreads-11", "The Slow Ferry", "Harbour", 2)
    assert (one.authors, one.year) == (("Ada Berg", "Jon Ek", "Mia Roth"), 1999)
    assert (one.isbn, one.categories, one.publisher) == ("0439785960", ("science fiction", "classics"), "Quay Press")
    # My Rating is the reader's alone: 0 is none, and 5 makes no public rating.
    assert (one.public_rating, one.public_count) == (4.25, None)
    assert (two.public_rating, two.isbn, two.year, two.publisher) == (None, None, 2020, None)


def test_ucsds_goodreads(tmp_path: Path) -> None:
    loaded = load_goodreads(write_folder(tmp_path, UCSD))
    one, two = loaded.items
    assert (one.id, one.title, one.collection, one.part) == ("goodreads-11", "The Slow Ferry", "Harbour", 2)
    assert (one.authors, one.year, one.language) == (("Ada Berg", "Jon Ek"), 1999, "en")
    assert one.description == "A ferryman's letter. And a storm."
    assert (one.categories, one.public_rating, one.public_count) == (("science fiction", "humor"), 4.25, 1200)
    assert two.categories == ("young adult", "mystery")
    assert (two.public_rating, two.public_count, two.year, two.isbn) == (None, None, None, None)
    untitled, undated = loaded.notes
    assert "left out books without a title: 1." in untitled
    assert "took years of publication that no book can have as unknown: 1." in undated
    assert [book.id for book in load_goodreads(tmp_path, min_ratings=3).items] == ["goodreads-11"]
    fails(lambda: load_goodreads(tmp_path, min_ratings=5000), file="goodreads_books.json", message="lower min_ratings")


def test_ucsds_goodreads_part_alone(tmp_path: Path) -> None:
    path = tmp_path / "goodreads_books_poetry.json.gz"
    path.write_bytes(gzip.compress(UCSD["goodreads/goodreads_books.json"]))
    loaded = load_goodreads(path)
    assert loaded.items[0].authors == ()
    assert any("the books have no authors" in note for note in loaded.notes)


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"book_id": "x"}, "book_id", "whole number, got 'x'"),
        ({"average_rating": "good"}, "average_rating", "expected a number, got 'good'"),
        ({"average_rating": "7"}, "average_rating", "less than or equal to 5"),
        ({"authors": ["Ada"]}, "authors.0", "valid dictionary"),
        ({"popular_shelves": [{"name": "sci-fi", "count": "x"}]}, "count", "whole number, got 'x'"),
        ({"title": 3}, "title", "valid string"),
    ],
)
def test_ucsds_goodreads_errors(tmp_path: Path, change: dict[str, Any], field: str, says: str) -> None:
    first = json.loads(UCSD["goodreads/goodreads_books.json"].splitlines()[0])
    path = tmp_path / "goodreads_books.json"
    path.write_bytes(lines(first, {**first, "book_id": "2", **change}))
    fails(lambda: load_goodreads(path), file="goodreads_books.json", row=2, field=field, message=says)


def test_amazon_reviews_2023(tmp_path: Path) -> None:
    loaded = load_amazon(write_folder(tmp_path, AMAZON_2023))
    one, two = loaded.items
    assert (one.id, one.title, one.year, one.publisher) == ("amazon-0439785960", "The Slow Ferry", 2001, "Quay Press")
    assert (one.authors, one.language, one.isbn) == (("Ada Berg",), "en", "0439785960")
    assert (one.categories, one.description) == (("fiction", "ferries"), "A ferryman\u2019s letter.")
    assert (one.public_rating, one.public_count) == (4.5, 1200)
    assert two.authors == ("Cy Holm", "Mia Roth")
    mean = (5 + 2) / 2
    assert (two.public_rating, two.public_count) == (round((5 + 5 * mean) / 6, 6), 1)
    assert len(loaded.notes) == 2
    assert load_amazon(tmp_path, prior_count=0).items[1].public_rating == 5.0
    assert len(load_amazon(tmp_path, min_ratings=2).items) == 1
    (tmp_path / "amazon" / "Books.jsonl").unlink()
    assert load_amazon(tmp_path).items[1].public_rating is None


def test_amazon_reviews_are_ratings_of_users(tmp_path: Path) -> None:
    loader = Amazon(AmazonOptions(path=write_folder(tmp_path, AMAZON_2023)))
    ratings = loader.load_ratings(loader.load().items)
    assert list(ratings.user_ids) == ["AE1", "AE2"]
    assert ratings.items.tolist() == [1, 0]
    assert ratings.values.tolist() == [5, 2]
    assert ratings.times.tolist() == [1588687728.923, 1588687728.0]


def test_amazon_reviews_2018_and_2014(tmp_path: Path) -> None:
    loaded = load_amazon(write_folder(tmp_path / "2018", AMAZON_2018), prior_count=0)
    one, two = loaded.items
    assert (one.categories, one.description, one.authors) == (("science",), "A & B", ("Ada Berg",))
    assert (one.public_rating, one.public_count) == (4.5, 2)
    assert (two.authors, two.public_rating, two.public_count) == ((), None, None)
    assert "books without a title that can be read: 1." in loaded.notes[0]
    one, two = load_amazon(write_folder(tmp_path / "2014", AMAZON_2014), prior_count=0).items
    assert (one.categories, one.description, one.public_rating) == (("children",), 'A "ferry".', 5.0)
    assert (two.public_rating, two.public_count) == (2.0, 1)


@pytest.mark.parametrize(
    ("name", "bad", "field", "says"),
    [
        ("meta_Books.jsonl", b'{"title": "A", "parent_asin": ""}\n', "parent_asin", "identifier is missing"),
        ("meta_Books.jsonl", b'{"title": "A", "parent_asin": "B1", "average_rating": 9}\n', "average_rating",
         "less than or equal to 5"),
        ("meta_Books.jsonl", b"not json\n", "", "is not JSON"),
        ("Books.jsonl", b'{"rating": 6, "parent_asin": "B1", "user_id": "A", "timestamp": 1}\n', "rating",
         "expected a rating of 1 to 5, got 6"),
        ("Books.jsonl", b'{"rating": true, "parent_asin": "B1", "user_id": "A"}\n', "rating", "got True"),
        ("Books.jsonl", b'{"rating": 5, "parent_asin": "B1", "user_id": ""}\n', "user_id", "expected a text"),
        ("Books.jsonl", b'{"rating": 5, "parent_asin": "B1", "user_id": "A"}\n', "timestamp", "expected a number"),
    ],
)  # fmt: skip
def test_amazon_reviews_errors(tmp_path: Path, name: str, bad: bytes, field: str, says: str) -> None:
    key = f"amazon/{name}"
    row = AMAZON_2023[key].count(b"\n") + 1
    path = write_folder(tmp_path, {**AMAZON_2023, key: AMAZON_2023[key] + bad})
    fails(lambda: load_amazon(path), file=name, row=row, field=field, message=says)


def test_a_line_of_metadata_is_data_and_never_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    line = f"{{'asin': open({str(made)!r}, 'w').name, 'title': 'A'}}\n".encode()
    path = write_folder(tmp_path / "data", {"meta_Books.json": AMAZON_2014["meta_Books.json"] + line})
    fails(lambda: load_amazon(path), file="meta_Books.json", row=3, message="is not JSON")
    assert not made.exists()
