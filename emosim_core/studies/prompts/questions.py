"""Questions: what the prompt bench asks for one real user, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from emosim_core.components.base import Exchange, RatingRequest
from emosim_core.llm.rater import ModelRater
from emosim_core.model import Catalog
from emosim_core.model.arrays import Floats, Ints
from emosim_core.studies.validation.candidates import MATCHED, Existing, draw_tests
from emosim_core.studies.validation.simulator import RATE, UserSimulator
from emosim_core.studies.validation.users import RealUser

CHOSEN, OTHER, SWAPPED, REVERSED, BLANK = "chosen", "other", "swapped", "reversed", "blank"
"""What a question is about: an item that the user took; one that is as popular, which they did not take; an item that
the user took, put to another user; one with the memories in reverse order; an item of which nothing is known."""

NO_TITLE = "(no title)"
"""Title of the item of which nothing is known."""

_MEMORIES = ("retrieved", "retrieved_items", "retrieved_ratings")

GRAM = 4
"""Words in a row that a text shares with an example where it counts as copied."""


def per_user(chosen: int) -> int:
    """Most questions for a user of whom so many chosen items are asked about."""
    return 2 * chosen + 2 * _some(chosen) + 1


def _some(chosen: int) -> int:
    """Of how many chosen items there are swapped and reversed questions."""
    return (chosen + 1) // 2


@dataclass(frozen=True)
class Question:
    """Questions that one user answers together: what each is about, and its item, ``(S,)``; a row of the simulator."""

    kinds: Sequence[str]
    items: Ints
    row: int = 0


def drawn(real_user: RealUser, existing: Existing, counts: Any, chosen: int, seed: int) -> tuple[Ints, Ints]:
    """Items that a user took after their moment, and for each one that is as popular and was not taken; ``(P,)``."""
    test = draw_tests(real_user, existing, counts, 1, chosen, seed)[MATCHED]
    return test.chosen, test.others.ravel()


def questions(chosen: Ints, others: Ints, other_user: int | None, blank: int | None) -> list[Question]:
    """All questions for the user in row 0; ``other_user`` is a row and ``blank`` an item, None where there is none."""
    some = chosen[: _some(len(chosen))]
    unknown = [] if blank is None else [blank]
    own = np.array([*chosen, *others, *unknown], dtype=np.intp)
    groups = [Question([CHOSEN] * len(chosen) + [OTHER] * len(others) + [BLANK] * len(unknown), own)]
    groups.append(Question([REVERSED] * len(some), some))
    return groups if other_user is None else [*groups, Question([SWAPPED] * len(some), some, other_user)]


def with_blank(catalog: Catalog, place: int) -> Catalog:
    """The catalog with an item of which nothing is known at one place."""
    item = catalog.items[place]
    empty = type(item)(id=item.id, title=NO_TITLE)
    return Catalog([*catalog.items[:place], empty, *catalog.items[place + 1 :]], catalog.scale, catalog.embeddings)


def answers(simulator: UserSimulator, question: Question) -> Iterator[dict[str, Any]]:
    """The records of some questions, in the order of the items; none for a reversed one with fewer than two memories.

    Each has ``kind``, ``item``, the probability of each level in ``distribution``, None where there was no answer, and
    of free text the share that was ``copied``; ``prompt`` and ``completion`` are tokens, None where not reported.
    """
    world = simulator.world
    rater = world.rater
    assert isinstance(rater, ModelRater)
    request, kinds = simulator.request(question.row, question.items), question.kinds
    if REVERSED in kinds:
        request = _reversed(request)
        if not request.items.size:
            return
    with world.blaming("rater"):
        distributions, reasons = _expected(simulator, rater, request)
        exchanges = {one.place: one for one in reversed(rater.exchanges())}  # of each place the first
    for place, item in enumerate(request.items[0].tolist()):
        known = ~np.isnan(distributions[place]).any()
        exchange = exchanges.get(place)
        usage = {} if exchange is None else exchange.usage
        yield {
            "kind": kinds[place],
            "item": world.catalog.items[item].id,
            "distribution": [round(one, 6) for one in distributions[place].tolist()] if known else None,
            "copied": copied(reasons[place], _examples(exchange)),
            "prompt": usage.get("prompt_tokens"),
            "completion": usage.get("completion_tokens"),
        }


def _expected(simulator: UserSimulator, rater: ModelRater, request: RatingRequest) -> tuple[Floats, list[str]]:
    """The distributions of the answers, ``(S, L)``, NaN where there is none, and their reasons.

    An answer without probabilities counts as certain.
    """
    size = request.items.shape[1]
    try:
        return rater.distribution_batch(request)[0], [""] * size
    except NotImplementedError:
        ratings = simulator.world.rate(request, simulator.draws(0, RATE))
    levels = simulator.world.domain.scale.levels
    values = ratings.values[0]
    certain = (np.abs(levels - values[:, None]) < 1e-9).astype(np.float64)
    certain[np.isnan(values)] = np.nan
    return certain, ["" if np.isnan(values[place]) else ratings.reason(0, place) for place in range(size)]


def _reversed(request: RatingRequest) -> RatingRequest:
    """The same items with their memories in reverse order, of those items that have several."""
    several = np.flatnonzero((request.retrieved[0] >= 0).sum(axis=1) > 1)
    turned = {name: getattr(request, name)[:, several].copy() for name in _MEMORIES}
    for place, known in enumerate(request.retrieved[0, several] >= 0):
        for rows in turned.values():
            rows[0, place, known] = rows[0, place, known][::-1]
    return replace(request, items=request.items[:, several], times=request.times[:, several], **turned)


def _examples(exchange: Exchange | None) -> list[str]:
    """The texts of the worked examples of a request: all but the instructions and the question."""
    messages: Sequence[tuple[str, str]] = () if exchange is None else exchange.messages
    return [text for role, text in messages[:-1] if role != "system"]


def copied(text: str, examples: Sequence[str]) -> float | None:
    """The share of a text's runs of :data:`GRAM` words that stand in an example; None without such runs or examples."""
    own = _grams(text)
    if not own or not examples:
        return None
    theirs = set().union(*map(_grams, examples))
    return round(len(own & theirs) / len(own), 6)


def _grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[place : place + GRAM]) for place in range(len(words) - GRAM + 1)}
