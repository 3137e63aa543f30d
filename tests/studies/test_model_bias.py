"""Changes of requests change what they say they change, and nothing else."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from emosim_core.llm import ChatRequest, Message
from emosim_core.llm.prompts.fencing import fence, one_line
from emosim_core.studies import model_bias

LINES = st.lists(st.text(max_size=20).map(one_line).filter(bool), min_size=1, max_size=4)


def request(person: list[str], history: list[str], item: list[str], before: str = "Rate the film.") -> ChatRequest:
    text = fence("person", person) + fence("history", history) + fence("item", item)
    return ChatRequest((Message("system", before), Message("user", text)), choices=("1", "5"))


@given(LINES, LINES, LINES)
def test_facts_reversed_twice_are_as_they_were_and_memories_stay(
    person: list[str], history: list[str], item: list[str]
) -> None:
    asked = request(person, history, item)
    once = model_bias.facts_reversed(asked)
    assert once in (None, request(person[::-1], history, item[::-1]))
    if once is not None:
        assert model_bias.facts_reversed(once) == asked


@given(LINES, LINES, LINES)
def test_other_words_leave_data_as_it_is(person: list[str], history: list[str], item: list[str]) -> None:
    data = ["a film rated excellent", *item]
    changed = model_bias.reworded(request(person, history, data))
    assert changed == request(person, history, data, before="Rate the movie.")
    assert model_bias.reworded(request(person, history, data, before="0")) is None


def test_a_hidden_title_is_hidden_in_the_item_alone() -> None:
    asked = request(["Ada"], ["- Up (rated 7)"], ["Title: Up", "Upside"])
    changed = model_bias.title_hidden(asked, "Up", "film")
    assert changed == request(["Ada"], ["- Up (rated 7)"], ["Title: (a film of unknown title)", "Upside"])
    assert model_bias.title_hidden(asked, "Down", "film") is None


def test_an_example_has_the_form_of_the_answer() -> None:
    asked = request(["Ada"], [], ["Up"])
    worst, best = (model_bias.with_example(asked, "Which?", best) for best in (False, True))
    assert worst is not None
    assert best is not None
    assert [one.content for one in worst.messages[1:3]] == ["Which?", "1"]
    assert [one.role for one in best.messages] == ["system", "user", "assistant", "user"]
    assert best.messages[2].content == "5"
    reasons = {"type": "array", "items": {"type": "string"}}
    fields = {"reasons": reasons, "rating": {"type": "integer", "enum": [1, 2, 3]}}
    schema = ChatRequest((Message("user", "?"),), schema={"type": "object", "properties": fields})
    written = model_bias.with_example(schema, "Which?", best=True)
    assert written is not None
    answer = json.loads(written.messages[1].content)
    assert answer["rating"] == 3
    assert isinstance(answer["reasons"], list)
    assert model_bias.with_example(ChatRequest((Message("user", "?"),)), "Which?", best=True) is None


@given(st.lists(st.integers(), min_size=1, max_size=6, unique=True))
def test_rotations_have_each_entry_once_at_each_place(order: list[int]) -> None:
    rotated = model_bias.rotations(order)
    assert all(sorted(row) == sorted(order) for row in rotated)
    assert all(sorted(column) == sorted(order) for column in zip(*rotated, strict=True))
