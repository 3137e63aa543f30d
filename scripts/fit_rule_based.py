"""Fits the constants of the rule-based rater to a MovieLens or goodbooks directory, and writes them when asked.

    python scripts/fit_rule_based.py PATH            prints the fit and its statistics
    python scripts/fit_rule_based.py PATH --write    rewrites emosim_core/components/rule_based_constants.toml; of
                                                     books, plugins/emosim_books/emosim_books/data/raters.toml

PATH is a folder with MovieLens' movies.csv and ratings.csv (Harper & Konstan, 2015, doi 10.1145/2827872), or with
books.csv and ratings.csv of goodbooks-10k (Zajac, 2017). The users that `emosim validate` measures are left out.
docs/rule-based-rater.md says what every number means. Needs pandas. What is learnt of recorded users is fitted by
scripts/fit_recorded.py.
"""

from __future__ import annotations

import argparse
import math
import re
import timeit
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import RatingRequest, WorldSetting
from emosim_core.components.rule_based import REAL_RATING_SHARES, RECORDED_USERS, RuleBased, RuleBasedOptions
from emosim_core.components.rule_based_constants import FITTED as constants
from emosim_core.data.embeddings import lexical_vectors
from emosim_core.model import Catalog, Item, Memory, Population, RatingScale, User
from emosim_core.model.domain import Words
from emosim_core.studies.validation.users import CALIBRATION, TRAIN, user_split_of

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "emosim_core" / "components" / "rule_based_constants.toml"
BOOKS = ROOT / "plugins" / "emosim_books" / "emosim_books" / "data" / "raters.toml"

OUTER_GROUP = NormalDist().pdf(NormalDist().inv_cdf(0.25)) / 0.25
"""Mean of the lowest and of the highest quarter of a normal distribution, in standard deviations: 1.27."""

SAME_RATER_STARS = 0.8156
"""RMSE between two ratings of one film by one user, stars of 5, the upper end of Amatriain et al. (2009)."""

CATEGORY_POPULARITY = {
    "comedy": 0.90, "adventure": 0.90, "action": 0.88, "thriller": 0.84, "drama": 0.84, "crime": 0.82,
    "documentary": 0.77, "animation": 0.70, "fantasy": 0.70, "science fiction": 0.69, "sci-fi": 0.69,
    "romance": 0.67, "horror": 0.52,
}  # fmt: skip
"""Share of users who like a film category (EmoSim-RL); nobody states a taste for others."""


RECORDED = {
    name: getattr(constants, name)
    for name in (
        *("PUBLIC_DOUBT", "LEARNT", "LATELY_HALF_LIFE", "LATELY_DOUBT", "NOISE_DOUBT"),
        *("LEVEL_HALF_LIFE", "LEVEL_DOUBT", "INTEREST", "INTEREST_DOUBT", "INTEREST_YEARS", "INTEREST_POPULARITY"),
        *("INTEREST_FLOOR", "INTEREST_DECLARED"),
    )
}
"""Constants that this script keeps: chosen, or from scripts/fit_recorded.py."""


@dataclass(frozen=True)
class Ratings:
    """MovieLens ratings, stars doubled, oldest first within a user. R ratings, U users, N films.

    Attributes:
        user: index of each rating's user, shape ``(R,)``.
        film: index of each rating's film, shape ``(R,)``.
        value: ratings of 10, shape ``(R,)``.
        public: damped mean of the film's other ratings, shape ``(R,)``.
        early: whether it is in the earlier half of what the user rated, shape ``(R,)``.
        genres: shape ``(N, C)``.
        genre_names: C names.
        counts: ratings of each film, shape ``(N,)``.
        film_public: damped mean of all ratings of each film, shape ``(N,)``.
        titles: N titles.
    """

    user: Ints
    film: Ints
    value: Floats
    public: Floats
    early: NDArray[np.bool_]
    genres: Floats
    genre_names: tuple[str, ...]
    counts: Ints
    film_public: Floats
    titles: tuple[str, ...]

    @property
    def users(self) -> int:
        """Number of users."""
        return int(self.user.max()) + 1


def read(folder: Path, damping: float = 3.0) -> Ratings:
    """Read MovieLens, but for the users whom a validation measures.

    Args:
        folder: where movies.csv and ratings.csv are.
        damping: counts as so many ratings at the mean of users' ratings.
    """
    import pandas as pd

    ratings = pd.read_csv(folder / "ratings.csv").sort_values(["userId", "timestamp"], kind="stable")
    user_split = {user: user_split_of(str(user)) for user in ratings.userId.unique().tolist()}
    ratings = ratings[ratings.userId.map(user_split).isin([TRAIN, CALIBRATION])]
    movies = pd.read_csv(folder / "movies.csv")
    movies = movies[movies.movieId.isin(ratings.movieId)].reset_index(drop=True)
    index = {movie: i for i, movie in enumerate(movies.movieId)}
    film = ratings.movieId.map(index).to_numpy(dtype=np.intp)
    user = ratings.userId.astype("category").cat.codes.to_numpy().astype(np.intp)
    value = 2.0 * ratings.rating.to_numpy(dtype=np.float64)
    counts = np.bincount(film, minlength=len(movies))
    total = np.bincount(film, value, len(movies))
    middle = target_mean()
    flags = movies.genres.str.get_dummies("|")
    # "(no genres listed)" is a remark, not a genre.
    names = [str(name) for name in flags if not str(name).startswith("(")]
    place = ratings.groupby("userId").cumcount().to_numpy()
    return Ratings(
        user=user,
        film=film,
        value=value,
        public=(total[film] - value + damping * middle) / (counts[film] - 1 + damping),
        early=place < np.bincount(user)[user] // 2,
        genres=flags[names].to_numpy(dtype=np.float64),
        genre_names=tuple(name.lower() for name in names),
        counts=counts,
        film_public=(total + damping * middle) / (counts + damping),
        titles=tuple(movies.title),
    )


def target_mean() -> float:
    """Mean of users' ratings, of 10."""
    return float(np.arange(1, 11) @ np.array(REAL_RATING_SHARES))


def variance_parts(data: Ratings) -> tuple[float, float, float]:
    """Standard deviations of film means, user means and what is left, by alternating shrunken means."""
    user, film, y = data.user, data.film, data.value
    n_user, n_film = np.bincount(user), np.bincount(film)
    of_film = of_user = 0.8
    rest = 2.5
    middle, offset = float(y.mean()), np.zeros(len(n_user))
    for _ in range(60):
        shrink_film, shrink_user = rest / of_film, rest / of_user
        quality = np.bincount(film, y - middle - offset[user]) / (n_film + shrink_film)
        offset = np.bincount(user, y - middle - quality[film]) / (n_user + shrink_user)
        of_film = float(np.mean(quality**2 + rest / (n_film + shrink_film)))
        of_user = float(np.mean(offset**2 + rest / (n_user + shrink_user)))
        used = float(np.sum(n_user / (n_user + shrink_user)) + np.sum(n_film / (n_film + shrink_film)))
        rest = float(np.sum((y - middle - quality[film] - offset[user]) ** 2) / (len(y) - used))
        middle = float(np.mean(y - quality[film] - offset[user]))
    return math.sqrt(of_film), math.sqrt(of_user), math.sqrt(rest)


def spread(x: Floats, y: Floats, group: Ints, least: int = 100) -> tuple[float, float]:
    """Each user's own slope of y on x: its mean, and its spread over users without sampling error.

    Only users with at least ``least`` ratings count; method of moments.
    """
    slopes, errors = [], []
    for rows in np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1]):
        if len(rows) < least:
            continue
        dx, dy = x[rows] - x[rows].mean(), y[rows] - y[rows].mean()
        ss = float(dx @ dx)
        if ss < 1e-9:
            continue
        slope = float(dx @ dy) / ss
        slopes.append(slope)
        errors.append(float(np.sum((dy - slope * dx) ** 2)) / (len(rows) - 2) / ss)
    return float(np.mean(slopes)), math.sqrt(max(0.0, float(np.var(slopes) - np.mean(errors))))


def regress(y: Floats, *columns: Floats) -> tuple[Floats, float]:
    """Least squares with an intercept: coefficients and root mean squared error."""
    table = np.column_stack([np.ones(len(y)), *columns])
    weights: Floats = np.linalg.lstsq(table, y, rcond=None)[0].astype(np.float64)
    return weights, float(np.sqrt(np.mean((y - table @ weights) ** 2)))


def declared(data: Ratings, residual: Floats, rows: NDArray[np.bool_], each: int = 4) -> tuple[Floats, Floats]:
    """The genres that each user's ratings ``rows`` speak for and against most; two tables, shape ``(U, C)``."""
    share = data.genres / np.maximum(data.genres.sum(1, keepdims=True), 1)
    total, weight = (np.zeros((data.users, data.genres.shape[1])) for _ in range(2))
    np.add.at(total, data.user[rows], share[data.film[rows]] * residual[rows, None])
    np.add.at(weight, data.user[rows], share[data.film[rows]])
    order = np.argsort(total / (weight + 5.0), axis=1)
    liked, disliked = np.zeros_like(total), np.zeros_like(total)
    np.put_along_axis(liked, order[:, -each:], 1.0, axis=1)
    np.put_along_axis(disliked, order[:, :each], 1.0, axis=1)
    return liked, disliked


def stem(title: str) -> str:
    """A title up to a number, a colon or "part": what the films of a series share; of a book, its series."""
    if series := re.search(r"\(([^()]*?),? #\d", title):
        return series[1].strip().lower()
    bare = re.sub(r"\(\d{4}\)", "", title).strip().lower()
    return re.split(r":|\b(?:ii|iii|iv|v|vi|\d+|part|episode|and the)\b", bare)[0].strip(" ,-")


def series_slope(data: Ratings, residual: Floats) -> tuple[float, int]:
    """How far one's rating of a part of a film series carries over to another part: slope, number of film pairs.

    Series are films of one :func:`stem` of more than three letters, among the 1,500 most rated.
    """
    known = np.argsort(-data.counts, kind="stable")[:1500]
    table = np.zeros((data.users, len(data.counts)), dtype=np.float32)
    seen = np.zeros_like(table)
    table[data.user, data.film], seen[data.user, data.film] = residual, 1.0
    table, seen = table[:, known], seen[:, known]
    stems = np.array([stem(data.titles[film]) for film in known])
    left, right = np.triu_indices(len(known), 1)
    same = (stems[left] == stems[right]) & (np.char.str_len(stems[left]) > 3)
    left, right = left[same], right[same]
    product = float((table[:, left] * table[:, right]).sum())
    return product / float((table[:, left] ** 2 * seen[:, right]).sum()), len(left)


def mood_slope(data: Ratings, residual: Floats, half_life: float = 5.0, gain: float = 0.25) -> float:
    """Points per unit of valence of the simulator's mood, had it run over each user's ratings in their order."""
    keep, rest = 2.0 ** (-1.0 / half_life), 0.1
    moods, mood, last = np.empty(len(data.value)), rest, -1
    tags = (data.value >= 7).astype(float) - (data.value <= 4)
    for row, (user, tag) in enumerate(zip(data.user.tolist(), tags.tolist(), strict=True)):
        mood = rest if user != last else mood
        moods[row], last = mood, user
        mood = rest + (mood - rest) * keep
        mood += gain * (tag - mood)
    return float(regress(residual, moods - rest)[0][1])


def sampled_users(count: int, names: tuple[str, ...], seed: int) -> list[User]:
    """Made-up users: trait shares 25/50/25; a coin per category, then up to 4 liked and 4 disliked (EmoSim-RL)."""
    rng = np.random.default_rng(seed)
    names = tuple(name for name in names if name in CATEGORY_POPULARITY)
    popularity = np.array([CATEGORY_POPULARITY[name] for name in names])
    users = []
    for i in range(count):
        order, likes = rng.permutation(len(names)), rng.random(len(names)) < popularity
        liked, disliked = order[likes[order]][:4], order[~likes[order]][:4]
        users.append(
            User(
                id=f"person-{seed}-{i}",
                name=f"User {i}",
                liked=tuple(names[c] for c in liked),
                disliked=tuple(names[c] for c in disliked),
                activity=int(rng.choice([1, 2, 3], p=[0.3, 0.5, 0.2])),
                conformity=int(rng.choice([1, 2, 3], p=[0.25, 0.5, 0.25])),
                diversity=int(rng.choice([1, 2, 3], p=[0.25, 0.5, 0.25])),
                baseline_valence=float(np.clip(rng.normal(0.1, 0.2), -1, 1)),
            )
        )
    return users


class Seeded:
    """Draws from one generator, for scripts."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self._rng = rows, np.random.default_rng(seed)

    def uniform(self, count: int) -> Floats:
        """Uniform draws, shape ``(rows, count)``."""
        return self._rng.random((self.rows, count))

    def normal(self, count: int) -> Floats:
        """Standard normal draws, shape ``(rows, count)``."""
        return self._rng.standard_normal((self.rows, count))

    def generator(self, row: int) -> np.random.Generator:
        """The one generator."""
        return self._rng


def catalog_of(data: Ratings) -> Catalog:
    """The MovieLens films as a catalog, their public rating the damped mean."""
    return Catalog(
        [
            Item(
                id=str(i),
                title=title,
                categories=tuple(name for name, has in zip(data.genre_names, row, strict=True) if has),
                public_rating=float(np.clip(public, 1, 10)),
                public_count=int(count),
            )
            for i, (title, row, public, count) in enumerate(
                zip(data.titles, data.genres, data.film_public, data.counts, strict=True)
            )
        ],
        RatingScale(),
    )


def catalog_of_tables(paths: list[Path]) -> Catalog:
    """A catalog from tables with the columns title, genres (divided by |), public_rating and votes."""
    import pandas as pd

    table = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    return Catalog(
        [
            Item(
                id=str(i),
                title=str(row.title),
                categories=tuple(str(row.genres).split("|")),
                public_rating=float(str(row.public_rating)),
                public_count=int(str(row.votes)),
            )
            for i, row in enumerate(table.itertuples())
        ],
        RatingScale(),
    )


def request_for(users: Ints, items: Ints, catalog: Catalog, population: Population) -> RatingRequest:
    """A request about users who remember nothing and are in their usual mood."""
    rows = len(users)
    return RatingRequest(
        users=users,
        items=items,
        retrieved=np.zeros((*items.shape, 0), dtype=np.intp),
        retrieved_items=np.zeros((*items.shape, 0), dtype=np.intp),
        retrieved_ratings=np.zeros((*items.shape, 0)),
        times=np.zeros(items.shape, dtype=np.intp),
        moods=population.baselines[users],
        history=Memory(rows, 1, 1).history(),
        catalog=catalog,
        population=population,
        scale=catalog.scale,
        words=Words("film", "films", "watch", "watched", "viewing", "viewer"),
    )


def random_pairs(
    catalog: Catalog, users: list[User], options: RuleBasedOptions, pairs: int, seed: int = 1
) -> tuple[RuleBased, RatingRequest]:
    """A prepared rater, and a request of random pairs."""
    population, rng = Population(users), np.random.default_rng(seed)
    rater = RuleBased(options)
    rater.prepare(WorldSetting(catalog=catalog, population=population, scale=catalog.scale))
    who = rng.integers(0, len(population), pairs)
    return rater, request_for(who, rng.integers(0, len(catalog), (pairs, 1)), catalog, population)


def interaction_share(catalog: Catalog, users: list[User], options: RuleBasedOptions, items: int = 200) -> float:
    """Share of the ratings' variance that belongs to the pair, beyond item and user means, noise held out.

    Every user rates the same items twice with independent draws; the covariance of the two doubly
    centred tables over the variance of a rating.
    """
    rng = np.random.default_rng(2)
    population = Population(users)
    rater = RuleBased(options)
    rater.prepare(WorldSetting(catalog=catalog, population=population, scale=catalog.scale))
    slate = np.tile(rng.choice(len(catalog), min(items, len(catalog)), replace=False), (len(users), 1))
    request = request_for(np.arange(len(users)), slate, catalog, population)
    first, second = (rater.rate_batch(request, Seeded(len(users), seed)).values for seed in (3, 4))

    def centred(table: Floats) -> Floats:
        middle: Floats = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        return middle

    return float((centred(first) * centred(second)).mean() / first.var())


def report(name: str, catalog: Catalog, options: RuleBasedOptions, pairs: int = 100_000) -> None:
    """Print what ratings of random pairs look like."""
    users = sampled_users(600, catalog.category_names, seed=7)
    rater, request = random_pairs(catalog, users, options, pairs)
    values = rater.rate_batch(request, Seeded(pairs, 5)).values[:, 0]
    shares = np.array([(values == level).mean() for level in catalog.scale.levels])
    public, traits = catalog.public_ratings[request.items[:, 0]], request.population.traits[request.users]
    agree = [float(np.corrcoef(values[rows], public[rows])[0, 1]) for rows in (traits[:, 1] == k for k in (1, 2, 3))]
    print(f"{name}: {len(catalog)} films, {pairs} random pairs")
    print(f"  mean {values.mean():.3f}, standard deviation {values.std():.3f}, shares {shares.round(4).tolist()}")
    print(f"  total variation distance {np.abs(shares - REAL_RATING_SHARES).sum() / 2:.4f}")
    print(f"  share of variance of the pair {interaction_share(catalog, users, options):.3f}")
    print("  correlation with the public rating: follower, balanced, maverick", [round(c, 3) for c in agree])


def clock(data: Ratings, rows: int) -> None:
    """Print how long one call takes: slate 1, three memories, 500 films with random embeddings, 600 users."""
    rng = np.random.default_rng(3)
    films = catalog_of(data).items[:500]
    catalog = Catalog(films, RatingScale(), rng.normal(size=(500, 64)).astype(np.float32))
    population = Population(sampled_users(600, catalog.category_names, seed=7))
    users, items = rng.integers(0, 600, rows), rng.integers(0, 500, (rows, 1))
    request = replace(
        request_for(users, items, catalog, population),
        retrieved=np.tile(np.arange(3), (rows, 1, 1)),
        retrieved_items=rng.integers(0, 500, (rows, 1, 3)),
        retrieved_ratings=rng.integers(1, 11, (rows, 1, 3)).astype(np.float64),
        times=rng.integers(0, 2, (rows, 1)) + (np.arange(rows) == 0)[:, None],
    )
    rater, draws = RuleBased(), Drawn(rows)
    rater.prepare(WorldSetting(catalog=catalog, population=population, scale=catalog.scale))
    best = min(timeit.repeat(lambda: rater.rate_batch(request, draws), number=1000, repeat=7)) / 1000
    print(f"one call for {rows} users: {best * 1e6:.0f} microseconds")


class Drawn(Seeded):
    """Draws that were made before, so that a clock does not count them."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows, 0)
        self._noise = super().normal(1)

    def normal(self, count: int) -> Floats:
        """The same draws each time, shape ``(rows, 1)``."""
        return self._noise


def held_out(data: Ratings, shrink: float, liked: float, disliked: float) -> None:
    """Print how well the later half of a user's ratings follows from the earlier half, step by step."""
    late, y = ~data.early, data.value
    counts = np.bincount(data.user[data.early], minlength=data.users)
    offset = np.bincount(data.user[data.early], (y - data.public)[data.early], data.users) / (counts + shrink)
    rows = data.user[late]
    quality = data.genres / np.sqrt(np.maximum(data.genres.sum(1, keepdims=True), 1))
    likes, dislikes = declared(data, y - data.public - offset[data.user], data.early)
    taste = ((liked * likes - disliked * dislikes)[rows] * quality[data.film[late]]).sum(1)
    steps = {
        "users' mean rating": np.full(len(rows), y[data.early].mean()),
        "public rating": data.public[late],
        "  + leniency from memory": data.public[late] + offset[rows],
        "  + genre taste": data.public[late] + offset[rows] + taste,
    }
    for name, guess in steps.items():
        print(f"  {name:28s} RMSE {np.sqrt(np.mean((y[late] - guess) ** 2)):.3f} of 10")


def replay(data: Ratings, name: str, options: RuleBasedOptions, memories: int = 3) -> None:
    """Print how well the rater without its noise predicts the later half of each real user's ratings.

    Each user remembers the earlier half and declares up to four genres for and against, read off it;
    the public rating is the damped mean of everybody's earlier halves; embeddings are
    of the words of titles and genres.
    """
    early, late, middle = data.early, ~data.early, target_mean()
    n = np.bincount(data.film[early], minlength=len(data.counts))
    public = (np.bincount(data.film[early], data.value[early], len(n)) + 3.0 * middle) / (n + 3.0)
    known = [
        item.model_copy(update={"collection": series if len(series := stem(item.title)) > 3 else None})
        for item in catalog_of(replace(data, film_public=public, counts=n)).items
    ]
    catalog = Catalog(known, RatingScale(), lexical_vectors(known))
    surprise = data.value - public[data.film]
    offset = np.bincount(data.user[early], surprise[early]) / (np.bincount(data.user[early]) + 3.0)
    likes, dislikes = declared(data, surprise - offset[data.user], early)

    def named(row: Floats) -> tuple[str, ...]:
        return tuple(genre for genre, flag in zip(data.genre_names, row, strict=True) if flag)

    users = [
        User(id=str(u), name=str(u), liked=named(likes[u]), disliked=named(dislikes[u])) for u in range(data.users)
    ]
    population, rater = Population(users), RuleBased(options)
    rater.prepare(WorldSetting(catalog=catalog, population=population, scale=catalog.scale))
    error = []
    for u in range(data.users):
        past, future = (np.flatnonzero(part & (data.user == u)) for part in (early, late))
        memory = Memory(1, len(catalog), max(1, len(past)))
        for row in past:
            memory.append(np.array([0]), data.film[[row]], data.value[[row]], np.array([4]))
        items = data.film[future][None, :]
        cosine = catalog.similarity(items[0][:, None], data.film[past][None, :])
        best = np.argsort(-cosine, axis=1, kind="stable")[:, :memories]
        blank = request_for(np.array([u]), items, catalog, population)
        request = replace(
            blank,
            retrieved=best[None],
            retrieved_items=data.film[past][best][None],
            retrieved_ratings=data.value[past][best][None],
            history=memory.history(),
        )
        error.append(rater.expected_batch(request)[0] - data.value[future])
    print(f"  {name:28s} RMSE {np.sqrt(np.mean(np.concatenate(error) ** 2)):.3f} of 10")


def fit(data: Ratings) -> dict[str, Any]:
    """All constants, by name; prints statistics on the way."""
    y = data.value
    of_film, of_user, residual_sd = variance_parts(data)
    shrink = residual_sd**2 / of_user**2
    print(f"{len(y)} ratings, {data.users} users, {len(data.counts)} films, mean {y.mean():.3f}, sd {y.std():.3f}")
    print(f"standard deviations: films {of_film:.3f}, users {of_user:.3f}, the rest {residual_sd:.3f}")
    noise = 2.0 * SAME_RATER_STARS / math.sqrt(2.0)
    stable = math.sqrt(residual_sd**2 - noise**2)
    print(f"noise of one rating {noise:.3f}; stable taste beyond film and user {stable:.3f}")

    counts = np.bincount(data.user)
    offset = np.bincount(data.user, y - data.public) / (counts + shrink)
    residual = y - data.public - offset[data.user]
    slope, slope_sd = spread(data.public, y, data.user)
    print(f"slope on the public rating: mean {slope:.3f}, spread over users {slope_sd:.3f}")
    public = (1.0, round(slope, 2), round(max(0.0, slope - OUTER_GROUP * slope_sd), 2))
    own_sd = np.sqrt(np.bincount(data.user, residual**2) / counts)[counts >= 50]
    low, middle, high = np.quantile(own_sd, [0.125, 0.5, 0.875])
    print(f"own deviation from the public rating, eighths 1, 4, 7: {low:.3f} {middle:.3f} {high:.3f}")
    own = (round(float(low / middle), 2), 1.0, round(float(high / middle), 2))

    # taste: from the earlier half, what it explains of the later half
    late = ~data.early
    n_early = np.bincount(data.user[data.early], minlength=data.users)
    offset_early = np.bincount(data.user[data.early], (y - data.public)[data.early], data.users) / (n_early + shrink)
    of_genres = y - data.public - offset_early[data.user]
    likes, dislikes = declared(data, of_genres, data.early)
    fits = {}
    for power in (0.0, 0.5, 1.0):
        column = data.genres / np.maximum(data.genres.sum(1, keepdims=True), 1) ** power
        hits = [(table[data.user[late]] * column[data.film[late]]).sum(1) for table in (likes, dislikes)]
        fits[power] = regress(y[late], data.public[late], offset_early[data.user[late]], *hits)
        print(f"genres weigh 1/n^{power}: {fits[power][0].round(3).tolist()} RMSE {fits[power][1]:.4f}")
    recorded_liked, recorded_disliked = float(fits[0.5][0][3]), float(-fits[0.5][0][4])

    column = data.genres / np.sqrt(np.maximum(data.genres.sum(1, keepdims=True), 1))
    taste = ((likes - dislikes)[data.user[late]] * column[data.film[late]]).sum(1)
    taste_mean, taste_sd = spread(taste, of_genres[late], data.user[late], least=50)
    print(f"slope on genre taste: mean {taste_mean:.3f}, spread over users {taste_sd:.3f}")
    ratio = min(OUTER_GROUP * taste_sd / taste_mean, 0.3)
    taste_levels = (round(1 + ratio, 2), 1.0, round(1 - ratio, 2))

    popular = np.log1p(data.counts)
    popular = (popular - popular[data.film].mean()) / popular[data.film].std()
    pop_mean, pop_sd = spread(popular[data.film], residual, data.user)
    print(f"slope on popularity (in its standard deviation): mean {pop_mean:.3f}, spread over users {pop_sd:.3f}")
    share = data.genres / np.maximum(data.genres.sum(1, keepdims=True), 1)
    seen = np.zeros((data.users, data.genres.shape[1]))
    np.add.at(seen, data.user[data.early], share[data.film[data.early]])
    rare = np.argsort(np.argsort(seen, axis=1), axis=1) < data.genres.shape[1] // 2
    outside = (rare[data.user[late]] * share[data.film[late]]).sum(1)
    out_mean, out_sd = spread(outside, of_genres[late], data.user[late], least=50)
    print(f"slope on the share of rarely met genres: mean {out_mean:.3f}, spread over users {out_sd:.3f}")
    series, pairs = series_slope(data, residual)
    print(f"carry-over within a film series: {series:.3f} ({pairs} pairs of films)")
    print(f"slope on the mood: {mood_slope(data, residual):.3f} points per unit of valence (an upper bound)")
    print("later half of each user's ratings from the earlier half:")
    held_out(data, shrink, recorded_liked, recorded_disliked)

    popularity = round(OUTER_GROUP * pop_sd, 2)
    unknown = round(OUTER_GROUP * out_sd, 2)
    temper = 2.0
    fitted: dict[str, Any] = {
        "MIDDLE": round(target_mean(), 2),
        "PUBLIC": public,
        "OWN": own,
        "RECORDED_LIKED": round(recorded_liked, 2),
        "RECORDED_DISLIKED": round(recorded_disliked, 2),
        "TASTE": taste_levels,
        "POPULARITY": (popularity, 0.0, -popularity),
        "OUTSIDE": (-unknown, 0.0, unknown),
        "LENIENCY": round(math.sqrt(of_user**2 - (0.2 * temper) ** 2), 2),
        "TEMPER": temper,
        "MEMORY": round(series, 2),
        "NOISE": round(noise, 2),
        "ITEM_SPREAD": round(of_film, 2),
        **RECORDED,
    }
    calibrate(data, fitted, stable)
    return fitted


def calibrate(data: Ratings, fitted: dict[str, Any], stable: float) -> None:
    """Add what depends on made-up users to ``fitted``: strength of their taste, noise, start and cutpoints.

    Half of the stable taste of real pairs is put into declared categories and traits; the other half is
    what a list of categories cannot say, and joins the noise. The start is such that random pairs get
    users' mean rating, the cutpoints such that they get users' levels.
    """
    catalog = catalog_of(data)
    users = sampled_users(2000, catalog.category_names, seed=11)
    known = {name.lower(): fitted[name] for name in ("PUBLIC", "OWN", "TASTE", "POPULARITY", "OUTSIDE", "LENIENCY")}
    known["noise"] = fitted["NOISE"] = round(math.hypot(fitted["NOISE"], stable / math.sqrt(2.0)), 2)

    def pair_sd(factor: float) -> float:
        rng = np.random.default_rng(0)
        strength = {"liked": factor * fitted["RECORDED_LIKED"], "disliked": factor * fitted["RECORDED_DISLIKED"]}
        rater = RuleBased(RuleBasedOptions.model_validate(known | strength))
        rater.prepare(WorldSetting(catalog=catalog, population=Population(users[:600]), scale=catalog.scale))
        table = rater.expected(np.arange(600)[:, None], rng.choice(len(catalog), (1, 1500), replace=False))
        table = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        return float(table.std())

    low, high = 0.0, 8.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if pair_sd(middle) < stable / math.sqrt(2.0) else (low, middle)
    fitted["LIKED"] = known["liked"] = round(low * fitted["RECORDED_LIKED"], 2)
    fitted["DISLIKED"] = known["disliked"] = round(low * fitted["RECORDED_DISLIKED"], 2)
    print(f"taste of made-up users: {low:.2f} times the recorded weights, so that pairs vary by {pair_sd(low):.3f}")
    start = target_mean()
    for _ in range(3):
        chosen = RuleBasedOptions.model_validate(known | {"start": round(start, 2)})
        rater, request = random_pairs(catalog, users, chosen, 400_000)
        latent = rater.latent(request, Seeded(400_000, 6))[:, 0]
        start += target_mean() - float(latent.mean())
    fitted["START"] = chosen.start
    cuts = np.quantile(latent, np.cumsum(REAL_RATING_SHARES)[:-1] / sum(REAL_RATING_SHARES))
    fitted["CUTS"] = tuple(round(float(cut), 2) for cut in cuts)
    print(f"start {chosen.start}; before rounding: mean {latent.mean():.3f}, standard deviation {latent.std():.3f}")
    print(f"cutpoints {fitted['CUTS']}")


def read_books(folder: Path, damping: float = 3.0) -> Ratings:
    """Read goodbooks, but for the readers whom a validation measures; it has no categories and no times.

    Stars of 5 are put on 1 to 10, and the earlier half of a reader's ratings is a random one.
    """
    import pandas as pd

    ratings = pd.read_csv(folder / "ratings.csv").drop_duplicates(["user_id", "book_id"], keep="last")
    user_split = {user: user_split_of(str(user)) for user in ratings.user_id.unique().tolist()}
    ratings = ratings[ratings.user_id.map(user_split).isin([TRAIN, CALIBRATION])]
    ratings = ratings.sample(frac=1.0, random_state=0).sort_values("user_id", kind="stable")
    books = pd.read_csv(folder / "books.csv")
    books = books[books.book_id.isin(ratings.book_id)].reset_index(drop=True)
    index = {book: i for i, book in enumerate(books.book_id)}
    book = ratings.book_id.map(index).to_numpy(dtype=np.intp)
    user = ratings.user_id.astype("category").cat.codes.to_numpy().astype(np.intp)
    value = 1.0 + 9.0 / 4.0 * (ratings.rating.to_numpy(dtype=np.float64) - 1.0)
    counts, total, middle = np.bincount(book), np.bincount(book, value), float(value.mean())
    return Ratings(
        user=user,
        film=book,
        value=value,
        public=(total[book] - value + damping * middle) / (counts[book] - 1 + damping),
        early=ratings.groupby("user_id").cumcount().to_numpy() < np.bincount(user)[user] // 2,
        genres=np.zeros((len(books), 0)),
        genre_names=(),
        counts=counts,
        film_public=(total + damping * middle) / (counts + damping),
        titles=tuple(books.title),
    )


def fit_books(data: Ratings) -> dict[str, Any]:
    """Options for books, by name: what goodbooks says, as :func:`fit` does; prints statistics on the way.

    Taste, whose size no log without categories tells, keeps the form that films gave it. Its strength, start and
    cutpoints are those of the made-up readers and bundled books of emosim-books, as :func:`calibrate` does.
    """
    y = data.value
    of_book, of_user, residual_sd = variance_parts(data)
    print(f"{len(y)} ratings, {data.users} readers, {len(data.counts)} books, mean {y.mean():.3f}, sd {y.std():.3f}")
    print(f"standard deviations: books {of_book:.3f}, readers {of_user:.3f}, the rest {residual_sd:.3f}")
    noise = 9.0 / 4.0 * SAME_RATER_STARS / math.sqrt(2.0)
    stable = math.sqrt(residual_sd**2 - noise**2)
    counts = np.bincount(data.user)
    offset = np.bincount(data.user, y - data.public) / (counts + residual_sd**2 / of_user**2)
    residual = y - data.public - offset[data.user]
    slope, slope_sd = spread(data.public, y, data.user)
    own_sd = np.sqrt(np.bincount(data.user, residual**2) / counts)[counts >= 50]
    low, middle, high = np.quantile(own_sd, [0.125, 0.5, 0.875]).tolist()
    popular = np.log1p(data.counts)
    popular = (popular - popular[data.film].mean()) / popular[data.film].std()
    popular_sd = spread(popular[data.film], residual, data.user)[1]
    series, pairs = series_slope(data, residual)
    print(f"noise {noise:.3f}; stable taste beyond book and reader {stable:.3f}")
    print(f"slope on the public rating: mean {slope:.3f}, spread over readers {slope_sd:.3f}")
    print(f"carry-over within a series: {series:.3f} ({pairs} pairs of books)")
    popularity = round(OUTER_GROUP * popular_sd, 2)
    options: dict[str, Any] = {
        "public": (1.0, round(slope, 2), round(max(0.0, slope - OUTER_GROUP * slope_sd), 2)),
        "own": (round(low / middle, 2), 1.0, round(high / middle, 2)),
        "popularity": (popularity, 0.0, -popularity),
        "leniency": round(math.sqrt(of_user**2 - (0.2 * constants.TEMPER) ** 2), 2),
        "memory": round(float(series), 2),
        "noise": round(math.hypot(noise, stable / math.sqrt(2.0)), 2),
    }
    return calibrate_books(options, stable)


def calibrate_books(options: dict[str, Any], stable: float, pairs: int = 200_000) -> dict[str, Any]:
    """The options with strength of taste, start and cutpoints for made-up readers, as :func:`calibrate` sets them.

    The mean of a domain's ratings beyond that of films is added to every start, so it is taken off here.
    """
    from emosim_core import EnvironmentConfig
    from emosim_core.plugins import assemble

    world = assemble(EnvironmentConfig(plugin="books", user_dataset="sampled"))
    catalog, population, scale = world.catalog, world.population, world.domain.scale
    shares = np.array(world.domain.real_ratings)
    mean = float((1.0 + 9.0 * (scale.levels - scale.low) / scale.span) @ shares)
    rng = np.random.default_rng(1)
    users, items = rng.integers(0, len(population), pairs), rng.integers(0, len(catalog), (pairs, 1))
    request = request_for(users, items, catalog, population)

    def prepared(**more: Any) -> RuleBased:
        rater = RuleBased(RuleBasedOptions.model_validate({**options, **more}))
        rater.prepare(replace(world.setting(), real_ratings=tuple(shares)))
        return rater

    def taste(factor: float) -> dict[str, float]:
        return {"liked": round(factor * constants.LIKED, 2), "disliked": round(factor * constants.DISLIKED, 2)}

    low, high = 0.0, 8.0
    for _ in range(12):
        middle = (low + high) / 2
        everybody = np.arange(len(population))[:, None]
        table = prepared(**taste(middle)).expected(everybody, np.arange(len(catalog))) * 9.0 / scale.span
        table = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        low, high = (middle, high) if table.std() < stable / math.sqrt(2.0) else (low, middle)
    options |= taste(low)
    start = constants.START
    for _ in range(3):
        options["start"] = round(start, 2)
        latent = 1.0 + 9.0 * (prepared().latent(request, Seeded(pairs, 6))[:, 0] - scale.low) / scale.span
        start += mean - float(latent.mean())
    options["cuts"] = tuple(np.quantile(latent, np.cumsum(shares)[:-1]).round(2).tolist())
    for name, rater in (("films", RuleBased()), ("books", prepared())):
        rater.prepare(world.setting())
        values = rater.rate_batch(request, Seeded(pairs, 5)).values[:, 0]
        given = np.array([(values == level).mean() for level in scale.levels])
        print(f"made-up readers with the weights of {name}: mean {values.mean():.3f}, shares {given.round(4).tolist()}")
        print(f"  total variation distance from readers' ratings {np.abs(given - shares).sum() / 2:.4f}")
    return options


def write_books(options: dict[str, Any], data: Ratings) -> None:
    """Rewrite the options for books."""
    lines = [
        "# Options of raters for books where a run gives none; written by scripts/fit_rule_based.py:",
        "#",
        "#     python scripts/fit_rule_based.py PATH --write",
        "#",
        f"# Fitted on {len(data.value)} ratings of {data.users} readers and {len(data.counts)} books of goodbooks-10k",
        "# (Zajac, 2017), 1 to 5 put on 1 to 10. What each is: docs/rule-based-rater.md.",
        "",
        "[rule_based]",
        *(f"{name} = {shown(value)}" for name, value in options.items()),
    ]
    BOOKS.write_text("\n".join(lines) + "\n", encoding="utf-8")


DESCRIPTIONS = {
    "START": "Where every rating starts, of 10: random pairs then get the mean of users' ratings.",
    "MIDDLE": "Mean of users' ratings, of 10: a public rating that moves nothing.",
    "PUBLIC": "Points per point of the public rating above MIDDLE, by conformity 1 to 3.",
    "OWN": "Size of taste, leniency and noise relative to the balanced user's, by conformity 1 to 3.",
    "LIKED": "Points for one liked category of a one-category item, made-up users.",
    "DISLIKED": "Points off for one disliked category of a one-category item, made-up users.",
    "TASTE": "Size of taste by diversity 1 to 3.",
    "POPULARITY": "Points per standard deviation of the logarithm of an item's public count, by diversity 1 to 3.",
    "OUTSIDE": "Points for an item wholly outside of the liked and disliked categories, by diversity 1 to 3.",
    "LENIENCY": "Standard deviation over users of the personal leniency that has no cause, points.",
    "TEMPER": "Points of leniency per unit of the mood's resting valence (chosen).",
    "MEMORY": "Share of the surprise at one part of a series that carries over to another part.",
    "NOISE": "Standard deviation of the noise, points.",
    "CUTS": "Where a rating of 2, 3, ... 10 begins, before rounding, points of 10.",
    "ITEM_SPREAD": "Standard deviation of what films add to everybody's rating, points.",
    "PUBLIC_DOUBT": "Ratings that a public rating must outweigh before half of it is believed.",
    "LEARNT": "Standard deviations among users of what is learnt from memory, and of one rating beyond it, points.",
    "LATELY_HALF_LIFE": "Ratings after which a surprise counts half in how a user rates lately.",
    "LATELY_DOUBT": "Ratings that the latest ones must outweigh before half of what they say is believed.",
    "NOISE_DOUBT": "Ratings that the noise of a user must outweigh before half of it is believed (chosen).",
    "LEVEL_HALF_LIFE": "Ratings after which a user's use of a level counts half.",
    "LEVEL_DOUBT": "Ratings that a user's use of the scale must outweigh before half of it is believed.",
    "INTEREST": "Weights of what makes a user choose an item, in logarithms of odds.",
    "INTEREST_DOUBT": "Items chosen as everybody chooses that are mixed with those of a user.",
    "INTEREST_YEARS": "How far, in years, having chosen one year speaks for another.",
    "INTEREST_POPULARITY": "How far, in standard deviations of the logarithm, having chosen one popularity speaks for "
    "another.",
    "INTEREST_FLOOR": "Share spread over all steps so that a share of nothing is not infinitely surprising (chosen).",
    "INTEREST_DECLARED": "Logarithm of how much more often a category is chosen that a user says they like (chosen).",
}


def shown(value: Any) -> str:
    """A constant as it stands in the file."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {number!r}" for key, number in value.items()) + " }"
    return repr(list(value) if isinstance(value, tuple) else value)


def write(fitted: dict[str, Any], data: Ratings) -> None:
    """Rewrite the constants file."""
    lines = [
        "# Constants of the rule-based rater, fitted to MovieLens; written by scripts/fit_rule_based.py:",
        "#",
        "#     python scripts/fit_rule_based.py PATH --write",
        "#",
        f"# Fitted on {len(data.value)} ratings of {data.users} users and {len(data.counts)} films, stars doubled",
        "# (MovieLens ml-latest-small; Harper & Konstan, 2015, doi 10.1145/2827872). Metrics and choices:",
        "# docs/rule-based-rater.md. Points are of a scale from 1 to 10.",
        "",
    ]
    for name, description in DESCRIPTIONS.items():
        lines += [f"# {description}", f"{name} = {shown(fitted[name])}", ""]
    TARGET.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")


def main() -> None:
    """Fit, report, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="folder of MovieLens or goodbooks")
    parser.add_argument("--write", action="store_true", help="rewrite the constants file")
    parser.add_argument("--table", type=Path, action="append", default=[], help="report on these films too (CSV)")
    arguments = parser.parse_args()
    if (arguments.path / "books.csv").exists():
        data = read_books(arguments.path)
        options = fit_books(data)
        print(options)
        if arguments.write:
            write_books(options, data)
        return
    data = read(arguments.path)
    fitted = fit(data)
    if arguments.write:
        write(fitted, data)
        print(f"wrote {TARGET.name}; run again without --write for statistics with these constants")
    print("the rater itself on the later halves, public rating from the earlier halves of all, no noise:")
    plain = {"noise": 0.0, "mood": 0.0}
    recorded, made_up = RECORDED_USERS.model_copy(update=plain), RuleBasedOptions.model_validate(plain)
    replay(data, "recorded users", recorded)
    replay(data, "  without memories", recorded.model_copy(update={"memory": 0.0}))
    replay(data, "weights of made-up users", made_up)
    report("MovieLens films, constants in use", catalog_of(data), RuleBasedOptions())
    if arguments.table:
        report("table", catalog_of_tables(arguments.table), RuleBasedOptions())
    for rows in (256, 1):
        clock(data, rows)


if __name__ == "__main__":
    main()
