"""Component: the description of one thing that a plugin provides."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from emosim_core.errors import BrokenPluginError

CORE_GROUP = "emosim.core"
"""The entry-point group in which the core names the module of its components; read of no other distribution."""

KINDS: dict[str, str] = {
    "domain": "emosim_domains",
    "item_loader": "emosim_item_loaders",
    "user_loader": "emosim_user_loaders",
    "rater": "emosim_raters",
    "retrieval": "emosim_retrievals",
    "choice": "emosim_choices",
    "selector": "emosim_selectors",
    "perturbator": "emosim_perturbators",
    "emotion_model": "emosim_emotion_models",
    "reward_shaping": "emosim_reward_shapings",
    "observation": "emosim_observations",
    "policy": "emosim_policies",
    "llm_backend": "emosim_llm_backends",
    "prompt_strategy": "emosim_prompt_strategies",
    "study": "emosim_studies",
    "executor": "emosim_executors",
}
"""Kinds of components, and the hook that names the components of each."""

KIND_TITLES: dict[str, str] = {
    **{kind: kind.replace("_", " ") for kind in KINDS},
    "retrieval": "retrieval strategy",
    "choice": "choice model",
    "llm_backend": "language-model backend",
}
"""What a kind is called in a message."""


@dataclass(frozen=True)
class Component:
    """What a plugin provides under one name. Describing it imports nothing heavy; the hook says of which kind it is.

    Attributes:
        name: the name that users type; letters, digits, ``_`` and ``-``.
        summary: one line for listings.
        factory: where to find what makes it, ``"package.module:Class"``; called with the options as
            its only argument, or with nothing where ``options`` is None.
        options: where to find the pydantic model of its options, ``"package.module:Class"``.
        number: the option that a trailing number sets (``decay_emotion_3`` sets ``k``).
        value: the option that text after the colon sets (``csv:PATH`` sets ``path``).
        prefixes: beginnings of texts that are the option ``value`` as they stand (with ``deepseek-``, the text
            ``deepseek-chat`` means this component with that value).
        preset: options that the name itself sets; a user may still set others.
        domain: the only domain in which the component can be used; None for all.
        aliases: further names.
        formats: of an item loader, where to find the formats that it reads, ``"package.module:FORMATS"``: a tuple of
            ``Format``, or a function that returns one for a ``Domain``. A file of one of them that is given to another
            source is refused with the name of this one.
        hidden: whether it is left out of lists and suggestions: what no user types.
        kind: one of :data:`KINDS`, set where the component is registered; empty before.
    """

    name: str
    summary: str
    factory: str
    _: KW_ONLY
    options: str | None = None
    number: str | None = None
    value: str | None = None
    prefixes: tuple[str, ...] = ()
    preset: Mapping[str, Any] = field(default_factory=dict, hash=False)
    domain: str | None = None
    aliases: tuple[str, ...] = ()
    formats: str | None = None
    hidden: bool = False
    kind: str = ""

    @property
    def title(self) -> str:
        """Kind and name, such as ``"rater 'llm'"``."""
        return f"{KIND_TITLES.get(self.kind, 'component')} {self.name!r}"

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the aliases."""
        return (self.name, *self.aliases)

    def usage(self) -> str:
        """How the name is written, such as ``decay_emotion_K`` or ``csv:PATH``."""
        number = f"_{self.number.upper()}" if self.number else ""
        return f"{self.name}{number}" + (f":{self.value.upper()}" if self.value else "")

    def options_model(self) -> type[BaseModel] | None:
        """The model of the options, imported now; a BrokenPluginError where it cannot be."""
        try:
            return None if self.options is None else load_object(self.options)
        except Exception as error:
            raise BrokenPluginError(
                f"the options of the {self.title} cannot be imported from {self.options}: "
                f"{type(error).__name__}: {error}"
            ) from error


def in_module(module: str, name: str, summary: str, factory: str, options: str = "", **more: Any) -> Component:
    """A component whose class and model of options are in one module."""
    model = f"{module}:{options}" if options else None
    return Component(name, summary, f"{module}:{factory}", options=model, **more)


def load_object(path: str) -> Any:
    """The object at ``"package.module:name"``; an ImportError, AttributeError or ValueError without one."""
    module, colon, name = path.partition(":")
    if not colon:
        raise ValueError(f"{path!r} names no object; write it as 'package.module:name'")
    return getattr(importlib.import_module(module), name)


@cache
def core_module() -> ModuleType:
    """The module of the built-in components."""
    (entry,) = metadata.distribution("emosim-core").entry_points.select(group=CORE_GROUP)
    return entry.load()


def core_component(kind: str, name: str) -> Component:
    """A built-in component by its name."""
    return next(replace(one, kind=kind) for one in getattr(core_module(), KINDS[kind])() if one.name == name)
