"""Check: runs, on one installed plugin, every check of the contract that needs no help from its author."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emosim_core import testing
from emosim_core.hooks.component import KIND_TITLES
from emosim_core.hooks.registry import PluginRecord
from emosim_core.testing.backend import LLMBackendConformance
from emosim_core.testing.command_line import in_new_process
from emosim_core.testing.conformance import ComponentConformance, Outcome, forget_plugins, registry, run_suite
from emosim_core.testing.contract import BrokenRuleError

SUITES: dict[str, type[ComponentConformance]] = {
    suite.kind: suite
    for suite in (getattr(testing, name) for name in dir(testing) if name.endswith("Conformance"))
    if issubclass(suite, ComponentConformance) and suite is not ComponentConformance
}
"""The public suite of each kind of component."""

HEAVY = ("torch", "transformers", "sentence_transformers", "pandas", "stable_baselines3", "matplotlib", "scipy")
"""What importing a plugin must not import."""


@dataclass(frozen=True)
class Report:
    """What the checks of one component came to; ``subject`` is such as ``"retrieval strategy oldest_K"``."""

    subject: str
    outcomes: list[Outcome]


def check_plugin(name: str) -> Iterator[Report]:
    """Check an installed plugin and everything that it provides.

    A component that cannot be made without options is described and no more. A language-model backend is not asked
    anything, as that may cost money: its own tests do that. The first report is that of the plugin itself.

    Raises:
        UnknownNameError: no plugin has this name.
        PluginError: it is broken, incompatible or blocked.
    """
    forget_plugins()
    record = registry().load(name)
    yield Report(record.label, [_light(record), _alone(record), _hooked(record)])
    for component in record.components:
        suite = SUITES[component.kind]
        spec: dict[str, Any] = {"component": component.name, "domain": component.domain}
        if issubclass(suite, LLMBackendConformance):
            spec["calls_allowed"] = False
        yield Report(f"{KIND_TITLES[component.kind]} {component.usage()}", run_suite(suite, **spec))


def _alone(record: PluginRecord) -> Outcome:
    """Whether no other plugin answers to a name of this one, with a number or not."""
    check, rules = "no other plugin provides its names", ("plugin-names",)
    error = BrokenRuleError(*rules, f"{'; '.join(record.conflicts)}.") if record.conflicts else None
    return Outcome(check, error, rules=rules)


def _hooked(record: PluginRecord) -> Outcome:
    """Whether the plugin provides anything: a component, or a hook that observes."""
    check, rules = "it implements a hook", ("plugin-loads",)
    detail = f"the module {record.target} has no function marked with @hookimpl."
    return Outcome(check, None if record.hooks else BrokenRuleError(*rules, detail), rules=rules)


def _light(record: PluginRecord) -> Outcome:
    """Whether importing the plugin's module imports anything heavy, looked at in a process of its own."""
    code = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    target = record.target.partition(":")[0]
    done, error, rules = in_new_process(code, target), None, ("plugin-loads", "plugin-light")
    if done.returncode:
        error = BrokenRuleError("plugin-loads", f"{''.join(done.stderr.strip().splitlines()[-1:])}.")
    elif heavy := sorted(set(done.stdout.split()) & set(HEAVY)):
        error = BrokenRuleError("plugin-light", f"{', '.join(heavy)}.")
    return Outcome("importing it imports nothing heavy", error, rules=rules)
