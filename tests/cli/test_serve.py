"""``emosim serve``: a trained recommender in a process of its own, and who calls it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emosim_core.recommenders import protocol
from emosim_core.testing import Emosim

FEW = ("--users", "sampled:n=20", "--max-steps", "6", "--num-envs", "4")


@pytest.fixture
def served(quick: Emosim, tmp_path: Path) -> Iterator[str]:
    """The address of a recommender that was trained a little."""
    quick("train", "--plugin", "movies", "--policy-net", "cf", *FEW, "--timesteps", "40", "--out", "t", "--quiet")
    command = [sys.executable, "-m", "emosim_core", "serve", "recommender", "t", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        yield found.group()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)


def test_a_served_recommender_recommends_as_it_does_here(served: str, quick: Emosim, tmp_path: Path) -> None:
    for policy, out in ((served, "behind"), ("trained:t", "here")):
        quick("run", "--plugin", "movies", *FEW, "--episodes", "12", "--policy", policy, "--out", out, "--quiet")
    behind, here = ((tmp_path / out / "interactions.jsonl").read_bytes() for out in ("behind", "here"))
    assert behind == here
    health = protocol.Health.model_validate_json(httpx.get(f"{served}/health").content)
    assert health.name == "t"
    assert httpx.get(f"{served}/openapi.json").json() == protocol.openapi()
    known = json.loads((tmp_path / "t" / "model" / "recommender.json").read_text())["items"]
    call = {"k": 2, "users": ["x", "y"], "histories": [[], [[known[0]["id"], 3.0]]], "exclude": [[], []]}
    lists = httpx.post(f"{served}/recommend", json=call).json()["items"]
    assert [len(one) for one in lists] == [2, 2]
    assert known[0]["id"] not in lists[1]


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        ({"k": 1}, "users: Field required"),
        ({"k": 0, "users": [], "histories": [], "exclude": []}, "k: Input should be greater than or equal to 1"),
        ({"k": 1, "users": ["a"], "histories": [], "exclude": [[]]}, "not equally many"),
        ({"k": 1, "users": ["a"], "histories": [[["nothing", 3.0]]], "exclude": [[]]}, "knows no item 'nothing'"),
    ],
)
def test_a_call_that_is_none_is_answered_with_what_is_wrong(served: str, call: dict[str, Any], detail: str) -> None:
    answer = httpx.post(f"{served}/recommend", json=call)
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]


def test_a_directory_without_a_recommender_is_said(quick: Emosim) -> None:
    assert "holds no trained recommender" in quick("serve", "recommender", "nowhere", status=2).err.replace("\n", " ")
