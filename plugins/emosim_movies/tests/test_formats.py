"""Published data sets: each is read as it is and compressed, and a wrong loader names the right one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from emosim_movies.loaders import Letterboxd, LetterboxdOptions, MovieLens, MovieLensOptions, Tmdb, TmdbOptions
from emosim_movies.movie import Movie

from emosim_core.plugins import LoadedItems
from emosim_core.testing import PublishedDataSet, PublishedFormatsConformance, fails, write_folder

# ------------------------------------------------------------- the formats, with films that do not exist

ITEM = "{id}|{title}|{date}||http://example.org/{id}|{genres}\n"


def item(number: int, title: str, date: str, *genres: int) -> str:
    flags = "|".join("1" if place in genres else "0" for place in range(19))
    return ITEM.format(id=number, title=title, date=date, genres=flags)


U_ITEM = (
    item(1, "Café on the Quay, The (1995)", "01-Jan-1995", 5, 14)
    + item(2, "Second Heist (1996) (V)", "14-Feb-1997", 1, 6)
    + item(3, "unknown", "", 0)
    + item(4, "Untold Winter", "20-Mar-1998", 4, 10, 15)
).encode("latin-1")
U_DATA = b"7\t1\t5\t881250949\n7\t2\t2\t881250950\n8\t1\t4\t881250951\n8\t4\t1\t881250952\n"
ML_100K = {"ml-100k/u.item": U_ITEM, "ml-100k/u.data": U_DATA, "ml-100k/u.genre": b"unknown|0\nAction|1\n\n",
           "ml-100k/u.user": b"7|24|M|technician|85711\n"}  # fmt: skip

ML_1M = {
    "ml-1m/movies.dat": "1::Café on the Quay, The (1995)::Comedy|Romance\n2::Ten:: A Count (1996)::Children's\n"
    "5::Lost Reel (1999)::Film-Noir|Sci-Fi\n".encode("latin-1"),
    "ml-1m/ratings.dat": b"1::1::5::978300760\n1::2::3::978302109\n2::1::4::978301968\n",
    "ml-1m/users.dat": b"1::F::1::10::48067\n2::M::56::16::70072\n",
}
ML_10M = {
    "ml-10M100K/movies.dat": (
        "1::Café on the Quay, The (1995)::Comedy|IMAX\n2::Slow Ferry (2001)::(no genres listed)\n"
    ).encode(),
    "ml-10M100K/ratings.dat": b"1::1::4.5::838985046\n2::2::0.5::838983525\n",
    "ml-10M100K/tags.dat": b"15::1::quiet :: slow::1215184630\n16::1::harbour::1215184631\n",
}
ML_CSV = {
    "ml-25m/movies.csv": (
        "movieId,title,genres\n1,Café on the Quay (1995),Comedy|Romance\n2,Slow Ferry (2001),War\n"
    ).encode(),
    "ml-25m/ratings.csv": b"userId,movieId,rating,timestamp\n1,1,4.5,1\n2,2,0.5,1\n",
}

TMDB_HEADER = (
    "budget,genres,homepage,id,keywords,original_language,original_title,overview,popularity,production_companies,"
    "production_countries,release_date,revenue,runtime,spoken_languages,status,tagline,title,vote_average,vote_count\n"
)
TMDB_5000 = {
    "archive/tmdb_5000_movies.csv": (
        TMDB_HEADER + '1000,"[{""id"": 18, ""name"": ""Drama""}, {""id"": 10402, ""name"": ""Music""}]",,101,[],en,'
        'Slow Ferry,"A ferryman, and a letter.",3.5,[],[],2001-05-12,0,97.0,[],Released,,Slow Ferry,7.5,120\n'
        "0,[],,102,[],xx,Untold,,0.1,[],[],,0,,[],Rumored,,Untold,0.0,0\n"
    ).encode(),
    "archive/tmdb_5000_credits.csv": (
        b"movie_id,title,cast,crew\n"
        b'101,Slow Ferry,"[{""cast_id"": 2, ""name"": ""Jon Ek"", ""order"": 1}, {""name"": ""Ada Berg"", '
        b'""order"": 0}]","[{""job"": ""Editor""}, {""job"": ""Director"", ""name"": ""Mia Roth""}]"\n'
        b"102,Untold,[],[]\n"
    ),
}

METADATA_HEADER = (
    "adult,belongs_to_collection,budget,genres,homepage,id,imdb_id,original_language,original_title,overview,"
    "popularity,poster_path,production_companies,production_countries,release_date,revenue,runtime,spoken_languages,"
    "status,tagline,title,video,vote_average,vote_count\n"
)
FERRY = (
    "False,\"{'id': 9, 'name': 'Ferry Films', 'y': None}\",0,\"[{'id': 18, 'name': 'Drama'}]\",,101,tt0000101,"
    'en,Slow Ferry,"A ferryman\'s letter\nand a ""storm"".",3.5,/a.jpg,[],[],2001-05-12,0.0,97.0,[],Released,,'
    "Slow Ferry,False,7.5,120.0\n"
)
BROKEN = (
    "False,,0,[],,102,tt0000102,en,Night Count,Nobody sleeps\n - Written by nobody,0.1,/b.jpg,[],[],1997-08-20,0,104.0,"
    "[],Released,,Night Count,False,6.0,1\n"
)
MOVIES_DATASET = {
    "movies/movies_metadata.csv": (METADATA_HEADER + FERRY + BROKEN + FERRY.replace("3.5", "3.6")).encode(),
    "movies/credits.csv": (
        b"cast,crew,id\n"
        b"\"[{'cast_id': 1, 'character': \"\"The O'Hara\"\", 'name': \"\"Ada O'Berg\"\", 'order': 0, 'x': None}]\","
        b"\"[{'job': 'Director', 'name': 'Mia \\'Mo\\' Roth'}]\",101\n[],[],102\n[],[],101\n"
    ),
    "movies/ratings_small.csv": b"userId,movieId,rating,timestamp\n1,1,4.5,1\n",
}
LETTERBOXD = {
    "letterboxd-ada/watched.csv": b'Date,Name,Year,Letterboxd URI\n2023-01-15,"Slow, Ferry",2001,https://boxd.it/2a9q\n',
    "letterboxd-ada/ratings.csv": b'Date,Name,Year,Letterboxd URI,Rating\n2023-01-15,"Slow, Ferry",2001,'
    b"https://boxd.it/2a9q,4.5\n2023-02-01,Untold,,https://boxd.it/17ac,0.5\n",
}

CAFE, FERRY_TITLE = "The Café on the Quay", "Slow Ferry"


class TestFormats(PublishedFormatsConformance):
    domain = "movies"
    data_sets: ClassVar = {
        "MovieLens in CSV": PublishedDataSet("movielens", ML_CSV, "ml-25m/movies.csv", [FERRY_TITLE]),
        "MovieLens 1M": PublishedDataSet("movielens", ML_1M, "ml-1m/movies.dat", [CAFE]),
        "MovieLens 10M": PublishedDataSet("movielens", ML_10M, "ml-10M100K/ratings.dat", [CAFE, FERRY_TITLE]),
        "MovieLens 10M by its tags": PublishedDataSet("movielens", ML_10M, "ml-10M100K/tags.dat", [CAFE]),
        "MovieLens 1M by its users": PublishedDataSet("movielens", ML_1M, "ml-1m/users.dat", [CAFE]),
        "MovieLens 100K": PublishedDataSet("movielens", ML_100K, "ml-100k/u.item", [CAFE]),
        "TMDB 5000": PublishedDataSet("tmdb", TMDB_5000, "archive/tmdb_5000_movies.csv", [FERRY_TITLE]),
        "The Movies Dataset": PublishedDataSet("tmdb", MOVIES_DATASET, "movies/movies_metadata.csv", [FERRY_TITLE]),
        "Letterboxd": PublishedDataSet("letterboxd", LETTERBOXD, "letterboxd-ada/ratings.csv", ["Slow, Ferry"]),
    }


def test_the_command_line_names_the_loader_that_reads_a_file_and_what_was_mended(emosim: Any) -> None:
    write_folder(emosim.folder, {**ML_100K, **MOVIES_DATASET})
    message = emosim("items", "--plugin", "movies", "--items", "csv:ml-100k/u.item", status=2).err
    assert message == (
        "Error: ml-100k/u.item: is MovieLens 100K, which 'csv' does not read. Use: --items movielens:ml-100k/u.item\n"
    )
    assert CAFE in emosim("items", "--plugin", "movies", "--items", "movielens:ml-100k/u.item").out
    assert "put rows together" in emosim("items", "--plugin", "movies", "--items", "tmdb:movies").err


# ------------------------------------------------------------------------------------------ what is read


def load_movielens(path: Path, **options: Any) -> LoadedItems:
    return MovieLens(MovieLensOptions(path=path, **options)).load()


def test_movielens_100k(tmp_path: Path) -> None:
    loader = MovieLens(MovieLensOptions(path=write_folder(tmp_path, ML_100K), prior_count=0))
    one, two, three, four = loader.load().items
    assert (one.id, one.title, one.year, one.categories) == (
        "ml-1",
        "The Café on the Quay",
        1995,
        ("comedy", "romance"),
    )
    assert (one.public_rating, one.public_count) == (9.0, 2)
    assert (two.title, two.year, two.categories) == ("Second Heist", 1996, ("action", "crime"))
    assert (three.title, three.year, three.categories, three.public_rating) == ("unknown", None, (), None)
    assert (four.title, four.year, four.public_rating) == ("Untold Winter", 1998, 2.0)
    assert four.categories == ("family", "film noir", "science fiction")
    ratings = loader.load_ratings(loader.load().items)
    assert list(ratings.user_ids) == ["7", "7", "8", "8"]
    assert ratings.items.tolist() == [0, 1, 0, 3]
    assert ratings.values.tolist() == [10, 4, 8, 2]
    assert ratings.times.tolist() == [881250949, 881250950, 881250951, 881250952]


def test_movielens_100k_that_was_saved_as_utf_8(tmp_path: Path) -> None:
    files = {**ML_100K, "ml-100k/u.item": U_ITEM.decode("latin-1").encode()}
    assert load_movielens(write_folder(tmp_path, files)).items[0].title == "The Café on the Quay"


def test_movielens_1m_and_10m(tmp_path: Path) -> None:
    loader = MovieLens(MovieLensOptions(path=write_folder(tmp_path / "1m", ML_1M), prior_count=0))
    one, two, three = loader.load().items
    assert (one.title, one.categories, one.public_rating) == ("The Café on the Quay", ("comedy", "romance"), 9.0)
    assert (two.title, two.categories, two.public_rating) == ("Ten:: A Count", ("family",), 6.0)
    assert (three.id, three.public_rating, three.public_count) == ("ml-5", None, 0)
    assert loader.load_ratings(loader.load().items).times.tolist() == [978300760, 978302109, 978301968]
    one, two = load_movielens(write_folder(tmp_path / "10m", ML_10M), prior_count=0).items
    assert (one.categories, one.public_rating) == (("comedy",), 9.0)
    assert one.description == "Tagged: harbour, quiet :: slow."
    assert (two.categories, two.public_rating) == ((), 1.0)


def test_public_ratings_are_damped_alike_in_every_release(tmp_path: Path) -> None:
    ratings = [(1, 1, 5), (1, 2, 2), (2, 1, 4), (2, 4, 1), (3, 4, 3)]
    releases = {
        "csv": {"movies.csv": b"movieId,title,genres\n1,A,War\n2,B,War\n4,C,War\n",
                "ratings.csv": b"userId,movieId,rating,timestamp\n" + b"".join(b"%d,%d,%d,1\n" % r for r in ratings)},
        "dat": {"movies.dat": b"1::A::War\n2::B::War\n4::C::War\n",
                "ratings.dat": b"".join(b"%d::%d::%d::1\n" % r for r in ratings)},
        "100k": {"u.item": "".join(item(n, t, "", 17) for n, t in ((1, "A"), (2, "B"), (4, "C"))).encode(),
                 "u.data": b"".join(b"%d\t%d\t%d\t1\n" % r for r in ratings)},
    }  # fmt: skip
    public = [
        [
            (film.id, film.public_rating, film.public_count)
            for film in load_movielens(write_folder(tmp_path / n, f)).items
        ]
        for n, f in releases.items()
    ]
    assert public[0] == public[1] == public[2]
    assert public[0][0][2] == 2


@pytest.mark.parametrize(
    ("file", "content", "row", "field", "says"),
    [
        ("ml-100k/u.item", b"x|A (1995)|||u" + b"|0" * 19, 1, "movieId", "whole number, got 'x'"),
        ("ml-100k/u.item", U_ITEM + b"9|A|\n", 5, "", "has 3 fields; the header has 24"),
        ("ml-100k/u.item", U_ITEM * 2, 5, "movieId", "stands in row 1 already"),
        ("ml-100k/u.data", b"1\t1\t5\t1\n1\t2\t6\t1\n", 2, "rating", "rating of 0.5 to 5, got '6'"),
        ("ml-100k/u.data", b"1\t1\t5\t1\n1\tx\t5\t1\n", 2, "movieId", "whole number, got 'x'"),
        ("ml-100k/u.data", b"1\t1\t5\t1\n1\t2\t5\n", 2, "", "has 3 fields"),
        ("ml-1m/ratings.dat", b"1::1::5::1\n1::2::0::1\n", 2, "rating", "rating of 0.5 to 5, got '0'"),
        ("ml-1m/ratings.dat", b"1::1::5::1\n1::2::5\n", 2, "", "has 3 fields"),
        ("ml-1m/ratings.dat", b"1::1::5::1\n1:x:2::5::1\n", 2, "", "has 3 fields"),
        ("ml-1m/movies.dat", b"1::A (1995)\n", 1, "", "has 2 fields; the header has 3"),
    ],
)
def test_movielens_without_headers_errors(
    tmp_path: Path, file: str, content: bytes, row: int, field: str, says: str
) -> None:
    files = {**(ML_100K if "100k" in file else ML_1M), file: content}
    path = write_folder(tmp_path, files) / Path(file).parent
    fails(lambda: load_movielens(path), file=Path(file).name, row=row, field=field, message=says)


def load_tmdb(path: Path, **options: Any) -> LoadedItems:
    return Tmdb(TmdbOptions(path=path, **options)).load()


@pytest.mark.parametrize("gap", ["nan", "NaN", "<NA>", "NULL", "None"])
def test_cells_that_say_that_nothing_is_known_are_empty(tmp_path: Path, gap: str) -> None:
    metadata = (
        METADATA_HEADER + f"False,{gap},0,{gap},,101,{gap},{gap},Ferry,{gap},3,,[],[],{gap},0,{gap},[],,,"
        f"Ferry,False,{gap},{gap}\n"
    )
    credits = f"cast,crew,id\n{gap},{gap},101\n"
    (film,) = load_tmdb(write_folder(tmp_path, {"movies_metadata.csv": metadata, "credits.csv": credits})).items
    assert film == Movie(id="tmdb-101", title="Ferry", tmdb_id=101)


def test_tmdb_5000(tmp_path: Path) -> None:
    loaded = load_tmdb(write_folder(tmp_path, TMDB_5000))
    one, two = loaded.items
    assert (one.id, one.title, one.year, one.runtime) == ("tmdb-101", "Slow Ferry", 2001, 97)
    assert (one.categories, one.description) == (("drama", "musical"), "A ferryman, and a letter.")
    assert (one.cast, one.director) == (("Ada Berg", "Jon Ek"), ("Mia Roth",))
    assert (one.public_rating, one.public_count, one.language) == (7.5, 120, "en")
    assert (two.year, two.runtime, two.language, two.public_rating, two.cast) == (None, None, None, None, ())
    assert list(loaded.notes) == []
    assert load_tmdb(tmp_path, cast=1).items[0].cast == ("Ada Berg",)


def test_the_movies_dataset_with_its_broken_and_repeated_rows(tmp_path: Path) -> None:
    loaded = load_tmdb(write_folder(tmp_path, MOVIES_DATASET))
    one, two = loaded.items
    assert (one.id, one.imdb_id, one.collection) == ("tmdb-101", "tt0000101", "Ferry Films")
    assert one.description == 'A ferryman\'s letter\nand a "storm".'
    assert (one.cast, one.director) == (("Ada O'Berg",), ("Mia 'Mo' Roth",))
    assert (two.title, two.year, two.runtime) == ("Night Count", 1997, 104)
    assert two.description == "Nobody sleeps - Written by nobody"
    broken, repeated = loaded.notes
    assert broken.endswith("movies_metadata.csv: put rows together that a line end had broken in two: 1.")
    assert repeated.endswith("movies_metadata.csv: left out rows about a film that stands there already: 1.")


def test_a_row_that_cannot_be_mended_is_named(tmp_path: Path) -> None:
    half = BROKEN.split("\n")[0] + "\n"
    for rows, row in ((half + FERRY, 2), (FERRY + half, 4), (FERRY.replace("False,", "False,,", 1), 3)):
        files = {"movies_metadata.csv": (METADATA_HEADER + rows).encode()}
        path = write_folder(tmp_path / str(row), files)
        fails(
            lambda path=path: load_tmdb(path), file="movies_metadata.csv", row=row, message="fields; the header has 24"
        )


def test_tables_of_tmdb_without_credits_say_so(tmp_path: Path) -> None:
    name = "archive/tmdb_5000_movies.csv"
    (note,) = load_tmdb(write_folder(tmp_path, {name: TMDB_5000[name]})).notes
    assert "the films have no cast and no directors" in note


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        (b"101,[],en", b"x,[],en", "id", "whole number, got 'x'"),
        (b'"[{""id"": 18', b'"[{""id"": 18', "genres", ""),
        (b"2001-05-12", b"12 May 2001", "release_date", "expected a date like 1995-10-30"),
        (b"7.5,120", b"good,120", "vote_average", "expected a number, got 'good'"),
        (b"97.0", b"97 min", "runtime", "whole number, got '97 min'"),
    ],
)
def test_tables_of_tmdb_errors(tmp_path: Path, old: bytes, new: bytes, field: str, says: str) -> None:
    name = "archive/tmdb_5000_movies.csv"
    content = TMDB_5000[name].replace(old, new)
    if field == "genres":
        content, says = TMDB_5000[name].replace(b'{""id"": 18, ""name"": ""Drama""}', b'""Drama'), "list of objects"
    path = write_folder(tmp_path, {**TMDB_5000, name: content})
    fails(lambda: load_tmdb(path), file="tmdb_5000_movies.csv", row=2, field=field, message=says)


def test_no_code_in_a_cell_runs(tmp_path: Path) -> None:
    made = tmp_path / "made"
    cell = f"[{{'name': open({str(made)!r}, 'w')}}]"
    name = "movies/movies_metadata.csv"
    content = MOVIES_DATASET[name].replace(b"[{'id': 18, 'name': 'Drama'}]", cell.encode())
    path = write_folder(tmp_path / "data", {**MOVIES_DATASET, name: content})
    fails(lambda: load_tmdb(path), file="movies_metadata.csv", row=3, field="genres", message="list of objects")
    assert not made.exists()


def test_letterboxd(tmp_path: Path) -> None:
    def load(path: Path) -> LoadedItems:
        return Letterboxd(LetterboxdOptions(path=path)).load()

    one, two = load(write_folder(tmp_path, LETTERBOXD)).items
    assert (one.id, one.title, one.year, one.public_rating) == ("letterboxd-2a9q", "Slow, Ferry", 2001, None)
    assert (two.id, two.title, two.year) == ("letterboxd-17ac", "Untold", None)
    assert len(load(tmp_path / "letterboxd-ada" / "watched.csv").items) == 2
    (tmp_path / "letterboxd-ada" / "watched.csv").unlink()
    assert len(load(tmp_path).items) == 2
    bad = tmp_path / "bad.csv"
    bad.write_text("Date,Name,Year,Letterboxd URI\n2023-01-15,A,soon,https://boxd.it/2a9q\n")
    fails(lambda: load(bad), file="bad.csv", row=2, field="Year", message="whole number, got 'soon'")
