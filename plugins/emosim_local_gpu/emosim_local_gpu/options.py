"""LocalOptions: options of the backend ``local``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LocalOptions(BaseModel):
    """Options of the backend `local`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        min_length=1, description="Folder of the model, or its name on the Hugging Face Hub, such as 'org/name'."
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Device: 'auto' (the first graphics card, else the processor), 'cpu', 'cuda', 'cuda:0', ...",
    )
    device_map: str | None = Field(
        default=None,
        description="'auto', 'balanced' or 'sequential' spreads the model over all devices; needs accelerate, and "
        "'device' must be 'auto'.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Number type of the weights; 'auto' is that of the files."
    )
    quantization: Literal["none", "4bit", "8bit"] = Field(
        default="none",
        description="Quantise the weights with bitsandbytes while they are loaded; 'none' for files that are already "
        "quantised.",
    )
    trust_remote_code: bool = Field(default=False, description="Whether code of the model may run.")
    revision: str | None = Field(default=None, description="Branch, tag or commit on the Hub; the main branch if None.")
    local_files_only: bool = Field(
        default=False, description="Never download; a model that is not downloaded is an error."
    )
    batch_size: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Maximum requests in one pass; halved automatically when memory is short.",
    )
    max_new_tokens: int = Field(default=4096, ge=1, description="Maximum tokens of one answer, thoughts included.")
    thinking: bool = Field(
        default=False,
        description="Let a thinking model think before a free answer; never before a rating that is scored.",
    )
    prefix_sharing: bool = Field(
        default=True, description="Compute the common prefix of prompts once; changes the time, not the answers."
    )
    top: int | None = Field(
        default=None,
        ge=1,
        description="Number of probabilities to return, the highest; they are scaled to sum to 1. All if None.",
    )
