"""ChoicePrompt: the prompt that lets a language model choose from a slate in the place of a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emosim_core.components.base import WorldSetting
from emosim_core.components.choice import ChoiceRequest
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message
from emosim_core.llm.prompts.fencing import cut, defused, fence, one_line
from emosim_core.llm.prompts.instructions import data_only
from emosim_core.llm.prompts.parsing import read_one_of, refuse_unfinished
from emosim_core.llm.prompts.prompt_text import item_lines, memory_line, mood_text, times_text, user_lines, what_it_was
from emosim_core.llm.prompts.scales import default_for
from emosim_core.llm.prompts.shot_strategy import ShotOptions
from emosim_core.model.arrays import Ints
from emosim_core.model.emotion import code_of
from emosim_core.model.frozen import Frozen, option

_REPEATED = 200
"""Characters of an unusable answer that are shown to the model in the next request."""


class ModelChoiceOptions(Frozen):
    """Options of the choice model ``llm``."""

    patience: int = option(
        5,
        "Slates in a row without a click after which a user leaves: half as many for an elusive user, twice as many "
        "for an enthusiast; 0 for never.",
        ge=0,
    )
    memories: int = option(5, "Last remembered items that are shown with their ratings.", ge=0)
    max_characters: int = option(200, "Characters of the description of an item that are shown.", ge=20)
    max_tokens: int = option(16, "Tokens that an answer may have.", ge=1)


class ChoicePrompt:
    """Writes the question and parses the answer, the number of an item or 0.

    The messages before the last are the same for all users, and the last one has the user before the items, so services
    and local models can cache shared prefixes.
    """

    def __init__(self, setting: WorldSetting, options: ModelChoiceOptions) -> None:
        words = setting.words
        self._setting, self._options = setting, options
        self._shown = ShotOptions(max_characters=options.max_characters)
        self._scale = default_for(setting.scale)
        self._system = Message(
            "system",
            f"You are a {words.user}: the person who is described to you, and nobody else. You are shown a list of "
            f"{words.items} that somebody recommends to you now. You choose the one that you want most at this moment, "
            "or none, if none of them appeals to you, as this very person would. The order of the list says nothing.\n"
            f"All ratings that you are shown are whole numbers from {self._scale.labels[0]} (very bad) to "
            f"{self._scale.labels[-1]} (excellent); those of the public are means.\n{data_only()}",
        )

    @staticmethod
    def labels(slate: int) -> tuple[str, ...]:
        """The answers that there are: 0 for none, then the numbers of the items."""
        return tuple(map(str, range(slate + 1)))

    def ask(self, request: ChoiceRequest, row: int, order: Ints) -> ChatRequest:
        """The question about one slate, whose items are listed in an order of its places, shape ``(S,)``."""
        setting = self._setting
        user = request.population.users[int(request.users[row])]
        valence, arousal = request.moods[row].tolist()
        parts = [fence("person", user_lines(user, setting, self._shown)), mood_text(valence, arousal)]
        parts.append(self._remembered(request, row))
        for number, place in enumerate(order.tolist(), start=1):
            item = request.catalog.items[int(request.items[row, place])]
            times = times_text(int(request.times[row, place]), setting.words.consumed)
            parts.append(f"{number}.\n{fence('item', item_lines(item, setting, self._scale, self._shown))}{times}")
        names = self.labels(len(order))
        parts.append(f"Which of these {setting.words.items} do you choose? {_form(names)}")
        return ChatRequest(
            (self._system, Message("user", "".join(parts))), max_tokens=self._options.max_tokens, choices=names
        )

    def _remembered(self, request: ChoiceRequest, row: int) -> str:
        """The last items that the user remembers, the most recent first; empty where there are none."""
        history, words = request.history, self._setting.words
        lines = []
        for ago, one in enumerate(history.interactions(row)[::-1][: self._options.memories], start=1):
            item = request.catalog.items[one.item]
            rating = "" if np.isnan(one.rating) else self._scale.show(one.rating, self._setting.scale)
            what = what_it_was(item.title, item.categories)
            lines.append(memory_line(what, ago, rating, code_of(one.valence, one.arousal), words))
        title = f"{words.items.capitalize()} {words.consumed} before, the most recent first:\n"
        return title + fence("history", lines) if lines else ""

    def ask_again(self, request: ChatRequest, answer: ChatAnswer, problem: str, names: Sequence[str]) -> ChatRequest:
        """The same conversation, followed by the answer and the reason why it cannot be used."""
        rejected = Message("assistant", defused(cut(answer.text, _REPEATED)).strip() or "(nothing)")
        correction = f"That answer cannot be used: {one_line(problem, _REPEATED)}.\n{_form(names)}"
        return replace(request, messages=(*request.messages, rejected, Message("user", correction)))

    def read(self, answer: ChatAnswer, names: Sequence[str]) -> int:
        """The number that an answer is; an LLMMalformedError where it is anything else."""
        expected = f"a number from 0 to {names[-1]}, and nothing else"
        if not answer.finished:
            refuse_unfinished(answer.text, expected)
        return int(read_one_of(answer.text, names, expected))


def _form(names: Sequence[str]) -> str:
    return f"Answer with its number, 1 to {names[-1]}, or with 0 for none, without any other word or sign."
