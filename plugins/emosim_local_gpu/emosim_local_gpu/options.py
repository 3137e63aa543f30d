"""LocalOptions: which model runs in this process, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LocalOptions(BaseModel):
    """Which model runs in this process, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        min_length=1, description="Folder of the model, or its name on the Hugging Face Hub, such as 'org/name'."
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Where it runs: 'auto' (the first graphics card, else the processor), 'cpu', 'cuda', 'cuda:0', ...",
    )
    device_map: str | None = Field(
        default=None,
        description="'auto', 'balanced' or 'sequential' spreads the model over all devices; needs accelerate, and "
        "'device' must be 'auto'.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Type of the numbers that it computes with; 'auto' is that of its files."
    )
    quantization: Literal["none", "4bit", "8bit"] = Field(
        default="none",
        description="Shrink the weights while they are loaded, by bitsandbytes. Files that are quantised already need "
        "'none': they say themselves how they are read.",
    )
    trust_remote_code: bool = Field(default=False, description="Whether code that comes with the model may run.")
    revision: str | None = Field(default=None, description="Branch, tag or commit on the Hub; the main branch if None.")
    local_files_only: bool = Field(default=False, description="Never download: a model that is not there is an error.")
    batch_size: int = Field(
        default=64, ge=1, le=4096, description="Most questions in one pass; halved by itself where memory is short."
    )
    max_new_tokens: int = Field(
        default=4096, ge=1, description="Most tokens that are written for one answer, those of thinking included."
    )
    thinking: bool = Field(
        default=False,
        description="Let a model that can think do so before a free answer. Never before a rating that is scored.",
    )
    prefix_sharing: bool = Field(
        default=True, description="Compute what questions begin with in common once; changes no answer, only the time."
    )
    top: int | None = Field(
        default=None,
        ge=1,
        description="Number of probabilities to return, the highest; they are scaled to sum to 1. All if None.",
    )
