"""Audits through the command line: services with planted properties get the verdicts that are right for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, get_args

import pytest

import emosim_core
from emosim_core.studies.audit.battery import CHECKS
from emosim_core.studies.validation.validation import Check
from emosim_core.testing import Answer, ChatServer, Emosim

pytest.importorskip("scipy")


OK, PROBLEM = "ok", "problem"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from studies.audit_servers import write_titled

    return write_titled(tmp_path_factory.mktemp("ratings") / "made-up")


@pytest.fixture
def audited(quick: Emosim, log: Path, install: Callable[..., str]) -> Callable[..., dict[str, str]]:
    """Audits what a script answers; returns the status of each check."""
    from studies.audit_servers import STRATEGY

    install("bare", STRATEGY)
    numbers = count(1)  # each script is a model of its own: answers of one name are cached together

    def audit(script: Any, *more: str, out: str = "out") -> dict[str, str]:
        with ChatServer(script) as server:
            done = quick(
                *command(log, f"{server.url}#m{next(numbers)}"), "--llm-rater", "bare", "--out", out, "--json", *more
            )
        return {line["check"]: line["status"] for line in done.json["verdicts"]}

    return audit


def command(log: Path, model: str) -> tuple[str, ...]:
    few = ("--max-users", "10", "--max-heldout", "3", "--yes")
    return ("validate", "--audit", "--plugin", "movies", "--ratings", f"movielens:{log}", "--llm-model", model, *few)


def test_the_checks_of_the_option_are_those_that_there_are() -> None:
    assert get_args(Check) == CHECKS


def test_an_honest_person_has_no_problem(audited: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    from studies.audit_servers import Formula

    status = audited(Formula())
    assert [check for check, one in status.items() if one == PROBLEM] == []
    for check in (
        *("Answers that can be read", "Another item", "Another person", "Good mood less bad mood"),
        *("Enthusiast less elusive user (activity)", "Distance from the public rating, maverick less follower"),
        *("Memories in reverse order", "Facts in reverse order", "Slate in another order, same choice"),
        *("Share of the commonest place", "Other words", "Example rated best less rated worst", "Asked again"),
        *("Titles completed", "Error with the title hidden less shown"),
    ):
        assert status[check] == OK, check
    results = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert results["sentence"].startswith("m1 at ")
    assert "0 of 21 checks show a problem" in results["sentence"]


def test_a_model_that_ignores_the_person_is_found_out(audited: Callable[..., dict[str, str]]) -> None:
    from studies.audit_servers import Formula

    status = audited(Formula(personal=False), "--checks", "person,mood,traits,activity")
    for check in (
        *("Another person", "Error of another person less the own", "Good mood less bad mood"),
        "Distance from the public rating, maverick less follower",
    ):
        assert status[check] == PROBLEM, check
    assert status["Another item"] == status["Enthusiast less elusive user (activity)"] == OK


def test_every_planted_bias_is_a_problem(audited: Callable[..., dict[str, str]]) -> None:
    from studies.audit_servers import Formula

    status = audited(Formula(mood=-2.0, activity=1.0, conforms=False), "--checks", "mood,activity,traits")
    for check in (
        *("Good mood less bad mood", "Enthusiast less elusive user (activity)"),
        "Distance from the public rating, maverick less follower",
    ):
        assert status[check] == PROBLEM, check
    status = audited(
        Formula(by_place=True, copies=True), "--checks", "order,paraphrase,example,repetition", out="by place"
    )
    for check in (
        *("Facts in reverse order", "Memories in reverse order", "Other words"),
        *("Slate in another order, same choice", "Share of the commonest place"),
        "Example rated best less rated worst",
    ):
        assert status[check] == PROBLEM, check
    assert status["Asked again"] == OK
    status = audited(Formula(fickle=True), "--checks", "repetition", out="fickle")
    assert status["Asked again"] == PROBLEM


def test_a_model_that_knows_the_data_set_is_found_out(audited: Callable[..., dict[str, str]], log: Path) -> None:
    from studies.audit_servers import Memorizer

    status = audited(Memorizer(log), "--checks", "memorization")
    for check in (
        *("Years of items, right of four", "Titles completed", "Ratings of the data set by user number"),
        "Error with the title hidden less shown",
    ):
        assert status[check] == PROBLEM, check
    assert status["Error less that of a user's mean"] == OK


def test_constant_and_unreadable_answers_are_problems(audited: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    status = audited(lambda body: "7", "--checks", "person")
    assert status["Answers at the commonest level"] == status["Another item"] == status["Another person"] == PROBLEM
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["sentence"].startswith("A poor person")
    status = audited(lambda body: "a good film", "--checks", "person", out="mute")
    assert status["Answers that can be read"] == PROBLEM
    assert status["Another person"] == "left out"


def test_a_bound_on_answers_holds_and_the_first_ones_tell_what_the_others_take(
    quick: Emosim, log: Path, tmp_path: Path
) -> None:
    with ChatServer(lambda body: Answer("2" if body["messages"][-1]["content"].count("<item>") > 1 else "7")) as server:
        model, key = "deepseek-chat", {"DEEPSEEK_API_KEY": "sk-0fAk3kEyF0rTests9qZ7", "DEEPSEEK_BASE_URL": server.url}
        done = quick(*command(log, model), "--max-users", "4", "--max-questions", "200", "--out", "out", **key)
        assert len(server.calls) <= 200
        said = " ".join(done.err.split())
        assert "The first 20 answers took" in said
        assert re.search(r"At most \d+ more: about .* seconds, 0\.\d{4} USD\.", said)
        words = " ".join(done.out.split())
        assert "Warning: Slate in another order, same choice: another choice" in words
        assert "Distribution of the answers: 1 0%, 2 0%, 3 0%, 4 0%, 5 0%, 6 0%, 7 0%, 8 100%, 9 0%, 10 0%." in words
        assert "problem: another choice" in words
        few = quick(*command(log, model), "--max-users", "4", "--max-questions", "20", "--out", "no", status=2, **key)
        assert "max_questions=20 is too few: an audit of 4 users with one item each takes" in few.err
    page = quick("report", "out")
    assert "report.html" in page.out
    html = (tmp_path / "out" / "report.html").read_text()
    assert "Slate in another order, same choice" in html
    assert "audit" in quick("runs", str(tmp_path)).out


def test_an_audit_that_failed_is_resumed_without_asking_anything_twice(
    quick: Emosim, log: Path, tmp_path: Path
) -> None:
    refusing, calls = [False], [0]

    def script(body: dict[str, Any]) -> Answer:
        calls[0] += 1
        if refusing[0] and calls[0] > 60:
            return Answer("no such key", status=401)
        return Answer(str(len(body["messages"][-1]["content"]) % 9))

    some = ("--checks", "mood,order", "--max-users", "5", "--json")
    with ChatServer(script) as server:
        ask = (*command(log, f"{server.url}#m"), *some)
        whole = quick(*ask, "--out", "whole").json
        asked = calls[0]
        refusing[0], calls[0] = True, 0
        failed = quick(*ask, "--out", "part", "--llm-cache", "other.sqlite3", status=2)
        assert "Progress is saved in part" in failed.err
        refusing[0], calls[0] = False, calls[0] - 60
        resumed = quick("validate", "--resume", "part", "--yes", "--json").json
    assert resumed["verdicts"] == whole["verdicts"]
    assert 0 < calls[0] <= asked - 60 + 40
    assert (tmp_path / "part" / "answers.jsonl").read_bytes() == (tmp_path / "whole" / "answers.jsonl").read_bytes()
    assert not (tmp_path / "part" / "jobs").exists()


def test_any_rater_is_audited_without_the_checks_of_prompts(quick: Emosim, log: Path, tmp_path: Path) -> None:
    ask = ("validate", "--audit", "--plugin", "movies", "--ratings", f"movielens:{log}", "--rater", "rule_based")
    done = quick(*ask, "--max-users", "20", "--out", "out", "--json")
    lines = {line["check"]: line for line in done.json["verdicts"]}
    assert lines["Good mood less bad mood"]["status"] == OK
    assert lines["Enthusiast less elusive user (activity)"]["result"]["high"] == 0.0
    assert lines["Other words"]["status"] == "left out"
    assert "Checks of prompts" in quick("validate", "--resume", "out").out
    options = {"audit": True, "max_users": 20, "rater": "rule_based"}
    again = emosim_core.validate("movies", tmp_path / "again", ratings=f"movielens:{log}", **options)
    assert again["verdicts"] == done.json["verdicts"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--audit", "--only", "ratings"), "only is about a validation"),
        (("--checks", "mood"), "checks are those of an audit"),
        (("--audit", "--checks", "luck"), "--checks: "),
        (("--audit", "--executor", "processes:2"), "leave out --executor"),
    ],
)
def test_what_does_not_go_together_is_refused(quick: Emosim, log: Path, more: tuple[str, ...], words: str) -> None:
    done = quick("validate", "--plugin", "movies", "--ratings", f"movielens:{log}", *more, "--out", "out", status=2)
    assert words in " ".join(done.err.split())
