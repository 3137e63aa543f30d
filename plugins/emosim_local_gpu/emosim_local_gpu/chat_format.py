"""ChatFormat: the tokens of a conversation, by the chat template of the model or a plain format."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from emosim_core.llm import ChatRequest, LLMRequestError, Message

_LOG = logging.getLogger(__name__)

OPEN, CLOSE = "<think>", "</think>"
"""Marks around the thoughts of a thinking model."""

_PROBE = (Message("user", "0"),)
_MARK = "7"
_PLAIN_TITLES = {"system": "Instructions", "user": "Question", "assistant": "Answer"}


class ChatFormat:
    """Turns conversations into tokens.

    A model without a chat template gets a plain format, with one warning: each message is ``Instructions: ...``,
    ``Question: ...`` or ``Answer: ...`` with an empty line between, and an ``Answer:`` at the end. An answer then
    ends with its line.

    Attributes:
        plain: whether the plain format is used.
        lead: white space between a prompt and its answer.
        ends: ids of the tokens that end an answer: those of the files of the model, and that of the template.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int], name: str) -> None:
        self.tokenizer, self.name = tokenizer, name
        self.plain = not getattr(tokenizer, "chat_template", None)
        self._begin: list[int] = []
        texts = {str(tokenizer.convert_ids_to_tokens(token)) for token in marks(tokenizer)}
        pattern = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True) if len(text) > 1)
        self._marks = re.compile(pattern) if pattern else None
        if self.plain:
            _LOG.warning(
                "%s has no chat template, so it is prompted in a plain format: 'Instructions: ...', 'Question: ...', "
                "'Answer:'. A model that was trained to chat answers better.",
                name,
            )
            begun = self.encode("0", special=True)
            bare = self.encode("0")
            if len(begun) > len(bare) and begun[-len(bare) :] == bare:
                self._begin = begun[: len(begun) - len(bare)]
        self.lead, after = self._around_answer()
        # The special token after an answer, if any, is one that ends it.
        self.ends = {*ends, *(token for token in self.encode(after.lstrip())[:1] if token in marks(tokenizer))}

    def encode(self, text: str, special: bool = False) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])

    def prompt(self, request: ChatRequest, thinking: bool = False) -> list[int]:
        """The tokens of a prompt, up to the answer; an LLMRequestError where the chat template rejects the messages."""
        return self._begin + self.encode(self.text(request.messages, thinking))

    def text(self, messages: Sequence[Message], thinking: bool = False) -> str:
        """The text of a conversation, up to the beginning of the answer."""
        if self.plain:
            parts = [f"{_PLAIN_TITLES[one.role]}: {self._defused(one.content)}" for one in messages]
            return "\n\n".join([*parts, f"{_PLAIN_TITLES['assistant']}:"])
        text = self._by_template(messages, thinking)
        if not thinking and text.rstrip().endswith(OPEN):
            text = f"{text.rstrip()}\n\n{CLOSE}\n\n"
        return text

    def opened(self, tokens: Sequence[int]) -> bool:
        """Whether a prompt ends with an open thought, so that the answer begins inside it."""
        return bool(self.tokenizer.decode(list(tokens[-8:])).rstrip().endswith(OPEN))

    def label(self, label: str) -> list[int]:
        """The tokens of an answer after a prompt without thinking."""
        before = self.text(_PROBE)
        prompt, whole = self.encode(before), self.encode(before + self.lead + label)
        return whole[len(prompt) :] if whole[: len(prompt)] == prompt else self.encode(self.lead + label)

    def _defused(self, text: str) -> str:
        """A text without the special tokens of the model, so that it cannot end a message or begin another."""
        return self._marks.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text) if self._marks else text

    def _around_answer(self) -> tuple[str, str]:
        """The white space that the template puts before an answer, and the text that it puts after it."""
        if self.plain:
            return " ", ""
        before = self.text(_PROBE)
        try:
            whole = self._render((*_PROBE, Message("assistant", _MARK)), add_generation_prompt=False)
        except Exception:  # a template's own error may be of any type
            return "", ""
        lead, mark, after = whole[len(before) :].partition(_MARK)
        return (lead, after) if whole.startswith(before) and mark and not lead.strip() else ("", "")

    def _by_template(self, messages: Sequence[Message], thinking: bool) -> str:
        options = {"add_generation_prompt": True, "enable_thinking": thinking}
        try:
            return self._render(messages, **options)
        except Exception as error:
            if [one.role for one in messages[:2]] == ["system", "user"]:
                first = Message("user", f"{messages[0].content}\n\n{messages[1].content}")
                with suppress(Exception):  # the first error describes the original messages
                    return self._render((first, *messages[2:]), **options)
            problem = f"the chat template of {self.name} does not take this conversation: {error}"
            raise LLMRequestError(problem) from error

    def _render(self, messages: Sequence[Message], **options: Any) -> str:
        payload = [{"role": one.role, "content": self._defused(one.content)} for one in messages]
        return str(self.tokenizer.apply_chat_template(payload, tokenize=False, **options))


def marks(tokenizer: Any) -> set[int]:
    """Ids of the tokens that are not text: special tokens, and added ones of the form ``<...>``."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    added_marks = {
        i for i, one in added.items() if one.special or (one.content.startswith("<") and one.content.endswith(">"))
    }
    return added_marks | set(tokenizer.all_special_ids)


def line_ends(tokenizer: Any) -> set[int]:
    """Ids of the tokens that begin a new line after a text."""
    anchor = tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
    rows = [anchor, *([*anchor, i] for i in range(len(tokenizer)))]
    before, *texts = tokenizer.batch_decode(rows, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return {i for i, text in enumerate(texts) if text.startswith((f"{before}\n", f"{before}\r"))} - marks(tokenizer)
