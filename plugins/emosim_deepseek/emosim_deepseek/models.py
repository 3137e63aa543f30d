"""Models: names, thinking modes and prices of DeepSeek's models, read from ``models.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Literal

from emosim_core.llm import Price

Tariff = Literal["peak", "off-peak"]


@dataclass(frozen=True)
class Model:
    """A name of a model that the service accepts, or used to accept.

    Attributes:
        name: name in the option ``model``.
        served_name: name that is sent to the service.
        thinking: whether it thinks by default; None if unknown.
        retired: date on which the name was retired; empty if it is in use.
        prices: prices by tariff; empty if unknown.
    """

    name: str
    served_name: str
    thinking: bool | None = None
    retired: str = ""
    prices: Mapping[Tariff, Price] = field(default_factory=dict)


@lru_cache(maxsize=1)
def known_models() -> Mapping[str, Model]:
    """The models in the data, by name."""
    data = json.loads(resources.files("emosim_deepseek").joinpath("models.json").read_text("utf-8"))
    as_of, source, currency = data["as_of"], data["source"], data["currency"]
    models = {}
    for name, entry in data["models"].items():
        served_name = entry.get("now", name)
        prices = {
            tariff: Price(**cost, as_of=as_of, source=f"{source}, {tariff} hours", currency=currency)
            for tariff, cost in data["models"][served_name].get("prices", {}).items()
        }
        models[name] = Model(name, served_name, entry.get("thinking"), entry.get("retired", ""), prices)
    return MappingProxyType(models)


def find_model(name: str) -> Model:
    """The model of this name; an unknown name is sent as it is."""
    return known_models().get(name) or Model(name, name)
