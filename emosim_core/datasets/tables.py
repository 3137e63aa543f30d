"""Tables of interactions: one row per item that was recommended, as Parquet or CSV."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from emosim_core.data import json_text
from emosim_core.datasets.episodes import LoggedEpisode, LoggedRun, logged_episodes

COLUMNS = {
    "episode": ("int64", "Number of the episode in its run, from 0."),
    "step": ("int64", "Number of the step in its episode, from 1."),
    "user": ("string", "Id of the user."),
    "item": ("string", "Id of the item that was recommended."),
    "rating": ("double", "The rating after perturbation, on the domain's scale; none where the item was not consumed."),
    "reward": ("double", "Reward of the whole step; the same in all rows of a step."),
    "ended": ("bool", "Whether the episode ended with this step; the same in all rows of a step."),
    "title": ("string", "Title of the item."),
    "place": ("int64", "Place of the item in the slate, from 0."),
    "consumed": ("bool", "Whether the user consumed the item."),
    "raw_rating": ("double", "The rater's rating before perturbation; none where there is none."),
    "examined": ("bool", "Whether the user looked at it; none where the whole slate is rated first."),
    "clicked": ("bool", "Whether the user clicked it; none where the whole slate is rated first."),
    "propensity": (
        "double",
        "Probability that the item stood in its place, given the episode before; none where it is not known.",
    ),
    "times": ("int64", "How often the user has consumed the item, this time included; none where not consumed."),
    "valence": ("string", "Valence tag of the rating; none where not consumed."),
    "arousal": ("string", "Arousal tag of the rating; none where not consumed."),
    "mood_valence": ("double", "Valence of the mood after the step, -1 to 1, to four decimals."),
    "mood_arousal": ("double", "Arousal of the mood after the step, 0 to 1, to four decimals."),
    "end_reason": ("string", "Why the episode ended with this step; none where it went on or the run was stopped."),
}
"""Columns of a table by name, each with its Arrow type and what it holds."""

RUN_COLUMN = ("string", "Name of the run's directory.")
"""The further column ``run`` where there are several runs."""

METADATA = "emosim"
"""Key in a Parquet file's metadata; its JSON holds the manifest of every run."""

_ROWS_AT_ONCE = 65_536


def columns(runs: Sequence[LoggedRun]) -> dict[str, tuple[str, str]]:
    return {**COLUMNS, "run": RUN_COLUMN} if len(runs) > 1 else COLUMNS


def write_parquet(runs: Sequence[LoggedRun], path: Path) -> tuple[int, int, int]:
    """Write a Parquet file, a part of the rows at a time.

    Returns:
        Episodes, episodes without an end, and rows.
    """
    import pyarrow as pa
    from pyarrow import fs, parquet

    metadata = {"format": 2, "runs": [{"run": run.name, "manifest": run.manifest} for run in runs]}
    fields = columns(runs).items()
    schema = pa.schema(
        [pa.field(name, pa.type_for_alias(kind), metadata={"description": text}) for name, (kind, text) in fields],
        metadata={METADATA: json_text.dumps(metadata, ensure_ascii=False)},
    )
    counts = _Counts()
    rows = counts.rows_of(runs)
    with parquet.ParquetWriter(
        str(path.absolute()), schema, compression="zstd", filesystem=fs.LocalFileSystem()
    ) as writer:
        while part := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            arrays = [
                pa.array(column, field.type) for column, field in zip(zip(*part, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return astuple(counts)


def write_csv(runs: Sequence[LoggedRun], path: Path) -> tuple[int, int, int]:
    """Write a CSV file; where there is no value, the field is empty. Returns as :func:`write_parquet`."""
    counts = _Counts()
    with path.open("x", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns(runs))
        writer.writerows(counts.rows_of(runs))
    return astuple(counts)


@dataclass
class _Counts:
    """Counts what passes on its way into a file."""

    episodes: int = 0
    unfinished: int = 0
    rows: int = 0

    def rows_of(self, runs: Sequence[LoggedRun]) -> Iterator[tuple[Any, ...]]:
        for run in runs:
            extra = (run.name,) if len(runs) > 1 else ()
            chance = propensity_of(run.manifest)
            for episode in logged_episodes(run):
                self.episodes += 1
                self.unfinished += episode.end_reason is None
                for row in episode_rows(episode, chance):
                    self.rows += 1
                    yield (*row, *extra)


def propensity_of(manifest: Mapping[str, Any]) -> Callable[[int], float] | None:
    """The probability of an item in a run that did not record it, after so many items in an episode before its slate.

    None where it is not known. It is of recommenders of the core with an order of items for each episode: one order for
    all, or any of all.
    """
    policy, config = manifest["parts"].get("policy", {}), manifest["config"]
    if not str(policy.get("provider")).startswith("emosim-core ") or config.get("observe_consumed"):
        return None
    if policy["name"] in ("popular", "top_rated", "replay"):
        return lambda before: 1.0
    count = int(manifest["data"]["items"])
    return (lambda before: 1.0 / (count - before)) if policy["name"] == "random" else None


def episode_rows(episode: LoggedEpisode, chance: Callable[[int], float] | None = None) -> Iterator[tuple[Any, ...]]:
    """The rows of one episode, in the order of :data:`COLUMNS`; ``chance`` is that of :func:`propensity_of`."""
    before = 0
    for step in episode.steps:
        end_reason = episode.end_reason if step is episode.steps[-1] else None
        known = None if chance is None else chance(before)
        for place, one in enumerate(step["recommended"]):
            yield (
                *(step["episode"], step["step"], step["user"], one["item"], one.get("rating"), step["reward"]),
                *(end_reason is not None, one["title"], place, one["consumed"], one["raw_rating"]),
                *(one.get("examined"), one.get("clicked"), one.get("propensity", known), one.get("times")),
                *(one.get("valence"), one.get("arousal"), *step["mood"], end_reason),
            )
        before += len(step["recommended"])
