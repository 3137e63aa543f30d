"""A made-up domain whose best recommendations are known, for the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emosim_core.hooks import Registry

STONES = '''
"""Stones of four colours; each user likes one colour, and nothing that can be seen of them says which."""
import numpy as np
from emosim_core.plugins import (
    Component,
    Domain,
    Item,
    ItemLoader,
    LoadedItems,
    RatingScale,
    User,
    UserLoader,
    Words,
    hookimpl,
)
from emosim_core.components.base import Rater, Ratings

EMOSIM_HOOK_VERSION = 1
COLOURS = ("red", "green", "blue", "white")
RANKS = np.random.default_rng(3).permutation(ITEMS)

def domain():
    return Domain("stones", "Stones", RatingScale(low=1, high=10), Words(), Item, "stones", "eight")

class Stones(ItemLoader):
    def load(self):
        return LoadedItems([
            Item(
                id=f"i{i}", title=f"Stone {i}", categories=(COLOURS[i % 4],),
                public_rating=float(4 + 3 * RANKS[i] / ITEMS), public_count=10 * (i % 3),
            )
            for i in range(ITEMS)
        ])

class Eight(UserLoader):
    def load(self):
        return [User(id=f"u{u}", name=f"User {u}") for u in range(8)]

class Colour(Rater):
    """9 for the colour that user u likes, colour u modulo 4, else 2."""

    def prepare(self, setting):
        self.colours = np.array([COLOURS.index(item.categories[0]) for item in setting.catalog.items])

    def rate_batch(self, request, draws):
        return Ratings(np.where(self.colours[request.items] == request.users[:, None] % 4, 9.0, 2.0))

@hookimpl
def emosim_domains():
    yield Component("stones", "Stones.", "emosim_stones:domain")

@hookimpl
def emosim_item_loaders():
    yield Component("stones", "All.", "emosim_stones:Stones", domain="stones")

@hookimpl
def emosim_user_loaders():
    yield Component("eight", "Eight.", "emosim_stones:Eight", domain="stones")

@hookimpl
def emosim_raters():
    yield Component("colour", "By colour.", "emosim_stones:Colour")
'''


@pytest.fixture
def stones(install: Callable[..., str]) -> Callable[[int], Registry]:
    """Installs the domain ``stones`` with so many stones; a registry that knows it."""

    def make(items: int) -> Registry:
        install("stones", f"ITEMS = {items}\n{STONES}", domains=["stones"])
        return Registry()

    return make


@pytest.fixture
def train(stones: Callable[[int], Registry], tmp_path: Path) -> Callable[..., Any]:
    """Makes a training on stones in a directory of the test, short if nothing else is said."""
    import torch

    from emosim_core.training.config import TrainConfig
    from emosim_core.training.trainer import Training

    torch.set_num_threads(1)  # the networks are too small to be shared out
    registries: dict[int, Registry] = {}

    def make(out: str = "t", resume: bool = False, items: int = 8, **options: Any) -> Training:
        registry = registries.get(items) or stones(items)
        registries[items] = registry
        given = {
            "plugin": "stones", "embeddings": "lexical", "rater": "colour", "reward_shaping": "identity",
            "max_steps": 5, "user_split": "all", "num_envs": 4, "timesteps": 400, "seed": 3, "device": "cpu",
            "n_steps": 5, **options,
        }  # fmt: skip
        return Training(TrainConfig(**given), tmp_path / out, resume, registry)

    return make
