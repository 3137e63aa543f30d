"""Endpoint: the backend of OpenAI's service and of every server with its chat completions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from emosim_core.llm import ChatRequest, Price
from emosim_core.plugins import Frozen, option
from emosim_deepseek.addresses import address, base_url, keys_of_environment
from emosim_deepseek.deepseek import REVISION, without_secrets
from emosim_deepseek.probabilities import request_fields
from emosim_deepseek.service import ChatService

_ADDRESS = re.compile(r"(localhost|\d+(\.\d+){3}|\[[0-9a-fA-F:]+\])(:\d|/|#|$)|[\w-]+(\.[\w-]+)+(:\d+)?/\S*#")
"""Beginning of an address without a scheme; no name of a model has this form."""

SERVICE = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
OTHER_KEY = "EMOSIM_LLM_API_KEY"


class EndpointPrice(Frozen):
    """Price of the model."""

    prompt: float = option(..., "Price of a million prompt tokens.", ge=0)
    cached: float | None = option(
        None, "Price of a million prompt tokens in the cache of the service; by default that of prompt.", ge=0
    )
    completion: float = option(..., "Price of a million tokens of answers, reasoning included.", ge=0)
    as_of: str = option(..., "Date of the price, as 2026-07-15.", min_length=1)
    source: str = option("", "Source of the price.")
    currency: str = option("USD", "Currency of the prices.", min_length=1)


class EndpointOptions(Frozen):
    """Options of the backend `openai`."""

    model: str = option(
        ..., "Model of the service; or a base URL and the model, as http://127.0.0.1:8000/v1#NAME.", min_length=1
    )
    base_url: str | None = option(None, f"Where the service is; by default {SERVICE}.")
    base_url_env: str | None = option(
        None, "Environment variable that holds the base URL, where that is not to be written into any file."
    )
    api_key_env: str | None = option(
        None,
        f"Environment variable that holds the key; by default {KEY} for OpenAI's own service, and {OTHER_KEY}, where "
        "it is set, for others.",
    )
    reasoning_effort: str | None = option(
        None, "How much the model thinks, in the service's words, such as low or high.", min_length=1
    )
    reasoning_tokens: int | None = option(
        None,
        "Tokens that the model may think with, beside those of its answer; by default 8192 where reasoning_effort is "
        "set (other than none), else 0.",
        ge=0,
    )
    send_temperature: bool = option(
        True, "Whether the temperature is sent; some of OpenAI's reasoning models take none."
    )
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | None = option(
        None,
        "Field that limits the tokens of an answer; by default max_completion_tokens for OpenAI's own service, "
        "max_tokens for others.",
    )
    structured: Literal["json_schema", "json_object", "none"] = option(
        "json_schema", "Field that makes the service follow a JSON schema."
    )
    choices: Literal["none", "vllm", "llama.cpp"] = option(
        "none", "Server whose extension restricts the answer to a list of texts."
    )
    logprobs: bool = option(
        True, "Request the probabilities of the tokens of a rating, of which the rater draws; see reading."
    )
    revision: str | None = option(None, REVISION, min_length=1)
    price: EndpointPrice | None = option(None, "Price of the model; unknown by default.")
    batch: bool = option(
        False,
        "Send requests as batches of the service, which cost half and are answered within a day; for commands whose "
        "questions are independent of each other, such as distill, validate and ablate.",
    )
    batch_poll: float = option(60.0, "Seconds between two looks at a batch.", gt=0, allow_inf_nan=False)
    timeout: float = option(120.0, "Seconds to wait for an answer.", gt=0, allow_inf_nan=False)
    extra_body: Mapping[str, Any] = Field(
        default_factory=dict, description="Further fields of a request, sent as they are."
    )

    @model_validator(mode="before")
    @classmethod
    def _taken_apart(cls, values: Any) -> Any:
        values = without_secrets(values)
        if not isinstance(values, dict):
            return values
        model = values.get("model")
        if not isinstance(model, str):
            return values
        if not model.startswith(("http://", "https://")):
            if values.get("base_url") is None and _ADDRESS.match(model):
                raise ValueError(
                    f"{model.partition('#')[0]} is an address without http:// or https://; write "
                    f"http://{model if '#' in model else model.rstrip('/') + '#NAME'}, where the name of the model "
                    "stands behind the '#'"
                )
            return values
        if values.get("base_url") is not None or values.get("base_url_env") is not None:
            raise ValueError("the base URL is given twice, in the model and in base_url or base_url_env")
        given, sign, model = model.partition("#")
        given = base_url(given, "the model", keys=keys_of_environment(values.get("api_key_env")))
        if not sign or not model:
            raise ValueError(
                f"{given} does not say which model; write it behind a '#', as in {given}#NAME. "
                f"GET {given}/models lists the models"
            )
        return {**values, "base_url": given, "model": model}


def endpoint(options: EndpointOptions) -> Endpoint:
    """The backend ``openai``: one that sends batches where the options say so."""
    if not options.batch:
        return Endpoint(options)
    from emosim_deepseek.batches import BatchEndpoint

    return BatchEndpoint(options)


class Endpoint(ChatService):
    """Backend of a service with OpenAI's chat completions. Without a name of a model, none is sent."""

    def __init__(self, options: EndpointOptions) -> None:
        self.options = options
        place = address(options.base_url, options.base_url_env, None, SERVICE)
        own = place.url == SERVICE
        variable = options.api_key_env or (KEY if own else OTHER_KEY)
        named = f"base_url_env={options.base_url_env}," if options.base_url_env else f"base_url={place.shown},"
        super().__init__(
            name="OpenAI" if own else "the service",
            address=place,
            key_variable=variable,
            key_needed=own or options.api_key_env is not None,
            key_help=(
                f"Put the key in the environment variable {variable} (export {variable}=...), or name another variable "
                f"with the option api_key_env (--llm-model openai:model={options.model},"
                f"{'' if own else named}api_key_env=MY_KEY)"
            ),
            timeout=options.timeout,
            fixed=options.extra_body,
        )
        self._limit_field = options.max_tokens_field or ("max_completion_tokens" if own else "max_tokens")
        by_default = 8192 if options.reasoning_effort not in (None, "none") else 0
        self.reasoning_tokens = by_default if options.reasoning_tokens is None else options.reasoning_tokens
        settings = {
            "effort": options.reasoning_effort,
            "reasoning_tokens": self.reasoning_tokens,
            "temperature": None if options.send_temperature else "not sent",
            "structured": None if options.structured == "json_schema" else options.structured,
            "choices": None if options.choices == "none" else options.choices,
            "logprobs": None if options.logprobs else "off",
            "extra_body": json.dumps(options.extra_body, sort_keys=True) if options.extra_body else None,
        }
        differing = "".join(f" {name}={value}" for name, value in settings.items() if value)
        former = f"openai {options.model or '(the served model)'} base={place.shown}{differing}"
        if options.revision:
            self.identity = f"openai {options.model or '(the served model)'} revision={options.revision}{differing}"
        elif options.model:
            self.identity, self.former_identities = f"openai {options.model}{differing}", (former,)
        else:  # nothing but its address tells which model a server has
            self.identity = former
        self.title = f"{options.model} {'of OpenAI' if own else f'at {place.shown}'}{differing}"

    def announcements(self) -> Sequence[str]:
        if self.options.model or self.options.revision:
            return ()
        return (
            f"No model is named, so cached answers are those of any model that {self._address.shown} served. Where "
            "it serves different ones, name each, as PORT#NAME or by the option revision",
        )

    def price(self) -> Price | None:
        price = self.options.price
        if price is None:
            return None
        cached = price.prompt if price.cached is None else price.cached
        return Price(price.prompt, cached, price.completion, price.as_of, price.source, price.currency)

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """The body of a request; the sample number is added to its seed."""
        options = self.options
        body: dict[str, Any] = {
            **({"model": options.model} if options.model else {}),
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            self._limit_field: request.max_tokens + self.reasoning_tokens,
        }
        if options.send_temperature:
            body["temperature"] = request.temperature
        if request.seed is not None:
            body["seed"] = request.seed + request.sample
        if options.reasoning_effort:
            body["reasoning_effort"] = options.reasoning_effort
        if request.schema is not None and options.structured == "json_schema":
            # Strict if the schema satisfies OpenAI's rules for strict schemas.
            named_schema = {"name": "answer", "schema": dict(request.schema), "strict": _closed(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": named_schema}
        if request.schema is not None and options.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        if request.choices and options.choices == "vllm":
            body["structured_outputs"] = {"choice": list(request.choices)}
        if request.choices and options.choices == "llama.cpp":
            body["grammar"] = "root ::= " + " | ".join(json.dumps(choice) for choice in request.choices)
        if request.choices and options.logprobs:
            body |= request_fields()
        return {**body, **options.extra_body}


def _closed(schema: Any) -> bool:
    """Whether every object of a schema requires all its fields and allows no others."""
    if isinstance(schema, list | tuple):
        return all(map(_closed, schema))
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        fields = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != fields:
            return False
    return all(map(_closed, schema.values()))
