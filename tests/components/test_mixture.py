"""``--rater mix:...``: a language model answers for some of the users, another rater for the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.components.base import Rater, Situation
from emosim_core.components.mixture import MixOptions, Mixture
from emosim_core.errors import EmoSimError
from emosim_core.hooks.mixtures import choice_of, read_mixture
from emosim_core.model import User
from emosim_core.testing.chat_server import Answer, ChatServer

MIX = "mix:llm=0.3,rule_based=0.7"
RUN = ("run", "--plugin", "movies", "--users", "sampled:n=30", "--episodes", "12", "--max-steps", "4")


@pytest.fixture
def asked(quick: Any) -> Iterator[tuple[Any, ChatServer]]:
    """The command line beside a service that answers as the length of the request says."""
    with ChatServer(lambda body: Answer(str(len(str(body["messages"])) % 10))) as server:
        yield replace(quick, variables={"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url}), server


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "interactions.jsonl").read_text().splitlines()]


def raters_of(folder: Path) -> dict[str, set[str]]:
    """Which raters answered for each user, by the records."""
    found: dict[str, set[str]] = {}
    for record in records_of(folder):
        found.setdefault(record["user"], set()).update(one["rater"] for one in record["recommended"])
    return found


def test_a_model_answers_for_its_users_alone_and_records_and_summary_say_so(asked: tuple[Any, ChatServer]) -> None:
    emosim, server = asked
    out = emosim.folder / "mixed"
    said = emosim(*RUN, "--rater", MIX, "--llm-model", "deepseek-chat", "--out", out).output
    who = raters_of(out)
    assert all(len(raters) == 1 for raters in who.values())
    by = {name: {user for user, raters in who.items() if raters == {name}} for name in ("llm", "rule_based")}
    assert by["llm"]
    assert by["rule_based"]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["raters"] == {
        "llm": {"share": 0.3, "users": len(by["llm"])},
        "rule_based": {"share": 0.7, "users": len(by["rule_based"])},
    }
    assert summary["uses_llm"] is True
    assert summary["usage"]["calls"] == len(server.calls) > 0
    assert f"llm {len(by['llm'])}, rule_based {len(by['rule_based'])}" in said
    of_model = sum(len(one["recommended"]) for one in records_of(out) if one["user"] in by["llm"])
    assert summary["usage"]["requests"] == of_model
    told = [json.loads(line) for line in (out / "transcript.jsonl").read_text().splitlines()]
    assert {line["user"] for line in told if "episode" in line} == by["llm"]

    # Each rater gives its users what it gives them without the others.
    for name, choice in {"rule_based": ("--rater", "rule_based"), "llm": ("--llm-model", "deepseek-chat")}.items():
        alone = emosim.folder / name
        emosim(*RUN, *choice, "--out", alone, "--quiet")
        expected = {(one["episode"], one["step"]): one for one in records_of(alone) if one["user"] in by[name]}
        for one in records_of(out):
            if one["user"] in by[name]:
                ratings = [
                    [item["rating"] for item in each["recommended"]]
                    for each in (one, expected[one["episode"], one["step"]])
                ]
                assert ratings[0] == ratings[1]


@pytest.mark.parametrize("records", ["jsonl", "parquet"])
def test_a_mixture_gives_the_same_bytes_one_by_one_and_in_batches_and_however_it_is_written(
    asked: tuple[Any, ChatServer], sorted_lines: Callable[[Path], list[bytes]], records: str
) -> None:
    emosim, _ = asked
    (emosim.folder / "mixed.toml").write_text(
        """
        [rater]
        name = "mix"
        [rater.raters.llm]
        weight = 0.3
        model = "deepseek-chat"
        [rater.raters.rule_based]
        weight = 0.7
        noise = 0.5
        """
    )
    ways = {
        "one": ("--rater", f"{MIX},rule_based.noise=0.5", "--llm-model", "deepseek-chat", "--num-envs", "1"),
        "many": ("--config", "mixed.toml", "--num-envs", "12"),
        "typed": ("--rater", "mix:llm:deepseek-chat=0.3,rule_based=0.7,rule_based.noise=0.5", "--num-envs", "5"),
    }
    found = []
    for name, options in ways.items():
        emosim(*RUN, *options, "--slate", "3", "--records", records, "--out", name, "--quiet")
        place = emosim.folder / name
        if records == "parquet":
            emosim("data", "convert", place, "--records", "jsonl", "--out", f"{name}-lines")
            place = emosim.folder / f"{name}-lines"
            if name == "one":
                emosim("data", "convert", place, "--records", "parquet", "--out", "again")
                emosim("show", "again", "--episode", "0")
        assert raters_of(place)
        found.append(sorted_lines(place))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("rater", "message"),
    [
        ("mix:rule_based=0.5,rule_bosed=0.5", "Did you mean 'rule_based'"),
        ("mix:rule_based=0.5,llm=0.4", "weights must sum to 1, and rule_based=0.5, llm=0.4 sum to 0.9"),
        ("mix:rule_based=1.5,llm=-0.5", "the weight of 'llm' must be above 0"),
        ("mix:rule_based=much,llm=0.5", "expected a weight, a number such as 0.1, got 'much'"),
        ("mix:rule_based=0.5,mix=0.5", "a mixture cannot be one of its own raters"),
        ("mix:rule_based=0.5,rule_based=0.5", "'rule_based' is named twice"),
        ("mix:rule_based=1,fitted.noise=0", "the option fitted.noise is of none of rule_based"),
        ("mix:rule_based=1,rule_based.nose=0", "unknown option 'nose'. Did you mean 'noise'?"),
        ("mix:rule_based", "expected NAME=WEIGHT"),
        ("mix", "raters"),
        ("mix:rule_based=0.5,llm=0.5", "the option 'model' is needed"),
    ],
)
def test_what_is_no_mixture_is_one_clear_error(quick: Any, rater: str, message: str) -> None:
    assert message in quick("run", "--plugin", "movies", "--rater", rater, status=2).output


def test_the_budget_of_a_mixture_is_that_of_its_model_and_a_resumed_run_may_raise_it(
    asked: tuple[Any, ChatServer],
) -> None:
    emosim, server = asked
    server.script = lambda body: Answer("7", usage={"prompt_tokens": 1_000_000, "completion_tokens": 0})
    options = ("--rater", MIX, "--llm-model", "deepseek-chat", "--num-envs", "4")
    emosim(*RUN, *options, "--max-cost", "1", "--out", "dear", "--quiet", status=2)
    emosim("run", "--resume", "dear", "--max-cost", "1000", "--quiet")
    emosim(*RUN, *options, "--out", "whole", "--quiet")
    dear, whole = (records_of(emosim.folder / name) for name in ("dear", "whole"))
    assert sorted(map(str, dear)) == sorted(map(str, whole))


@given(seed=st.integers(0, 10**9), shares=st.lists(st.integers(1, 50), min_size=1, max_size=4))
def test_each_user_has_one_rater_which_nobody_else_decides_and_shares_are_kept(seed: int, shares: list[int]) -> None:
    class Constant(Rater):
        def rate(self, situation: Situation, rng: Any) -> float:
            return 5.0

    total = sum(shares)
    options = MixOptions(raters={f"r{n}": share / total for n, share in enumerate(shares)}, seed=seed)  # type: ignore[arg-type]
    mixture = Mixture(options, {name: Constant() for name in options.raters})
    users = [User(id=str(number), name="N") for number in range(600)]
    numbers = mixture.of_users(users)
    assert (mixture.of_users(users[::-7]) == numbers[::-7]).all()
    for number, share in enumerate(shares):
        expected = 600 * share / total
        assert abs((numbers == number).sum() - expected) <= 6 * max(expected * (1 - share / total), 1) ** 0.5


@given(st.text(alphabet="llm=0.1,:fited. \n", max_size=30))
def test_any_text_is_a_mixture_or_one_error(text: str) -> None:
    message = ""
    try:
        entries = read_mixture(text, "mix")
    except EmoSimError as error:
        message = str(error)
        entries = {}
    assert bool(entries) != message.startswith("mix")
    assert all(choice_of(name, entry)["name"] for name, entry in entries.items())
