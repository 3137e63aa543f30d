"""Domains made of tables: what columns are taken for, what is written, and what is refused."""

from __future__ import annotations

import ast
import csv
import importlib.util
import keyword
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from emosim_core.data.items_csv import read_items_csv
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model import CatalogSetting, Item
from emosim_core.scaffold import DomainPlan, plan_domain
from emosim_core.scaffold.guesses import field_name
from emosim_core.scaffold.table_domain import UnclearColumnError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = Callable[[str, Sequence[Sequence[object]]], Path]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Writes a CSV file."""

    def write(name: str, rows: Sequence[Sequence[object]]) -> Path:
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)
        return tmp_path / name

    return write


def ratings(users: int = 6, items: Sequence[object] = (1, 2, 3, 4), levels: int = 5) -> list[list[object]]:
    rows = [
        [f"u{user}", item, 1 + (user * 7 + place * 3) % levels]
        for user in range(users)
        for place, item in enumerate(items)
    ]
    return [["user", "game", "rating"], *rows]


GAMES = [
    ["id", "Name", "Genres", "Released", "Price", "free", "Studio", "About"],
    [1, "One", "action|puzzle", "2001-05-03", "9.99", "no", "Red; Blue", "A long story about one thing. " * 3],
    [2, "Two", "action", "21 Aug, 2012", "0", "yes", "Red; Green", "A long story about two things. " * 3],
    [3, "Three", "puzzle", "TBA", "", "no", "Blue", "A long story about three things. " * 3],
    [4, "Four", "puzzle|action", "1999", "5.5", "yes", "Red; Blue", "A long story about four things. " * 3],
]


def meanings(shown: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    return {name: about.partition(",")[0] for name, about, _ in shown}


def items_of(folder: Path, name: str) -> list[Item]:
    """The items of a plugin that was written, by its own class."""
    package = folder / f"emosim_{name}"
    spec = importlib.util.spec_from_file_location(f"made_{name}_item", package / "item.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    made = next(
        one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Item) and one is not Item
    )
    columns = tomllib.loads((package / "data" / "domain.toml").read_text(encoding="utf-8")).get("columns", {})
    return read_items_csv(package / "data" / "sample.csv", made, columns)


# ------------------------------------------------------------------------------------- what is guessed


def test_columns_are_told_by_their_names_and_cells(table: Table) -> None:
    plan = plan_domain("games", table("games.csv", GAMES), table("ratings.csv", ratings()))
    assert meanings(plan.items.shown) == {
        "id": "id",
        "Name": "title",
        "Genres": "categories",
        "Released": "year of a date",
        "Price": "number",
        "free": "boolean",
        "Studio": "creators",
        "About": "description",
    }
    assert meanings(plan.shown) == {"user": "user", "game": "item", "rating": "rating"}
    assert (plan.scale.low, plan.scale.high, plan.scale.step) == (1, 5, 1)
    assert (plan.words.item, plan.words.items, plan.words.consume) == ("game", "games", "play")
    assert any("1 cells of the column 'Released' have no year" in note for note in plan.notes)
    assert "number, the field price, 0 to 9.99" in str(plan)


def test_what_is_written_is_what_was_shown(table: Table, tmp_path: Path) -> None:
    folder = plan_domain("games", table("games.csv", GAMES), table("ratings.csv", ratings())).write(tmp_path / "made")
    one, two, three, _ = items_of(folder, "games")
    assert (one.id, one.title, one.categories, one.year) == ("1", "One", ("action", "puzzle"), 2001)
    assert (two.year, three.year) == (2012, None)
    assert one.creators == ("Red", "Blue")
    assert getattr(one, "price") == 9.99  # noqa: B009  (a field of a class that was just written)
    assert getattr(two, "free") is True  # noqa: B009
    assert one.public_count == 6
    log = (folder / "emosim_games" / "data" / "ratings.csv").read_text(encoding="utf-8").splitlines()
    assert (log[0], len(log)) == ("user,item,rating", 25)
    domain = tomllib.loads((folder / "emosim_games" / "data" / "domain.toml").read_text(encoding="utf-8"))
    assert abs(sum(domain["real_ratings"]) - 1) < 1e-4
    assert domain["real_ratings_source"] == "the log: 24 ratings by 6 users"


def test_a_log_alone_makes_items_of_its_ids(table: Table, tmp_path: Path) -> None:
    rows = ratings(items=("j10", "j9", "j1"))
    plan = plan_domain("jokes", ratings=table("log.csv", [["user", "joke", "rating"], *rows[1:]]))
    assert plan.items.ids == ["j1", "j9", "j10"]
    assert plan.items.titles == ["Joke j1", "Joke j9", "Joke j10"]
    items = items_of(plan.write(tmp_path / "made"), "jokes")
    assert [item.title for item in items] == plan.items.titles
    assert all(item.public_rating is not None for item in items)


def test_items_alone_make_a_domain_without_a_log(table: Table, tmp_path: Path) -> None:
    plan = plan_domain("games", table("games.csv", GAMES))
    assert plan.log is None
    assert "no ratings say otherwise" in str(plan)
    folder = plan.write(tmp_path / "made")
    assert not (folder / "emosim_games" / "data" / "ratings.csv").exists()
    assert len(items_of(folder, "games")) == 4
    assert plan_domain("games", table("games.csv", GAMES), columns="scale=0-10").scale.high == 10


def test_ids_are_matched_by_the_number_in_them_and_strangers_are_counted(table: Table) -> None:
    games = [GAMES[0], *([f"{row[0]:05d}", *row[1:]] for row in GAMES[1:])]
    rows = [
        ["gamer", "app", "verdict", "hours"],
        *([*row, 10 * place] for place, row in enumerate(ratings(items=(1, 2, 3, 99))[1:])),
    ]
    plan = plan_domain("games", table("games.csv", games), table("log.csv", rows))
    assert plan.log_columns == {"user": "gamer", "item": "app", "rating": "verdict", "time": ""}
    assert "1 of them in no row of the log" in str(plan)
    assert any("left out 6 of 24 rows, of 1 unknown items" in note for note in plan.notes)


def test_what_is_named_is_not_guessed(table: Table) -> None:
    chosen = "title=About,description=,text=Price,leave=free,names=Name"
    log = table("log.csv", [[*row, 1_500_000_000 + place] for place, row in enumerate(ratings())])
    plan = plan_domain(
        "games", table("games.csv", GAMES), log, columns="user=user,rating=,scale=0-4", item_columns=chosen
    )
    found = meanings(plan.items.shown)
    assert (found["About"], found["Price"], found["free"], found["Name"]) == ("title", "text", "left out", "names")
    assert plan.log is not None
    assert plan.log.values is None
    assert plan.log.times is not None
    assert (plan.scale.low, plan.scale.high) == (0, 4)


def test_the_same_rating_everywhere_says_only_what_was_taken(table: Table) -> None:
    plan = plan_domain(
        "games", ratings=table("log.csv", [[*row[:2], row[2] if row[2] == "rating" else 1] for row in ratings()])
    )
    assert plan.log is not None
    assert plan.log.values is None
    assert any("Every rating is 1" in note for note in plan.notes)
    assert "24 choices by 6 users" in str(plan)


def test_public_ratings_off_the_scale_are_a_field_of_their_own(table: Table, tmp_path: Path) -> None:
    games = [[*row, "score" if place == 0 else 60 + place] for place, row in enumerate(GAMES)]
    plan = plan_domain("games", table("games.csv", games), table("log.csv", ratings()))
    assert meanings(plan.items.shown)["score"] == "number"
    item = items_of(plan.write(tmp_path / "made"), "games")[0]
    assert getattr(item, "score") == 61  # noqa: B009
    assert 1 <= (item.public_rating or 0) <= 5


def test_a_parquet_log_is_read_too(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    header, *rows = ratings()
    columns = {str(name): [row[place] for row in rows] for place, name in enumerate(header)}
    parquet.write_table(pyarrow.table(columns), tmp_path / "log.parquet")
    plan = plan_domain("games", ratings=tmp_path / "log.parquet")
    assert plan.sources == ("", f"parquet:{tmp_path / 'log.parquet'}")
    assert plan.log is not None
    assert len(plan.log.items) == 24


def test_a_log_may_stay_where_it_is(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emosim_core.data.bundled import BundledLog
    from emosim_core.loading import read_domain

    log = table("my log.csv", [["who, really", "joke", "rating"], *ratings()[1:]])
    monkeypatch.chdir(tmp_path)
    folder = plan_domain(
        "linked", ratings=log.name, columns="user=who\\, really".replace("\\", "")[:0], link_ratings=True
    )
    made = folder.write()
    assert not (made / "emosim_linked" / "data" / "ratings.csv").exists()
    monkeypatch.syspath_prepend(str(made))
    loader = BundledLog()
    loader.prepare(CatalogSetting(domain=read_domain("emosim_linked", Item)))
    items = loader.load().items
    assert len(loader.load_ratings(items).items) == 24
    log.unlink()
    with pytest.raises(DataError, match=r"my log\.csv: no such file"):
        loader.load_ratings(items)


# ----------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": "user=nobody"}, "ratings.csv, field 'nobody': no such column; the file has: user, game, rating"),
        ({"columns": "user=user,item=user"}, "this column is named for two fields"),
        ({"columns": "usr=user"}, "cannot read 'usr=user'"),
        ({"item_columns": "title=nothing"}, "games.csv, field 'nothing': no such column; the table has: id, Name"),
        ({"item_columns": "name=Name"}, "cannot read 'name=Name'"),
        ({"item_columns": "title=Name,text=Name"}, "says twice what 'Name' is"),
        ({"item_columns": "title="}, "names no column"),
        ({"item_columns": "number=Name"}, "row 2, field 'Name': expected a number, got 'One'; text=Name takes"),
        ({"item_columns": "boolean=Price"}, "row 2, field 'Price': expected true or false, got '9.99'"),
        ({"item_columns": "whole=Price"}, "row 2, field 'Price': expected a whole number, got '9.99'"),
        ({"step": "much"}, "a number above 0, not 'much'"),
        ({"step": 0.3, "columns": "scale=1-5"}, "no whole number of steps of 0.3"),
        ({"columns": "scale=1-2"}, "is no rating of 1 to 2"),
    ],
)
def test_an_option_that_cannot_be_is_one_message(table: Table, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, DataError)) as raised:
        plan_domain("games", table("games.csv", GAMES), table("ratings.csv", ratings()), **options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("games", "log", "message"),
    [
        (GAMES[:1], ratings(), "has no rows"),
        ([*GAMES, [1, *GAMES[2][1:]]], ratings(), "no column has an id"),
        ([GAMES[0], *(["", *row[1:]] for row in GAMES[1:])], ratings(), "no item '1'"),
        (GAMES, ratings()[:1], "has no rows"),
        (GAMES, ratings(items=(7, 8, 9)), "has no item '7', and 18 of 18 rows of the log are of unknown items"),
        (GAMES, ratings(users=1), "holds one user ('u0')"),
        (GAMES, [*ratings(), ["u1", "", 3]], "row 26, field 'game': is empty"),
        (GAMES, [*ratings(), ["u1", 2, ""]], "row 26, field 'rating': is empty"),
        (GAMES, [*ratings(), ["u1", 2, "good"]], "row 26, field 'rating': expected a number, got 'good'"),
        (GAMES, [*ratings(), ["u1", 2, 99]], "99, in 1 rows, is far from all other ratings, 1 to 5"),
        (GAMES, [["a", "b", "c"], ["x", "y", "z"], ["x", "y", "w"]], "no column is recognized as the user"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_message(
    table: Table, games: list[list[object]], log: list[list[object]], message: str
) -> None:
    with pytest.raises(DataError) as raised:
        plan_domain("games", table("games.csv", games), table("ratings.csv", log))
    assert message in str(raised.value)


def test_the_unclear_column_is_named_for_who_can_ask(table: Table) -> None:
    with pytest.raises(UnclearColumnError) as raised:
        plan_domain("things", ratings=table("log.csv", [["a", "b", "c"], ["x", "y", "z"], ["x", "y", "w"]]))
    assert (raised.value.needed, list(raised.value.names)) == ("user", ["a", "b", "c"])


def test_tables_are_needed(table: Table) -> None:
    with pytest.raises(ConfigurationError, match="name a table of items, a log of ratings, or both"):
        plan_domain("games")
    with pytest.raises(ConfigurationError, match="no log is"):
        plan_domain("games", table("games.csv", GAMES), columns="user=u")
    with pytest.raises(ConfigurationError, match="no ratings to leave"):
        plan_domain("games", table("games.csv", GAMES), link_ratings=True)


# ------------------------------------------------------------------------------- texts are data, never code

HOSTILE = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)),
        st.sampled_from("\"'{}[]|$\\\n,;=#"),
    ),
    max_size=25,
)


@given(st.lists(HOSTILE, max_size=12))
@settings(deadline=None)
def test_every_column_gets_a_field_of_its_own_that_shadows_nothing(names: list[str]) -> None:
    taken: list[str] = []
    for name in [
        *names,
        "class",
        "model_config",
        "id",
        "title",
        "json",
        "str",
        "float",
        "copy",
        "text",
        "creators",
        "Names",
    ]:
        field = field_name(name, taken)
        assert field.isidentifier()
        assert not keyword.iskeyword(field)
        assert not hasattr(BaseModel, field)
        assert field not in {*Item.model_fields, *dir(Item), *taken}
        taken.append(field)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(HOSTILE, min_size=1, max_size=5),
    texts=st.lists(HOSTILE, min_size=4, max_size=4),
)
def test_hostile_tables_become_plugins_that_hold_their_texts(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    header = ["id", "title", "genre", *dict.fromkeys(names)]
    rows = [[place, f"{text}{place}", text, *([text] * (len(header) - 3))] for place, text in enumerate(texts)]
    with (folder / "items.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    try:
        plan = plan_domain("odd", folder / "items.csv", item_columns="id=id,title=title")
    except DataError:  # such as a column twice
        return
    made = plan.write(folder / "made")
    for path in made.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"))
    for path in made.rglob("*.toml"):
        tomllib.loads(path.read_text(encoding="utf-8"))
    items = items_of(made, "odd")
    assert [item.id for item in items] == plan.items.ids
    for item, text in zip(items, plan.items.titles, strict=True):
        assert item.title == text or "&" in text
    code = (made / "emosim_odd" / "item.py").read_text(encoding="utf-8")
    assert code.isascii()
    cells = [line for line in (made / "README.md").read_text("utf-8").splitlines() if line.startswith("| items |")]
    assert {cell.count("|") for cell in cells} == {4}
    assert not any("€" in name for name in names) or any("€" in cell for cell in cells)
    assert re.search(r"^class OddItem\(Item\):$", code, re.MULTILINE)


def test_a_word_that_would_break_a_sentence_is_refused_and_nothing_is_written(table: Table, tmp_path: Path) -> None:
    plan = plan_domain("games", table("games.csv", GAMES), words={"item": '"; import os'})
    with pytest.raises(ConfigurationError, match="cannot be the word for 'item'"):
        plan.write(tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_plan_is_written_where_nothing_is(table: Table, tmp_path: Path) -> None:
    plan: DomainPlan = plan_domain("games", table("games.csv", GAMES))
    (tmp_path / "made").mkdir()
    with pytest.raises(ConfigurationError, match="exists already"):
        plan.write(tmp_path / "made")
    assert list((tmp_path / "made").iterdir()) == []
