"""Source: where a model's files are, and a fingerprint of them. Loads nothing."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
"""Endings of files of weights."""

_READ = (".json", ".jinja", ".txt", ".model", ".py")
_LARGEST_READ = 64 * 2**20
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def local_folder(model: str) -> Path | None:
    """The folder that a model's name means; None where it is a name on the Hub."""
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
        found = [one.name for one in hub_cache().iterdir() if one.name.startswith(prefix)]
    except OSError:
        return []
    return sorted(name.removeprefix(prefix).replace("--", "/") for name in found)


def downloaded(name: str, revision: str | None) -> Path | None:
    """The folder of a model of the Hub that was downloaded; its name is the commit. None where there is none."""
    folder = hub_cache() / f"models--{name.replace('/', '--')}"
    wanted = revision or "main"
    try:
        commit = wanted if _COMMIT.fullmatch(wanted) else (folder / "refs" / wanted).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    snapshot = folder / "snapshots" / commit
    return snapshot if (snapshot / "config.json").exists() else None


def reach_hub(model: str, seconds: float = 8.0) -> None:
    """See that the Hub answers anything at all, as its client would try for minutes.

    Raises:
        OSError: it does not, in time.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    failed: list[Exception] = []

    def ask() -> None:
        try:
            HfApi().model_info(model, timeout=seconds)
        except HfHubHTTPError:  # an answer; what it means, the download says
            pass
        except Exception as error:
            failed.append(error)

    asking = threading.Thread(target=ask, name="emosim-hub", daemon=True)
    asking.start()
    asking.join(seconds)
    if asking.is_alive():
        raise TimeoutError(f"the Hub does not answer within {seconds:.0f} seconds")
    if failed:
        raise OSError(str(failed[0]) or type(failed[0]).__name__) from failed[0]


def identity(model: str, revision: str | None) -> str:
    """Which model this is: other files have another text.

    Args:
        model: folder, or name on the Hub.
        revision: branch, tag or commit on the Hub.

    Returns:
        The folder and a fingerprint of its files, or the name and the commit, as far as it is known here.
    """
    folder = local_folder(model)
    if folder is not None:
        return f"{folder.resolve()} {fingerprint(folder)}"
    found = downloaded(model, revision)
    return f"{model} {found.name if found else revision or 'main'}"


def fingerprint(folder: Path) -> str:
    """Of the files of a model: the content of the small ones, size and time of those of weights.

    Configuration, tokenizer and chat template are among the small ones: all of them change answers.
    """
    if not folder.is_dir():
        return "missing"
    digest = hashlib.sha256()
    for path in files(folder):
        name, known = path.name, path.stat()
        if name.endswith(_READ) and known.st_size <= _LARGEST_READ:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif name.endswith((*_READ, *WEIGHTS)):
            content = f"{known.st_size} {known.st_mtime_ns}"
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
