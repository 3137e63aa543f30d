"""DeepSeek: the backend of DeepSeek's service, with its models and their prices, as ``models.json`` has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

from pydantic import model_validator

from emosim_core.llm import ChatRequest, Price
from emosim_core.plugins import Frozen, option
from emosim_deepseek.addresses import address, base_url, is_variable, keys_of_environment
from emosim_deepseek.probabilities import request_fields
from emosim_deepseek.service import ChatService

_NAMES = ("api_key_env", "base_url_env")

SERVICE = "https://api.deepseek.com"
BASE_URL_VARIABLE = "DEEPSEEK_BASE_URL"

REVISION = (
    "Text that tells the model from others that are served under the same name; answers are cached apart by it. It is "
    "not sent."
)
"""Description of the option ``revision``."""

Tariff = Literal["peak", "off-peak"]


@dataclass(frozen=True)
class Model:
    """A name of a model that the service accepts, or used to accept until it was ``retired``, a date.

    ``served_name`` is sent to the service. Whether it thinks by default, and its prices by tariff, may be unknown.
    """

    name: str
    served_name: str
    thinking: bool | None = None
    retired: str = ""
    prices: Mapping[Tariff, Price] = field(default_factory=dict)


@lru_cache(maxsize=1)
def known_models() -> Mapping[str, Model]:
    """The models in the data, by name; an unknown name is sent as it is."""
    data = json.loads(resources.files("emosim_deepseek").joinpath("models.json").read_text("utf-8"))
    as_of, source, currency = data["as_of"], data["source"], data["currency"]
    models = {}
    for name, entry in data["models"].items():
        served_name = entry.get("now", name)
        prices = {
            tariff: Price(**cost, as_of=as_of, source=f"{source}, {tariff} hours", currency=currency)
            for tariff, cost in data["models"][served_name].get("prices", {}).items()
        }
        models[name] = Model(name, served_name, entry.get("thinking"), entry.get("retired", ""), prices)
    return MappingProxyType(models)


class DeepSeekOptions(Frozen):
    """Options of the backend `deepseek`."""

    model: str = option("deepseek-v4-flash", "Model of the service.", min_length=1)
    thinking: bool | None = option(None, "Whether the model thinks before it answers; by default as its name implies.")
    reasoning_effort: Literal["low", "high", "max"] | None = option(
        None, "How much a thinking model thinks; by default as the service thinks fit."
    )
    reasoning_tokens: int = option(
        8192, "Tokens that a thinking model may think with, beside those of its answer.", ge=0
    )
    structured: Literal["json_object", "none"] = option(
        "json_object", "Whether the service forces JSON if JSON is requested."
    )
    logprobs: bool = option(
        True,
        "Request the probabilities of the tokens of a rating, of which the rater draws; a thinking model has none.",
    )
    revision: str | None = option(None, REVISION, min_length=1)
    tariff: Tariff = option("peak", "Price list by which costs are counted: peak, the most it can cost, or off-peak.")
    base_url: str | None = option(
        None, f"Where the service is; by default what is in {BASE_URL_VARIABLE}, or {SERVICE}."
    )
    base_url_env: str | None = option(
        None, "Environment variable that holds the base URL, where that is not to be written into any file."
    )
    api_key_env: str = option("DEEPSEEK_API_KEY", "Environment variable that holds the key.")
    timeout: float = option(120.0, "Seconds to wait for an answer.", gt=0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_secrets(cls, values: Any) -> Any:
        return without_secrets(values)


def without_secrets(values: Any) -> Any:
    """Check that options hold no secret, which would be written into messages and manifests; returns them."""
    if not isinstance(values, dict):
        return values
    for variable in ("api_key_env", "base_url_env"):
        if isinstance(name := values.get(variable), str) and not is_variable(name):
            raise ValueError(
                f"the option {variable} takes the name of an environment variable, such as MY_KEY, and never its value"
            )
    keys = keys_of_environment(values.get("api_key_env"))
    if isinstance(given := values.get("base_url"), str):
        if values.get("base_url_env") is not None:
            raise ValueError("the base URL is given twice, in base_url and in base_url_env")
        values = {**values, "base_url": base_url(given, "the option base_url", keys=keys)}
    for given_as, value in values.items():
        if given_as not in _NAMES and any(key in text for key in keys for text in _texts(value)):
            raise ValueError(
                f"the option {given_as} holds a key that is in an environment variable, and would be written into files"
            )
    return values


def _texts(value: Any) -> Iterator[str]:
    """All texts in the value of an option."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield str(name)
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


class DeepSeek(ChatService):
    """Backend of DeepSeek's service; a ConfigurationError where the base URL in the environment is invalid."""

    def __init__(self, options: DeepSeekOptions) -> None:
        self.options = options
        self.model = known_models().get(options.model) or Model(options.model, options.model)
        self.thinking = self.model.thinking if options.thinking is None else options.thinking
        place = address(options.base_url, options.base_url_env, BASE_URL_VARIABLE, SERVICE)
        variable = options.api_key_env
        super().__init__(
            name="DeepSeek",
            address=place,
            key_variable=variable,
            key_needed=True,
            key_help=(
                f"Put the key in the environment variable {variable} (export {variable}=...), or name another variable "
                f"with the option api_key_env (--llm-model deepseek:model={options.model},api_key_env=MY_KEY). "
                "Keys are made at https://platform.deepseek.com/api_keys"
            ),
            timeout=options.timeout,
        )
        self.reasoning_tokens = 0 if self.thinking is False else options.reasoning_tokens
        mode = {None: "default", True: "on", False: "off"}[self.thinking]
        settings = ""
        if self.thinking is not False:
            effort = f" effort={options.reasoning_effort}" if options.reasoning_effort else ""
            settings += f"{effort} reasoning_tokens={options.reasoning_tokens}"
        if options.structured != "json_object":
            settings += f" structured={options.structured}"
        if self.thinking is False and not options.logprobs:
            settings += " logprobs=off"
        named = f"deepseek {self.model.served_name} thinking={mode}"
        self.identity = named + settings
        if options.revision:
            self.identity += f" revision={options.revision}"
        else:
            self.former_identities = (f"{named} base={place.shown}{settings}",)

    def models(self) -> Sequence[str]:
        return tuple(known_models())

    def announcements(self) -> Sequence[str]:
        if not self.model.retired:
            return ()
        return (
            f"DeepSeek gave up the name {self.model.name!r} in {self.model.retired}: {self.model.served_name!r} "
            f"{'with' if self.thinking else 'without'} thinking answers in its place",
        )

    def price(self) -> Price | None:
        return self.model.prices.get(self.options.tariff)

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """The body of a request.

        A thinking model takes no temperature, and its thoughts count as tokens of its answer. The service forces JSON
        only if the prompt mentions JSON.
        """
        options = self.options
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        body: dict[str, Any] = {"model": self.model.served_name, "messages": messages, "max_tokens": request.max_tokens}
        if self.thinking is not None:
            body["thinking"] = {"type": "enabled" if self.thinking else "disabled"}
        if self.thinking is not True:
            body["temperature"] = request.temperature
        if self.thinking is not False:
            body["max_tokens"] += self.reasoning_tokens
            if options.reasoning_effort:
                body["reasoning_effort"] = options.reasoning_effort
        mentions_json = any("json" in message.content.lower() for message in request.messages)
        if request.schema is not None and options.structured == "json_object" and mentions_json:
            body["response_format"] = {"type": "json_object"}
        if request.choices and self.thinking is False and options.logprobs:
            body |= request_fields()
        return body
