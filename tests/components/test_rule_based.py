"""The rule-based rater: what moves a rating and what does not, that it is repeatable, and that reasons add up."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from emosim_core.components.base import RatingRequest, WorldSetting
from emosim_core.components.rule_based import (
    REAL_RATING_SHARES,
    RECORDED_USERS,
    RuleBased,
    RuleBasedOptions,
    _cutpoints,
)
from emosim_core.components.rule_based_constants import FITTED as fitted
from emosim_core.model import Catalog, Item, Memory, Population, RatingScale, User, Words

TEN, FIVE = RatingScale(), RatingScale(low=1, high=5)
FILM = Words("film", "films", "watch", "watched", "viewing", "viewer")
POPULARITY = {
    "comedy": 0.90, "adventure": 0.90, "action": 0.88, "thriller": 0.84, "drama": 0.84, "crime": 0.82,
    "documentary": 0.77, "animation": 0.70, "fantasy": 0.70, "science fiction": 0.69, "romance": 0.67, "horror": 0.52,
}  # fmt: skip
NAMES = tuple(POPULARITY)


class Keyed:
    """Draws that belong to a user: row r is keyed by ``keys[r]`` alone."""

    def __init__(self, keys: NDArray[np.intp], seed: int = 0) -> None:
        self._rngs = [np.random.default_rng([seed, int(key)]) for key in keys]

    def uniform(self, count: int) -> NDArray[np.float64]:
        return np.array([rng.random(count) for rng in self._rngs]).reshape(-1, count)

    def normal(self, count: int) -> NDArray[np.float64]:
        return np.array([rng.standard_normal(count) for rng in self._rngs]).reshape(-1, count)

    def generator(self, row: int) -> np.random.Generator:
        return self._rngs[row]


class Noise:
    """The given noise, or none; counts how many were asked for."""

    def __init__(self, rows: int, seed: int | None = None) -> None:
        self._rows, self.drawn = rows, 0
        self._rng = None if seed is None else np.random.default_rng(seed)

    def uniform(self, count: int) -> NDArray[np.float64]:
        raise AssertionError("the rater draws normals alone")

    def normal(self, count: int) -> NDArray[np.float64]:
        self.drawn += count
        shape = (self._rows, count)
        return np.zeros(shape) if self._rng is None else self._rng.standard_normal(shape)

    def generator(self, row: int) -> np.random.Generator:
        raise AssertionError("the rater draws in blocks alone")


def films(count: int = 60, dimensions: int = 24, seed: int = 3, scale: RatingScale = TEN) -> Catalog:
    rng = np.random.default_rng(seed)
    public = rng.normal(fitted.MIDDLE, 0.8, count).clip(1, 10)
    items = [
        Item(
            id=f"i{i}",
            title=f"Title {i}",
            categories=tuple(rng.choice(NAMES, rng.integers(1, 4), replace=False)),
            public_rating=round(scale.carry(public[i]), 1),
            public_count=int(rng.lognormal(8, 1.5)),
            collection=f"series {i // 2}" if i < 6 else None,
        )
        for i in range(count)
    ]
    return Catalog(items, scale, rng.normal(size=(count, dimensions)).astype(np.float32))


def users(count: int = 40, seed: int = 5) -> Population:
    rng = np.random.default_rng(seed)
    users = []
    for i in range(count):
        order, likes = rng.permutation(len(NAMES)), rng.random(len(NAMES)) < list(POPULARITY.values())
        users.append(
            user(
                f"p{i}",
                liked=tuple(NAMES[c] for c in order if likes[c])[:4],
                disliked=tuple(NAMES[c] for c in order if not likes[c])[:4],
                activity=int(rng.integers(1, 4)),
                conformity=int(rng.choice([1, 2, 2, 3])),
                diversity=int(rng.choice([1, 2, 2, 3])),
                baseline_valence=float(np.clip(rng.normal(0.1, 0.2), -1, 1)),
            )
        )
    return Population(users)


def user(name: str = "p", **fields: Any) -> User:
    return User(id=name, name=name, **fields)


def item(name: str = "i", **fields: Any) -> Item:
    return Item(id=name, title=name, **({"public_rating": fitted.MIDDLE} | fields))


def ask(
    catalog: Catalog,
    population: Population,
    users: Any = (0,),
    items: Any = ((0,),),
    *,
    past: Any = None,
    ratings: Any = None,
    times: Any = None,
    valence: Any = None,
    scale: RatingScale | None = None,
) -> RatingRequest:
    """A request; by default of users in their usual mood, who remember nothing."""
    who, what = np.array(users, dtype=np.intp), np.array(items, dtype=np.intp)
    moods = population.baselines[who].copy()
    if valence is not None:
        moods[:, 0] = valence
    empty = np.zeros((*what.shape, 0))
    rated = empty if ratings is None else np.array(ratings, dtype=np.float64)
    return RatingRequest(
        users=who,
        items=what,
        retrieved=np.where(np.isnan(rated), -1, np.arange(rated.shape[2])),
        retrieved_items=(empty if past is None else np.array(past)).astype(np.intp),
        retrieved_ratings=rated,
        times=np.zeros(what.shape, dtype=np.intp) if times is None else np.array(times, dtype=np.intp),
        moods=moods,
        history=Memory(len(who), len(catalog)).history(),
        catalog=catalog,
        population=population,
        scale=scale or catalog.scale,
        words=FILM,
    )


def latent(request: RatingRequest, **options: Any) -> NDArray[np.float64]:
    """Sums of terms without a noise and without made-up leniency."""
    rater = RuleBased(RuleBasedOptions.model_validate({"leniency": 0.0} | options))
    return rater.latent(request, Noise(len(request.users)))


def crowd(catalog: Catalog, population: Population, rows: int = 64, slate: int = 2, k: int = 3) -> RatingRequest:
    """A request with a bit of everything: memories and gaps, repetitions, moods."""
    rng = np.random.default_rng(11)
    rated = rng.integers(1, len(catalog.scale.levels) + 1, (rows, slate, k)).astype(np.float64)
    rated[rng.random(rated.shape) < 0.3] = np.nan
    return ask(
        catalog,
        population,
        rng.integers(0, len(population), rows),
        rng.integers(0, len(catalog), (rows, slate)),
        past=np.where(np.isnan(rated), 0, rng.integers(0, len(catalog), rated.shape)),
        ratings=rated,
        times=rng.integers(0, 3, (rows, slate)) * (rng.random((rows, slate)) < 0.4),
        valence=rng.uniform(-1, 1, rows),
    )


def part(request: RatingRequest, rows: NDArray[np.intp]) -> RatingRequest:
    names = ("users", "items", "retrieved", "retrieved_items", "retrieved_ratings", "times", "moods")
    return replace(request, **{name: getattr(request, name)[rows] for name in names})


CATALOG, USERS = films(), users()
CROWD = crowd(CATALOG, USERS)


# ------------------------------------------------------------------------------------ what it answers


@pytest.mark.parametrize("scale", [TEN, FIVE, RatingScale(low=0.5, high=5, step=0.5)])
def test_answers_are_levels_of_the_scale(scale: RatingScale) -> None:
    catalog = films(scale=scale)
    values = RuleBased().rate_batch(crowd(catalog, USERS), Noise(64, 1)).values
    assert values.shape == (64, 2)
    assert np.isin(values, scale.levels).all()


@pytest.mark.parametrize(("dimensions", "k"), [(0, 3), (24, 0), (0, 0), (2, 3)])
def test_no_answer_is_missing_without_embeddings_or_memories(dimensions: int, k: int) -> None:
    catalog = films(dimensions=dimensions)
    answer = RuleBased().rate_batch(crowd(catalog, USERS, k=k), Noise(64, 1))
    assert np.isin(answer.values, TEN.levels).all()
    assert "makes" in answer.reason(0, 0)


def test_an_item_and_a_user_of_whom_nothing_is_known_get_the_start() -> None:
    catalog = Catalog([Item(id="i", title="i")], TEN)
    request = ask(catalog, Population([user()]))
    assert latent(request) == pytest.approx(fitted.START)
    answer = RuleBased(RuleBasedOptions(leniency=0)).rate_batch(request, Noise(1))
    start = f"{fitted.START:.1f}"
    reason = answer.reason(0, 0)
    assert reason.startswith(f"From {start}: nothing moves it; makes {start}; a sum of ")
    assert reason.endswith(f" is rated {answer.values[0, 0]:g}")


def test_random_pairs_are_rated_as_users_rate() -> None:
    catalog, population, rng = films(400), users(400), np.random.default_rng(1)
    pairs = 40_000
    request = ask(catalog, population, rng.integers(0, 400, pairs), rng.integers(0, 400, (pairs, 1)))
    values = RuleBased().rate_batch(request, Noise(pairs, 2)).values
    shares = np.array([(values == level).mean() for level in TEN.levels])
    assert np.abs(shares - REAL_RATING_SHARES).sum() / 2 < 0.08
    assert (shares > 0).all()


def test_a_pair_has_a_taste_of_its_own_beyond_item_and_user() -> None:
    catalog, population = films(80), users(150)
    request = ask(catalog, population, np.arange(150), np.tile(np.arange(80), (150, 1)))
    rater = RuleBased()
    tables = [rater.rate_batch(request, Noise(150, seed)).values for seed in (1, 2)]
    first, second = (t - t.mean(0) - t.mean(1, keepdims=True) + t.mean() for t in tables)
    assert (first * second).mean() / tables[0].var() > 0.08


# -------------------------------------------------------------------------------------- repeatability


def test_the_same_draws_give_the_same_ratings_and_reasons() -> None:
    first, second = (RuleBased().rate_batch(CROWD, Noise(64, 4)) for _ in range(2))
    assert np.array_equal(first.values, second.values)
    assert [first.reason(r, 1) for r in range(64)] == [second.reason(r, 1) for r in range(64)]


def test_draws_are_as_many_as_items_whatever_the_situation() -> None:
    for request in (CROWD, crowd(CATALOG, USERS, slate=5, k=0)):
        draws = Noise(64, 1)
        RuleBased().rate_batch(request, draws)
        assert draws.drawn == request.items.shape[1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 63), min_size=1, max_size=64, unique=True))
def test_a_row_is_rated_alike_in_any_company(rows: list[int]) -> None:
    rater, chosen = RuleBased(), np.array(rows, dtype=np.intp)
    whole = rater.rate_batch(CROWD, Keyed(np.arange(64)))
    some = rater.rate_batch(part(CROWD, chosen), Keyed(chosen))
    assert np.array_equal(whole.values[chosen], some.values)
    assert whole.reason(rows[0], 0) == some.reason(0, 0)


def test_a_user_keeps_their_leniency_in_any_population() -> None:
    alone = Population([USERS.users[7]])
    rater = RuleBased()
    here = rater.latent(ask(CATALOG, USERS, (7,), ((3,),)), Noise(1))
    assert rater.latent(ask(CATALOG, alone, (0,), ((3,),)), Noise(1)) == pytest.approx(here)


def test_leniency_varies_between_users_by_about_what_is_asked_for() -> None:
    population = Population([user(f"u{i}") for i in range(500)])
    catalog = Catalog([item()], TEN)
    request = ask(catalog, population, np.arange(500), np.zeros((500, 1)))
    sums = RuleBased(RuleBasedOptions(leniency=0.7)).latent(request, Noise(500))
    assert sums.std() == pytest.approx(0.7, rel=0.15)
    assert sums.mean() == pytest.approx(fitted.START, abs=0.1)


def test_a_table_too_large_to_keep_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with_table = RuleBased().latent(CROWD, Noise(64, 1))
    monkeypatch.setattr("emosim_core.components.rule_based._TABLE_LIMIT", 0)
    assert RuleBased().latent(CROWD, Noise(64, 1)) == pytest.approx(with_table, abs=1e-12)


def test_a_request_about_other_users_is_prepared_for_by_itself() -> None:
    rater = RuleBased()
    rater.prepare(WorldSetting(catalog=CATALOG, population=users(3), scale=TEN))
    assert np.array_equal(
        rater.rate_batch(CROWD, Noise(64, 1)).values, RuleBased().rate_batch(CROWD, Noise(64, 1)).values
    )


# --------------------------------------------------------------------------------- what moves a rating


def test_activity_moves_nothing() -> None:
    levels = [Population([u.model_copy(update={"activity": level}) for u in USERS.users]) for level in (1, 2, 3)]
    sums = [RuleBased().latent(replace(CROWD, population=population), Noise(64, 1)) for population in levels]
    assert np.array_equal(sums[0], sums[1])
    assert np.array_equal(sums[0], sums[2])


def test_followers_keep_closer_to_the_public_rating_than_mavericks() -> None:
    catalog, base = films(200), users(300)
    pairs = ask(catalog, base, np.arange(300), np.random.default_rng(1).integers(0, 200, (300, 20)))
    agreement = []
    for level in (1, 2, 3):
        population = Population([u.model_copy(update={"conformity": level}) for u in base.users])
        values = RuleBased().rate_batch(replace(pairs, population=population), Noise(300, 1)).values
        agreement.append(np.corrcoef(values.ravel(), catalog.public_ratings[pairs.items].ravel())[0, 1])
    assert agreement[0] > agreement[1] > agreement[2]
    assert agreement[0] > agreement[2] + 0.25


def test_a_liked_category_lifts_and_a_disliked_one_lowers_more_for_the_selective() -> None:
    catalog = Catalog([item(categories=("horror",)), item("other", categories=("comedy",))], TEN)
    moves = {}
    for level in (1, 2, 3):
        population = Population(
            [
                user("fan", liked=("horror",), diversity=level),
                user("foe", liked=("comedy",), disliked=("horror",), diversity=level),
                user("none", diversity=level),
            ]
        )
        fan, foe, none = latent(ask(catalog, population, (0, 1, 2), ((0,), (0,), (0,)))).ravel()
        moves[level] = (fan - none, foe - none)
    assert moves[1][0] > moves[2][0] > moves[3][0] > 0
    assert moves[1][1] < moves[2][1] < moves[3][1] < 0
    assert moves[2] == pytest.approx((fitted.LIKED, -fitted.DISLIKED))


def test_the_selective_shun_and_trailblazers_seek_what_is_outside_their_categories_and_little_known() -> None:
    catalog = Catalog(
        [
            item("outside", categories=("war",), public_count=1000),
            item("rare", public_count=10),
            item("famous", public_count=100_000),
            item("liked", categories=("comedy",)),
        ],
        TEN,
    )
    population = Population([user(f"p{d}", liked=("comedy",), diversity=d) for d in (1, 2, 3)])
    sums = latent(ask(catalog, population, (0, 1, 2), ((0, 1, 2),) * 3))
    outside, rare, famous = sums.T
    assert outside[0] < outside[1] < outside[2]
    assert rare[0] < rare[1] < rare[2]
    assert famous[0] > famous[1] > famous[2]


def test_an_unknown_public_rating_moves_nobody() -> None:
    catalog = Catalog([item("good", public_rating=9.0), item("unknown", public_rating=None)], TEN)
    population = Population([user(conformity=1)])
    good, unknown = latent(ask(catalog, population, (0,), ((0, 1),))).ravel()
    assert unknown == pytest.approx(fitted.START)
    assert good - unknown == pytest.approx(9.0 - fitted.MIDDLE)


def test_repetition_bores_more_and_more() -> None:
    catalog, population = Catalog([item()], TEN), Population([user()])
    sums = latent(ask(catalog, population, (0,) * 6, ((0,),) * 6, times=[[0], [1], [2], [5], [63], [5000]])).ravel()
    assert (np.diff(sums)[:4] < 0).all()
    assert sums[0] - sums[1] == pytest.approx(1.5)
    assert sums[4] == sums[5]


def test_mood_moves_a_little() -> None:
    catalog, population = Catalog([item()], TEN), Population([user()])
    low, usual, high = latent(ask(catalog, population, (0,) * 3, ((0,),) * 3, valence=[-0.5, 0.1, 0.7])).ravel()
    assert low < usual < high
    assert high - low < 1.0


def test_a_resting_mood_makes_generous_or_strict() -> None:
    population = Population([user("low", baseline_valence=-0.5), user("high", baseline_valence=0.5)])
    low, high = latent(ask(Catalog([item()], TEN), population, (0, 1), ((0,), (0,)))).ravel()
    assert high - low == pytest.approx(fitted.TEMPER)


# -------------------------------------------------------------------------------------------- memory


def memories(rating: float, past: int, embeddings: NDArray[np.float32] | None = None) -> float:
    catalog = films(200)
    if embeddings is not None:
        catalog = Catalog(catalog.items, TEN, embeddings)
    population = Population([user()])
    blank = latent(ask(catalog, population, (0,), ((0,),)))
    return float((latent(ask(catalog, population, (0,), ((0,),), past=[[[past]]], ratings=[[[rating]]])) - blank)[0, 0])


def test_a_part_of_the_same_series_carries_its_surprise_over() -> None:
    assert memories(10, past=1) > 1
    assert memories(1, past=1) < -1.5
    assert memories(10, past=1, embeddings=np.zeros((200, 0), dtype=np.float32)) > 1


def test_a_similar_item_carries_less_over_and_an_unlike_one_nothing() -> None:
    vectors = np.random.default_rng(8).normal(size=(200, 24)).astype(np.float32)
    vectors[50] = vectors[0] + 0.05 * vectors[51]
    vectors[60] = -vectors[0]
    assert memories(10, past=60, embeddings=vectors) == 0
    assert 0.1 < memories(10, past=50, embeddings=vectors) < memories(10, past=1, embeddings=vectors)
    assert memories(1, past=50, embeddings=vectors) < -0.1


def test_without_embeddings_similarity_is_nothing() -> None:
    for vectors in (np.zeros((200, 0)), np.zeros((200, 8)), np.ones((200, 8))):
        assert memories(10, past=50, embeddings=vectors.astype(np.float32)) == 0


def test_places_without_a_memory_move_nothing() -> None:
    population = Population([user()])
    blank = latent(ask(CATALOG, population, (0,), ((0,),)))
    gaps = ask(CATALOG, population, (0,), ((0,),), past=[[[0, 0]]], ratings=[[[np.nan, np.nan]]])
    assert latent(gaps) == pytest.approx(blank)


def test_leniency_of_recorded_users_is_learnt_from_what_they_remember() -> None:
    population = Population([user("generous"), user("strict"), user("new")])
    memory = Memory(3, len(CATALOG))
    for film in range(20):
        memory.append(np.array([0, 1]), np.array([film, film]), np.array([10.0, 2.0]), np.array([8, 0]))
    request = replace(ask(CATALOG, population, (0, 1, 2), ((30,),) * 3), history=memory.history())
    rater = RuleBased(RECORDED_USERS)
    generous, strict, new = rater.latent(request, Noise(3)).ravel()
    assert generous > new + 2
    assert strict < new - 2
    assert "rates higher than most so far +" in rater.rate_batch(request, Noise(3)).reason(0, 0)


def test_traits_of_recorded_users_take_no_part() -> None:
    """They were read off the same ratings as all else that is known of them."""
    users = [
        user(f"u{conformity}{diversity}", conformity=conformity, diversity=diversity)
        for conformity in (1, 2, 3)
        for diversity in (1, 2, 3)
    ]
    films_of_all = ((30, 31, 32),) * len(users)
    request = ask(CATALOG, Population(users), range(len(users)), films_of_all)
    expected = RuleBased(RECORDED_USERS).expected_batch(request)
    np.testing.assert_allclose(expected, np.broadcast_to(expected[0], expected.shape))


# ------------------------------------------------------------------------------------------- reasons

NUMBER = r"(-?\d+\.\d+)"
BOUNDS = rf"(?:of {NUMBER} or more)?(?: and )?(?:below {NUMBER})?"
REASON = re.compile(rf"From {NUMBER}: (.*); makes {NUMBER}; a sum {BOUNDS} is rated (\d+)")


def test_reasons_add_up_to_the_sum_that_was_cut_into_the_rating() -> None:
    rater = RuleBased()
    answer, sums = rater.rate_batch(CROWD, Noise(64, 1)), rater.latent(CROWD, Noise(64, 1))
    cuts = np.array([-np.inf, *fitted.CUTS, np.inf])
    for row in range(64):
        for place in range(2):
            reason = answer.reason(row, place)
            match = REASON.fullmatch(reason)
            assert match is not None, reason
            moves = [float(text.rsplit(" ", 1)[1]) for text in match[2].split("; ")]
            assert float(match[1]) + sum(moves) == pytest.approx(float(match[3]), abs=1e-6)
            assert float(match[3]) == pytest.approx(sums[row, place], abs=0.05 * 14)
            assert 0 not in moves
            assert [abs(move) for move in moves] == sorted((abs(move) for move in moves), reverse=True)
            low, high = float(match[4] or "-inf"), float(match[5] or "inf")
            assert low <= float(match[3]) < high
            level = int(match[6])
            assert (low, high) == pytest.approx((cuts[level - 1], cuts[level]), abs=0.051)
            assert level == answer.values[row, place]
            assert cuts[level - 1] <= sums[row, place] < cuts[level]


def test_a_reason_speaks_the_words_of_the_domain() -> None:
    catalog = Catalog(
        [
            item("Alien", categories=("horror", "thriller"), public_rating=7.5, collection="Alien"),
            item("Aliens", categories=("horror", "war"), public_rating=7.9, collection="Alien", public_count=90),
        ],
        TEN,
    )
    population = Population([user(liked=("horror", "thriller"), conformity=1, diversity=1)])
    rater = RuleBased(RuleBasedOptions(leniency=0))
    request = ask(
        catalog, population, (0,), ((1, 0),), past=[[[0, 1], [0, 1]]], ratings=[[[10, np.nan], [10, np.nan]]],
        times=[[1, 21]], valence=-0.9,
    )  # fmt: skip
    answer = rater.rate_batch(request, Noise(1))
    reason = answer.reason(0, 0)
    for words in (
        "follows the crowd (7.9) +1.4", "likes horror +", "like Alien, rated 10 +", "second viewing -1.5",
        "in a worse mood than usual -0.5", "outside own taste: war -",
    ):  # fmt: skip
        assert words in reason
    assert "noise" not in reason
    repeated = answer.reason(0, 1)
    assert "likes horror and thriller +" in repeated
    assert "rated it 10 before +" in repeated
    assert "22nd viewing -" in repeated
    assert "film" not in answer.reason(0, 0)


def test_a_reason_on_another_scale_is_in_its_points() -> None:
    catalog = Catalog([item(public_rating=4.5, categories=("horror",))], FIVE)
    population = Population([user(conformity=1, liked=("horror",))])
    answer = RuleBased(RuleBasedOptions(leniency=0)).rate_batch(ask(catalog, population), Noise(1))
    assert answer.values[0, 0] in FIVE.levels
    middle = FIVE.carry(fitted.MIDDLE)
    assert f"follows the crowd (4.5) +{4.5 - middle:.1f}" in answer.reason(0, 0)
    assert f"From {FIVE.carry(fitted.START):.1f}: " in answer.reason(0, 0)


def test_a_scale_with_more_levels_than_ten_has_its_outer_ones_a_point_of_the_sum_for_a_point_of_the_rating() -> None:
    cuts = _cutpoints(RatingScale(low=1, high=10, step=0.5))
    assert (np.diff(cuts) > 0).all()
    assert cuts[[0, -1]] == pytest.approx([fitted.CUTS[0] - 0.25, fitted.CUTS[-1] + 0.25])
    assert cuts[1] == pytest.approx(0.75 * fitted.CUTS[0] + 0.25 * fitted.CUTS[1])


# ------------------------------------------------------------------------------------------- options


def test_options_describe_every_field_and_refuse_unknown_ones() -> None:
    assert all(field.description for field in RuleBasedOptions.model_fields.values())
    with pytest.raises(ValidationError):
        RuleBasedOptions.model_validate({"nose": 1})
    with pytest.raises(ValidationError):
        RuleBasedOptions.model_validate({"noise": -1})


def test_its_numbers_are_those_of_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rule-based-rater.md").read_text(encoding="utf-8")
    terms, choices = (page.partition(f"| term | {head} |\n")[2].partition("\n\n")[0] for head in (
        "formula | option (default)", "value | weight",
    ))  # fmt: skip
    weights = [float(one) for row in choices.splitlines()[1:] for one in row.split("|")[3].split(",")]
    assert weights == list(fitted.INTEREST.values())
    documented = dict(re.findall(r"`(\w+)` \((?:m = )?([^)]+)\)", terms))
    documented["own"] = ", ".join(re.findall(r"follower ([\d.]+), balanced ([\d.]+), maverick ([\d.]+)", page)[0])
    assert len(documented) == len(RuleBasedOptions.model_fields) - 2  # all but learn and cuts
    for name, text in documented.items():
        default = getattr(RuleBasedOptions(), name)
        numbers = [float(text == "on")] if text in ("on", "off") else [float(one) for one in text.split(",")]
        assert np.ravel(default).tolist() == numbers, name


def test_no_language_model_is_asked() -> None:
    assert RuleBased.uses_llm is False


# ---------------------------------------------------------------------------------------- catalogs


def test_an_opinion_of_everything_counts_as_any_other() -> None:
    few, all_others = tuple(NAMES[:2]), tuple(NAMES[:-1])
    items = np.arange(len(CATALOG))[None]
    of_few, of_all = (
        RuleBased().latent(
            ask(CATALOG, Population([user("x", liked=NAMES[-1:], disliked=some)]), (0,), items), Noise(1, 1)
        )
        for some in (few, all_others)
    )
    same = [set(item.categories) <= {*few, NAMES[-1]} for item in CATALOG.items]
    assert any(same)
    assert of_few[0, same] == pytest.approx(of_all[0, same], abs=1e-12)


def test_ratings_do_not_depend_on_how_the_source_of_public_ratings_spreads_them() -> None:
    catalog = films(200)
    wider = [
        one.model_copy(update={"public_rating": float(np.clip(1.6 * (one.public_rating or 0) - 3.5, 1, 10))})
        for one in catalog.items
    ]
    shares = []
    for items in (catalog.items, wider):
        other = Catalog(items, TEN, catalog.embeddings)
        pairs = ask(
            other, users(200), np.repeat(np.arange(200), 40), np.random.default_rng(2).integers(0, 200, (8000, 1))
        )
        values = RuleBased().rate_batch(pairs, Noise(8000, 3)).values
        shares.append(np.array([(values == level).mean() for level in TEN.levels]))
    assert np.abs(shares[0] - shares[1]).sum() / 2 < 0.04
    relative, absolute = (
        RuleBased(RuleBasedOptions(relative=on)).latent(ask(other, users(1), (0,), ((0,),)), Noise(1))
        for on in (True, False)
    )
    assert relative != absolute


def test_a_domain_gets_the_distribution_that_its_users_have() -> None:
    shares = (0.02, 0.06, 0.24, 0.36, 0.32)
    catalog, population = films(400, scale=FIVE), users(400)
    pairs = 40_000
    rng = np.random.default_rng(1)
    request = ask(catalog, population, rng.integers(0, 400, pairs), rng.integers(0, 400, (pairs, 1)))
    rater = RuleBased()
    rater.prepare(WorldSetting(catalog=catalog, population=population, scale=FIVE, real_ratings=shares))
    values = rater.rate_batch(request, Noise(pairs, 2)).values
    assert np.abs([(values == level).mean() for level in FIVE.levels] - np.array(shares)).sum() / 2 < 0.06


def test_a_public_rating_by_few_users_is_believed_little() -> None:
    many = films(200)
    items = [
        *many.items,
        item("few", public_rating=10.0, public_count=1, categories=("drama",)),
        item("lots", public_rating=10.0, public_count=10_000, categories=("drama",)),
    ]
    catalog = Catalog(items, TEN)
    population = Population([user(conformity=1)])
    few, lots = latent(ask(catalog, population, (0,), ((200, 201),))).ravel()
    assert lots > few + 1


# ------------------------------------------------------------------------------------------ recorded users


def remember(rows: int, items: NDArray[np.intp], ratings: NDArray[np.float64], catalog: Catalog) -> Memory:
    """Everybody remembers the same items, each with ratings of their own, shape ``(rows, W)``."""
    memory = Memory(rows, len(catalog))
    for place in range(items.shape[1]):
        memory.append(np.arange(rows), items[:, place], ratings[:, place], np.zeros(rows, dtype=np.intp))
    return memory


def test_recorded_users_are_learnt_by_category_and_use_of_the_scale() -> None:
    catalog = films(200)
    horror = catalog.categories[:, catalog.category_names.index("horror")]
    items = np.tile(np.arange(120), (2, 1))
    ratings = np.vstack([np.where(horror[:120], 9.0, 5.0), np.full(120, 7.0)])
    history = remember(2, items, ratings, catalog).history()
    population = Population([user("fan"), user("even")])
    later = np.tile(np.arange(120, 200), (2, 1))
    request = replace(ask(catalog, population, (0, 1), later), history=history)
    rater = RuleBased(RECORDED_USERS)
    fan, even = rater.expected_batch(request)
    assert fan[horror[120:]].mean() > fan[~horror[120:]].mean() + 1.5
    assert np.abs(even - 7).mean() < 0.5
    answers = rater.rate_batch(request, Noise(2, 1))
    assert set(np.unique(answers.values[0])) <= {4, 5, 6, 7, 8, 9, 10}
    assert (answers.values[1] == 7).mean() > 0.6
    assert "liked its kind so far +" in answers.reason(0, int(np.flatnonzero(horror[120:])[0]))


def test_a_recorded_user_is_learnt_alike_in_any_company() -> None:
    rng = np.random.default_rng(4)
    items, ratings = rng.integers(0, 60, (5, 30)), rng.integers(1, 11, (5, 30)).astype(np.float64)
    memory = remember(5, items, ratings, CATALOG)
    request = replace(ask(CATALOG, USERS, range(5), np.tile(np.arange(8), (5, 1))), history=memory.history())
    rater = RuleBased(RECORDED_USERS)
    together = rater.expected_batch(request), rater.interest_batch(request)
    alone = replace(
        ask(CATALOG, USERS, (3,), (np.arange(8),)), history=memory.history(np.array([3]))
    )  # fmt: skip
    assert np.array_equal(rater.expected_batch(alone)[0], together[0][3])
    assert np.array_equal(rater.interest_batch(alone)[0], together[1][3])


def test_what_is_expected_has_no_noise_and_lies_within_the_scale() -> None:
    rater = RuleBased()
    expected = rater.expected_batch(CROWD)
    assert expected == pytest.approx(np.clip(rater.latent(CROWD, Noise(64)), 1, 10))
    assert np.array_equal(expected, rater.expected_batch(CROWD))


# ------------------------------------------------------------------------------------------------ interest


def test_users_choose_what_is_popular_of_their_kind_and_their_time() -> None:
    def film(name: str, category: str, year: int, count: int) -> Item:
        return item(name, categories=(category,), year=year, public_count=count)

    rest = [film(f"{kind}{n}", kind, 1960 + n, 100) for kind in ("comedy", "horror") for n in range(60)]
    catalog = Catalog(
        [
            film("alike", "horror", 1985, 100), film("famous", "horror", 1985, 5000),
            film("comedy", "comedy", 1985, 100), film("old", "horror", 1965, 100), film("new", "horror", 2019, 100),
            *rest,
        ],
        TEN,
    )  # fmt: skip
    past = np.array(
        [[i for i, one in enumerate(catalog.items) if one.id.startswith("horror") and 1980 < (one.year or 0) < 1990]]
    )
    history = remember(1, past, np.full(past.shape, 6.0), catalog).history()
    request = replace(ask(catalog, Population([user()]), (0,), ((0, 1, 2, 3, 4),)), history=history)
    alike, famous, comedy, old, new = RuleBased().interest_batch(request)[0]
    assert famous > alike > comedy
    assert alike > old > new


def test_users_who_remember_nothing_choose_what_they_say_they_like() -> None:
    catalog = Catalog([item(name, categories=(name,), public_count=50) for name in NAMES], TEN)
    population = Population([user(liked=("comedy",), disliked=("crime",)), user("other")])
    request = ask(catalog, population, (0, 1), np.tile(np.arange(len(NAMES)), (2, 1)))
    scores = dict(zip(NAMES, RuleBased().interest_batch(request)[0], strict=True))
    assert scores["comedy"] > scores["drama"] > scores["crime"]
    assert np.ptp(RuleBased().interest_batch(request)[1]) == pytest.approx(0, abs=1e-9)


def test_the_terms_of_interest_tell_items_apart_as_it_does() -> None:
    pairs = ask(CATALOG, users(3), (0, 1, 2), np.tile(np.arange(20), (3, 1)))
    memory = remember(3, np.tile(np.arange(20, 32), (3, 1)), np.full((3, 12), 6.0), CATALOG)
    pairs = replace(pairs, history=memory.history())
    terms = RuleBased().interest_terms(pairs)
    assert set(terms) == {"popularity", "year", "categories"}
    beside = RuleBased().interest_batch(pairs) - sum(terms.values())  # the same for all items of a user
    assert np.ptp(beside, axis=1) == pytest.approx(0, abs=1e-9)


def test_interest_needs_neither_counts_nor_years_nor_categories() -> None:
    catalog = Catalog([Item(id=f"i{n}", title="t") for n in range(5)], TEN)
    request = ask(catalog, Population([user()]), (0,), ((0, 1, 2),))
    assert np.isfinite(RuleBased().interest_batch(request)).all()
