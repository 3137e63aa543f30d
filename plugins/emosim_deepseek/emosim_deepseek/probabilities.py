"""Probabilities: how likely a model was to answer each text that a request allows, from an answer's logprobs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MOST = 20
"""Tokens with their probabilities that are requested for each place of an answer: the most that OpenAI's service and
DeepSeek's return."""

_LEAST = 0.1
"""Probability that the tokens of all labels must have together; an answer that begins otherwise is no label."""

_UNCLEAR = 0.01
"""Share of the labels' probability that may be of tokens which begin several labels; it is left out."""

_AROUND = " \t\r\n\"'`*\u0120\u2581"
"""Signs around a label that belong to no label: white space, also as tokenizers write it, quotes and asterisks."""


def request_fields() -> dict[str, Any]:
    """The fields of a request that ask for probabilities."""
    return {"logprobs": True, "top_logprobs": MOST}


def label_probabilities(choice: Any, labels: Sequence[str]) -> dict[str, float]:
    """The probability of each label, by the first token of an answer that is more than white space or a quote.

    They sum to 1 over the labels; a label that no returned token begins has 0. Where the token of one label begins
    another one too, as "1" begins "10", the next token tells them apart if the model wrote that token.

    Args:
        choice: the choice of a chat completion.
        labels: the answers that the request allows.

    Returns:
        The probabilities by label, in the order of the labels; empty where the answer has none, where it does not begin
        with a label by more than 10% of its probability, or where more than 1% is of tokens that begin several labels.
    """
    places = [_alternatives(place) for place in _places(choice)]
    first = next((i for i, place in enumerate(places) if place and _bare(place[0][0])), None)
    if first is None:
        return {}
    written, alternatives = _bare(places[first][0][0]), _merged(places[first])
    masses, unclear = dict.fromkeys(labels, 0.0), 0.0
    for text, probability in alternatives.items():
        possible = _possible(text, labels, alternatives)
        if len(possible) == 1:
            masses[possible[0]] += probability
        elif possible and text == written and first + 1 < len(places):
            for label, share in _distinguished(text, possible, _merged(places[first + 1])).items():
                masses[label] += probability * share
        elif possible:
            unclear += probability
    total = sum(masses.values())
    if not total >= _LEAST or unclear > _UNCLEAR * (total + unclear):
        return {}
    return {label: probability / total for label, probability in masses.items()}


def _places(choice: Any) -> list[Any]:
    logprobs = choice.get("logprobs") if isinstance(choice, Mapping) else None
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    return content if isinstance(content, list) else []


def _alternatives(place: Any) -> list[tuple[str, float]]:
    """The tokens of one place with their probabilities, the written one first; empty where they cannot be read."""
    if not isinstance(place, Mapping):
        return []
    others = place.get("top_logprobs")
    masses: dict[str, float] = {}
    for one in [place, *(others if isinstance(others, list) else ())]:
        token, logprob = (one.get("token"), one.get("logprob")) if isinstance(one, Mapping) else (None, None)
        if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
            return []
        if not logprob <= 1e-3:  # also NaN; a probability of 1 may be rounded
            return []
        masses.setdefault(token, min(math.exp(logprob), 1.0))
    return list(masses.items())


def _merged(place: list[tuple[str, float]]) -> dict[str, float]:
    """The probabilities by text without the signs around it."""
    merged: dict[str, float] = {}
    for token, probability in place:
        merged[_bare(token)] = merged.get(_bare(token), 0.0) + probability
    return merged


def _bare(token: str) -> str:
    return token.strip(_AROUND).lower()


def _possible(text: str, labels: Sequence[str], alternatives: Mapping[str, float]) -> list[str]:
    """The labels that a token may begin. One that is a label is this label alone if longer ones have other tokens."""
    begun = [label for label in labels if label.startswith(text)] if text else []
    longer = [label for label in begun if label != text]
    if text in begun and any(label in alternatives for label in longer):
        return [text]
    return begun


def _distinguished(text: str, possible: Sequence[str], following: Mapping[str, float]) -> dict[str, float]:
    """The share of each label that a token may begin, by the tokens that follow it."""
    shares = dict.fromkeys(possible, 0.0)
    for after, probability in following.items():
        label = text + after if after and text + after in shares else text
        if label in shares:
            shares[label] += probability
    total = sum(shares.values())
    return {label: share / total for label, share in shares.items()} if total else {}
