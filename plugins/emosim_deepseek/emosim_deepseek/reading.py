"""Reading: the answer in the body of a chat completion, strictly, and its token counts, however malformed they are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from emosim_core.llm import ChatAnswer, LLMMalformedError, LLMRefusedError, LLMTransientError, Usage
from emosim_deepseek.bodies import Fault, fault_of, shortened, strict_json
from emosim_deepseek.probabilities import label_probabilities

_SHOWN = 200
_THINKS = re.compile(r"\s*<((?:seed:)?think|thinking|thought|reasoning)>(.*?)(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_ENDS_THINKING = re.compile(r"</((?:seed:)?think|thinking|thought|reasoning)>", re.IGNORECASE)
_USAGE = re.compile(r'"usage"\s*:\s*')
_MAX_USAGES = 1000
"""Maximum number of usages read from one body; a stream may repeat them in each piece."""

_COMMENTS = re.compile(r"(?:[ \t\ufeff]*(?::[^\r\n]*)?(?:\r\n|\r|\n))+")
"""Keep-alive lines before an answer: empty lines and comments of event streams."""


def open_envelope(body: bytes, service: str) -> dict[str, Any]:
    """The one object in a body of JSON or of an event stream; an LLMMalformedError where it is ambiguous or none."""
    try:
        text = body.decode(json.detect_encoding(body))
        comments = _COMMENTS.match(text)
        text = text[comments.end() :] if comments else text
        value = _of_stream(text) if text.startswith(("data:", "event:", "id:", "retry:")) else strict_json(text)
    except (ValueError, RecursionError):
        raise _malformed(service, f"with something that is no JSON: {_start(body)}") from None
    if not isinstance(value, dict):
        raise _malformed(service, f"with something that is no chat completion: {_start(body)}")
    return value


def fault_of_envelope(value: dict[str, Any]) -> Fault | None:
    """The error in place of an answer: of the whole body, or of a choice without a text; None for none."""
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = first.get("message")
    error = value.get("error")
    if not error and not (isinstance(message, dict) and message.get("content")):
        error = first.get("error")
    if not error and not choices and value.get("object") == "error":
        error = value
    return fault_of(error) if error else None


def _of_stream(text: str) -> dict[str, Any]:
    """The chat completion of an event stream, joined from its pieces."""
    events: list[Any] = []
    ended = False
    for line in re.split(r"\r\n|\r|\n", text):
        data = line[5:].strip() if line.startswith("data:") else ""
        if data and ended:
            raise ValueError("something follows the end of the stream")
        if data == "[DONE]":
            ended = True
        elif data:
            events.append(strict_json(data))
    if not events or not all(isinstance(event, dict) for event in events):
        raise ValueError("no stream of completions")
    first, choices = events[0], events[0].get("choices")
    whole = isinstance(choices, list) and any(isinstance(one, dict) and "message" in one for one in choices)
    return first if len(events) == 1 and ("error" in first or whole) else _joined(events, ended)


def _joined(events: list[dict[str, Any]], ended: bool) -> dict[str, Any]:
    """A chat completion from its pieces."""
    if len({str(event["id"]) for event in events if event.get("id")}) > 1:
        raise ValueError("pieces of several answers")
    whole: dict[str, Any] = {}
    message: dict[str, str] = {}
    tokens: list[Any] = []
    finish = None
    for event in events:
        if event.get("error"):
            return event
        whole.update({name: value for name, value in event.items() if name != "choices" and value is not None})
        choices = event.get("choices") or []
        if not isinstance(choices, list):
            raise ValueError("no choices")
        for choice in choices:
            if (
                not isinstance(choice, dict)
                or choice.get("index") not in (None, 0)
                or (finish is not None and _text(choice))
            ):
                raise ValueError("more than one answer")
            for name, piece in _text(choice).items():
                message[name] = message.get(name, "") + piece
            tokens += _part(choice, "logprobs").get("content") or ()
            finish = choice.get("finish_reason") or finish
    if finish is None and not ended:
        raise ValueError("the stream has no end")
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": {"content": tokens}}
    return {**whole, "choices": [choice]}


def _text(choice: dict[str, Any]) -> dict[str, str]:
    """The texts in one piece of an answer."""
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        raise ValueError("a piece without a text")
    names = ("content", "reasoning_content", "reasoning", "refusal")
    if any(not isinstance(delta.get(name), str | None) for name in names):
        raise ValueError("a piece that is no text")
    return {name: delta[name] for name in names if delta.get(name)}


def read_answer(
    value: dict[str, Any], body: bytes, usage: Usage, service: str, labels: Sequence[str] = ()
) -> ChatAnswer:
    """The answer in the object of a body, with the probabilities of ``labels``, if it tells them.

    Raises:
        LLMMalformedError: it is not a chat completion with a text, or has two answers.
        LLMRefusedError: the model or the service refuses.
        LLMTransientError: the service broke the answer off.
    """
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _malformed(service, f"without any choice: {_start(body)}")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _malformed(service, f"with a choice without a message: {_start(body)}")
    if any(not isinstance(other, dict) or other.get("message") != message for other in choices[1:]):
        raise _malformed(service, f"with {len(choices)} choices that are not the same: {_start(body)}")
    finish = choice.get("finish_reason")
    if refusal := message.get("refusal"):
        raise LLMRefusedError(f"the model at {service} refuses: {shortened(str(refusal))}")
    if finish == "content_filter":
        raise LLMRefusedError(f"{service} withheld the answer: its content filter rejects it")
    broken_off = {"insufficient_system_resource": "for lack of resources", "error": "with an error"}
    if finish in broken_off:
        raise LLMTransientError(f"{service} broke the answer off {broken_off[finish]}")
    text, thought = _content(message.get("content"), service, body)
    reasoning = message.get("reasoning_content") or message.get("reasoning") or thought
    if not isinstance(reasoning, str):
        raise _malformed(service, f"with a message whose content is no text: {_start(body)}")
    thought, text = _apart(text)
    finished = finish != "length"
    if finished and not text.strip():
        raise _malformed(service, "with an empty text")
    model = value.get("model")
    return ChatAnswer(
        text,
        reasoning or thought,
        model if isinstance(model, str) else "",
        usage,
        label_probabilities(choice, labels) if labels else {},
        finished,
    )


def _content(content: Any, service: str, body: bytes) -> tuple[str, str]:
    """The text and the thoughts in the content of a message: a text, or a list of parts with a single text."""
    if isinstance(content, str | None):
        return content or "", ""
    texts, thoughts = [], []
    for part in content if isinstance(content, list) else [None]:
        part = part if isinstance(part, dict) else {}
        kind = part.get("type")
        if kind in ("text", "output_text") and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind in ("thinking", "reasoning"):
            thoughts.append(_thought(part))
        elif kind == "refusal":
            raise LLMRefusedError(f"the model at {service} refuses: {shortened(str(part.get('refusal')))}")
        else:
            raise _malformed(service, f"with a message whose content is no text: {_start(body)}")
    texts = [text for text in texts if text.strip()]
    if len(texts) > 1:
        raise _malformed(service, f"with {len(texts)} texts: {_start(body)}")
    return "".join(texts), "\n".join(thoughts)


def _thought(part: dict[str, Any]) -> str:
    """The text of a part with thoughts."""
    inner = part.get("thinking") or part.get("text") or part.get("reasoning") or ""
    parts = inner if isinstance(inner, list) else [inner]
    texts = [one.get("text") if isinstance(one, dict) else one for one in parts]
    return "\n".join(text for text in texts if isinstance(text, str))


def _apart(text: str) -> tuple[str, str]:
    """The thoughts at the beginning of a text, up to ``</think>``, and the rest.

    ``<think>`` is missing if the server has put it into the prompt.
    """
    if begins := _THINKS.match(text):
        return begins[2].strip(), text[begins.end() :].lstrip()
    if ends := _ENDS_THINKING.search(text):
        return text[: ends.start()].strip(), text[ends.end() :].lstrip()
    return "", text


def _malformed(service: str, what: str) -> LLMMalformedError:
    return LLMMalformedError(f"{service} answers {what}")


def _start(body: bytes) -> str:
    return shortened(body[: 4 * _SHOWN].decode("utf-8", "replace")) or "nothing"


def usage_of(value: Any) -> Usage:
    """The usage in a parsed body; unknown if it is missing or invalid."""
    usage = _part(value, "usage")
    cached = _first(usage.get("prompt_cache_hit_tokens"), _part(usage, "prompt_tokens_details").get("cached_tokens"))
    reasoning = _part(usage, "completion_tokens_details").get("reasoning_tokens")
    prompt = _first(usage.get("prompt_tokens"), usage.get("input_tokens"))
    completion = _first(usage.get("completion_tokens"), usage.get("output_tokens"))
    return Usage.reported(prompt, completion, cached, reasoning)


def usage_of_error(body: bytes) -> Usage | None:
    """The usage in a body without an answer; None if there is none, as nothing is charged then.

    The body may be incomplete or not JSON, such as a truncated stream. The largest usage in it counts.
    """
    text = body.decode(json.detect_encoding(body), "replace")
    usages: list[Usage] = []
    for match in islice(_USAGE.finditer(text), _MAX_USAGES):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        if value is not None:
            usages.append(usage_of({"usage": value}))
    return max(usages, key=lambda usage: usage.prompt + usage.completion, default=None)


def _part(value: Any, name: str) -> dict[str, Any]:
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)
