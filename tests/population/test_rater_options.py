"""Options of raters that a domain gives: they hold where a run gives none, and for no other rater or domain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emosim_core import ConfigurationError, EnvironmentConfig
from emosim_core.components.rule_based import RuleBasedOptions
from emosim_core.model import Domain
from emosim_core.plugins import Registry, assemble


def options(monkeypatch: pytest.MonkeyPatch, given: dict[str, dict[str, Any]], **config: Any) -> RuleBasedOptions:
    """The options of the rater of a world of films, whose domain gives some."""
    registry = Registry()
    known: Domain = registry.resolve_domain("movies").build(Domain)
    monkeypatch.setattr("emosim_movies.domain.read_domain", lambda *_: replace(known, rater_options=given))
    made = assemble(EnvironmentConfig(plugin="movies", user_dataset="sampled:n=3", **config), registry)
    rater: Any = made.rater
    assert made.parts["rater"]["options"]["noise"] == rater.options.noise  # a run records what was used
    found: RuleBasedOptions = rater.options
    return found


def test_they_hold_where_a_run_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"rule_based": {"noise": 0.25, "mood": 3.0}, "other": {"noise": 9.0}}
    assert options(monkeypatch, {}) == RuleBasedOptions()
    assert options(monkeypatch, given) == RuleBasedOptions(noise=0.25, mood=3.0)
    assert options(monkeypatch, given, rater="rule_based:mood=1") == RuleBasedOptions(noise=0.25, mood=1.0)


@pytest.mark.parametrize("cuts", [[1.0, 2.0], [2, 3, 4, 4, 5, 6, 7, 8, 9]])
def test_cuts_that_do_not_fit_the_scale_are_refused(monkeypatch: pytest.MonkeyPatch, cuts: list[float]) -> None:
    with pytest.raises(ConfigurationError, match=r"cuts.*needs 9 rising numbers for the scale 1-10, got"):
        options(monkeypatch, {"rule_based": {"cuts": cuts}})
