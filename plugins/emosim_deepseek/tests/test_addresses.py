"""Addresses: what in a base URL looks like a key, and what does not."""

from __future__ import annotations

import pytest
from emosim_deepseek.addresses import looks_like_a_key


@pytest.mark.parametrize(
    "segment",
    ["v1", "openai", "deployments", "gpt-4o-mini-2024-07-18", "compatible-mode", "v1beta", "api", "key-value"],
)
def test_an_ordinary_part_of_a_path_is_no_key(segment: str) -> None:
    assert not looks_like_a_key(segment)


@pytest.mark.parametrize(
    "segment", ["sk-4f2a9c7e1b8d3056aaf0", "%73k-4f2a9c7e1b8d3056aaf0", "x8f3k2m9q7w4e6r1t5y0", "eyJhbGciOiJIUzI1NiJ9"]
)
def test_a_part_of_a_path_that_may_be_a_key_looks_like_one(segment: str) -> None:
    assert looks_like_a_key(segment)
