"""Failures: from what the openai client raises to the error that says what went wrong and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from emosim_core import (
    LLMAuthenticationError,
    LLMError,
    LLMRateLimitError,
    LLMRequestError,
    LLMTransientError,
)
from emosim_deepseek.keys import without_key
from emosim_deepseek.reading import shortened

_LOOKED_AT = 4000
"""How many characters of what a service says are looked at."""


@dataclass(frozen=True)
class Asked:
    """Who was asked, for messages.

    Attributes:
        service: its name with its base URL.
        key_help: how a key is given, as sentences.
        timeout: seconds that were waited.
    """

    service: str
    key_help: str
    timeout: float


def failure(error: Exception, asked: Asked, key: str) -> LLMError:
    """The error to raise in place of one of the client's; the key, and parts of it, are in no text of it."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return LLMTransientError(
            f"{asked.service} gave no answer within {asked.timeout:g} s; the option timeout sets how long to wait"
        )
    if isinstance(error, openai.APIStatusError):
        status, headers = error.status_code, error.response.headers
        said = (
            "" if error.message == f"Error code: {status}" else error.message.removeprefix(f"Error code: {status} - ")
        )
        location = _shown(headers.get("location", ""), key)
        return _of_status(status, _shown(said, key), error.code, headers, location, asked)
    return LLMTransientError(f"no answer from {asked.service}: {_shown(str(error.__cause__ or error), key)}")


def _shown(text: str, key: str) -> str:
    """The beginning of a text, without the key; what is hidden is hidden before anything is cut off."""
    return shortened(without_key(text[:_LOOKED_AT], key))


def _of_status(
    status: int, said: str, code: str | None, headers: Mapping[str, str], location: str, asked: Asked
) -> LLMError:
    answers = f"{asked.service} answers with status {status}" + (f": {said}" if said else "")
    if status in (401, 403):
        return LLMAuthenticationError(
            f"{answers}. The key is missing, wrong or not allowed to do this. {asked.key_help}"
        )
    if status == 402 or code == "insufficient_quota":
        return LLMRequestError(f"{answers}. The account has no balance left; top it up with the service")
    if status == 429:
        return LLMRateLimitError(answers, retry_after(headers))
    if status in (408, 409, 425) or status >= 500:
        return LLMTransientError(answers)
    if status == 404:
        answers += ". Is the base URL right (most end with /v1), and the model? GET on its /models lists the models"
    if 300 <= status < 400:
        answers += f". It points elsewhere ({location or 'it does not say where'}); give that as the base URL"
    return LLMRequestError(answers)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """How many seconds the service asks to wait; None where it does not say, or nothing that can be read.

    Args:
        headers: of the response; ``Retry-After`` holds seconds or a date, ``Retry-After-Ms`` milliseconds.
        now: the present, for a date.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        try:
            seconds = float(value) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError, IndexError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=timezone.utc)
    return max(0.0, (until - (now or datetime.now(timezone.utc))).total_seconds())
