"""Items that are bundled with a plugin: a CSV file in its package and, beside it, their embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from pydantic import Field

from emosim_core.data.embeddings import (
    SENTENCE_METHOD,
    EmbeddingOptions,
    embed_items,
    load_bundled_embeddings,
    save_bundled_embeddings,
)
from emosim_core.data.items_csv import DomainItems, read_items_csv
from emosim_core.data.logs import LogColumns, read_log
from emosim_core.data.toml_files import read_toml
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model.frozen import Frozen
from emosim_core.model.item import Item
from emosim_core.model.loader import CatalogSetting, LoadedItems, LoadedRatings


class BundledItems(DomainItems):
    """The items in ``data/sample.csv`` of the domain's package.

    Their embeddings are in ``data/sample.npz``, as ``emosim embed --plugin NAME`` writes them. Nothing else is read and
    no network is needed.
    """

    def prepare(self, setting: CatalogSetting) -> None:
        """Take the domain; a ConfigurationError where it names no package."""
        super().prepare(setting)
        if not self.domain.package:
            raise ConfigurationError(
                f"the domain {self.domain.name!r} names no package with bundled items (Domain.package); choose another "
                "item loader with --items"
            )
        self._folder = files(self.domain.package) / "data"

    def load(self) -> LoadedItems:
        """Read the items; a DataError where a file is missing or malformed, or the embeddings are of other texts."""
        items = self.items()
        source = f"the {self.domain.words.items} bundled with {self._distribution}"
        vectors = self._folder / "sample.npz"
        if not self.domain.sample_embeddings and not vectors.is_file():
            return LoadedItems(items, source=source)
        table, name = load_bundled_embeddings(vectors, items, f"emosim embed --plugin {self.domain.name}")
        return LoadedItems(items, table, name, source)

    def items(self) -> Sequence[Item]:
        """The items without their embeddings; a DataError where the bundled file is missing or malformed."""
        domain, table = self.domain, self._folder / "sample.csv"
        if not table.is_file():
            raise DataError(
                f"{domain.package}/data/sample.csv",
                f"the bundled {domain.words.items} are missing; install them anew: "
                f"pip install --force-reinstall {self._distribution}",
            )
        with as_file(table) as path:
            return read_items_csv(path, domain.item_type, domain.columns, domain.words.items)

    def rebuild_embeddings(self) -> Path:
        """Rebuild the bundled embeddings with a sentence model, after a change of the texts; returns their file.

        Raises:
            ConfigurationError: the sentence model cannot be loaded.
            MissingDependencyError: sentence-transformers is not installed.
            DataError: the files cannot be read or written.
        """
        items = self.items()
        with as_file(self._folder / "sample.csv") as table:
            target = table.with_name("sample.npz")
        embedded = embed_items(items, options=EmbeddingOptions(method=SENTENCE_METHOD))
        save_bundled_embeddings(target, items, embedded.vectors, embedded.name)
        return target

    @property
    def _distribution(self) -> str:
        return self.domain.package.replace("_", "-")


class BundledLog(BundledItems):
    """The bundled items, and a log of the real users who rated or took them.

    The log is ``data/ratings.csv`` of the domain's package, with the columns user and item, and perhaps rating (on the
    domain's scale) and time; or ``data/ratings.toml`` says where it is and what its columns are called.
    """

    def load_ratings(self, items: Sequence[Item]) -> LoadedRatings:
        """Read the log; a DataError where it is missing or malformed."""
        scale, link = self.domain.scale, self._folder / "ratings.toml"
        if link.is_file():
            elsewhere = read_toml(link, f"{self.domain.package}/data/ratings.toml", _Elsewhere)
            return read_log(elsewhere.source, items, scale, LogColumns(elsewhere.columns))
        with as_file(self._folder / "ratings.csv") as path:
            return read_log(f"csv:{path}", items, scale)


class _Elsewhere(Frozen):
    """Where a log lies that is not in the package, and by field the name of its column, empty to leave it out."""

    source: str
    columns: dict[str, str] = Field(default_factory=dict)
