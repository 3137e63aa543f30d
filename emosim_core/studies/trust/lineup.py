"""Lineup: the recommenders whose worth is compared, good ones and deliberately crippled ones, and how they rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emosim_core.components.base import BeginRequest, Policy, PolicySetting, RecommendationRequest
from emosim_core.data.interactions import Interactions
from emosim_core.data.tables import write_csv
from emosim_core.errors import ConfigurationError, PluginError
from emosim_core.estimators import EASE, ChoiceEstimator, ImplicitALS, ItemCooccurrence, Past
from emosim_core.evaluation.plan import needs_logs, with_logs
from emosim_core.fitting.people import known_by
from emosim_core.fitting.ratings import one_thread
from emosim_core.hooks import Registry
from emosim_core.hooks.faults import named
from emosim_core.model import Catalog, Domain
from emosim_core.model.arrays import Flags, Ints
from emosim_core.recommenders.logs import COLUMNS
from emosim_core.simulation.config import ComponentChoice
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.studies.trust.trained import train_on, training_of

ESTIMATORS: dict[str, Callable[[], ChoiceEstimator]] = {
    "ease": EASE,
    "item_cooccurrence": ItemCooccurrence,
    "implicit_als": ImplicitALS,
}
"""Models of what users take that recommend by their scores; all other names are of policies."""

CRIPPLES = ("half_random", "shuffled", "inverted")
"""What may stand with a ``+`` before a recommender: half of the users, by chance, get a random order; everybody gets
the order that was made for somebody else; the order is turned around."""

DEFAULT = (
    *("random", "popular", "top_rated", "similar_to_liked", "item_knn", "user_knn", "matrix_factorization"),
    *("ease", "item_cooccurrence", "epsilon_greedy:epsilon=0.2", "linucb", "thompson", "dqn"),
    *("half_random+matrix_factorization", "shuffled+matrix_factorization", "inverted+popular", "inverted+top_rated"),
)
"""The recommenders that are compared unless others are named."""


@dataclass(frozen=True)
class Entry:
    """A recommender: the name that it is written by, what cripples it, or empty, and the recommender that it is."""

    name: str
    cripple: str
    base: str


def lineup_of(names: Sequence[str], domain: str, registry: Registry, least: int = 2) -> list[Entry]:
    """The recommenders of some names.

    Raises:
        EmoSimError: a name or an option is wrong, a name stands twice, or there are fewer than ``least``.
    """
    if len(names) < least:
        raise ConfigurationError("a verdict is on two recommenders or more: name several with --recommenders")
    entries = []
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ConfigurationError(f"the recommender {name!r} is named twice")
        cripple, plus, base = name.partition("+")
        if not plus or cripple not in CRIPPLES:
            cripple, base = "", name
        own = base in ESTIMATORS or training_of(base, 0) is not None
        if not own and not needs_logs(base, domain, registry):
            registry.resolve("policy", base, domain)
        entries.append(Entry(name, cripple, base))
    return entries


class Lineup:
    """Recommenders that learn from one log alone, and rank all items for users whom the log does not know.

    Args:
        log: what they learn from.
        catalog: its items.
        folder: where the log is written for those that read it.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        log: Interactions,
        catalog: Catalog,
        domain: Domain,
        registry: Registry,
        folder: Path,
        seed: int,
    ) -> None:
        self.entries, self._log, self._domain, self._registry, self._seed = entries, log, domain, registry, seed
        self._catalog, self._folder = known_by(log, catalog), folder
        self._path = folder / "log.csv"
        _write_log(self._path, log, catalog)

    def rank(self, pasts: Sequence[Past]) -> list[Ints]:
        """Of each recommender all items in its order for each of R users, best first, shape ``(R, N)``.

        Raises:
            EmoSimError: a recommender cannot learn from the log, or does not rank all items.
        """
        ranked: dict[str, Ints] = {}
        rng = np.random.default_rng([self._seed, len(pasts)])
        orders = []
        for one in self.entries:
            if one.base not in ranked:
                ranked[one.base] = self._ranked(one.base, pasts)
            orders.append(_crippled(one.cripple, ranked[one.base], rng))
        return orders

    def _ranked(self, name: str, pasts: Sequence[Past]) -> Ints:
        if name in ESTIMATORS:
            model = ESTIMATORS[name]()
            everything = np.arange(len(self._catalog))
            with one_thread():
                model.fit(self._log, self._catalog)
                return np.array([np.argsort(-model.scores(past, everything), kind="stable") for past in pasts])
        resolved = self._registry.resolve("policy", self._policy(name), self._domain.name)
        policy: Policy = resolved.build(Policy)
        with named(resolved.label), one_thread():
            ranked = self._recommended(policy, pasts)
        if not np.array_equal(np.sort(ranked, axis=1), np.broadcast_to(np.arange(len(self._catalog)), ranked.shape)):
            raise PluginError(
                f"{resolved.label} does not rank all {len(self._catalog):,} items when asked for a slate of as many"
            )
        return ranked

    def _policy(self, name: str) -> ComponentChoice:
        """The policy of a name, with what it learns from."""
        if (training := training_of(name, self._seed)) is not None:
            place = self._folder / name.replace(":", "-")
            return train_on(training, self._log, self._catalog, self._domain, self._registry, place)
        learns = needs_logs(name, self._domain.name, self._registry)
        return with_logs(name, [str(self._path)]) if learns else name

    def _recommended(self, policy: Policy, pasts: Sequence[Past]) -> Ints:
        """The slate of all items that a policy recommends to users who are new to it and show their past."""
        count, rows = len(self._catalog), np.arange(len(pasts))
        length = max(policy.history_length, *(len(past.items) for past in pasts), 1)
        names = [f"held out {row}" for row in rows.tolist()]
        policy.start(
            PolicySetting(catalog=self._catalog, slate=count, batch_size=len(pasts), users=names, history_length=length)
        )
        streams = Streams(len(pasts))
        streams.begin(rows, [self._seed] * len(pasts), rows.tolist())
        draws = streams.of(Stage.POLICY, rows)
        policy.begin(BeginRequest(rows=rows), draws)
        items, mask = np.zeros((len(pasts), length), dtype=np.int64), np.zeros((len(pasts), length), dtype=np.int8)
        ratings = np.full((len(pasts), length), self._catalog.scale.low, dtype=np.float32)
        consumed = np.zeros((len(pasts), count), dtype=np.int8)
        for row, past in enumerate(pasts):
            known = slice(0, len(past.items))
            items[row, known], mask[row, known] = past.items[::-1], 1
            ratings[row, known] = 0.0 if past.values is None else past.values[::-1]
            consumed[row, past.items] = 1
        observations = {
            "user": rows,
            "traits": np.full((len(pasts), 3), 2, dtype=np.int64),
            "mood": np.zeros((len(pasts), 2), dtype=np.float32),
            "step": mask.sum(axis=1, keepdims=True).astype(np.int64),
            "history_items": items,
            "history_ratings": ratings,
            "history_mask": mask,
            "consumed": consumed,
        }
        return np.asarray(policy.recommend_batch(RecommendationRequest(rows=rows, observations=observations), draws))


def picked(ranked: Ints, candidates: Flags, slate: int) -> Flags:
    """The best ``slate`` candidates of each user, or half of them where there are fewer than twice as many.

    Args:
        ranked: items in order, best first, shape ``(R, N)``.
        candidates: shape ``(R, N)``.

    Returns:
        Which items are recommended, shape ``(R, N)``.
    """
    allowed = np.take_along_axis(candidates, ranked, axis=1)
    most = np.minimum(slate, -(-candidates.sum(axis=1) // 2))
    chosen = allowed & (allowed.cumsum(axis=1) <= most[:, None])
    made = np.zeros_like(candidates)
    np.put_along_axis(made, ranked, chosen, axis=1)
    return made


def _crippled(cripple: str, ranked: Ints, rng: np.random.Generator) -> Ints:
    if cripple == "inverted":
        return ranked[:, ::-1]
    if cripple == "shuffled":
        return np.roll(ranked, 1, axis=0)[_shifted(len(ranked), rng)]
    if cripple == "half_random":
        half = rng.random(len(ranked)) < 0.5
        return np.where(half[:, None], rng.permuted(ranked, axis=1), ranked)
    return ranked


def _shifted(count: int, rng: np.random.Generator) -> Ints:
    """An order of ``count`` rows that is drawn by one shift, so that nobody but by a whole turn gets their own."""
    return (np.arange(count) + int(rng.integers(max(count - 1, 1)))) % count


def _write_log(path: Path, log: Interactions, catalog: Catalog) -> None:
    """The log as recommenders read one: each user is one episode."""
    starts = log.starts[log.users]
    steps = np.arange(len(log)) - starts
    names = [log.user_ids[user] for user in log.users.tolist()]
    ids = [catalog.ids[item] for item in log.items.tolist()]
    assert log.values is not None
    write_csv(path, COLUMNS, zip(log.users.tolist(), steps.tolist(), names, ids, log.values.tolist(), strict=True))
