"""Reading: what is wrong with a file of a job is one error that names the file, the line and the field."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from emosim_core import RunError
from emosim_core.runs import schemas
from emosim_core.runs.reading import check, damaged, lines_of, parse, read_line, read_lines, read_object


class Entry(TypedDict):
    """A count and a text."""

    count: int
    text: str


SCHEMA = TypeAdapter(Entry)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "there.json"


def test_a_file_is_one_object_of_its_schema(path: Path) -> None:
    path.write_text('{"format": 2, "count": 1, "text": "é"}', encoding="utf-8")
    assert read_object(path, SCHEMA, newest=2) == {"format": 2, "count": 1, "text": "é"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"there\.json is not JSON"),
        (b"\xff{}", r"there\.json is not JSON"),
        (b"[1]", r"there\.json is damaged: it holds no JSON object"),
        (b'{"count": 1, "count": 2}', r"there\.json is not JSON \(.*'count'.*\)"),
        (b'{"count": 1}', r"there\.json is damaged: text: Field required"),
        (b'{"count": "x", "text": ""}', r"there\.json is damaged: count: Input should be a valid integer"),
    ],
)
def test_what_a_file_lacks_is_named(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(RunError, match=message):
        read_object(path, SCHEMA)


def test_a_file_that_is_not_there_or_no_file_is_named(path: Path) -> None:
    for read in (lambda: read_object(path), lambda: list(lines_of(path))):
        with pytest.raises(RunError, match=r" has no there\.json"):
            read()
    path.mkdir()
    for read in (lambda: read_object(path), lambda: list(lines_of(path))):
        with pytest.raises(RunError, match=r"there\.json"):
            read()


@pytest.mark.parametrize(("levels", "fails"), [(99, False), (100, True), (100_000, True)])
def test_lists_within_lists_are_read_up_to_a_hundred_levels(levels: int, fails: bool) -> None:
    content = b'{"a":' + b"[" * levels + b"]" * levels + b"}"
    if not fails:
        assert parse("here", content)["a"] != []
        return
    with pytest.raises(RunError, match="here is damaged: lists and tables stand too deep within each other"):
        parse("here", content)


def test_whole_lines_are_read_with_their_numbers_and_the_last_without_an_end_is_left_out(path: Path) -> None:
    path.write_bytes(b'{"count": 1, "text": "a"}\n{"count": 2, "text": "b"}\n{"cou')
    assert [number for number, _ in lines_of(path)] == [1, 2]
    assert list(read_lines(path, SCHEMA)) == [(1, {"count": 1, "text": "a"}), (2, {"count": 2, "text": "b"})]
    assert list(read_lines(path)) == list(read_lines(path, SCHEMA))
    path.write_bytes(b'{"count": 1, "text": "a"}\n{"count": 2}\n')
    with pytest.raises(RunError, match=r"there\.json, line 2: is damaged: text: Field required"):
        list(read_lines(path, SCHEMA))


def test_half_a_character_in_a_line_is_read_as_it_is() -> None:
    assert read_line("here", b'{"count": 1, "text": "\\ud83d"}', SCHEMA) == {"count": 1, "text": "\ud83d"}
    for line in (b'{"count": "x", "text": "\\ud83d"}', b'{"count": "x", "text": ""}'):
        with pytest.raises(RunError, match="here is damaged: count: "):
            read_line("here", line, SCHEMA)
    with pytest.raises(RunError, match="here is not JSON"):
        read_line("here", b"{", SCHEMA)


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), ZeroDivisionError("x"), RecursionError("x")])
def test_what_fails_on_the_content_of_a_file_is_damage_and_names_it(path: Path, error: Exception) -> None:
    with pytest.raises(RunError, match=rf"there\.json is damaged \({type(error).__name__}: "), damaged(path):
        raise error
    with pytest.raises(OSError, match="disk"), damaged(path):
        raise OSError("disk")


def test_a_count_is_at_most_what_json_numbers_hold_exactly() -> None:
    record = {"episode": 2**53, "step": 1, "user": "u", "recommended": [], "reward": 0, "mood": [0, 0]}
    record["end_reason"] = "out_of_items"
    check("there", record, schemas.STEP)
    with pytest.raises(RunError, match="there is damaged: episode: "):
        check("there", {**record, "episode": 2**53 + 1}, schemas.STEP)
