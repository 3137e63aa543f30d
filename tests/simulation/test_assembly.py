"""Assembly: what a world says of its parts, and what it does not take from loaders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emosim_core.components.base import Rater
from emosim_core.components.perturbation import GreedyOptions, GreedyPerturbation
from emosim_core.components.rule_based import RuleBased
from emosim_core.errors import ConfigurationError, PluginError, WrongAnswerError
from emosim_core.hooks import Registry
from emosim_core.model import Item, LoadedItems, RatingScale
from emosim_core.simulation import assembly
from emosim_core.simulation.assembly import assemble, item_source, latent_notes, load_items, split_users
from emosim_core.simulation.config import EnvironmentConfig

MakeWorld = Callable[..., Any]


def config(**options: Any) -> EnvironmentConfig:
    return EnvironmentConfig(**{"plugin": "movies", "user_dataset": "sampled:n=10", **options})


def test_parts_of_a_world_are_named_with_what_provides_them() -> None:
    world = assemble(config(perturbator="greedy:p=0.2"))
    for kind, name in (("domain", "movies"), ("rater", "rule_based"), ("perturbator", "greedy")):
        assert world.parts[kind]["name"] == name
    assert world.parts["perturbator"]["options"] == {"p": 0.2}
    assert world.label("rater").startswith("rater 'rule_based' of emosim-core ")
    assert repr(world).startswith("World('movies': ")
    assert repr(world).endswith(" 10 users; rater rule_based (no language model))")
    assert world.doubted == frozenset()
    changed = replace(world, perturbator=GreedyPerturbation(GreedyOptions()))
    assert changed.label("perturbator") == "perturbator GreedyPerturbation, put in by hand,"
    assert changed.doubted == {"perturbator"}


def test_the_rater_is_named_by_its_class_where_it_was_put_in_by_hand(small_world: MakeWorld) -> None:
    class Mine(RuleBased):
        pass

    class Model(Rater):
        uses_llm = True

    assert small_world(parts={"rater": Mine()}).answered_by == "Mine (no language model)"
    assert small_world(parts={"rater": Model()}).answered_by == "Model (language model)"


def test_a_user_is_found_by_the_id_and_another_is_an_error_that_says_which_there_are(small_world: MakeWorld) -> None:
    world = small_world()
    assert [world.index_of_user(f"u{n}") for n in (0, 3)] == [0, 3]
    with pytest.raises(ConfigurationError, match=r"has no user 'somebody'\. It has 'u0' to 'u3'\."):
        world.index_of_user("somebody")


def test_a_slate_is_at_most_the_whole_catalog() -> None:
    count = len(assemble(config()).catalog)
    assert assemble(config(slate=count)).config.slate == count
    with pytest.raises(ConfigurationError, match=f"a slate of {count + 1} needs more items than the {count} of"):
        assemble(config(slate=count + 1))


def test_users_of_a_split_are_those_of_their_share_and_never_none_of_them() -> None:
    assert split_users(5, "all", 0.2).tolist() == [0, 1, 2, 3, 4]
    train, test = split_users(5, "train", 0.2), split_users(5, "test", 0.2)
    assert (len(train), len(test)) == (4, 1)
    assert sorted([*train, *test]) == [0, 1, 2, 3, 4]
    assert train.tolist() == sorted(train)
    assert split_users(2, "test", 0.5).size == split_users(2, "train", 0.5).size == 1
    for fraction in (0.24, 0.76):
        with pytest.raises(ConfigurationError, match=r"a share of 0\.\d\d of 2 users leaves nobody on one side"):
            split_users(2, "train", fraction)
    assert [len(assemble(config(user_split=one)).user_indices) for one in ("all", "train", "test")] == [10, 8, 2]


def test_items_of_a_source_are_those_of_the_domain_unless_another_is_named() -> None:
    registry = Registry()
    domain, loader, loaded = load_items(registry, "movies", None)
    assert (domain.name, type(loader).__name__) == ("movies", "BundledItems")
    assert loaded.items == load_items(registry, "movies", "sample")[2].items
    assert type(item_source(registry, "movies", "csv:films.csv")[1]).__name__ == "CsvItems"


@pytest.mark.parametrize(
    ("brought", "message"),
    [
        ([Item(id="a", title="A")], "returned a list, not LoadedItems"),
        (LoadedItems(items=[Item(id="a", title="A")]), "brought a Item, not a Movie"),
    ],
)
def test_what_a_loader_brings_is_of_its_domain(monkeypatch: pytest.MonkeyPatch, brought: Any, message: str) -> None:
    loader = load_items(Registry(), "movies", None)[1]
    monkeypatch.setattr(type(loader), "load", lambda self: brought)
    with pytest.raises(PluginError, match=message):
        assemble(config())


def test_a_public_rating_lies_on_the_scale_of_the_domain() -> None:
    domain = replace(Registry().resolve_domain("movies").build(), item_type=Item)

    def check(*ratings: float | None) -> None:
        items = [Item(id=f"i{n}", title="x", public_rating=rating) for n, rating in enumerate(ratings)]
        assembly._check_items(LoadedItems(items=items), domain)

    check(domain.scale.low, None, domain.scale.high)
    for rating in (domain.scale.low - 0.1, domain.scale.high + 0.1):
        with pytest.raises(ValueError, match="of 'i1' lies off the scale"):
            check(None, rating)


def test_what_no_real_recommender_sees_is_announced() -> None:
    shown = "Observations show the traits and mood of users, which no real recommender sees"
    assert any(note.startswith(shown) for note in assemble(config(observation="full")).announcements)
    assert not any("no real recommender" in note for note in assemble(config()).announcements)
    assert latent_notes(assemble(config()).observation) == []


def test_what_was_perturbed_is_a_rating_of_the_scale_and_of_a_plugin_it_is_checked(small_world: MakeWorld) -> None:
    class Off(GreedyPerturbation):
        answer: Any = None

        def perturb_batch(self, request: Any, draws: Any) -> Any:
            request.ratings += 100.0  # its own copy
            return self.answer

    off = Off(GreedyOptions())
    world = small_world(RatingScale(low=1, high=5), parts={"perturbator": off})
    about, ratings = world.rating_request(*some_situation(world)), np.array([[3.0, 4.0]])
    off.answer = np.array([[9.0, 2.4]])
    assert world.perturb(about, ratings, np.ones((1, 2), bool), None).tolist() == [[5.0, 2.0]]
    assert ratings.tolist() == [[3.0, 4.0]]
    off.answer = np.array([[np.nan, 2.0]])
    with pytest.raises(WrongAnswerError, match="made a rating that is no finite number"):
        world.perturb(about, ratings, np.ones((1, 2), bool), None)


def some_situation(world: Any) -> tuple[Any, ...]:
    """The first user, who remembers nothing, in front of two items."""
    from emosim_core.model import Memory

    return np.array([0]), np.array([[0, 1]]), np.zeros((1, 2)), Memory(1, len(world.catalog)).history()
