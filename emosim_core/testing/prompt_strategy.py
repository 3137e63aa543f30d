"""PromptStrategyConformance: holds a way of prompting a language model to its contract."""

from __future__ import annotations

from dataclasses import replace

from emosim_core.components.base import RatingRequest
from emosim_core.errors import LLMMalformedError
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy
from emosim_core.testing.conformance import ComponentConformance, no_error
from emosim_core.testing.contract import hold
from emosim_core.testing.rater import request
from emosim_core.testing.worlds import SmallWorld

NO_RATINGS = (
    *("", " ", "Reasoning: 1. The film is long.", "I cannot answer that.", "It is 7 or 8."),
    *("3.25", "-1", "11", "NaN", "null", "{}", "[]"),
)
"""Answers that hold no rating of any usual scale."""


class PromptStrategyConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "prompt_strategy"
    interface = PromptStrategy

    def made(self, world: SmallWorld) -> PromptStrategy:
        """A new prompt strategy, prepared for a world."""
        prompt_strategy: PromptStrategy = self.make()
        with no_error("prompt-strategy-asks", f"prepare() of {self.subject}"):
            domain = self.domain_of(world)
            setting = replace(world.setting(), words=domain.words, domain=domain.name, examples=tuple(domain.examples))
            prompt_strategy.prepare(setting)
        return prompt_strategy

    def test_it_puts_the_same_question_again(self) -> None:
        for world in self.worlds():
            situation = request(world)
            for row in (0, 3):
                first, again = (self._ask(self.made(world), situation, row) for _ in range(2))
                hold("prompt-strategy-asks", first == again, "another request the second time.")

    def test_it_reads_a_rating_and_nothing_else(self) -> None:
        for world in self.worlds():
            prompt_strategy = self.made(world)
            chat = self._ask(prompt_strategy, request(world), 0)
            for label in chat.choices:
                with no_error("prompt-strategy-reads", f"read({label!r}) of {self.subject}"):
                    rating = prompt_strategy.read(ChatAnswer(label)).rating
                hold("prompt-strategy-reads", world.scale.contains(rating), f"{label!r} became {rating}.")
            for text in NO_RATINGS:
                if text in chat.choices:
                    continue
                try:
                    found = f"{text!r} became {prompt_strategy.read(ChatAnswer(text)).rating}."
                except Exception as error:
                    if isinstance(error, LLMMalformedError) and str(error):
                        continue
                    found = f"{type(error).__name__} for {text!r}, with the message {str(error)!r}."
                hold("prompt-strategy-strict", False, found)

    def test_it_says_what_was_wrong_when_it_asks_again(self) -> None:
        for world in self.worlds():
            prompt_strategy = self.made(world)
            chat = self._ask(prompt_strategy, request(world), 0)
            with no_error("prompt-strategy-again", f"ask_again() of {self.subject}"):
                again = prompt_strategy.ask_again(chat, ChatAnswer("no rating"), "it holds no rating, says the test")
            named = isinstance(again, ChatRequest) and "it holds no rating" in again.messages[-1].content
            hold("prompt-strategy-again", named, f"{again!r}.")

    def _ask(self, prompt_strategy: PromptStrategy, situation: RatingRequest, row: int) -> ChatRequest:
        with no_error("prompt-strategy-asks", f"ask() of {self.subject}"):
            request = prompt_strategy.ask(situation, row, 0)
        hold("prompt-strategy-asks", isinstance(request, ChatRequest), f"a {type(request).__name__}.")
        return request
