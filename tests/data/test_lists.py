"""Lists of names in cells: every usual form is read as what it says, and what is no list is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.data.lists import list_of_names, list_of_numbers, list_separator
from emosim_core.errors import DataError


def read(*column: str) -> list[list[str]]:
    separator = list_separator(column)
    return [
        [name.strip() for name in list_of_names(cell, "a.csv", i, "cell", separator)]
        for i, cell in enumerate(column, start=2)
    ]


@pytest.mark.parametrize(
    "cell",
    [
        "['drama', 'crime']",
        '["drama","crime"]',
        "['drama' 'crime']",
        "['drama'\n 'crime']",
        "('drama', 'crime')",
        "{'drama', 'crime'}",
        "{drama,crime}",
        '{"drama",crime}',
        "[drama, crime]",
        "'drama', 'crime'",
        '"drama","crime"',
        '"drama"; "crime"',
        'c("drama", "crime")',
        "array(['drama', 'crime'], dtype=object)",
        "set(['drama', 'crime'])",
        "drama|crime",
        "drama;crime",
        "drama; crime",
        "drama, crime",
        "drama,crime",
        "drama\ncrime",
        '[{"id": 18, "name": "drama"}, {"id": 80, "name": "crime"}]',
        "[{'id': 18, 'name': 'drama'}, {'id': 80, 'name': 'crime'}]",
        "['drama', None, 'crime']",
        '["drama", null, "crime"]',
        "['drama', 'crime',]",
        "[u'drama', u'crime']",
        "(drama, crime)",
        "np.array(['drama', 'crime'])",
        "dict_keys(['drama', 'crime'])",
        "\ufeff['drama', 'crime']",
        "\u201cdrama\u201d, \u201ccrime\u201d",
        "drama\uff0c crime",
        "drama\u3001crime",
        "drama\uff1bcrime",
        "drama\tcrime",
        "drama / crime",
        "- drama\n- crime",
        "drama,\ncrime",
    ],
)
def test_every_usual_form_is_read(cell: str) -> None:
    assert read(cell) == [["drama", "crime"]]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("", []),
        ("nan", []),
        ("None", []),
        ("[]", []),
        ("set()", []),
        ("character(0)", []),
        ("drama", ["drama"]),
        ("('drama',)", ["drama"]),
        ("['drama']", ["drama"]),
        ("[\"Schindler's List\", 'it\\'s']", ["Schindler's List", "it's"]),
        (r"['a\d']", [r"a\d"]),
        ('"Weird Al" Yankovic, Jon Ek', ['"Weird Al" Yankovic', "Jon Ek"]),
        ("(no genres listed)", ["(no genres listed)"]),
        ("(500) Days", ["(500) Days"]),
        ("R&amp;D; Children&#39;s", ["R&D", "Children's"]),
        ("['R&amp;D', 'Children&#39;s']", ["R&D", "Children's"]),
        ("Ada Berg, Jon Ek", ["Ada Berg", "Jon Ek"]),
        ("Sammy Davis, Jr., Dean Martin", ["Sammy Davis, Jr.", "Dean Martin"]),
        ("Martin Luther King, Jr.", ["Martin Luther King, Jr."]),
        ("Henry Gates, III, Jo Li, PhD", ["Henry Gates, III", "Jo Li, PhD"]),
        ("18|35", ["18", "35"]),
    ],
)
def test_cells_alone(cell: str, names: list[str]) -> None:
    assert read(cell) == [names]


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (("Le Guin, Ursula", "Gaiman, Neil|Li, Jo"), [["Le Guin, Ursula"], ["Gaiman, Neil", "Li, Jo"]]),
        (("Le Guin, Ursula", "Gaiman, Neil; Li, Jo"), [["Le Guin, Ursula"], ["Gaiman, Neil", "Li, Jo"]]),
        (("Le Guin, Ursula K.", "['Gaiman, Neil']", ""), [["Le Guin, Ursula K."], ["Gaiman, Neil"], []]),
        (("Le Guin, Ursula", "Tolkien, J. R. R."), [["Le Guin, Ursula"], ["Tolkien, J. R. R."]]),
        (("AC;DC", "a|b;c"), [["AC;DC"], ["a", "b;c"]]),
        (("['a', 'b']", "a;b", "a, b", "a|b"), [["a", "b"]] * 4),
        (("a, b", "['a']", "c / d"), [["a", "b"], ["a"], ["c", "d"]]),
        (("Ada Berg (words, music), Jon Ek",), [["Ada Berg (words, music)", "Jon Ek"]]),
        (("A / B, C", "A / B"), [["A / B", "C"], ["A / B"]]),
        (("a;b", "['c;d']"), [["a", "b"], ["c;d"]]),
        (("a", "b, c"), [["a"], ["b", "c"]]),
        (("R&amp;D", "b, c"), [["R&D"], ["b", "c"]]),
    ],
)  # fmt: skip
def test_what_separates_in_a_column_is_seen_by_all_its_cells(column: tuple[str, ...], names: list[list[str]]) -> None:
    assert read(*column) == names


@pytest.mark.parametrize(
    "cell",
    [
        "['a'", "['a', 'b", "[1]", "['a', 1]", "[True]", "{'a': 'b'}", "[__import__('os').getcwd()]", "['a' 'b', 'c']",
        "['a' ... 'b']", "[['a'], ['b']]", '[{"id": 3}]', '[{"name": 3}]', "7", "-1.5", '"[]"', "[" * 100_000,
        "drama', 'crime']", "drama|crime]", "{a}, [b",
        "[" * 100_000 + "]" * 100_000, "{" * 100_000, "['a', b'c']", "[a, (b)]",
    ],
)  # fmt: skip
def test_what_is_no_list_of_names_is_refused(cell: str) -> None:
    with pytest.raises(DataError, match="expected a list of names such as") as caught:
        read("drama|crime", cell)
    assert (caught.value.path, caught.value.row, caught.value.field) == ("a.csv", 3, "cell")


texts = (
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="&\0"), min_size=1, max_size=12)
    .map(str.strip)
    .filter(bool)
)
plain = (
    st.text(st.characters(categories=("L",), include_characters=" .'-"), min_size=2, max_size=12)
    .map(lambda text: f"x{text.strip()}y")
    .filter(bool)
)
FORMS = {
    "json": json.dumps,
    "json in ascii": lambda names: json.dumps(names, ensure_ascii=True),
    "python": repr,
    "tuple": lambda names: repr(tuple(names)),
    "numpy": lambda names: str(np.array(names, dtype=object)),
    "objects": lambda names: json.dumps([{"id": i, "name": name} for i, name in enumerate(names)]),
    "python objects": lambda names: repr([{"id": i, "name": name} for i, name in enumerate(names)]),
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60, deadline=None)
@given(column=st.lists(st.lists(texts, max_size=5), min_size=1, max_size=4))
def test_any_names_in_brackets_are_read_back(form: str, column: list[list[str]]) -> None:
    assert read(*(FORMS[form](names) if names else "" for names in column)) == column


@pytest.mark.parametrize("separator", ["|", "; ", ";", ", ", ",", "\n", "\t", " / ", "\uff0c"])
@settings(max_examples=60, deadline=None)
@given(column=st.lists(st.lists(plain, max_size=5), min_size=1, max_size=4))
def test_any_plain_names_between_separators_are_read_back(separator: str, column: list[list[str]]) -> None:
    assert read(*map(separator.join, column)) == column


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [
        ("[0.5, -1, 2e-1]", [0.5, -1, 0.2]),
        ("(1, 2)", [1, 2]),
        ("[ 0.5 -1.\n  2e-1]", [0.5, -1, 0.2]),
        ("", []),
    ],
)
def test_numbers_in_a_list(cell: str, numbers: list[float]) -> None:
    assert list_of_numbers(cell, "a.csv", 2, "cell") == numbers


@pytest.mark.parametrize("cell", ["0.5 0.5", "['x']", "[true]", "[[1]]", "7", "[1 ... 2]", "{1, 2}", "[" * 100_000])
def test_what_is_no_list_of_numbers_is_refused(cell: str) -> None:
    with pytest.raises(DataError, match="expected a list of numbers"):
        list_of_numbers(cell, "a.csv", 2, "cell")
