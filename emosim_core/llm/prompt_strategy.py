"""Prompter: what a language model is asked so that it answers for a person, and how its answer is read."""

from __future__ import annotations

from dataclasses import dataclass

from emosim_core.components.base import RatingRequest, WorldSetting
from emosim_core.llm.chat import ChatAnswer, ChatRequest


@dataclass(frozen=True, slots=True)
class Reply:
    """A rating that a language model gave.

    Attributes:
        rating: a level of the domain's scale.
        reason: why, in the model's words; empty where it did not say.
        label: the rating as the model wrote it, on the scale of the prompt.
    """

    rating: float
    reason: str = ""
    label: str = ""


class PromptStrategy:
    """Puts the question of one rating, and reads the answer strictly."""

    def prepare(self, setting: WorldSetting) -> None:
        """Called once before the first question, and again for other items or users; a place for shared texts.

        Args:
            setting: the items, users, scale, words and worked examples.

        Raises:
            ConfigurationError: the domain lacks something, such as worked examples.
        """

    def ask(self, request: RatingRequest, row: int, place: int) -> ChatRequest:
        """The question of one person and item.

        Args:
            request: what raters are told.
            row: the person's row in it.
            place: the item's place in the slate.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement ask")

    def ask_again(self, asked: ChatRequest, answer: ChatAnswer, problem: str) -> ChatRequest:
        """The question once more, after an answer that could not be read.

        Args:
            asked: the question.
            answer: what was answered.
            problem: what was wrong with it, as :meth:`read` said.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement ask_again")

    def read(self, answer: ChatAnswer) -> Reply:
        """The rating in an answer.

        Raises:
            LLMMalformedError: the answer is not of the form that was asked for; nothing else counts as a rating.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement read")
