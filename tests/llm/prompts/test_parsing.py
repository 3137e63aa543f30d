"""Strict parsing: what counts as an answer, and that nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.llm import LLMMalformedError
from emosim_core.llm.prompts.parsing import answer_schema, read_label, read_object
from emosim_core.llm.prompts.scales import PROMPT_SCALES, PromptScale

DIGITS, TEN, WORDS, FIVE = (PROMPT_SCALES[name] for name in ("0-9", "1-10", "one-ten", "1-5"))
prompt_scales = st.sampled_from(list(PROMPT_SCALES.values()))


@pytest.mark.parametrize(
    ("text", "scale", "label"),
    [
        ("7", DIGITS, "7"),
        ("  7\n", DIGITS, "7"),
        ("7.", DIGITS, "7"),
        ('"7"', DIGITS, "7"),
        ('"7."', DIGITS, "7"),
        ("'7'.", DIGITS, "7"),
        ("`7`", DIGITS, "7"),
        ("\u201c7\u201d", DIGITS, "7"),
        ("10", TEN, "10"),
        ("10.", TEN, "10"),
        ("seven", WORDS, "seven"),
        ("Seven.", WORDS, "seven"),
        ("TEN", WORDS, "ten"),
    ],
)
def test_a_rating_alone_is_read(text: str, scale: PromptScale, label: str) -> None:
    assert read_label(text, scale) == label


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("", DIGITS),
        ("   ", DIGITS),
        (".", DIGITS),
        ('""', DIGITS),
        ("Reasoning: 1. The film is about a child", DIGITS),
        ("8.5", DIGITS),
        ("8,5", DIGITS),
        ("8.0", DIGITS),
        ("10", DIGITS),
        ("0", TEN),
        ("11", TEN),
        ("6", FIVE),
        ("7", WORDS),
        ("seven", DIGITS),
        ("seven", TEN),
        ("7/10", TEN),
        ("7 out of 10", TEN),
        ("I'd say 7", DIGITS),
        ("Rating: 7", DIGITS),
        ("7!", DIGITS),
        ("7..", DIGITS),
        ("''7''", DIGITS),
        ("'7\"", DIGITS),
        ("**7**", DIGITS),
        ("-7", DIGITS),
        ("+7", DIGITS),
        ("07", DIGITS),
        ("7\n7", DIGITS),
        ("7 8", DIGITS),
        ("\u0667", DIGITS),
        ("\uff17", DIGITS),
        ("\u00b2", DIGITS),
        ('{"rating": 7}', DIGITS),
        ("I cannot rate this.", DIGITS),
        ("7" * 10_000_000, DIGITS),
    ],
)
def test_anything_else_is_no_rating(text: str, scale: PromptScale) -> None:
    with pytest.raises(LLMMalformedError) as caught:
        read_label(text, scale)
    assert f"expected {scale.listed()}, and nothing else" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_message_says_what_came_and_what_is_expected() -> None:
    with pytest.raises(LLMMalformedError) as caught:
        read_label("I'd say 4", FIVE)
    assert str(caught.value) == 'the answer is "I\'d say 4"; expected one of 1, 2, 3, 4 or 5, and nothing else'
    with pytest.raises(LLMMalformedError, match="the answer is empty; expected"):
        read_label(" ", FIVE)


@given(st.text(), prompt_scales)
def test_text_is_read_only_where_it_is_a_label_but_for_its_dress(text: str, scale: PromptScale) -> None:
    try:
        label = read_label(text, scale)
    except LLMMalformedError:
        return
    assert text.strip(" \t\n\r\f\v.'\"`\u201c\u201d\u2018\u2019" + "\x1c\x1d\x1e\x1f\x85\xa0").strip().lower() == label


@given(st.floats(allow_nan=False), prompt_scales)
def test_a_number_that_is_no_label_is_never_rounded_to_one(number: float, scale: PromptScale) -> None:
    for text in (repr(number), f"{number:g}"):
        if text not in scale.labels:
            with pytest.raises(LLMMalformedError):
                read_label(text, scale)


@pytest.mark.parametrize(
    ("text", "scale", "key", "label", "reasons"),
    [
        ('{"reason": "dull", "rating": 2}', DIGITS, "reason", "2", ["dull"]),
        ('{"rating": "2", "reason": " dull "}', DIGITS, "reason", "2", ["dull"]),
        ('```json\n{"reason": "dull", "rating": 2}\n```', DIGITS, "reason", "2", ["dull"]),
        ('```\n{"reason": "dull", "rating": 2}\n```\n', DIGITS, "reason", "2", ["dull"]),
        ('{"reasons": ["a", "b", "c"], "rating": 10}', TEN, "reasons", "10", ["a", "b", "c"]),
        ('{"reasons": ["a"], "rating": "Ten"}', WORDS, "reasons", "ten", ["a"]),
        ('\n {"reasons": ["a"], "rating": 2.0}', DIGITS, "reasons", "2", ["a"]),
    ],
)
def test_an_object_is_read(text: str, scale: PromptScale, key: str, label: str, reasons: list[str]) -> None:
    assert read_object(text, scale, key) == (label, reasons)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "null",
        "[]",
        '[{"reasons": ["a"], "rating": 7}]',
        '{"reasons": ["a"]}',
        '{"rating": 7}',
        '{"reasons": ["a"], "rating": 7, "more": 1}',
        '{"reason": "a", "rating": 7}',
        '{"reasons": "a", "rating": 7}',
        '{"reasons": [], "rating": 7}',
        '{"reasons": ["a", "b", "c", "d"], "rating": 7}',
        '{"reasons": [""], "rating": 7}',
        '{"reasons": [1], "rating": 7}',
        '{"reasons": ["a"], "rating": 7.5}',
        '{"reasons": ["a"], "rating": 10}',
        '{"reasons": ["a"], "rating": -1}',
        '{"reasons": ["a"], "rating": true}',
        '{"reasons": ["a"], "rating": null}',
        '{"reasons": ["a"], "rating": [7]}',
        '{"reasons": ["a"], "rating": "seven"}',
        '{"reasons": ["a"], "rating": "7/10"}',
        '{"reasons": ["a"], "rating": NaN}',
        '{"reasons": ["a"], "rating": Infinity}',
        '{"reasons": ["a"], "rating": 1e400}',
        '{"reasons": ["a"], "rating": 1, "rating": 9}',
        '{"reasons": ["a"], "rating": 7',
        '{"reasons": ["a"], "rating": 7} and so on',
        'Here it is: {"reasons": ["a"], "rating": 7}',
        '```json {"reasons": ["a"], "rating": 7}```',
        '{"reasons": ["a"], "rating": 7}\n{"reasons": ["a"], "rating": 8}',
        '{"reasons": ["a"], "rating": ' + "9" * 5000 + "}",
        '{"reasons": ["a"], "rating": ' + "[" * 2000 + "]" * 2000 + "}",
        '{"reasons": ' + "[" * 400 + "]" * 400 + ', "rating": 7}',
        '{"reasons": ["a"], "rating": 7' + " " * 10_000_000 + "}",
        "{" * 40_000,
    ],
)
def test_anything_else_is_no_object(text: str) -> None:
    with pytest.raises(LLMMalformedError, match="expected one JSON object") as caught:
        read_object(text, DIGITS, "reasons")
    assert len(str(caught.value)) < 400


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-2, 12) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["reasons", "rating", "x"]), inner),
)


@given(json_values, prompt_scales)
def test_whatever_json_comes_a_rating_is_a_label(value: Any, scale: PromptScale) -> None:
    for text in (json.dumps(value), json.dumps({"reasons": ["a"], "rating": value})):
        try:
            label, reasons = read_object(text, scale, "reasons")
        except LLMMalformedError:
            continue
        assert label in scale.labels
        assert reasons == ["a"] or all(reasons)


@pytest.mark.parametrize("key", ["reason", "reasons"])
@pytest.mark.parametrize("scale", PROMPT_SCALES.values(), ids=str)
def test_what_the_schema_allows_is_read(scale: PromptScale, key: str) -> None:
    schema = answer_schema(scale, key)
    assert list(schema["properties"]) == schema["required"] == [key, "rating"]
    assert schema["additionalProperties"] is False
    labels = schema["properties"]["rating"]["enum"]
    assert len(labels) == len(scale.labels)
    for label in labels:
        text = json.dumps({key: "a" if key == "reason" else ["a"], "rating": label})
        assert read_object(text, scale, key)[0] == str(label)
