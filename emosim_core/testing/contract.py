"""The contract between EmoSim and a plugin: every rule that can be checked, in words, and where it is written."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.resources import files

from emosim_core.data.toml_files import read_toml

DOCUMENTATION = "docs/hooks"
"""The folder of the project's documentation in which each rule stands, on the page of its hook."""


HELD: ContextVar[list[str]] = ContextVar("HELD")
"""Takes the rules that a check holds a component to, for a report."""


@dataclass(frozen=True)
class Rule:
    """One rule, and the page of :data:`DOCUMENTATION` that it is written on."""

    page: str
    text: str


class BrokenRuleError(AssertionError):
    """A rule of the contract is broken; the message says which, where it is written, and what was found."""

    def __init__(self, rule: str, detail: str) -> None:
        self.rule = rule
        written = RULES[rule]
        finding = re.sub(r"([.?!])\.$", r"\1", detail)  # where the detail ends with a message that is a whole sentence
        super().__init__(
            f"The rule {rule!r} is broken: {written.text} Found: {finding} "
            f"(The rule is written in {DOCUMENTATION}/{written.page}.md.)"
        )


def hold(rule: str, condition: bool, detail: str) -> None:
    """Hold a component to a rule, by its name among :data:`RULES`; a BrokenRuleError says that it is not kept."""
    __tracebackhide__ = True
    HELD.get([]).append(rule)
    if not condition:
        raise BrokenRuleError(rule, detail)


def require(condition: bool, otherwise: str) -> None:
    """Check what no rule of :data:`RULES` says."""
    __tracebackhide__ = True
    if not condition:
        raise AssertionError(f"{otherwise}.")


RULES: dict[str, Rule] = {
    name: Rule(page, text)
    for page, texts in read_toml(files(__package__) / "rules.toml", "rules.toml", dict[str, dict[str, str]]).items()
    for name, text in texts.items()
}
"""All rules by name, as ``rules.toml`` has them."""
