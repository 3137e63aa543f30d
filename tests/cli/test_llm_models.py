"""``emosim llm-models``: which language models can be named, without a key and without a network."""

from __future__ import annotations

from typing import Any


def test_models_are_listed_with_their_prices_without_a_key(quick: Any) -> None:
    backends = {backend["name"]: backend for backend in quick("llm-models", "--json", DEEPSEEK_API_KEY="").json}
    assert {"deepseek", "openai", "local"} <= set(backends)
    known = {model["name"]: model for model in backends["deepseek"]["models"]}
    assert {"deepseek-chat", "deepseek-reasoner", "deepseek-v4-flash", "deepseek-v4-pro"} <= set(known)
    assert known["deepseek-v4-flash"]["price"]["completion"] > 0
    assert len(known["deepseek-v4-flash"]["price"]["as_of"]) == len("2026-10-27")
    assert known["deepseek-chat"]["notes"]
    shown = quick("llm-models").out
    assert "deepseek:MODEL" in shown
    assert "  deepseek-v4-pro " in shown
    assert "per million tokens" in shown


def test_without_a_backend_it_says_which_packages_bring_one(quick: Any) -> None:
    assert (
        "in a checkout: pip install -e plugins/emosim_deepseek -e plugins/emosim_local_gpu"
        in quick("--no-plugins", "llm-models").out
    )
    assert quick("--no-plugins", "llm-models", "--json").json == []
