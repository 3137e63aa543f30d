"""Deprecations and the range of hook versions: an old plugin works on, and warns of what goes away."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from emosim_core.components.base import Retrieval
from emosim_core.hooks import deprecated, spec
from emosim_core.hooks.registry import PluginWarning
from emosim_core.plugins import Registry

OLD = """
from emosim_core.plugins import Component, Retrieval, hookimpl
EMOSIM_HOOK_VERSION = 1

class Oldest(Retrieval):
    def retrieve(self, situation):
        return [0] if situation.history else []

class Older(Oldest):
    def forget(self, situation):
        return []

@hookimpl
def emosim_retrievals():
    yield Component("oldest", "The oldest.", "{package}:Oldest")
    yield Component("older", "The oldest.", "{package}:Older")
"""

HOOK = "\n@hookimpl\ndef emosim_tastes():\n    return []\n"


@pytest.fixture
def going(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook and a method that go away."""

    def emosim_tastes() -> Any:
        """What users like."""

    def forget(self: Retrieval, situation: Any) -> list[int]:
        """What is forgotten."""
        return []

    mark = deprecated(since="0.3", removed_in="0.5", instead="emosim_user_loaders")
    monkeypatch.setattr(spec, "emosim_tastes", spec.hookspec(mark(emosim_tastes)), raising=False)
    monkeypatch.setattr(Retrieval, "forget", mark(forget), raising=False)


def messages_of(action: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    assert {one.category for one in caught} <= {PluginWarning}
    return [str(one.message) for one in caught]


@pytest.mark.usefixtures("going")
def test_a_deprecated_hook_works_and_is_warned_of_once_with_the_plugin_and_its_version(install: Any) -> None:
    install("old", OLD.format(package="emosim_old") + HOOK)
    install("new", OLD.format(package="emosim_new").replace('"old', '"newer_than_old'))
    registry = Registry()

    def use() -> None:
        for _ in range(2):
            registry.load_all()
            assert registry.load("old").status == "ok"

    assert messages_of(use) == [
        "plugin 'old' (emosim-old 1.2) uses the hook emosim_tastes, which is deprecated since emosim-core 0.3 and "
        "removed in 0.5; its author writes emosim_user_loaders"
    ]


@pytest.mark.usefixtures("going")
def test_a_deprecated_method_is_warned_of_where_a_component_overrides_it(install: Any) -> None:
    install("old", OLD.format(package="emosim_old"))
    registry = Registry()
    registry.load_all()
    assert messages_of(registry.resolve("retrieval", "oldest").build) == []
    (message,) = messages_of(lambda: [registry.resolve("retrieval", "older").build() for _ in range(2)])
    assert message.startswith(
        "plugin 'old' (emosim-old 1.2) uses Retrieval.forget, which is deprecated since emosim-core 0.3"
    )


def test_nothing_of_the_core_is_deprecated_and_used_by_its_own_components() -> None:
    assert messages_of(lambda: Registry().load_all()) == []


def test_a_plugin_that_names_no_version_counts_as_built_for_the_first(install: Any) -> None:
    install("old", OLD.format(package="emosim_old").replace("EMOSIM_HOOK_VERSION = 1", ""))
    assert Registry().load("old").status == "ok"


def test_a_range_of_hook_versions_fits(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stated = {
        "none": "",
        "first": "VERSION = 1",
        "second": "VERSION = 2",
        "third": "VERSION = 3",
        "next": "VERSION = 4",
    }
    for name, line in stated.items():
        source = OLD.format(package=f"emosim_{name}").replace(
            "EMOSIM_HOOK_VERSION = 1", f"EMOSIM_HOOK_{line}" * bool(line)
        )
        install(name, source)
    monkeypatch.setattr(spec, "OLDEST_HOOK_VERSION", 2)
    monkeypatch.setattr(spec, "HOOK_VERSION", 3)
    monkeypatch.setattr("emosim_core.builtins.EMOSIM_HOOK_VERSION", 3)
    registry = Registry(only=list(stated))
    registry.load_all(warn=False)
    records = {record.name: record for record in registry.records}
    assert {name: records[name].status for name in stated} == {
        "none": "incompatible", "first": "incompatible", "second": "ok", "third": "ok", "next": "incompatible",
    }  # fmt: skip
    for name, version in (("none", 1), ("first", 1), ("next", 4)):
        cause = (
            f"it was built for version {version} of the hooks, this emosim-core has versions 2 to 3; install a matching"
        )
        assert records[name].cause.startswith(cause)
