"""AnswerCache and its keys: what is kept, in real files, by several threads and processes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.answers import answer_cache_key, put_many
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.errors import ConfigurationError, DataError
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.gateway import cache as llm_cache
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.llm.gateway.cache_lines import CachedAnswer, read_line, request_json, request_of, write_line

IDENTITY = "a service a-model thinking=off"

texts = st.text(st.characters(blacklist_categories=())) | st.text("ab'\\ \n", max_size=4)
encodable = st.text()
counts = st.integers(0, 2**40)
schemas = st.none() | st.dictionaries(
    encodable,
    st.recursive(st.none() | st.booleans() | st.integers() | encodable, lambda one: st.lists(one)),
    max_size=4,
)


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    message = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), encodable)
    choices = tuple(draw(st.lists(encodable, max_size=3)))
    return ChatRequest(
        tuple(draw(st.lists(message, min_size=1, max_size=3))),
        max_tokens=draw(st.integers(1, 10**6)),
        temperature=draw(st.floats(0, 10)),
        choices=choices,
        schema=None if choices else draw(schemas),
        sample=draw(st.integers(0, 10)),
        seed=draw(st.none() | st.integers(-(2**63), 2**63)),
        opening=draw(encodable) if choices else "",
    )


answers = st.builds(
    ChatAnswer,
    texts,
    texts,
    texts,
    st.builds(Usage.reported, counts, counts, counts, counts),
    st.dictionaries(texts, st.floats(0, 1), max_size=3),
    st.booleans(),
)


def question(number: int) -> ChatRequest:
    return ChatRequest((Message("user", f"How good is film {number}?"),))


def entry(number: int, text: str = "7") -> tuple[str, str, ChatRequest, ChatAnswer]:
    return answer_cache_key(IDENTITY, question(number)), IDENTITY, question(number), ChatAnswer(text)


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    made = AnswerCache(tmp_path / "deep" / "folder" / "llm.sqlite3")
    yield made
    made.close()


# ------------------------------------------------------------------------------------------------- keys


@given(requests())
def test_equal_questions_have_equal_keys(request: ChatRequest) -> None:
    again = request_of(json.loads(request_json(request)))
    assert again == request
    assert answer_cache_key(IDENTITY, again) == answer_cache_key(IDENTITY, request)
    if request.schema is not None:
        turned = dataclasses.replace(request, schema=dict(reversed(request.schema.items())))
        assert answer_cache_key(IDENTITY, turned) == answer_cache_key(IDENTITY, request)


@given(requests())
def test_a_request_without_an_opening_is_written_as_before_there_were_any(request: ChatRequest) -> None:
    assert ("opening" in json.loads(request_json(request))) is bool(request.opening)


@given(requests(), requests(), encodable, encodable)
def test_different_questions_have_different_keys(one: ChatRequest, other: ChatRequest, first: str, second: str) -> None:
    same = request_json(one) == request_json(other) and first == second
    assert (answer_cache_key(first, one) == answer_cache_key(second, other)) == same
    if one != other:
        assert request_json(one) != request_json(other)


@given(requests(), st.data())
def test_any_change_gives_another_key(request: ChatRequest, data: st.DataObject) -> None:
    message = request.messages[0]
    changes: dict[str, dict[str, Any]] = {
        "content": {"messages": (Message(message.role, message.content + "x"), *request.messages[1:])},
        "role": {
            "messages": (
                Message("user" if message.role != "user" else "system", message.content),
                *request.messages[1:],
            )
        },
        "more": {"messages": (*request.messages, Message("user", ""))},
        "max_tokens": {"max_tokens": request.max_tokens + 1},
        "temperature": {"temperature": request.temperature + 0.25},
        "choices": {"choices": (*request.choices, "x"), "schema": None},
        "schema": {"schema": {**(request.schema or {}), "new": data.draw(encodable)}, "choices": (), "opening": ""},
        "sample": {"sample": request.sample + 1},
        "seed": {"seed": 0 if request.seed is None else None},
        "opening": {"opening": f"{request.opening}x", "choices": request.choices or ("y",), "schema": None},
    }
    keys = {answer_cache_key(IDENTITY, request), answer_cache_key(IDENTITY + "x", request)}
    for change in changes.values():
        changed = dataclasses.replace(request, **change)
        if changed != request:
            keys.add(answer_cache_key(IDENTITY, changed))
    assert len(keys) >= 2 + len(changes) - 1


def test_numbers_that_are_equal_have_one_key() -> None:
    one = (Message("user", "x"),)
    assert len({answer_cache_key(IDENTITY, ChatRequest(one, temperature=t)) for t in (0, 0.0, -0.0)}) == 1


def test_a_schema_that_is_no_json_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="holds a set, which is not a JSON type"):
        answer_cache_key(IDENTITY, ChatRequest((Message("user", "x"),), schema={"a": {1}}))


# ---------------------------------------------------------------------------------- keeping and looking up


@given(st.lists(st.tuples(requests(), answers), max_size=5, unique_by=lambda pair: request_json(pair[0])))
def test_what_is_cached_is_found_as_it_was(pairs: list[tuple[ChatRequest, ChatAnswer]]) -> None:
    cache = AnswerCache(":memory:")
    cache._connection = cache._open()
    keys = [answer_cache_key(IDENTITY, request) for request, _ in pairs]
    assert cache.get_many(keys) == {}
    put_many(cache, [(key, IDENTITY, request, answer) for key, (request, answer) in zip(keys, pairs, strict=True)])
    assert cache.get_many(["0" * 64, *keys]) == {key: answer for key, (_, answer) in zip(keys, pairs, strict=True)}
    cache.close()


@given(requests(), answers, encodable.filter(bool))
def test_a_line_says_all_of_a_cached_answer(request: ChatRequest, answer: ChatAnswer, identity: str) -> None:
    line = write_line(CachedAnswer(identity, request, answer, 12345))
    assert line.isascii()
    assert line.count("\n") == 1
    assert read_line(line) == (identity, request, answer, 12345)


def test_many_answers_are_found_in_one_look_up(cache: AnswerCache) -> None:
    entries = [entry(i, str(i)) for i in range(2500)]
    put_many(cache, entries)
    found = cache.get_many([key for key, *_ in entries])
    assert [found[key].text for key, *_ in entries] == [str(i) for i in range(2500)]


def test_the_first_answer_stays_and_is_reported(cache: AnswerCache, tmp_path: Path) -> None:
    assert put_many(cache, [entry(1, "first")]) == {}
    other = AnswerCache(cache.path)
    there = put_many(other, [entry(1, "second"), entry(2, "new")])
    assert {answer.text for answer in there.values()} == {"first", "new"}
    assert there[entry(1)[0]].text == "first"
    other.close()


def test_threads_keep_and_find_at_the_same_time(cache: AnswerCache) -> None:
    def work(worker: int) -> None:
        for i in range(50):
            one = entry(worker * 1000 + i)
            put_many(cache, [one, entry(i, "shared")])
            assert len(cache.get_many([one[0], entry(i)[0]])) == 2

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.stats()["answers"] == 4 * 50 + 50


PUT = """
import sys
from fixtures.answers import put_many
from tests_entry import entry
from emosim_core.llm.gateway import cache as llm_cache
from emosim_core.llm.gateway.cache import AnswerCache
cache = AnswerCache(sys.argv[1])
for i in range(int(sys.argv[2]), int(sys.argv[3])):
    put_many(cache, [entry(i, str(i))])
    print(i, flush=True)
"""


def start(tmp_path: Path, path: Path, first: int, end: int) -> subprocess.Popen[str]:
    """A process of its own that keeps answers one after the other, and prints the number of each that it kept."""
    (tmp_path / "tests_entry.py").write_text(
        "from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message\n"
        "from fixtures.answers import answer_cache_key\n"
        f"IDENTITY = {IDENTITY!r}\n"
        "def entry(i, text):\n"
        "    question = ChatRequest((Message('user', f'How good is film {i}?'),))\n"
        "    return answer_cache_key(IDENTITY, question), IDENTITY, question, ChatAnswer(text)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    return subprocess.Popen(
        [sys.executable, "-c", PUT, str(path), str(first), str(end)], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_processes_that_make_and_fill_one_file_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite3"
    with start(tmp_path, path, 0, 200) as one, start(tmp_path, path, 100, 300) as other:
        assert len(one.communicate()[0].split()) == len(other.communicate()[0].split()) == 200
    assert one.returncode == other.returncode == 0
    cache = AnswerCache(path)
    found = cache.get_many([entry(i)[0] for i in range(300)])
    assert sorted(int(answer.text) for answer in found.values()) == list(range(300))
    cache.close()


def test_what_was_cached_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "killed.sqlite3"
    with start(tmp_path, path, 0, 10**6) as process:
        assert process.stdout is not None
        cached = [int(process.stdout.readline()) for _ in range(50)]
        process.kill()
        cached += [int(line) for line in process.stdout.read().split()]
    cache = AnswerCache(path)
    assert len(cache.get_many([entry(i)[0] for i in cached])) == len(cached)
    put_many(cache, [entry(-1)])
    cache.close()


# --------------------------------------------------------------------------------------- files that will not do


def test_a_damaged_file_is_one_clear_error(cache: AnswerCache) -> None:
    put_many(cache, [entry(i) for i in range(200)])
    cache.close()
    content = bytearray(cache.path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    cache.path.write_bytes(content)
    with pytest.raises(DataError, match=r"llm\.sqlite3: is damaged, or no cache of answers \(.*\)\. Choose another"):
        cache.get_many([entry(1)[0]])
    with pytest.raises(DataError, match="is damaged"):
        put_many(cache, [entry(i) for i in range(1000, 1200)])


def test_a_row_that_is_damaged_is_one_clear_error(cache: AnswerCache) -> None:
    put_many(cache, [entry(1)])
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE answers SET answer = '{'")
    connection.close()
    with pytest.raises(DataError, match="is damaged"):
        cache.get_many([entry(1)[0]])


def test_a_file_of_a_newer_version_is_refused(cache: AnswerCache) -> None:
    put_many(cache, [entry(1)])
    cache.close()
    with sqlite3.connect(cache.path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(DataError, match="has the format 9 of a newer EmoSim; this one reads up to 2"):
        cache.get_many([entry(1)[0]])


@pytest.mark.parametrize("after", range(8))
def test_a_file_that_another_process_makes_at_the_same_moment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    statements: list[str] = []

    class Interrupted(sqlite3.Connection):
        def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
            if len(statements) == after:
                with contextlib.suppress(sqlite3.OperationalError):  # the file is locked: the other process waits
                    make_file()
            statements.append(sql)
            return super().execute(sql, *more)

    def make_file() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            llm_cache._set_up(other)

    path = tmp_path / "llm.sqlite3"
    monkeypatch.setattr(llm_cache, "_BUSY_SECONDS", 0)
    monkeypatch.setattr(llm_cache, "_connect", lambda *_, **__: sqlite3.connect(path, 0, 0, None, False, Interrupted))
    cache = AnswerCache(path)
    assert cache.get_many(["x"]) == {}
    assert len(statements) > after
    cache.close()


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="its folder cannot be made: Not a directory"):
        AnswerCache(tmp_path / "file" / "deep" / "llm.sqlite3").get_many(["x"])
    (tmp_path / "llm.sqlite3").mkdir()
    with pytest.raises(DataError, match="the cache of answers cannot be read: unable to open database file"):
        AnswerCache(tmp_path / "llm.sqlite3").get_many(["x"])


@pytest.fixture
def read_only(cache: AnswerCache) -> Iterator[AnswerCache]:
    """A cache with the answer to question 1, in a folder that cannot be written."""
    put_many(cache, [entry(1)])
    cache.close()
    cache.path.parent.chmod(0o555)
    cache.path.chmod(0o444)
    yield cache
    cache.path.parent.chmod(0o755)


def test_a_folder_that_cannot_be_written_will_do_for_reading_only(read_only: AnswerCache) -> None:
    reading = AnswerCache(read_only.path, read_only=True)
    assert list(reading.get_many([entry(1)[0], entry(2)[0]])) == [entry(1)[0]]
    assert reading.stats()["answers"] == 1
    with pytest.raises(DataError, match="was opened for reading only"):
        put_many(reading, [entry(2)])
    reading.close()


def test_a_folder_that_cannot_be_written_is_one_clear_error(read_only: AnswerCache) -> None:
    if os.access(read_only.path.parent, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(DataError, match="cannot be written: attempt to write a readonly database"):
        put_many(read_only, [entry(2)])
    with pytest.raises(DataError, match="cannot be written: unable to open database file"):
        put_many(AnswerCache(read_only.path.parent / "new.sqlite3"), [entry(2)])


def test_reading_only_finds_nothing_where_no_file_is_and_makes_none(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "none.sqlite3", read_only=True)
    assert cache.get_many([entry(1)[0]]) == {}
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------------------- carrying and pruning


def test_an_export_read_elsewhere_holds_the_same_answers(cache: AnswerCache, tmp_path: Path) -> None:
    odd = ChatAnswer("\ud83d half\n", "why", "m", Usage(4, 3, 2, 1), {"1": 0.25, "2": 0.75}, finished=False)
    put_many(cache, [entry(i, str(i)) for i in range(1200)])
    put_many(cache, [(answer_cache_key(IDENTITY, question(-1)), IDENTITY, question(-1), odd)])
    assert cache.export(tmp_path / "out.jsonl") == 1201
    other = AnswerCache(tmp_path / "other.sqlite3")
    put_many(other, [entry(5, "another")])
    assert other.import_(tmp_path / "out.jsonl") == (1200, 1)
    found = other.get_many([answer_cache_key(IDENTITY, question(i)) for i in range(-1, 1200)])
    assert found[answer_cache_key(IDENTITY, question(-1))] == odd
    assert found[entry(5)[0]].text == "another"
    assert found[entry(6)[0]].text == "6"
    other.close()


def test_an_export_that_cannot_be_written_leaves_nothing(cache: AnswerCache, tmp_path: Path) -> None:
    put_many(cache, [entry(1)])
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder: cannot be written"):
        cache.export(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "folder"]


GOOD = json.loads(write_line(CachedAnswer(IDENTITY, question(1), ChatAnswer("7"), 1)))


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "Input should be a valid dictionary"),
        ({**GOOD, "more": 1}, "more: Extra inputs are not permitted"),
        ({**GOOD, "identity": ""}, "identity: String should have at least 1 character"),
        ({**GOOD, "created": 1.5}, "created: Input should be a valid integer"),
        (
            {**GOOD, "usage": {**GOOD["usage"], "prompt": -1}},
            "usage.prompt.*greater than or equal to 0",
        ),
        ({**GOOD, "usage": {**GOOD["usage"], "prompt": True}}, "usage.prompt: Input should be a valid integer"),
        ({**GOOD, "answer": {"text": None}}, "answer.text.*an instance of str"),
        (
            {**GOOD, "answer": {"text": "x", "probabilities": {"1": "all"}}},
            "answer.probabilities.1.*a valid number",
        ),
        ({**GOOD, "answer": {"text": "x", "probabilities": {"1": float("nan")}}}, "NaN is no finite number"),
        ({**GOOD, "request": {**GOOD["request"], "messages": []}}, "at least one message"),
        (
            {**GOOD, "request": {**GOOD["request"], "messages": [{"role": "god", "content": ""}]}},
            "messages.0.role",
        ),
        (
            {**GOOD, "request": {**GOOD["request"], "choices": [1]}},
            "request.choices.0.*an instance of str",
        ),
        ({**GOOD, "request": {**GOOD["request"], "schema": []}}, "request.schema: Input should be a valid dictionary"),
        (
            {**GOOD, "request": {**GOOD["request"], "temperature": "0"}},
            "request.temperature.*a valid number",
        ),
        ({**GOOD, "request": {**GOOD["request"], "temperature": -1}}, "temperature and sample are at least 0"),
        ({**GOOD, "request": {**GOOD["request"], "seed": 0.5}}, "request.seed: Input should be a valid integer"),
        ({**GOOD, "request": {}}, "request.messages: Field required"),
        (b'\xff{"identity"', "is not UTF-8"),
    ],
)
def test_a_malformed_line_is_one_error_that_names_it(
    cache: AnswerCache, tmp_path: Path, line: object, outcome: str
) -> None:
    wrong = line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
    (tmp_path / "in.jsonl").write_bytes(json.dumps(GOOD).encode() + b"\n\n" + wrong + b"\n")
    with pytest.raises(DataError, match=rf"in\.jsonl, row 3: .*{outcome}"):
        cache.import_(tmp_path / "in.jsonl")
    assert cache.stats()["answers"] == 0


def test_pruning_needs_to_be_reported_what(cache: AnswerCache) -> None:
    with pytest.raises(ConfigurationError, match="say which answers to remove"):
        cache.prune()


def test_pruning_beside_a_process_that_reads_and_writes_is_safe(cache: AnswerCache) -> None:
    put_many(cache, [entry(i) for i in range(500)])
    other = AnswerCache(cache.path)
    assert len(other.get_many([entry(i)[0] for i in range(500)])) == 500
    assert cache.prune(max_mb=0).remaining == 0
    assert other.get_many([entry(1)[0]]) == {}
    put_many(other, [entry(1)])
    assert list(cache.get_many([entry(1)[0]])) == [entry(1)[0]]
    other.close()
