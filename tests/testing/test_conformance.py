"""Conformance: what a suite checks, what it skips and why, and that no check leaves anything behind."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import numpy as np
import pytest

from emosim_core import ConfigurationError, UnknownNameError
from emosim_core.plugins import Retrieval
from emosim_core.testing import (
    BrokenRuleError,
    ItemLoaderConformance,
    LLMBackendConformance,
    Outcome,
    PolicyConformance,
    RaterConformance,
    RetrievalConformance,
    RewardShapingConformance,
    run_suite,
)
from emosim_core.testing.conformance import no_error, registry, untouched

HEAD = """
from pydantic import BaseModel, ConfigDict, Field
from emosim_core.plugins import Component, Policy, Retrieval, hookimpl
EMOSIM_HOOK_VERSION = 1

class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    k: int = Field(description="How many.")

class Oldest(Retrieval):
    def __init__(self, options=None):
        self.k = options.k if options else 1

    def retrieve(self, situation):
        return range(min(self.k, len(situation.history)))

class First(Policy):
    def recommend(self, observation, rng):
        return range(self.slate)
"""

NEEDY = (
    HEAD
    + """
@hookimpl
def emosim_retrievals():
    yield Component("oldest", "The oldest.", "emosim_odd:Oldest", options="emosim_odd:Options", number="k")
    yield Component(
        "both", "The oldest two.", "emosim_odd:Oldest", options="emosim_odd:Options", preset={"k": 2}
    )
"""
)


def by_check(outcomes: list[Outcome]) -> dict[str, Outcome]:
    return {outcome.check: outcome for outcome in outcomes}


@pytest.mark.parametrize(
    "component", ["oldest_2", "oldest:k=2", {"name": "oldest", "k": 2}, {"name": "oldest_2"}, "both"], ids=str
)
def test_an_option_that_is_needed_can_be_given_in_any_way(installed: Any, component: Any) -> None:
    installed("odd", NEEDY)
    outcomes = run_suite(RetrievalConformance, component=component)
    assert [outcome for outcome in outcomes if outcome.error or outcome.skipped] == []


def test_without_an_option_that_is_needed_only_the_description_is_checked(installed: Any) -> None:
    installed("odd", NEEDY)
    outcomes = by_check(run_suite(RetrievalConformance, component="oldest"))
    checked = {check for check, outcome in outcomes.items() if not outcome.skipped}
    assert checked == {"its description is complete", "no other plugin provides its name"}
    reasons = {outcome.skipped for outcome in outcomes.values()} - {""}
    assert reasons == {"it needs the option 'k': check it in a test with component = \"oldest:k=...\""}
    assert not any(outcome.error for outcome in outcomes.values())


def test_an_option_that_is_wrong_is_said() -> None:
    outcomes = by_check(run_suite(RetrievalConformance, component="last:k=0"))
    assert isinstance(outcomes["it repeats itself"].error, ConfigurationError)
    made = outcomes["it is made of its options alone"].error
    assert isinstance(made, BrokenRuleError)
    assert made.rule == "plugin-makes"
    assert "option 'k'" in str(made)


def test_a_name_that_nothing_provides_fails_every_check() -> None:
    outcomes = run_suite(RetrievalConformance, component="lats")
    assert all(outcome.error is not None for outcome in outcomes)
    assert isinstance(by_check(outcomes)["its description is complete"].error, UnknownNameError)


def test_a_name_of_two_plugins_is_their_fault_and_not_that_of_what_else_they_provide(installed: Any) -> None:
    source = HEAD + (
        "@hookimpl\ndef emosim_retrievals():\n"
        "    yield Component('{name}', 'The oldest.', 'emosim_odd:Oldest', aliases=('{alias}',))\n"
        "@hookimpl\ndef emosim_policies():\n"
        "    yield Component('{policy}', 'The first.', 'emosim_odd:First')\n"
    )
    installed("odd", source.format(name="oldest", alias="aged", policy="first"))
    installed("other", source.format(name="eldest", alias="aged", policy="second"))
    for name in ("oldest", "eldest"):
        outcomes = by_check(run_suite(RetrievalConformance, component=name))
        wrong = [outcome.error for outcome in outcomes.values() if outcome.error]
        assert [getattr(error, "rule", "") for error in wrong] == ["plugin-names"]
        assert "plugin 'odd' (emosim-odd 1.2) and by plugin 'other' (emosim-other 1.2)" in str(wrong[0])
    for name in ("first", "second"):
        assert not any(outcome.error for outcome in run_suite(PolicyConformance, component=name))


def test_what_is_made_by_hand_has_no_description_to_check() -> None:
    class Nothing(Retrieval):
        def retrieve(self, situation: Any) -> list[int]:
            return []

    outcomes = by_check(run_suite(RetrievalConformance, make=Nothing))
    skipped = {check for check, outcome in outcomes.items() if outcome.skipped}
    assert skipped == {"its description is complete", "no other plugin provides its name", "it pickles and copies"}
    assert not any(outcome.error for outcome in outcomes.values())


def test_checks_are_run_in_the_order_of_their_names_and_reported_in_words() -> None:
    names = [outcome.check for outcome in run_suite(RewardShapingConformance, component="identity")]
    assert names == sorted(names)
    assert "begin forgets what went before" in names
    assert not any("_" in check or check.startswith("test") for check in names)


def test_a_backend_that_may_not_be_asked_is_not_asked() -> None:
    from emosim_core.testing import ScriptedBackend

    made: list[ScriptedBackend] = []

    def make(self: Any = None) -> ScriptedBackend:
        made.append(ScriptedBackend(lambda request: "hello"))
        return made[-1]

    outcomes = by_check(run_suite(LLMBackendConformance, make=make, calls_allowed=False))
    assert made
    assert all(backend.requests == [] for backend in made)
    assert "not called here" in outcomes["its usage is not negative"].skipped
    assert "it needs no key" in outcomes["without its key it says where the key is looked for"].skipped
    assert not any(outcome.error for outcome in outcomes.values())
    made.clear()
    run_suite(LLMBackendConformance, make=make)
    assert any(backend.requests for backend in made)


def test_a_source_without_a_domain_says_that_it_needs_one() -> None:
    skipped = by_check(run_suite(ItemLoaderConformance, make=list))["it brings items of the domain"].skipped
    assert skipped == "set the attribute 'domain': items belong to one"


def test_who_writes_to_a_world_spoils_no_other_check() -> None:
    class InMovies(RaterConformance):
        domain = "movies"

    for suite in (InMovies, RaterConformance):
        before = [world.arrays() for world in suite().worlds()]
        for arrays in before:
            for array in arrays.values():
                array[...] = 0
        for world in suite().worlds():
            assert world.catalog.embeddings.any()
            assert world.population.traits.all()


def test_the_plugins_are_looked_for_once_until_they_are_forgotten(installed: Any) -> None:
    assert registry() is registry()
    with pytest.raises(UnknownNameError):
        registry().load("odd")
    installed("odd", NEEDY)
    assert registry().load("odd").status == "ok"


def test_an_error_is_worded_as_a_broken_rule_unless_it_is_one_or_a_skip() -> None:
    with (
        pytest.raises(
            BrokenRuleError, match=r"Found: the strategy raised KeyError: 3 \(test_conformance\.py, line \d+\)"
        ),
        no_error("items-type", "the strategy"),
    ):
        raise KeyError(3)
    with pytest.raises(SkipTest), no_error("items-type", "it"):
        raise SkipTest("not today")
    with pytest.raises(BrokenRuleError) as caught, no_error("items-type", "it"):
        raise BrokenRuleError("users-type", "nobody.")
    assert caught.value.rule == "users-type"
    with pytest.raises(BrokenRuleError) as caught, no_error("items-type", "it", {UnknownNameError: "users-type"}):
        raise UnknownNameError("policy", "x")
    assert caught.value.rule == "users-type"
    with pytest.raises(UnknownNameError), no_error("items-type", "it", {UnknownNameError: None}):
        raise UnknownNameError("policy", "x")


def test_an_array_that_was_written_to_is_named() -> None:
    array = np.array([1.0, np.nan])
    with untouched("rater-reads", {"the array of moods": array}):
        array[0] = 1.0
    with (
        pytest.raises(BrokenRuleError, match="Found: the array of moods was changed"),
        untouched("rater-reads", {"the array of moods": array}),
    ):
        array[1] = 2.0
