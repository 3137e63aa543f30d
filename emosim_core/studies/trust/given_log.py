"""Off-policy evaluation on a given log with propensities: what recommenders that learn from it would earn."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from emosim_core.data.cells import known_text, number
from emosim_core.data.interactions import Interactions
from emosim_core.data.places import existing_file
from emosim_core.data.tables import read_csv
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.evaluation.off_policy import ESTIMATORS
from emosim_core.hooks import Registry
from emosim_core.model import Catalog, RatingScale
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.assembly import load_items, make_catalog
from emosim_core.stats import bootstrap_ratios, ratio, rounded
from emosim_core.studies.trust.lineup import lineup_of
from emosim_core.studies.trust.verdicts import rivals_on

COLUMNS = ("user", "item", "rating", "propensity")
"""The columns that a log must have, beside ``episode`` and ``step``, which may be missing."""

_HOW = "'emosim log' and 'emosim data export --format csv' write one, of a recommender whose propensities are known"


@dataclass(frozen=True)
class _Row:
    user: str
    place: tuple[float, float]
    item: int
    rating: float
    propensity: float


def off_policy(
    registry: Registry, plugin: str, items: str | None, log: Path, recommenders: Sequence[str], slate: int, seed: int
) -> dict[str, Any]:
    """Estimate the mean rating of what recommenders would pick, from a log that another one made.

    Recommenders learn from the earlier four fifths of each user's answers, and are measured on the later ones; see
    :func:`~emosim_core.studies.trust.verdicts.rivals_on`. A recommender is taken for one that shows one of the best
    ``slate`` items, each equally likely.

    Returns:
        ``users``, ``answers``, and by recommender and estimator ``estimate``, ``low`` and ``high``, points of the
        scale, with 95 % intervals over users; ``weight`` is the mean ratio of the propensities, near 1 where the log
        supports the recommender.

    Raises:
        EmoSimError: a file, a row or a name is wrong, or the log is too small.
    """
    domain, _, loaded = load_items(registry, plugin, items)
    catalog = make_catalog(loaded, domain, "lexical", [])
    interactions, propensities, owners = read_propensities(log, catalog, domain.scale)
    entries = lineup_of(recommenders, domain.name, registry, least=1)
    with TemporaryDirectory() as folder:
        sums = rivals_on(*(interactions, propensities, entries, catalog, domain, registry, slate, seed, Path(folder)))
    estimates: dict[str, Any] = {one.name: {} for one in entries}
    for name in ESTIMATORS:
        over, under = (_by_owner(table, owners) for table in sums[name])
        low, high = bootstrap_ratios(over, under)
        values = ratio(np.stack([over.sum(axis=0), under.sum(axis=0)], axis=-1))
        for place, one in enumerate(entries):
            ends = zip(("estimate", "low", "high"), (values[place], low[place], high[place]), strict=True)
            estimates[one.name][name] = {
                key: rounded(domain.scale.low + float(value) * domain.scale.span) for key, value in ends
            }
    weights = sums["SNIPS"][1].sum(axis=0) / sums["IPS"][1].sum(axis=0)
    for place, one in enumerate(entries):
        estimates[one.name]["weight"] = rounded(float(weights[place]))
    return {
        "plugin": domain.name,
        "log": str(log),
        "scale": str(domain.scale),
        "users": int(owners.max()) + 1,
        "answers": len(interactions),
        "measured": int(sums["IPS"][1][:, 0].sum()),
        "recommenders": estimates,
    }


def _by_owner(table: Floats, owners: Ints) -> Floats:
    """What each user adds, of a table of what each episode adds, shape ``(U, M)``."""
    made = np.zeros((int(owners.max()) + 1, table.shape[1]))
    np.add.at(made, owners, table)
    return made


def read_propensities(path: Path, catalog: Catalog, scale: RatingScale) -> tuple[Interactions, Floats, Ints]:
    """A CSV log with propensities: its answers, each episode taken for one user of its own, the propensity of each
    answer, and the user of each episode.

    Rows without a rating are left out; of several answers to an item in an episode the first counts. Answers are in the
    order of ``step``, or of the file where that is missing; without ``episode``, all of a user are one.

    Raises:
        ConfigurationError: nothing was rated, or by one user alone.
        DataError: the file is missing or malformed; names row and field.
    """
    rows: list[_Row] = []
    try:
        with closing(read_csv(existing_file(path, "a CSV log with propensities"), "a log", required=COLUMNS)) as lines:
            for line, cells in lines:
                if known_text(cells["rating"]) == "":
                    continue
                if cells["item"] not in catalog.index:
                    raise DataError(path, f"the catalog has no item {cells['item']!r}", row=line, field="item")
                rating, propensity = (number(cells[name], str(path), line, name) for name in ("rating", "propensity"))
                if not scale.contains(rating):
                    raise DataError(path, f"{rating:g} is no rating of the scale {scale}", row=line, field="rating")
                if not 0.0 < propensity <= 1.0:
                    problem = f"expected a probability above 0 and at most 1, got {propensity:g}"
                    raise DataError(path, problem, row=line, field="propensity")
                place = [number(cells.get(name) or "0", str(path), line, name) for name in ("episode", "step")]
                item = catalog.index[cells["item"]]
                rows.append(_Row(cells["user"], (place[0], place[1]), item, rating, propensity))
    except DataError as error:
        if "the column is missing" in str(error):
            raise DataError(path, f"the column is missing; {_HOW}", row=error.row, field=error.field) from error
        raise
    users = sorted({row.user for row in rows})
    if len(users) < 2:
        raise ConfigurationError(f"{path} has rated answers of {len(users)} users, and two are needed at least")
    first: dict[tuple[str, float, int], _Row] = {}
    for row in sorted(rows, key=lambda row: (row.user, row.place)):
        first.setdefault((row.user, row.place[0], row.item), row)
    answers = list(first.values())
    episodes = list(dict.fromkeys((row.user, row.place[0]) for row in answers))
    index, place_of = {one: number for number, one in enumerate(episodes)}, {one: at for at, one in enumerate(users)}
    log = Interactions(
        tuple(f"{number:09d}" for number in range(len(episodes))),
        np.array([index[row.user, row.place[0]] for row in answers], dtype=np.intp),
        np.array([row.item for row in answers], dtype=np.intp),
        np.array([row.rating for row in answers]),
        None,
        len(catalog),
    )
    owners = np.array([place_of[user] for user, _ in episodes], dtype=np.intp)
    return log, np.array([row.propensity for row in answers]), owners
