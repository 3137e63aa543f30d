"""Reasons: what a run stores so that reasons are worded when they are read, and the worder made of it.

Only reasons of the core's own rater are stored as terms, and only the core's own worder reads them: all that a file
says of it is data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict

from emosim_core.components.base import WorldSetting
from emosim_core.components.rule_based import ReasonRequest, RuleBased, RuleBasedOptions
from emosim_core.model import Catalog, Item, Population, RatingScale, User
from emosim_core.model.domain import Words
from emosim_core.runs.steps import Steps
from emosim_core.simulation.assembly import World

TERMS = ("latent", "noise", "mood", "times")
"""The terms of the rule-based rater, each a column of numbers."""


@with_config(extra="forbid")
class Wording(TypedDict):
    """What the wording of reasons needs beside the items and the users: words, scales and options of the rater."""

    words: Words
    scale: RatingScale
    catalog_scale: RatingScale
    real_ratings: list[float]
    options: RuleBasedOptions


WORDING: TypeAdapter[Wording] = TypeAdapter(Wording)


def wording_of(world: World) -> Wording | None:
    """What a run of a world stores to word its reasons later; None where it stores them as texts."""
    rater = world.rater
    if type(rater) is not RuleBased or not world.trusted("rater") or rater.options.learn:
        return None
    return {
        "words": world.domain.words,
        "scale": world.domain.scale,
        "catalog_scale": world.catalog.scale,
        "real_ratings": list(world.domain.real_ratings),
        "options": rater.options,
    }


def item_fields(item: Item) -> dict[str, Any]:
    """What every item has, without what a domain adds."""
    return item.model_dump(mode="json", include=set(Item.model_fields))


class Worder:
    """Words reasons of the rule-based rater from its terms."""

    def __init__(
        self, wording: Wording, items: Sequence[Item], embeddings: NDArray[np.float32], users: Sequence[User]
    ) -> None:
        self._words, self._scale = wording["words"], wording["scale"]
        self._catalog = Catalog(items, wording["catalog_scale"], embeddings)
        self._catalog.embeddings = embeddings  # to the last bit, where they are normalized already
        self._population = Population(users)
        self._rater = RuleBased(wording["options"])
        self._rater.prepare(
            WorldSetting(
                catalog=self._catalog,
                population=self._population,
                scale=self._scale,
                words=self._words,
                real_ratings=tuple(wording["real_ratings"]),
            )
        )

    def reasons(self, steps: Steps) -> Callable[[int], str]:
        """The reason of each row; empty of who was interrupted. It is worded when it is asked for."""
        width = int(steps.retrieved.max(initial=0))
        known = np.arange(width) < steps.retrieved[:, None]
        items = np.zeros((len(steps), 1, width), dtype=np.intp)
        ratings = np.full((len(steps), 1, width), np.nan)
        items[known[:, None]] = steps.retrieved_item
        ratings[known[:, None]] = steps.retrieved_rating
        item = np.maximum(steps.item, 0)[:, None]
        reason = self._rater.word_reasons(
            ReasonRequest(
                users=steps.user,
                items=item,
                retrieved_items=items,
                retrieved_ratings=ratings,
                times=np.nan_to_num(steps.terms["times"])[:, None].astype(np.intp),
                catalog=self._catalog,
                population=self._population,
                scale=self._scale,
                words=self._words,
            ),
            {name: values[:, None] for name, values in steps.terms.items()},
        )
        given = (~np.isnan(steps.terms["latent"])).tolist()
        return lambda row: reason(row, 0) if given[row] else ""
