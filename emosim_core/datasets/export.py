"""Export: the episodes of runs, written as a table or as episodes of offline reinforcement learning."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosim_core.data.files import whole
from emosim_core.datasets.episodes import open_runs
from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.hooks import Registry
from emosim_core.runs.trust import CommandHint

FORMATS = ("parquet", "csv", "minari")

INSTALL_DATA = 'pip install "emosim-core[data]"'

_PACKAGES = {"parquet": ("pyarrow",), "csv": (), "minari": ("minari", "h5py")}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file, or the folder of the data set.
        format: one of :data:`FORMATS`.
        dataset_id: the name that Minari loads it by; None for a table.
        episodes: how many episodes it holds.
        unfinished: how many of them the run did not simulate to their end.
        rows: rows of a table, one per item recommended; steps of episodes.
    """

    path: Path
    format: str
    dataset_id: str | None
    episodes: int
    unfinished: int
    rows: int


def export(
    runs: Sequence[str | Path],
    out: str | Path,
    format: str = "parquet",
    dataset_id: str | None = None,
    registry: Registry | None = None,
    given: Mapping[str, Any] | None = None,
    again: CommandHint | None = None,
) -> Exported:
    """Write the interactions of runs for offline learning, as ``emosim data export`` does.

    Args:
        runs: directories of runs.
        out: the file to write; for Minari, the folder of data sets, which may exist.
        format: one of :data:`FORMATS`.
        dataset_id: for Minari, the name of the data set; made of the domain and the recommender if not given.
        registry: plugins to use; found anew if not given. Only Minari, which makes the environment again, uses any.
        given: for Minari, values of the configuration that the user gives again, where a run was not made here.
        again: how values are given again, for the message.

    Raises:
        ConfigurationError: the format is unknown, ``out`` exists or cannot be used, or the runs do not go together.
        MissingDependencyError: a package is not installed.
        RunError: a directory is no run, has no step or is damaged, or ``out`` cannot be written.
        TrustError: a run names what its user must give again.
    """
    out = Path(out)
    opened = open_runs([Path(directory) for directory in runs])
    check_export(out, format, dataset_id)
    if format == "minari":
        from emosim_core.datasets.minari import write_minari

        name, *written = write_minari(opened, out, dataset_id, registry, given, again)
        return Exported(out / name, format, name, *written)
    from emosim_core.datasets.tables import write_csv, write_parquet

    with whole(out) as partial:
        counts = (write_parquet if format == "parquet" else write_csv)(opened, partial)
    return Exported(out, format, None, *counts)


def check_export(out: Path, format: str, dataset_id: str | None = None, in_folder: bool = True) -> None:
    """See whether an export can be written, as far as that is known before there is a run; as :func:`export`.

    ``in_folder`` says whether the folder that ``out`` lies in must be there already.
    """
    check_format(format)
    if in_folder and not out.absolute().parent.is_dir():
        raise ConfigurationError(f"{out} cannot be written: there is no folder {out.parent}")
    if format == "minari":
        from emosim_core.datasets.minari import check_dataset

        check_dataset(out, dataset_id)
        return
    if dataset_id is not None:
        raise ConfigurationError(f"--dataset-id is a name for Minari; the format {format} has none")
    if out.exists():
        raise ConfigurationError(f"{out} exists already; choose another place with --out")


def check_format(format: str) -> None:
    """See whether a format is known and can be written here; as :func:`export`."""
    if format not in FORMATS:
        raise ConfigurationError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    if format == "minari" and sys.version_info < (3, 11):
        raise ConfigurationError(
            f"Minari needs Python 3.11 or later, and this is {sys.version_info[0]}.{sys.version_info[1]}; "
            "choose another --format"
        )
    for package in _PACKAGES[format]:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingDependencyError(f"the format {format}", package, INSTALL_DATA) from error
