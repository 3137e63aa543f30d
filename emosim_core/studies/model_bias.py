"""Changes of a request to a language model that leave what it is about as it is, and one that adds an example.

A model whose answers follow them has a bias. None depends on the words of a prompt strategy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from emosim_core.components.base import RatingRequest, WorldSetting
from emosim_core.data import json_text
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message
from emosim_core.llm.prompts.fencing import one_line
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy, Reply

Change = Callable[[ChatRequest], "ChatRequest | None"]
"""From a request to another; None where there is nothing to change."""

_FENCED = re.compile(r"(<(?P<name>person|history|item)>\n)(?P<lines>.*?)(\n</(?P=name)>)", re.DOTALL)
"""Data between fences, as prompts have it."""

_FACTS = ("person", "item")
"""Fences between which each line is a fact; that of memories has an order that a prompt speaks of."""

_LONGEST_TITLE = 300
"""Characters of a title, after which prompts cut it off."""

SYNONYMS: Mapping[str, str] = {
    "a film": "a movie",
    "film": "movie",
    "films": "movies",
    "viewer": "moviegoer",
    "watched": "seen",
    "a book": "a title",
    "book": "title",
    "books": "titles",
    "whole numbers": "integers",
    "very bad": "awful",
    "excellent": "superb",
    "rating": "score",
    "ratings": "scores",
    "shown": "presented",
    "just": "only now",
    "nothing else": "no other text",
    "alone": "and no more",
    "honestly": "frankly",
    "liked": "enjoyed",
    "answer with": "reply with",
    "give": "assign to",
}
"""Words and what a paraphrase has in their place."""

_SYNONYM = re.compile(
    r"(?<![\w\"'<{])(" + "|".join(sorted(map(re.escape, SYNONYMS), key=len, reverse=True)) + r")(?![\w\"'>}])",
    re.IGNORECASE,
)


def reworded(request: ChatRequest) -> ChatRequest | None:
    """The same request with :data:`SYNONYMS` in what is no data: outside of fences, quotes and worked answers."""

    def outside(text: str) -> str:
        parts, start = [], 0
        for match in _FENCED.finditer(text):
            parts += [_SYNONYM.sub(_synonym, text[start : match.start()]), match[0]]
            start = match.end()
        return "".join([*parts, _SYNONYM.sub(_synonym, text[start:])])

    messages = tuple(
        one if one.role == "assistant" else replace(one, content=outside(one.content)) for one in request.messages
    )
    return None if messages == request.messages else replace(request, messages=messages)


def _synonym(match: re.Match[str]) -> str:
    word = SYNONYMS[match[0].lower()]
    return word[:1].upper() + word[1:] if match[0][:1].isupper() else word


def facts_reversed(request: ChatRequest) -> ChatRequest | None:
    """The same request with the facts of the person and of the item, a line each, in reverse order."""

    def reverse(match: re.Match[str]) -> str:
        lines = match["lines"]
        if match["name"] in _FACTS:
            lines = "\n".join(lines.split("\n")[::-1])
        return f"{match[1]}{lines}{match[4]}"

    last = request.messages[-1]
    text = _FENCED.sub(reverse, last.content)
    return None if text == last.content else with_last(request, text)


def title_hidden(request: ChatRequest, title: str, item: str) -> ChatRequest | None:
    """The same request in which the item has no title; what is remembered keeps its titles.

    Args:
        title: the title of the item.
        item: what an item is called, such as ``"film"``.
    """
    last = request.messages[-1]
    start = max(last.content.rfind("<item>"), 0)
    shown = re.compile(rf"(?<!\w){re.escape(one_line(title, _LONGEST_TITLE))}(?!\w)")
    text = shown.sub(f"(a {item} of unknown title)", last.content[start:])
    return None if text == last.content[start:] else with_last(request, last.content[:start] + text)


def with_example(request: ChatRequest, question: str, best: bool) -> ChatRequest | None:
    """The same request after a worked example: the question of another person, answered with the best rating or the
    worst. None where the form of an answer is not known."""
    label = _extreme(request, best)
    if label is None:
        return None
    example = (Message("user", question), Message("assistant", label))
    return replace(request, messages=(*request.messages[:-1], *example, request.messages[-1]))


def _extreme(request: ChatRequest, best: bool) -> str | None:
    """The answer with the best rating or the worst, in the form that a request asks for."""
    place = -1 if best else 0
    if request.choices:
        return request.choices[place]
    fields = (request.schema or {}).get("properties", {})
    labels = fields.get("rating", {}).get("enum")
    if not labels:
        return None
    reason = "It is what it is."
    answer: dict[str, Any] = {
        name: labels[place] if name == "rating" else [reason] if about.get("type") == "array" else reason
        for name, about in fields.items()
    }
    return json_text.dumps(answer)


def with_last(request: ChatRequest, text: str) -> ChatRequest:
    """The same request with another text of its last message."""
    return replace(request, messages=(*request.messages[:-1], replace(request.messages[-1], content=text)))


def another_sample(request: ChatRequest) -> ChatRequest:
    """The same request as another sample, for which no cached answer stands."""
    return replace(request, sample=request.sample + 1)


class ChangedStrategy(PromptStrategy):
    """A prompt strategy whose requests are changed.

    Args:
        strategy: writes the requests and reads the answers.
        changes: by row and place, the change of a request; a place without one stays as it is.
    """

    def __init__(self, strategy: PromptStrategy, changes: Mapping[tuple[int, int], Change]) -> None:
        self._strategy, self._changes = strategy, changes

    def prepare(self, setting: WorldSetting) -> None:
        self._strategy.prepare(setting)

    def ask(self, request: RatingRequest, row: int, place: int) -> ChatRequest:
        built, change = self._strategy.ask(request, row, place), self._changes.get((row, place))
        return built if change is None else change(built) or built

    def ask_again(self, request: ChatRequest, answer: ChatAnswer, problem: str) -> ChatRequest:
        return self._strategy.ask_again(request, answer, problem)

    def read(self, answer: ChatAnswer) -> Reply:
        return self._strategy.read(answer)


def rotations(order: Sequence[int]) -> list[list[int]]:
    """All rotations of an order, in which each of its entries is once at each place."""
    return [[*order[start:], *order[:start]] for start in range(len(order))]
