"""Blocks: the steps of a run in Parquet files of consecutive episodes, each file whole in itself."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from emosim_core.data import json_text
from emosim_core.data.files import partial_path, plain_file
from emosim_core.errors import ConfigurationError, MissingDependencyError, RunError
from emosim_core.kinds import BLOCKS
from emosim_core.model import Item, User
from emosim_core.model.arrays import Flags, Ints
from emosim_core.model.emotion import AROUSAL_NAMES, VALENCE_NAMES
from emosim_core.runs.job import cannot_write
from emosim_core.runs.reading import check_format, first_fault
from emosim_core.runs.reasons import TERMS, Worder, Wording, item_fields, wording_of
from emosim_core.runs.steps import (
    SIGNALS,
    Labels,
    Steps,
    joined,
    records_of,
    signals_of,
)
from emosim_core.runs.summary import TallyState
from emosim_core.simulation.assembly import World
from emosim_core.simulation.config import RunConfig

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

INSTALL_PARQUET = 'pip install "emosim-core[parquet]"'

_ITEMS, _USERS = "_items.parquet", "_users.parquet"
"""Items and users of a run; tools that read a folder of Parquet files leave out what begins so."""

_FORMAT = 1
"""Format of the blocks that this version writes and reads."""

_ABOUT = b"emosim"
"""Key in the metadata of a file; its JSON holds the format and what the file is about."""

_BLOCK, _PER_SLOT = 16_384, 16
"""Episodes of a block, and at least so many for each that goes on at the same time: its last ones leave slots empty."""

_LAST = 4
"""Blocks into which the end of a run is cut."""

_GROUP = 131_072
"""Rows of a row group, about: so many are held in memory at once."""

_LARGEST_GROUP = 1 << 31
"""Bytes of a row group that is read."""

_NUMBERS = (
    *("episode", "step", "user", "place", "item", "raw_rating", "consumed", "rating", "times", "valence", "arousal"),
    *("reward", "mood_valence", "mood_arousal", "end_reason"),
)
"""Columns that sums are made of."""

_NEVER_NULL = (
    *("episode", "step", "user", "place", "consumed", "reward", "mood_valence", "mood_arousal"),
    *("retrieved_item", "retrieved_rating"),
)

_CODED = ("user", "item", "raw_rating", "rating", "times", "valence", "arousal", "reward", "mood_valence",
          "mood_arousal", "end_reason", "reason", "probabilities", "term_times")  # fmt: skip
"""Columns with few different values."""


@with_config(strict=True, extra="forbid")
class _About(TypedDict):
    """What the metadata of a block says.

    ``episodes`` are from the first to the one after the last; of so many as ``kept``, the steps are there; ``tally``
    counts all.
    """

    format: int
    episodes: tuple[int, int]
    kept: int
    tally: TallyState


@with_config(extra="forbid")
class _AboutItems(TypedDict):
    """What the metadata of the items says; ``wording`` is None where reasons are stored as texts."""

    format: int
    end_reasons: list[str]
    wording: Wording | None


class _AboutUsers(TypedDict):
    """What the metadata of the users says."""

    format: int


_ABOUT_BLOCK, _ABOUT_ITEMS, _ABOUT_USERS = TypeAdapter(_About), TypeAdapter(_AboutItems), TypeAdapter(_AboutUsers)
_ITEMS_LIST, _USERS_LIST = TypeAdapter(list[Item]), TypeAdapter(list[User])
_SHARES = TypeAdapter(dict[str, float])


def has_pyarrow() -> bool:
    """Whether Parquet can be written and read here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True


def need_pyarrow(what: str) -> None:
    """See that pyarrow is installed; a MissingDependencyError where not, for ``what``."""
    if not has_pyarrow():
        raise MissingDependencyError(what, "pyarrow", INSTALL_PARQUET)


def block_path(directory: Path, number: int) -> Path:
    """Where the block of a number, from 0, is."""
    return directory / BLOCKS / f"block-{number:06}.parquet"


def _schema(terms: bool, signals: Sequence[str]) -> pa.Schema:
    """The columns of a block with these signals, whose reasons are stored as terms or as texts."""
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    tag = pa.dictionary(pa.int8(), pa.string())
    columns = {
        "episode": pa.int64(), "step": pa.int32(), "user": text, "place": pa.int32(), "item": text,
        "raw_rating": pa.float64(), "consumed": pa.bool_(), "rating": pa.float64(), "times": pa.int32(),
        "valence": tag, "arousal": tag, "reward": pa.float64(), "mood_valence": pa.float64(),
        "mood_arousal": pa.float64(), "end_reason": text, "retrieved_item": pa.list_(text),
        "retrieved_rating": pa.list_(pa.float64()),
    }  # fmt: skip
    reasons = {f"term_{name}": pa.float64() for name in TERMS} if terms else {"reason": text, "probabilities": text}
    kinds = {np.bool_: pa.bool_(), np.float64: pa.float64(), np.str_: text}
    return pa.schema(list((columns | {name: kinds[SIGNALS[name]] for name in signals} | reasons).items()))


# --------------------------------------------------------------------------------------------- writing


@dataclass(frozen=True)
class Shared:
    """What the blocks of a run share.

    Attributes:
        labels: what the numbers of the steps stand for.
        items: fields of each item, its id and title at least; gone through once, when a run begins.
        users: the profile of each user.
        wording: what reasons are worded from; None where they are stored as texts.
        embeddings: vectors of the items, shape ``(N, D)``, for the wording.
        signals: names of the signals of the steps.
    """

    labels: Labels
    items: Iterable[Mapping[str, Any]]
    users: Sequence[Mapping[str, Any]]
    wording: Wording | None = None
    embeddings: NDArray[np.float32] | None = None
    signals: Sequence[str] = ()

    @classmethod
    def of(cls, world: World, labels: Labels, signals: Sequence[str]) -> Shared:
        """What the blocks of a run in a world share."""
        users = [user.model_dump(mode="json") for user in world.population.users]
        items = map(item_fields, world.catalog.items)
        return cls(labels, items, users, wording_of(world), world.catalog.embeddings, signals)


class BlockFormat:
    """How the steps of a run are written to blocks in a directory.

    Attributes:
        terms: names of the terms that reasons are stored as; empty where they are stored as texts.
    """

    def __init__(self, shared: Shared, directory: Path) -> None:
        self.directory = directory
        self._shared = shared
        self.terms: Sequence[str] = () if shared.wording is None else TERMS
        labels = shared.labels
        self._items, self._users, self._end_reasons = (
            _texts(map(writable, names)) for names in (labels.items, labels.users, labels.end_reasons)
        )
        self.schema = _schema(bool(self.terms), shared.signals)

    def begin(self) -> None:
        """Make the folder and write the items and the users; a RunError where they cannot be written."""
        import pyarrow as pa

        folder, shared = self.directory / BLOCKS, self._shared
        with _writing(folder):
            folder.mkdir(exist_ok=True)
        columns: dict[str, Any] = {
            "item": self._items,
            "title": _texts(map(writable, shared.labels.titles)),
            "about": _texts(map(_json, shared.items)),
        }
        if shared.wording is not None and shared.embeddings is not None:
            flat = _numbers(shared.embeddings.reshape(-1), pa.float32())
            ends = np.arange(len(shared.embeddings) + 1, dtype=np.int32) * shared.embeddings.shape[1]
            columns["embedding"] = pa.ListArray.from_arrays(_numbers(ends, pa.int32()), flat)
        about: _AboutItems = {
            "format": _FORMAT, "end_reasons": list(shared.labels.end_reasons), "wording": shared.wording
        }  # fmt: skip
        _write_table(folder / _ITEMS, pa.table(columns), _ABOUT_ITEMS.dump_json(about))
        users = pa.table({"user": self._users, "about": _texts(map(_json, shared.users))})
        _write_table(folder / _USERS, users, _ABOUT_USERS.dump_json({"format": _FORMAT}))

    def table(self, steps: Steps, reasons: Sequence[str], shares: Sequence[str | None]) -> pa.Table:
        """Steps as an Arrow table; ``reasons`` and ``shares``, the probabilities in JSON, where they are texts."""
        import pyarrow as pa

        def coded(names: pa.Array, codes: NDArray[np.integer], missing: Flags | None, width: Any) -> pa.Array:
            return pa.DictionaryArray.from_arrays(_numbers(codes, width, missing), names)

        lists = _numbers(np.concatenate([[0], np.cumsum(steps.retrieved)]), pa.int32())
        not_consumed = ~steps.consumed
        arrays = {
            "episode": _numbers(steps.episode, pa.int64()),
            "step": _numbers(steps.step, pa.int32()),
            "user": coded(self._users, steps.user, None, pa.int32()),
            "place": _numbers(steps.place, pa.int32()),
            "item": coded(self._items, steps.item, steps.item < 0, pa.int32()),
            "raw_rating": _numbers(steps.raw_rating, pa.float64(), np.isnan(steps.raw_rating)),
            "consumed": _numbers(steps.consumed, pa.bool_()),
            "rating": _numbers(steps.rating, pa.float64(), not_consumed),
            "times": _numbers(steps.times, pa.int32(), not_consumed),
            "valence": coded(_texts(VALENCE_NAMES), steps.code // 3, not_consumed, pa.int8()),
            "arousal": coded(_texts(AROUSAL_NAMES), steps.code % 3, not_consumed, pa.int8()),
            "reward": _numbers(steps.reward, pa.float64()),
            "mood_valence": _numbers(steps.moods[:, 0], pa.float64()),
            "mood_arousal": _numbers(steps.moods[:, 1], pa.float64()),
            "end_reason": coded(self._end_reasons, steps.end, steps.end == 0, pa.int32()),
            "retrieved_item": pa.ListArray.from_arrays(
                lists, coded(self._items, steps.retrieved_item, None, pa.int32())
            ),
            "retrieved_rating": pa.ListArray.from_arrays(lists, _numbers(steps.retrieved_rating, pa.float64())),
        }
        for name, values in steps.signals.items():
            if SIGNALS[name] is np.str_:
                arrays[name] = pa.array(values, pa.string()).dictionary_encode()
            elif SIGNALS[name] is np.float64:
                arrays[name] = _numbers(values, pa.float64(), np.isnan(values))
            else:
                arrays[name] = _numbers(values, pa.bool_())
        if self.terms:
            for name, values in steps.terms.items():
                arrays[f"term_{name}"] = _numbers(values, pa.float64(), np.isnan(values))
        else:
            arrays["reason"] = pa.array(reasons, pa.string()).dictionary_encode()
            arrays["probabilities"] = pa.array(shares, pa.string()).dictionary_encode()
        return pa.Table.from_arrays([arrays[name] for name in self.schema.names], schema=self.schema)


def _numbers(values: NDArray[Any], kind: pa.DataType, missing: Flags | None = None) -> pa.Array:
    """Numbers or flags as an Arrow array. To be given an array of NumPy, Arrow imports pandas where that is installed,
    which takes longer than to make the arrays of a small run."""
    import pyarrow as pa

    def packed(flags: Flags) -> pa.Buffer:
        return pa.py_buffer(np.packbits(flags, bitorder="little"))

    flags = kind == pa.bool_()
    data = packed(values) if flags else pa.py_buffer(np.ascontiguousarray(values, kind.to_pandas_dtype()))
    return pa.Array.from_buffers(kind, len(values), [None if missing is None else packed(~missing), data])


def _texts(texts: Iterable[str]) -> pa.Array:
    """Texts as an Arrow array; why not by Arrow says :func:`_numbers`."""
    import pyarrow as pa

    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)])
    if ends[-1] > np.iinfo(np.int32).max:
        return pa.array(encoded, pa.string())  # in several pieces
    return pa.StringArray.from_buffers(
        len(encoded), pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(encoded))
    )


class BlockWriter:
    """Writes one block: the steps of consecutive episodes, to a file that has its name when all of them have ended.

    Args:
        kept: which episodes to write, from their numbers; None for all.
    """

    def __init__(self, made: BlockFormat, number: int, kept: Callable[[Ints], Flags] | None) -> None:
        self.path = block_path(made.directory, number)
        self._made, self._kept = made, kept
        self._partial = partial_path(self.path)
        self._writer: parquet.ParquetWriter | None = None
        self._parts: list[Steps] = []
        self._reasons: list[str] = []
        self._shares: list[str | None] = []
        self._rows = 0

    def write(
        self, steps: Steps, reason: Callable[[int], str], probabilities: Callable[[int], Mapping[str, float]]
    ) -> None:
        """Add steps; the reason and the probabilities of a row are only asked for where they are stored as texts.

        Raises:
            RunError: the disk is full or the file cannot be written.
        """
        self._parts.append(steps)
        if not self._made.terms:
            for row in range(len(steps)):
                self._reasons.append(writable(reason(row)))
                shares = {label: round(share, 4) for label, share in probabilities(row).items()}
                self._shares.append(_json(shares) if shares else None)
        self._rows += len(steps)
        if self._rows >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        from pyarrow import fs, parquet

        with _writing(self.path):
            if self._writer is None:
                self._partial.unlink(missing_ok=True)
                self._writer = parquet.ParquetWriter(
                    str(self._partial.absolute()),
                    self._made.schema,
                    filesystem=fs.LocalFileSystem(),  # a path with a colon is no address of a server
                    compression="zstd",
                    compression_level=1,
                    use_dictionary=[name for name in _CODED if name in self._made.schema.names]
                    + ["retrieved_item.list.element", "retrieved_rating.list.element"],
                    write_statistics=["episode"],
                )
            if self._parts:
                steps = joined(self._parts)
                table = self._made.table(steps, self._reasons, self._shares)
                if self._kept is not None:
                    table = table.filter(_numbers(self._kept(steps.episode), pa.bool_()))
                self._writer.write_table(table, row_group_size=len(table) or None)
        self._parts, self._reasons, self._shares, self._rows = [], [], [], 0

    def finish(self, episodes: tuple[int, int], tally: TallyState) -> None:
        """Write what is left and what the block is about, and give the file its name when it is on the disk.

        Raises:
            RunError: the disk is full or the file cannot be written.
        """
        self._flush()
        assert self._writer is not None
        kept = episodes[1] - episodes[0] if self._kept is None else int(self._kept(np.arange(*episodes)).sum())
        about = _ABOUT_BLOCK.dump_json({"format": _FORMAT, "episodes": episodes, "kept": kept, "tally": tally})
        with _writing(self.path):
            self._writer.add_key_value_metadata({_ABOUT: about})
            self._writer.close()
            _synced(self._partial)
            os.replace(self._partial, self.path)
        self._writer = None

    def abandon(self) -> None:
        """Remove what was written of the block, unless it is finished."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)


def block_files(world: World, labels: Labels, config: RunConfig, directory: Path, whole: bool) -> BlockFiles | None:
    """The blocks that a run writes; None where its configuration says otherwise.

    Args:
        whole: whether episodes depend on earlier ones, so that all of them are one block.
    """
    name, _, share = str(config.records).partition(":")
    if name not in ("parquet", "sample"):
        return None
    kept = None if name == "parquet" else sampled(config.seed, float(share))
    size = config.episodes if whole else max(_BLOCK, _PER_SLOT * (config.num_envs or 1))
    shared = Shared.of(world, labels, signals_of(world, config))
    return BlockFiles(BlockFormat(shared, directory), config.episodes, size, kept)


def sampled(seed: int, share: float) -> Callable[[Ints], Flags]:
    """Which episodes are in a sample of a share of them, from their numbers; a hash of seed and number decides."""
    start = np.uint64(int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest(), "big"))

    def kept(episodes: Ints) -> Flags:
        mixed = episodes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start  # splitmix64
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (mixed ^ (mixed >> np.uint64(31))) < share * 2.0**64

    return kept


def block_ranges(episodes: int, size: int) -> list[tuple[int, int]]:
    """The episodes of each block, from the first to the one after the last.

    A block has ``size`` episodes. What is left at the end, between one and two times that, is cut into four: workers
    that do blocks side by side end at about the same time.
    """
    if episodes <= size:
        return [(0, episodes)]
    whole = episodes // size - 1
    rest = episodes - whole * size
    ends = [*range(0, whole * size, size), *(whole * size + rest * part // _LAST for part in range(_LAST + 1))]
    return list(itertools.pairwise(ends))


class BlockFiles:
    """The blocks of one run, as they are written.

    Args:
        size: episodes of a block, as of :func:`block_ranges`.
        kept: as of :class:`BlockWriter`.

    Attributes:
        ranges: the episodes of each block, from the first to the one after the last.
        terms: names of the terms that reasons are stored as.
    """

    def __init__(self, made: BlockFormat, episodes: int, size: int, kept: Callable[[Ints], Flags] | None) -> None:
        self.ranges = block_ranges(episodes, size)
        self.terms = made.terms
        self._made, self._kept = made, kept

    def begin(self) -> None:
        """Make what all blocks share.

        Raises:
            RunError: it cannot be written, or there are blocks of other episodes than this run's.
        """
        self._made.begin()
        expected = {block_path(self._made.directory, number) for number in range(len(self.ranges))}
        for path in sorted((self._made.directory / BLOCKS).glob("block-*")):
            if path not in expected:
                raise RunError(f"{path} is no part of this run; the files were changed")

    def read(self, number: int) -> TallyState | None:
        """What a block counts that is there already; None where it is not.

        Raises:
            RunError: it is damaged, or a block of other episodes.
        """
        path = block_path(self._made.directory, number)
        if not path.exists():
            return None
        with _Block(path) as block:
            if block.episodes != self.ranges[number]:
                first, end = block.episodes
                raise RunError(f"{path} has the episodes {first} to {end - 1}, which are others than in this run")
            return block.tally

    @contextmanager
    def writing(self, number: int) -> Iterator[BlockWriter]:
        """A writer of a block, which is removed unless it is finished."""
        writer = BlockWriter(self._made, number, self._kept)
        try:
            yield writer
        finally:
            writer.abandon()


def _json(value: Any) -> str:
    # Half of a surrogate pair has no encoding; within JSON its escape stands for it.
    return json_text.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")


def _write_table(path: Path, table: pa.Table, about: bytes) -> None:
    """Write a Parquet file whole or not at all."""
    from pyarrow import fs, parquet

    partial = partial_path(path)
    with _writing(path):
        try:
            partial.unlink(missing_ok=True)
            table = table.replace_schema_metadata({_ABOUT: about})
            parquet.write_table(table, str(partial.absolute()), compression="zstd", filesystem=fs.LocalFileSystem())
            _synced(partial)
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise


def _synced(path: Path) -> None:
    """See that a file is on the disk before it gets its name."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def writable(text: str) -> str:
    """A text without half of a surrogate pair, which has no encoding: its escape stands for it, as in JSON lines."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8") if not text.isascii() else text


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


# --------------------------------------------------------------------------------------------- reading


class _Block:
    """A block that is read; as a context manager, its file is closed at the end.

    Attributes:
        episodes: its episodes, from the first to the one after the last.
        tally: what it counts.

    Raises:
        RunError: it cannot be read, is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self.path = path
        with _reading(path):
            self._file = parquet.ParquetFile(plain_file(path).absolute())
        try:
            about = _about(path, self._file.metadata.metadata, _ABOUT_BLOCK)
            names = self._file.schema_arrow.names
            self.terms = "reason" not in names
            self.signals = tuple(name for name in SIGNALS if name in names)
            if self._file.schema_arrow.remove_metadata() != _schema(self.terms, self.signals):
                raise RunError(f"{path} is damaged: its columns are not those of records")
        except BaseException:
            self._file.close()
            raise
        self.episodes: tuple[int, int] = about["episodes"]
        self.tally: TallyState = about["tally"]
        self._kept = about["kept"]

    def __enter__(self) -> _Block:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def ends(self, labels: Labels) -> Ints:
        """Why each of its episodes ended, as an index into the end reasons; 0 of those whose steps are not here."""
        with _reading(self.path):
            table = self._file.read(columns=["episode", "end_reason"])
            known = {writable(name): code for code, name in enumerate(labels.end_reasons)}
            end = _codes(table["end_reason"].combine_chunks(), known, "end_reason")
            episode = table["episode"].to_numpy() - self.episodes[0]
            codes = np.zeros(self.episodes[1] - self.episodes[0], dtype=np.intp)
            codes[episode[end >= 0]] = end[end >= 0]
            return codes

    def groups(self, labels: Labels, columns: Sequence[str]) -> Iterator[tuple[Steps, pa.Table]]:
        """The steps of each row group, and the columns that were read.

        Raises:
            RunError: a value is not what it should be, or steps are missing or do not belong together.
        """
        order = _Order(self.path, *self.episodes)
        users, items, ends = (
            {writable(name): code for code, name in enumerate(names)}
            for names in (labels.users, labels.items, labels.end_reasons)
        )
        for number in range(self._file.num_row_groups):
            with _reading(self.path):
                if self._file.metadata.row_group(number).total_byte_size > _LARGEST_GROUP:
                    raise ValueError("a row group is larger than any that EmoSim writes")
                table = self._file.read_row_group(number, columns=list(columns))
                steps = _steps_of(table, users, items, ends)
            order.take(steps)
            yield steps, table
        order.check(self._kept, self.tally["steps"] if self._kept == self.episodes[1] - self.episodes[0] else None)


class _Order:
    """Sees that the steps of a block belong together."""

    def __init__(self, path: Path, first: int, end: int) -> None:
        self._path, self._first = path, first
        self._last = np.zeros(end - first, dtype=np.int32)
        self._user = np.full(end - first, -1, dtype=np.int32)
        self._ended = np.zeros(end - first, dtype=np.bool_)
        self._steps = 0

    def take(self, steps: Steps) -> None:
        """See that each step is the next of its episode."""
        place = steps.place
        begins = place == 0
        follows = np.flatnonzero(~begins)
        same = ("episode", "step", "user", "reward", "end")
        if len(place) and not begins[0]:
            raise self._wrong("begins in the middle of a slate")
        before = follows - 1
        for column in (steps.moods[:, 0], steps.moods[:, 1], *(getattr(steps, name) for name in same)):
            if (column[follows] != column[before]).any():
                raise self._wrong("has a slate whose rows differ in what is about the step")
        if (place[follows] != place[before] + 1).any() or (steps.item[follows] < 0).any():
            raise self._wrong("has a slate whose places are not in order")
        rows = np.flatnonzero(begins)
        episode, step, user, end = (getattr(steps, name)[rows] for name in ("episode", "step", "user", "end"))
        index = episode - self._first
        if ((index < 0) | (index >= len(self._last))).any():
            raise self._wrong("has an episode that is none of the block")
        order = np.argsort(index, kind="stable")
        index, step, user, end = index[order], step[order], user[order], end[order]
        new = np.ones(len(index), dtype=np.bool_)
        new[1:] = index[1:] != index[:-1]
        expected = np.empty(len(index), dtype=np.int64)
        expected[new] = self._last[index[new]] + 1
        expected[1:][~new[1:]] = step[:-1][~new[1:]] + 1
        known = self._user[index]
        known[known < 0] = user[known < 0]
        after_end = np.zeros(len(index), dtype=np.bool_)
        after_end[new] = self._ended[index[new]]
        after_end[1:] |= ~new[1:] & (end[:-1] > 0)
        self._user[index] = user
        wrong = (step != expected) | (known != user) | after_end | (self._user[index] != user)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            number = int(index[at]) + self._first
            raise self._wrong(f"has step {int(step[at])} of episode {number} out of place")
        last = np.ones(len(index), dtype=np.bool_)
        last[:-1] = new[1:]
        self._last[index[last]] = step[last]
        self._ended[index[last]] = end[last] > 0
        self._steps += int(np.count_nonzero(steps.item[rows] >= 0))

    def check(self, episodes: int, steps: int | None) -> None:
        """See that all were taken: so many episodes, and steps where these are known."""
        if int(self._ended.sum()) != episodes or int((self._last > 0).sum()) != episodes:
            raise self._wrong(f"has {int(self._ended.sum()):,} episodes that ended; expected {episodes:,}")
        if steps is not None and steps != self._steps:
            raise self._wrong(f"has {self._steps:,} steps; expected {steps:,}")

    def _wrong(self, what: str) -> RunError:
        return RunError(f"{self._path} is damaged: it {what}")


class RunBlocks:
    """The blocks of a run, as they are read.

    Attributes:
        labels: what the numbers of its steps stand for.
        blocks: the paths of the blocks that are there, in their order.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        RunError: what the blocks share is missing or damaged.
    """

    def __init__(self, directory: Path) -> None:
        need_pyarrow(f"reading the records of {directory}")
        folder = directory / BLOCKS
        self._items_path, self._users_path = folder / _ITEMS, folder / _USERS
        self._about_items, items = _read_table(self._items_path, _ABOUT_ITEMS, ("item", "title", "about"))
        _, users = _read_table(self._users_path, _ABOUT_USERS, ("user", "about"))
        with _reading(self._items_path):
            self._items = [json_text.loads(text) for text in items["about"].to_pylist()]
            self._embedding = items["embedding"] if "embedding" in items.column_names else None
        with _reading(self._users_path):
            self._profiles = [json_text.loads(text) for text in users["about"].to_pylist()]
        for path, values in ((self._items_path, self._items), (self._users_path, self._profiles)):
            with _reading(path):
                if len({writable(one["id"]) for one in values}) != len(values):
                    raise ValueError("an id stands twice")
        self.labels = Labels(
            [item["id"] for item in self._items],
            [item["title"] for item in self._items],
            [profile["id"] for profile in self._profiles],
            self._about_items["end_reasons"],
        )
        self.blocks = sorted(folder.glob("block-*.parquet"))

    def ranges(self, blocks: Sequence[Path] | None = None) -> list[tuple[int, int]]:
        """The episodes of each block, or of some, from the first to the one after the last."""
        parts = []
        for path in self.blocks if blocks is None else blocks:
            with _Block(path) as block:
                parts.append(block.episodes)
        return parts

    @cached_property
    def users(self) -> list[User]:
        """The users by their numbers; a RunError where one is damaged."""
        try:
            return _USERS_LIST.validate_python(self._profiles)
        except ValidationError as error:
            raise RunError(f"{self._users_path} is damaged: {first_fault(error)}") from error

    @cached_property
    def _worder(self) -> Worder:
        wording = self._about_items["wording"]
        try:
            if wording is None or self._embedding is None:
                raise ValueError("it does not say how reasons are worded")
            items = _ITEMS_LIST.validate_python(self._items)
            flat = self._embedding.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            if not (np.abs(flat) <= 1.001).all():  # of vectors of length 1; NaN is none of them
                raise ValueError("an embedding is no vector of length 1")
            return Worder(wording, items, flat.reshape(len(items), -1), self.users)
        except ValidationError as error:
            raise RunError(f"{self._items_path} is damaged: {first_fault(error)}") from error
        except (ConfigurationError, ValueError) as error:
            raise RunError(f"{self._items_path} is damaged: {error}") from error

    def tallies(self, blocks: Sequence[Path] | None = None) -> Iterator[TallyState]:
        """What each block counts, or each of some."""
        for path in self.blocks if blocks is None else blocks:
            with _Block(path) as block:
                yield block.tally

    def steps(self, blocks: Sequence[Path] | None = None) -> Iterator[tuple[Steps, Ints]]:
        """The steps of each row group, without reasons and memories, and how the episode of each row ended.

        Args:
            blocks: some of :attr:`blocks`; None for all.

        Raises:
            RunError: a block is damaged; names it.
        """
        for path in self.blocks if blocks is None else blocks:
            with _Block(path) as block:
                ends = block.ends(self.labels)
                for steps, _ in block.groups(self.labels, (*_NUMBERS, *block.signals)):
                    yield steps, ends[steps.episode - block.episodes[0]]

    def records(
        self, episodes: Callable[[Ints], Flags] | None = None, blocks: Sequence[Path] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The steps as lines of interactions.jsonl hold them, reasons included.

        Args:
            episodes: which ones, from their numbers; None for all.
            blocks: some of :attr:`blocks`; None for all.

        Raises:
            RunError: a block is damaged; names it.
        """
        _ = self.users
        for path in self.blocks if blocks is None else blocks:
            with _Block(path) as block:
                if episodes is not None and not episodes(np.arange(*block.episodes)).any():
                    continue
                names = _schema(block.terms, block.signals).names
                for steps, table in block.groups(self.labels, names):
                    chosen = None if episodes is None else episodes(steps.episode)
                    yield from self._records(path, steps, table, chosen)

    def _records(self, path: Path, steps: Steps, table: pa.Table, chosen: Flags | None) -> Iterator[dict[str, Any]]:
        texts: list[str | None] = []
        shares: list[Mapping[str, float]] = []
        terms = "reason" not in table.column_names
        if not terms:
            with _reading(path):
                texts = table["reason"].to_pylist()
                shares = [_SHARES.validate_json(text) if text else {} for text in table["probabilities"].to_pylist()]
        if chosen is not None:
            kept = np.flatnonzero(chosen).tolist()
            texts, shares = ([column[row] for row in kept] if column else [] for column in (texts, shares))  # type: ignore[assignment]
            steps = steps.rows(chosen)
        if not len(steps):
            return
        reason: Callable[[int], str | None] = self._worder.reasons(steps) if terms else texts.__getitem__
        probabilities: Callable[[int], Mapping[str, float]] = (lambda row: {}) if terms else shares.__getitem__
        records = records_of(steps, self.labels, reason, probabilities)
        for record, user in zip(records, steps.user[steps.place == 0].tolist(), strict=True):
            if record["step"] == 1:
                record["user_profile"] = self._profiles[user]
            yield record


def _steps_of(table: pa.Table, users: dict[str, int], items: dict[str, int], ends: dict[str, int]) -> Steps:
    """A table as steps; a ValueError where a value is not what it should be."""
    import pyarrow.compute as pc

    columns = {name: table[name].combine_chunks() for name in table.column_names}
    for name in (*_NEVER_NULL, *(name for name, kind in SIGNALS.items() if kind is not np.float64)):
        if name in columns and columns[name].null_count:
            raise ValueError(f"{name} has no value in a row")

    def numbers(name: str, kind: type = np.float64) -> NDArray[Any]:
        column = columns[name]
        column = column.fill_null(0) if kind is not np.float64 else column
        values = column.to_numpy(zero_copy_only=False).astype(kind, copy=False)
        if kind is np.float64 and np.isinf(values).any():
            raise ValueError(f"{name} has a value that is no finite number")
        return values

    tags = (
        {name: code for code, name in enumerate(VALENCE_NAMES)},
        {name: code for code, name in enumerate(AROUSAL_NAMES)},
    )
    valence, arousal = _codes(columns["valence"], tags[0], "valence"), _codes(columns["arousal"], tags[1], "arousal")
    consumed = columns["consumed"].to_numpy(zero_copy_only=False)
    retrieved, retrieved_item, retrieved_rating = np.zeros(len(table), np.intp), np.zeros(0, np.intp), np.zeros(0)
    if "retrieved_item" in columns:
        lists, rated = columns["retrieved_item"], columns["retrieved_rating"]
        retrieved = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.intp)
        if not pc.list_value_length(rated).equals(pc.list_value_length(lists)):
            raise ValueError("a row has not as many retrieved ratings as retrieved items")
        retrieved_item = _codes(lists.flatten(), items, "retrieved_item")
        retrieved_rating = rated.flatten().to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    terms = {name.removeprefix("term_"): numbers(name) for name in table.column_names if name.startswith("term_")}
    signals = {
        name: numbers(name)
        if kind is np.float64
        else columns[name].to_numpy(zero_copy_only=False).astype(kind, copy=False)
        for name, kind in SIGNALS.items()
        if name in columns
    }
    end = _codes(columns["end_reason"], ends, "end_reason")
    steps = Steps(
        episode=numbers("episode", np.int64),
        step=numbers("step", np.int64),
        user=_codes(columns["user"], users, "user"),
        place=numbers("place", np.int64),
        item=_codes(columns["item"], items, "item"),
        raw_rating=numbers("raw_rating"),
        consumed=consumed,
        rating=numbers("rating"),
        times=numbers("times", np.int64),
        code=np.where(consumed, 3 * valence + arousal, 0),
        reward=numbers("reward"),
        moods=np.stack([numbers("mood_valence"), numbers("mood_arousal")], axis=1),
        end=np.where(end < 0, 0, end),
        retrieved=retrieved,
        retrieved_item=retrieved_item,
        retrieved_rating=retrieved_rating,
        terms=terms,
        signals=signals,
    )
    if "clicked" in signals and (consumed & ~signals["clicked"] | signals["clicked"] & ~signals["examined"]).any():
        raise ValueError("an item was consumed and not clicked, or clicked and not examined")
    lost = consumed & (np.isnan(steps.rating) | (steps.times < 1) | (valence < 0) | (arousal < 0) | (steps.item < 0))
    if lost.any():
        raise ValueError("an item was consumed and has no rating, times, valence or arousal")
    if (steps.step < 1).any() or (steps.place < 0).any() or not np.isfinite(retrieved_rating).all():
        raise ValueError("a step, a place or a retrieved rating is out of its range")
    if (steps.retrieved_item < 0).any() or np.isnan(steps.reward).any() or np.isnan(steps.moods).any():
        raise ValueError("a retrieved item, a reward or a mood has no value")
    return steps


def _codes(column: Any, index: dict[str, int], name: str) -> Ints:
    """Numbers of a column of names; -1 where there is none; a ValueError for a name that is unknown."""
    names = column.dictionary.to_pylist()
    known = np.array([*(index.get(one, -2) for one in names), -1], dtype=np.intp)
    codes = known[column.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)]
    if (codes == -2).any():
        strange = names[int(np.flatnonzero(known == -2)[0])]
        raise ValueError(f"{name} has {strange!r}, which the run does not know")
    return codes


def _read_table(path: Path, about: TypeAdapter[Any], columns: Sequence[str]) -> tuple[Any, pa.Table]:
    """A table that all blocks share, and what its metadata says."""
    from pyarrow import parquet

    with _reading(path), parquet.ParquetFile(plain_file(path).absolute()) as file:
        described = _about(path, file.metadata.metadata, about)
        table = file.read()
        for name in columns:
            if table[name].null_count:
                raise ValueError(f"{name} has no value in a row")
        return described, table


def _about(path: Path, metadata: Mapping[bytes, bytes] | None, schema: TypeAdapter[Any]) -> Any:
    """What the metadata of a file says, by its schema."""
    text = (metadata or {}).get(_ABOUT)
    if text is None:
        raise RunError(f"{path} is damaged: its metadata does not say what it is")
    try:
        about = schema.validate_json(text)
    except ValidationError as error:
        raise RunError(f"{path} is damaged: {first_fault(error)}") from error
    check_format(path, about, _FORMAT)
    return about


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Makes a RunError of what fails because a file is missing, cannot be read or is damaged."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"{path.parent} has no {path.name}") from error
    except (pa.ArrowException, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {(str(error) or type(error).__name__).splitlines()[0]}") from error
    except OSError as error:
        message = error.strerror or f"it is damaged ({str(error).splitlines()[0]})"
        raise RunError(f"{path} cannot be read: {message}") from error
