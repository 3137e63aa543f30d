"""Plugins that are installed for one test are forgotten after it: the suites share what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata

import gymnasium
import pytest

from emosim_core.testing.conformance import forget_plugins


@pytest.fixture
def installed(install: Callable[..., str]) -> Iterator[Callable[..., str]]:
    """As :func:`install`; the suites of this process see the plugin, and no later test does."""
    domains = {point.name for point in metadata.entry_points(group="emosim.domains")}
    environments = set(gymnasium.registry)
    forget_plugins()

    def make(name: str, source: str, **more: object) -> str:
        package = install(name, source, **more)
        forget_plugins()
        return package

    yield make
    forget_plugins()
    for name in set(gymnasium.registry) - environments:
        if gymnasium.registry[name].kwargs.get("plugin") not in domains:  # the module of a real one stays imported
            del gymnasium.registry[name]
