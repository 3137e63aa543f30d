"""Keys: where the key of a service is looked up, and how it is removed from texts."""

from __future__ import annotations

import os
import re

from emosim_core.llm import LLMAuthenticationError, Redactor

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_LEAST = 12
"""Characters from which a text that stands in an option, too, is no word that is a key by chance."""


def is_variable(name: str) -> bool:
    """Whether an environment variable can have this name; a key that was given in its place mostly cannot."""
    return _VARIABLE.fullmatch(name) is not None


def read_key(variable: str) -> str:
    """The key in an environment variable; empty where there is none.

    Raises:
        LLMAuthenticationError: it holds what no header can carry.
    """
    key = os.environ.get(variable, "").strip()
    if not all("!" <= sign <= "~" for sign in key):
        raise LLMAuthenticationError(
            f"what is in the environment variable {variable} is no key: it has spaces, line ends or letters that no "
            "key has"
        )
    return key


def keys_of_environment(variable: object) -> list[str]:
    """The keys that are in the environment: in the variable that an option names, and in those of this package."""
    names = ("DEEPSEEK_API_KEY", "OPENAI_API_KEY", "EMOSIM_LLM_API_KEY", variable)
    keys = [os.environ.get(name, "").strip() for name in names if isinstance(name, str)]
    return [key for key in keys if len(key) >= _LEAST]


def without_key(text: str, key: str) -> str:
    """A message in which neither a key nor a part of it stands, in any encoding, nor what looks like one."""
    return Redactor((key,)).message(text)
