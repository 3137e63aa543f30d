"""Studies of trust with planted simulators: one that knows the truth, one that knows nothing, one that counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks import Registry
from emosim_core.studies.trust.trust import RESULTS, Trust, TrustConfig
from emosim_core.testing import Answer, ChatServer, Emosim

for library in ("scipy", "threadpoolctl"):
    pytest.importorskip(library)

PEBBLES = '''
"""Pebbles, which are rated 1 to 100, and raters of which it is known what they are worth."""
import csv
import numpy as np
from emosim_core.plugins import (
    Component, Domain, Item, ItemLoader, LoadedItems, RatingScale, User, UserLoader, Words, hookimpl,
)
from emosim_core.components.base import Rater, Ratings

EMOSIM_HOOK_VERSION = 1

def domain():
    return Domain("pebbles", "Pebbles", RatingScale(low=1, high=100), Words(item="pebble", items="pebbles"), Item,
                  "pebbles", "nobody")

class Pebbles(ItemLoader):
    def load(self):
        return LoadedItems([Item(id=f"p{i}", title=f"Pebble {i}") for i in range(30)])

class Nobody(UserLoader):
    def load(self):
        return [User(id="nobody", name="Nobody")]

class Oracle(Rater):
    """What the user really answers, by the ids of user and item."""
    def __init__(self):
        with open(TRUTH) as stream:
            self.known = {(row["user"], row["pebble"]): float(row["rating"]) for row in csv.DictReader(stream)}

    def rate_batch(self, request, draws):
        ids = [request.population.users[user].id for user in request.users]
        return Ratings(np.array([
            [self.known[name, request.catalog.ids[item]] for item in slate]
            for name, slate in zip(ids, request.items.tolist())
        ]))

class Constant(Rater):
    """The same answer to everything."""
    def rate_batch(self, request, draws):
        return Ratings(np.full(request.items.shape, 50.0))

class Counter(Rater):
    """As many points as users of the log took the item."""
    def rate_batch(self, request, draws):
        return Ratings(np.clip(request.catalog.public_counts[request.items], 1, 100).astype(float))

@hookimpl
def emosim_domains():
    yield Component("pebbles", "Pebbles.", "emosim_pebbles:domain")

@hookimpl
def emosim_item_loaders():
    yield Component("pebbles", "All.", "emosim_pebbles:Pebbles", domain="pebbles")

@hookimpl
def emosim_user_loaders():
    yield Component("nobody", "One.", "emosim_pebbles:Nobody", domain="pebbles")

@hookimpl
def emosim_raters():
    yield Component("oracle", "The truth.", "emosim_pebbles:Oracle")
    yield Component("constant", "Nothing.", "emosim_pebbles:Constant")
    yield Component("counter", "Popularity.", "emosim_pebbles:Counter")
'''

RECOMMENDERS = ("random", "popular", "top_rated", "ease", "inverted+top_rated", "shuffled+item_cooccurrence")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """A file in which 120 users rated all 30 pebbles; half of their liking is the pebble's, half their own."""
    rng = np.random.default_rng(7)
    values = 50 + 12 * rng.normal(size=30) + rng.normal(size=(120, 3)) @ (7 * rng.normal(size=(3, 30)))
    values = np.clip(np.round(values + 6 * rng.normal(size=values.shape)), 1, 100)
    rows = [f"u{u},p{i},{values[u, i]:g}" for u in range(120) for i in range(30)]
    path = tmp_path / "pebbles.csv"
    path.write_text("user,pebble,rating\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def study(answers: Path, install: Callable[..., str], tmp_path: Path) -> Callable[..., Trust]:
    install("pebbles", f"TRUTH = {str(answers)!r}\n{PEBBLES}", domains=["pebbles"])
    registry = Registry()

    def make(rater: str, **more: Any) -> Trust:
        values = {"plugin": "pebbles", "rater": rater, "ratings": str(answers), "recommenders": RECOMMENDERS}
        values |= {"num_logs": 3, "length": 8, "history": 5, "slate": 3}
        return Trust(TrustConfig.read({**values, **more}, "test"), registry)

    return make


def test_an_oracle_is_right_about_every_pair(study: Callable[..., Trust], tmp_path: Path) -> None:
    results = study("oracle").run(tmp_path / "out")
    mine = results["methods"]["simulated users"]
    assert mine["right"] == {"estimate": 1.0, "low": 1.0, "high": 1.0}
    assert (mine["held"]["estimate"], mine["contradicted"]["estimate"]) == (1.0, 0.0)
    assert mine["tau"]["estimate"] == 1.0
    assert mine["regret"] == {"estimate": 0.0, "low": 0.0, "high": 0.0}
    assert mine["called"]["estimate"] > 0.3
    assert all(one["right"] == 1.0 for one in results["pairs"])
    assert results["failed"] == 0.0


def test_a_constant_simulator_decides_nothing_and_is_right_by_half(study: Callable[..., Trust], tmp_path: Path) -> None:
    results = study("constant").run(tmp_path / "out")
    mine = results["methods"]["simulated users"]
    assert mine["right"] == {"estimate": 0.5, "low": 0.5, "high": 0.5}
    assert (mine["called"]["estimate"], mine["held"]["estimate"]) == (0.0, None)
    assert mine["tau"]["estimate"] == 0.0
    assert mine["regret"]["estimate"] > 0.0


def test_a_simulator_that_counts_scores_as_the_more_popular_one(study: Callable[..., Trust], tmp_path: Path) -> None:
    results = study("counter").run(tmp_path / "out")
    assert results["methods"]["simulated users"] == results["methods"]["the more popular one"]
    apart = results["differences"]["the more popular one"]
    assert all(one["estimate"] == 0.0 for one in apart.values())


def test_users_are_fitted_to_each_log_and_beat_chance(study: Callable[..., Trust], tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    results = study("fitted", logging="self_selection").run(tmp_path / "out")
    assert results["methods"]["simulated users"]["right"]["low"] > 0.55
    assert results["methods"]["simulated users"]["held"]["estimate"] > 0.6


def test_logs_that_are_done_are_not_done_again_and_processes_change_nothing(
    study: Callable[..., Trust], tmp_path: Path
) -> None:
    whole = study("counter").run(tmp_path / "whole", executor="processes:2")
    part = study("counter")
    with pytest.raises(ZeroDivisionError):
        part.run(tmp_path / "part", on_progress=lambda count: None if not count else 1 / 0)
    done = sorted((tmp_path / "part" / "logs").iterdir())
    assert len(done) == 1
    before = done[0].stat().st_mtime_ns
    counts: list[int] = []
    again = study("counter").run(tmp_path / "part", on_progress=counts.append, resume=True)
    assert counts[0] == 1
    assert sum(counts) == 3
    assert done[0].stat().st_mtime_ns == before
    assert again == whole == json.loads((tmp_path / "part" / RESULTS).read_text())
    with pytest.raises(RunError, match="seed: 42 then, 5 now"):
        study("counter", seed=5).run(tmp_path / "part", resume=True)


def test_ratings_of_items_shown_at_random_are_a_truth(
    study: Callable[..., Trust], answers: Path, tmp_path: Path
) -> None:
    lines = answers.read_text().splitlines()
    rng = np.random.default_rng(1)
    # 12 answers of each user are a log, 10 others were asked for at random; of 20 users nothing was.
    log, shown = [lines[0]], [lines[0]]
    for user in range(120):
        own = [lines[1 + 30 * user + item] for item in rng.permutation(30).tolist()]
        log += own[:12]
        shown += own[12:22] if user >= 20 else []
    (tmp_path / "log.csv").write_text("\n".join(log) + "\n")
    (tmp_path / "shown.csv").write_text("\n".join(shown) + "\n")
    places = {"ratings": str(tmp_path / "log.csv"), "truth": f"csv:{tmp_path / 'shown.csv'}"}
    results = study("oracle", **places).run(tmp_path / "out")
    assert results["data"]["users"] == 100
    assert results["held_out"] == 50.0
    assert results["methods"]["simulated users"]["right"]["estimate"] == 1.0
    assert "IPS" not in results["methods"]
    assert "nDCG@10" in results["methods"]
    few = "\n".join(shown[: 1 + 30 * 10])
    (tmp_path / "few.csv").write_text(few + "\n")
    with pytest.raises(ConfigurationError, match="only 30 users are both in the log and in the file"):
        study("oracle", **{**places, "truth": str(tmp_path / "few.csv")})


def test_a_model_of_the_log_is_a_truth_where_nobody_rated_everything(
    study: Callable[..., Trust], answers: Path, tmp_path: Path
) -> None:
    pytest.importorskip("surprise")
    lines = answers.read_text().splitlines()
    (tmp_path / "log.csv").write_text("\n".join(line for i, line in enumerate(lines) if i % 4 != 1 or not i) + "\n")
    with pytest.raises(ConfigurationError, match=r"--truth csv:FILE.*--truth factors"):
        study("constant", ratings=str(tmp_path / "log.csv"))
    made = study("constant", ratings=str(tmp_path / "log.csv"), truth="factors", max_items=25, max_users=60)
    about = made.data.about()
    assert (about["users"], about["items"], about["answers"]) == (60, 25, 60 * 25)
    drawn, other = made.data.drawn(made.config, 0), made.data.drawn(made.config, 1)
    assert np.array_equal(drawn.log.values, np.round(drawn.log.values))
    assert set(drawn.learners).isdisjoint(drawn.held_out)
    assert not np.array_equal(drawn.held_out, other.held_out)
    assert all(len(past.items) == 5 for past in drawn.histories)
    for row, past in enumerate(drawn.histories):
        assert not drawn.candidates[row, past.items].any()


def test_a_recommender_is_trained_on_users_who_are_fitted_to_each_log(
    study: Callable[..., Trust], tmp_path: Path
) -> None:
    for library in ("lightgbm", "safetensors", "stable_baselines3", "sb3_contrib"):
        pytest.importorskip(library)
    names = ("random", "ppo:timesteps=1024", "inverted+ppo:timesteps=1024")
    more = {"recommenders": names, "num_logs": 1, "logging": "best_guess", "max_users": 100}
    results = study("oracle", **more).run(tmp_path / "out")
    worth = {one["name"]: one["truth"]["estimate"] for one in results["recommenders"]}
    assert worth[names[1]] > worth["random"] + 3 > worth[names[2]] + 6
    assert study("oracle", **more).run(tmp_path / "again")["recommenders"] == results["recommenders"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dqn:steps=10", r"policy 'dqn'.*'steps'"),
        ("ppo:timesteps=0", r"policy 'ppo'.*timesteps.*greater than or equal to 1"),
        ("shuffled+a2c:timesteps=x", r"policy 'a2c'.*timesteps"),
    ],
)
def test_a_wrong_option_of_a_training_is_said(study: Callable[..., Trust], name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        study("constant", recommenders=("random", name))


def test_a_language_model_is_asked_only_after_its_cost_was_said(
    study: Callable[..., Trust], quick: Emosim, answers: Path, tmp_path: Path
) -> None:
    few = ("--num-logs", "1", "--history", "3", "--length", "6", "--slate", "1", "--max-users", "40", "--out", "out")
    ask = ("trust", "--plugin", "pebbles", "--ratings", str(answers), "--recommenders", "random,popular,top_rated")

    def of_its_number(body: dict[str, Any]) -> Answer:
        return Answer(str(1 + int(re.findall(r"Pebble (\d+)", str(body["messages"]))[-1]) % 10))

    with ChatServer(of_its_number) as server:
        command = (*ask, *few, "--llm-model", f"openai:model,base_url={server.url}", "--llm-rater", "0Shot_system_our")
        quick = replace(quick, variables={"OPENAI_API_KEY": "sk-key"})
        refused = quick(*command, status=2)
        (most,) = map(int, re.findall(r"(\d+) requests, about", refused.err))
        assert (most, server.calls) == (3 * 20, [])
        assert not (tmp_path / "out").exists()
        done = quick(*command, "--yes", "--json")
    assert 20 <= len(server.calls) <= most
    assert done.json["failed"] == 0.0
    assert {one["name"] for one in done.json["recommenders"]} == {"random", "popular", "top_rated"}


def test_wrong_values_are_said(study: Callable[..., Trust]) -> None:
    with pytest.raises(ConfigurationError, match="named twice"):
        study("constant", recommenders=("random", "random"))
    with pytest.raises(ConfigurationError, match="two recommenders or more"):
        study("constant", recommenders=("random",))
    with pytest.raises(ConfigurationError, match="unknown"):
        study("constant", recommenders=("random", "inverted+nothing"))
    with pytest.raises(ConfigurationError, match="none of complete, factors"):
        study("constant", truth="whatever")
    with pytest.raises(ConfigurationError, match="a slate of 20 needs 40 items"):
        study("constant", slate=20)


def test_the_command_prints_tables_and_writes_on_the_card_what_an_evaluation_then_says(
    study: Callable[..., Trust], quick: Emosim, answers: Path, tmp_path: Path
) -> None:
    for library in ("lightgbm", "safetensors"):
        pytest.importorskip(library)
    log = ("--plugin", "pebbles", "--ratings", f"csv:{answers}")
    quick("fit", *log, "--out", "people", "--quiet")
    small = ("--num-logs", "2", "--length", "6", "--history", "4", "--slate", "2")
    names = ("--recommenders", "random,popular,inverted+top_rated")
    compare = ("evaluate", "--plugin", "pebbles", "--policies", "random,popular", "--users", "fitted:people")
    short = ("--user-splits", "all", "--episodes", "8", "--max-steps", "2", "--no-charts", "--embeddings", "lexical")
    assert "was not measured for these users; emosim trust" in " ".join(
        quick(*compare, *short, "--out", "before").out.split()
    )

    done = quick(
        "trust", "--plugin", "pebbles", "--ratings", str(answers), *small, *names, "--card", "people", "--out", "out"
    )
    words = " ".join(done.out.split())
    for part in (
        "120 users who rated everything",
        "30 pebbles, 3 recommenders, 2 logs",
        "Kendall's tau",
        "nDCG@10",
        "SNIPS",
    ):
        assert part in words
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert "of pairs in the right order" in quick("runs", ".").out
    results = json.loads((tmp_path / "out" / RESULTS).read_text())
    card = json.loads((tmp_path / "people" / "card.json").read_text())
    assert card["trust"]["right"] == results["methods"]["simulated users"]["right"]
    assert card["trust"]["calibration"] == results["calibration"]
    words = " ".join(quick(*compare, *short, "--out", "after").out.split())
    assert "On 120 users who rated everything, verdicts on the mean rating as clear as that of" in words
    refused = quick(
        *("trust", "--plugin", "pebbles", "--ratings", str(answers), "--rater", "constant", *small, *names),
        *("--card", "people", "--out", "other"),
        status=2,
    )
    assert "here 'constant' is measured" in refused.err
    assert not (tmp_path / "other").exists()
