"""Pairs: what a real user rated, and what the same user rates as simulated, of the same items, by turns on each side.

The protocol is that of a validation (:mod:`emosim_core.studies.validation`): a user is split at one moment, the
simulation knows what others did before it and what the user did before it, and nothing of what is held out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from emosim_core.data import json_text
from emosim_core.model import Catalog
from emosim_core.runs.job import write_file
from emosim_core.runs.reading import read_lines
from emosim_core.runs.steps import plain
from emosim_core.simulation.assembly import World
from emosim_core.studies.validation.knowledge import Knowledge, RealLog
from emosim_core.studies.validation.simulator import RATE, simulator_at
from emosim_core.studies.validation.users import Part, RealUser, drawn, place

PAIRS = "pairs.jsonl"

Side = Literal["first", "second"]

FIRST: Final = "first"
SECOND: Final = "second"
"""The sides of a pair, and so the answers of a judge: which history is the real one."""


class PairItem(TypedDict):
    """An item as a judge sees it; the year is None where it is not known."""

    item: str
    title: str
    year: int | None
    categories: list[str]


class Pair(TypedDict):
    """One pair: ``real`` and ``simulated`` are ratings of ``items``; the judge sees ``first`` and ``second``.

    ``earlier`` are items that the user rated before, the oldest first, with ``earlier_ratings``; both sides share them.
    ``mean`` are the mean ratings of the items by other users until then, None of an item that nobody had rated.
    """

    pair: int
    user: str
    moment: str | None
    earlier: list[PairItem]
    earlier_ratings: list[float]
    items: list[PairItem]
    real: list[float]
    simulated: list[float]
    mean: list[float | None]
    real_side: Side


_PAIR = TypeAdapter(Pair)


def sides_of(pair: Pair) -> dict[Side, list[float]]:
    """The ratings on each side."""
    if pair["real_side"] == FIRST:
        return {FIRST: pair["real"], SECOND: pair["simulated"]}
    return {FIRST: pair["simulated"], SECOND: pair["real"]}


def chosen_parts(parts: Sequence[Part], history: int, most: int) -> tuple[list[Part], int]:
    """The parts with at most ``most`` users in all, in turns, who have ``history`` held-out ratings; how many have not.

    Which users are chosen depends on their ids alone.
    """
    able = [
        sorted((one for one in part.users if len(one.later) >= history), key=lambda one: place(one.id))
        for part in parts
    ]
    short = sum(len(part.users) for part in parts) - sum(map(len, able))
    ranked = sorted((rank, number) for number, some in enumerate(able) for rank in range(len(some)))[:most]
    chosen = {able[number][rank].id for rank, number in ranked}
    result = [replace(part, users=tuple(one for one in part.users if one.id in chosen)) for part in parts]
    return [part for part in result if part.users], short


def make_pairs(
    world: World,
    log: RealLog,
    parts: Sequence[Part],
    history: int,
    earlier: int,
    seed: int,
    on_user: Callable[[], None],
) -> tuple[list[Pair], dict[str, int]]:
    """The pairs of all users of some parts, in an order and on sides that the seed decides, and who is left out.

    Half of the pairs have the real ratings first, up to one. A user is left out before whom too few others are known
    (``too_early``), or of whose ratings one failed (``failed``): no rating is invented.

    Raises:
        LLMError: no request of the rater can succeed.
    """
    pairs: list[Pair] = []
    left_out = {"too_early": 0, "failed": 0}
    for part in parts:
        knowledge = Knowledge(log, part, seed)
        for month, some in groupby(part.users, key=lambda one: one.moment):
            users = [*some]
            if not knowledge.known(month).enough:
                left_out["too_early"] += len(users)
            else:
                for pair in _of_month(world, knowledge, month, users, history, earlier, seed):
                    if pair is None:
                        left_out["failed"] += 1
                    else:
                        pairs.append(pair)
                    on_user()
    rng = np.random.default_rng([seed, 3])
    order = rng.permutation(len(pairs)).tolist()
    real_first = rng.permutation(np.arange(len(pairs)) % 2 == 0).tolist()
    shuffled = [pairs[place] for place in order]
    for number, (pair, first) in enumerate(zip(shuffled, real_first, strict=True)):
        pair["pair"], pair["real_side"] = number, FIRST if first else SECOND
    return shuffled, left_out


def _of_month(
    world: World,
    knowledge: Knowledge,
    month: int | None,
    real_users: Sequence[RealUser],
    history: int,
    earlier: int,
    seed: int,
) -> Iterator[Pair | None]:
    """The pairs of the users who are split at the start of one month; None for one of whose ratings one failed."""
    simulator, _, _ = simulator_at(world, knowledge, month, real_users, seed)
    catalog = simulator.world.catalog
    for row, one in enumerate(real_users):
        places = drawn(np.random.default_rng([seed, 1, *one.id.encode()]), len(one.later), history)
        items, real = one.later[places], one.later_values[places]
        answers, past = simulator.rate(row, items, RATE), one.past
        assert past.values is not None
        last = max(0, len(past.items) - earlier)
        if np.isnan(answers).any():
            yield None
            continue
        counts, means = catalog.public_counts[items], catalog.public_ratings[items]
        yield {
            "pair": 0,
            "user": one.id,
            "moment": None if month is None else str(np.datetime64(month, "M")),
            "earlier": items_of(catalog, past.items[last:].tolist()),
            "earlier_ratings": past.values[last:].tolist(),
            "items": items_of(catalog, items.tolist()),
            "real": real.tolist(),
            "simulated": answers.tolist(),
            "mean": [round(mean, 4) if n else None for n, mean in zip(counts.tolist(), means.tolist(), strict=True)],
            "real_side": FIRST,
        }


def items_of(catalog: Catalog, indices: Sequence[int]) -> list[PairItem]:
    """Items as a judge sees them."""
    items = [catalog.items[index] for index in indices]
    return [{"item": one.id, "title": one.title, "year": one.year, "categories": list(one.categories)} for one in items]


def shown(rating: float) -> str:
    """A rating as a judge reads it."""
    return f"{plain(rating)}"


def write_pairs(directory: Path, pairs: Sequence[Mapping[str, Any]]) -> None:
    """Write the pairs of a test; a RunError where that is not possible."""
    write_file(directory / PAIRS, b"".join(map(json_text.line, pairs)))


def read_pairs(directory: Path) -> list[Pair]:
    """The pairs of a test; a RunError where they are missing, or one is damaged or out of place."""
    pairs: list[Any] = [record for _, record in read_lines(directory / PAIRS, _PAIR)]
    return pairs
