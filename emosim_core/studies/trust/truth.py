"""Truth: what users would answer to every item, and who of them makes the log and who is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError
from emosim_core.estimators import Past
from emosim_core.estimators.interface import missing, rated
from emosim_core.model import Catalog, RatingScale
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.studies.trust.exposure import Exposed, Policy, expose

LEAST_USERS = 40
"""Users whose answers are known, at least: half make a log, half are held out."""

LIKED = 7.0
"""Rating of 10 from which an item counts as liked."""

_FACTORS, _EPOCHS = 32, 30
"""Of the model that is taken for the truth where nobody answered everything."""

_LEAST_RATINGS = 20
"""Ratings of a user by which this model knows them, at least."""


@dataclass(frozen=True)
class Truth:
    """What is known of U users and N items beyond any log.

    Attributes:
        about: where the answers come from, in words.
        answers: shape ``(U, N)``, on the domain's scale, NaN where unknown.
        log: where a log is given beside the answers: whose users and items it has the numbers of; else None, and logs
            are made from the answers.
    """

    about: str
    user_ids: tuple[str, ...]
    answers: Floats
    log: Interactions | None = None


@dataclass(frozen=True)
class Drawn:
    """One log and the users who are held out from it: T users, N items.

    Attributes:
        log: what all may learn from; ratings are levels of the scale.
        propensities: of each row of the log; None where they are not known.
        learners, held_out: index in the truth of each user of the log, and of each who is held out, both rising.
        names: ids of those who are held out.
        histories: what is known of each user who is held out.
        answers: what they really answer, shape ``(T, N)``, NaN where unknown.
        candidates: which items each can be recommended: the answer is known and they have not had it, ``(T, N)``.
    """

    log: Interactions
    propensities: Floats | None
    learners: Ints
    held_out: Ints
    names: Sequence[str]
    histories: Sequence[Past]
    answers: Floats
    candidates: Flags


def complete_users(log: Interactions, least: float) -> Truth:
    """The users who rated at least the share ``least`` of all items that are in the log.

    Raises:
        ConfigurationError: they are too few, or the log has no ratings; says what else can be done.
    """
    values = rated(log.values)
    items = np.unique(log.items)
    counts = np.bincount(log.users, minlength=len(log.user_ids))
    chosen = np.flatnonzero(counts >= least * len(items))
    if len(chosen) < LEAST_USERS:
        raise ConfigurationError(
            f"{len(chosen):,} users of the log rated {least:.0%} of its {len(items):,} items or more, and "
            f"{LEAST_USERS} are needed to know the truth. Give a second file with answers to items that were shown at "
            "random (--truth csv:FILE), or take a model of the log for the truth (--truth factors)"
        )
    answers = _table(log, values)[chosen]
    what = "everything" if least == 1.0 else f"{least:.0%} of the items or more"
    return Truth(f"{len(chosen):,} users who rated {what}", tuple(log.user_ids[u] for u in chosen.tolist()), answers)


def made_up(log: Interactions, scale: RatingScale, seed: int) -> Truth:
    """Answers of a model that is fitted to the log: biased matrix factorization of 32 factors, plus noise.

    They are levels of the scale. The model is scikit-surprise's ``SVD`` (Koren, Bell & Volinsky, 2009, doi
    10.1109/MC.2009.263); the noise is normal, as large as the residuals of the log. Users with fewer than 20 ratings
    are left out. An answer is drawn once, and is the truth from then on.

    Raises:
        ConfigurationError: too few users are left, or the log has no ratings.
        MissingDependencyError: scikit-surprise is not installed.
    """
    values = rated(log.values)
    try:
        from surprise import SVD, Dataset, Reader
    except ImportError as error:
        raise missing("a truth made up from a log", "scikit-surprise") from error
    counts = np.bincount(log.users, minlength=len(log.user_ids))
    chosen = np.flatnonzero(counts >= _LEAST_RATINGS)
    if len(chosen) < LEAST_USERS:
        raise ConfigurationError(
            f"only {len(chosen):,} users of the log have {_LEAST_RATINGS} ratings of the most rated items or more, and "
            f"{LEAST_USERS} are needed"
        )
    rows = zip(log.users.tolist(), log.items.tolist(), values.tolist(), strict=True)
    table = Dataset(Reader(rating_scale=(scale.low, scale.high))).construct_trainset([(*row, None) for row in rows])
    model = SVD(n_factors=_FACTORS, n_epochs=_EPOCHS, random_state=seed % 2**32).fit(table)
    users, items = np.zeros((len(log.user_ids), _FACTORS + 1)), np.zeros((log.item_count, _FACTORS + 1))
    for inner in range(table.n_users):
        users[table.to_raw_uid(inner)] = [model.bu[inner], *model.pu[inner]]
    for inner in range(table.n_items):
        items[table.to_raw_iid(inner)] = [model.bi[inner], *model.qi[inner]]
    expected = table.global_mean + users[:, :1] + items[None, :, 0] + users[:, 1:] @ items[:, 1:].T
    noise = float(np.std(values - expected[log.users, log.items]))
    rng = np.random.default_rng([seed, 1])
    answers = scale.round(expected[chosen] + noise * rng.standard_normal((len(chosen), log.item_count)))
    about = f"made-up answers of {len(chosen):,} users by a model of {_FACTORS} factors"
    return Truth(about, tuple(log.user_ids[user] for user in chosen.tolist()), answers)


def shown_at_random(log: Interactions, other: Interactions) -> Truth:
    """Answers of a second log, to items that were shown at random, beside the log that users made themselves.

    Raises:
        ConfigurationError: too few users are in both.
    """
    answers = _table(other, rated(other.values))
    place = {name: number for number, name in enumerate(other.user_ids)}
    full = np.full((len(log.user_ids), log.item_count), np.nan)
    for user, name in enumerate(log.user_ids):
        if name in place:
            full[user] = answers[place[name]]
    count = int((~np.isnan(full)).any(axis=1).sum())
    if count < LEAST_USERS:
        raise ConfigurationError(
            f"only {count:,} users are both in the log and in the file of --truth, and {LEAST_USERS} are needed; both "
            "must have the same ids of users and items"
        )
    return Truth(f"answers of {count:,} users to items shown at random", log.user_ids, full, log)


def most_rated(log: Interactions, catalog: Catalog, most: int) -> tuple[Interactions, Catalog]:
    """A log and a catalog of the ``most`` items that most users rated alone, in the order of the catalog."""
    counts = np.bincount(log.items, minlength=log.item_count)
    chosen = np.sort(np.argsort(-counts, kind="stable")[:most])
    chosen = chosen[counts[chosen] > 0]
    items = [catalog.items[item] for item in chosen.tolist()]
    fewer = Catalog(items, catalog.scale, catalog.embeddings[chosen], catalog.embedding_name)
    numbers = np.full(log.item_count, -1, dtype=np.intp)
    numbers[chosen] = np.arange(len(chosen))
    some = log.only(numbers[log.items] >= 0)
    return replace(some, items=numbers[some.items], item_count=len(chosen)), fewer


def draw(
    truth: Truth, scale: RatingScale, policy: Policy, epsilon: float, length: int, history: int, seed: tuple[int, int]
) -> Drawn:
    """One log, and who is held out from it.

    Half of the users, by chance, make the log, each with ``length`` answers on average, from half as many to half as
    many more. The others are held out; of them only ``history`` answers are known, which the same policy got. Where the
    log is given, half of its users who have answers beside it are held out, with all that the log has of them.
    """
    rng = np.random.default_rng(seed)
    usable: Flags = np.asarray((~np.isnan(truth.answers)).any(axis=1))
    order = rng.permutation(np.flatnonzero(usable))
    held_out = np.sort(order[: len(order) // 2])
    learning = np.ones(len(usable), dtype=np.bool_)
    learning[held_out] = False
    if truth.log is None:
        lengths = rng.integers(-(-length // 2), length + length // 2 + 1, len(usable))
        lengths[~learning] = history
        liked = scale.carry(LIKED)
        made = expose(truth.answers, lengths, policy, epsilon, liked, rng)
        propensities: Floats | None = made.propensities
    else:
        made, propensities = _given(truth.log), None
    made = replace(made, values=scale.round(made.values))
    own = learning[made.users]
    learners = np.flatnonzero(learning)
    log = Interactions(
        tuple(truth.user_ids[user] for user in learners.tolist()),
        np.searchsorted(learners, made.users[own]),
        made.items[own],
        made.values[own],
        None,
        truth.answers.shape[1],
    )
    bounds = np.searchsorted(made.users, np.arange(len(usable) + 1))
    pasts = [slice(bounds[user], bounds[user + 1]) for user in held_out.tolist()]
    histories = [Past(made.items[one], made.values[one]) for one in pasts]
    answers = truth.answers[held_out]
    candidates = ~np.isnan(answers)
    for row, past in enumerate(histories):
        candidates[row, past.items] = False
    return Drawn(
        log,
        None if propensities is None else propensities[own],
        learners,
        held_out,
        [truth.user_ids[user] for user in held_out.tolist()],
        histories,
        answers,
        candidates,
    )


def _given(log: Interactions) -> Exposed:
    return Exposed(log.users, log.items, rated(log.values), np.full(len(log), np.nan))


def _table(log: Interactions, values: Floats) -> Floats:
    table = np.full((len(log.user_ids), log.item_count), np.nan)
    table[log.users, log.items] = values
    return table
