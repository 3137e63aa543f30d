"""Failures: turns the status and the body of a response into an error that says what to do."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from emosim_core.llm import (
    LLMAuthenticationError,
    LLMError,
    LLMMalformedError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMRequestError,
    LLMTransientError,
)
from emosim_deepseek.addresses import without_key
from emosim_deepseek.bodies import PHRASES, Fault, shortened


@dataclass(frozen=True)
class ServiceInfo:
    """A service, for messages."""

    service: str
    base_url: str
    key_help: str


def failure(status: int, headers: Mapping[str, str], fault: Fault, info: ServiceInfo, key: str) -> LLMError:
    """The error for a response without an answer, of this status or of the one that its body names; it holds no key."""
    message = shown(fault.text, key)
    message = message if message.endswith("...") else message.removesuffix(".")
    answers = f"{info.service} answers with status {status}" + (f": {message}" if message else "")
    wait = retry_after(headers)
    if status < 300:
        return LLMMalformedError(f"{answers}. Only status 200 is an answer")
    if status < 400:
        location = shown(headers.get("location", ""), key) or "it does not say where"
        return LLMRequestError(f"{answers}. It points elsewhere ({location}); give that as the base URL")
    if status == 402 or PHRASES.no_balance.of(fault):
        return LLMRequestError(f"{answers}. The account has no balance left; top it up with the service")
    if status in (413, 451) or (status in (400, 403, 422) and PHRASES.refusal.of(fault)):
        return LLMRefusedError(f"{answers}. It refuses this request")
    if status in (401, 403) or (status == 400 and PHRASES.wrong_key.search(fault.text)):
        return LLMAuthenticationError(
            f"{answers}. The key is missing, wrong or not allowed to do this. {info.key_help}"
        )
    if status == 407:
        return LLMRequestError(f"{answers}. A proxy wants a user name and a password: http://USER:PASSWORD@HOST:PORT")
    if status == 429:
        return LLMRateLimitError(answers, wait)
    if status == 501:
        return LLMRequestError(answers)
    if status in (408, 409, 425) or status >= 500:
        error = LLMTransientError(answers, wait)
        error.starting = status == 503 and PHRASES.starting.search(fault.text) is not None
        return error
    if status in (404, 405):
        return LLMRequestError(f"{answers}. {_where(fault.text, info.base_url)}")
    request = LLMRequestError(answers)
    request.doubtful = not PHRASES.setup.of(fault) and not fault.params
    return request


def failure_in_answer(fault: Fault, headers: Mapping[str, str], info: ServiceInfo, key: str) -> LLMError:
    """The error for a body with status 200 that reports an error, by the status or kind that it names."""
    named = next((int(code) for code in fault.codes if re.fullmatch("[45][0-9][0-9]", code)), 0)
    if not named:
        named = next((status for status, one in PHRASES.statuses.items() if any(map(one.search, fault.codes))), 0)
    if not named and PHRASES.refusal.of(fault):
        named = 422
    if named:
        return failure(named, headers, fault, info, key)
    message = shown(fault.text, key) or "it does not say which"
    return LLMMalformedError(f"{info.service} answers with an error in place of an answer: {message}")


def _where(text: str, base_url: str) -> str:
    """Advice for a service that does not know the path or the model."""
    models = "GET on its /models lists the models"
    if re.search(r"(?i)\bmodel\b", text) and not PHRASES.no_path.search(text):
        return f"Is the name of the model right? {models}"
    path = urlsplit(base_url).path
    for ending in ("/chat/completions", "/completions", "/chat"):
        if path.endswith(ending):
            return f"Leave {ending} out of the base URL: {base_url.removesuffix(ending)}"
    if path.endswith("/v1"):
        return f"Are the base URL and the model right? Some end without /v1: {base_url.removesuffix('/v1')}. {models}"
    return f"Is the base URL right? Most end with /v1: {base_url}/v1. And the model? {models}"


def shown(text: str, key: str) -> str:
    """The beginning of a text without the key, which is removed before the text is cut off."""
    return shortened(without_key(text, key))


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The wait that a service requests, in seconds, at least 0; None if there is no valid one.

    The header ``Retry-After`` holds seconds or a date, ``Retry-After-Ms`` milliseconds.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "").strip()) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    text = headers.get("retry-after", "").strip()
    for read in (parsedate_to_datetime, lambda text: datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))):
        with contextlib.suppress(TypeError, ValueError, IndexError, OverflowError, AttributeError):
            until = read(text)
            until = until if until.tzinfo is not None else until.replace(tzinfo=timezone.utc)
            return max(0.0, (until - (now or datetime.now(timezone.utc))).total_seconds())
    return None
