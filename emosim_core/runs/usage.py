"""Usage: what the calls of a language model took, between two readings of the counts and in several jobs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any


def since(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What the calls between two readings of the counts took."""
    return {
        name: round(value - (before.get(name) or 0), 9)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else value
        for name, value in after.items()
    }


def summed(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the calls of several jobs took together; empty where none was made.

    A count that one of them does not know is not known of all; a text, such as the currency, is that of the jobs that
    tell one, and None where they differ.
    """
    total: dict[str, Any] = {}
    for name in dict.fromkeys(chain.from_iterable(parts)):
        values = [part[name] for part in parts if name in part]
        known = [value for value in values if value is not None]
        if all(isinstance(value, int | float) for value in known):
            total[name] = round(sum(known), 9) if known and len(known) == len(values) else None
        else:
            total[name] = known[0] if all(value == known[0] for value in known) else None
    return total
