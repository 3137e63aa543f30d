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
from emosim_deepseek.bodies import Fault, shortened
from emosim_deepseek.keys import without_key

_REFUSAL_CODE = re.compile(
    r"content.?filter|content.?policy|responsibleai|moderation|invalid.?prompt|data.?inspection|safety|prohibited|"
    r"sensitive|guardrail|flagged|blocked|context.?length|context.?size|context.?window|prompt.?too.?long|"
    r"too.?many.?tokens|string.?above.?max|request.?too.?large|too.?large"
)
_REFUSAL_TEXT = re.compile(
    r"content.?filter|content (management )?policy|usage polic|content exists risk|moderation|flagged|inappropriate|"
    r"considered high risk|safety (system|filter|setting|reason|polic)|prohibited content|violat\w+ .*polic|guardrail|"
    r"sensitive (content|word|information)|\u654f\u611f|\u4e0d\u5408\u89c4|"
    r"context.?(length|size|window)|maximum (input|prompt|sequence) length|prompt is too long|prompt too long|"
    r"input is too long|too many (input |prompt )?tokens|(input|prompt|request|message|question) "
    r"(is |was )?(too (long|large)|exceeds)|exceeds? the (available|maximum|model)|maximum number of (input )?tokens|"
    r"reduce the length|num_ctx|max.?model.?len|n_ctx",
    re.IGNORECASE,
)
_SETUP_CODE = re.compile(
    r"model.?not.?found|unknown.?model|invalid.?model|unsupported.?(parameter|value|model)|unknown.?parameter|"
    r"extra.?forbidden|missing|literal.?error|not.?implemented|deployment.?not.?found"
)
_SETUP_TEXT = re.compile(
    r"\bmodel\b.{0,80}(not found|not exist|unknown|invalid|not supported|no access|not available|deprecated|"
    r"decommission)"
    r"|(unknown|invalid|unsupported|no such|not a valid) model|model_not_found|"
    r"(unsupported|unknown|unrecognized|unexpected|invalid|extra|missing) (parameter|argument|keyword|field|value|"
    r"input|request argument)|extra inputs are not permitted|extra fields not permitted|not a valid|must be "
    r"(one of|an? |less|greater|at least|at most|between|in)|is not supported|does not support|not permitted",
    re.IGNORECASE,
)
_STARTING = re.compile(r"\bload(ing|s)\b|\bstart(ing|s) up|\bstarting\b|warming|not (yet )?ready|initiali[sz]", re.I)
_NO_BALANCE = re.compile(r"insufficient.?(quota|balance|credit|funds)|billing|payment|exceeded.?current.?quota")
_NO_BALANCE_TEXT = re.compile(r"insufficient (balance|credit|funds|quota)|exceeded your current quota", re.IGNORECASE)
_KINDS = (
    (re.compile("api.?key|authenticat|unauthorized|permission"), 401),
    (re.compile("rate.?limit|too.?many.?requests|throttl"), 429),
    (re.compile("overloaded|unavailable|internal|server.?error|api.?error|timeout"), 503),
    (re.compile("model.?not.?found"), 404),
)
"""Patterns of error codes, and the HTTP status that each corresponds to."""

_NO_PATH = re.compile(
    r"^\W*(404 )?(page )?not found\W*$|no route|cannot (post|get)|unknown (url|route|path|endpoint)|invalid url|"
    r"there is no|does not exist on this server|requested url|<",
    re.IGNORECASE,
)
_WRONG_KEY = re.compile(
    r"(incorrect|invalid|wrong|missing|no) api.?key|api.?key .{0,20}(invalid|not valid|expired)", re.I
)
_NO_MODEL = re.compile(r"\bmodel\b", re.IGNORECASE)


@dataclass(frozen=True)
class ServiceInfo:
    """A service, for messages."""

    service: str
    base_url: str
    key_help: str


def is_refusal(fault: Fault) -> bool:
    """Whether a service rejects this request alone, by a filter or because it is too long."""
    return any(_REFUSAL_CODE.search(code) for code in fault.codes) or _REFUSAL_TEXT.search(fault.text) is not None


def failure(status: int, headers: Mapping[str, str], fault: Fault, info: ServiceInfo, key: str) -> LLMError:
    """The error for a response without an answer; its text contains no part of the key.

    Args:
        status: status of the response, or the one that its body names.
    """
    message = shown(fault.text, key)
    message = message if message.endswith("...") else message.removesuffix(".")
    answers = f"{info.service} answers with status {status}" + (f": {message}" if message else "")
    wait = retry_after(headers)
    if status < 300:
        return LLMMalformedError(f"{answers}. Only status 200 is an answer")
    if status < 400:
        location = shown(headers.get("location", ""), key) or "it does not say where"
        return LLMRequestError(f"{answers}. It points elsewhere ({location}); give that as the base URL")
    if status == 402 or any(map(_NO_BALANCE.search, fault.codes)) or _NO_BALANCE_TEXT.search(fault.text):
        return LLMRequestError(f"{answers}. The account has no balance left; top it up with the service")
    if status in (413, 451) or (status in (400, 403, 422) and is_refusal(fault)):
        return LLMRefusedError(f"{answers}. It refuses this request")
    if status in (401, 403) or (status == 400 and _WRONG_KEY.search(fault.text)):
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
        error.starting = status == 503 and _STARTING.search(fault.text) is not None
        return error
    if status in (404, 405):
        return LLMRequestError(f"{answers}. {_where(fault.text, info.base_url)}")
    certain = any(map(_SETUP_CODE.search, fault.codes)) or _SETUP_TEXT.search(fault.text) is not None
    request = LLMRequestError(answers)
    request.doubtful = not certain and not fault.params
    return request


def failure_in_answer(fault: Fault, headers: Mapping[str, str], info: ServiceInfo, key: str) -> LLMError:
    """The error for a body with status 200 that reports an error, by the status or kind that it names."""
    named = next((int(code) for code in fault.codes if re.fullmatch("[45][0-9][0-9]", code)), 0)
    if not named:
        named = next((status for pattern, status in _KINDS if any(map(pattern.search, fault.codes))), 0)
    if not named and is_refusal(fault):
        named = 422
    if named:
        return failure(named, headers, fault, info, key)
    message = shown(fault.text, key) or "it does not say which"
    return LLMMalformedError(f"{info.service} answers with an error in place of an answer: {message}")


def _where(text: str, base_url: str) -> str:
    """Advice for a service that does not know the path or the model."""
    models = "GET on its /models lists the models"
    if _NO_MODEL.search(text) and not _NO_PATH.search(text):
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
    """The wait that the service requests, in seconds, at least 0; None if there is no valid one.

    Args:
        headers: headers of the response; ``Retry-After`` holds seconds or a date, ``Retry-After-Ms`` milliseconds.
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
