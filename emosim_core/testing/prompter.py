"""PrompterConformance: holds a way of prompting a language model to its contract."""

from __future__ import annotations

from emosim_core.components.base import RatingRequest
from emosim_core.errors import LLMMalformedError
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.prompter import Prompter
from emosim_core.model import Domain, Example, Item
from emosim_core.model.user import TRAITS
from emosim_core.testing.conformance import ComponentConformance, no_error, registry
from emosim_core.testing.contract import hold
from emosim_core.testing.rater import request
from emosim_core.testing.worlds import SmallWorld

NO_RATINGS = (
    "",
    " ",
    "Reasoning: 1. The film is long.",
    "I cannot answer that.",
    "3.25",
    "-1",
    "11",
    "It is 7 or 8.",
    "NaN",
    "null",
    "{}",
    "[]",
)
"""Answers that hold no rating of any usual scale."""


class PrompterConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "llm_rater"

    def interface(self) -> type:
        return Prompter

    def made(self, world: SmallWorld) -> Prompter:
        """A new prompter, prepared for a world."""
        prompter: Prompter = self.make()
        with no_error("prompter-asks", f"prepare() of {self.subject}"):
            prompter.prepare(self._domain(world), world.catalog, world.population)
        return prompter

    def test_it_puts_the_same_question_again(self) -> None:
        for world in self.worlds():
            asked = request(world)
            for row in (0, 3):
                first, again = (self._ask(self.made(world), asked, row) for _ in range(2))
                hold("prompter-asks", first == again, "another question the second time.")

    def test_it_reads_a_rating_and_nothing_else(self) -> None:
        for world in self.worlds():
            prompter = self.made(world)
            asked = self._ask(prompter, request(world), 0)
            for label in asked.choices:
                with no_error("prompter-reads", f"read({label!r}) of {self.subject}"):
                    rating = prompter.read(ChatAnswer(label)).rating
                hold("prompter-reads", world.scale.contains(rating), f"{label!r} became {rating}.")
            for text in NO_RATINGS:
                if text in asked.choices:
                    continue
                try:
                    reply = prompter.read(ChatAnswer(text))
                except LLMMalformedError as error:
                    hold("prompter-strict", bool(str(error)), f"no message for {text!r}.")
                except Exception as error:
                    hold("prompter-strict", False, f"{type(error).__name__} for {text!r}.")
                else:
                    hold("prompter-strict", False, f"{text!r} became {reply.rating}.")

    def test_it_says_what_was_wrong_when_it_asks_again(self) -> None:
        for world in self.worlds():
            prompter = self.made(world)
            asked = self._ask(prompter, request(world), 0)
            with no_error("prompter-again", f"ask_again() of {self.subject}"):
                again = prompter.ask_again(asked, ChatAnswer("no rating"), "it holds no rating, says the test")
            told = isinstance(again, ChatRequest) and "it holds no rating" in again.messages[-1].content
            hold("prompter-again", told, f"{again!r}.")

    def _ask(self, prompter: Prompter, asked: RatingRequest, row: int) -> ChatRequest:
        with no_error("prompter-asks", f"ask() of {self.subject}"):
            question = prompter.ask(asked, row, 0)
        hold("prompter-asks", isinstance(question, ChatRequest), f"a {type(question).__name__}.")
        return question

    def _domain(self, world: SmallWorld) -> Domain:
        if self.domain is not None:
            domain: Domain = registry().resolve_domain(self.domain).build()
            return domain
        examples = tuple(
            Example(f"A person with the number {n}.", f"An item with the number {n}.", rating, "It was to be expected.")
            for n, rating in enumerate((world.scale.high, world.scale.low))
        )
        traits = {trait: (f"low {trait}", f"middling {trait}", f"high {trait}") for trait in TRAITS}
        words = type(world.words)(traits=traits)
        return Domain("made_up", "Made up", world.scale, words, Item, examples=examples)
