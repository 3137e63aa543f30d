"""``emosim run``: what it leaves, what it prints, how it is stopped and resumed, what it says about mistakes."""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emosim_core import DataError, RunError, run
from emosim_core.llm.gateway.gateway import GatewayOptions
from emosim_core.runs.runner import Run
from emosim_core.simulation.config import RunConfig

MOVIES = ("run", "--plugin", "movies")


def lines_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "interactions.jsonl").read_text().splitlines()]


# ------------------------------------------------------------------------------------ what it leaves


def test_a_run_leaves_three_files_and_prints_its_table_and_that_no_model_was_asked(emosim: Any) -> None:
    done = emosim(*MOVIES, "--episodes", "3", "--max-steps", "8", "--out", "r")
    assert done.err == ""
    for word in (
        "(no language model)", "episodes", "mean rating", "share liked", "mean reward", "episode length",
        "end reasons", "mood at the end", "most liked", "least liked", "steps/s",
        "Written to r. Read an episode with: emosim show r --episode 0",
    ):  # fmt: skip
        assert word in done.out
    directory = emosim.folder / "r"
    assert sorted(path.name for path in directory.iterdir()) == [
        "interactions.jsonl",
        "manifest.json",
        "summary.json",
    ]
    manifest, summary = (json.loads((directory / f"{name}.json").read_text()) for name in ("manifest", "summary"))
    assert manifest["uses_llm"] is False
    assert manifest["config"]["seed"] == 42
    assert {"emosim-core", "emosim-movies", "numpy", "gymnasium", "pydantic", "python"} <= set(manifest["versions"])
    assert set(manifest["parts"]) == {
        "domain", "rater", "retrieval", "choice", "selector", "perturbator", "emotion_model", "reward_shaping",
        "observation", "item_loader", "user_loader", "policy",
    }  # fmt: skip
    lines = lines_of(directory)
    assert summary["complete"] is True
    assert summary["steps"] == len(lines)
    assert summary["episodes"] == 3 == sum(line["end_reason"] is not None for line in lines)
    ratings = [item["rating"] for line in lines for item in line["recommended"]]
    assert summary["mean_rating"] == pytest.approx(sum(ratings) / len(ratings), abs=1e-4)
    assert all(("user_profile" in line) == (line["step"] == 1) for line in lines)


SLATES_OF_ONE = {  # by options, the digest of the records that were written before there were choice models
    (): "71ea54697d331f7670ed7d5d36a2518729cbee74691fe569c073c8fc2925c203",
    ("--selector", "random", "--perturbator", "gaussian:sd=1", "--keep-memory", "--p-interrupt", "0.2"): (
        "9b00315b8afea62138e4a03373e98077603c2a16666679c8caa060e53bba1adf"
    ),
}


@pytest.mark.parametrize(("options", "expected"), SLATES_OF_ONE.items())
def test_a_slate_of_one_is_recorded_byte_for_byte_as_before_there_were_choice_models(
    quick: Any, tmp_path: Path, options: tuple[str, ...], expected: str
) -> None:
    quick(*MOVIES, "--episodes", "4", "--max-steps", "12", "--seed", "3", *options, "--out", "r", "--quiet")
    assert hashlib.sha256((tmp_path / "r" / "interactions.jsonl").read_bytes()).hexdigest() == expected


def test_json_is_the_summary_and_nothing_else(quick: Any, tmp_path: Path) -> None:
    done = quick(*MOVIES, "--episodes", "2", "--out", "r", "--json")
    assert done.err == ""
    payload = done.json
    assert payload.pop("directory") == "r"
    assert payload == json.loads((tmp_path / "r" / "summary.json").read_text())
    assert sum(payload["rating_counts"].values()) == payload["ratings"] == payload["steps"]
    assert payload["uses_llm"] is False
    assert quick("run", "--resume", "r", "--json").json["directory"] == "r"


def test_quiet_prints_only_where_the_run_is_and_runs_without_out_get_names_of_their_own(
    quick: Any, tmp_path: Path
) -> None:
    outputs = {quick(*MOVIES, "--episodes", "1", "--quiet").output for _ in range(3)}
    assert len(outputs) == 3
    for output in outputs:
        assert (tmp_path / output.removesuffix("\n") / "summary.json").exists()
        assert output.startswith("runs/movies-")


def test_every_option_reaches_the_configuration(quick: Any, tmp_path: Path) -> None:
    options = {
        "--items": "sample", "--users": "basic:n=20", "--embeddings": "lexical", "--rater": "rule_based",
        "--items-retrieval": "last_2", "--perturbator": "gaussian:sd=0.1", "--selector": "probabilistic:p=0.9",
        "--reward-shaping": "same_film_terminate", "--policy": "popular", "--user-order": "sequential",
        "--episodes": "3", "--max-steps": "4", "--num-envs": "2", "--slate": "2", "--p-interrupt": "0.01",
        "--seed": "7",
    }  # fmt: skip
    quick(*MOVIES, *(word for pair in options.items() for word in pair), "--keep-memory", "--out", "r", "--quiet")
    config = json.loads((tmp_path / "r" / "manifest.json").read_text())["config"]
    for option, value in options.items():
        field = {"--users": "user_dataset"}.get(option, option[2:].replace("-", "_"))
        assert str(config[field]) == value, option
    assert config["keep_memory"] is True
    steps = [line for line in lines_of(tmp_path / "r") if line["recommended"]]
    assert {len(line["recommended"]) for line in steps} == {2}
    assert max(line["step"] for line in steps) <= 4


def test_a_configuration_file_sets_options_and_the_command_line_comes_first(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('plugin = "movies"\nepisodes = 2\nmax_steps = 3\nreward_shaping = "identity"\n')
    assert quick("run", "--config", "c.toml", "--out", "r", "--json").json["steps"] == 6
    assert quick("run", "--config", "c.toml", "--max-steps", "4", "--out", "s", "--json").json["steps"] == 8


# ------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epsiodes", "3"], "--episodes"),
        (["--items-retreival", "last_3"], "--items-retrieval"),
        (["--episodes", "many"], "'many' is not a valid integer"),
        (["--episodes", "0"], "--episodes: "),
        (["--max-steps", "0"], "--max-steps: "),
        (["--num-envs", "0"], "--num-envs: "),
        (["--slate", "0"], "--slate: "),
        (["--slate", "100000"], "needs more items than the"),
        (["--seed", "-1"], "--seed: "),
        (["--p-interrupt", "1.5"], "--p-interrupt: "),
        (["--user-order", "alphabetical"], "'random', 'sequential'"),
        (["--embeddings", "word2vec"], "embeddings"),
        (["--items-retrieval", "decay_emotoin_5"], "Did you mean 'decay_emotion_5'"),
        (["--llm-rater", "0Shot_cotlite_our"], "give --llm-model too"),
        (["--max-cost", "1"], "--max-cost needs a language model: give --llm-model too"),
        (["--config", "typo.toml"], "unknown option 'episods'. Did you mean 'episodes'"),
        (["--config", "broken.toml"], "broken.toml is not a TOML file"),
        (["--config", "nowhere.toml"], "nowhere.toml: no such file"),
        (["--config", "."], "is a directory"),
        (["--policy", "replay:nowhere.csv"], "nowhere.csv: no such file"),
        (["--policy", "replay:list.csv"], "list.csv, row 3, field 'item': the catalog has no item 'nope'"),
        (["--policy", "replay:empty.csv"], "empty.csv: has no items to recommend"),
        (["--policy", "replay:people.csv"], "field 'item': the column is missing"),
        (["--users", "csv:people.csv"], "people.csv, row 2, field 'age'"),
        (["--items", "csv:nowhere.csv"], "nowhere.csv: no such file"),
        (["--resume", "nowhere"], "nowhere is no directory; list what there is with: emosim runs"),
        (["--resume"], "there is no run in runs/ to resume"),
        (["--resume", "a", "--out", "b"], "name different directories"),
        (["--out", "list.csv"], "list.csv exists already"),
        (["--out", "list.csv/r"], "list.csv/r cannot be written: Not a directory."),
        (["--out", "n" * 300], "cannot be"),
        (["more"], "Got unexpected extra argument"),
    ],
)
def test_a_mistake_is_one_clear_message_and_leaves_nothing(
    quick: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "list.csv").write_text("item\nthe-matrix-1999\nnope\n")
    (tmp_path / "empty.csv").write_text("item\n")
    (tmp_path / "typo.toml").write_text("episods = 3\n")
    (tmp_path / "broken.toml").write_text("episodes = = 3\n")
    (tmp_path / "people.csv").write_text(
        "name,gender,description,age,job,hobby,genres_liked,genres_disliked\nAnn,F,x,old,y,z,[],[]\n"
    )
    before = sorted(tmp_path.rglob("*"))
    printed = quick(*MOVIES, *arguments, status=2).err
    assert message in printed
    assert "resume list.csv/r" not in printed
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("deepseek-chat", "emosim-deepseek; in a checkout: pip install -e plugins/emosim_deepseek."),
        ("openai:gpt-4", "emosim-deepseek; in a checkout: pip install -e plugins/emosim_deepseek."),
        (
            "http://127.0.0.1:1/v1#m",
            "emosim-deepseek; in a checkout: pip install -e plugins/emosim_deepseek.",
        ),
        ("local:/models/x", "emosim-local-gpu; in a checkout: pip install -e plugins/emosim_local_gpu."),
        ("unheard-of", "some come with emosim-deepseek and emosim-local-gpu"),
    ],
)
def test_a_model_that_nothing_brings_says_which_package_does(
    quick: Any, uninstall: Any, model: str, message: str
) -> None:
    uninstall("deepseek", "local_gpu")
    assert message in quick(*MOVIES, "--llm-model", model, "--out", "r", status=2).err
    assert not Path("r").exists()


def test_a_run_without_a_domain_says_how_to_choose_one(quick: Any) -> None:
    message = quick("run", status=2).err
    assert "choose a domain with --plugin, such as --plugin movies" in message
    assert "Installed domains: books, movies." in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('seed = 3\nplugn = "movies"\n', "c.toml: unknown option 'plugn'. Did you mean 'plugin'?"),
        ('[selector]\nnmae = "greedy"\n', "c.toml: the table [selector] needs a 'name', not 'nmae'"),
        ("[items_retrieval]\nk = 3\n", "c.toml: the table [items_retrieval] needs a 'name'\n"),
    ],
)
def test_what_is_wrong_in_a_configuration_file_is_said_before_what_is_missing(
    quick: Any, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    for command in ("run", "train", "validate", "ablate"):
        assert message in quick(command, "--config", "c.toml", status=2).err


def test_a_run_that_fails_at_once_leaves_nothing_behind(
    quick: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    options = ("--users", "sampled:n=3", "--llm-model", "openai:gpt-4o", "--quiet")
    quick("run", "--plugin", "movies", *options, "--out", "a/b/r", status=2)
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").mkdir()
    quick("run", "--plugin", "movies", *options, "--out", "a/b/r", status=2)
    assert list((tmp_path / "a").iterdir()) == []


def test_a_directory_that_exists_is_refused_unless_it_is_empty(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    quick(*MOVIES, "--episodes", "1", "--out", "empty", "--quiet")
    content = (tmp_path / "empty" / "interactions.jsonl").read_bytes()
    message = quick(*MOVIES, "--out", "empty", status=2).err
    assert "empty exists already" in message
    assert "emosim run --resume empty" in message
    assert (tmp_path / "empty" / "interactions.jsonl").read_bytes() == content


# ------------------------------------------------------------------------------------------- resuming

SHORT: dict[str, Any] = {
    "episodes": 12, "num_envs": 4, "policy": "epsilon_greedy", "keep_memory": True, "user_dataset": "sampled:n=6",
}  # fmt: skip


def test_a_run_that_was_cut_at_any_byte_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    directory = tmp_path / "whole"
    wanted = run("movies", directory, **SHORT)
    path = directory / "interactions.jsonl"
    whole = path.read_bytes()
    after_a_line = whole.index(b"\n", len(whole) // 2) + 1
    for cut in (None, 0, 1, len(whole) // 3, after_a_line, after_a_line - 1, len(whole) - 1, len(whole)):
        if cut is None:
            path.unlink()
        else:
            path.write_bytes(whole[:cut])
        (directory / "summary.json").unlink()
        summary = run("movies", directory, resume=True, **SHORT)
        assert path.read_bytes() == whole, cut
        for one in (summary, wanted):
            one.pop("seconds", None)
            one.pop("steps_per_second", None)
        assert summary == wanted


def test_lines_that_were_changed_added_or_removed_are_found_when_a_run_is_resumed(tmp_path: Path) -> None:
    directory = tmp_path / "r"
    run("movies", directory, **SHORT)
    path = directory / "interactions.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    changed = whole.replace(b'"raw_rating":7', b'"raw_rating":8', 1)
    number = next(n for n, (a, b) in enumerate(zip(lines, changed.splitlines(True), strict=True), 1) if a != b)
    for damaged, message in (
        (changed, f"line {number}: simulating it again gives another step"),
        (b"".join(lines[:4] + lines[5:]), "line 5: simulating it again"),
        (b"\n" + whole, "line 1: simulating it again"),
        (whole + lines[0], f"line {len(lines) + 1}: the run ends before this line"),
        (whole + b"{", f"line {len(lines) + 1}: the run ends before this line"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=message) as error:
            run("movies", directory, resume=True, **SHORT)
        assert "interactions.jsonl" in str(error.value)
        assert path.read_bytes() == damaged


def test_a_run_is_resumed_only_with_its_own_configuration(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,name,description\n1,Ann,x\n2,Bo,y\n")
    quick(*MOVIES, "--episodes", "4", "--users", "csv:p.csv", "--out", "r", "--quiet")
    output = quick("run", "--resume", "r", status=0).out
    assert "r is complete; nothing was left to do." in output
    assert "mean rating" in output
    refused = quick("run", "--resume", "r", "--seed", "7", "--policy", "popular", status=2).err
    assert "r cannot be resumed, it was made with another configuration" in refused
    assert "seed: 42 then, 7 now" in refused
    assert 'policy: "random" then, "popular" now' in refused
    with pytest.raises(RunError, match="episodes: 4 then, 5 now"):
        run("movies", tmp_path / "r", resume=True, episodes=5, user_dataset="csv:p.csv")
    (tmp_path / "r" / "summary.json").unlink()
    (tmp_path / "p.csv").write_text("id,name,description\n1,Ann,x\n2,Bo,z\n")
    assert "users_sha256" in quick("run", "--resume", "r", status=2).err
    (tmp_path / "p.csv").unlink()
    assert "p.csv: no such file" in quick("run", "--resume", "r", status=2).err


def test_the_newest_run_is_resumed_where_no_directory_is_named(quick: Any, tmp_path: Path) -> None:
    import os

    for name, age in (("old", 100), ("new", 0)):
        quick(*MOVIES, "--episodes", "2", "--out", f"runs/{name}", "--quiet")
        manifest = tmp_path / "runs" / name / "manifest.json"
        os.utime(manifest, (time.time() - age,) * 2)
    (tmp_path / "runs" / "other").mkdir()  # what another command made is not meant
    (tmp_path / "runs" / "other" / "manifest.json").write_text('{"config": {"algo": "a2c"}}')
    assert quick("run", "--quiet", "--resume").out == "runs/new\n"
    assert quick("run", "--resume", "--out", "runs/old", "--quiet").out == "runs/old\n"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": {}}', '{"config": 3, "parts": {}, "data": {}}'])
def test_a_damaged_manifest_is_named(quick: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "manifest.json").write_text(text)
    for arguments in (["run", "--resume", "r"], ["show", "r"], ["show", "r", "--episode", "0"]):
        assert "r/manifest.json" in quick(*arguments, status=2).err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_in_the_middle_can_be_read_and_resumed_to_the_same_bytes(
    quick: Any, how: signal.Signals
) -> None:
    options = (*MOVIES, "--episodes", "200", "--quiet", "--policy", "popular")
    process = quick.start(*options, "--out", "r")
    written = quick.folder / "r" / "interactions.jsonl"
    deadline = time.monotonic() + 60
    while not (written.exists() and written.stat().st_size > 50_000):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(how)
    out, errors = process.communicate(timeout=60)
    assert out == ""
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert errors.split("\n") == [
            "", "Interrupted. Progress is saved in r; continue with:", "  emosim run --resume r", "",
        ]  # fmt: skip
        assert json.loads((quick.folder / "r" / "summary.json").read_text())["complete"] is False
    else:
        assert process.returncode == -signal.SIGKILL
    cut = written.read_bytes()
    output = quick("show", "r").out
    assert "The run is not complete: " in output
    assert "of 200 episodes" in output
    assert "Continue with: emosim run --resume r" in output
    assert "Character:" in quick("show", "r", "--episode", "0").out
    run("movies", quick.folder / "r", resume=True, episodes=200, policy="popular")
    run("movies", quick.folder / "whole", episodes=200, policy="popular")
    whole = (quick.folder / "whole" / "interactions.jsonl").read_bytes()
    assert written.read_bytes() == whole
    assert 0 < len(cut) < len(whole)


def test_a_full_disk_is_one_clear_message_and_the_run_goes_on_when_there_is_room(emosim: Any) -> None:
    def limited(size: int) -> Callable[[], None]:
        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        return limit

    options = (*MOVIES, "--episodes", "30", "--quiet", "--out", "r")
    first = emosim(*options, status=2, preexec_fn=limited(300)).err
    assert first == (
        "Error: r/manifest.json cannot be written: File too large.\n"
        "  Nothing was started; once this is fixed, run the same command again.\n"
    )
    message = emosim(*options, status=2, preexec_fn=limited(100_000)).err
    assert message == (
        "Error: r/interactions.jsonl cannot be written: File too large.\n"
        "  Progress is saved in r; once this is fixed, continue with:\n    emosim run --resume r\n"
    )
    assert "The run is not complete" in emosim("show", "r").out
    emosim("run", "--resume", "r", "--quiet")
    run("movies", emosim.folder / "whole", episodes=30)
    both = [(emosim.folder / name / "interactions.jsonl").read_bytes() for name in ("r", "whole")]
    assert both[0] == both[1]


# -------------------------------------------------------------------------------------- repeatability


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"keep_memory": True, "user_dataset": "basic:n=5"},
        {"keep_memory": True, "user_dataset": "basic:n=5", "p_interrupt": 0.1, "user_order": "sequential"},
        {"p_interrupt": 0.2, "items_retrieval": "most_similar_2"},
        *({"slate": 3, "selector": name} for name in ("greedy", "random", "probabilistic", "multinomial_logit")),
        *(
            {"slate": 3, "choice": name, "policy": "popular"}
            for name in ("cascade", "position_based", "multinomial_logit")
        ),
        *({"slate": 2, "perturbator": name} for name in ("gaussian", "greedy", "none")),
        *(
            {"slate": 2, "selector": "random", "reward_shaping": name, "policy": "top_rated", "keep_memory": True}
            for name in ("identity", "exp_decay_time", "random_watch", "same_item_terminate", "churn_satisfaction")
        ),
        {"policy": "similar_to_liked", "items_retrieval": "simple_3"},
    ],
    ids=lambda options: ",".join(f"{key}={value}" for key, value in options.items()) or "defaults",
)
def test_the_same_seed_gives_the_same_interactions_in_batches_of_any_size(
    tmp_path: Path, sorted_lines: Callable[[Path], list[bytes]], options: dict[str, Any]
) -> None:
    common = {"episodes": 16, "max_steps": 15, "seed": 5, "user_dataset": "basic:n=40", **options}
    for count in (1, 64):
        run("movies", tmp_path / str(count), num_envs=count, **common)
    assert sorted_lines(tmp_path / "1") == sorted_lines(tmp_path / "64")


def test_the_same_seed_repeats_the_file_and_another_gives_another(tmp_path: Path) -> None:
    files = []
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        run("movies", tmp_path / name, episodes=20, num_envs=7, seed=seed, slate=2, selector="random")
        files.append((tmp_path / name / "interactions.jsonl").read_bytes())
    assert files[0] == files[1] != files[2]


# --------------------------------------------------------------------------------------------- replay


def test_a_replayed_list_is_recommended_in_order_and_its_end_ends_the_episode(quick: Any, tmp_path: Path) -> None:
    names = ["the-matrix-1999", "alien-1979", "jaws-1975"]
    (tmp_path / "a=b,c.csv").write_text("item,note\n" + "".join(f"{name},x\n" for name in names))
    arguments = ("--policy", "replay:a=b,c.csv", "--episodes", "2", "--reward-shaping", "identity")
    summary = quick(*MOVIES, *arguments, "--out", "r", "--json").json
    assert summary["end_reasons"] == {"out_of_items": 2}
    assert summary["steps"] == 6
    for episode in (0, 1):
        steps = [line for line in lines_of(tmp_path / "r") if line["episode"] == episode]
        assert [one["item"] for line in steps for one in line["recommended"]] == names
        assert [line["step"] for line in steps] == [1, 2, 3, 4]
        assert [line["end_reason"] for line in steps] == [None, None, None, "out_of_items"]
    assert "ran out of items" in quick("show", "r", "--episode", "0").out
    quick(*MOVIES, *arguments, "--slate", "2", "--out", "s", "--quiet")
    assert [len(line["recommended"]) for line in lines_of(tmp_path / "s") if line["episode"] == 0] == [2, 0]


def test_a_list_with_an_unknown_item_names_file_row_and_field(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("item\nthe-matrix-1999\n\nnope\n")
    with pytest.raises(DataError) as error:
        run("movies", tmp_path / "r", policy=f"replay:{tmp_path / 'list.csv'}")
    assert (error.value.path, error.value.row, error.value.field) == (str(tmp_path / "list.csv"), 4, "item")
    assert not (tmp_path / "r").exists()


def test_a_language_model_has_32_users_for_each_request_at_once(tmp_path: Path) -> None:
    def batch(name: str, **options: Any) -> int | None:
        config = RunConfig(plugin="movies", user_dataset="sampled:n=3", **options)
        return Run(config, tmp_path / name).config.num_envs

    model = "http://127.0.0.1:9/v1#m"
    assert batch("a", llm_model=model) == 32 * GatewayOptions().concurrency
    assert batch("b", rater=f"llm:{model}", concurrency=5) == 160
    assert batch("c", llm_model=model, gateway={"concurrency": 5}, num_envs=3) == 3
    assert batch("d") == 16
