"""Keys: reads the key of a service, and removes it from texts."""

from __future__ import annotations

import os
import re

from emosim_core.llm import LLMAuthenticationError, Redactor

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_LEAST = 12
"""Least length of a key that is searched for in options; shorter texts may match by chance."""


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
