"""ShotPromptStrategy: prompts composed of role, worked examples, scale, reasoning style and shown fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
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
from emosim_core.llm.prompts.prompt_text import (
    item_lines,
    memory_line,
    mood_text,
    times_text,
    user_lines,
    what_it_was,
)
from emosim_core.llm.prompts.scales import PROMPT_SCALES, PromptScaleName, default_for
from emosim_core.model import Example
from emosim_core.model.emotion import CODE_VALENCE, Emotion
from emosim_core.model.frozen import Frozen, option

_MAX_TOKENS = {"rating": 16, "cotlite": 1024, "cot_enhanced": 512}

_REPEATED = 2000
"""Characters of an unusable answer that are shown to the model in the next request."""


class ShotOptions(Frozen):
    """Options of a prompt."""

    shots: int = option(0, "Number of worked examples, 0 to 3, drawn for each question.", ge=0, le=3)
    system: Literal["our", "default"] = option(
        "our", "'our': a system prompt sets the role. 'default': none; the task is in the user's message."
    )
    style: Literal["rating", "cotlite", "cot_enhanced"] = option(
        "cotlite",
        "'rating': the rating alone. 'cotlite': think briefly, then the rating alone. 'cot_enhanced': one to three "
        "short reasons, then the rating.",
    )
    invert: bool = option(False, "Take the worked examples from the end of the order that is drawn for a question.")
    seed: int = option(0, "Seed of the draw of worked examples.", ge=0, le=2**63 - 1)
    open_answer: bool = option(
        True,
        "Begin the answer ('Rating:') where a rating alone is requested without worked examples and the model can be "
        "made to go on from there; models in this process can.",
    )
    scale: Literal["auto"] | PromptScaleName = option(
        "auto", "Scale that the prompt speaks: 0-9, 1-10, one-ten or 1-5; auto has as many levels as the domain."
    )
    reason_field: bool = option(False, "With cotlite: a short reason is part of the answer.")
    temperature: float = option(0.0, "Randomness of the answer; 0 for the likeliest one.", ge=0, allow_inf_nan=False)
    max_tokens: int | None = option(
        None, "Tokens that an answer may have. If not given: rating 16, cotlite 1024, cot_enhanced 512.", ge=1
    )
    show_description: bool = option(True, "Show the descriptions of the user and of the item.")
    show_traits: bool | Literal["auto"] = option(
        "auto",
        "Show the traits that make ratings, in the domain's words; auto shows them unless the description has 25 words "
        "or more, which tells them.",
    )
    show_mood: bool = option(True, "Show the user's mood, in words, and the item that it is about.")
    show_job: bool = option(True, "Show the user's job.")
    show_hobby: bool = option(True, "Show the user's hobby.")
    show_tastes: bool | Literal["auto"] = option(
        "auto", "Show liked and disliked categories; auto shows them unless the description names them."
    )
    show_history: bool = option(True, "Show the retrieved past items: of what kind, when, how rated, what was felt.")
    show_scale_use: bool = option(True, "Show what people do with the scale.")
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
    """Asks for a rating with 0 to 3 worked examples, in the fields of the question.

    The system prompt is the same for all users, and the last message has the user before the item, so services and
    local models can cache shared prefixes. Which examples are shown and in which order is drawn for each user and item,
    so that no single one sets all ratings.

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
        who = "you have" if options.system == "our" else f"the {words.user} has"
        self._past = f"{words.items.capitalize()} that {who} {words.consumed}"
        self._times = tuple(times_text(times, words.consumed) for times in range(100))
        self._emotion = Emotion(setting.scale)
        text = words_of.instructions(
            words,
            self._scale,
            role=options.system == "our",
            mood=options.show_mood,
            history=options.show_history,
            scale_use=words_of.scale_use(words, self._scale, setting.scale, setting.real_ratings)
            if options.show_scale_use
            else "",
        )
        ours = options.system == "our"
        self._shared = (Message("system", text),) if ours else ()
        self._first = "" if ours else f"{text}\n\n"
        self._examples = [self._shot(one) for one in self._enough(list(setting.examples))]
        self._opening = "Rating: " if options.open_answer and self._choices and not options.shots else ""
        self._ready = True

    def ask(self, request: RatingRequest, row: int, place: int) -> ChatRequest:
        if not self._ready:
            raise RuntimeError("call prepare() before ask()")
        options = self.options
        user_index, item = int(request.users[row]), int(request.items[row, place])
        parts = [self._user_texts.get(user_index) or self._user_text(user_index)]
        if options.show_mood:
            parts.append(self._mood(request, row))
        if options.show_history:
            parts.append(self._history(request, row, place))
        parts.append(self._items.get(item) or self._item(item))
        if options.show_times:
            times = int(request.times[row, place])
            parts.append(self._times[times] if times < 100 else times_text(times, self._setting.words.consumed))
        parts.append(self._question)
        examples = self._drawn(user_index, item) if options.shots else ()
        messages = [*examples, Message("user", "".join(parts))]
        if self._first:
            messages[0] = Message("user", f"{self._first}{messages[0].content}")
        return ChatRequest(
            (*self._shared, *messages),
            max_tokens=self._max_tokens,
            temperature=options.temperature,
            choices=self._choices,
            schema=self._schema,
            opening=self._opening,
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

    def _mood(self, request: RatingRequest, row: int) -> str:
        """The mood, and the last item where what was felt about it is of the mood's sign."""
        valence, arousal = request.moods[row].tolist()
        history, cause = request.history, ""
        last = int(history.lengths[row]) - 1
        if last >= 0 and CODE_VALENCE[history.codes[row, last]] * valence > 0:
            rating = self._rating(float(history.ratings[row, last]))
            cause = f"the last {self._setting.words.item}{f', rated {rating}' if rating else ''}"
        return mood_text(valence, arousal, cause)

    def _history(self, request: RatingRequest, row: int, place: int) -> str:
        """How many items are remembered and how they were rated, and the retrieved ones, most relevant first.

        Empty if nothing is retrieved.
        """
        positions = request.retrieved[row, place]
        if not (positions >= 0).any():
            return ""
        history, words = request.history, self._setting.words
        count = int(history.lengths[row])
        known = history.ratings[row, :count]
        known = known[~np.isnan(known)]
        lines = []
        for position, item, rating in zip(
            positions.tolist(),
            request.retrieved_items[row, place].tolist(),
            request.retrieved_ratings[row, place].tolist(),
            strict=True,
        ):
            if position >= 0:
                code = int(history.codes[row, position])
                lines.append(memory_line(self._title(item), count - position, self._rating(rating), code, words))
        return self._remembered(count, known.tolist(), lines)

    def _remembered(self, count: int, ratings: Sequence[float], lines: Sequence[str]) -> str:
        """How many items are remembered, what ratings they got, and the lines of some."""
        known = ""
        if ratings:
            average = self._rating(round(sum(ratings) / len(ratings), 6))
            known = f", rated {average}{' on average' if len(ratings) > 1 else ''}"
        return f"{self._past}: {count}{known}. The most relevant first:\n{fence('history', lines)}"

    def _title(self, item: int) -> str:
        """A remembered item: its title and what it was like."""
        if item not in self._titles:
            one = self._catalog.items[item]
            self._titles[item] = what_it_was(one.title, one.categories if self.options.show_categories else ())
        return self._titles[item]

    def _rating(self, rating: float) -> str:
        """A rating of the domain's scale on that of the prompt; empty for NaN."""
        if rating != rating:
            return ""
        if rating not in self._ratings:
            self._ratings[rating] = self._scale.show(rating, self._setting.scale)
        return self._ratings[rating]

    # ------------------------------------------------------------------------------------------ worked examples

    def _enough(self, examples: list[Example]) -> list[Example]:
        """The examples that there are, none where none are to be shown."""
        shots = self.options.shots
        if len(examples) < shots:
            raise ConfigurationError(
                f"the domain {self._setting.domain!r} has {len(examples)} worked examples, and {shots} are to be "
                f"shown; use shots={len(examples)} or fewer"
            )
        return examples if shots else []

    def _drawn(self, user: int, item: int) -> list[Message]:
        """The worked examples of a question, in an order that its user, its item and the seed decide."""
        options = self.options
        key = f"{options.seed} {self._population.users[user].id} {self._catalog.items[item].id}"

        def rank(number: int) -> bytes:
            return blake2b(f"{key} {number}".encode("utf-8", "surrogatepass"), digest_size=8).digest()

        order = sorted(range(len(self._examples)), key=rank)
        chosen = (order[::-1] if options.invert else order)[: options.shots]
        return [message for number in chosen for message in self._examples[number]]

    def _shot(self, example: Example) -> tuple[Message, Message]:
        """A worked example: the question in the same fields, and its answer."""
        return Message("user", "".join(self._posed(example))), Message("assistant", self._worked(example))

    def _posed(self, example: Example) -> Iterator[str]:
        options, setting, memories = self.options, self._setting, list(example.memories)
        yield fence("person", user_lines(example.user, setting, options))
        if options.show_mood:
            yield mood_text(*example.mood)
        if options.show_history and memories:
            lines = [
                memory_line(
                    what_it_was(one.title, one.categories if options.show_categories else ()),
                    one.ago,
                    self._rating(one.rating),
                    int(self._emotion.code(one.rating)),
                    setting.words,
                )
                for one in memories
            ]
            yield self._remembered(max(one.ago for one in memories), [one.rating for one in memories], lines)
        yield fence("item", item_lines(example.item, setting, self._scale, options))
        if options.show_times:
            yield self._times[0]
        yield self._question

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
