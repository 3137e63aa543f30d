"""Exports: tables that say what the records say, and episodes that hold what the environment showed."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

import emosim_core
from emosim_core.datasets.export import Exported, export
from emosim_core.datasets.tables import COLUMNS, RUN_COLUMN
from emosim_core.errors import ConfigurationError, EmoSimError, MissingDependencyError, RunError

needs_minari = pytest.mark.skipif(sys.version_info < (3, 11), reason="Minari needs Python 3.11")

SMALL: dict[str, Any] = {"episodes": 9, "max_steps": 12, "num_envs": 4, "seed": 11}

STRICT = """
    import numpy as np
    from emosim_core.plugins import Component, Rater, Ratings, hookimpl

    EMOSIM_HOOK_VERSION = 1


    class Moody(Rater):
        def rate_batch(self, request, draws):
            items = np.asarray(request.items)
            return Ratings(np.where(items % 3 == 0, np.nan, 1.0 + (items + request.users[:, None]) % 10))


    @hookimpl
    def emosim_raters():
        yield Component("moody", "Answers for two items in three.", "emosim_moody:Moody")
"""
"""A plugin with a rater that fails for every third item."""


def records_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "interactions.jsonl").read_text().splitlines()]


def made(directory: Path, **options: Any) -> Path:
    emosim_core.run("movies", directory, **{**SMALL, **options})
    return directory


def files_beside(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory.parent)) for path in directory.parent.rglob("*"))


# ------------------------------------------------------------------------------------------------ tables


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_table_has_a_row_for_every_item_recommended_and_says_what_the_records_say(
    tmp_path: Path, format: str
) -> None:
    run = made(tmp_path / "r", slate=3, selector="multinomial_logit", perturbator="gaussian:sd=2", p_interrupt=0.05)
    out = tmp_path / f"t.{format}"
    written = export([run], out, format)
    table = pd.read_parquet(out) if format == "parquet" else pd.read_csv(out)
    assert list(table) == list(COLUMNS)
    assert list(table)[:7] == ["episode", "step", "user", "item", "rating", "reward", "ended"]
    wanted = {
        (line["episode"], line["step"], place): (line, one)
        for line in records_of(run)
        for place, one in enumerate(line["recommended"])
    }
    rows = {(row["episode"], row["step"], row["place"]): row for row in table.to_dict("records")}
    assert rows.keys() == wanted.keys()
    assert written == Exported(out, format, None, 9, 0, len(wanted))

    def same(value: Any, other: Any) -> bool:
        return bool(pd.isna(value)) if other is None else bool(value == other)

    for key, (line, one) in wanted.items():
        row = rows[key]
        assert (row["user"], row["item"], row["title"]) == (line["user"], one["item"], one["title"])
        assert (row["reward"], row["ended"], row["consumed"]) == (
            line["reward"],
            bool(line["end_reason"]),
            one["consumed"],
        )
        assert [row["mood_valence"], row["mood_arousal"]] == line["mood"]
        assert same(row["end_reason"], line["end_reason"])
        assert same(row["raw_rating"], one["raw_rating"])
        assert same(row["rating"], one.get("rating"))
        for name in ("times", "valence", "arousal"):
            assert same(row[name], one.get(name)), name
    assert (table["rating"] != table["raw_rating"])[table["consumed"]].any()
    assert table["rating"].notna().equals(table["consumed"])
    assert 0 < table["consumed"].sum() < len(table)
    assert "interrupted" in set(table["end_reason"])


def test_the_parquet_file_holds_the_manifest_and_what_each_column_means(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    export([run], tmp_path / "t.parquet")
    schema = parquet.read_schema(tmp_path / "t.parquet")
    payload = json.loads(schema.metadata[b"emosim"])
    assert payload["runs"] == [{"run": "r", "manifest": json.loads((run / "manifest.json").read_text())}]
    assert {field.name: field.metadata[b"description"].decode() for field in schema} == {
        name: text for name, (_, text) in COLUMNS.items()
    }


def test_the_page_describes_every_column_in_the_words_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "offline-data.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", page, flags=re.MULTILINE)
    wanted = [(name, *about) for name, about in COLUMNS.items()]
    assert rows == [*wanted, ("run", RUN_COLUMN[0], f"{RUN_COLUMN[1]} Only where there are several runs.")]


def test_several_runs_make_one_table_that_tells_them_apart(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    runs = [
        made(tmp_path / "a"),
        made(tmp_path / "b", policy="popular"),
        made(tmp_path / "other" / "b", seed=5),
    ]
    written = export(runs, tmp_path / "t.parquet")
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert list(table) == [*COLUMNS, "run"]
    assert table.groupby("run").size().to_dict() == {
        name: len(records_of(run)) for name, run in zip(("a", str(runs[1]), str(runs[2])), runs, strict=True)
    }
    assert written.episodes == 27


def test_large_tables_are_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "r")
    export([run], tmp_path / "whole.parquet")
    monkeypatch.setattr("emosim_core.datasets.tables._ROWS_AT_ONCE", 7)
    export([run], tmp_path / "parts.parquet")
    assert parquet.ParquetFile(tmp_path / "parts.parquet").num_row_groups == -(-len(records_of(run)) // 7)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "parts.parquet"), pd.read_parquet(tmp_path / "whole.parquet")
    )


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_failed_rating_is_no_rating_and_never_0(tmp_path: Path, install: Callable[..., str], format: str) -> None:
    install("moody", STRICT)
    run = made(tmp_path / "r", rater="moody", on_failed_rating="skip")
    export([run], tmp_path / "t", format)
    table = pd.read_parquet(tmp_path / "t") if format == "parquet" else pd.read_csv(tmp_path / "t")
    failed = table["raw_rating"].isna()
    assert 0 < failed.sum() < len(table)
    assert table["rating"].isna().equals(failed)
    assert not table["consumed"][failed].any()
    assert not (table["rating"] == 0).any()


def test_episodes_of_a_run_that_was_stopped_are_there_without_an_end(tmp_path: Path) -> None:
    run = made(tmp_path / "r", reward_shaping="identity")
    lines = (run / "interactions.jsonl").read_bytes().splitlines(keepends=True)
    (run / "interactions.jsonl").write_bytes(b"".join(lines[:50]) + lines[50][:20])
    (run / "summary.json").unlink()
    written = export([run], tmp_path / "t.parquet")
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert len(table) == 50
    last = table.groupby("episode").tail(1)
    assert (written.episodes, written.unfinished) == (len(last), (~last["ended"]).sum())
    assert 0 < written.unfinished <= 4
    assert last["end_reason"].isna().equals(~last["ended"])


def test_an_episode_with_nothing_left_to_recommend_ends_with_its_last_step(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("item\nthe-matrix-1999\nmemento-2000\n")
    options = {"policy": f"replay:{tmp_path}/list.csv", "reward_shaping": "identity", "episodes": 2}
    run = made(tmp_path / "r", **options)
    assert [line["end_reason"] for line in records_of(run)].count("out_of_items") == 2
    export([run], tmp_path / "t.csv", "csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [(row["step"], row["ended"], row["end_reason"]) for row in rows] == 2 * [
        ("1", "False", ""),
        ("2", "True", "out_of_items"),
    ]
    if sys.version_info >= (3, 11):
        export([run], tmp_path / "m", "minari")
        for episode, about in episodes_of(tmp_path / "m", "emosim/movies/replay-v0"):
            assert (about["end_reason"], len(episode)) == ("out_of_items", 2)
            # The user would have stayed: for who learns from it, the episode was cut off.
            assert (episode.terminations.tolist(), episode.truncations.tolist()) == ([False] * 2, [False, True])


# ---------------------------------------------------------------------------------------------- episodes


def episodes_of(root: Path, dataset_id: str) -> list[tuple[Any, dict[str, Any]]]:
    """The episodes of a data set in the order of their numbers in the run, each with what is told about it."""
    import minari

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(root))
        dataset = minari.load_dataset(dataset_id)
    episodes = list(
        zip(dataset.iterate_episodes(), dataset.storage.get_episode_metadata(range(len(dataset))), strict=True)
    )
    assert len(episodes) == len(dataset) == dataset.total_episodes
    assert dataset.total_steps == sum(len(episode) for episode, _ in episodes)
    return sorted(episodes, key=lambda one: int(one[1]["episode"]))


@needs_minari
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"slate": 3, "selector": "multinomial_logit", "perturbator": "gaussian:sd=2", "history_length": 4},
        {"keep_memory": True, "user_dataset": "sampled:n=3", "episodes": 14, "max_steps": 20},
        {"p_interrupt": 0.2, "slate": 2, "selector": "random"},
        {"slate": 4, "choice": "position_based", "p_interrupt": 0.1, "mood": {"surprise": 1.0}},
        {"observe_consumed": True, "emotion": {"positive": 6}, "mood": {"half_life": 2}},
        {"rater": "moody", "on_failed_rating": "skip", "reward_shaping": "identity"},
    ],
    ids=["plain", "slates", "memory-kept", "interrupted", "chosen", "consumed-seen", "ratings-skipped"],
)
def test_the_observations_are_those_of_the_environment_when_the_same_is_done_in_it(
    tmp_path: Path, install: Callable[..., str], options: dict[str, Any]
) -> None:
    install("moody", STRICT)
    run = made(tmp_path / "r", **options)
    export([run], tmp_path / "m", "minari")
    of_a_run = {"episodes", "num_envs", "seed"}
    env = emosim_core.make("movies", **{k: v for k, v in {**SMALL, **options}.items() if k not in of_a_run})
    seed: int | None = SMALL["seed"]
    ends = Counter()
    for episode, about in episodes_of(tmp_path / "m", "emosim/movies/random-v0"):
        shown, info = env.reset(seed=seed)
        seed = None
        assert info["episode"] == about["episode"]
        assert info["user_id"] == about["user"]
        observations, rewards, terminations, truncations = [shown], [], [], []
        for number, action in enumerate(episode.actions, start=1):
            shown, reward, terminated, truncated, info = env.step(action)
            observations.append(shown)
            rewards.append(reward)
            terminations.append(terminated)
            truncations.append(truncated)
            raw = [np.nan if rating is None else rating for rating in info["raw_ratings"]]
            np.testing.assert_array_equal(np.atleast_1d(episode.infos["raw_ratings"][number]), raw)
            for name in {"consumed", "examined", "clicked"} & set(info):
                np.testing.assert_array_equal(np.atleast_1d(episode.infos[name][number]), info[name])
        assert episode.observations.keys() == shown.keys()
        for name, values in episode.observations.items():
            wanted = np.stack([one[name] for one in observations])
            assert values.dtype == wanted.dtype, name
            np.testing.assert_array_equal(values, wanted, err_msg=name)
        np.testing.assert_allclose(episode.rewards, rewards, atol=1e-6)
        assert episode.terminations.tolist() == terminations
        assert episode.truncations.tolist() == truncations
        assert terminations[-1] or truncations[-1]
        assert info["end_reason"] == about["end_reason"]
        np.testing.assert_array_equal(~np.isnan(episode.infos["ratings"]), episode.infos["consumed"])
        assert np.isnan(episode.infos["ratings"][0]).all()
        ends[about["end_reason"]] += 1
    assert sum(ends.values()) == {**SMALL, **options}["episodes"]
    if "p_interrupt" in options:
        assert ends["interrupted"]


@needs_minari
def test_a_data_set_says_what_it_is_and_brings_its_environment_back(tmp_path: Path) -> None:
    import minari

    run = made(tmp_path / "r", history_length=3, slate=2)
    before = os.environ.get("MINARI_DATASETS_PATH")
    written = export([run], tmp_path / "m", "minari", "films/mine-v3")
    assert os.environ.get("MINARI_DATASETS_PATH") == before
    assert written.path == tmp_path / "m" / "films" / "mine-v3"
    assert (written.dataset_id, written.episodes, written.rows) == ("films/mine-v3", 9, len(records_of(run)))
    dataset = minari.MinariDataset(written.path / "data")
    metadata = dataset.storage.metadata
    assert metadata["algorithm_name"] == "random"
    assert metadata["emosim"]["runs"] == [{"run": "r", "manifest": json.loads((run / "manifest.json").read_text())}]
    env = dataset.recover_environment()
    assert env.observation_space == dataset.observation_space
    assert env.action_space == dataset.action_space
    assert env.unwrapped.world.config.history_length == 3
    for episode in dataset:
        steps = [{name: values[t] for name, values in episode.observations.items()} for t in range(len(episode) + 1)]
        assert all(dataset.observation_space.contains(one) for one in steps)
        assert all(dataset.action_space.contains(action) for action in episode.actions)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "r"]


@needs_minari
def test_a_folder_holds_many_data_sets_and_one_data_set_many_runs(tmp_path: Path) -> None:
    runs = [made(tmp_path / "a"), made(tmp_path / "b", policy="popular", seed=3, num_envs=2)]
    for run in runs:
        export([run], tmp_path / "m", "minari")
    written = export(runs, tmp_path / "m", "minari")
    assert written.dataset_id == "emosim/movies/mixed-v0"
    assert written.episodes == 18
    parts = {name: episodes_of(tmp_path / "m", f"emosim/movies/{name}-v0") for name in ("random", "popular", "mixed")}
    for run, name in (("a", "random"), ("b", "popular")):
        mixed = [episode for episode, about in parts["mixed"] if about["run"] == run]
        assert len(mixed) == 9
        for one, (other, _) in zip(mixed, parts[name], strict=True):
            np.testing.assert_array_equal(one.actions, other.actions)
            np.testing.assert_array_equal(one.observations["history_ratings"], other.observations["history_ratings"])


@needs_minari
def test_a_data_set_grows_in_parts_to_the_same_episodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "r", keep_memory=True, user_dataset="sampled:n=3")
    export([run], tmp_path / "whole", "minari")
    monkeypatch.setattr("emosim_core.datasets.minari._EPISODES_AT_ONCE", 2)
    export([run], tmp_path / "parts", "minari")
    whole, parts = (episodes_of(tmp_path / name, "emosim/movies/random-v0") for name in ("whole", "parts"))
    for (one, about), (other, about_other) in zip(whole, parts, strict=True):
        assert about == about_other
        np.testing.assert_array_equal(one.actions, other.actions)
        for name, values in one.observations.items():
            np.testing.assert_array_equal(values, other.observations[name])


@needs_minari
def test_an_episode_of_a_run_that_was_stopped_is_truncated(tmp_path: Path) -> None:
    run = made(tmp_path / "r", reward_shaping="identity")
    lines = (run / "interactions.jsonl").read_bytes().splitlines(keepends=True)
    (run / "interactions.jsonl").write_bytes(b"".join(lines[:30]))
    (run / "summary.json").unlink()
    written = export([run], tmp_path / "m", "minari")
    episodes = episodes_of(tmp_path / "m", "emosim/movies/random-v0")
    assert written.rows == 30 == sum(len(episode) for episode, _ in episodes)
    assert Counter(about["end_reason"] for _, about in episodes) == {"unfinished": written.unfinished}
    assert all(episode.truncations[-1] and not episode.terminations.any() for episode, _ in episodes)


# ---------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize("format", ["parquet", "csv", pytest.param("minari", marks=needs_minari)])
@pytest.mark.parametrize("exists", [False, True], ids=["test", "beside-others"])
def test_an_export_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, exists: bool
) -> None:
    monkeypatch.setattr("emosim_core.datasets.minari._EPISODES_AT_ONCE", 1)
    monkeypatch.setattr("emosim_core.datasets.tables._ROWS_AT_ONCE", 1)
    run = made(tmp_path / "r")
    lines = (run / "interactions.jsonl").read_bytes().splitlines(keepends=True)
    out = tmp_path / "out"
    if exists and format == "minari":
        export([run], out, format, "others/first-v0")
    before = files_beside(run)
    (run / "interactions.jsonl").write_bytes(b"".join(lines[:-1]) + b'{"episode": 3}\n')
    with pytest.raises(RunError, match=rf"interactions.jsonl, line {len(lines)}: is "):
        export([run], out, format)
    assert files_beside(run) == before


@pytest.mark.parametrize("format", ["parquet", "csv", pytest.param("minari", marks=needs_minari)])
def test_a_full_disk_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    run = made(tmp_path / "r")
    before = files_beside(run)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("link", "rename"):
        monkeypatch.setattr(os, name, full)
    with pytest.raises(RunError, match="out cannot be written: No space left on device"):
        export([run], tmp_path / "out", format)
    assert files_beside(run) == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda line: line.update(episode="no"), r"is damaged: episode: "),
        (lambda line: line["recommended"][0].pop("item"), r"is damaged: recommended\.0\.item: "),
        (lambda line: line.update(reward=None), r"is damaged: reward"),
        (lambda line: line.update(step=40), "is out of place"),
        (lambda line: line.update(user="somebody"), "is out of place"),
    ],
)
def test_a_damaged_record_is_named_by_its_line(tmp_path: Path, damage: Callable[[Any], Any], message: str) -> None:
    run = made(tmp_path / "r")
    lines = records_of(run)
    damage(lines[20])
    (run / "interactions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(RunError, match=f"line 21: .*{message}"):
        export([run], tmp_path / "t.csv", "csv")


@needs_minari
def test_episodes_are_not_made_of_records_that_were_changed(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    good = records_of(run)
    for change, message in (
        (
            lambda line: line["recommended"][0].update(rating=1 if line["recommended"][0]["rating"] > 5 else 10),
            "the mood is",
        ),
        (lambda line: line["recommended"][0].update(item="nope"), "there is no item 'nope'"),
        (lambda line: line["recommended"].append(line["recommended"][0]), "recommends 2 items, not 1"),
    ):
        lines = json.loads(json.dumps(good))
        change(lines[20])
        (run / "interactions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(RunError, match=rf"episode {lines[20]['episode']}: .*{message}.*; the records were changed"):
            export([run], tmp_path / "m", "minari")
        assert not (tmp_path / "m").exists()


@needs_minari
def test_other_users_or_items_than_those_of_the_run_are_refused(tmp_path: Path) -> None:
    users = tmp_path / "p.csv"
    users.write_text("id,name,description\n1,Ann,x\n2,Bo,y\n")
    run = made(tmp_path / "r", user_dataset=f"csv:{users}")
    users.write_text("id,name,description\n1,Ann,x\n2,Bo,z\n")
    with pytest.raises(RunError, match="was made with other users than its configuration brings now"):
        export([run], tmp_path / "m", "minari")
    assert export([run], tmp_path / "t.csv", "csv").episodes == 9
    assert not (tmp_path / "m").exists()


@needs_minari
def test_runs_of_different_environments_make_no_data_set_together(tmp_path: Path) -> None:
    runs = [made(tmp_path / "a"), made(tmp_path / "b", p_interrupt=0.1)]
    with pytest.raises(ConfigurationError, match=r"p_interrupt is 0\.0 in one and 0\.1 in the other"):
        export(runs, tmp_path / "m", "minari")
    assert export(runs, tmp_path / "t.csv", "csv").episodes == 18


@pytest.mark.parametrize(("format", "package"), [("parquet", "pyarrow"), ("minari", "minari"), ("minari", "h5py")])
@needs_minari
def test_a_missing_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, package: str
) -> None:
    run = made(tmp_path / "a")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=package) as error:
        export([run], tmp_path / "t", format)
    assert 'pip install "emosim-core[data]"' in str(error.value)


def test_minari_on_an_old_python_is_refused_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "a")
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(ConfigurationError, match=r"needs Python 3.11 or later, and this is 3.10; choose another"):
        export([run], tmp_path / "t", "minari")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "xlsx"}, "unknown format 'xlsx'; known: parquet, csv, minari"),
        ({"out": "r"}, "r exists already"),
        ({"out": "no/where.csv"}, "there is no folder"),
        ({"runs": ["r", "r"]}, "a run is named twice"),
        ({"runs": ["nowhere"]}, "nowhere is no directory; list what there is with: emosim runs"),
        ({"runs": ["begun"]}, "begun holds no step; continue it with: emosim run --resume"),
        ({"dataset_id": "a/b-v0"}, "--dataset-id is a name for Minari"),
        ({"format": "minari", "out": "r/manifest.json"}, "is no folder of data sets"),
        ({"format": "minari", "dataset_id": "no version"}, "'no version' is no name of a data set"),
        ({"format": "minari", "dataset_id": "without-version"}, "'without-version' is no name of a data set"),
        ({"format": "minari", "dataset_id": "../up-v0"}, "'../up-v0' is no name of a data set"),
        ({"format": "minari", "dataset_id": "/up/up-v0"}, "'/up/up-v0' is no name of a data set"),
        ({"format": "minari", "out": "m", "dataset_id": "films/there-v0"}, "has a data set films/there-v0 already"),
    ],
)
def test_mistakes_are_errors_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    if arguments.get("format") == "minari" and sys.version_info < (3, 11):
        pytest.skip("Minari needs Python 3.11")
    run = made(tmp_path / "r", episodes=1, max_steps=2)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "manifest.json").write_bytes((run / "manifest.json").read_bytes())
    (tmp_path / "m" / "films" / "there-v0").mkdir(parents=True)
    before = files_beside(run)
    call = {"runs": ["r"], "out": "t.out", "format": "csv", **arguments}
    call["runs"] = [tmp_path / name for name in call["runs"]]
    with pytest.raises(EmoSimError, match=message.replace("(", r"\(")):
        export(**{**call, "out": tmp_path / call["out"]})
    assert files_beside(run) == before
