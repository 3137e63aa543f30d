"""What a language model knows by heart: years and titles of items, and single ratings of a data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emosim_core.errors import (
    LLMAuthenticationError,
    LLMBudgetError,
    LLMError,
    LLMReplayError,
    LLMRequestError,
)
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message
from emosim_core.llm.prompts.fencing import one_line
from emosim_core.llm.rater import ModelRater
from emosim_core.model import Catalog, Domain

_FATAL = (LLMAuthenticationError, LLMBudgetError, LLMReplayError, LLMRequestError)
"""Errors that every further request would raise too, unless they are doubtful."""

OPTIONS = 4
"""Years of which one is right."""

_SPREAD = 6
"""Years by which a wrong one may differ from the next."""

_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_WORDS = re.compile(r"\w+")
_TITLE_TOKENS = 24


@dataclass(frozen=True)
class Question:
    """A question with what is right.

    Attributes:
        kind: ``"year"`` or ``"title"``.
        item: the id of the item.
        right: the year, or the end of the title.
    """

    kind: str
    item: str
    right: str
    request: ChatRequest


def item_questions(domain: Domain, catalog: Catalog, count: int, seed: int) -> list[Question]:
    """Questions for the years and titles of items that most users took, ``count`` of each kind at most.

    A year is one of four; where it stands among them, in time and in the list, is drawn. Of a title the first half of
    its words is shown, and of a series of items with the same beginning none is asked for.
    """
    rng = np.random.default_rng([seed, 7])
    order = np.argsort(-catalog.public_counts, kind="stable").tolist()
    item = domain.words.item
    beginnings: dict[str, int] = {}
    for one in catalog.items:
        if beginning := _beginning(one.title):
            beginnings[beginning] = beginnings.get(beginning, 0) + 1
    questions: list[Question] = []
    dated = [place for place in order if catalog.items[place].year is not None][:count]
    for place in dated:
        one = catalog.items[place]
        assert one.year is not None
        years = _years(one.year, rng)
        text = (
            f'In which of the years {", ".join(years[:-1])} or {years[-1]} did the {item} "{one_line(one.title, 300)}" '
            "first come out? Answer with the year alone."
        )
        questions.append(
            Question("year", one.id, str(one.year), ChatRequest(_messages(text), max_tokens=16, choices=tuple(years)))
        )
    alone = [place for place in order if beginnings.get(_beginning(catalog.items[place].title)) == 1][:count]
    for place in alone:
        one = catalog.items[place]
        first, rest = _halves(one.title) or ("", "")
        text = f'The title of a {item} begins with "{one_line(first, 300)}". Write the rest of it, and nothing else.'
        questions.append(Question("title", one.id, rest, ChatRequest(_messages(text), max_tokens=_TITLE_TOKENS)))
    return questions


def _messages(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def _beginning(title: str) -> str:
    halves = _halves(title)
    return "" if halves is None else halves[0].lower()


def _halves(title: str) -> tuple[str, str] | None:
    """The first half of a title's words, and the rest; None for one word."""
    words = title.split()
    if len(words) < 2:
        return None
    cut = (len(words) + 1) // 2
    return " ".join(words[:cut]), " ".join(words[cut:])


def _years(right: int, rng: np.random.Generator) -> list[str]:
    """Four years in random order; how many of them are before the right one is drawn."""
    before = int(rng.integers(OPTIONS))
    steps = rng.integers(1, _SPREAD, OPTIONS)
    years = [right - int(steps[:before][place:].sum()) for place in range(before)]
    years += [right + int(steps[before : before + place].sum()) for place in range(OPTIONS - before)]
    return [str(years[place]) for place in rng.permutation(OPTIONS).tolist()]


def correct(question: Question, answer: ChatAnswer) -> bool:
    """Whether an answer is right: the year, or the words of the rest of a title, perhaps after those of its first half.

    Of an answer with probabilities the likeliest counts.
    """
    text = answer.text
    if question.kind == "year":
        if answer.probabilities:
            text = max(answer.probabilities, key=answer.probabilities.__getitem__)
        match = _YEAR.search(text)
        return match is not None and match[0] == question.right
    words, right = (_WORDS.findall(one.lower()) for one in (text.split("\n")[0], question.right))
    return bool(right) and any(words[start : start + len(right)] == right for start in range(len(words)))


def rating_request(domain: Domain, source: str, user: str, title: str) -> ChatRequest:
    """The question for a single rating of a data set, by the id of its user."""
    levels = [f"{level:g}" for level in domain.scale.levels]
    text = (
        f'In the data set "{one_line(source, 100)}", which rating did user {one_line(user, 100)} give to the '
        f'{domain.words.item} "{one_line(title, 300)}", on a scale from {levels[0]} (worst) to {levels[-1]} (best)? '
        f"Answer with the rating alone."
    )
    return ChatRequest(_messages(text), max_tokens=16, choices=tuple(levels))


def read_rating(domain: Domain, answer: ChatAnswer | None) -> float | None:
    """The rating in an answer to :func:`rating_request`, the mean where there are probabilities; None for no rating."""
    if answer is None:
        return None
    if answer.probabilities:
        weights = np.array([answer.probabilities.get(f"{level:g}", 0.0) for level in domain.scale.levels])
        if weights.sum() > 0:
            return float(weights @ domain.scale.levels / weights.sum())
    match = re.search(r"\d+(\.\d+)?", answer.text)
    value = float(match[0]) if match else None
    return value if value is not None and domain.scale.low <= value <= domain.scale.high else None


def ask(rater: ModelRater, requests: Sequence[ChatRequest]) -> list[ChatAnswer | None]:
    """The answers of a rater's language model; None where there is none.

    Raises:
        LLMError: no request can succeed.
    """
    answers: list[ChatAnswer | None] = []
    for answer in rater.gateway.ask(requests):
        if isinstance(answer, _FATAL) and not (isinstance(answer, LLMRequestError) and answer.doubtful):
            raise answer
        answers.append(None if isinstance(answer, LLMError) else answer)
    return answers


def ask_items(rater: ModelRater, questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Records of item questions: ``kind``, ``item``, ``right``, ``answer`` (None where there is none), ``correct``."""
    records: list[dict[str, Any]] = []
    for question, answer in zip(questions, ask(rater, [one.request for one in questions]), strict=True):
        records.append(
            {
                "kind": question.kind,
                "item": question.item,
                "right": question.right,
                "answer": None if answer is None else answer.text[:200],
                "correct": None if answer is None else correct(question, answer),
            }
        )
    return records
