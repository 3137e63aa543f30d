"""Loaders: bring items and users from files, bundled data or a generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError
from emosim_core.model.domain import Domain
from emosim_core.model.item import Item
from emosim_core.model.user import User


@dataclass
class LoadedItems:
    """What a loader of items brings.

    Attributes:
        embeddings: one vector per item, shape ``(N, D)``, or None where the source has none; a row that
            begins with NaN is an item without one.
        source: what was read, for the run's manifest.
        notes: what a user of the items should know, such as how many rows were repaired or left out.
        embeddings_sha256: SHA-256 of the file of the embeddings, by which what is made of them is kept between
            commands; empty where they are not to be kept.
    """

    items: Sequence[Item]
    embeddings: NDArray[np.floating] | None = None
    embedding_name: str = ""
    source: str = ""
    notes: Sequence[str] = ()
    embeddings_sha256: str = ""


@dataclass
class LoadedRatings:
    """A log of what real users took of the items of a loader, and how they rated it. R ratings.

    Attributes:
        user_ids: id of each rating's user, R of them.
        items: index of each rating's item among the items that were loaded, shape ``(R,)``.
        values: ratings on the domain's scale, shape ``(R,)``; None in an implicit log, which says only that an item
            was taken.
        times: when each was given, in seconds since 1970, shape ``(R,)``; None in a log without times.
        user_written_fields: fields of the items that hold what these same users wrote, such as tags; a validation
            leaves them out.
        notes: what a user of the log should know, such as how many rows were left out.
    """

    user_ids: Sequence[str]
    items: NDArray[np.intp]
    values: NDArray[np.float64] | None
    times: NDArray[np.float64] | None
    user_written_fields: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class CatalogSetting:
    """What items are loaded for: the domain in use."""

    domain: Domain


class ItemLoader(ABC):
    """Brings the items of a domain."""

    def prepare(self, setting: CatalogSetting) -> None:  # noqa: B027  (it may be left out)
        """Called once before :meth:`load`; nothing by default."""

    @abstractmethod
    def load(self) -> LoadedItems:
        """Read the items; a DataError with file, row and field where a file is malformed."""

    def load_ratings(self, items: Sequence[Item]) -> LoadedRatings:
        """The ratings that real users gave to ``items``, which :meth:`load` returned; optional.

        A ConfigurationError where no ratings of users come with them, a DataError where a file is malformed.
        """
        raise ConfigurationError("no ratings of single users come with these items; name a source that has them")

    def rebuild_embeddings(self) -> Path:
        """Rebuild the embeddings that are bundled with the items, if any are; returns the file that was written."""
        raise ConfigurationError("only items that are bundled with a plugin have bundled embeddings to rebuild")


@dataclass(frozen=True, kw_only=True)
class PopulationSetting:
    """What users are loaded for: the domain in use, and the categories of the catalog.

    Attributes:
        categories: their names, sorted; empty where users are made without items.
    """

    domain: Domain
    categories: Sequence[str] = ()


class UserLoader(ABC):
    """Brings the simulated users of a domain."""

    def prepare(self, setting: PopulationSetting) -> None:  # noqa: B027  (it may be left out)
        """Called once before :meth:`load`; nothing by default."""

    @abstractmethod
    def load(self) -> Sequence[User]:
        """Read or generate the users; a DataError with file, row and field where a file is malformed."""
