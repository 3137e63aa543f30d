"""Reading: from the body of a chat completion to an answer; what is not of that form is an error, never a guess."""

from __future__ import annotations

import json
from typing import Any

from emosim_core import ChatAnswer, LLMError, LLMMalformedError, LLMRefusedError, LLMTransientError, Usage
from emosim_deepseek.usage import usage_of

_SHOWN = 200


def read_answer(body: bytes, service: str) -> ChatAnswer:
    """The answer in a response.

    Args:
        body: the whole body.
        service: who answered, for messages.

    Raises:
        LLMMalformedError: it is no chat completion with a text.
        LLMRefusedError: the model or the service refuses.
        LLMTransientError: the service broke off.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise _malformed(service, f"with something that is no JSON: {_start(body)}") from None
    if not isinstance(told, dict):
        raise _malformed(service, f"with something that is no chat completion: {_start(body)}")
    usage = usage_of(told)
    try:
        return _answer(told, usage, service, _start(body))
    except LLMError as error:
        error.usage = usage  # it was paid for all the same
        raise


def _answer(told: dict[str, Any], usage: Usage, service: str, start: str) -> ChatAnswer:
    choices = told.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _malformed(service, f"without any choice: {start}")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _malformed(service, f"with a choice without a message: {start}")
    finish = choice.get("finish_reason")
    if refusal := message.get("refusal"):
        raise LLMRefusedError(f"the model at {service} refuses: {shortened(str(refusal))}")
    if finish == "content_filter":
        raise LLMRefusedError(f"{service} held the answer back: its filter of contents objects to it")
    if finish == "insufficient_system_resource":
        raise LLMTransientError(f"{service} broke the answer off for want of resources")
    text = message.get("content")
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    if not isinstance(text, str | None) or not isinstance(reasoning, str):
        raise _malformed(service, f"with a message whose content is no text: {start}")
    thought, text = _apart(text or "")
    finished = finish != "length"
    if finished and not text.strip():
        raise _malformed(service, "with an empty text")
    model = told.get("model")
    return ChatAnswer(text, reasoning or thought, model if isinstance(model, str) else "", usage, finished=finished)


def _apart(text: str) -> tuple[str, str]:
    """What a model thought between ``<think>`` and ``</think>`` at the beginning of its text, and what follows."""
    if not text.lstrip().startswith("<think>"):
        return "", text
    thought, _, rest = text.lstrip().removeprefix("<think>").partition("</think>")
    return thought.strip(), rest.lstrip()


def _malformed(service: str, what: str) -> LLMMalformedError:
    return LLMMalformedError(f"{service} answers {what}")


def _start(body: bytes) -> str:
    return shortened(body[: 4 * _SHOWN].decode("utf-8", "replace")) or "nothing"


def shortened(text: str) -> str:
    """A text on one line, and its beginning only where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
