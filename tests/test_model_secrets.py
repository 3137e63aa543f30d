"""What a user runs: no key and no secret URL is in any output or file, and what answers cost is counted."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from emosim_core.testing import Answer, ChatServer

KEY = "sk-4f2a9c7e1b8d3056aaf0"


def everything_in(folder: Path) -> bytes:
    """The bytes of all files."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def forms(secret: str) -> list[bytes]:
    return [secret.encode(), base64.b64encode(secret.encode())[:-4], secret.encode().hex().encode()]


def test_a_key_that_a_service_repeats_is_nowhere(emosim: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSIM_LLM_API_KEY", KEY)
    encoded = base64.b64encode(KEY.encode()).decode()
    text = json.dumps({"reasons": [f"Bearer {KEY}, {encoded}, {KEY.encode().hex()}"], "rating": 7})
    with ChatServer(lambda request: Answer(text, reasoning=f"{KEY} {encoded}", model=f"m-{KEY}")) as server:
        run = (
            *("run", "--plugin", "movies", "--llm-model", f"{server.url}#any", "--llm-rater", "0Shot_cot_enhanced"),
            *("--episodes", "2", "--max-steps", "2", "--llm-cache", "c.sqlite3", "--explain", "--out", "r"),
        )
        out = emosim(*run)
    exported = emosim("cache", "export", "--cache", "c.sqlite3", "e.jsonl")
    content = everything_in(tmp_path) + (out.out + out.err + exported.out + exported.err).encode()
    assert b"[key]" in content
    assert b'"rating"' in content
    for form in forms(KEY):
        assert form not in content


@pytest.mark.parametrize("path", [KEY, "proxy-x8f3k2m9q7w4e6r1t5y0/v1", f"a/{KEY}/v1"])
def test_a_base_url_with_a_key_is_refused_and_an_environment_variable_takes_it(
    quick: Any, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatServer(lambda request: "7") as server:
        root = server.url.removesuffix("/v1")
        run = ("run", "--plugin", "movies", "--episodes", "1", "--max-steps", "1", "--out", "r")
        refused = quick(*run, "--llm-model", f"{root}/{path}#any", status=2)
        assert "base_url_env=MY_URL" in refused.err
        assert path not in refused.err + refused.out
        assert not (tmp_path / "r").exists()
        monkeypatch.setenv("MY_URL", f"{root}/{path}")
        tried = quick(*run, "--llm-model", "openai:model=any,base_url_env=MY_URL", "--quiet", status=2)  # no such path
    secret = next(part for part in path.split("/") if len(part) > 8)
    assert "(from MY_URL)" in tried.err
    assert secret not in tried.err + tried.out
    assert secret.encode() not in everything_in(tmp_path)


@pytest.mark.parametrize("count", ["10000000000000000000", "-1", "3.5", '"12"', "true", "[]", "1e19", "null"])
def test_an_odd_usage_costs_no_rating_and_is_called_unknown(quick: Any, tmp_path: Path, count: str) -> None:
    body = '{"choices": [{"message": {"content": "7"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": COUNT, '
    body = body.replace("COUNT", count) + '"completion_tokens": 1}}'
    with ChatServer(lambda request: Answer(raw=body.encode())) as server:
        model = f"openai:model=any,base_url={server.url}"
        done = quick(
            "run", "--plugin", "movies", "--episodes", "1", "--max-steps", "2", "--llm-model", model, "--out", "r"
        )
    assert "answers are unknown" in " ".join(done.out.split())
    assert json.loads((tmp_path / "r/summary.json").read_text())["usage"]["unknown_usage"] >= 2
    assert "are unknown" in quick("cache", "stats").out


@pytest.mark.parametrize(
    "answer",
    [
        Answer("", usage={"prompt_tokens": 1000, "completion_tokens": 0}),
        Answer(refusal="no", usage={"prompt_tokens": 1000, "completion_tokens": 0}),
        Answer("a film", usage={"prompt_tokens": 1000, "completion_tokens": 0}),
        Answer(
            raw=b'{"error": {"message": "busy"}, "usage": {"prompt_tokens": 1000, "completion_tokens": 0}}', status=500
        ),
    ],
)
def test_the_limit_on_the_cost_holds_for_answers_that_failed(quick: Any, answer: Answer, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        'plugin = "movies"\nepisodes = 3\nmax_steps = 3\non_failed_rating = "skip"\n'
        "[gateway]\nmax_cost = 0.005\nconcurrency = 1\n"
        '[llm_model]\nname = "openai"\nmodel = "any"\n'
        '[llm_model.price]\nprompt = 1.0\ncompletion = 1.0\nas_of = "2026-07-01"\n'
    )
    with ChatServer(lambda request: answer) as server:
        text = config.read_text().replace('model = "any"\n', f'model = "any"\nbase_url = "{server.url}"\n')
        config.write_text(text)
        message = quick("run", "--config", config, "--out", "r", "--quiet", status=2).err
        assert "0.005 of 0.005 USD (--max-cost)" in message
        assert len([call for call in server.calls if call.method == "POST"]) == 5
