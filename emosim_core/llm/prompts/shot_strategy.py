"""ShotPromptStrategy: prompts composed of role, worked examples, scale, reasoning style and shown fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from pydantic import model_validator

from emosim_core.components.base import RatingRequest, WorldSetting
from emosim_core.errors import ConfigurationError
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message
from emosim_core.llm.prompts import instructions as words_of
from emosim_core.llm.prompts.fencing import cut, defused, fence, one_line
from emosim_core.llm.prompts.parsing import (
    answer_schema,
    expected_object,
    read_label,
    read_object,
    refuse_unfinished,
)
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy, Reply
from emosim_core.llm.prompts.prompt_text import SHORT, item_lines, mood_text, times_text, user_lines
from emosim_core.llm.prompts.scales import PROMPT_SCALES, PromptScaleName, default_for
from emosim_core.model import Example
from emosim_core.model.frozen import Frozen, option

_MAX_TOKENS = {"rating": 16, "cotlite": 1024, "cot_enhanced": 512}

_REPEATED = 2000
"""Characters of an unusable answer that are shown to the model in the next request."""


class ShotOptions(Frozen):
    """Options of a prompt."""

    shots: int = option(0, "Number of worked examples, 0 to 2.", ge=0, le=2)
    system: Literal["our", "default"] = option(
        "our", "'our': a system prompt sets the role. 'default': none; the task is in the user's message."
    )
    style: Literal["rating", "cotlite", "cot_enhanced"] = option(
        "cotlite",
        "'rating': the rating alone. 'cotlite': think briefly, then the rating alone. 'cot_enhanced': one to three "
        "short reasons, then the rating.",
    )
    invert: bool = option(False, "Take the worked examples from the end: the other one, the other order.")
    scale: Literal["auto"] | PromptScaleName = option(
        "auto", "Scale that the prompt speaks: 0-9, 1-10, one-ten or 1-5; auto has as many levels as the domain."
    )
    reason_field: bool = option(False, "With cotlite: a short reason is part of the answer.")
    temperature: float = option(0.0, "Randomness of the answer; 0 for the likeliest one.", ge=0, allow_inf_nan=False)
    max_tokens: int | None = option(
        None, "Tokens that an answer may have. If not given: rating 16, cotlite 1024, cot_enhanced 512.", ge=1
    )
    show_description: bool = option(True, "Show the descriptions of the user and of the item.")
    show_traits: bool = option(True, "Show the user's traits, in the domain's words.")
    show_mood: bool = option(True, "Show the user's mood, in words and numbers.")
    show_job: bool = option(True, "Show the user's job.")
    show_hobby: bool = option(True, "Show the user's hobby.")
    show_tastes: bool | Literal["auto"] = option(
        "auto", "Show liked and disliked categories; auto shows them unless the description names them."
    )
    show_history: bool = option(True, "Show the retrieved past items and their ratings.")
    show_public_rating: bool = option(True, "Show the public rating of the item, where it is known.")
    show_creators: bool = option(True, "Show the creators of the item.")
    show_categories: bool = option(True, "Show the categories of the item.")
    show_year: bool = option(True, "Show the year of the item.")
    show_times: bool = option(True, "Show how often the user consumed the item before.")
    max_characters: int = option(1500, "Characters of a description that are shown.", ge=20)

    @model_validator(mode="after")
    def _reason_where_it_fits(self) -> ShotOptions:
        if self.reason_field and self.style != "cotlite":
            raise ValueError(f"reason_field is for the style 'cotlite'; this style is {self.style!r}")
        return self


class ShotPromptStrategy(PromptStrategy):
    """Asks for a rating with 0 to 2 worked examples.

    The messages before the last are the same for all users, and the last one has the user before the item, so services
    and local models can cache shared prefixes.

    Args:
        options: options of the prompt.
    """

    def __init__(self, options: ShotOptions | None = None) -> None:
        self.options = options = options or ShotOptions()
        self._key = {"cot_enhanced": "reasons", "cotlite": "reason" if options.reason_field else ""}.get(
            options.style, ""
        )
        self._max_tokens = options.max_tokens or _MAX_TOKENS[options.style]
        self._ready = False

    def prepare(self, setting: WorldSetting) -> None:
        """Make the texts that are the same in every prompt; a ConfigurationError where worked examples are too few."""
        options, words = self.options, setting.words
        self._setting, self._catalog, self._population = setting, setting.catalog, setting.population
        self._scale = default_for(setting.scale) if options.scale == "auto" else PROMPT_SCALES[options.scale]
        self._levels = {label: self._scale.to_domain(label, setting.scale) for label in self._scale.labels}
        self._choices = () if self._key else self._scale.labels
        self._schema = answer_schema(self._scale, self._key) if self._key else None
        self._form = words_of.form_of_answer(self._scale, self._key, options.style == "cotlite")
        self._question = words_of.question(words, options.system == "our", self._form)
        # Texts of users, items, retrieved items and ratings are made at first use and cached.
        self._user_texts: dict[int, str] = {}
        self._items: dict[int, str] = {}
        self._titles: dict[int, str] = {}
        self._ratings: dict[float, str] = {}
        self._past = f"{words.items.capitalize()} {words.consumed} before, the most relevant first:\n<history>\n"
        self._times = tuple(times_text(times, words.consumed) for times in range(100))
        text = words_of.instructions(
            words,
            self._scale,
            role=options.system == "our",
            mood=options.show_mood,
            history=options.show_history,
            traits=options.show_traits,
        )
        shared = list(self._shots(self._examples(setting)))
        self._first = ""
        if options.system == "our":
            shared.insert(0, Message("system", text))
        elif shared:
            shared[0] = Message("user", f"{text}\n\n{shared[0].content}")
        else:
            self._first = f"{text}\n\n"
        self._shared = tuple(shared)
        self._ready = True

    def ask(self, request: RatingRequest, row: int, place: int) -> ChatRequest:
        if not self._ready:
            raise RuntimeError("call prepare() before ask()")
        options = self.options
        user_index = int(request.users[row])
        parts = [self._first, self._user_texts.get(user_index) or self._user_text(user_index)]
        if options.show_mood:
            valence, arousal = request.moods[row].tolist()
            parts.append(mood_text(valence, arousal))
        if options.show_history:
            parts.append(self._history(request, row, place))
        item = int(request.items[row, place])
        parts.append(self._items.get(item) or self._item(item))
        if options.show_times:
            times = int(request.times[row, place])
            parts.append(self._times[times] if times < 100 else times_text(times, self._setting.words.consumed))
        parts.append(self._question)
        return ChatRequest(
            (*self._shared, Message("user", "".join(parts))),
            max_tokens=self._max_tokens,
            temperature=options.temperature,
            choices=self._choices,
            schema=self._schema,
        )

    def ask_again(self, request: ChatRequest, answer: ChatAnswer, problem: str) -> ChatRequest:
        """The same conversation, followed by the answer and the reason why it cannot be used."""
        rejected = Message("assistant", defused(cut(answer.text, _REPEATED)).strip() or "(nothing)")
        correction = f"That answer cannot be used: {one_line(problem, _REPEATED)}.\n{self._form}"
        return replace(request, messages=(*request.messages, rejected, Message("user", correction)))

    def read(self, answer: ChatAnswer) -> Reply:
        """The rating in an answer, and the reasons if the style has them."""
        if not answer.finished:
            alone = f"{self._scale.listed()}, and nothing else"
            refuse_unfinished(answer.text, expected_object(self._scale, self._key) if self._key else alone)
        reasons: list[str] = []
        if self._key:
            label, reasons = read_object(answer.text, self._scale, self._key)
        else:
            label = read_label(answer.text, self._scale)
        return Reply(self._levels[label], "; ".join(reasons), label)

    # ------------------------------------------------------------------------------------- pieces of a prompt

    def _user_text(self, user_index: int) -> str:
        user = self._population.users[user_index]
        text = fence("person", user_lines(user, self._setting, self.options))
        self._user_texts[user_index] = text
        return text

    def _item(self, item: int) -> str:
        text = fence("item", item_lines(self._catalog.items[item], self._setting, self._scale, self.options))
        self._items[item] = text
        return text

    def _history(self, request: RatingRequest, row: int, place: int) -> str:
        """The retrieved items, most relevant first; empty if there are none. A missing rating is left out."""
        lines = []
        for position, item, rating in zip(
            request.retrieved[row, place].tolist(),
            request.retrieved_items[row, place].tolist(),
            request.retrieved_ratings[row, place].tolist(),
            strict=True,
        ):
            if position >= 0:
                lines.append(self._titles.get(item) or self._title(item))
                lines.append(self._ratings.get(rating) or self._rating(rating))
        return f"{self._past}{''.join(lines)}</history>\n" if lines else ""

    def _title(self, item: int) -> str:
        text = f"- {one_line(self._catalog.items[item].title, SHORT)}"
        self._titles[item] = text
        return text

    def _rating(self, rating: float) -> str:
        if rating != rating:
            return "\n"
        text = f" (rated {self._scale.show(rating, self._setting.scale)})\n"
        self._ratings[rating] = text
        return text

    # ------------------------------------------------------------------------------------------ worked examples

    def _examples(self, setting: WorldSetting) -> list[Example]:
        """The examples to show, in order."""
        shots, examples = self.options.shots, list(setting.examples)
        if len(examples) < shots:
            raise ConfigurationError(
                f"the domain {setting.domain!r} has {len(examples)} worked examples, and {shots} are to be shown; "
                f"use shots={len(examples)} or fewer"
            )
        return (examples[::-1] if self.options.invert else examples)[:shots]

    def _shots(self, examples: list[Example]) -> Iterator[Message]:
        limit = self.options.max_characters
        for example in examples:
            facts = fence("person", [one_line(example.user, limit)]) + fence("item", [one_line(example.item, limit)])
            yield Message("user", facts + self._question)
            yield Message("assistant", self._worked(example))

    def _worked(self, example: Example) -> str:
        """The answer of an example, in the requested form."""
        label = self._scale.to_label(example.rating, self._setting.scale)
        if not self._key:
            return label
        reason = one_line(example.reason, self.options.max_characters)
        rating: Any = label if self._scale.in_words else int(label)
        return json.dumps(
            {self._key: reason if self._key == "reason" else [reason], "rating": rating}, ensure_ascii=False
        )
