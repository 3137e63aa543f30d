"""Blocks: records in Parquet say what JSON lines say, resume to the same files, and are refused where damaged."""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import emosim_core
from emosim_core import ConfigurationError, MissingDependencyError, RunError
from emosim_core.data import json_text
from emosim_core.plugins import Policy
from emosim_core.reports import report_of
from emosim_core.runs import blocks as blocks_module
from emosim_core.runs.convert import convert_run
from emosim_core.runs.records import check_records, progress_of, read_records, records_of_episode
from emosim_core.runs.runner import LARGE, Run, with_records
from emosim_core.runs.steps import four_decimals
from emosim_core.simulation.config import RunConfig, read_config

INTERACTIONS = "interactions.jsonl"
SHORT: dict[str, Any] = {"episodes": 40, "num_envs": 6, "max_steps": 6, "user_dataset": "basic:n=20"}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of eight episodes, and row groups of about fifty rows."""
    monkeypatch.setattr(blocks_module, "_BLOCK", 8)
    monkeypatch.setattr(blocks_module, "_PER_SLOT", 1)
    monkeypatch.setattr(blocks_module, "_GROUP", 50)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run in both formats, ``j`` and ``p``, the latter in eight blocks."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_BLOCK", 8), ("_PER_SLOT", 1), ("_GROUP", 50)):
            patch.setattr(blocks_module, name, value)
        for name, records in (("j", "jsonl"), ("p", "parquet")):
            emosim_core.run("movies", folder / name, records=records, **SHORT)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A run in Parquet that a test may change."""
    return Path(shutil.copytree(made / "p", tmp_path / "p"))


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "interactions").iterdir()}


def without_time(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in ("seconds", "steps_per_second")}


@given(st.lists(st.floats(-1, 1), min_size=1), st.integers(-10_000, 10_000), st.sampled_from([0.5, -0.5, 0.25]))
def test_moods_are_rounded_as_python_rounds(values: list[float], whole: int, half: float) -> None:
    values = [*values, (whole + half) / 10_000, -1e-9]
    assert list(map(repr, four_decimals(np.array(values)).tolist())) == [repr(round(value, 4)) for value in values]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"p_interrupt": 0.2, "items_retrieval": "most_similar_2", "user_order": "sequential"},
        {"slate": 3, "selector": "probabilistic", "perturbator": "gaussian", "keep_memory": True},
        {"policy": "epsilon_greedy", "slate": 2, "choice": "ratings_first"},
        {"slate": 4, "choice": "position_based", "p_interrupt": 0.2, "policy": "random"},
        {"propensities": True},
        {"rater": {"name": "rule_based", "learn": True}},
        {"policy": "popular", "slate": 200, "selector": "random", "reward_shaping": "identity"},
    ],
    ids=lambda options: ",".join(f"{key}={value}" for key, value in options.items()) or "defaults",
)
def test_a_run_in_parquet_reads_as_the_same_run_in_json_lines(tmp_path: Path, options: dict[str, Any]) -> None:
    summaries = [
        emosim_core.run("movies", tmp_path / records, records=records, **{**SHORT, "episodes": 20, **options})
        for records in ("jsonl", "parquet")
    ]
    assert without_time(summaries[0]) == without_time(summaries[1])
    lines = (tmp_path / "jsonl" / INTERACTIONS).read_bytes()
    assert b"".join(map(json_text.line, read_records(tmp_path / "parquet"))) == lines
    assert not (tmp_path / "parquet" / INTERACTIONS).exists()


@given(st.integers(1, 500), st.integers(4, 60))
def test_blocks_follow_each_other_and_the_last_four_are_short(episodes: int, size: int) -> None:
    ranges = blocks_module.block_ranges(episodes, size)
    assert [number for first, end in ranges for number in range(first, end)] == list(range(episodes))
    lengths = [end - first for first, end in ranges]
    if episodes <= size:
        assert lengths == [episodes]
    else:
        assert set(lengths[:-4]) <= {size}
        assert size // 4 <= min(lengths[-4:]) <= max(lengths[-4:]) <= (size + 1) // 2


def test_arrays_of_a_block_are_those_of_arrow() -> None:
    numbers, missing = np.array([3, -1, 7, 2, 5, 1, 0, 4, 9]), np.arange(9) % 4 == 1
    for kind in (pa.int8(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_()):
        values = numbers > 2 if kind == pa.bool_() else numbers
        for masked in (None, missing):
            made = blocks_module._numbers(values, kind, masked)
            made.validate(full=True)
            assert made.equals(pa.array(values.tolist(), kind, mask=masked))
    made = blocks_module._numbers(np.arange(10.0)[::2], pa.float64())  # of values that do not lie side by side
    assert made.to_pylist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    for texts in ([], ["", "a", "é", "\x00", "日本"]):
        made = blocks_module._texts(texts)
        made.validate(full=True)
        assert made.to_pylist() == texts


@pytest.mark.slow
def test_a_run_in_parquet_imports_no_pandas(tmp_path: Path) -> None:
    program = (
        "import sys, emosim_core\n"
        f"emosim_core.run('movies', {str(tmp_path / 'r')!r}, records='sample:0.5', episodes=20, propensities=True)\n"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_blocks_hold_the_same_steps_as_json_lines_and_columns_that_other_tools_read(
    made: Path, sorted_lines: Callable[[Path], list[bytes]]
) -> None:
    records = list(read_records(made / "p"))
    assert sorted(map(json_text.line, records)) == sorted((made / "j" / INTERACTIONS).read_bytes().splitlines(True))
    assert sorted(files(made / "p")) == [
        "_items.parquet", "_users.parquet", *(f"block-00000{number}.parquet" for number in range(8)),
    ]  # fmt: skip
    table = parquet.read_table(made / "p" / "interactions")
    rows = [(one["episode"], one["step"], one["recommended"][0]["item"]) for one in records]
    names = ("episode", "step", "item")
    assert list(zip(*(table[name].to_pylist() for name in names), strict=True)) == rows
    assert list(records_of_episode(made / "p", 11)) == [one for one in records if one["episode"] == 11]
    assert progress_of(made / "p") == progress_of(made / "j") == (40, len(records))


def test_a_report_says_the_same_of_both_formats(made: Path, tmp_path: Path) -> None:
    assert report_of(made / "j").facts == report_of(made / "p").facts
    options = {**SHORT, "slate": 2, "p_interrupt": 0.05}
    for records in ("jsonl", "parquet"):
        emosim_core.run("movies", tmp_path / records, records=records, **options)
    one, other = (report_of(tmp_path / records) for records in ("jsonl", "parquet"))
    assert (one.headline, one.facts, one.stories) == (other.headline, other.facts, other.stories)
    assert one.sections[:-1] == other.sections[:-1]  # the last says how it was made


# ------------------------------------------------------------------------------------------- resuming


class _Stop(Exception):
    pass


@pytest.mark.parametrize("stop", [1, 7, 8, 9, 23, 39])
@pytest.mark.parametrize("error", [KeyboardInterrupt, _Stop])
def test_a_stopped_run_resumes_to_the_same_files_and_summary(
    made: Path, tmp_path: Path, small_blocks: None, stop: int, error: type[BaseException]
) -> None:
    config = read_config(RunConfig, {"plugin": "movies", "records": "parquet", **SHORT}, "run")
    simulation = Run(config, tmp_path / "r")

    def stopping(episode: object) -> None:
        if simulation.episodes >= stop:
            raise error

    with pytest.raises(error):
        simulation.run(stopping)
    ends = [0, *(end for _, end in blocks_module.block_ranges(40, 8))]
    whole = sum(0 < end <= stop for end in ends)
    written = sum(name.startswith("block") for name in files(tmp_path / "r"))
    assert max(whole - 1, 0) <= written <= whole
    assert not list((tmp_path / "r" / "interactions").glob(".*"))
    assert progress_of(tmp_path / "r")[0] <= stop
    resumed = Run(config, tmp_path / "r", resume=True)
    seen: list[Any] = []
    summary = resumed.run(seen.append)
    assert len(seen) == 40 - ends[written]
    assert files(tmp_path / "r") == files(made / "p")
    assert without_time(summary) == without_time(json.loads((made / "p" / "summary.json").read_text()))


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_files(quick: Any) -> None:
    options = ("run", "--plugin", "movies", "--episodes", "40000", "--num-envs", "1024", "--max-steps", "2", "--quiet")
    quick(*options, "--records", "parquet", "--out", "whole")
    for delay in (0.0, 0.2):
        name = f"r{delay}"
        process = quick.start(*options, "--records", "parquet", "--out", name)
        first = quick.folder / name / "interactions" / "block-000000.parquet"
        deadline = time.monotonic() + 120
        while not first.exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        quick("run", "--resume", name, "--quiet")
        assert files(quick.folder / name) == files(quick.folder / "whole")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals are those of POSIX")
def test_processes_leave_the_same_files_also_where_one_of_them_is_killed(quick: Any) -> None:
    options = ("run", "--plugin", "movies", "--policy", "random", "--episodes", "70000", "--max-steps", "3", "--json")
    whole = quick(*options, "--out", "whole").json
    assert without_time(quick(*options, "--executor", "processes:2", "--out", "side").json) == {
        **without_time(whole),
        "directory": "side",
    }
    assert files(quick.folder / "side") == files(quick.folder / "whole")
    process = quick.start(*options, "--executor", "processes:2", "--out", "cut")
    workers: list[int] = []
    deadline = time.monotonic() + 120
    while not list((quick.folder / "cut").glob("interactions/block-*.parquet")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("the children of a process are read from /proc")
    for child in map(int, children.read_text().split()):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                workers.append(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(workers[0], signal.SIGKILL)
    _, error = process.communicate(timeout=120)
    assert process.returncode in (0, 2), error
    if process.returncode:
        assert "a process that did cells has died" in error
        assert "emosim run --resume cut" in error
    assert without_time(quick("run", "--resume", "cut", "--executor", "processes:2", "--json").json) == {
        **without_time(whole),
        "directory": "cut",
    }
    assert files(quick.folder / "cut") == files(quick.folder / "whole")


def test_a_run_that_cannot_be_cut_says_why_and_is_done_in_one_process(quick: Any) -> None:
    few = ("run", "--plugin", "movies", "--episodes", "4", "--max-steps", "3", "--executor", "processes:2")
    lines = quick(*few, "--out", "a").out
    assert "done in one process: only records in Parquet are written in blocks (--records parquet)." in lines
    lines = quick(*few, "--records", "parquet", "--policy", "epsilon_greedy", "--out", "b").out
    assert "done in one process: the policy learns from one episode to the next." in lines
    lines = quick(*few, "--records", "parquet", "--policy", "random", "--out", "c").out
    assert "done in one process: it is a single block of episodes." in lines


def test_a_directory_whose_name_looks_like_an_address_is_a_directory(quick: Any) -> None:
    options = ("run", "--plugin", "movies", "--episodes", "4", "--max-steps", "3", "--records", "parquet", "--quiet")
    quick(*options, "--out", "s3:runs")
    assert (quick.folder / "s3:runs" / "interactions" / "block-000000.parquet").is_file()
    assert "The end, after" in quick("show", "s3:runs", "--episode", "0").out
    quick("data", "export", "s3:runs", "--format", "parquet", "--out", "gs:logs.parquet")
    assert (quick.folder / "gs:logs.parquet").exists()


def test_blocks_of_another_run_are_refused_on_resuming(run: Path, small_blocks: None) -> None:
    (run / "summary.json").unlink()
    folder = run / "interactions"
    shutil.copyfile(folder / "block-000001.parquet", folder / "block-000009.parquet")
    with pytest.raises(RunError, match=r"block-000009\.parquet is no part of this run"):
        emosim_core.run("movies", run, resume=True, records="parquet", **SHORT)
    (folder / "block-000009.parquet").replace(folder / "block-000002.parquet")
    with pytest.raises(RunError, match=r"block-000002\.parquet has the episodes 8 to 15, which are others"):
        emosim_core.run("movies", run, resume=True, records="parquet", **SHORT)


# --------------------------------------------------------------------------------------------- damage


def changed(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Write a block anew with other rows and the same metadata."""
    with parquet.ParquetFile(path) as file:
        about, table = file.metadata.metadata[b"emosim"], file.read()
    parquet.write_table(change(table).replace_schema_metadata({b"emosim": about}), path)


def with_column(name: str, change: Callable[[list[Any]], list[Any]]) -> Callable[[pa.Table], pa.Table]:
    def made(table: pa.Table) -> pa.Table:
        place, kind = table.schema.get_field_index(name), table.schema.field(name).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        column = pa.array(change(table[name].to_pylist()), plain).cast(kind)
        return table.set_column(place, table.schema.field(name), column)

    return made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.slice(1), "has step 2 of episode"),
        (lambda table: table.slice(0, len(table) - 1), "episodes that ended; expected 8"),
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "out of place"),
        (lambda table: table.drop_columns(["times"]), "its columns are not those of records"),
        (with_column("item", lambda names: ["strange", *names[1:]]), "item has 'strange', which the run does not know"),
        (with_column("user", lambda names: [names[1], *names[1:]]), "out of place"),
        (with_column("rating", lambda values: [None, *values[1:]]), "consumed and has no rating"),
        (with_column("reward", lambda values: [float("inf"), *values[1:]]), "reward has a value that is no finite"),
        (with_column("reward", lambda values: [None, *values[1:]]), "reward has no value"),
        (with_column("episode", lambda values: [99, *values[1:]]), "none of the block"),
        (with_column("place", lambda values: [1, *values[1:]]), "begins in the middle of a slate"),
        (with_column("step", lambda values: [0, *values[1:]]), "out of its range"),
    ],
)
def test_a_damaged_block_is_an_error_that_names_it(
    run: Path, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    changed(run / "interactions" / "block-000002.parquet", change)
    for read in (lambda: list(read_records(run)), lambda: check_records(run)):
        with pytest.raises(RunError, match=rf"block-000002\.parquet is damaged: .*{message}"):
            read()


def test_bytes_that_are_cut_off_or_changed_are_an_error_that_names_the_file(run: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("block-000001.parquet", "_items.parquet", "_users.parquet"):
        path = run / "interactions" / name
        whole = path.read_bytes()
        for cut in (0, 3, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:cut])
            with pytest.raises(RunError, match=name):
                list(read_records(run))
        for place in rng.integers(0, len(whole), 20).tolist():
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
            with contextlib.suppress(RunError):  # a bit of a number or of an unused text is no damage that shows
                list(read_records(run))
        path.unlink()
        with pytest.raises(RunError, match=name if name.startswith("_") else "a block is missing or damaged"):
            list(read_records(run))
        path.write_bytes(whole)
    path = run / "interactions" / "block-000001.parquet"
    path.unlink()
    os.symlink("/etc/passwd", path)
    with pytest.raises(RunError, match=r"block-000001\.parquet"):
        list(read_records(run))


# ----------------------------------------------------------------------------- converting and choosing


def test_a_run_is_converted_there_and_back(made: Path, tmp_path: Path) -> None:
    convert_run(made / "j", tmp_path / "p", "parquet")
    assert list(read_records(tmp_path / "p")) == list(read_records(made / "j"))
    convert_run(tmp_path / "p", tmp_path / "j", "jsonl")
    assert (tmp_path / "j" / INTERACTIONS).read_bytes() == (made / "j" / INTERACTIONS).read_bytes()
    convert_run(made / "p", tmp_path / "blocks", "jsonl")
    assert list(read_records(tmp_path / "blocks")) == list(read_records(made / "p"))
    manifest = json.loads((tmp_path / "blocks" / "manifest.json").read_text())
    assert manifest["config"]["records"] == "jsonl"
    assert report_of(tmp_path / "p").facts == report_of(made / "j").facts
    with pytest.raises(ConfigurationError, match="are jsonl already"):
        convert_run(made / "j", tmp_path / "again", "jsonl")
    with pytest.raises(ConfigurationError, match="exists already"):
        convert_run(made / "j", tmp_path / "p", "parquet")
    (tmp_path / "j" / "summary.json").unlink()
    with pytest.raises(RunError, match="is not complete"):
        convert_run(tmp_path / "j", tmp_path / "other", "parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blocks", "j", "p"]


def test_a_sample_has_whole_episodes_and_a_summary_over_all(made: Path, tmp_path: Path, small_blocks: None) -> None:
    summary = emosim_core.run("movies", tmp_path / "s", records="sample:0.3", **SHORT)
    assert without_time(summary) == without_time(json.loads((made / "p" / "summary.json").read_text()))
    records = list(read_records(tmp_path / "s"))
    kept = {one["episode"] for one in records}
    assert 4 <= len(kept) <= 20
    assert records == [one for one in read_records(made / "p") if one["episode"] in kept]
    assert progress_of(tmp_path / "s") == (40, summary["steps"])
    assert f"a sample: {len(kept)} of 40 episodes" in " ".join(report_of(tmp_path / "s").notes)
    shares = blocks_module.sampled(1, 0.01)(np.arange(100_000)).mean()
    assert shares == pytest.approx(0.01, abs=0.002)
    assert (blocks_module.sampled(1, 0.5)(np.arange(99)) != blocks_module.sampled(2, 0.5)(np.arange(99))).any()


def test_without_records_there_is_a_summary_and_one_clear_error(quick: Any, made: Path) -> None:
    folder = quick.folder
    arguments = (*("--episodes", "4", "--max-steps", "3"), "--records", "none", "--out", "n")
    quick("run", "--plugin", "movies", *arguments, "--quiet")
    assert sorted(path.name for path in (folder / "n").iterdir()) == ["manifest.json", "summary.json"]
    assert "mean rating" in quick("show", "n").out
    assert "nothing was left to do" in quick("run", "--resume", "n").out
    for command in (("show", "n", "--episode", "0"), ("report", "n"), ("data", "export", "n", "--out", "t.csv")):
        assert "n was made with --records none: it has a summary and no steps" in quick(*command, status=2).err


def test_large_runs_write_parquet_unless_something_else_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(**options: Any) -> tuple[str | None, list[str]]:
        config, notes = with_records(RunConfig(plugin="movies", **options))
        return config.records, notes

    assert chosen(episodes=LARGE) == ("jsonl", [])
    name, notes = chosen(episodes=LARGE + 1)
    assert name == "parquet"
    assert "more than 10,000 episodes: records are written as Parquet" in notes[0]
    assert chosen(episodes=LARGE + 1, records="jsonl") == ("jsonl", [])
    monkeypatch.setattr("emosim_core.runs.runner.has_pyarrow", lambda: False)
    name, notes = chosen(episodes=LARGE + 1)
    assert name == "jsonl"
    assert notes[0].endswith('Parquet would be faster and smaller: pip install "emosim-core[parquet]"')
    for wrong in ("csv", "sample", "sample:0", "sample:2", "sample:x", "sample:nan"):
        with pytest.raises(ConfigurationError, match="expected jsonl, parquet, none, or sample:S"):
            read_config(RunConfig, {"plugin": "movies", "records": wrong}, "run")


def test_without_pyarrow_what_needs_it_names_the_extra(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    for needs in (
        lambda: emosim_core.run("movies", tmp_path / "r", records="parquet", **SHORT),
        lambda: list(read_records(made / "p")),
        lambda: convert_run(made / "j", tmp_path / "c", "parquet"),
    ):
        with pytest.raises(MissingDependencyError, match=r'pip install "emosim-core\[parquet\]"'):
            needs()
    assert list(tmp_path.iterdir()) == []
    assert list(read_records(made / "j"))


LEARN_WITHIN = ["item_knn", "user_knn", "matrix_factorization", "svdpp", "implicit:als", "cornac:BPR"]


@pytest.mark.parametrize("policy", LEARN_WITHIN)
def test_a_policy_that_forgets_with_each_episode_leaves_the_same_blocks_from_the_middle(
    made: Path, tmp_path: Path, small_blocks: None, policy: str
) -> None:
    config = {**SHORT, "policy": {"name": policy, "logs": [str(made / "j")]}, "records": "parquet"}
    emosim_core.run("movies", tmp_path / "whole", **config)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for name in ("interactions/block-000001.parquet", "interactions/block-000003.parquet", "summary.json"):
        (tmp_path / "cut" / name).unlink()
    run = Run(RunConfig(plugin="movies", **config), tmp_path / "cut", resume=True)
    assert run.whole == ""
    run.run()
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_a_class_that_defines_learn_learns_across_episodes_unless_it_says_otherwise() -> None:
    class Plain(Policy):
        pass

    class Learning(Policy):
        def learn(self, outcome: Any) -> None:
            pass

    class Forgetting(Learning):
        learns_across_episodes = False

    class Again(Forgetting):
        def learn(self, outcome: Any) -> None:
            pass

    class Mixin:
        def learn(self, outcome: Any) -> None:
            pass

    class Mixed(Mixin, Policy):
        pass

    learning = [one.learns_across_episodes for one in (Plain, Learning, Forgetting, Again, Mixed)]
    assert learning == [False, True, False, True, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_column("place", lambda values: [0, 2, *values[2:]]), "has a slate whose places are not in order"),
        (
            with_column("reward", lambda values: [values[0] + 1, *values[1:]]),
            "has a slate whose rows differ in what is",
        ),
    ],
)
def test_a_damaged_slate_is_an_error(tmp_path: Path, change: Callable[[pa.Table], pa.Table], message: str) -> None:
    emosim_core.run("movies", tmp_path / "r", episodes=2, slate=3, max_steps=3, records="parquet")
    changed(tmp_path / "r" / "interactions" / "block-000000.parquet", change)
    with pytest.raises(RunError, match=message):
        check_records(tmp_path / "r")
