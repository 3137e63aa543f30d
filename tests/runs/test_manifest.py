"""Manifests: what a job was made with, and what is said where it is resumed with something else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from emosim_core import RunError
from emosim_core.model import Item
from emosim_core.runs.manifest import check_same, digest, provider_versions, versions_of
from emosim_core.simulation.config import RunConfig

PARTS = {
    "rater": {"name": "llm", "provider": "emosim-core 0.1", "parts": {"llm": {"provider": "emosim-x y 2.0"}}},
    "policy": {"name": "best", "provider": "emosim-best 1.2"},
}


def manifest(**config: Any) -> dict[str, Any]:
    return {"config": {"plugin": "movies", **config}, "parts": {}, "data": {"items": 3}}


def test_the_distributions_of_components_and_of_what_they_are_made_of_have_their_versions() -> None:
    assert provider_versions(PARTS) == {"emosim-core": "0.1", "emosim-x y": "2.0", "emosim-best": "1.2"}
    versions = versions_of([PARTS], ["pluggy"])
    assert {"python", "numpy", "pydantic", "gymnasium", "pluggy", "emosim-best"} <= versions.keys()
    assert list(versions)[:-1] == sorted(versions.keys() - {"python"})


def test_a_digest_is_of_all_items_in_their_order() -> None:
    one, other = Item(id="a", title="A"), Item(id="b", title="B")
    assert digest([one, other]) != digest([other, one])
    assert digest([]) == hashlib.sha256().hexdigest()
    assert digest(iter([one])) == hashlib.sha256(one.model_dump_json().encode()).hexdigest()


def test_the_same_and_what_may_differ_are_no_difference() -> None:
    check_same(Path("r"), manifest(seed=1), manifest(seed=1))
    check_same(Path("r"), manifest(seed=1), manifest(seed=2), may_differ=["seed"])
    check_same(Path("r"), manifest(hidden=[1, 2]), manifest(hidden=(1, 2)))
    check_same(Path("r"), manifest(seed=3), manifest(seed=3, policy="random"), model=RunConfig, may_differ=["policy"])


@pytest.mark.parametrize(
    ("stored", "now", "line"),
    [
        (manifest(seed=1), manifest(seed=2), "seed: 1 then, 2 now"),
        (manifest(seed=1), manifest(), "seed: 1 then, null now"),
        (manifest(), manifest(rater={"k": {"a": 1}}), 'rater: null then, {"k": {"a": 1}} now'),
        (manifest(rater={"k": {"a": 1}}), manifest(rater={"k": {"a": 2}}), "rater.k.a: 1 then, 2 now"),
        ({**manifest(), "data": {"items": 4}}, manifest(), "items: 4 then, 3 now"),
        ({**manifest(), "parts": PARTS}, {**manifest(), "parts": {**PARTS, "policy": {}}}, 'policy.name: "best" then'),
        (manifest(title="é"), manifest(title="x" * 400), f'title: "é" then, "{"x" * 299} ... now'),
    ],
)
def test_what_differs_is_named_with_what_it_was_and_is(stored: Any, now: Any, line: str) -> None:
    with pytest.raises(RunError) as raised:
        check_same(Path("there"), stored, now, may_differ=["items", "policy"])
    message = str(raised.value)
    assert message.startswith("there cannot be resumed, it was made with another configuration:\n  ")
    assert f"\n  {line}" in message
    assert len(message) < 700
