"""Conformance: the base of the suites that hold a component to its contract.

A suite is a class whose methods ``test_...`` each check one or a few rules. pytest collects a subclass whose
name begins with ``Test``; ``emosim plugins check`` runs the same methods without pytest.
"""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, TypeVar
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from emosim_core.errors import EmoSimError, NameConflictError, UnknownNameError, WrongAnswerError
from emosim_core.hooks import Component, PluginRecord, Registry
from emosim_core.hooks.component import KIND_TITLES
from emosim_core.hooks.faults import worded
from emosim_core.hooks.fields import extra
from emosim_core.hooks.names import did_you_mean
from emosim_core.model import Domain
from emosim_core.testing.contract import HELD, BrokenRuleError, hold
from emosim_core.testing.worlds import FIVE, TEN, SmallWorld, made_up_domain, small_world

Made = TypeVar("Made")

_NAME = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")


class ComponentConformance:
    """Base of all suites. Subclass the suite of your component's kind and set what is to be checked.

    Attributes:
        interface: the class that the component must be an instance of.
        component: the name as a user writes it, such as ``"oldest"``, ``"oldest_3"`` or ``"oldest:k=3"``; or a
            table with ``name`` and options.
        domain: the domain whose items and users are used; None for made-up ones. Set it for a component that is
            bound to a domain: it is found in no other.
    """

    kind: ClassVar[str]
    interface: ClassVar[type]
    component: str | Mapping[str, Any]
    domain: str | None = None

    def described(self) -> tuple[Component, PluginRecord]:
        """The component's description, and the plugin that provides it."""
        return registry().describe(self.kind, self.component, self.domain)

    def make(self) -> Any:
        """A new instance of what is checked. Override it to check something that is not installed."""
        component, _ = self.described()
        if self.component in component.names and (needed := _needed(component)):  # the bare name, without a number
            named = f"{component.name}:{needed}=..."
            raise SkipTest(f'it needs the option {needed!r}: check it in a test with component = "{named}"')
        return registry().resolve(self.kind, self.component, self.domain).build()

    def worlds(self) -> Iterable[SmallWorld]:
        """The worlds to check in: that of :attr:`domain`, or made-up ones on the scales 1 to 10 and 1 to 5."""
        if self.domain is not None:
            yield _world_of(self.domain).copy()
            return
        yield small_world(TEN)
        yield small_world(FIVE)

    def domain_of(self, world: SmallWorld) -> Domain:
        """The domain of a world: :attr:`domain`, or a made-up one."""
        return made_up_domain(world) if self.domain is None else domain_named(self.domain)

    # ------------------------------------------------------------------------------------------ checks

    def test_its_description_is_complete(self) -> None:
        component, _ = self._installed()
        for name in component.names:
            hold("plugin-names", _NAME.fullmatch(name) is not None, f"the name {name!r}.")
        summary = component.summary
        hold("plugin-names", bool(summary) and "\n" not in summary, f"the summary {summary!r} of {component.name!r}.")
        with no_error("plugin-options", f"the options of {self.subject}"):
            model = component.options_model()
        fields = {} if model is None else getattr(model, "model_fields", {})
        for option in filter(None, (component.number, component.value, *component.preset)):
            hold("plugin-options", option in fields, f"no option {option!r}.{did_you_mean(option, fields)}")
        if model is not None:
            typed = isinstance(model, type) and issubclass(model, BaseModel)
            hold("plugin-options", typed, f"{component.options} is no model of pydantic.")
            extra = model.model_config.get("extra")
            hold("plugin-options", extra in ("forbid", "allow"), f"{model.__name__} has extra={extra!r}.")
            for name, field in model.model_fields.items():
                hold("plugin-options", bool(field.description), f"{model.__name__}.{name} has no description.")

    def test_no_other_plugin_provides_its_name(self) -> None:
        with no_error("plugin-names", f"the look for {self.subject}", {UnknownNameError: None}):
            component, _ = self._installed()
            for name in component.names:
                registry().describe(self.kind, name, self.domain)

    def test_it_is_made_of_its_options_alone(self) -> None:
        expected = self.interface
        for _ in range(2):
            with no_error("plugin-makes", self.subject, {NameConflictError: "plugin-names"}):
                made = self.make()
            hold("plugin-makes", isinstance(made, expected), f"a {type(made).__name__}, not a {expected.__name__}.")

    def test_it_pickles_and_copies(self) -> None:
        self._installed()
        made = self.make()
        for other in (self.unpickled(made), copy.deepcopy(made)):
            detail = f"a {type(other).__name__} of a {type(made).__name__}."
            hold("plugin-pickles", type(other) is type(made), detail)

    def unpickled(self, made: Made) -> Made:
        """What another process gets of an object that the component made."""
        with no_error("plugin-pickles", f"pickling what {self.subject} makes"):
            return pickle.loads(pickle.dumps(made))  # noqa: S301  (what was pickled right here)

    def _installed(self) -> tuple[Component, PluginRecord]:
        if not hasattr(self, "component"):
            raise SkipTest("what is checked is made by hand, not found by its name")
        return self.described()

    @property
    def subject(self) -> str:
        """What is checked, in words."""
        name = getattr(self, "component", None)
        return f"{KIND_TITLES[self.kind]} {name!r}" if name else type(self).__name__


@lru_cache(maxsize=1)
def registry() -> Registry:
    """The installed plugins; the tests of one process share what is loaded of them."""
    registry = Registry()
    registry.load_all(warn=False)
    return registry


def domain_named(name: str) -> Domain:
    """The domain of this name of the installed plugins."""
    domain: Domain = registry().resolve_domain(name).build()
    return domain


def forget_plugins() -> None:
    """Look for installed plugins anew, and at their worlds, in the checks that follow."""
    registry.cache_clear()
    _world_of.cache_clear()


@lru_cache(maxsize=4)
def _world_of(domain: str) -> SmallWorld:
    from emosim_core.simulation.assembly import assemble
    from emosim_core.simulation.config import EnvironmentConfig

    world = assemble(EnvironmentConfig(plugin=domain, embeddings=embeddings_of(domain)), registry())
    return SmallWorld(world.catalog, world.population, world.domain.scale, world.domain.words)


def embeddings_of(domain: str) -> str:
    """How a domain's items are embedded in the checks: as their source brings it, else by words, without a model."""
    from emosim_core.simulation.assembly import item_source

    _, loader = item_source(registry(), domain, None)
    brought = loader.load().embeddings
    return "lexical" if brought is None or np.isnan(brought).any() else "auto"


def _needed(component: Component) -> str:
    """The first option that the name does not set and without which nothing is answered; empty where there is none.

    It has no default, or ``needed_to_answer`` in its ``json_schema_extra``.
    """
    model = component.options_model()
    for name, field in {} if model is None else model.model_fields.items():
        if name not in component.preset and (field.is_required() or extra(field).get("needed_to_answer")):
            return name
    return ""


@contextmanager
def no_error(rule: str, what: str, other: Mapping[type[EmoSimError], str | None] | None = None) -> Iterator[None]:
    """Words whatever is raised inside as the breaking of a rule; a check of a run names its own.

    ``other`` are errors that break another rule than ``rule``, or none (they are passed on).
    """
    __tracebackhide__ = True
    HELD.get([]).append(rule)
    try:
        yield
    except (BrokenRuleError, SkipTest):
        raise
    except WrongAnswerError as error:
        raise BrokenRuleError(error.rule, f"{error}.") from error
    except Exception as error:
        broken = next((rule for type_, rule in (other or {}).items() if isinstance(error, type_)), rule)
        if broken is None:
            raise
        message = f"{type(error).__name__}: {error}" if isinstance(error, EmoSimError) else worded(error)
        raise BrokenRuleError(broken, f"{what} raised {message}.") from error


@contextmanager
def untouched(rule: str, arrays: Mapping[str, NDArray[Any]]) -> Iterator[None]:
    """Checks that nothing is written to arrays inside; a BrokenRuleError says which changed."""
    __tracebackhide__ = True
    before = {name: array.copy() for name, array in arrays.items()}
    yield
    for name, array in arrays.items():
        same = np.array_equal(before[name], array, equal_nan=array.dtype.kind == "f")
        hold(rule, same, f"{name} was changed.")


@dataclass(frozen=True)
class Outcome:
    """What one check of a suite, in words, came to: what it failed with, if at all, or why it was skipped.

    ``rules`` are the names of the rules that it looked at, in the order of the first look.
    """

    check: str
    error: Exception | None = None
    skipped: str = ""
    rules: tuple[str, ...] = ()


def run_suite(suite: type[ComponentConformance], **attributes: Any) -> list[Outcome]:
    """Run all checks of a suite, without pytest; one outcome per check, in the order of their names.

    ``attributes`` are what to set on it, such as ``component`` and ``domain``.
    """
    checks = type(suite.__name__, (suite,), attributes)
    outcomes = []
    for name in sorted(one for one in dir(checks) if one.startswith("test_")):
        words = name.removeprefix("test_").replace("_", " ")
        error, skipped = None, ""
        held: list[str] = []
        HELD.set(held)
        try:
            getattr(checks(), name)()
        except SkipTest as skip:
            skipped = str(skip)
        except Exception as raised:
            error = raised
            held += [raised.rule] if isinstance(raised, BrokenRuleError) else []
        outcomes.append(Outcome(words, error, skipped, tuple(dict.fromkeys(held))))
    return outcomes
