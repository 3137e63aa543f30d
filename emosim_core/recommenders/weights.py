"""Files of weights: tensors of a recommender, and the state of a training; read without running code in them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from gymnasium import spaces
from pydantic import TypeAdapter
from safetensors.torch import save

from emosim_core.data import json_text
from emosim_core.data.files import write_whole
from emosim_core.errors import RunError
from emosim_core.recommenders.networks import Actor, Net, NetOptions
from emosim_core.recommenders.slate_networks import SlateActor
from emosim_core.runs.reading import read_object
from emosim_core.runs.schemas import Count, Number, Written

STATE, COUNTERS, REPLAY = "state.pt", "counters.json", "replay.npz"


class _Counters(Written):
    """What counters.json holds."""

    timesteps: Count
    updates: Count
    calls: Count
    episodes: Count
    best: Number | None
    evaluated_at: Count
    seconds: Number
    end_reasons: dict[str, Count]


_COUNTERS = TypeAdapter(_Counters)

_REPLAY_ARRAYS = ("actions", "rewards", "dones", "timeouts")


def actor_bytes(actor: Actor | SlateActor) -> bytes:
    """The weights of an actor as safetensors, which hold no code."""
    return save(actor.weights())


def empty_actor(description: Mapping[str, Any]) -> tuple[NetOptions, Actor | SlateActor]:
    """An actor whose weights are still to be loaded, from the fields of :class:`NetOptions`."""
    lists = {name: tuple(description[name]) for name in ("hidden", "latent")}
    options = NetOptions(**{**description, **lists})
    features = np.zeros((options.items, options.features), dtype=np.float32)
    nothing = np.zeros(options.items, dtype=np.float32)
    net = Net(options, features, nothing, nothing, 0.0, np.ones(options.num_users, dtype=np.bool_))
    actor: Actor | SlateActor
    if options.choice_places:
        actor = SlateActor(net)
    else:
        actor = Actor(net.extractor(spaces.Dict(), net), net.torso(critic=False), net.head())
    actor.eval()
    actor.requires_grad_(False)
    return options, actor


def check_finite(state: Mapping[str, Any], name: str = "") -> None:
    """See that all weights of a state are finite numbers; a ValueError names the first tensor that is not."""
    for key, value in state.items():
        place = f"{name}.{key}" if name else str(key)
        if isinstance(value, Mapping):
            check_finite(value, place)
        elif isinstance(value, torch.Tensor) and not bool(torch.isfinite(value).all()):
            raise ValueError(f"the weights {place!r} are not all finite numbers")


def save_checkpoint(folder: Path, model: Any, counters: Mapping[str, Any]) -> None:
    """Write all that a training needs to go on; the counters come last and make the checkpoint whole.

    stable-baselines3's ``CheckpointCallback`` pickles the model, so that reading it runs code, and has no counters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = io.BytesIO()
    torch.save(dict(model.get_parameters()), state)
    write_whole(folder / STATE, state.getvalue())
    replay = getattr(model, "replay_buffer", None)
    if replay is not None:
        write_whole(folder / REPLAY, _replay_bytes(replay))
    calls = getattr(model, "_n_calls", 0)
    description = {"timesteps": model.num_timesteps, "updates": model._n_updates, "calls": calls, **counters}
    write_whole(folder / COUNTERS, json_text.dumps(description).encode() + b"\n")


def load_checkpoint(folder: Path, model: Any) -> dict[str, Any]:
    """Put what :func:`save_checkpoint` wrote back into a model that was built alike, and return the counters."""
    try:
        counters = read_object(folder / COUNTERS, _COUNTERS)
        state = torch.load(folder / STATE, map_location=model.device, weights_only=True)
        check_finite(state)
        model.set_parameters(state, exact_match=True, device=model.device)
        replay = getattr(model, "replay_buffer", None)
        if replay is not None:
            _fill_replay(replay, folder / REPLAY)
        model.num_timesteps = counters["timesteps"]
        model._n_updates = counters["updates"]
        if hasattr(model, "_n_calls"):
            model._n_calls = counters["calls"]
    except (
        OSError, AttributeError, LookupError, TypeError, ValueError, RuntimeError, EOFError, ArithmeticError,
        BadZipFile, UnpicklingError, RunError,
    ) as error:  # fmt: skip
        raise RunError(
            f"the checkpoint {folder} is damaged ({_cause(error)}). Remove that folder to go on from the checkpoint "
            "before it"
        ) from error
    return counters


def _cause(error: Exception) -> str:
    if isinstance(error, RunError):
        return str(error)
    if isinstance(error, UnpicklingError):  # torch words it as advice to run what the file holds
        return "it holds more than plain tensors"
    return f"{type(error).__name__}: {error}"


def _replay_bytes(replay: Any) -> bytes:
    """What was seen so far; observations are mostly zeros and pack well."""
    end = replay.buffer_size if replay.full else replay.pos
    arrays = {name: getattr(replay, name)[:end] for name in _REPLAY_ARRAYS}
    for key in replay.observations:
        arrays[f"observation.{key}"] = replay.observations[key][:end]
        arrays[f"next_observation.{key}"] = replay.next_observations[key][:end]
    stream = io.BytesIO()
    np.savez_compressed(stream, place=np.array([replay.pos, replay.full], dtype=np.int64), **arrays)
    return stream.getvalue()


def _fill_replay(replay: Any, path: Path) -> None:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        pos, full = arrays["place"].tolist()
        end = len(arrays["actions"])
        for name in _REPLAY_ARRAYS:
            getattr(replay, name)[:end] = arrays[name]
        for key in replay.observations:
            replay.observations[key][:end] = arrays[f"observation.{key}"]
            replay.next_observations[key][:end] = arrays[f"next_observation.{key}"]
        replay.pos, replay.full = pos, bool(full)
