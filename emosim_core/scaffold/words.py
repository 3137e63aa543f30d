"""Words: what an item of a new domain is called, and what users do with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emosim_core.model import Words

GENERIC = Words(item="item", items="items", consume="try", consumed="tried", consumption="time", user="user")
"""Words that suit any domain."""

_KNOWN = {
    "album track song": {"consume": "listen to", "user": "listener"},
    "anime film movie show video": {"consume": "watch", "consumption": "viewing", "user": "viewer"},
    "article book comic joke manga poem story": {"consume": "read", "consumed": "read", "user": "reader"},
    "beer wine": {"consume": "drink", "consumed": "drunk", "user": "drinker"},
    "game": {"consume": "play", "user": "player"},
    "podcast": {"consume": "listen to", "user": "listener"},
    "recipe": {"consume": "cook", "user": "cook"},
    "course": {"consume": "take", "consumed": "taken", "user": "student"},
    "hotel place restaurant": {"consume": "visit", "user": "guest"},
    "product": {"consume": "buy", "consumed": "bought", "user": "customer"},
}
"""By the last word of what items are called, what is done with them."""

_WITH_IE = ("brownie", "cookie", "movie", "selfie", "zombie")


def guessed_words(name: str, column: str = "") -> dict[str, str]:
    """The words that the name of a domain suggests, such as "board-games".

    Args:
        column: what a log calls the item; it decides where the name begins with it, such as "joke_id".
    """
    items = re.sub("[-_]", " ", name)
    item = _singular(items)
    hint = re.sub(r"[\W_]*(?:id)?$", "", column.lower())
    if len(hint) > 2 and items.startswith(hint):
        item = hint
    words = {"item": item, "items": items if item != items else _plural(item)}
    for known, more in _KNOWN.items():
        if item.rpartition(" ")[2] in known.split():
            words.update(more)
    return words


def filled_words(given: Mapping[str, str], guessed: Mapping[str, str] | None = None) -> Words:
    """The words of a domain: those that are given, then what follows from them, then ``guessed``, then the generic."""
    words: dict[str, Any] = {word: " ".join(text.split()) for word, text in given.items()}
    if "item" in words:
        words.setdefault("items", _plural(words["item"]))
    if "consume" not in words:
        words = {**(guessed or {}), **words}
    else:
        words = {**{word: text for word, text in (guessed or {}).items() if not word.startswith("consum")}, **words}
    if "consume" in words:
        words.setdefault("consumed", _past(words["consume"]))
        words.setdefault("consumption", _gerund(words["consume"]))
    return replace(GENERIC, **words)


def _singular(word: str) -> str:
    if word.endswith("ies") and word[:-1].rpartition(" ")[2] not in _WITH_IE:
        return f"{word[:-3]}y"
    if re.search("(ss|x|zz|ch|sh)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2 else word


def _plural(word: str) -> str:
    return f"{word}s"


def _past(verb: str) -> str:
    """The regular past of a verb, such as "listened to" of "listen to"."""
    first, blank, rest = verb.partition(" ")
    first = re.sub(r"([^aeiou])y$", r"\1i", first)
    return f"{first}{'d' if first.endswith('e') else 'ed'}{blank}{rest}"


def _gerund(verb: str) -> str:
    """The first word of a verb with -ing, such as "listening" of "listen to"."""
    first = re.sub("ie$", "y", verb.partition(" ")[0])
    return re.sub("([^eoy])e$", r"\1", first) + "ing"
