"""Loaders: how items and people come in from files, bundled data or a generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError
from emosim_core.model.item import Item
from emosim_core.model.user import User


@dataclass
class LoadedItems:
    """What a loader of items brings.

    Attributes:
        items: the items.
        embeddings: one vector per item, shape ``(N, D)``, or None where the source has none; a row that
            begins with NaN is an item without one.
        embedding_name: which model made them.
        source: what was read, for the run's manifest.
    """

    items: Sequence[Item]
    embeddings: NDArray[np.floating] | None = None
    embedding_name: str = ""
    source: str = ""


class Loader(ABC):
    """Brings the items of a domain from somewhere."""

    @abstractmethod
    def load(self) -> LoadedItems:
        """Read the items.

        Raises:
            DataError: a file is malformed; names file, row and field.
        """

    def rebuild_embeddings(self) -> Path:
        """Make the embeddings that are bundled with the items anew; the file that was written.

        Raises:
            ConfigurationError: nothing is bundled with these items.
        """
        raise ConfigurationError("only items that are bundled with a plugin have bundled embeddings to rebuild")


class UserLoader(ABC):
    """Brings simulated people from somewhere.

    Attributes:
        categories: set by the core before :meth:`load`: the categories of the catalogue in use.
    """

    categories: Sequence[str] = ()

    @abstractmethod
    def load(self) -> Sequence[User]:
        """Read or make the people.

        Raises:
            DataError: a file is malformed; names file, row and field.
        """
