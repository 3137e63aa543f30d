"""Records: the lines of interactions.jsonl, made from steps and read back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emosim_core.data.files import plain_file
from emosim_core.errors import RunError
from emosim_core.model.emotion import AROUSAL_NAMES, VALENCE_NAMES
from emosim_core.simulation.engine import Engine, Step

INTERACTIONS = "interactions.jsonl"
MANIFEST = "manifest.json"
SUMMARY = "summary.json"

_FIELD_OF_ITS_OWN = {"run": "policy", "train": "algo"}
"""A field that only the configurations of one command have."""

_STEP_KEYS = {"episode", "step", "user", "proposed", "reward", "mood", "end"}


def plain(value: float) -> float | int | None:
    """A number for JSON: whole ones without a decimal point, NaN as None."""
    if value != value:
        return None
    return int(value) if value == int(value) else round(value, 6)


def person_record(engine: Engine, person: int) -> dict[str, Any]:
    """Who a person is; part of the first line of a session."""
    return engine.world.population.users[person].model_dump(mode="json")


def step_record(engine: Engine, step: Step, row: int, episode: int, number: int) -> dict[str, Any]:
    """One step of one person, as a line of interactions.jsonl holds it.

    Returns:
        ``episode``, ``step`` (from 1), ``user``; ``proposed``, for each item of the slate its id,
        ``title``, ``rating`` by the rater (null if it failed), ``reason``, ``probabilities`` where a model told
        them, whether it was ``consumed``, and if so ``felt`` (the rating after perturbation), how many ``times``,
        ``valence`` and ``arousal``; ``remembered``, the memories retrieved for it; ``reward``; ``mood`` after the
        step; ``end``, why the session ended, or null.
    """
    world = engine.world
    catalog = world.catalog
    proposed = []
    for place, item in enumerate(step.actions[row].tolist()):
        told: dict[str, Any] = {
            "item": catalog.items[item].id,
            "title": catalog.titles[item],
            "rating": plain(float(step.raw[row, place])),
            "reason": step.reason(row, place),
            "consumed": bool(step.consumed[row, place]),
        }
        if shares := step.probabilities(row, place):
            told["probabilities"] = {label: round(share, 4) for label, share in shares.items()}
        if told["consumed"]:
            rating = float(step.ratings[row, place])
            code = int(world.emotion.code(rating))
            told["felt"] = plain(rating)
            told["times"] = int(step.times[row, place])
            told["valence"] = VALENCE_NAMES[code // 3]
            told["arousal"] = AROUSAL_NAMES[code % 3]
        told["remembered"] = [
            {"item": catalog.items[past].id, "title": catalog.titles[past], "rating": plain(rating)}
            for past, rating in zip(
                step.retrieved_items[row, place].tolist(), step.retrieved_ratings[row, place].tolist(), strict=True
            )
            if rating == rating
        ]
        proposed.append(told)
    mood = engine.moods[step.rows[row]].tolist()
    return {
        "episode": episode,
        "step": number,
        "user": world.population.users[int(step.people[row])].id,
        "proposed": proposed,
        "reward": plain(float(step.rewards[row])),
        "mood": [round(mood[0], 4), round(mood[1], 4)],
        "end": engine.endings[int(step.endings[row])] or None,
    }


def encode(record: Mapping[str, Any]) -> bytes:
    """A record as one line, always the same bytes for the same record."""
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    # Half of a surrogate pair, which models do send, has no encoding; within JSON its escape stands for it.
    return line.encode("utf-8", "backslashreplace") + b"\n"


def read_records(directory: Path) -> Iterator[dict[str, Any]]:
    """All steps of a run in the order in which they were written; a line in flight when it was killed is left out.

    Raises:
        RunError: there is no such file, or a line is not a record.
    """
    path = directory / INTERACTIONS
    try:
        with plain_file(path).open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    record = json.loads(line)
                except ValueError as error:
                    raise RunError(f"{path}, line {number}: is not JSON ({error})") from error
                if not isinstance(record, dict) or not record.keys() >= _STEP_KEYS:
                    raise RunError(f"{path}, line {number}: is not a step of a run")
                yield record
    except FileNotFoundError as error:
        if (directory / MANIFEST).exists():  # it was stopped before its first step
            return
        raise RunError(f"{directory} is no run: it has no {INTERACTIONS}") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        RunError: it is missing, is not JSON, or lacks what a manifest holds.
    """
    found = read_json(directory / MANIFEST)
    for section in ("config", "parts", "data"):
        if not isinstance(found.get(section), dict):
            raise RunError(f"{directory / MANIFEST} is damaged: it has no table {section!r}")
    return found


def stored_config(directory: Path, command: str) -> dict[str, Any]:
    """The configuration of what is to be resumed, as its manifest holds it.

    Args:
        directory: where it is.
        command: ``"run"`` or ``"train"``, the command that resumes it.

    Raises:
        RunError: there is no manifest, or another command made it.
    """
    config: dict[str, Any] = read_manifest(directory)["config"]
    if _FIELD_OF_ITS_OWN[command] not in config:
        raise RunError(f"{directory} was not made by 'emosim {command}'; resume it with the command that made it")
    return config


def made_by(directory: Path, command: str) -> bool:
    """Whether a manifest was written by ``"run"`` or ``"train"``, whichever is asked for.

    Raises:
        RunError: it is missing or is not JSON.
    """
    config = read_json(directory / MANIFEST).get("config")
    return isinstance(config, dict) and _FIELD_OF_ITS_OWN[command] in config


def read_json(path: Path) -> dict[str, Any]:
    """A manifest or a summary.

    Raises:
        RunError: it is missing or is not JSON.
    """
    try:
        found = json.loads(plain_file(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path.parent} is no run: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise RunError(f"{path} is damaged: it holds no JSON object")
    return found
