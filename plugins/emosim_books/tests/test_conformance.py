"""The domain, its items, its users and its strategy keep to the contract of plugins."""

from __future__ import annotations

from emosim_core.testing import (
    DomainConformance,
    ItemLoaderConformance,
    RetrievalConformance,
    UserLoaderConformance,
)


class TestDomain(DomainConformance):
    component = "books"


class TestSample(ItemLoaderConformance):
    component, domain = "sample", "books"


class TestSampled(UserLoaderConformance):
    component, domain = "sampled", "books"


class TestBasic(UserLoaderConformance):
    component, domain = "basic", "books"


class TestDetailed(UserLoaderConformance):
    component, domain = "detailed", "books"


class TestSimple(RetrievalConformance):
    component, domain = "simple_4", "books"
