"""Users in CSV files: three kinds of columns, exact round trips, errors that point at the cell."""

from __future__ import annotations

import os
import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emosim_core.errors import DataError
from emosim_core.model import Domain, Item, PopulationSetting, RatingScale, Words
from emosim_core.model.user import User
from emosim_core.population.users_csv import USER_COLUMNS, CsvUsers, CsvUsersOptions, read_users_csv, write_users_csv

SUBER_HEADER = ",name,gender,description,age,job,hobby,genres_liked,genres_disliked"
ESUBER_HEADER = (
    "name,gender,description,age,job,hobby,categories_liked,categories_disliked,"
    "activity_level,conformity_level,diversity_level"
)

# Every line end is written as a line feed, and NUL is no text to the csv module of Python 3.10.
texts = st.text(st.characters(exclude_characters="\r\0", exclude_categories=("Cs",)), max_size=40).map(str.strip)
awkward = st.sampled_from(
    ['a, "quoted" word', "two\nlines", "semi;colon", "it's|barred", "[bracket", "naïve 東京 🎬", "7"]
)
names = texts | awkward
categories = st.lists(st.sampled_from([*"abc", "science fiction"]) | names, max_size=4).map(tuple)
users = st.builds(
    User,
    id=st.just("x"),
    name=names.filter(bool),
    gender=st.sampled_from(["F", "M", "", "non-binary"]),
    age=st.none() | st.integers(0, 130),
    job=names,
    hobby=names,
    description=names,
    liked=categories,
    disliked=categories,
    activity=st.integers(1, 3),
    conformity=st.integers(1, 3),
    diversity=st.integers(1, 3),
    baseline_valence=st.floats(-1, 1),
    baseline_arousal=st.floats(0, 1),
)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(crowd=st.lists(users, min_size=1, max_size=6), prefix=names)
def test_what_is_written_reads_back_as_the_same_users(tmp_path: Path, crowd: list[User], prefix: str) -> None:
    crowd = [user.model_copy(update={"id": f"{prefix}{i}"}) for i, user in enumerate(crowd)]
    path = tmp_path / "users.csv"
    write_users_csv(path, crowd)
    assert read_users_csv(path) == crowd


def test_line_ends_become_line_feeds(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    write_users_csv(path, [User(id="a", name="Ada", description="one\r\ntwo\rthree", liked=("x\ry",))])
    (user,) = read_users_csv(path)
    assert user.description == "one\ntwo\nthree"
    assert user.liked == ("x\ry",)


def test_lists_are_written_with_bars_where_that_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    write_users_csv(path, [User(id="a", name="Ada", liked=("crime", "drama"), disliked=("body, mind",))])
    header, row = path.read_text(encoding="utf-8").splitlines()
    assert header == ",".join(USER_COLUMNS)
    assert "crime|drama" in row
    assert '"[""body, mind""]"' in row


def test_suber_columns_are_read_with_ids_by_row_and_whole_sentences(tmp_path: Path) -> None:
    path = write(
        tmp_path / "suber.csv",
        SUBER_HEADER,
        "0,Ada Berg,F,a retired nurse who sings.,70,retired,singing,\"['Drama', 'crime']\",[]",
        '1,Bo Lund,M,Bo fishes.,11,pupil,fishing,"[""war""]",[\'horror\']',
    )
    ada, bo = read_users_csv(path)
    assert (ada.id, bo.id) == ("u0001", "u0002")
    assert ada.description == "Ada Berg is a retired nurse who sings."
    assert bo.description == "Bo fishes."
    assert (ada.liked, ada.disliked, bo.liked, bo.disliked) == (("drama", "crime"), (), ("war",), ("horror",))
    assert (ada.age, ada.gender, ada.hobby) == (70, "F", "singing")


def test_suber_columns_need_no_column_of_row_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "suber.csv", SUBER_HEADER[1:], "Ada,F,a nurse.,30,nurse,chess,drama|crime,horror")
    assert read_users_csv(path)[0].liked == ("drama", "crime")


def test_the_original_columns_keep_their_trait_levels(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", ESUBER_HEADER, "Ada,F,a nurse.,30,nurse,chess,['A'],\"('B', 'C')\",3,1,2")
    (user,) = read_users_csv(path)
    assert (user.activity, user.conformity, user.diversity) == (3, 1, 2)
    assert (user.liked, user.disliked) == (("a",), ("b", "c"))


def test_users_without_traits_get_varied_ones_and_always_the_same(tmp_path: Path) -> None:
    rows = [f"{i},P{i},F,a nurse.,30,nurse,chess,[],[]" for i in range(100)]
    path = write(tmp_path / "suber.csv", SUBER_HEADER, *rows)
    first = read_users_csv(path)
    assert first == read_users_csv(path)
    assert Counter(user.activity for user in first) == {1: 30, 2: 50, 3: 20}
    assert Counter(user.conformity for user in first) == {1: 25, 2: 50, 3: 25}
    assert len({user.baseline_valence for user in first}) > 20


def test_traits_that_are_there_stay_beside_those_that_are_dealt(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", "name,description,activity", *(f"P{i},Text.,3" for i in range(20)))
    loaded = read_users_csv(path)
    assert {user.activity for user in loaded} == {3}
    assert {user.conformity for user in loaded} == {1, 2, 3}


def test_a_description_in_own_columns_stays_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", "name,description", "Ada,a nurse")
    assert read_users_csv(path)[0].description == "a nurse"


def test_ages_of_a_column_with_gaps_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", "name,description,age", "Ada,Text.,30.0", "Bo,Text.,")
    assert [user.age for user in read_users_csv(path)] == [30, None]


def test_categories_are_translated_into_the_words_of_the_domain(tmp_path: Path) -> None:
    domain = Domain("films", "Films", RatingScale(), Words(), Item, category_aliases={"animated": "animation"})
    path = write(tmp_path / "own.csv", "name,description,liked", "Ada,Text.,Animated|drama")
    loader = CsvUsers(CsvUsersOptions(path=path))
    assert loader.load()[0].liked == ("animated", "drama")
    loader.prepare(PopulationSetting(domain=domain))
    assert loader.load()[0].liked == ("animation", "drama")


def test_options_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError, match="extra"):
        CsvUsersOptions(path=Path("x"), sep=";")  # type: ignore[call-arg]


OWN = "id,name,description,age,liked,activity,baseline_valence"


@pytest.mark.parametrize(
    ("header", "row", "field", "message"),
    [
        (OWN, "a,Ada,Text.,old,x,1,0", "age", "age in whole years, got 'old'"),
        (OWN, "a,Ada,Text.,30.5,x,1,0", "age", "age in whole years"),
        (OWN, "a,Ada,Text.,-3,x,1,0", "age", "greater than or equal to 0"),
        (OWN, "a,Ada,Text.,30,x,nan,0", "activity", "1, 2 or 3, got 'nan'"),
        (OWN, "a,Ada,Text.,inf,x,1,0", "age", "age in whole years"),
        (OWN, "a,Ada,Text.,30,x,4,0", "activity", "1, 2 or 3, got '4'"),
        (OWN, "a,Ada,Text.,30,x,high,0", "activity", "1, 2 or 3, got 'high'"),
        (OWN, "a,Ada,Text.,30,x,,0", "activity", "1, 2 or 3, got ''"),
        (OWN, "a,Ada,Text.,30,x,1,2", "baseline_valence", "less than or equal to 1"),
        (OWN, "a,Ada,Text.,30,x,1,good", "baseline_valence", "expected a number"),
        (OWN, "a,,Text.,30,x,1,0", "name", "at least 1 character"),
        (OWN, ",Ada,Text.,30,x,1,0", "id", "at least 1 character"),
        (OWN, "a,Ada,Text.,30,['drama' 'crime' ...],1,0", "liked", "expected a list"),
        (OWN, "a,Ada,Text.,30,[drama,1,0", "liked", "expected a list"),
        (OWN, "a,Ada,Text.,30,{'a': 1},1,0", "liked", "expected a list"),
        (OWN, "a,Ada,Text.,30,[1],1,0", "liked", "expected a list"),
        (OWN, "a,Ada,Text.,30,7,1,0", "liked", "expected a list"),
        (OWN, "a,Ada,Text.,30,[x for x in 'ab'],1,0", "liked", "expected a list"),
        (OWN, "a,Ada,Text.,30,[__import__('os').getcwd()],1,0", "liked", "expected a list"),
        (OWN, f"a,Ada,Text.,30,{'[' * 5000},1,0", "liked", "expected a list"),
        (SUBER_HEADER, "0,Ada,F,a nurse.,30,nurse,chess,drama,\"['x'\"", "genres_disliked", "expected a list"),
        (ESUBER_HEADER, "Ada,F,a nurse.,30,nurse,chess,[],[],1,0,2", "conformity_level", "1, 2 or 3, got '0'"),
        (ESUBER_HEADER, "Ada,F,a nurse.,200,nurse,chess,[],[],1,1,2", "age", "less than or equal to 130"),
    ],
)
def test_a_malformed_cell_is_named(tmp_path: Path, header: str, row: str, field: str, message: str) -> None:
    path = write(tmp_path / "users.csv", header, row)
    with pytest.raises(DataError, match=message) as caught:
        read_users_csv(path)
    assert (caught.value.path, caught.value.row, caught.value.field) == (str(path), 2, field)


@pytest.mark.parametrize(
    "cell",
    ["\"['drama', 'crime']\"", "drama|crime", "drama;crime", '"drama, crime"', "['drama' 'crime']"],
)
def test_lists_are_read_in_every_usual_form(tmp_path: Path, cell: str) -> None:
    (user,) = read_users_csv(write(tmp_path / "users.csv", "Name,Description,Liked,age", f"Ada,Text,{cell},nan"))
    assert (user.liked, user.age) == (("drama", "crime"), None)


def test_an_id_twice_names_both_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "own.csv", "id,name,description", "a,Ada,Text.", "b,Bo,Text.", "a,Cy,Text.")
    with pytest.raises(DataError, match="the id 'a' stands in row 2 already") as caught:
        read_users_csv(path)
    assert (caught.value.row, caught.value.field) == (4, "id")


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("name,age", "description"),
        (SUBER_HEADER.replace(",hobby", ""), "hobby"),
        (SUBER_HEADER.replace(",genres_disliked", ""), "genres_disliked"),
        (ESUBER_HEADER.replace(",diversity_level", ""), "diversity_level"),
    ],
)
def test_a_missing_column_is_named(tmp_path: Path, header: str, field: str) -> None:
    path = write(tmp_path / "users.csv", header, ",".join("x" for _ in header.split(",")))
    with pytest.raises(DataError, match=f"column is missing; needed: .*{field}.* columns are: ") as caught:
        read_users_csv(path)
    assert (caught.value.row, caught.value.field) == (1, field)


def test_an_unknown_column_gets_a_suggestion(tmp_path: Path) -> None:
    path = write(tmp_path / "users.csv", "name,description,activty", "Ada,Text.,1")
    with pytest.raises(DataError, match="did you mean 'activity'") as caught:
        read_users_csv(path)
    assert caught.value.field == "activty"


@pytest.mark.parametrize(("content", "message"), [("", "empty"), ("name,description\n", "has no users")])
def test_a_file_without_users_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "users.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_users_csv(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        CsvUsers(CsvUsersOptions(path=tmp_path / "none.csv")).load()


def personas(name: str) -> Path:
    folder = os.environ.get("EMOSIM_REAL_DATA")
    if not folder:
        pytest.skip("EMOSIM_REAL_DATA is not set; it names the folder of real data")
    path = Path(folder) / "personas" / name
    if not path.is_file():
        pytest.skip(f"EMOSIM_REAL_DATA has no personas/{name}")
    return path


@pytest.mark.parametrize("name", ["movies_600.csv", "books_600.csv"])
def test_the_published_users_are_read(tmp_path: Path, name: str) -> None:
    loaded = read_users_csv(personas(name))
    assert len(loaded) == 600
    assert all(user.liked and user.age for user in loaded)
    assert any(user.disliked for user in loaded)
    assert all(user.description.startswith(tuple(string.ascii_uppercase)) for user in loaded)
    for trait in ("activity", "conformity", "diversity"):
        assert {getattr(user, trait) for user in loaded} == {1, 2, 3}
    write_users_csv(tmp_path / "again.csv", loaded)
    assert read_users_csv(tmp_path / "again.csv") == loaded


@pytest.mark.skipif(
    not Path("/proc/self/mem").is_file(), reason="this system has no file that opens and cannot be read"
)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match="/proc/self/mem: cannot be read"):
        read_users_csv("/proc/self/mem")
