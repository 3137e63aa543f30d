"""The policy ``python``: a recommender that is a function or a class of the user's own, in a module or a file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import Field

from emosim_core.components.base import Policy
from emosim_core.errors import ConfigurationError
from emosim_core.model.frozen import Frozen, option
from emosim_core.recommenders.outside import History, OutsidePolicy, id_list, id_lists


class PythonOptions(Frozen):
    """Options of ``python``."""

    target: str = Field(
        min_length=1, description="MODULE:NAME or FILE.py:NAME of a function, or of a class without arguments."
    )
    history: int = option(50, "Most recent interactions that the recommender receives.", ge=1, unit="items")


def python_policy(options: PythonOptions) -> Policy:
    """The policy that a target names: a function, a class with ``recommend``, or a class of policies.

    Raises:
        ConfigurationError: there is no such module, file or name, or it is none of these.
    """
    loaded, where = _load(options.target), f"the policy 'python:{options.target}'"
    if isinstance(loaded, type):
        try:
            loaded = loaded()
        except TypeError as error:
            raise ConfigurationError(f"{where} names a class that cannot be made without arguments: {error}") from error
    if isinstance(loaded, Policy):
        return loaded
    for name in ("recommend_batch", "recommend"):
        if callable(function := getattr(loaded, name, None)):
            return PythonPolicy(options, function, batch=name == "recommend_batch")
    if not callable(loaded):
        raise ConfigurationError(
            f"{where} is a {type(loaded).__name__}; it needs a function, or a class with recommend"
        )
    return PythonPolicy(options, loaded)


class PythonPolicy(OutsidePolicy):
    """Asks a function ``recommend(history, k, exclude)``, which answers ids of items, best first.

    ``history`` holds pairs of an item's id and its rating, oldest first; ``exclude`` the ids that were recommended in
    the episode. A function with a parameter ``user`` gets the user's id by that name. A batched one is asked for all
    users of a step at once: ``recommend_batch(histories, k, excludes)``, and ``users`` by name.

    A function that answers the same for the same arguments keeps runs the same, however they are cut into blocks.
    """

    def __init__(self, options: PythonOptions, function: Callable[..., Any], batch: bool = False) -> None:
        super().__init__(options.history)
        self._function, self._batch, self._who = function, batch, options.target
        try:
            known = set(inspect.signature(function).parameters)
        except (TypeError, ValueError):  # a function of a compiled module may not say
            known = set()
        self._named = ("users" if batch else "user") in known

    def lists(
        self, users: Sequence[str], histories: Sequence[History], exclude: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[str]]:
        if self._batch:
            named = {"users": list(users)} if self._named else {}
            return id_lists(self._function(histories, self.slate, exclude, **named), len(users), self._who)
        return [
            id_list(self._function(history, self.slate, out, **({"user": user} if self._named else {})), self._who)
            for user, history, out in zip(users, histories, exclude, strict=True)
        ]


def _load(target: str) -> Any:
    place, colon, name = target.rpartition(":")
    where = f"the policy 'python:{target}'"
    if not colon or not place or not name:
        raise ConfigurationError(
            f"{where} names no function; write python:MODULE:NAME or python:FILE.py:NAME, such as "
            "python:my_recommender.py:recommend"
        )
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else _from_module(place)
    except ImportError as error:
        hint = f" A file is named with its ending: python:{place}.py:{name}" if Path(f"{place}.py").exists() else ""
        raise ConfigurationError(f"{where}: {error}.{hint}") from error
    try:
        return getattr(module, name)
    except AttributeError:
        from emosim_core.hooks.names import did_you_mean

        known = [one for one in vars(module) if not one.startswith("_")]
        raise ConfigurationError(f"{where}: {place} has no {name!r}.{did_you_mean(name, known)}") from None


def _from_module(name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:  # as with python -m, a module beside the shell is found
        sys.path.append(here)
    return importlib.import_module(name)


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise ImportError(f"there is no file {path}")
    # The name is that of the place, so that two files of one name are two modules.
    key = blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()
    name = f"_emosim_{path.stem}_{key}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
