"""Addresses and keys of services, as options and environment variables give them; no address carries a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from emosim_core import ConfigurationError
from emosim_core.llm import LLMAuthenticationError, Redactor

_LONG = re.compile(r"[A-Za-z0-9]{20,}")
_BEGINS_LIKE_A_KEY = re.compile(
    r"(sk|pk|hf|gsk|xai|ghp|glpat|nvapi|api|key|token)[-_](?=.*\d).{8,}|AIza.{10,}|eyJ.{10,}"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEAST = 12
"""Least length of a key that is searched for in options; shorter texts may match by chance."""


class Address(NamedTuple):
    """Address of a service; ``shown`` is what messages and files show, without parts that may be secret."""

    url: str
    shown: str


def address(given: str | None, variable: str | None, default_variable: str | None, default: str) -> Address:
    """The address of a service, from its options, its environment variable, or the default.

    What is in ``variable``, the option base_url_env, is never shown. ``default_variable`` is read without options.
    """
    if given is not None:
        return Address(given, given)
    name = variable or default_variable
    text = os.environ.get(name, "") if name else ""
    try:
        if variable:
            if not text:
                raise ValueError(f"the environment variable {variable}, which base_url_env names, is not set")
            url = base_url(text, f"the variable {variable}", secret=True)
            parts = urlsplit(url)
            return Address(url, f"{parts.scheme}://{parts.netloc} (from {variable})")
        url = base_url(text or default, f"the variable {name}")
        return Address(url, url)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def hidden_parts(place: Address) -> list[str]:
    """The secret parts of an address that is not shown whole."""
    if place.url == place.shown:
        return []
    segments = urlsplit(place.url).path.split("/")
    may_be_keys = [one for one in segments if len(one) >= 8 and re.search(r"\d", one) and not one.isdigit()]
    return [part for segment in may_be_keys for part in {segment, unquote(segment)}]


def looks_like_a_key(segment: str) -> bool:
    """Whether a segment of a path looks like a key: it begins like one, or is long and mixes letters and digits."""
    text = unquote(segment)
    if _BEGINS_LIKE_A_KEY.match(text):
        return True
    return any(re.search("[0-9]", run) and re.search("[A-Za-z]", run) for run in _LONG.findall(text))


def base_url(text: str, given_in: str, *, secret: bool = False, keys: Iterable[str] = ()) -> str:
    """A base URL without a slash at its end, as an option or variable gives it (``given_in``, for messages).

    One that is ``secret`` is never shown, so that its path may hold a key; no other may contain one, known or likely.

    Raises:
        ValueError: it is no address, or holds more than one (a user name, a query, a possible key): it is written into
            manifests and messages.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"the base URL in {given_in} cannot be read; write one as http://127.0.0.1:8000/v1") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(
            f"the base URL in {given_in} holds more than an address (a user name, a password, a query or a "
            "fragment). It is written into the files of a run: leave that out, and give a key in an environment "
            "variable"
        )
    if parts.scheme not in ("http", "https") or not host or any(sign.isspace() for sign in text.strip()):
        raise ValueError(
            f"the base URL in {given_in} must begin with http:// or https:// and name a host, "
            "as in http://127.0.0.1:8000/v1"
        )
    plain = unquote(text)
    if not secret and (
        any(looks_like_a_key(segment) for segment in parts.path.split("/"))
        or any(len(key) >= 8 and (key in plain or key in text) for key in keys)
    ):
        raise ValueError(
            f"the base URL in {given_in} holds what looks like a key, and it is written into the files of a run. Put "
            "the whole URL in an environment variable (export MY_URL=...) and name that instead: base_url_env=MY_URL"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port is not None else ''}{parts.path.rstrip('/')}"


def is_variable(name: str) -> bool:
    """Whether a text is a valid name of an environment variable, which most keys are not."""
    return _VARIABLE.fullmatch(name) is not None


def read_key(variable: str) -> str:
    """The key in an environment variable; empty if there is none."""
    key = os.environ.get(variable, "").strip()
    if not all("!" <= sign <= "~" for sign in key):
        raise LLMAuthenticationError(
            f"what is in the environment variable {variable} is no key: it has spaces, line ends or letters that no "
            "key has"
        )
    return key


def keys_of_environment(variable: object) -> list[str]:
    """The keys in the environment: in the variable that an option names, and in the defaults of this package."""
    names = ("DEEPSEEK_API_KEY", "OPENAI_API_KEY", "EMOSIM_LLM_API_KEY", variable)
    keys = [os.environ.get(name, "").strip() for name in names if isinstance(name, str)]
    return [key for key in keys if len(key) >= _LEAST]


def without_key(text: str, key: str) -> str:
    """A message without a key, parts of it in any encoding, and texts that look like a key."""
    return Redactor((key,)).message(text)
