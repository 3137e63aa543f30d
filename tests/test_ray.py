"""Ray on this machine: commands leave the same files as in one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.directories import check_shared_calls, files_of

from emosim_core.testing.command_line import Emosim

pytestmark = pytest.mark.slow


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
    check_shared_calls(emosim, ("--executor", f"ray:{cluster.address}"))
