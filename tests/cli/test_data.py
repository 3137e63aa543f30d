"""``emosim data export`` and ``emosim log``: what they write, what they print, what they say about mistakes."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pytest

from emosim_core.cli.log import log
from emosim_core.cli.run import run
from emosim_core.simulation.assembly import split_users
from emosim_core.testing import ChatServer

needs_minari = pytest.mark.skipif(sys.version_info < (3, 11), reason="Minari needs Python 3.11")

MOVIES = ("--plugin", "movies", "--episodes", "4", "--max-steps", "6")


def manifest_of(directory: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text())
    return manifest


# ------------------------------------------------------------------------------------------------ export


def test_a_run_is_exported_as_a_table_and_the_number_of_rows_is_printed(quick: Any) -> None:
    quick("run", *MOVIES, "--out", "r", "--quiet")
    steps = len((quick.folder / "r" / "interactions.jsonl").read_text().splitlines())
    for name in ("t.parquet", "t.csv"):
        done = quick("data", "export", "r", "--format", name[2:], "--out", name)
        assert done.output == f"Wrote {steps} rows of 4 episodes to {name}.\n"
    table = pd.read_parquet(quick.folder / "t.parquet")
    assert table["rating"].tolist() == pd.read_csv(quick.folder / "t.csv")["rating"].tolist()
    assert len(table) == steps


@needs_minari
def test_a_run_is_exported_for_minari_in_silence_but_for_where_it_is(emosim: Any) -> None:
    emosim("run", *MOVIES, "--out", "r", "--quiet")
    steps = len((emosim.folder / "r" / "interactions.jsonl").read_text().splitlines())
    done = emosim("data", "export", "r", "--format", "minari", "--out", "sets")
    name = "emosim/movies/random-v0"
    assert done.output == f"Wrote {steps} steps of 4 episodes to sets/{name}, for Minari {name}.\n"
    code = f"import minari; print(minari.load_dataset('{name}').total_steps, *minari.list_local_datasets())"
    emosim.variables["MINARI_DATASETS_PATH"] = str(emosim.folder / "sets")
    assert emosim.python(code) == f"{steps} {name}\n"


def test_a_run_that_was_stopped_is_exported_with_a_note(quick: Any, tmp_path: Path) -> None:
    quick("run", *MOVIES, "--reward-shaping", "identity", "--out", "r", "--quiet")
    written = tmp_path / "r" / "interactions.jsonl"
    written.write_bytes(b"".join(written.read_bytes().splitlines(keepends=True)[:9]))
    (tmp_path / "r" / "summary.json").unlink()
    assert "Wrote 9 rows of 4 episodes, 4 of them unfinished to t.csv." in quick(
        "data", "export", "r", "--format", "csv", "--out", "t.csv"
    ).out.replace("\n", " ")


@needs_minari
def test_a_run_with_a_language_model_is_exported_without_a_key_or_a_question(quick: Any, tmp_path: Path) -> None:
    with ChatServer(lambda body: "7") as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPSEEK_API_KEY", "sk-test")
        patch.setenv("DEEPSEEK_BASE_URL", server.url)
        quick("run", *MOVIES, "--llm-model", "deepseek-chat", "--out", "r", "--quiet")
        calls = len(server.calls)
        patch.delenv("DEEPSEEK_API_KEY")
        quick("data", "export", "r", "--format", "minari", "--out", "sets")
        assert len(server.calls) == calls > 0
    import minari

    dataset = minari.MinariDataset(tmp_path / "sets" / "emosim/movies/random-v0" / "data")
    assert dataset.env_spec.kwargs["llm_model"] == "deepseek-chat"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "t.csv"], "Missing argument 'RUN_DIR...'"),
        (["r"], "--out is needed (File to write; for Minari, a folder of data sets.)"),
        (["r", "--out", "t", "--format", "xlsx"], "'xlsx' is not one of 'parquet', 'csv', 'minari'"),
        (["nowhere", "--out", "t.parquet"], "nowhere is no directory; list what there is with: emosim runs"),
        (["r", "r", "--out", "t.parquet"], "a run is named twice"),
        (["r", "--out", "there.csv", "--format", "csv"], "there.csv exists already"),
        (["r", "--out", "no/t.csv", "--format", "csv"], "no/t.csv cannot be written: there is no folder no"),
        (["r", "--out", "t.csv", "--format", "csv", "--dataset-id", "x-v0"], "--dataset-id is a name for Minari"),
    ],
)
def test_a_mistake_is_one_clear_message_and_leaves_nothing(
    quick: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    quick("run", *MOVIES, "--out", "r", "--quiet")
    (tmp_path / "there.csv").write_text("mine\n")
    before = sorted(tmp_path.rglob("*"))
    assert message in quick("data", "export", *arguments, status=2).err
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.csv").read_text() == "mine\n"


# --------------------------------------------------------------------------------------------------- log


def test_a_log_is_of_train_users_alone_and_is_exported_at_once(quick: Any) -> None:
    done = quick("log", *MOVIES, "--format", "csv", "--out", "runs/a")
    rows = list(csv.DictReader((quick.folder / "runs" / "a.csv").read_text().splitlines()))
    assert f"Wrote {len(rows)} rows of 4 episodes to runs/a.csv.\n" in done.out
    manifest = manifest_of(quick.folder / "runs" / "a")
    assert (manifest["config"]["user_split"], manifest["config"]["policy"]) == ("train", "random")
    from emosim_core.hooks import Registry
    from emosim_core.simulation.assembly import assemble
    from emosim_core.simulation.config import EnvironmentConfig

    population = assemble(EnvironmentConfig(plugin="movies"), Registry()).population
    train_users = {population.users[i].id for i in split_users(len(population), "train", 0.2).tolist()}
    assert {row["user"] for row in rows} <= train_users
    assert quick("show", "runs/a").out


def test_a_log_without_a_format_is_the_run_that_run_makes_with_the_same_options(quick: Any, tmp_path: Path) -> None:
    assert quick("log", *MOVIES, "--out", "a", "--quiet").out == "a\n"
    quick("run", *MOVIES, "--user-split", "train", "--out", "b", "--quiet")
    a, b = ((tmp_path / name / "interactions.jsonl").read_bytes() for name in ("a", "b"))
    assert a == b
    assert manifest_of(tmp_path / "a")["config"] == manifest_of(tmp_path / "b")["config"]


def test_a_log_has_its_own_defaults_which_a_file_and_options_overrule(quick: Any, tmp_path: Path) -> None:
    quick("log", "--plugin", "movies", "--max-steps", "1", "--out", "a", "--quiet")
    assert manifest_of(tmp_path / "a")["config"]["episodes"] == 1000
    (tmp_path / "c.toml").write_text('plugin = "movies"\nepisodes = 3\nmax_steps = 2\nuser_split = "test"\n')
    quick("log", "--config", "c.toml", "--episodes", "2", "--out", "b", "--quiet")
    config = manifest_of(tmp_path / "b")["config"]
    assert (config["episodes"], config["user_split"]) == (2, "test")


def test_the_help_of_log_names_its_own_defaults_and_that_of_run_stays(quick: Any) -> None:
    for command, defaults in ((log, {"episodes": "[1000]", "user_split": "[train]"}), (run, {"episodes": "[100]"})):
        help_texts = {option.name: option.help for option in command.params if isinstance(option, click.Option)}
        for name, default in defaults.items():
            assert str(help_texts[name]).endswith(default)
    ours, theirs = ({option.name for option in command.params} for command in (log, run))
    assert ours == theirs | {"format", "export", "dataset_id"}


def test_json_of_log_is_the_summary_with_where_the_export_is(quick: Any, tmp_path: Path) -> None:
    payload = quick("log", *MOVIES, "--format", "parquet", "--export", "x.parquet", "--out", "r", "--json").json
    assert (payload["directory"], payload["exported"], payload["episodes"]) == ("r", "x.parquet", 4)
    assert len(pd.read_parquet(tmp_path / "x.parquet")) == payload["steps"]


def test_a_log_that_was_stopped_is_resumed_and_exported(quick: Any, tmp_path: Path) -> None:
    quick("log", *MOVIES, "--out", "r", "--quiet")
    written = tmp_path / "r" / "interactions.jsonl"
    whole = written.read_bytes()
    written.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "r" / "summary.json").unlink()
    assert quick("log", "--resume", "r", "--format", "csv", "--quiet").out == "r\n"
    assert written.read_bytes() == whole
    first = (tmp_path / "r.csv").read_bytes()
    quick("data", "export", "r", "--format", "csv", "--out", "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == first
    message = quick("log", "--resume", "r", "--format", "csv", "--quiet", status=2).err
    assert "r.csv exists already" in message
    assert "emosim data export r --format csv --out PATH" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--export", "x.csv"], "--export needs a format: give --format too"),
        (["--dataset-id", "x-v0"], "--dataset-id needs a format: give --format too"),
        (["--format", "csv", "--export", "there.csv"], "there.csv exists already"),
        (["--format", "csv", "--out", "there"], "there.csv exists already"),
        (["--format", "csv", "--dataset-id", "x-v0"], "--dataset-id is a name for Minari"),
        (["--format", "parquet", "--polcy", "x"], "--policy"),
        (["--format", "parquet", "--policy", "nobody"], "unknown policy 'nobody'"),
    ],
)
def test_a_mistake_in_log_is_an_error_before_the_run_is_made(
    quick: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "there.csv").write_text("mine\n")
    before = sorted(tmp_path.rglob("*"))
    assert message in quick("log", *MOVIES, *arguments, status=2).err
    assert sorted(tmp_path.rglob("*")) == before
