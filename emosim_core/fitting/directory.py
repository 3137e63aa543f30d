"""Directory of fitted users: what ``emosim fit`` writes, and how it is read, checked, and refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emosim_core.data import json_text
from emosim_core.data.files import write_whole
from emosim_core.data.interactions import Interactions
from emosim_core.data.places import read_document
from emosim_core.data.tables import read_csv, write_csv
from emosim_core.errors import DataError, MissingDependencyError
from emosim_core.fitting.distribution import KNOTS, Distribution
from emosim_core.fitting.interest import InterestModel
from emosim_core.fitting.people import FitResult
from emosim_core.fitting.profiles import METRICS
from emosim_core.fitting.ratings import RatingModel
from emosim_core.kinds import CARD as CARD
from emosim_core.model import Catalog, RatingScale, User
from emosim_core.model.arrays import Ints
from emosim_core.population.users_csv import read_users_csv, write_users_csv

FORMAT = 3
"""Version of the directory."""

USERS, ITEMS, HISTORIES = "users.csv", "items.csv", "histories.csv"
INTEREST, RATINGS, STATES, DISTRIBUTION = (
    *("interest.safetensors", "ratings.safetensors", "states.safetensors", "distribution.safetensors"),
)

_AGAIN = "fit it again with emosim fit"


Size = Annotated[int, Field(ge=0)]


class Card(BaseModel):
    """What ``card.json`` says.

    Attributes:
        widths: columns of the rows of profiles, of the states of interest, and of those of ratings.
        cuts: where the levels of each trait are cut.
        files: SHA-256 of each file, by its name.
        log: what the log is, in words and numbers.
        can, cannot: in sentences.
        validation: how close the users are to real users who were in nothing; None where it was not measured.
        trust: how often verdicts of users who are fitted like these are right; None where it was not measured.
        distillation: how well users who are fitted to answers of a rater predict others of its answers; None where
            they were fitted to a log of real users.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: int
    created: str
    domain: str
    scale: RatingScale
    users: int = Field(ge=1)
    anonymous: bool
    histories: bool
    explicit: bool
    items: int = Field(ge=1)
    categories: tuple[str, ...]
    cuts: tuple[tuple[float, float], ...] = Field(min_length=3, max_length=3)
    widths: tuple[Size, Size, Size]
    log: dict[str, Any]
    episodes: dict[str, Any] | None
    distances: dict[str, float] | None = None
    can: tuple[str, ...]
    cannot: tuple[str, ...]
    versions: dict[str, str]
    files: dict[str, str]
    seed: int
    fit: dict[str, Any]
    validation: dict[str, Any] | None = None
    trust: dict[str, Any] | None = None
    distillation: dict[str, Any] | None = None


@dataclass(frozen=True)
class Models:
    """The models of a directory, for the items of a catalog; ``ratings`` is None where the log had no ratings."""

    interest: InterestModel
    ratings: RatingModel | None


def write_fitted(
    folder: Path, fitted: FitResult, card: Mapping[str, Any], histories: Interactions | None = None
) -> None:
    """Write all files of a directory; the card, which makes it whole, comes last.

    Args:
        card: what the card says beside what is known of the users.
        histories: what each user took, where that is to be kept.

    Raises:
        OSError, DataError: a file cannot be written.
        MissingDependencyError: safetensors is not installed.
    """
    numbers, catalog, explicit = fitted.numbers, fitted.catalog, fitted.ratings is not None
    folder.mkdir(parents=True, exist_ok=True)
    write_users_csv(folder / USERS, fitted.users)
    counts = catalog.public_counts.tolist()
    write_csv(folder / ITEMS, ("id", "title", "count"), zip(catalog.ids, catalog.titles, counts, strict=True))
    _write(folder / INTEREST, fitted.interest.arrays())
    if fitted.ratings is not None:
        _write(folder / RATINGS, fitted.ratings.arrays())
    states = {"interest": numbers.interest.astype(np.float32), "ratings": numbers.ratings.astype(np.float32)}
    _write(folder / STATES, states)
    _write(folder / DISTRIBUTION, {k: v.astype(np.float32) for k, v in fitted.distribution.arrays().items()})
    if histories is not None:
        values, times = histories.values, histories.times
        names = [histories.user_ids[user] for user in histories.users.tolist()]
        columns = [names, [catalog.ids[item] for item in histories.items.tolist()]]
        columns += [one.tolist() for one in (values, times) if one is not None]
        header = ["user", "item", *(["rating"] if values is not None else []), *(["time"] if times is not None else [])]
        write_csv(folder / HISTORIES, header, zip(*columns, strict=True))
    known = {
        "format": FORMAT,
        "domain": fitted.domain.name,
        "scale": fitted.domain.scale.model_dump(),
        "users": len(fitted.users),
        "histories": histories is not None,
        "explicit": explicit,
        "items": len(catalog),
        "categories": catalog.category_names,
        "cuts": [one.tolist() for one in fitted.cuts],
        "widths": numbers.widths,
        **fitted.about,
    }
    files = {one.name: digest_of(one) for one in sorted(folder.iterdir()) if one.is_file()}
    write_card(folder, {**known, **card, "files": files})


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card of a directory, whole or not at all."""
    write_whole(folder / CARD, json_text.dumps(card, ensure_ascii=False, indent=2).encode() + b"\n")


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    made = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            made.update(block)
    return made.hexdigest()


def _write(path: Path, arrays: Mapping[str, NDArray]) -> None:
    save = _safetensors("save")
    write_whole(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def _safetensors(name: str) -> Any:
    try:
        from safetensors import numpy
    except ImportError as error:
        install = 'pip install "emosim-core[fit]"'
        raise MissingDependencyError("a directory of fitted users", "safetensors", install) from error
    return getattr(numpy, name)


# ------------------------------------------------------------------------------------------------ reading


def read_card(folder: Path, domain: str | None = None) -> Card:
    """The card of a directory.

    Args:
        domain: the domain that the users are wanted in; None for any.

    Raises:
        DataError: there is no such directory, it is damaged or of a newer version, or of another domain.
    """
    path = folder.expanduser() / CARD
    if not path.is_file():
        problem = (
            f"is no directory of fitted users: it has no {CARD}" if folder.exists() else "there is no such directory"
        )
        raise DataError(folder, f"{problem}; make one with: emosim fit --plugin DOMAIN --ratings LOG --out {folder}")
    try:
        values = json_text.loads(read_document(path, "a card of fitted users"))
        version = values["format"]
        if isinstance(version, int) and version > FORMAT:
            raise DataError(path, f"is of version {version}; this release reads {FORMAT}: install a newer one")
        if isinstance(version, int) and version < FORMAT:
            raise DataError(path, f"is of version {version}, which this release does not read; {_AGAIN}")
        card = Card(**values)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        what = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else str(error)
        raise DataError(path, f"is damaged ({what}); {_AGAIN}") from error
    if domain is not None and card.domain != domain:
        raise DataError(
            folder, f"holds users of the domain {card.domain!r}, not {domain!r}; use them with --plugin {card.domain}"
        )
    if card.widths[0] != METRICS + len(card.categories) or (card.widths[2] > 0) != card.explicit:
        raise DataError(path, f"is damaged (widths); {_AGAIN}")
    return card


def _checked(folder: Path, card: Card, name: str) -> Path:
    """A file of a directory that is what it was when it was written."""
    path = folder.expanduser() / name
    try:
        same = name in card.files and digest_of(path) == card.files[name]
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}; {_AGAIN}") from error
    if not same:
        raise DataError(path, f"is damaged, or was changed after the fit: its SHA-256 is not in {CARD}; {_AGAIN}")
    return path


def _read(folder: Path, card: Card, name: str) -> dict[str, NDArray]:
    load = _safetensors("load")
    path = _checked(folder, card, name)
    try:
        arrays: dict[str, NDArray] = load(path.read_bytes())
    except Exception as error:  # SafetensorError, which has no public base but this
        raise DataError(path, f"is damaged ({error}); {_AGAIN}") from error
    return arrays


def read_users(folder: Path, card: Card) -> Sequence[User]:
    """The users, in their order; a DataError where their file is damaged."""
    users = read_users_csv(_checked(folder, card, USERS))
    if len(users) != card.users:
        raise DataError(folder / USERS, f"has {len(users):,} users, and {CARD} says {card.users:,}; {_AGAIN}")
    return users


def read_ids(folder: Path, card: Card) -> list[str]:
    """The ids of the users, in their order; a DataError where their file is damaged."""
    ids = _ids(folder, card, USERS, "the users of the directory")
    if len(ids) != card.users:
        raise DataError(folder / USERS, f"has {len(ids):,} users, and {CARD} says {card.users:,}; {_AGAIN}")
    return ids


def _ids(folder: Path, card: Card, name: str, content: str) -> list[str]:
    path = _checked(folder, card, name)
    ids = [cells.get("id", "") for _, cells in read_csv(path, content)]
    if not all(ids):
        raise DataError(path, f"is damaged: a row has no id; {_AGAIN}")
    return ids


def read_distribution(folder: Path, card: Card) -> Distribution:
    """What new users are drawn from; a DataError where it is damaged."""
    made = Distribution.load(
        _shaped(folder, DISTRIBUTION, _read(folder, card, DISTRIBUTION), {"quantiles": 2, "loadings": 2})
    )
    if made.loadings.shape[1] != sum(card.widths) or made.quantiles.shape != (len(KNOTS), sum(card.widths)):
        raise DataError(folder / DISTRIBUTION, f"is not of the columns of {CARD}; {_AGAIN}")
    return made


def read_states(folder: Path, card: Card) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The states of the users in both models, in their order; a DataError where they are damaged."""
    arrays = _shaped(folder, STATES, _read(folder, card, STATES), {"interest": 2, "ratings": 2})
    for name, width in zip(("interest", "ratings"), card.widths[1:], strict=True):
        if arrays[name].shape != (card.users, width):
            raise DataError(folder / STATES, f"{name!r} has not the shape that {CARD} says; {_AGAIN}")
    return arrays["interest"], arrays["ratings"]


def _shaped(folder: Path, name: str, arrays: dict[str, NDArray], axes: Mapping[str, int]) -> dict[str, NDArray]:
    for key, count in axes.items():
        if key not in arrays or arrays[key].ndim != count or not np.isfinite(arrays[key]).all():
            raise DataError(folder / name, f"is damaged: {key!r} is not what it should be; {_AGAIN}")
    return arrays


def read_models(folder: Path, card: Card, catalog: Catalog, scale: RatingScale) -> Models:
    """The models for the items of a catalog; items that they do not know are answered for from their content.

    Raises:
        DataError: a file is damaged, the scale is another, or the models know none of the items.
    """
    if scale != card.scale:
        raise DataError(folder, f"holds users who rate on {card.scale}, not on {scale}; fit them to this domain")
    known = known_items(folder, card, catalog)
    interest, ratings = _read(folder, card, INTEREST), _read(folder, card, RATINGS) if card.explicit else None
    try:
        models = Models(
            InterestModel.load(interest, known, catalog),
            None if ratings is None else RatingModel.load(ratings, known, catalog, scale),
        )
        sizes = (models.interest.size, 0 if models.ratings is None else models.ratings.size)
        if sizes != card.widths[1:]:
            raise ValueError(f"their states have {sizes} numbers, and {CARD} says {card.widths[1:]}")
        return models
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise DataError(folder, f"the models are damaged ({type(error).__name__}: {error}); {_AGAIN}") from error


def known_items(folder: Path, card: Card, catalog: Catalog) -> Ints:
    """By item of the models its index in a catalog, -1 where that lacks it; a DataError where it has none of them."""
    ids = _ids(folder, card, ITEMS, "the items of the directory")
    known = np.array([catalog.index.get(one, -1) for one in ids], dtype=np.intp)
    if not (known >= 0).any():
        theirs, ours = ", ".join(map(repr, ids[:3])), ", ".join(map(repr, catalog.ids[:3]))
        raise DataError(
            folder,
            f"its models know {len(ids):,} items ({theirs}, ...), none of which is among the {len(catalog):,} of this "
            f"catalog ({ours}, ...); name the items that they were fitted to: --items",
        )
    return known
