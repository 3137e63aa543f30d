"""Ray on this machine: commands leave the same files as in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

TIMES = ("seconds", "steps_per_second", "created")


def files_of(folder: Path) -> dict[str, Any]:
    """All files of a directory; JSON without times."""
    files: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        name = str(path.relative_to(folder))
        files[name] = content
        if path.suffix == ".json":
            files[name] = {key: value for key, value in json.loads(content).items() if key not in TIMES}
    return files


def test_a_run_of_two_blocks_leaves_the_same_directory(emosim: Any) -> None:
    command = ("run", "--plugin", "movies", "--policy", "random", "--episodes", "20000", "--max-steps", "3", "--quiet")
    for name in ("local", "ray"):
        emosim(*command, "--executor", name, "--out", name, timeout=300)
    here, there = (files_of(emosim.folder / name) for name in ("local", "ray"))
    assert {"interactions/block-000000.parquet", "interactions/block-000001.parquet", "summary.json"} <= here.keys()
    assert here == there


def test_an_evaluation_leaves_the_same_directory(emosim: Any) -> None:
    command = (
        "evaluate",
        "--plugin",
        "movies",
        "--policies",
        "random,popular",
        "--users",
        "sampled:n=10",
        "--no-charts",
    )
    few = ("--episodes", "6", "--max-steps", "8", "--resamples", "100", "--quiet")
    for name in ("local", "ray"):
        emosim(*command, *few, "--executor", name, "--out", name, timeout=300)
    here, there = (files_of(emosim.folder / name) for name in ("local", "ray"))
    assert len([name for name in here if name.endswith(".jsonl")]) == 4
    assert here == there


def test_a_sweep_leaves_the_same_results(emosim: Any) -> None:
    plan = '[base]\nplugin = "movies"\nepisodes = 3\nusers = "sampled:n=5"\n[grid]\npolicy = ["random", "popular"]\n'
    (emosim.folder / "plan.toml").write_text(plan)
    for name in ("local", "ray"):
        emosim("sweep", "plan.toml", "--executor", name, "--out", name, "--quiet", timeout=300)
    here, there = (files_of(emosim.folder / name) for name in ("local", "ray"))
    assert here == there
