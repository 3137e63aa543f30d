"""Items that are bundled with a plugin: a CSV file in its package and, beside it, their embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import ClassVar

from emosim_core.data.embeddings import EmbeddingOptions, build_bundled_embeddings, load_bundled_embeddings
from emosim_core.data.items_csv import read_items_csv
from emosim_core.errors import DataError
from emosim_core.model.item import Item
from emosim_core.model.loader import ItemLoader, LoadedItems


class BundledItems(ItemLoader):
    """The items in ``data/sample.csv`` of the package that the subclass lives in. A domain subclasses it.

    Their embeddings are in ``data/sample.npz``, as ``emosim embed --plugin NAME`` writes them. Nothing else is read and
    no network is needed.

    Attributes:
        plugin: the domain, for messages.
        item_type: what a row is.
        columns: what the file calls a field of it, where that differs from the field's name.
        items_word: what the items are called ("films").
        embedded: whether embeddings are bundled. Where not, ``emosim embed`` may still write them; without the file,
            items get embeddings as any items do that come without.
    """

    plugin: ClassVar[str]
    item_type: ClassVar[type[Item]]
    columns: ClassVar[Mapping[str, str]] = {}
    items_word: ClassVar[str] = "items"
    embedded: ClassVar[bool] = True

    def __init__(self) -> None:
        self._package = type(self).__module__.partition(".")[0]
        self._folder = files(self._package) / "data"

    def load(self) -> LoadedItems:
        """Read the items.

        Raises:
            DataError: a bundled file is missing or malformed, or the embeddings belong to other texts.
        """
        items = self.items()
        source = f"the {self.items_word} bundled with {self._distribution}"
        vectors = self._folder / "sample.npz"
        if not self.embedded and not vectors.is_file():
            return LoadedItems(items, source=source)
        table, name = load_bundled_embeddings(vectors, items, f"emosim embed --plugin {self.plugin}")
        return LoadedItems(items, table, name, source)

    def items(self) -> Sequence[Item]:
        """The items without their embeddings.

        Raises:
            DataError: the bundled file is missing or malformed.
        """
        table = self._folder / "sample.csv"
        if not table.is_file():
            raise DataError(
                f"{self._package}/data/sample.csv",
                f"the bundled {self.items_word} are missing; install them anew: "
                f"pip install --force-reinstall {self._distribution}",
            )
        with as_file(table) as path:
            return read_items_csv(path, self.item_type, self.columns, self.items_word)

    def rebuild_embeddings(self, options: EmbeddingOptions | None = None) -> Path:
        """Make the bundled embeddings anew, after a change of the texts.

        Args:
            options: how to embed; a sentence model by default.

        Returns:
            The file that was written.

        Raises:
            ConfigurationError: the sentence model cannot be loaded.
            MissingDependencyError: sentence-transformers is not installed.
            DataError: the files cannot be read or written.
        """
        items = self.items()
        with as_file(self._folder / "sample.csv") as table:
            target = table.with_name("sample.npz")
        build_bundled_embeddings(items, target, options)
        return target

    @property
    def _distribution(self) -> str:
        return self._package.replace("_", "-")
