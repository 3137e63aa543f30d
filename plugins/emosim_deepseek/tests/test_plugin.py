"""The plugin describes itself without work, and its backends are found by their names."""

from __future__ import annotations

import json

import pytest

from emosim_core import ConfigurationError
from emosim_core.plugins import Registry
from emosim_core.testing.command_line import in_new_process


@pytest.fixture
def registry() -> Registry:
    return Registry(only=["deepseek"])


def test_the_plugin_is_loaded_and_described_without_the_client_and_without_a_network() -> None:
    code = """
import json, sys
from emosim_core.testing.network import block_network
block_network(local=False)
from emosim_core.plugins import Registry
registry = Registry(only=["deepseek"])
registry.load("deepseek")
for name in ("deepseek-chat", "openai:gpt", "http://127.0.0.1:1/v1#m"):
    backend = registry.resolve("llm_backend", name).build()
    backend.models(), backend.price(), backend.announcements(), backend.identity
heavy = ("aiohttp", "yarl", "openai", "httpx2", "httpcore2", "anyio", "ssl", "asyncio")
print(json.dumps([name for name in heavy if name in sys.modules]))
"""
    done = in_new_process(code)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) <= {"asyncio", "ssl"}


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("deepseek-chat", "deepseek deepseek-v4-flash thinking=off"),
        (
            "deepseek-reasoner",
            "deepseek deepseek-v4-flash thinking=on reasoning_tokens=8192",
        ),
        (
            "deepseek-v4-pro",
            "deepseek deepseek-v4-pro thinking=on reasoning_tokens=8192",
        ),
        (
            "deepseek",
            "deepseek deepseek-v4-flash thinking=on reasoning_tokens=8192",
        ),
        (
            "deepseek:model=deepseek-v4-pro,thinking=off",
            "deepseek deepseek-v4-pro thinking=off",
        ),
        (
            "deepseek-v9-tiny",
            "deepseek deepseek-v9-tiny thinking=default reasoning_tokens=8192",
        ),
        ("openai:gpt-x", "openai gpt-x"),
        ("openai:model=m,base_url=http://h:1/v1/", "openai m"),
        ("http://127.0.0.1:8000/v1#Qwen/Qwen3-8B", "openai Qwen/Qwen3-8B"),
        ("https://llm.example/v1/#m#2", "openai m#2"),
        ("openai:http://127.0.0.1:8000/v1#m", "openai m"),
    ],
)
def test_a_model_is_named_as_users_write_it(registry: Registry, name: str, identity: str) -> None:
    assert registry.resolve("llm_backend", name).build().identity == identity


def test_an_address_without_a_model_says_how_to_name_one(registry: Registry) -> None:
    with pytest.raises(ConfigurationError) as raised:
        registry.resolve("llm_backend", "http://127.0.0.1:8000/v1")
    assert "http://127.0.0.1:8000/v1#NAME" in str(raised.value)
    assert "GET http://127.0.0.1:8000/v1/models" in str(raised.value)


def test_openai_without_a_model_says_that_one_is_needed(registry: Registry) -> None:
    with pytest.raises(ConfigurationError, match="the option 'model' is needed"):
        registry.resolve("llm_backend", "openai")


def test_the_address_given_twice_is_an_error(registry: Registry) -> None:
    with pytest.raises(ConfigurationError, match="given twice"):
        registry.resolve("llm_backend", {"name": "openai", "model": "http://h/v1#m", "base_url": "http://h/v1"})


def test_models_are_listed_without_a_key(registry: Registry) -> None:
    models = registry.resolve("llm_backend", "deepseek").build().models()
    assert {"deepseek-chat", "deepseek-reasoner", "deepseek-v4-flash", "deepseek-v4-pro"} <= set(models)


@pytest.mark.parametrize(("name", "how"), [("deepseek-chat", "without"), ("deepseek-reasoner", "with")])
def test_a_retired_name_says_what_answers_in_its_place(registry: Registry, name: str, how: str) -> None:
    (said,) = registry.resolve("llm_backend", name).build().announcements()
    assert f"'{name}' in July 2026" in said
    assert f"'deepseek-v4-flash' {how} thinking" in said


def test_other_names_announce_nothing(registry: Registry) -> None:
    for name in ("deepseek-v4-pro", "deepseek-v9-tiny", "openai:m"):
        assert registry.resolve("llm_backend", name).build().announcements() == ()


def test_a_price_has_its_date_and_source_and_is_unknown_for_an_unknown_model(registry: Registry) -> None:
    peak = registry.resolve("llm_backend", "deepseek-chat").build().price()
    calm = registry.resolve("llm_backend", "deepseek:model=deepseek-chat,tariff=off-peak").build().price()
    assert (peak.prompt, peak.completion) == (2 * calm.prompt, 2 * calm.completion)
    assert peak.as_of == "2026-10-27"
    assert peak.source == "https://api-docs.deepseek.com/quick_start/pricing, peak hours"
    assert registry.resolve("llm_backend", "deepseek-v9-tiny").build().price() is None
    assert registry.resolve("llm_backend", "openai:m").build().price() is None


def test_the_price_of_any_other_model_can_be_told(registry: Registry) -> None:
    table = {"name": "openai", "model": "m", "price": {"prompt": 2.0, "completion": 8.0, "as_of": "2026-07-15"}}
    price = registry.resolve("llm_backend", table).build().price()
    assert (price.prompt, price.cached, price.completion, price.as_of) == (2.0, 2.0, 8.0, "2026-07-15")


@pytest.mark.parametrize(
    "address",
    ["http://ada:hunter22@h/v1", "http://ada@h/v1", "http://h/v1?key=hunter22", "ftp://hunter22/v1", "hunter22",
     "http://h:hunter22/v1", "http://h/hunter 22"],
)  # fmt: skip
@pytest.mark.parametrize("way", ["option", "model", "environment"])
def test_an_address_with_more_in_it_is_refused_and_not_repeated(
    registry: Registry, address: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "model" and not address.startswith("http"):
        return
    asked = {"option": {"name": "deepseek", "base_url": address}, "model": f"{address}#m", "environment": "deepseek"}
    monkeypatch.setenv("DEEPSEEK_BASE_URL", address)
    with pytest.raises(ConfigurationError, match="base URL") as raised:
        registry.resolve("llm_backend", asked[way]).build()
    assert "hunter" not in str(raised.value)


def test_a_key_in_place_of_the_name_of_its_variable_is_refused_and_not_repeated(registry: Registry) -> None:
    for name in ("deepseek", "openai"):
        asked = {"name": name, "model": "m", "api_key_env": "sk-0123456789"}
        with pytest.raises(ConfigurationError, match="the name of an environment variable") as raised:
            registry.resolve("llm_backend", asked)
        assert "0123" not in str(raised.value)


def test_a_key_that_is_given_as_an_option_is_refused_and_not_repeated(registry: Registry) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'api_key_env'") as raised:
        registry.resolve("llm_backend", {"name": "deepseek", "api_key": "sk-0123456789"})
    assert "0123" not in str(raised.value)


def test_what_a_manifest_holds_has_no_key(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-0123456789")
    resolved = registry.resolve("llm_backend", "deepseek-chat")
    assert "0123" not in f"{resolved.describe()} {resolved.build()!r} {vars(resolved.build())}"


def test_the_address_in_the_environment_is_used_unless_an_option_says_otherwise(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSEEK_BASE_URL", "http://127.0.0.1:9/v1/")
    build = registry.resolve("llm_backend", "deepseek-chat").build
    assert build().base_url == "http://127.0.0.1:9/v1"
    other = registry.resolve("llm_backend", {"name": "deepseek", "base_url": "http://h"}).build()
    assert other.base_url == "http://h"


@pytest.mark.parametrize(
    "name",
    ["localhost:8000/v1#m", "127.0.0.1:8000/v1#m", "openai:localhost:8000/v1#m", "openai:llm.example.com/v1#m",
     "openai:192.168.1.4:8000"],
)  # fmt: skip
def test_an_address_without_a_scheme_says_how_to_write_it(registry: Registry, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is an address without http:// or https://; write http://"):
        registry.resolve("llm_backend", name)


@pytest.mark.parametrize(
    "model", ["gpt-4.1", "Qwen/Qwen2.5-7B", "llama3.1:8b", "qwen2.5:14", "anthropic.claude-3:0", "org/model.v1/x"]
)
def test_names_of_models_are_no_addresses(registry: Registry, model: str) -> None:
    assert registry.resolve("llm_backend", f"openai:{model}").build().identity == f"openai {model}"
