"""PublishedFormatsConformance: data sets are read as they are published, and a wrong loader names the right one."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosim_core.errors import DataError
from emosim_core.simulation.assembly import load_items as load_items_of_a_run
from emosim_core.testing.conformance import registry
from emosim_core.testing.contract import require
from emosim_core.testing.domain import load_items
from emosim_core.testing.files import write_folder, write_zip


@dataclass(frozen=True)
class PublishedDataSet:
    """A small data set in a published format, the item loader that reads it, and titles of items that it holds.

    Attributes:
        files: the content of each file by its path inside the data set, such as ``"ml-100k/u.item"``.
        main: path of one of the files; given alone, it stands for all of them.
    """

    loader: str
    files: Mapping[str, bytes]
    main: str
    titles: Sequence[str]


class PublishedFormatsConformance:
    """Subclass it, name the subclass ``Test...`` and set both attributes::

        from emosim_core.testing import PublishedDataSet, PublishedFormatsConformance


        class TestFormats(PublishedFormatsConformance):
            domain = "music"
            data_sets = {"Chart 40": PublishedDataSet("chart", {"chart.csv": CHART}, "chart.csv", ["Salt"])}

    The loaders must name their formats (``formats`` of their components). What fails is an ``AssertionError`` that says
    what was found.

    Attributes:
        data_sets: by name, one data set of each format.
    """

    domain: str
    data_sets: Mapping[str, PublishedDataSet]

    def test_each_is_read_as_it_is_and_compressed(self) -> None:
        for name, data in self.data_sets.items():
            with _written(data) as folder:
                packed = write_folder(folder / "packed", data.files, gzipped=True)
                zipped = write_zip(folder / "zipped.zip", data.files)
                plain, *others = (
                    list(load_items(self.domain, {"name": data.loader, "path": str(path)}).items)
                    for path in (folder / "my data", packed, zipped)
                )
            missing = set(data.titles) - {item.title for item in plain}
            require(not missing, f"{name}: no item has the title {sorted(missing)}")
            for how, items in zip(("as .gz files", "as a zip file"), others, strict=True):
                require(items == plain, f"{name}: other items {how}")

    def test_each_can_be_run(self) -> None:
        from emosim_core.runs.runner import Run
        from emosim_core.simulation.config import RunConfig

        for data in self.data_sets.values():
            with _written(data) as folder:
                items = {"name": data.loader, "path": str(folder / "my data")}
                config: dict[str, Any] = {"episodes": 2, "max_steps": 2, "slate": 1, "embeddings": "lexical"}
                Run(RunConfig(plugin=self.domain, items=items, **config), folder / "run", registry=registry()).run()

    def test_another_loader_names_the_one_that_reads_it(self) -> None:
        loaders = [one.name for one, _ in registry().components("item_loader", self.domain) if one.value == "path"]
        for name, data in self.data_sets.items():
            with _written(data) as folder:
                for path in (folder / "my data", folder / "my data" / data.main):
                    advice = f"Use: --items {shlex.quote(f'{data.loader}:{path}')}"
                    load_items_of_a_run(registry(), self.domain, f"{data.loader}:{path}")
                    for other in loaders:
                        if other != data.loader:
                            message = self._refusal(other, path, f"{name}: {other!r} reads it too")
                            require(message.endswith(advice), f"{name}: {other!r} says {message!r}, not {advice!r}")

    def test_a_file_of_no_known_format_is_sent_nowhere(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "strange.csv"
            path.write_text("colour,shape\nred,round\n", encoding="utf-8")
            for loader in sorted({data.loader for data in self.data_sets.values()}):
                message = self._refusal(loader, path, f"{loader!r} reads a strange file")
                require("Use: " not in message, f"{loader!r} says {message!r} of a strange file")

    def _refusal(self, loader: str, path: Path, otherwise: str) -> str:
        """What a loader says of a file that it must not read."""
        try:
            load_items_of_a_run(registry(), self.domain, f"{loader}:{path}")
        except DataError as error:
            return str(error)
        raise AssertionError(f"{otherwise}.")


@contextmanager
def _written(data: PublishedDataSet) -> Iterator[Path]:
    """A temporary folder with the data set in its folder ``my data``."""
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name) / "my data", data.files)
        yield Path(name)
