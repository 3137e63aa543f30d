"""``emosim cache``: stats, prune, export and import."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from fixtures.answers import answer_cache_key, put_many

from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.testing.command_line import in_new_process


def question(number: int) -> ChatRequest:
    return ChatRequest((Message("user", f"How good is film {number}?"),))


def fill(path: Path, count: int, identity: str = "a model") -> list[str]:
    cache = AnswerCache(path)
    keys = [answer_cache_key(identity, question(i)) for i in range(count)]
    put_many(
        cache, [(keys[i], identity, question(i), ChatAnswer(str(i), usage=Usage(10, 4, 2, 1))) for i in range(count)]
    )
    cache.close()
    return keys


@pytest.fixture
def cache_file(tmp_path: Path) -> Path:
    path = tmp_path / "kept.sqlite3"
    fill(path, 30)
    fill(path, 5, "another model")
    return path


def test_stats_tell_what_is_kept_of_which_model(quick: Any, cache_file: Path) -> None:
    output = quick("cache", "stats", "--cache", cache_file).out
    assert output.startswith(f"35 answers in {cache_file}, ")
    assert output.index("a model\n  30 answers, ") < output.index("another model\n  5 answers, ")
    assert "300 in, 120 of them cached by the service, 60 answered, 30 of them reasoning" in output
    as_json = json.loads(quick("cache", "stats", "--cache", cache_file, "--json").out)
    assert as_json["answers"] == 35
    assert as_json["bytes"] == cache_file.stat().st_size
    assert as_json["models"][1] == {
        "identity": "another model",
        "answers": 5,
        "prompt_tokens": 50,
        "cached_tokens": 20,
        "completion_tokens": 10,
        "reasoning_tokens": 5,
        "unknown_usage": 0,
        "first": time.strftime("%Y-%m-%d", time.gmtime()),
        "last": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def test_before_any_question_stats_say_that_nothing_is_kept_and_make_no_file(quick: Any, tmp_path: Path) -> None:
    file = tmp_path / "cache" / "llm.sqlite3"
    assert quick("cache", "stats").out == f"No answers are cached in {file}.\n"
    assert json.loads(quick("cache", "stats", "--json").out)["answers"] == 0
    assert not file.exists()


@pytest.mark.parametrize("arguments", [["stats"], ["prune", "--max-mb", "1"], ["export", "out.jsonl"]])
def test_a_cache_that_is_not_there_is_one_clear_error(quick: Any, tmp_path: Path, arguments: list[str]) -> None:
    assert "none.sqlite3: no such file" in quick("cache", *arguments, "--cache", "none.sqlite3", status=2).err
    assert not (tmp_path / "none.sqlite3").exists()
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_of_something_else_is_refused_and_stays_as_it_is(quick: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite3"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE answers (key TEXT)")
    connection.close()
    text = tmp_path / "text"
    text.write_text("no database " * 1000)
    (tmp_path / "in.jsonl").write_text("")
    for file in (other, text):
        before = file.read_bytes()
        for command in (["stats"], ["prune", "--max-mb", "1"], ["import", "in.jsonl"], ["export", "out.jsonl"]):
            message = quick("cache", *command, "--cache", file, status=2).err
            assert message.startswith(f"Error: {file}: is ")
            assert "cache of answers" in message
        assert file.read_bytes() == before


def test_what_is_exported_can_be_imported(quick: Any, cache_file: Path, tmp_path: Path) -> None:
    output = quick("cache", "export", "out.jsonl", "--cache", cache_file).out
    assert output == "Wrote 35 answers to out.jsonl. Read them back with: emosim cache import out.jsonl\n"
    assert "out.jsonl exists already" in quick("cache", "export", "out.jsonl", "--cache", cache_file, status=2).err
    quick("cache", "export", "out.jsonl", "--cache", cache_file, "--force")
    assert quick("cache", "import", "out.jsonl").out == "Added 35 answers; 0 were there already\n"
    assert quick("cache", "import", "out.jsonl").out == "Added 0 answers; 35 were there already\n"
    imported = json.loads(quick("cache", "stats", "--json").out)
    assert imported["models"] == json.loads(quick("cache", "stats", "--cache", cache_file, "--json").out)["models"]
    quick("cache", "export", "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


def test_a_malformed_line_is_one_error_that_names_it_and_nothing_is_imported(quick: Any, cache_file: Path) -> None:
    quick("cache", "export", "out.jsonl", "--cache", cache_file)
    lines = Path("out.jsonl").read_text().splitlines()
    lines[20] = lines[20].replace('"max_tokens":512', '"max_tokens":"many"')
    Path("out.jsonl").write_text("\n".join(lines))
    message = quick("cache", "import", "out.jsonl", status=2).err
    assert (
        message
        == "Error: out.jsonl, row 21: is not a cached answer: request.max_tokens: Input should be a valid integer\n"
    )
    assert json.loads(quick("cache", "stats", "--json").out)["answers"] == 0
    assert "none.jsonl: no such file" in quick("cache", "import", "none.jsonl", status=2).err


def test_answers_are_removed_by_model_by_age_and_by_size(quick: Any, tmp_path: Path, cache_file: Path) -> None:
    pruned = ("cache", "prune", "--cache", cache_file)
    assert "Removed 0 answers; 35 answers left" in quick(*pruned, "--older-than", "1").out
    with sqlite3.connect(cache_file) as connection:
        connection.execute("UPDATE answers SET created = created - 86400 * id")
    connection.close()
    output = quick(*pruned, "--older-than", "10.5", "--model", "a model").out
    assert output.startswith("Removed 20 answers; 15 answers left, ")
    assert "say which answers to remove" in quick(*pruned, status=2).err
    assert "Removed 5 answers; " in quick(*pruned, "--model", "another model").out
    assert "0 answers left" in quick(*pruned, "--max-mb", "0").out
    assert "Invalid value" in quick(*pruned, "--max-mb", "-1", status=2).err


def test_pruning_by_size_keeps_the_newest_answers_and_shrinks_the_file(tmp_path: Path, quick: Any) -> None:
    path = tmp_path / "large.sqlite3"
    keys = fill(path, 3000)
    before = path.stat().st_size
    quick("cache", "prune", "--cache", path, "--max-mb", before / 2 / 1024 / 1024)
    assert path.stat().st_size <= before / 2
    cache = AnswerCache(path)
    remaining = cache.get_many(keys)
    cache.close()
    assert 1000 < len(remaining) < 1700
    assert set(remaining) == set(keys[-len(remaining) :])


def test_the_help_needs_no_database_and_no_numpy() -> None:
    code = "import sys; import emosim_core.cli.cache; print({'sqlite3', 'numpy', 'asyncio'} & set(sys.modules))"
    assert in_new_process(code).stdout == "set()\n"
