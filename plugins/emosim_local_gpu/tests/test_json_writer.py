"""JsonWriter: whatever the model, the text parses and fits its schema."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pytest
from emosim_local_gpu.backend import LocalBackend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emosim_core.llm import ChatAnswer, ChatRequest

Make = Callable[..., LocalBackend]
Ask = Callable[..., list[ChatRequest]]

REASONS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "reasons": {"type": "array", "items": {"type": "string", "maxLength": 30}, "minItems": 1, "maxItems": 3},
        "rating": {"type": "string", "enum": ["1", "2", "3", "10"]},
    },
    "required": ["reasons", "rating"],
    "additionalProperties": False,
}
NUMBER: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 3, "maxLength": 12, "title": "Name"},
        "rating": {"type": "integer", "minimum": 1, "maximum": 12},
    },
    "required": ["name", "rating"],
    "additionalProperties": False,
}


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value is of a shape, said apart from how it is written."""
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type")
    if kind == "string":
        return isinstance(value, str) and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**6)
    if kind in ("integer", "number"):
        of_kind = type(value) is int or (kind == "number" and isinstance(value, float))
        return of_kind and schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "array":
        few = isinstance(value, list) and schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**6)
        return few and all(fits(one, schema["items"]) for one in value)
    if "anyOf" in schema:
        return any(fits(value, one) for one in schema["anyOf"])
    if not isinstance(value, dict):
        return False
    properties = schema.get("properties", {})
    known = [name for name in properties if name in value]
    more = len(value) > len(known) and schema.get("additionalProperties") is False
    every = set(schema.get("required", ())) <= set(value)
    return every and not more and all(fits(value[name], properties[name]) for name in known)


def written(local: LocalBackend, requests: list[ChatRequest]) -> list[ChatAnswer]:
    answers = [answer for answer in local.answer_batch(requests) if isinstance(answer, ChatAnswer)]
    assert len(answers) == len(requests)
    return answers


@pytest.mark.parametrize("kind", ["merged", "bytes", "plain", "sliding"])
@pytest.mark.parametrize("schema", [REASONS, NUMBER], ids=["reasons", "number"])
def test_answers_parse_and_fit(kind: str, schema: Mapping[str, Any], backend: Make, questions: Ask) -> None:
    local, lengths = backend(kind), set()
    for seed in range(2):
        for temperature in (0.0, 2.0):
            requests = questions(4, max_tokens=80, schema=schema, temperature=temperature, seed=seed)
            for answer in written(local, requests):
                value = json.loads(answer.text)
                assert fits(value, schema), answer.text
                lengths.add(len(value.get("reasons", "")))
                assert answer.usage.completion > 5
    if schema is REASONS and kind in ("merged", "bytes"):
        assert len(lengths) > 1


def test_every_value_that_is_allowed_can_come(backend: Make, questions: Ask) -> None:
    local, schema = backend("bytes"), NUMBER["properties"]["rating"]
    requests = [one for seed in range(60) for one in questions(5, schema=schema, temperature=30.0, seed=seed)]
    assert {json.loads(answer.text) for answer in written(local, requests)} == set(range(1, 13))


@pytest.mark.parametrize("kind", ["merged", "sliding"])
def test_a_batch_writes_what_its_questions_get_one_by_one(kind: str, backend: Make, questions: Ask) -> None:
    requests = questions(4, max_tokens=60, schema=REASONS, temperature=1.0, seed=3)
    alone = backend(kind, prefix_sharing=False)
    apart = [answer.text for one in requests for answer in written(alone, [one])]
    assert [answer.text for answer in written(backend(kind), requests)] == apart


def test_an_answer_that_must_end_ends_well(backend: Make, questions: Ask) -> None:
    for answer in written(backend("merged"), questions(3, max_tokens=1, schema=REASONS, temperature=1.0, seed=1)):
        assert fits(json.loads(answer.text), REASONS)
        assert not answer.finished


STRINGS = st.fixed_dictionaries(
    {"type": st.just("string"), "minLength": st.integers(0, 3), "maxLength": st.integers(3, 12)}
)
NUMBERS = st.tuples(st.sampled_from(["integer", "number"]), st.integers(-3, 120), st.integers(0, 15)).map(
    lambda of: {"type": of[0], "minimum": of[1], "maximum": of[1] + of[2]}
)
LISTED = st.lists(
    st.one_of(st.text(max_size=4), st.integers(-20, 200), st.none(), st.booleans()), min_size=1, max_size=5
).map(lambda values: {"enum": values})
LEAVES = st.one_of(
    STRINGS,
    NUMBERS,
    LISTED,
    st.sampled_from(["boolean", "integer", "number", "string"]).map(lambda kind: {"type": kind}),
    st.just({"const": 'a "quoted" \\ one'}),
)
SHAPES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.dictionaries(st.text(max_size=5), inner, max_size=3), st.booleans(), st.booleans()).map(
            lambda of: {
                "type": "object",
                "properties": of[0],
                "required": list(of[0])[: None if of[1] else 1],
                "additionalProperties": of[2],
            }
        ),
        st.tuples(inner, st.integers(0, 2), st.integers(0, 2)).map(
            lambda of: {"type": "array", "items": of[0], "minItems": of[1], "maxItems": of[1] + of[2]}
        ),
        inner.map(lambda shape: {"type": "array", "items": shape}),
        st.tuples(inner, inner).map(lambda of: {"anyOf": list(of)}),
    ),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schema=SHAPES, seed=st.integers(0, 99), most=st.integers(1, 60))
def test_every_shape_is_written_as_it_is(
    schema: dict[str, Any], seed: int, most: int, one_model: LocalBackend, question: Callable[..., ChatRequest]
) -> None:
    request = question("Write.", schema=schema, seed=seed, temperature=2.0, max_tokens=most)
    (answer,) = written(one_model, [request])
    assert fits(json.loads(answer.text), schema), (schema, answer.text)


@pytest.fixture(scope="module")
def one_model(models: Callable[[str], Any]) -> LocalBackend:
    from emosim_local_gpu.options import LocalOptions

    return LocalBackend(LocalOptions(model=str(models("merged")), device="cpu"))


def test_references_patterns_and_formats_are_kept(
    one_model: LocalBackend, question: Callable[..., ChatRequest]
) -> None:
    node = {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date"},
            "mark": {"type": "string", "pattern": "^[a-c]{2}-[0-9]+$"},
            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        },
        "required": ["day", "mark", "next"],
        "additionalProperties": False,
    }
    request = question("Write.", schema={"$ref": "#/$defs/node", "$defs": {"node": node}}, seed=1, temperature=1.0)
    (answer,) = written(one_model, [request])
    value, depth = json.loads(answer.text), 0
    while value is not None:
        assert re.fullmatch(r"[a-c]{2}-[0-9]+", value["mark"])
        date.fromisoformat(value["day"])
        value, depth = value["next"], depth + 1
    assert depth


def test_strings_may_have_any_character(backend: Make, questions: Ask) -> None:
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 2}
    requests = [one for seed in range(4) for one in questions(4, schema=schema, temperature=2.0, seed=seed)]
    text = "".join(one for answer in written(backend("bytes"), requests) for one in json.loads(answer.text))
    assert not text.isascii()
    assert "\ufffd" not in text


def test_a_schema_that_no_short_text_fits_is_cut_off(backend: Make, questions: Ask) -> None:
    schema = {"type": "string", "minLength": 5000}
    for answer in written(backend("merged"), questions(1, max_tokens=10, schema=schema)):
        assert not answer.finished
        assert answer.usage.completion == 10 + 1000


@pytest.mark.parametrize(
    ("kind", "schema", "says"),
    [
        ("merged", {"$ref": "#/$defs/A"}, "does not exist"),
        ("merged", {"type": "object", "properties": {"a": {"anyOf": []}}, "required": ["a"]}, "unsatisfiable"),
        ("merged", {"type": "string", "pattern": "(?=a)b"}, "look-around"),
        ("merged", {"type": "array", "items": {}, "minItems": 3, "maxItems": 1}, "minItems"),
        ("words", REASONS, "tokenizer"),
    ],
)
def test_a_schema_that_cannot_be_kept_is_answered_freely_and_said_once(
    kind: str, schema: dict[str, Any], says: str, backend: Make, questions: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "emosim_local_gpu"):
        free = written(backend(kind), questions(2, max_tokens=6))
        answers = written(backend(kind), questions(2, max_tokens=6, schema=schema))
    assert [answer.text for answer in answers] == [answer.text for answer in free]
    (warning,) = (one.message for one in caplog.records if "schema of answers is not enforced" in one.message)
    assert says in warning
