"""Tables and lines on the screen: nothing is cut off or broken inside a word or a number, however narrow it is."""

from __future__ import annotations

from io import StringIO

import pytest

from emosim_core.cli.output import Screen, Table, _as_fits, episode_line, show_table
from emosim_core.model import RatingScale
from emosim_core.runs.summary import Episode
from emosim_core.terminal import fitted

NAMES = ("simulated users, a single answer", "always the commoner answer")
HEADINGS = ("recommender", "accuracy", "precision", "recall", "F1", "area under the curve")
INTERVAL = "0.821 [0.797, 0.845]"


def table() -> Table:
    made = Table(*HEADINGS)
    for name in NAMES:
        made.add_row(name, *(INTERVAL,) * 5)
    return made


def screen(width: int | None = None, terminal: bool = True) -> Screen:
    return Screen(file=StringIO(), width=width, force_terminal=terminal, color_system=None, markup=False)


def lines_of(one: Screen) -> list[str]:
    return one.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_narrow_screen_splits_a_table_and_repeats_its_first_column(width: int) -> None:
    one = screen(width)
    show_table(one, table())
    lines = lines_of(one)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    assert text.count(INTERVAL) == 10
    assert "…" not in text
    parts = _blocks(lines)
    assert len(parts) == {60: 5, 80: 3, 120: 2, 200: 1}[width]
    for part in parts:
        words = " ".join(" ".join(line[: part[0].index("r") + 36].split("  ")[0].split()) for line in part)
        for name in NAMES:
            assert set(name.split()) <= set(words.split())
    assert one.width == width


@pytest.mark.parametrize("width", [60, 80])
def test_each_part_of_a_split_table_has_the_columns_that_tell_its_rows_apart(width: int) -> None:
    made = Table("study", "variants", "side", "difference", "each seed", "better")
    names = {(study, pair, side) for study in ("high", "low") for pair in ("a - b", "a - c") for side in ("love", "no")}
    for name in sorted(names):
        made.add_row(*name, INTERVAL, "0.81 0.82 0.83 0.84", "not decided, with these trials")
    one = screen(width)
    show_table(one, made)
    parts = _blocks(lines_of(one))
    assert len(parts) > 1
    for heading, *rows in parts:
        assert heading.split()[:3] == ["study", "variants", "side"]
        cells = [words for words in map(str.split, rows) if words[0] in ("high", "low")]
        assert sorted((words[0], " ".join(words[1:4]), words[4]) for words in cells) == sorted(names)


def test_rows_that_nothing_tells_apart_all_stand_in_each_part_in_one_order() -> None:
    made = Table("name", "first", "second")
    for cells in ((INTERVAL, ""), (INTERVAL, ""), ("", INTERVAL)):
        made.add_row("same", *cells)
    one = screen(40)
    show_table(one, made)
    assert [len(part) for part in _blocks(lines_of(one))] == [4, 4]


def _blocks(lines: list[str]) -> list[list[str]]:
    return [part.splitlines() for part in "\n".join(lines).split("\n\n")]


def test_texts_are_broken_between_words_before_a_table_is_split() -> None:
    made = Table("title", "year")
    made.add_column("categories")
    made.add_row("Hearts of Darkness: A Filmmaker's Apocalypse", "1991", "documentary, about a film of the war")
    one = screen(60)
    show_table(one, made)
    text = "\n".join(lines_of(one))
    assert "\n\n" not in text
    words = {"title", "year", "categories", "1991", "Hearts", "Darkness:", "Filmmaker's", "Apocalypse", "documentary,"}
    assert words <= set(text.split())
    assert max(map(len, text.splitlines())) <= 60


def test_a_row_that_says_nothing_in_a_part_of_a_split_table_is_left_out_of_that_part() -> None:
    for width, counts in ((40, [3, 3]), (120, [4])):
        made = Table("name", "first", "second")
        made.add_row("both", INTERVAL, INTERVAL)
        made.add_row("one", INTERVAL, "")
        made.add_row("other", "", INTERVAL)
        one = screen(width)
        show_table(one, made)
        assert [len(part) for part in _blocks(lines_of(one))] == counts


def test_a_number_is_never_broken_even_where_nothing_else_fits() -> None:
    made = Table("recommender", "reward")
    made.add_row("a recommender with a long name", "-1,234.5 ±67.8")
    one = screen(30)
    show_table(one, made)
    assert any(line.endswith("-1,234.5 ±67.8") for line in lines_of(one))
    assert max(map(len, lines_of(one))) <= 30


def test_a_word_longer_than_the_screen_loses_no_letter() -> None:
    made = Table("file")
    made.add_row("x" * 50)
    one = screen(20)
    show_table(one, made)
    assert "".join(lines_of(one)).count("x") == 50


def test_a_file_has_each_row_in_one_line_unless_it_is_said_how_wide_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    made = table()
    made.add_row("a name of many words " * 20, *(INTERVAL,) * 5)
    one = screen(terminal=False)
    show_table(one, made)
    assert [line.count(INTERVAL) for line in lines_of(one)] == [0, 5, 5, 5]
    monkeypatch.setenv("COLUMNS", "80")
    narrow = screen(terminal=False)
    show_table(narrow, table())
    assert max(map(len, lines_of(narrow))) <= 80


@pytest.mark.parametrize("width", [40, 80])
def test_a_line_is_broken_between_words_and_ends_with_its_command_in_one_piece(width: int) -> None:
    command = "emosim evaluate --recommenders runs/movies-a2c-20261124-022601 --policies random,popular"
    text = f"Written to runs/movies-a2c-20261124-022601. Measure it with: {command}"
    one = screen(width)
    one.print_line(text)
    assert "\n".join(lines_of(one)) == fitted(text, width)
    *lines, last = lines_of(one)
    assert last.strip() == command
    assert all(len(line) <= width for line in lines)
    assert " ".join(" ".join([*lines, last]).split()) == text
    elsewhere = screen(width, terminal=False)
    elsewhere.print_line(text)
    assert lines_of(elsewhere) == [text]


def test_a_broken_line_keeps_its_styles_and_its_indent() -> None:
    one = Screen(file=StringIO(), width=20, force_terminal=True, color_system="standard", markup=False)
    one.print_line("  plain words, then ", ("bold words here", "bold"))
    assert lines_of(one) == ["  plain words, then", "    \x1b[1mbold words here\x1b[0m"]


def test_what_goes_on_in_the_second_column_of_a_row_stays_there() -> None:
    one = screen(40)
    one.print_line("    last_K    The k most recent items of a user, newest first.")
    one.print_line("  a first column of many words and letters  and a second one")
    assert lines_of(one) == [
        "    last_K    The k most recent items of",
        "              a user, newest first.",
        "  a first column of many words and",
        "    letters  and a second one",
    ]


@pytest.mark.parametrize(
    "name", ["Bo", "Aleksandra Konstantinopolska-Featherstonehaugh", "千と千尋の神隠し千と千尋の神隠し"]
)
@pytest.mark.parametrize("end_reason", ["max_steps", "low_streak", "dissatisfied", "interrupted", "repeat"])
def test_the_line_of_an_episode_fits_80_columns(name: str, end_reason: str) -> None:
    episode = Episode(10_000, 0, name, "u", 50, 1.0, 1, 10.0, end_reason, (-0.3, 0.4))
    one = screen(80)
    one.print_line(*episode_line(episode, RatingScale(low=1, high=10, step=1)))
    (line,) = lines_of(one)
    assert "10.0 of 10" in line
    assert "50 steps" in line


def test_progress_says_as_much_as_fits_and_the_most_important_first() -> None:
    parts = ("reward 381.0", "length 49.9", "6,199 steps/s")
    assert [_as_fits(parts, room) for room in (11, 12, 25, 100)] == [
        "",
        "reward 381.0",
        "reward 381.0, length 49.9",
        "reward 381.0, length 49.9, 6,199 steps/s",
    ]
