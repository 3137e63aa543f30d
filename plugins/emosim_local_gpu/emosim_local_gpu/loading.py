"""Loading: loads a model of transformers, or raises an error that says what is missing."""

from __future__ import annotations

import importlib.util
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosim_core import ConfigurationError, EmoSimError, MissingDependencyError
from emosim_core.llm import LLMRequestError
from emosim_core.loading import reach_hub
from emosim_local_gpu import memory, source
from emosim_local_gpu.chat_format import ChatFormat, line_ends
from emosim_local_gpu.engine import Engine
from emosim_local_gpu.json_writer import Schemas
from emosim_local_gpu.options import LocalOptions

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)

_EXTRAS = {
    "bitsandbytes": ("bitsandbytes", "accelerate"),
    "gguf": ("gguf", "accelerate"),
    "gptq": ("gptqmodel", "optimum"),
}
"""Packages that a kind of quantisation needs; the extra of this distribution has its name."""

_SHORTER = "use a smaller model, dtype=bfloat16, quantization=4bit, or device_map=auto to spread it over all devices"


@dataclass(frozen=True)
class Loaded:
    """A loaded model: ``longest`` tokens of a prompt and its answer (None for no limit), ``needs`` bytes of weights."""

    engine: Engine
    format: ChatFormat
    schemas: Schemas
    ends: tuple[int, ...]
    longest: int | None
    needs: int

    def free(self) -> None:
        """Free what is cached of earlier requests, and other unused memory."""
        self.engine.forget()
        memory.free(self.engine.device)


def load(options: LocalOptions) -> Loaded:
    """Load the model.

    Raises:
        ConfigurationError: the options contradict each other, or name a device that does not exist.
        MissingDependencyError: the model needs a package that is not installed.
        LLMRequestError: there is no such model, it cannot be read, or it needs more memory than there is.
    """
    place = source.place_of(options.model, options.gguf_file)
    _check(options, place)
    device = _device(options)
    folder = _folder(options, place)
    begun = time.perf_counter()
    _LOG.info("loading %s on %s", options.model, options.device_map or device)
    try:
        loaded = _local_or_downloaded(options, place, folder, device)
    except EmoSimError:
        raise
    except Exception as error:
        raise _worded(error, options, place, folder, device) from error
    _LOG.info(
        "loaded %s: %s of weights, %s, in %.1f s",
        options.model,
        memory.in_words(loaded.needs),
        str(loaded.engine.model.dtype).removeprefix("torch."),
        time.perf_counter() - begun,
    )
    return loaded


def _local_or_downloaded(
    options: LocalOptions, place: source.Place, folder: Path | None, device: torch.device
) -> Loaded:
    """Load local files without a call to the Hub; only missing files are downloaded."""
    if folder is not None:
        try:
            return _loaded(options.model_copy(update={"local_files_only": True}), place, folder, device)
        except OSError:
            if options.local_files_only or place.folder is not None:
                raise
    if not options.local_files_only:
        reach_hub(options.model)
    return _loaded(options, place, folder, device)


def _loaded(options: LocalOptions, place: source.Place, folder: Path | None, device: torch.device) -> Loaded:
    with quiet():
        config = _part("AutoConfig", options, place)
        _need_packages(options, config)
        _need_memory(options, place, folder, config, device)
        tokenizer = _part("AutoTokenizer", options, place)
        return _ready(options, _model(options, place, config, device), tokenizer)


def _check(options: LocalOptions, place: source.Place) -> None:
    if place.gguf_file:
        if options.quantization != "none":
            raise ConfigurationError(
                f"{options.model} is quantised already (gguf): leave out quantization={options.quantization}"
            )
        _need(f"the file {place.gguf_file}", _EXTRAS["gguf"], "gguf")
    if options.device_map and options.device != "auto":
        raise ConfigurationError(
            f"device_map={options.device_map!r} chooses the devices itself: leave out device={options.device!r}"
        )
    if options.device_map:
        _need("device_map", ("accelerate",), "accelerate")
    if options.quantization != "none":
        _need(f"quantization={options.quantization}", _EXTRAS["bitsandbytes"], "bitsandbytes")


def _need(what: str, packages: tuple[str, ...], extra: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(what, package, f"pip install 'emosim-local-gpu[{extra}]'")


def _need_packages(options: LocalOptions, config: Any) -> None:
    """Check the packages for a model whose configuration says that it is quantised."""
    method = _quantized(config)
    if method and options.quantization != "none":
        raise ConfigurationError(
            f"{options.model} is quantised already ({method}): leave out quantization={options.quantization}"
        )
    if method in _EXTRAS:
        _need(f"{options.model}, which is quantised by {method},", _EXTRAS[method], method)


def _quantized(config: Any) -> str:
    settings = getattr(config, "quantization_config", None) or {}
    method = settings.get("quant_method", "") if isinstance(settings, dict) else getattr(settings, "quant_method", "")
    return str(getattr(method, "value", method))


def _device(options: LocalOptions) -> torch.device:
    import torch

    cuda = torch.cuda.is_available()
    if options.device == "auto":
        return torch.device("cuda:0" if cuda else "cpu")
    device = torch.device(options.device)
    if device.type == "cuda" and not (cuda and (device.index or 0) < torch.cuda.device_count()):
        count = torch.cuda.device_count() if cuda else 0
        raise ConfigurationError(
            f"there is no device {options.device!r}: torch {torch.__version__} sees {count or 'no'} graphics "
            f"card{'' if count == 1 else 's'}; use device=auto or device=cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigurationError("there is no device 'mps' here; use device=auto or device=cpu")
    return device


def _folder(options: LocalOptions, place: source.Place) -> Path | None:
    """The folder of the model's files; None if they are not downloaded."""
    folder = place.folder
    if folder is None:
        return source.downloaded(options.model, options.revision, place.gguf_file)
    if (file := place.gguf_path) is not None:
        if not file.is_file():
            raise LLMRequestError(f"the file {file} does not exist. Name a .gguf file, or a folder with one.")
        return folder
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise LLMRequestError(
            f"the model folder {folder} {what}. Name a folder with a config.json, a .gguf file, or a model on the "
            "Hugging Face Hub such as local:org/name."
        )
    if not (folder / "config.json").exists():
        raise LLMRequestError(
            f"the folder {folder} holds no model: it has no config.json and no .gguf file. Name the folder that "
            "save_pretrained wrote or that was downloaded from the Hub."
        )
    return folder


def _need_memory(
    options: LocalOptions, place: source.Place, folder: Path | None, config: Any, device: torch.device
) -> None:
    """Reject a model that is too large before it fills the memory."""
    if folder is None or options.device_map or options.quantization != "none":
        return
    needs, has = _needs(options, place, folder, config), memory.available(device)
    if has is not None and needs > has:
        raise LLMRequestError(
            f"{options.model} needs {memory.in_words(needs)} for its weights alone, and {device} has "
            f"{memory.in_words(has)} free: {_SHORTER}"
        )


def _needs(options: LocalOptions, place: source.Place, folder: Path, config: Any) -> int:
    """Bytes of the weights as they are loaded. Those of a .gguf file are loaded as whole numbers of a type."""
    if place.gguf_file:
        import torch
        import transformers

        maker: Any = transformers.AutoModelForCausalLM
        with torch.device("meta"):
            count = int(maker.from_config(config).num_parameters())
        return count * (4 if options.dtype == "auto" else int(_dtype(options).itemsize))
    needs = source.weight_bytes(folder)
    if options.dtype != "auto" and not _quantized(config):
        saved = getattr(getattr(config, "dtype", None), "itemsize", None)
        needs = needs * int(_dtype(options).itemsize) // int(saved) if saved else needs
    return needs


def _dtype(options: LocalOptions) -> Any:
    import torch

    return options.dtype if options.dtype == "auto" else getattr(torch, options.dtype)


def _part(maker: str, options: LocalOptions, place: source.Place, **more: Any) -> Any:
    """A part of the model, loaded by a class of transformers."""
    import transformers

    if place.gguf_file:
        more["gguf_file"] = place.gguf_file
    return getattr(transformers, maker).from_pretrained(
        options.model if place.folder is None else str(place.folder),
        revision=options.revision or "main",
        trust_remote_code=options.trust_remote_code,
        local_files_only=options.local_files_only or place.folder is not None,
        **more,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Without progress bars where nobody sees them."""
    import transformers

    bars: Any = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    if shown and not sys.stderr.isatty():
        bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def _model(options: LocalOptions, place: source.Place, config: Any, device: torch.device) -> Any:
    import transformers

    more: dict[str, Any] = {"config": config, "dtype": _dtype(options)}
    if place.gguf_file and options.dtype == "auto":
        more["dtype"] = "float32"  # 16 bits are many times slower on processors that do not compute with them
    placed = bool(options.device_map) or options.quantization != "none"
    if options.quantization != "none":
        shrink: Any = transformers.BitsAndBytesConfig
        four = options.quantization == "4bit"
        more["quantization_config"] = shrink(load_in_4bit=four, load_in_8bit=not four)
    if placed:
        more["device_map"] = options.device_map or {"": device}
    model = _part("AutoModelForCausalLM", options, place, **more)
    if not placed and model.device != device:
        model = model.to(device)
    return model.eval()


def _ready(options: LocalOptions, model: Any, tokenizer: Any) -> Loaded:
    device = model.get_input_embeddings().weight.device
    text = model.config.get_text_config()
    form = ChatFormat(tokenizer, _ends(model, tokenizer), options.model)
    schemas = Schemas(tokenizer, int(text.vocab_size), form.ends)
    engine = Engine(model, device, options.prefix_sharing)
    ends = set(form.ends) | (line_ends(tokenizer) if form.plain else set())
    longest = getattr(text, "max_position_embeddings", None)
    needs = int(model.get_memory_footprint())
    return Loaded(engine, form, schemas, tuple(sorted(ends)), int(longest) if longest else None, needs)


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """Ids of the tokens that end an answer, wherever the model's files name them."""
    sources = (getattr(model, "generation_config", None), model.config.get_text_config(), tokenizer)
    named = [getattr(source, "eos_token_id", None) for source in sources]
    ends = [end for one in named for end in (one if isinstance(one, list | tuple) else [one])]
    return sorted({end for end in ends if end is not None})


def _worded(
    error: Exception, options: LocalOptions, place: source.Place, folder: Path | None, device: torch.device
) -> EmoSimError:
    """The error that replaces one of transformers."""
    name = options.model
    if memory.is_shortage(error):
        needs = memory.in_words(source.weight_bytes(folder) if folder and not place.gguf_file else None)
        has = memory.in_words(memory.available(device))
        return LLMRequestError(
            f"{name} does not fit into memory: its weights are {needs}, {device} has {has} free: {_SHORTER}"
        )
    message = str(error).strip().partition("\n")[0] or type(error).__name__
    if isinstance(error, ImportError):
        command = re.search(r"pip install [^`'\")\n]+", str(error))
        package = command[0].split()[-1] if command else getattr(error, "name", None) or message
        return MissingDependencyError(f"loading {name}", package, command[0] if command else f"pip install {package}")
    if "trust_remote_code" in str(error):
        return LLMRequestError(
            f"{name} brings code of its own: read it, and set trust_remote_code=true if you trust it"
        )
    if folder is None and isinstance(error, OSError):
        how = "it may not be downloaded (local_files_only)" if options.local_files_only else "it cannot be reached"
        return LLMRequestError(
            f"there is no folder {name!r}, no model {name!r} among the downloads in {source.hub_cache()}, and on the "
            f"Hugging Face Hub {how} or there is none of this name. Download it where there is a network, or give the "
            f"path of a folder. ({message})"
        )
    import transformers

    return LLMRequestError(f"{name} cannot be loaded by transformers {transformers.__version__}: {message}")
