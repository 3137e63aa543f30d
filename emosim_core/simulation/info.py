"""Info: what a step was, in names and words."""

from __future__ import annotations

from typing import Any

from emosim_core.simulation.engine import Engine, Step


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
        "reasons": [step.reason(row, place) for place in range(len(actions))],
        "consumed": step.consumed[row].tolist(),
        "end": engine.endings[code] or None,
    }
