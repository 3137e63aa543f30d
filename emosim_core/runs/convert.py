"""Convert: a complete run in another format of records, in a directory of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.data import json_text
from emosim_core.data.files import partial_path, remove_partial
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.model.emotion import AROUSAL_NAMES, VALENCE_NAMES
from emosim_core.runs.blocks import BlockFormat, BlockWriter, Shared, need_pyarrow
from emosim_core.runs.job import cannot_write, write_file
from emosim_core.runs.plain import own_files
from emosim_core.runs.records import INTERACTIONS, MANIFEST, SUMMARY, read_records, read_summary, run_manifest
from emosim_core.runs.steps import SIGNALS, Labels, Steps
from emosim_core.runs.summary import TallyState
from emosim_core.runs.transcript import TRANSCRIPT
from emosim_core.runs.typed import continue_with

_AT_ONCE = 4096
"""Records that are converted at once."""

_COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("episode", "step", "user", "place", "item"), np.intp),
    "raw_rating": np.float64,
    "consumed": np.bool_,
    "rating": np.float64,
    "times": np.intp,
    "code": np.intp,
    "reward": np.float64,
    "moods": np.float64,
    "end": np.intp,
}
"""Columns of steps that are made of each record, with their types."""


def convert_run(directory: Path, out: Path, records: str) -> None:
    """Write a complete run again with its records as ``jsonl`` or ``parquet``; all else stays.

    JSON lines have the order of the steps in the blocks. In Parquet that is made of JSON lines, reasons are texts.

    Raises:
        ConfigurationError: ``out`` exists, or the records have that format.
        MissingDependencyError: pyarrow is not installed.
        RunError: the directory is no run, is not complete, keeps no step or is damaged, or ``out`` cannot be written.
    """
    manifest = run_manifest(directory)
    need_pyarrow("converting records")
    kind = manifest["config"].get("records") or "jsonl"
    if kind == records:
        raise ConfigurationError(f"the records of {directory} are {records} already")
    if kind.startswith("sample"):
        raise ConfigurationError(f"{directory} keeps the steps of a sample, so it cannot be written as a whole run")
    if out.exists():
        raise ConfigurationError(f"{out} exists already; choose another place with --out")
    if not (directory / SUMMARY).exists() or not (summary := read_summary(directory))["complete"]:
        raise RunError(f"{directory} is not complete. {continue_with('run', directory)}")
    own_files(directory)
    partial = partial_path(out)
    try:
        remove_partial(partial)
        partial.mkdir(parents=True)
        (_write_lines if records == "jsonl" else _write_block)(directory, partial, summary)
        write_file(partial / MANIFEST, {**manifest, "config": {**manifest["config"], "records": records}})
        for name in (TRANSCRIPT, SUMMARY):
            if (directory / name).exists():
                shutil.copyfile(directory / name, partial / name)
        partial.rename(out)
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        remove_partial(partial)


def _write_lines(directory: Path, out: Path, summary: Mapping[str, Any]) -> None:
    with (out / INTERACTIONS).open("xb") as stream:
        stream.writelines(map(json_text.line, read_records(directory)))


def _write_block(directory: Path, out: Path, summary: Mapping[str, Any]) -> None:
    """Write all steps of JSON lines as one block: their episodes go on side by side."""
    titles: dict[str, str] = {}
    signals: set[str] = set()
    profiles: dict[str, Any] = {}
    end_reasons = {"": None}
    for record in read_records(directory):
        if profile := record.get("user_profile"):
            profiles[profile["id"]] = profile
        for one in record["recommended"]:
            titles[one["item"]] = one["title"]
            signals |= one.keys() & set(SIGNALS)
            titles |= {past["item"]: past["title"] for past in one["retrieved"]}
        end_reasons[record["end_reason"] or ""] = None
    labels = Labels(list(titles), list(titles.values()), list(profiles), list(end_reasons))
    items = [{"id": name, "title": title} for name, title in titles.items()]
    shared = Shared(labels, items, list(profiles.values()), signals=[name for name in SIGNALS if name in signals])
    made = BlockFormat(shared, out)
    made.begin()
    writer, counts = BlockWriter(made, 0, None), _Counts(labels, shared.signals)
    try:
        records = read_records(directory)
        while part := list(islice(records, _AT_ONCE)):
            places = [place for record in part for place in (record["recommended"] or [{}])]
            reasons = [place.get("reason") or "" for place in places]
            shares = [place.get("probabilities") or {} for place in places]
            writer.write(counts.steps_of(part), reasons.__getitem__, shares.__getitem__)
        writer.finish((0, summary["episodes"]), counts.state(summary))
    finally:
        writer.abandon()


class _Counts:
    """Makes columns of records, and counts what a block says of itself."""

    def __init__(self, labels: Labels, signals: Sequence[str]) -> None:
        self.signals = signals
        self._items, self._users, self._ends = (
            {name: number for number, name in enumerate(names)}
            for names in (labels.items, labels.users, labels.end_reasons)
        )
        self._rated = np.zeros((len(self._items), 2))
        self._going: dict[int, tuple[int, float]] = {}
        self._lengths: dict[int, int] = {}
        self._sums = np.zeros(3)

    def steps_of(self, records: Sequence[Mapping[str, Any]]) -> Steps:
        rows = [row for record in records for row in self._rows(record)]
        memories = [(self._items[past["item"]], past["rating"]) for row in rows for past in row[-1]]
        columns = dict(zip(_COLUMNS, zip(*(row[:-1] for row in rows), strict=True), strict=True))
        made: dict[str, Any] = {name: np.array(columns[name], dtype=kind) for name, kind in _COLUMNS.items()}
        return Steps(
            **made,
            retrieved=np.array([len(row[-1]) for row in rows], dtype=np.intp),
            retrieved_item=np.array([one for one, _ in memories], dtype=np.intp),
            retrieved_rating=np.array([one for _, one in memories], dtype=np.float64),
            signals={name: self._signal(records, name) for name in self.signals},
        )

    @staticmethod
    def _signal(records: Sequence[Mapping[str, Any]], name: str) -> NDArray[Any]:
        """One signal of each row; an episode that ran out of items has a row without one."""
        values = [place.get(name) for record in records for place in (record["recommended"] or [{}])]
        if SIGNALS[name] is np.str_:
            values = [value or "" for value in values]
        return np.array(values, dtype=SIGNALS[name])

    def _rows(self, record: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        about = (record["episode"], record["step"], self._users[record["user"]])
        end = self._ends[record["end_reason"] or ""]
        after = (record["reward"], record["mood"], end)
        self._count(record)
        if not record["recommended"]:
            yield (*about, 0, -1, None, False, None, 0, 0, *after, ())
        for place, one in enumerate(record["recommended"]):
            item, eaten = self._items[one["item"]], one["consumed"]
            code = 3 * VALENCE_NAMES.index(one["valence"]) + AROUSAL_NAMES.index(one["arousal"]) if eaten else 0
            if eaten:
                self._rated[item] += 1, one["rating"]
            rating, times = (one["rating"], one["times"]) if eaten else (None, 0)
            yield (*about, place, item, one["raw_rating"], eaten, rating, times, code, *after, one["retrieved"])

    def _count(self, record: Mapping[str, Any]) -> None:
        steps, reward = self._going.get(record["episode"], (0, 0.0))
        steps, reward = steps + bool(record["recommended"]), reward + record["reward"]
        if record["end_reason"] is None:
            self._going[record["episode"]] = steps, reward
        else:
            self._going.pop(record["episode"], None)
            self._lengths[steps] = self._lengths.get(steps, 0) + 1
            self._sums += reward, *record["mood"]

    def state(self, summary: Mapping[str, Any]) -> TallyState:
        """The counts of the whole run."""
        rated = [(item, int(count), total) for item, (count, total) in enumerate(self._rated.tolist()) if count]
        reward, valence, arousal = self._sums.tolist()
        state: TallyState = {
            "steps": summary["steps"],
            "failed": summary["failed_ratings"],
            "levels": list(summary["rating_counts"].values()),
            "items": rated,
            "users": list(range(len(self._users))),
            "lengths": sorted(self._lengths.items()),
            "sums": (reward, valence, arousal),
            "end_reasons": dict(summary["end_reasons"]),
            "policy": summary.get("policy_counts", {}),
        }
        if clicks := summary.get("clicks"):
            places = [(place["recommended"], place["examined"], place["clicked"]) for place in clicks["places"]]
            state["clicks"] = clicks["with_click"], places
        return state
