"""`transformers serve` with a tiny model: the same model asked over HTTP says what it says in this process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from emosim_local_gpu.backend import LocalBackend

from emosim_core.llm import ChatAnswer, ChatRequest

pytestmark = pytest.mark.slow

SERVE = "from transformers.cli.transformers import main; main()"


def post(url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    call = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(call, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {}


@pytest.fixture(scope="module")
def server(models: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that has been given the tiny model."""
    home = tmp_path_factory.mktemp("server")
    from transformers.utils import import_utils

    available = getattr(import_utils, "is_serve_available", lambda: False)
    if not available():
        pytest.skip("what transformers serves with is not installed: pip install 'transformers[serving]'")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    (home / "hub").mkdir()
    arguments = ["serve", str(models("merged")), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = (home / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, *arguments],
        env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"},
        stdout=log,
        stderr=log,
    )
    try:
        _wait(process, port, home / "log")
        yield f"http://127.0.0.1:{port}/v1/chat/completions"
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_a_model_that_babbles_behind_a_server_gives_no_ratings(
    server: str, models: Callable[[str], Path], emosim: Any, tmp_path: Path
) -> None:
    pytest.importorskip("emosim_deepseek", reason="servers are asked by emosim-deepseek")
    pytest.importorskip("emosim_books", reason="people need a domain")
    (tmp_path / "skip.toml").write_text('plugin = "books"\non_failed_rating = "skip"\n')
    done = emosim(
        "run", "--config", "skip.toml", "--llm-model", f"{server.removesuffix('/chat/completions')}#{models('merged')}",
        "--llm-rater", "0Shot_system_our", "--episodes", "2", "--max-steps", "3", "--out", "r", "--json",
        "--llm-cache", "kept.sqlite3", timeout=120,
    )  # fmt: skip
    summary = done.json
    lines = (tmp_path / "r" / "interactions.jsonl").read_text().splitlines()
    answers = [item for line in lines for item in json.loads(line)["recommended"]]
    given = [item for item in answers if item["raw_rating"] is not None]
    assert len(answers) == 6
    assert all(item["raw_rating"] in (1, 2, 3, 4, 5) for item in given)
    assert summary["failed_ratings"] == 6 - len(given)
    assert summary["usage"]["calls"] >= 6
    assert summary["usage"]["completion_tokens"] > 0


def test_a_server_of_the_same_model_says_the_same(
    server: str,
    models: Callable[[str], Path],
    backend: Callable[..., LocalBackend],
    question: Callable[..., ChatRequest],
) -> None:
    request = question("Say something.", max_tokens=12)
    (ours,) = backend("merged").answer_batch([request])
    assert isinstance(ours, ChatAnswer)
    body = {
        "model": str(models("merged")),
        "messages": [{"role": one.role, "content": one.content} for one in request.messages],
        "max_tokens": 12,
        "temperature": 0.0,
        "stream": False,
    }
    status, payload = post(server, body)
    assert status == 200
    assert payload["choices"][0]["message"]["content"].strip() == ours.text
    assert payload["usage"]["prompt_tokens"] == ours.usage.prompt
    # What makes exact scoring need the model in this process: the server tells no probabilities.
    status, payload = post(server, {**body, "logprobs": True, "top_logprobs": 5})
    assert status == 200
    assert not payload["choices"][0].get("logprobs")
