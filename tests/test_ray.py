"""Ray on this machine: commands leave the same files as in one process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emosim_core.testing.chat_server import Answer, ChatServer
from emosim_core.testing.command_line import Emosim

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
    # random, popular and the oracle, of two user splits
    assert len([name for name in here if name.endswith(".jsonl")]) == 6
    assert here == there


def test_a_sweep_leaves_the_same_results(emosim: Any) -> None:
    plan = '[base]\nplugin = "movies"\nepisodes = 3\nusers = "sampled:n=5"\n[grid]\npolicy = ["random", "popular"]\n'
    (emosim.folder / "plan.toml").write_text(plan)
    for name in ("local", "ray"):
        emosim("sweep", "plan.toml", "--executor", name, "--out", name, "--quiet", timeout=300)
    here, there = (files_of(emosim.folder / name) for name in ("local", "ray"))
    assert here == there


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


def test_two_nodes_share_a_budget_a_cache_and_a_limit_of_model_calls(tmp_path: Path, cluster: Any) -> None:
    # Nodes have the address of this machine, not that of its loopback, from which other tests keep their processes.
    emosim = Emosim(tmp_path, tmp_path / "site")
    dear = {"prompt_tokens": 1_000_000, "completion_tokens": 0}  # 0.30 USD

    def answer(body: dict[str, Any]) -> Answer:
        return Answer(str(len(str(body["messages"])) % 10), usage=dear, delay=0.05)

    command = (
        *("evaluate", "--plugin", "movies", "--users", "sampled:n=20", "--episodes", "3", "--max-steps", "5"),
        *("--config", "model.toml", "--policies", "popular,top_rated", "--user-splits", "test"),
        *("--no-charts", "--resamples", "100", "--concurrency", "2", "--quiet"),
    )
    ray = ("--executor", f"ray:{cluster.address}")
    with ChatServer(answer) as server:
        price = 'price = { prompt = 0.3, completion = 0.0, as_of = "2026-11-01" }'
        model = f'[llm_model]\nname = "openai"\nmodel = "any"\nbase_url = "{server.url}"\n{price}\n'
        (emosim.folder / "model.toml").write_text(model)
        error = emosim(*command, *ray, "--max-cost", "2", "--out", "e", status=2, timeout=300).err
        assert "the budget is spent: 2." in error
        assert 7 <= len(server.calls) <= 8
        emosim("evaluate", "--resume", "e", *ray, "--max-cost", "1000", "--no-charts", "--quiet", timeout=300)
        asked = [json.dumps(call.body) for call in server.calls]
        assert len(asked) == len(set(asked)) > 8
        assert server.most_at_once == 2
        emosim(*command, "--out", "whole", timeout=300)
        assert len(server.calls) == len(asked)
    here, there = (files_of(emosim.folder / name) for name in ("e", "whole"))
    records = [name for name in here if name.endswith(".jsonl")]
    assert len(records) == 4
    for name in records:
        assert compared(here[name]) == compared(there[name])


def compared(lines: bytes) -> bytes:
    """Lines without what came from a cache."""
    return lines.replace(b'"cached":true', b'"cached":false')
