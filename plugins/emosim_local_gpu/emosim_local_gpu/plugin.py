"""What emosim-local-gpu provides."""

from __future__ import annotations

from collections.abc import Iterable

from emosim_core.plugins import Component, hookimpl

EMOSIM_HOOK_VERSION = 1


@hookimpl
def emosim_llm_backends() -> Iterable[Component]:
    yield Component(
        "local",
        "A model in this process, from a folder, a .gguf file or by its name on the Hugging Face Hub.",
        "emosim_local_gpu.backend:LocalBackend",
        options="emosim_local_gpu.options:LocalOptions",
        value="model",
        aliases=("gguf",),
    )
