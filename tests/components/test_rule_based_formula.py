"""The rule-based rater, what it learns and its interest, against their formulas written with loops for one pair."""

from __future__ import annotations

import math
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from emosim_core.components import rule_based_interest
from emosim_core.components.base import RatingRequest, WorldSetting
from emosim_core.components.closeness import Closeness
from emosim_core.components.rule_based import REAL_RATING_SHARES, RECORDED_USERS, RuleBased, RuleBasedOptions
from emosim_core.components.rule_based_constants import FITTED as fitted
from emosim_core.components.rule_based_interest import GROUPS, TERMS, Interest
from emosim_core.components.rule_based_learning import Learner, quality
from emosim_core.model import Catalog, Item, Memory, Population, RatingScale, User, Words

NORMAL = NormalDist()
NAMES = ("drama", "comedy", "action", "war")
WORDS = Words("film", "films", "watch", "watched", "viewing", "viewer")
SCALES = [RatingScale(low=1, high=10), RatingScale(low=0, high=5, step=0.5)]


def catalog(scale: RatingScale, count: int = 70) -> Catalog:
    """Items of all kinds: without categories, a public rating, a count or a year, and of one series."""
    rng = np.random.default_rng(4)
    items = [
        Item(
            id=f"i{n}",
            title=f"Title {n}",
            categories=tuple(rng.choice(NAMES, n % 4, replace=False)),
            public_rating=None if n % 9 == 5 else round(scale.carry(float(rng.uniform(3, 9))), 2),
            public_count=None if n % 10 == 6 else int(rng.lognormal(4, 2)),
            year=None if n % 11 == 7 else int(rng.integers(1930, 2024)),
            collection="s" if n < 3 else None,
        )
        for n in range(count)
    ]
    return Catalog(items, scale, rng.normal(size=(count, 5)).astype(np.float32))


def population() -> Population:
    users = [
        User(
            id=f"u{n}",
            name=f"User {n}",
            liked=NAMES[: n % 3],
            disliked=NAMES[3:] if n % 2 else (),
            activity=1 + n % 3,
            conformity=1 + n % 3,
            diversity=1 + (n // 3) % 3,
            baseline_valence=0.1 * (n - 4),
        )
        for n in range(9)
    ]
    return Population(users)


def request(scale: RatingScale, rows: int = 40, memories: int = 2, slate: int = 2) -> RatingRequest:
    rng = np.random.default_rng(6)
    made, people = catalog(scale), population()
    memory = Memory(rows, len(made))
    for step in range(12):
        who = np.flatnonzero(rng.random(rows) < step / 12)
        memory.append(who, rng.integers(0, 70, len(who)), rng.choice(scale.levels, len(who)), np.full(len(who), 4))
    rated = rng.choice(scale.levels, (rows, slate, memories))
    rated[rng.random(rated.shape) < 0.3] = np.nan
    return RatingRequest(
        users=rng.integers(0, 9, rows),
        items=rng.integers(0, 70, (rows, slate)),
        retrieved=np.where(np.isnan(rated), -1, 0),
        retrieved_items=rng.integers(0, 70, rated.shape),
        retrieved_ratings=rated,
        times=rng.integers(0, 4, (rows, slate)),
        moods=np.column_stack([rng.uniform(-1, 1, rows), rng.uniform(0, 1, rows)]),
        history=memory.history(),
        catalog=made,
        population=people,
        scale=scale,
        words=WORDS,
    )


class Normals:
    """The same numbers whoever draws."""

    def normal(self, count: int) -> Any:
        return np.random.default_rng(8).normal(size=(40, count))


class Formula:
    """The sum of terms of one pair after another, in points of 10."""

    def __init__(self, request: RatingRequest, options: RuleBasedOptions, shift: float = 0.0) -> None:
        self.o, self.r, self.shift = options, request, shift
        made = request.catalog
        on_ten = [self.ten(rating) for rating in made.public_ratings.tolist()]
        self.quality = quality(made, np.array(on_ten), fitted.MIDDLE + shift)
        rated = [q for q, item in zip(self.quality.tolist(), made.items, strict=True) if item.public_rating is not None]
        self.mean, self.spread = float(np.mean(rated)), float(np.std(rated))
        logs = [math.log(1 + item.public_count) for item in made.items if item.public_count]
        self.usual_log, self.log_spread = float(np.mean(logs)), float(np.std(logs))

    def ten(self, rating: float) -> float:
        return 1 + 9 * (rating - self.r.scale.low) / self.r.scale.span

    def expected(self, user: User, number: int) -> float:
        """What depends on the user and the item alone."""
        o, item = self.o, self.r.catalog.items[number]
        conformity, diversity = user.conformity - 1, user.diversity - 1
        if o.relative:
            apart = (self.quality[number] - self.mean) * min(1.0, fitted.ITEM_SPREAD / self.spread)
        else:
            apart = self.quality[number] - fitted.MIDDLE - self.shift
        widely = 0.0
        if item.public_count:
            widely = min(2.5, max(-2.5, (math.log(1 + item.public_count) - self.usual_log) / self.log_spread))
        chance = int.from_bytes(blake2b(user.id.encode(), digest_size=6, person=b"leniency").digest(), "big")
        leniency = o.temper * (user.baseline_valence - 0.1) + o.leniency * NORMAL.inv_cdf((chance + 0.5) / 2**48)
        taste = outside = 0.0
        for name in item.categories:
            size = math.sqrt(len(item.categories))
            taste += (o.liked * (name in user.liked) - o.disliked * (name in user.disliked)) / size
            if user.liked and name not in (*user.liked, *user.disliked):
                outside += o.outside[diversity] / len(item.categories)
        return float(
            o.start
            + self.shift
            + o.public[conformity] * apart
            + o.popularity[diversity] * widely
            + (0 if o.learn else o.own[conformity] * leniency)
            + o.own[conformity] * o.taste[diversity] * taste
            + outside
        )

    def latent(self, row: int, place: int, noise: float) -> float:
        """The whole sum; noise is the normal number of this place."""
        o, r = self.o, self.r
        user, item = r.population.users[r.users[row]], int(r.items[row, place])
        close = Closeness(r.catalog, o.similarity)
        above = below = 0.0
        for past, rating in zip(r.retrieved_items[row, place], r.retrieved_ratings[row, place], strict=True):
            if not math.isnan(rating) and o.memory:
                weight = float(close.of(np.array([item]), np.array([past]))[0])
                above += weight * (self.ten(rating) - self.expected(user, int(past)))
                below += weight
        memory = above / (below + (1 - o.memory) / o.memory) if o.memory else 0.0
        mood = o.mood * (r.moods[row, 0] - user.baseline_valence)
        boredom = -o.boredom * math.log2(1 + r.times[row, place])
        noise *= o.own[user.conformity - 1] * o.noise
        return float(self.expected(user, item) + memory + mood + boredom + noise)


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize(
    "options",
    [RuleBasedOptions(), RuleBasedOptions(memory=0.0), RuleBasedOptions(relative=False, similarity=0.5, boredom=0.7)],
    ids=["defaults", "without memory", "others"],
)
def test_a_rating_is_the_sum_of_its_terms_cut_into_levels(scale: RatingScale, options: RuleBasedOptions) -> None:
    asked, noise = request(scale), Normals().normal(2)
    formula = Formula(asked, options)
    sums = RuleBased(options).latent(asked, Normals())
    expected = np.array([[formula.latent(row, place, noise[row, place]) for place in range(2)] for row in range(40)])
    assert 1 + 9 * (sums - scale.low) / scale.span == pytest.approx(expected, abs=1e-4)
    silent = np.array([[formula.latent(row, place, 0.0) for place in range(2)] for row in range(40)])
    means = RuleBased(options).expected_batch(asked)
    assert 1 + 9 * (means - scale.low) / scale.span == pytest.approx(silent.clip(1, 10), abs=1e-4)
    # Halfway between two levels of 10 the sum is the fitted one; a level of another scale lies between two of them.
    halves = 1 + 9 * ((scale.levels[:-1] + scale.levels[1:]) / 2 - scale.low) / scale.span
    known, cuts = [-7.5, *np.arange(1.5, 10), 18.5], [fitted.CUTS[0] - 9, *fitted.CUTS, fitted.CUTS[-1] + 9]
    at = (expected[:, :, None] >= np.interp(halves, known, cuts)).sum(axis=2)
    assert RuleBased(options).rate_batch(asked, Normals()).values.tolist() == scale.levels[at].tolist()


def test_a_domain_whose_users_are_known_has_their_mean_and_their_shares_of_levels() -> None:
    scale = SCALES[0]
    shares = np.array([0.02, 0.02, 0.03, 0.05, 0.1, 0.18, 0.2, 0.2, 0.12, 0.08])
    asked, options = request(scale), RuleBasedOptions()
    rater = RuleBased(options)
    setting = {"catalog": asked.catalog, "population": asked.population, "scale": scale}
    rater.prepare(WorldSetting(**setting, real_ratings=tuple(shares)))
    shift = float(shares @ np.arange(1, 11)) - fitted.MIDDLE
    formula = Formula(asked, options, shift)
    expected = np.array([[formula.latent(row, place, 0.0) for place in range(2)] for row in range(40)])
    assert rater.expected_batch(asked) == pytest.approx(expected.clip(1, 10), abs=1e-4)
    # The fitted cutpoints are quantiles at the shares of users of films; a level of these shares lies between two.
    known = [NORMAL.inv_cdf(one) for one in np.cumsum(REAL_RATING_SHARES)[:-1] / sum(REAL_RATING_SHARES)]
    wanted = [NORMAL.inv_cdf(one) for one in np.cumsum(shares)[:-1]]
    slopes = [(fitted.CUTS[k + 1] - fitted.CUTS[k]) / (known[k + 1] - known[k]) for k in (0, len(known) - 2)]
    cuts = [
        fitted.CUTS[0] + (one - known[0]) * slopes[0] if one < known[0]
        else fitted.CUTS[-1] + (one - known[-1]) * slopes[1] if one > known[-1]
        else float(np.interp(one, known, fitted.CUTS))
        for one in wanted
    ]  # fmt: skip
    assert rater._cuts == pytest.approx(np.array(cuts) + shift, abs=1e-9)


# -------------------------------------------------------------------------------------------- quality


def test_quality_is_a_ridge_regression_by_kind_in_which_each_rating_counts_by_how_many_gave_it() -> None:
    made = catalog(SCALES[0])
    on_ten = made.public_ratings
    rows, targets, believed = [], [], []
    known = [item for item in made.items if item.public_rating is not None and item.public_count]
    logs = [math.log(1 + item.public_count) for item in known]
    middle, spread = float(np.mean(logs)), float(np.std(logs))

    def columns(item: Item) -> list[float]:
        widely = (math.log(1 + (item.public_count or 0)) - middle) / spread
        era = 0.0 if item.year is None else (item.year - 1990) / 20
        return [1.0, widely, widely**2, era, era**2, *(float(name in item.categories) for name in made.category_names)]

    for item in known:
        count = item.public_count or 0
        believed.append(count / (count + fitted.PUBLIC_DOUBT))
        rows.append(columns(item))
        targets.append((item.public_rating or 0.0) - 6.0)
    root = np.sqrt(believed)[:, None]
    width = len(rows[0])
    weighted = np.vstack([np.array(rows) * root, math.sqrt(5.0) * np.eye(width)])
    weights, *_ = np.linalg.lstsq(
        weighted, np.concatenate([np.array(targets) * root[:, 0], np.zeros(width)]), rcond=None
    )
    expected = []
    for item in made.items:
        kind = 6.0 + float(weights @ columns(item))
        trust = item.public_count / (item.public_count + fitted.PUBLIC_DOUBT) if item.public_count else 1.0
        expected.append(kind if item.public_rating is None else kind + trust * (item.public_rating - kind))
    assert quality(made, on_ten, 6.0) == pytest.approx(np.array(expected), abs=1e-8)


# --------------------------------------------------------------------------------- what memory teaches


def test_what_is_learned_of_a_user_is_a_regression_on_their_memory_and_their_use_of_the_levels() -> None:
    scale = SCALES[0]
    asked = request(scale)
    rater = RuleBased(RECORDED_USERS)
    rater.expected_batch(asked)
    learner, formula = rater._learner, Formula(asked, RECORDED_USERS)
    assert isinstance(learner, Learner)
    history = asked.history
    everything = np.array(
        [[formula.expected(asked.population.users[user], int(item)) for item in row]
         for user, row in zip(asked.users, history.items, strict=True)]
    )  # fmt: skip
    learned = learner.learn(history, everything)
    doubt, half_life = fitted.LATELY_DOUBT, fitted.LATELY_HALF_LIFE
    seen = 0
    for row, length in enumerate(history.lengths.tolist()):
        if not length:
            assert not learned.weights[row].any()
            assert learned.noise[row] == fitted.LEARNT["noise"]
            assert learned.cuts[row] == pytest.approx(rater._cuts)
            continue
        seen += 1
        features, given = learner.features[history.items[row, :length]], history.ratings[row, :length]
        before, size = everything[row, :length], learner.features.shape[1]
        # A ridge regression is a least-squares fit with rows of its own.
        stacked = np.vstack([features, fitted.LEARNT["noise"] * np.eye(size)])
        weights, *_ = np.linalg.lstsq(stacked, np.concatenate([given - before, np.zeros(size)]), rcond=None)
        off = given - before - features @ weights
        noise = math.sqrt(
            (sum(off**2) + fitted.NOISE_DOUBT * fitted.LEARNT["noise"] ** 2) / (length + fitted.NOISE_DOUBT)
        )
        fading = [0.5 ** ((length - 1 - k) / half_life) for k in range(length)]
        lately = sum(f * o for f, o in zip(fading, off, strict=True)) / (sum(fading) + doubt)
        first = weights[0] + lately / fitted.LEARNT["user"]
        assert learned.weights[row] == pytest.approx(np.array([first, *weights[1:]]), abs=1e-8)
        assert learned.noise[row] == pytest.approx(noise)
        fading = [0.5 ** ((length - 1 - k) / fitted.LEVEL_HALF_LIFE) for k in range(length)]
        count, guess = sum(fading), before + features @ weights
        middle = sum(f * g for f, g in zip(fading, guess, strict=True)) / count
        squares = sum(f * (g - middle) ** 2 for f, g in zip(fading, guess, strict=True))
        spread = math.sqrt((squares + 5 * fitted.ITEM_SPREAD**2) / (count + 5) + noise**2)
        cuts = []
        for level, cut in zip(scale.levels[:-1], rater._cuts, strict=True):
            below = sum(f for f, g in zip(fading, given, strict=True) if g <= level)
            usual = NORMAL.cdf((cut - middle) / spread)
            share = (below + fitted.LEVEL_DOUBT * usual) / (count + fitted.LEVEL_DOUBT)
            cuts.append(middle + spread * NORMAL.inv_cdf(min(1 - 1e-4, max(1e-4, share))))
        assert learned.cuts[row] == pytest.approx(np.maximum.accumulate(cuts), abs=1e-8)
    assert seen > 10
    values = rater.rate_batch(asked, Normals()).values
    terms = rater._terms(asked, Normals())
    assert terms.learned is not None
    at = [(terms.latent[row][:, None] >= terms.learned.cuts[row]).sum(axis=1) for row in range(40)]
    assert values.tolist() == [scale.levels[one].tolist() for one in at]


def test_features_of_an_item_are_its_kind_its_time_its_popularity_and_its_quality() -> None:
    made = catalog(SCALES[0])
    qualities = np.linspace(3, 9, 70)
    levels = SCALES[0].levels
    learner = Learner(made, qualities, 0.5, levels, np.arange(1.5, 10))
    counts = np.array([item.public_count or 0 for item in made.items], dtype=float)

    def standard(values: Any) -> Any:
        middle = (counts * values).sum() / counts.sum()
        return (values - middle) / math.sqrt((counts * (values - middle) ** 2).sum() / counts.sum())

    widely, good, size = standard(np.log(1 + counts)), standard(qualities), fitted.LEARNT
    for number, item in enumerate(made.items):
        kinds = [float(name in item.categories) for name in made.category_names]
        time = np.zeros(12)
        if item.year is not None:
            time = np.array([math.exp(-(((item.year - decade) / 12) ** 2)) for decade in range(1910, 2030, 10)])
            time /= np.linalg.norm(time)
        expected = [
            size["user"],
            *(size["category"] * one / math.sqrt(max(1, len(item.categories))) for one in kinds),
            *(size["era"] * time),
            size["popularity"] * widely[number],
            size["quality"] * good[number],
        ]
        assert learner.features[number] == pytest.approx(0.5 * np.array(expected), abs=1e-9)
    assert learner.parts.tolist() == [0, 1, 5, 17, 18, 19]


# ------------------------------------------------------------------------------------------- interest


def test_interest_is_the_weighted_sum_of_its_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(SCALES[0])
    made, history = asked.catalog, asked.history
    tastes = np.random.default_rng(3).integers(-1, 2, (40, len(made.category_names))).astype(float)
    interest = Interest(made)
    terms = interest.terms(asked.items, history, tastes)
    counts = np.array([item.public_count or 0 for item in made.items], dtype=float)
    chosen = counts / counts.sum()
    logs = np.log(1 + counts)
    middle = (chosen * logs).sum()
    widely = (logs - middle) / math.sqrt((chosen * (logs - middle) ** 2).sum())
    dated = [item.year is not None for item in made.items]

    def spread(value: float, steps: Any, width: float) -> Any:
        near = np.exp(-(((value - steps) / width) ** 2) / 2)
        return near / near.sum()

    steps = np.linspace(widely.min(), widely.max() + 1e-9, 24)
    tables = {
        "category": np.array(
            [[(name in i.categories) / max(1, len(i.categories)) for name in made.category_names] for i in made.items]
        ),
        "year": np.array(
            [
                spread(i.year, np.arange(1900, 2031), fitted.INTEREST_YEARS) if i.year else np.zeros(131)
                for i in made.items
            ]
        ),
        "popularity": np.array([spread(one, steps, fitted.INTEREST_POPULARITY) for one in widely]),
    }

    def lift(name: str, item: int, past: list[int], row: int) -> float:
        table, doubt = tables[name], fitted.INTEREST_DOUBT[name]
        everybody = chosen @ table
        mixed = everybody * np.exp(fitted.INTEREST_DECLARED * tastes[row]) if name == "category" else everybody
        own = (table[past].sum(axis=0) + doubt * mixed) / (len(past) + doubt)
        floor = fitted.INTEREST_FLOOR / table.shape[1]
        return float(table[item] @ np.log((own + floor) / (everybody + floor)))

    for row in range(40):
        past = history.items[row, : history.lengths[row]].tolist()
        newest = max((made.items[one].year or 0 for one in past if dated[one]), default=None)
        for place, item in enumerate(asked.items[row].tolist()):
            newer = newest is not None and dated[item] and (made.items[item].year or 0) > newest
            recent = past[-20:]
            expected = {
                "exposure": logs[item], "saturation": -(widely[item] ** 2),
                "category": lift("category", item, past, row), "year": lift("year", item, past, row),
                "popularity": lift("popularity", item, past, row),
                "recent_category": lift("category", item, recent, row), "recent_year": lift("year", item, recent, row),
                "newer": -float(newer), "eagerness": math.log((len(past) + 1) / 50),
            }  # fmt: skip
            assert terms[row, place] == pytest.approx([expected[name] for name in TERMS], abs=1e-6)
    weights = np.array([fitted.INTEREST[name] for name in TERMS])
    assert interest.scores(asked.items, history, tastes) == pytest.approx(terms @ weights, abs=1e-9)
    for name, added in interest.added(asked.items, history, tastes).items():
        mine = [TERMS.index(one) for one in GROUPS[name]]
        assert added == pytest.approx(terms[..., mine] @ weights[mine], abs=1e-9)
    monkeypatch.setattr(rule_based_interest, "_AT_ONCE", 1)  # one user after another
    assert np.array_equal(interest.terms(asked.items, history, tastes), terms)
    monkeypatch.setattr(rule_based_interest, "RECENT", 4)
    assert not np.allclose(interest.terms(asked.items, history, tastes)[..., 5:7], terms[..., 5:7])
