"""Info: what a step was, in names and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emosim_core.simulation.engine import Engine, Step


class Reasons(Sequence[str]):
    """The reasons of one person's answers, worded when they are read: most steps are never read.

    Args:
        step: the step.
        row: the person's row in it.
    """

    __slots__ = ("_row", "_step")

    def __init__(self, step: Step, row: int) -> None:
        self._step, self._row = step, row

    def __len__(self) -> int:
        return self._step.actions.shape[1]

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return self._step.reason(self._row, place % len(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(list(self))


def session_info(engine: Engine, person: int) -> dict[str, Any]:
    """Who a person is, by index in the population."""
    user = engine.world.population.users[person]
    return {"user_id": user.id, "user_name": user.name}


def step_info(engine: Engine, step: Step, row: int) -> dict[str, Any]:
    """What one person did, with titles and reasons.

    Returns:
        ``user_id``, ``user_name``; ``items``, ``titles``, ``ratings`` (as the rater gave them, None for
        a failed one), ``reasons`` and ``consumed``, one entry per place in the slate; ``end``, why the
        session ended, or None.
    """
    catalog = engine.world.catalog
    actions = step.actions[row].tolist()
    raw = step.raw[row].tolist()
    code = int(step.endings[row])
    return {
        **session_info(engine, int(step.people[row])),
        "items": [catalog.items[action].id for action in actions],
        "titles": [catalog.titles[action] for action in actions],
        "ratings": [None if value != value else value for value in raw],
        "reasons": Reasons(step, row),
        "consumed": step.consumed[row].tolist(),
        "end": engine.endings[code] or None,
    }
