"""``emosim ablate``: what it prints and leaves, models that cost money, being killed, and what it says of mistakes."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emosim_core.testing import Answer, ChatServer

MOVIES = ("ablate", "--plugin", "movies", "--executor", "local")
SAMPLING = (*MOVIES, "--study", "sampling:pairs=60")
ALL = ("category_preference", "high_rating", "low_rating", "collections", "sampling")
FEW = "category_preference:items=2,high_rating:items=1,low_rating:items=1,collections:users=2,sampling:pairs=40"


def test_all_studies_of_either_domain_leave_records_results_and_a_table(quick: Any, tmp_path: Path) -> None:
    for plugin in ("movies", "books"):
        done = quick("ablate", "--plugin", plugin, "--executor", "local", "--study", FEW, "--out", plugin)
        assert re.fullmatch(r"(Movies|Books): 5 jobs with \d+ ratings\. No language model is called\.\n", done.err)
        assert "No language model was called" in done.out
        for word in (*ALL, "positive", "negative", "both", "total variation distance", "95 %", "failed"):
            assert word.replace("_", " ") in done.out.lower()
        directory = tmp_path / plugin
        assert sorted(path.name for path in directory.iterdir()) == [
            "jobs", "manifest.json", "results.csv", "results.json",
        ]  # fmt: skip
        payload = json.loads((directory / "results.json").read_text())
        assert [name.partition(":")[0] for name in payload["studies"]] == list(ALL)
        lines = sum(len(path.read_text().splitlines()) - 1 for path in directory.glob("jobs/*/records.jsonl"))
        assert lines == sum(job["ratings"] for job in payload["jobs"])
        assert all(one["ratings"] <= job["ratings"] for job in payload["jobs"] for one in job["metrics"])
        manifest = json.loads((directory / "manifest.json").read_text())
        assert {"emosim-core", f"emosim-{plugin}", "numpy", "python"} <= set(manifest["versions"])
        assert manifest["config"]["seed"] == 42
        assert manifest["uses_llm"] is payload["uses_llm"] is False


@pytest.mark.slow
def test_all_stands_for_every_study_at_its_full_size(quick: Any) -> None:
    done = quick("ablate", "--plugin", "movies", "--study", "all", "--out", "a", "--json", timeout=300)
    metrics = {(job["study"], one["side"]): one for job in done.json["jobs"] for one in job["metrics"]}
    assert {study for study, _ in metrics} == set(ALL)
    assert metrics["category_preference", "both"]["ratings"] == 8 * 4 * 20 * 2
    assert metrics["high_rating", "positive"]["ratings"] == metrics["low_rating", "negative"]["ratings"] == 4 * 8 * 20
    assert metrics["sampling", ""]["ratings"] == 2000
    assert metrics["collections", "positive"]["ratings"] == 26 * 100


def test_json_is_the_results_and_report_computes_the_same_from_the_records(quick: Any, tmp_path: Path) -> None:
    done = quick(*SAMPLING, "--out", "a", "--json")
    assert done.json == json.loads((tmp_path / "a" / "results.json").read_text())
    assert "1 job with 60 ratings" in done.err
    (tmp_path / "a" / "results.json").unlink()
    assert quick("ablate", "report", "a", "--json").json == done.json
    shown = quick("ablate", "report", "a").out
    assert f"{done.json['jobs'][0]['metrics'][0]['estimate']:.3f}" in shown
    (path,) = (tmp_path / "a").glob("jobs/*/records.jsonl")
    text = path.read_text()
    path.write_text(re.sub(r'"rating":\d+,"reason"', '"rating":1,"reason"', text))
    assert quick("ablate", "report", "a", "--json").json["jobs"][0]["metrics"][0]["estimate"] > 0.9


def test_quiet_prints_only_where_the_results_are(quick: Any, tmp_path: Path) -> None:
    done = quick(*SAMPLING, "--quiet")
    assert done.err == ""
    assert done.out.startswith("runs/ablation-movies-")
    assert (tmp_path / done.out.strip() / "results.json").exists()


def test_a_grid_is_reported_by_what_varies_and_by_differences_on_the_same_trials(quick: Any) -> None:
    done = quick(
        *MOVIES, "--study", "collections:users=10,sampling:pairs=40", "--items-retrieval", "none,most_similar_3",
        "--perturbator", "none,gaussian:sd=2", "--num-seeds", "2", "--out", "a",
    )  # fmt: skip
    assert "16 jobs with 4,480 ratings" in done.err
    assert "seeds 42, 43. The same in all: rater rule_based." in done.out
    for word in ("items_retrieval", "perturbator", "gaussian:sd=2", "each seed", "On the same trials"):
        assert word in done.out
    better = [line.split() for line in done.out.splitlines() if re.search(r"none - most_similar_3 .* -0", line)]
    assert {line[-1] for line in better} == {"most_similar_3"}


def test_a_configuration_file_gives_a_grid_too_and_the_command_line_comes_first(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'plugin = "movies"\nnum_seeds = 2\nitems_retrieval = ["last_2", "none"]\n'
        '[perturbator]\nname = "gaussian"\nsd = 0.1\n'
    )
    command = ("ablate", "--config", "c.toml", "--executor", "local", "--study", "sampling:pairs=20", "--json")
    payload = quick(*command, "--out", "a").json
    assert {job["variant"]["items_retrieval"] for job in payload["jobs"]} == {"last_2", "none"}
    assert {job["variant"]["perturbator"] for job in payload["jobs"]} == {"gaussian:sd=0.1"}
    assert len(payload["jobs"]) == 4
    payload = quick(*command, "--items-retrieval", "last_1", "--num-seeds", "1", "--out", "b").json
    assert [job["variant"]["items_retrieval"] for job in payload["jobs"]] == ["last_1"]


# ------------------------------------------------------------------------------------------- third parties

GRUDGE = """
from emosim_core.plugins import Component, Study, Trial, Trials, hookimpl
EMOSIM_HOOK_VERSION = 1

class Grudge(Study):
    def trials(self, setting):
        low = setting.domain.scale.low
        users = setting.population.users[:30]
        return Trials(users, [Trial(i, i, "negative", at_most=low + 1, memory=((i, low),)) for i in range(30)])

@hookimpl
def emosim_studies():
    yield Component("grudge", "Whether a bad rating is remembered.", "emosim_grudge:Grudge")
"""


def test_a_plugin_adds_a_study(quick: Any, install: Callable[..., str], uninstall: Callable[..., None]) -> None:
    install("grudge", GRUDGE)
    payload = quick(*MOVIES, "--study", "grudge", "--out", "a", "--json").json
    assert payload["jobs"][0]["metrics"][0]["ratings"] == 30
    assert quick("ablate", "report", "a", "--json").json == payload
    assert "grudge" in quick("plugins").out
    uninstall("grudge")
    assert "unknown study 'grudge'" in quick("ablate", "report", "a", status=2).err


DOMAIN = """
from emosim_core.plugins import (
    Component,
    Domain,
    Item,
    ItemLoader,
    LoadedItems,
    RatingScale,
    User,
    UserLoader,
    Words,
    hookimpl,
)
EMOSIM_HOOK_VERSION = 1

def domain():
    return Domain("stones", "Stones", RatingScale(low=1, high=5), Words(), Item, "few", "some")

class Few(ItemLoader):
    def load(self):
        return LoadedItems([
            Item(id=f"i{i}", title="t", public_rating=3, **({"collection": "c", "part": i + 1} if i < SERIES else {}))
            for i in range(9)
        ])

class Some(UserLoader):
    def load(self):
        return [User(id=f"u{i}", name="n") for i in range(5)]

@hookimpl
def emosim_domains():
    yield Component("stones", "Stones.", "emosim_stones:domain")

@hookimpl
def emosim_item_loaders():
    yield Component("few", "Nine.", "emosim_stones:Few", domain="stones")

@hookimpl
def emosim_user_loaders():
    yield Component("some", "Five.", "emosim_stones:Some", domain="stones")
"""


def test_all_leaves_out_the_studies_that_a_domain_has_no_material_for_and_says_so(
    quick: Any, install: Callable[..., str], tmp_path: Path
) -> None:
    install("stones", f"SERIES = 3\n{DOMAIN}", domains=["stones"])
    command = ("ablate", "--plugin", "stones", "--embeddings", "lexical", "--executor", "local")
    done = quick(*command, "--out", "a")
    for name in ("category_preference", "high_rating", "low_rating", "sampling"):
        assert f"Note: {name} is left out: the domain 'stones'" in done.err
    payload = json.loads((tmp_path / "a" / "results.json").read_text())
    assert payload["studies"] == ["collections"]
    assert "'real_ratings'" in payload["left_out"]["sampling"]
    named = quick(*command, "--study", "sampling", "--out", "b", status=2)
    assert "the domain 'stones' does not say how real users' ratings are distributed" in named.err
    assert not (tmp_path / "b").exists()


def test_a_domain_with_material_for_nothing_is_an_error_that_says_why(quick: Any, install: Callable[..., str]) -> None:
    install("stones", f"SERIES = 0\n{DOMAIN}", domains=["stones"])
    message = quick("ablate", "--plugin", "stones", "--embeddings", "lexical", status=2).err
    assert "material for no study" in message
    assert "none of these 9 items has another with the same 'collection'" in message


# ------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "samplign"], "unknown study 'samplign'. Did you mean 'sampling'?"),
        (["--study", "all,sampling"], "name no other beside it"),
        (["--study", "sampling,sampling"], "named twice"),
        (["--study", "sampling:pairs=0"], "option 'pairs'"),
        (["--study", "sampling:paris=9"], "Did you mean 'pairs'"),
        (["--items-retrieval", "last_3,most_similer_3"], "Did you mean 'most_similar_3' or"),
        (["--rater", "rule_base"], "Did you mean 'rule_based'?"),
        (["--num-seeds", "0"], "--num-seeds: "),
        (["--llm-rater", "0Shot_system_our"], "give --llm-model too"),
        (["--max-cost", "1"], "--max-cost needs a language model"),
        (["--slate", "2"], "No such option"),
        (["--resume", "nowhere"], "nowhere is no directory"),
    ],
)
def test_a_mistake_is_one_message_and_leaves_nothing(
    quick: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert message in quick("ablate", "--plugin", "movies", *arguments, status=2).err
    assert not (tmp_path / "runs").exists()


def test_a_directory_that_exists_is_left_alone(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("mine")
    message = quick(*SAMPLING, "--out", "a", status=2).err
    assert "a exists already; choose another place with --out" in message
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["thesis.txt"]


def test_no_domain_and_no_ablation_are_errors(quick: Any) -> None:
    assert "choose a domain with --plugin" in quick("ablate", "--study", "all", status=2).err
    assert "x is no directory; list what there is with: emosim runs" in quick("ablate", "report", "x", status=2).err
    assert "x is no directory; list what there is with: emosim runs" in quick("ablate", "--resume", "x", status=2).err
    quick("run", "--plugin", "movies", "--episodes", "1", "--out", "r", "--quiet")
    assert "r is no ablation" in quick("ablate", "report", "r", status=2).err


def test_what_is_complete_is_printed_again_and_nothing_is_asked(quick: Any, tmp_path: Path) -> None:
    before = quick(*SAMPLING, "--out", "a", "--json").json
    done = quick("ablate", "--resume", "a")
    assert "0 jobs with 0 ratings to do; 1 of 1 are done already" in done.err
    assert quick("ablate", "--resume", "a", "--json").json == before
    (tmp_path / "all.toml").write_text('plugin = "movies"\nstudy = "all"\n')
    assert quick("ablate", "--resume", "a", "--config", "all.toml", "--json").json == before


# -------------------------------------------------------------------------------------- a language model

ABLATE = ("ablate", "--plugin", "movies", "--llm-model", "deepseek-chat", "--users", "sampled:n=20")
FOUR = (*ABLATE, "--study", "sampling:pairs=30", "--llm-rater", "0Shot_system_our,1Shot_system_our", "--num-seeds", "2")


@pytest.fixture
def service(quick: Any) -> Iterator[tuple[Any, ChatServer]]:
    """The command line beside a service that answers 7, after its delay."""
    with ChatServer(lambda request: Answer("7")) as server:
        variables = {"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url}
        yield replace(quick, variables=variables), server


def test_what_costs_money_is_estimated_before_and_not_begun_without_a_yes(service: tuple[Any, ChatServer]) -> None:
    emosim, server = service
    done = emosim(*FOUR, "--out", "a", "--quiet", "--json", status=2)
    assert "120 requests" in done.err
    assert "say --yes to start" in done.err
    assert re.search(r"cost about 0\.0[0-9]+ USD at the prices of", done.err)
    assert not server.calls
    assert not (emosim.folder / "a").exists()


def test_a_grid_of_prompts_asks_each_question_once_and_tells_what_it_took(service: tuple[Any, ChatServer]) -> None:
    emosim, server = service
    done = emosim(*FOUR, "--yes", "--out", "a")
    assert "Movies: 4 jobs with 120 ratings" in done.err
    assert len(server.calls) == 120
    assert re.search(r"calls +120 for 120 requests", done.out)
    assert "1Shot_system_our" in done.out
    assert "No language model" not in done.out + done.err
    payload = emosim(*FOUR, "--yes", "--out", "b", "--json").json
    assert len(server.calls) == 120  # the answers were kept
    assert payload["jobs"] == json.loads((emosim.folder / "a" / "results.json").read_text())["jobs"]
    assert emosim(*FOUR, "--replay", "--out", "c", "--json").json == payload


def test_an_answer_that_is_no_rating_is_a_failed_one_and_stands_beside_the_metric(quick: Any) -> None:
    with ChatServer(lambda request: Answer("I would rather not say.")) as server:
        emosim = replace(quick, variables={"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url})
        payload = emosim(*ABLATE, "--study", "sampling:pairs=10", "--yes", "--out", "a", "--json").json
    (metric,) = payload["jobs"][0]["metrics"]
    assert (metric["failed"], metric["ratings"], metric["estimate"]) == (10, 10, None)
    (path,) = (quick.folder / "a").glob("jobs/*/records.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert all(line["rating"] is None and "no answer could be parsed" in line["reason"] for line in lines)


@pytest.mark.slow
def test_a_budget_holds_for_the_whole_grid(service: tuple[Any, ChatServer]) -> None:
    emosim, server = service
    free = emosim(*FOUR, "--yes", "--out", "a", "--llm-cache", "one.sqlite3")
    spent = float(re.search(r"cost +([\d.]+) USD", free.out)[1])  # type: ignore[index]
    calls = len(server.calls)
    limit = ("--max-cost", f"{spent / 2:.9f}", "--concurrency", "1", "--llm-cache", "two.sqlite3")
    stopped = emosim(*FOUR, "--yes", "--out", "b", *limit, status=2)
    assert "emosim ablate --resume b" in stopped.err
    assert len(server.calls) - calls < calls * 0.75
    emosim("ablate", "--resume", "b", "--yes", "--max-cost", "99", "--quiet")
    assert len(server.calls) == 2 * calls


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_where_it_was(quick: Any) -> None:
    with ChatServer(lambda request: Answer("7", delay=0.02)) as server:
        emosim = replace(quick, variables={"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url})
        command = (*FOUR, "--yes", "--concurrency", "2", "--items-retrieval", "last_3,none,decay_emotion_3")
        process = emosim.start(*command, "--out", "a", "--quiet")
        until = time.monotonic() + 50
        while not list(emosim.folder.glob("a/jobs/*/job.json")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        complete = len(list(emosim.folder.glob("a/jobs/*/job.json")))
        assert 0 < complete < 12
        payload = emosim("ablate", "--resume", "a", "--yes", "--json").json
        whole = emosim(*command, "--out", "b", "--json").json
    assert payload == whole
    assert len(payload["jobs"]) == 12
    assert not payload["missing"]


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(quick: Any) -> None:
    with ChatServer(lambda request: Answer("7", delay=0.02)) as server:
        emosim = replace(quick, variables={"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url})
        process = emosim.start(*FOUR, "--yes", "--concurrency", "2", "--out", "a", "--quiet")
        until = time.monotonic() + 50
        while not list(emosim.folder.glob("a/jobs/*/job.json")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        assert process.returncode == 130
        assert out == ""
        assert "emosim ablate --resume a" in err
        assert "Traceback" not in err
        assert len(emosim("ablate", "--resume", "a", "--yes", "--json").json["jobs"]) == 4


@pytest.mark.slow
def test_jobs_of_a_language_model_can_run_side_by_side(service: tuple[Any, ChatServer]) -> None:
    emosim, server = service
    payload = emosim(*FOUR, "--yes", "--executor", "processes:2", "--out", "a", "--json").json
    assert len(server.calls) == 120
    assert sum(job["ratings"] for job in payload["jobs"]) == 120
    done = [json.loads(path.read_text()) for path in (emosim.folder / "a").glob("jobs/*/job.json")]
    assert sum(job["usage"]["calls"] for job in done) == 120
    limit = ("--max-cost", "0", "--llm-cache", "b.sqlite3")
    message = emosim(*FOUR, "--yes", "--executor", "processes:2", *limit, "--out", "b", "--quiet", status=2).err
    assert "the budget is spent: 0 of 0 USD (--max-cost)" in message
    assert len(server.calls) == 120
