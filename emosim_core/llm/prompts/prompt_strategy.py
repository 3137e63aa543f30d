"""PromptStrategy: the prompts that make a language model rate for a user, and the parsing of its answers."""

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
    """Writes the prompt for one rating, and parses the answer strictly."""

    def prepare(self, setting: WorldSetting) -> None:
        """Called once before the first request, and again for other items or users; prepares shared texts.

        Args:
            setting: the items, users, scale, words and worked examples.

        Raises:
            ConfigurationError: the domain lacks something, such as worked examples.
        """

    def ask(self, request: RatingRequest, row: int, place: int) -> ChatRequest:
        """The request for the rating of one item by one user.

        Args:
            request: the users and items of a step.
            row: row of the user, 0 to R - 1.
            place: position of the item in the slate, 0 to S - 1.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement ask")

    def ask_again(self, request: ChatRequest, answer: ChatAnswer, problem: str) -> ChatRequest:
        """The request to send after an answer that could not be parsed.

        Args:
            request: the request that was answered.
            answer: the answer.
            problem: why it cannot be used, the message of :meth:`read`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement ask_again")

    def read(self, answer: ChatAnswer) -> Reply:
        """The rating in an answer.

        Raises:
            LLMMalformedError: the answer does not have the requested form; no other answer counts as a rating.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement read")
