"""Servers: short forms of the addresses of model servers on this machine, each with what it can do beside answering."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import model_validator

from emosim_core.plugins import option
from emosim_deepseek.endpoint import EndpointOptions

_PORT = re.compile(r"(?P<port>\d{1,5})(#(?P<model>.+))?")


class OllamaOptions(EndpointOptions):
    """Options of the backend `ollama`, beside those of `openai`."""

    model: str = option(..., "Model of the Ollama server, such as qwen3:8b.", min_length=1)
    base_url: str | None = option("http://127.0.0.1:11434/v1", "Where the server is.")


class PortOptions(EndpointOptions):
    """Options of a server that is named by its port on this machine; it serves one model, which needs no name."""

    port: str | None = option(None, "Port of the server on this machine, or PORT#NAME with the name of its model.")
    model: str = option("", "Model of the server; by default whichever it serves.")

    @model_validator(mode="before")
    @classmethod
    def _at_a_port(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("port") is None:
            if isinstance(values, dict) and not {"base_url", "base_url_env"} & set(values):
                raise ValueError("needs the port of the server, such as 8000, or its base_url")
            return values
        if values.get("base_url") is not None or values.get("base_url_env") is not None:
            raise ValueError("the address is given twice, in port and in base_url or base_url_env")
        parts = _PORT.fullmatch(str(values["port"]))
        if parts is None or not 0 < int(parts["port"]) < 65536:
            raise ValueError(f"expected a port, such as 8000 or 8000#NAME, got {values['port']!r}")
        if parts["model"] and values.get("model"):
            raise ValueError("the model is given twice, in port and in model")
        values = {**values, "base_url": f"http://127.0.0.1:{parts['port']}/v1", "port": None}
        return {**values, "model": parts["model"]} if parts["model"] else values


class LlamaCppOptions(PortOptions):
    """Options of the backend `llamacpp`, beside those of `openai`."""

    choices: Literal["none", "vllm", "llama.cpp"] = option(
        "llama.cpp", "Server whose extension restricts the answer to a list of texts."
    )


class VllmOptions(PortOptions):
    """Options of the backend `vllm`, beside those of `openai`."""

    choices: Literal["none", "vllm", "llama.cpp"] = option(
        "vllm", "Server whose extension restricts the answer to a list of texts."
    )
