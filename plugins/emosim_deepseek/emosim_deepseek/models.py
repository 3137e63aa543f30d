"""Models: what DeepSeek's models are called, whether they think, and what they cost, read from ``models.json``."""

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
    """A name that the service takes, or took.

    Attributes:
        name: as a user writes it.
        asked: the model that the service is asked for.
        thinking: whether it thinks before it answers, unless told otherwise; None where that is not known.
        retired: when the service gave the name up; empty where it did not.
        prices: by tariff; empty where they are not known.
    """

    name: str
    asked: str
    thinking: bool | None = None
    retired: str = ""
    prices: Mapping[Tariff, Price] = field(default_factory=dict)


@lru_cache(maxsize=1)
def known_models() -> Mapping[str, Model]:
    """The models in the data, by name."""
    data = json.loads(resources.files("emosim_deepseek").joinpath("models.json").read_text("utf-8"))
    as_of, source, currency = data["as_of"], data["source"], data["currency"]
    models = {}
    for name, told in data["models"].items():
        asked = told.get("now", name)
        prices = {
            tariff: Price(**cost, as_of=as_of, source=f"{source}, {tariff} hours", currency=currency)
            for tariff, cost in data["models"][asked].get("prices", {}).items()
        }
        models[name] = Model(name, asked, told.get("thinking"), told.get("retired", ""), prices)
    return MappingProxyType(models)


def find_model(name: str) -> Model:
    """The model of this name; one that is not in the data is asked for as it stands, and nothing is known of it."""
    return known_models().get(name) or Model(name, name)
