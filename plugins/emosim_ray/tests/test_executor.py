"""The executor: the same files as here, also where a node is lost; what is refused."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from emosim_ray.executor import RayExecutor, RayOptions
from ray_cells import fail, tick, wait_long

import emosim_core
from emosim_core import EmoSimError, RunError
from emosim_core.plugins import Cell, Registry, Worlds
from emosim_core.testing import ExecutorConformance


class TestRay(ExecutorConformance):
    component = "ray"


def test_cells_of_a_node_that_is_lost_are_done_on_another(cluster: Any, tmp_path: Path) -> None:
    executor = RayExecutor(RayOptions(address=cluster.address))
    cells = [Cell(str(number), tick, (str(tmp_path), number)) for number in range(6)]
    done = []
    lost = ""
    for cell in executor.run(cells, Worlds(Registry(only=[])), lambda count: None):
        done.append(cell.key)
        if not lost:
            (node,) = cluster.worker_nodes
            lost = node.node_id
            cluster.remove_node(node, allow_graceful=False)
    assert sorted(done) == [str(number) for number in range(6)]
    nodes = {(tmp_path / str(number)).read_text() for number in range(6)}
    assert len(nodes) in (1, 2)
    assert nodes - {lost}


@pytest.mark.slow
def test_a_run_that_loses_a_node_leaves_the_same_bytes(cluster: Any, tmp_path: Path) -> None:
    pytest.importorskip("emosim_movies", reason="the run needs a domain: install emosim-movies beside emosim-ray")
    options: dict[str, Any] = {"policy": "random", "episodes": 70_000, "max_steps": 2, "num_envs": 256}
    emosim_core.run("movies", tmp_path / "whole", **options)

    def lose() -> None:
        end = time.monotonic() + 50
        while time.monotonic() < end and not list((tmp_path / "cut").glob("interactions/block-*.parquet")):
            time.sleep(0.02)
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)

    losing = Thread(target=lose)
    losing.start()
    try:
        emosim_core.run("movies", tmp_path / "cut", executor={"name": "ray", "address": cluster.address}, **options)
    finally:
        losing.join()
    assert not cluster.worker_nodes
    whole, cut = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("interactions/*")} for name in ("whole", "cut")
    )
    assert len(whole) == 5 + 2
    assert cut == whole


def test_a_command_that_is_interrupted_leaves_no_cell_under_way(cluster: Any, tmp_path: Path) -> None:
    cells = [Cell(str(number), wait_long, str(tmp_path)) for number in range(2)]

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    executor = RayExecutor(RayOptions(address=cluster.address))
    run = executor.run([Cell("first", tick, (str(tmp_path), 0)), *cells], Worlds(Registry(only=[])), interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert time.monotonic() - started < 40
    assert not (tmp_path / "ended").exists()


def test_an_unexpected_error_in_a_cell_is_named_with_the_cell(cluster: Any, tmp_path: Path) -> None:
    executor = RayExecutor(RayOptions(address=cluster.address))
    with pytest.raises(RunError, match=r"the cell 'one' failed on the Ray cluster with ZeroDivisionError: division by"):
        list(executor.run([Cell("one", fail, None)], Worlds(Registry(only=[])), lambda count: None))


def test_an_address_at_which_nobody_answers_is_named() -> None:
    executor = RayExecutor(RayOptions(address="127.0.0.1:1"))
    with pytest.raises(RunError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"):
        list(executor.run([Cell("one", tick, ("", 0))], Worlds(Registry(only=[])), lambda count: None))


def test_a_node_with_other_versions_refuses_its_cells(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numpy.__version__", "0.9")  # here alone
    executor = RayExecutor(RayOptions(address=cluster.address))
    with pytest.raises(EmoSimError, match=r"has other versions: numpy \S+ \(expected 0\.9\)"):
        list(executor.run([Cell("one", tick, (str(tmp_path), 0))], Worlds(Registry(only=[])), lambda count: None))
    assert not list(tmp_path.iterdir())


def test_the_cluster_decides_how_many_cells_run_where_nothing_is_said() -> None:
    assert RayExecutor().workers == sys.maxsize
    assert RayExecutor(RayOptions(workers=3)).workers == 3
    with pytest.raises(EmoSimError):
        Registry().resolve("executor", "ray:workers=0").build()


def test_relative_paths_begin_where_the_command_is_started(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    executor = RayExecutor(RayOptions(address=cluster.address))
    list(executor.run([Cell("one", tick, (".", 7))], Worlds(Registry(only=[])), lambda count: None))
    assert (tmp_path / "7").is_file()
    monkeypatch.setattr("os.getcwd", lambda: "/nowhere")
    with pytest.raises(EmoSimError, match="cannot enter the folder /nowhere: No such file or directory"):
        list(executor.run([Cell("one", tick, (".", 8))], Worlds(Registry(only=[])), lambda count: None))
