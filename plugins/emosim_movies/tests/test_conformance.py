"""The domain, its items, its users and its strategy keep to the contract of plugins."""

from __future__ import annotations

from emosim_core.testing import (
    DomainConformance,
    ItemLoaderConformance,
    RetrievalConformance,
    UserLoaderConformance,
)


class TestDomain(DomainConformance):
    component = "movies"


class TestSample(ItemLoaderConformance):
    component, domain = "sample", "movies"


class TestSampled(UserLoaderConformance):
    component, domain = "sampled", "movies"


class TestBasic(UserLoaderConformance):
    component, domain = "basic", "movies"


class TestDetailed(UserLoaderConformance):
    component, domain = "detailed", "movies"


class TestSimple(RetrievalConformance):
    component, domain = "simple_4", "movies"
