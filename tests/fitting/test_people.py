"""People of a log: who they are, when they leave, and that anonymous ones are near to nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError
from emosim_core.fitting.people import FitResult, drawn_id, episodes_of, fit_users, read_drawn_id, shared
from emosim_core.hooks import Registry
from emosim_core.studies.validation.knowledge import RealLog


@pytest.fixture(scope="module")
def log(movielens: Path) -> RealLog:
    return RealLog(Registry(), "movies", (f"movielens:{movielens}", None, ""), "lexical", 1)


def fitted(log: RealLog, interactions: Interactions | None = None, **options: bool) -> FitResult:
    return fit_users(log.interactions if interactions is None else interactions, log.catalog, log.domain, 1, **options)


def test_everybody_of_the_log_is_there_with_the_level_of_their_own_ratings(log: RealLog) -> None:
    people, real = fitted(log), log.interactions
    assert [one.id for one in people.users] == list(real.user_ids)
    assert people.ratings is not None
    assert real.values is not None
    items = np.broadcast_to(np.arange(len(log.catalog)), (len(people.users), len(log.catalog)))
    from emosim_core.model.memory import Memory

    nothing = Memory(len(people.users), len(log.catalog)).history()
    expected = people.ratings.expected(items, people.numbers.ratings, nothing).mean(axis=1)
    own = np.bincount(real.users, real.values) / np.bincount(real.users)
    assert np.corrcoef(expected, own)[0, 1] > 0.8
    with_tastes = sum(bool(one.liked) for one in people.users)
    assert with_tastes > len(people.users) / 2


def test_an_episode_ends_with_a_pause_of_half_an_hour_and_days_are_episodes_where_times_are_days(log: RealLog) -> None:
    real = log.interactions
    assert real.times is not None
    minutes = replace(real, times=np.arange(len(real)) * 60.0 + 1.0)
    assert episodes_of(minutes)["quartiles"] == [24.0, 24.0, 24.0]  # type: ignore[index]
    days = episodes_of(real)
    assert days is not None
    assert days["pause_seconds"] == 0.0
    assert days["quartiles"] == [1.0, 1.0, 1.0]
    assert episodes_of(replace(real, times=None)) is None


def test_no_anonymous_person_is_nearer_to_a_real_user_than_another_real_user_is(log: RealLog) -> None:
    people, real = fitted(log, anonymous=True), log.interactions
    assert not {one.id for one in people.users} & set(real.user_ids)
    assert people.ratings is not None
    theirs = np.column_stack([people.interest.states(real), people.ratings.states(real)])
    states = [theirs, np.column_stack([people.numbers.interest, people.numbers.ratings])]
    spread = np.where(states[0].std(axis=0) > 0, states[0].std(axis=0), np.inf)
    width = people.numbers.widths[1]
    weight = np.r_[np.full(width, width**-0.5), np.full(len(spread) - width, (len(spread) - width) ** -0.5)] / spread
    theirs, mine = (one * weight for one in states)
    between = np.linalg.norm(theirs[:, None] - theirs, axis=2)
    np.fill_diagonal(between, np.inf)
    apart = np.linalg.norm(mine[:, None] - theirs, axis=2)
    nearest = apart.argmin(axis=1)
    assert (apart.min(axis=1) >= between.min(axis=1)[nearest] - 1e-5).all()
    assert apart.min() >= between.min() - 1e-5
    distances = people.about["distances"]
    assert distances["drawn_to_real_least"] == pytest.approx(apart.min(), abs=1e-3)
    assert distances["drawn_to_real_least"] >= distances["real_to_real_least"]
    assert distances["drawn_to_real_median"] >= distances["real_to_real_median"]


def test_a_log_of_choices_alone_and_one_without_times_have_people_too(log: RealLog) -> None:
    people = fitted(log, replace(log.interactions, values=None, times=None))
    assert people.ratings is None
    assert "chosen" in people.users[0].description
    assert people.about["episodes"] is None


def test_one_user_is_too_few(log: RealLog) -> None:
    real = log.interactions
    mine = real.users == 0
    alone = replace(real.only(mine), user_ids=real.user_ids[:1])
    with pytest.raises(ConfigurationError, match="a log of 1 user is too small"):
        fitted(log, alone)


def test_the_id_of_a_drawn_user_says_which_it_is() -> None:
    assert read_drawn_id(drawn_id(7, 12)) == (7, 12)
    assert read_drawn_id("12") is None


def given_back(people: FitResult, log: Interactions) -> np.ndarray:
    """Of each user, how much of what they took one row of the co-occurrences in a model gives back, at best."""
    taken = np.zeros((len(log.user_ids), log.item_count), dtype=np.bool_)
    taken[log.users, log.items] = True
    assert people.ratings is not None
    arrays, known = people.interest.arrays(), people.ratings.arrays()["together"].astype(np.float64)
    latent = arrays["latent"].astype(np.float64)
    best = np.zeros(len(taken))
    for alike in (latent * arrays["strengths"] @ latent.T, known @ known.T):
        for item, together in enumerate(alike):
            for user in np.flatnonzero(taken[:, item]):
                mine = taken[user]
                best[user] = max(best[user], mine[np.argsort(-together, kind="stable")[: mine.sum()]].mean())
    return best


def test_the_models_of_anonymous_people_give_no_history_back(tmp_path: Path) -> None:
    """Of an item that one user took, who else took what is that user's history: the models of real people tell it."""
    from studies.made_up_ratings import write_movielens

    folder = write_movielens(tmp_path / "rare", films=400)
    rare = RealLog(Registry(), "movies", (f"movielens:{folder}", None, ""), "lexical", 1)
    people = fitted(rare, anonymous=True)
    real, nobody = (given_back(one, rare.interactions) for one in (fitted(rare), people))
    assert (real == 1.0).mean() > 0.5
    counts = np.bincount(rare.interactions.items, minlength=len(rare.catalog))
    often = np.argsort(-counts, kind="stable")[:24]
    guessed = np.bincount(rare.interactions.users, np.isin(rare.interactions.items, often)) / 24
    assert nobody.max() < 0.9
    assert nobody.mean() < guessed.mean() + 0.25
    assert (people.catalog.public_counts == np.where(counts < 5, 0, counts)).all()
    assert not people.interest.arrays()["latent"][counts < 5].any()
    assert people.ratings is not None
    assert not people.ratings.arrays()["together"][counts < 5].any()
    assert (shared(rare.interactions).times % 86_400.0 == 0).all()  # type: ignore[operator]


def test_a_log_without_an_item_of_several_users_has_no_anonymous_people(log: RealLog) -> None:
    real = log.interactions
    few = replace(real.only(real.users < 3), user_ids=real.user_ids[:3])
    with pytest.raises(ConfigurationError, match="no item was taken by 5 users or more"):
        fitted(log, few, anonymous=True)
