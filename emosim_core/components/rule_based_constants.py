"""Constants of the rule-based rater: ``rule_based_constants.toml`` says what each is, and how it was fitted."""

from __future__ import annotations

from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from emosim_core.data.toml_files import read_toml

Levels = tuple[float, float, float]
"""One number for each of a trait's levels 1, 2 and 3."""

_FILE = "rule_based_constants.toml"


class Constants(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid")

    START: float
    MIDDLE: float
    PUBLIC: Levels
    OWN: Levels
    LIKED: float
    DISLIKED: float
    TASTE: Levels
    POPULARITY: Levels
    OUTSIDE: Levels
    LENIENCY: float
    TEMPER: float
    MEMORY: float
    NOISE: float
    CUTS: tuple[float, ...]
    ITEM_SPREAD: float
    PUBLIC_DOUBT: float
    LEARNT: dict[str, float]
    LATELY_HALF_LIFE: float
    LATELY_DOUBT: float
    NOISE_DOUBT: float
    LEVEL_HALF_LIFE: float
    LEVEL_DOUBT: float
    INTEREST: dict[str, float]
    INTEREST_DOUBT: dict[str, float]
    INTEREST_YEARS: float
    INTEREST_POPULARITY: float
    INTEREST_FLOOR: float
    INTEREST_DECLARED: float


FITTED = read_toml(files("emosim_core.components") / _FILE, f"emosim_core/components/{_FILE}", Constants)
