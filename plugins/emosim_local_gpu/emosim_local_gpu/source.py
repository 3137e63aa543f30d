"""Source: location and fingerprint of the files of a model."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
"""Endings of files of weights."""

_READ = (".json", ".jinja", ".txt", ".model", ".py")
_LARGEST_READ = 64 * 2**20
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def local_folder(model: str) -> Path | None:
    """The folder that a model's name refers to; None if it is a name on the Hub."""
    path = Path(model).expanduser()
    if path.exists() or not _HUB_NAME.fullmatch(model):
        return path.absolute()
    return None


def hub_cache() -> Path:
    """The folder of downloads from the Hub."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or home / "hub").expanduser()


def downloaded_models() -> list[str]:
    """Names of the models that were downloaded from the Hub."""
    prefix = "models--"
    try:
        names = [one.name for one in hub_cache().iterdir() if one.name.startswith(prefix)]
    except OSError:
        return []
    return sorted(name.removeprefix(prefix).replace("--", "/") for name in names)


def downloaded(name: str, revision: str | None) -> Path | None:
    """The folder of a downloaded model of the Hub, named after the commit; None if it is not downloaded."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json", cache_dir=hub_cache(), revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def identity(model: str, revision: str | None) -> str:
    """The folder and a fingerprint of its files; or the name and the commit, or the revision where it is not here."""
    folder = local_folder(model)
    if folder is not None:
        return f"{folder.resolve()} {fingerprint(folder)}"
    snapshot = downloaded(model, revision)
    return f"{model} {snapshot.name if snapshot else revision or 'main'}"


def fingerprint(folder: Path) -> str:
    """Fingerprint of the files of a model: the content of small files, size and time of those of weights.

    Configuration, tokenizer and chat template are among the small ones: all of them change answers.
    """
    if not folder.is_dir():
        return "missing"
    digest = hashlib.sha256()
    for path in files(folder):
        name, status = path.name, path.stat()
        if name.endswith(_READ) and status.st_size <= _LARGEST_READ:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif name.endswith((*_READ, *WEIGHTS)):
            content = f"{status.st_size} {status.st_mtime_ns}"
        else:
            continue
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def files(folder: Path) -> Iterator[Path]:
    """The files of a model, and those of a folder for chat templates, sorted."""
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path
        elif path.is_dir() and path.name == "additional_chat_templates":
            yield from sorted(one for one in path.iterdir() if one.is_file())


def weight_bytes(folder: Path) -> int:
    """Bytes of the files of weights in a folder; only the safetensors where there are both kinds."""
    sizes = {
        path.name: path.stat().st_size
        for path in files(folder)
        if path.name.endswith(WEIGHTS) and not path.name.startswith(("consolidated", "original", "training_args"))
    }
    safe = [size for name, size in sizes.items() if name.endswith(".safetensors")]
    return sum(safe) if safe else sum(sizes.values())
