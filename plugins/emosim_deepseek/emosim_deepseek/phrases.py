"""Phrases: what services write in errors, as ``phrases.toml`` has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated

from pydantic import BeforeValidator

from emosim_core.loading import read_toml
from emosim_deepseek.bodies import Fault

Pattern = Annotated[re.Pattern[str], BeforeValidator(lambda parts: f"(?i){'|'.join(parts)}")]


@dataclass(frozen=True)
class Meaning:
    """What an error means by its codes or by its text."""

    code: Pattern
    text: Pattern

    def of(self, fault: Fault) -> bool:
        """Whether an error means this."""
        return any(map(self.code.search, fault.codes)) or self.text.search(fault.text) is not None


@dataclass(frozen=True)
class Phrases:
    """Patterns by what they mean; ``phrases.toml`` describes each."""

    starting: Pattern
    no_path: Pattern
    wrong_key: Pattern
    not_taken: Pattern
    refusal: Meaning
    setup: Meaning
    no_balance: Meaning
    statuses: dict[int, Pattern]


PHRASES = read_toml(files("emosim_deepseek") / "phrases.toml", "emosim_deepseek/phrases.toml", Phrases)
