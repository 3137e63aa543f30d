"""What emosim-deepseek provides."""

from __future__ import annotations

from collections.abc import Iterable

from emosim_core.plugins import Component, hookimpl

EMOSIM_HOOK_VERSION = 1


@hookimpl
def emosim_llm_backends() -> Iterable[Component]:
    yield Component(
        "deepseek",
        "DeepSeek's service; its key is in DEEPSEEK_API_KEY.",
        "emosim_deepseek.deepseek:DeepSeek",
        options="emosim_deepseek.deepseek:DeepSeekOptions",
        value="model",
        prefixes=("deepseek-",),
    )
    yield Component(
        "openai",
        "OpenAI's service, or with http://HOST:PORT/v1#MODEL any server that speaks its chat completions.",
        "emosim_deepseek.endpoint:endpoint",
        options="emosim_deepseek.endpoint:EndpointOptions",
        value="model",
        prefixes=(
            "http://",
            "https://",
            "localhost:",
            "127.0.0.1:",
            "0.0.0.0:",
            "192.168.",
        ),  # the last ones, for a hint
    )
    for name, summary, options, value in (
        ("ollama", "A model of the Ollama server on this machine.", "OllamaOptions", "model"),
        ("llamacpp", "The model of a llama.cpp server on this machine, by its port.", "LlamaCppOptions", "port"),
        ("vllm", "The model of a vLLM server on this machine, by its port.", "VllmOptions", "port"),
    ):
        factory = "emosim_deepseek.endpoint:endpoint"
        yield Component(name, summary, factory, options=f"emosim_deepseek.servers:{options}", value=value)
