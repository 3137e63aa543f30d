"""Nodes that share no folder: cells leave their files in a storage, of which the command fetches each whole or not."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from emosim_ray.executor import RayExecutor, RayOptions
from emosim_ray.storage import Storage
from emosim_ray.travel import Left, Sender
from ray_cells import add_to, say_where, stop_half_way, write_two

import emosim_core
from emosim_core import ConfigurationError, EmoSimError, MissingDependencyError, RunError
from emosim_core.plugins import Cell, Registry, Worlds

KEY, SECRET = "a-key-of-the-tests", "a-secret-of-the-tests"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An empty bucket of an S3 server on this machine; its address and key are in the environment alone."""
    moto = pytest.importorskip("moto.server", reason="install emosim-ray[test]")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ):
            environment.setenv(name, value)
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("cells")
        yield "s3://cells/some/where"
    server.stop()


@pytest.fixture(scope="module")
def nodes(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster of two nodes, each with a folder for temporary files of its own."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(Path(__file__).parent))
        own = {"num_cpus": 1, "env_vars": {"TMPDIR": str(tmp_path_factory.mktemp("node-"))}}
        cluster = Cluster(initialize_head=True, head_node_args={**own, "include_dashboard": False})
        try:
            cluster.add_node(num_cpus=1, env_vars={"TMPDIR": str(tmp_path_factory.mktemp("node-"))})
            yield cluster
        finally:
            cluster.shutdown()


def stored() -> list[str]:
    """All that is in the bucket."""
    import s3fs

    found: list[str] = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False).find("cells")
    return found


def do(cluster: Any, url: str, *cells: Cell) -> list[str]:
    executor = RayExecutor(RayOptions(address=cluster.address, storage=url))
    return sorted(cell.key for cell in executor.run(cells, Worlds(Registry(only=[])), lambda count: None))


def test_cells_write_on_their_nodes_and_their_files_come_here(nodes: Any, bucket: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cells = [Cell(name, say_where, (out, name), out, (), f"deep/{name}.json") for name in "abcd"]
    assert do(nodes, bucket, *cells) == ["a", "b", "c", "d"]
    written = [json.loads((out / "deep" / f"{name}.json").read_text()) for name in "abcd"]
    assert len({one["node"] for one in written}) == 2
    assert {Path(one["folder"]).parent.name for one in written} == {"node-0", "node-1"}
    assert len({(one["node"], Path(one["folder"]).parent) for one in written}) == 2
    assert sorted(path.name for path in out.rglob("*")) == ["a.json", "b.json", "c.json", "d.json", "deep"]
    assert stored() == []


def test_a_cell_gets_the_files_that_it_begins_with(nodes: Any, bucket: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "deep").mkdir(parents=True)
    (out / "deep" / "lines").write_text("first\n")
    (out / ".lock").write_text("")
    do(nodes, bucket, Cell("one", add_to, out, out))
    assert (out / "deep" / "lines").read_text() == "first\nsecond\n"
    assert stored() == []


def test_a_cell_without_a_folder_is_done_here(nodes: Any, bucket: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    away, here = Cell("away", write_two, tmp_path / "two", tmp_path / "two"), Cell("here", write_two, out)
    assert do(nodes, bucket, here, away) == ["away", "here"]
    assert sorted(path.name for path in out.iterdir()) == ["1", "2"]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["1", "2"]


def test_a_cell_that_fails_leaves_nothing_here_or_in_the_storage(nodes: Any, bucket: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(EmoSimError, match="half way"):
        do(nodes, bucket, Cell("one", stop_half_way, out, out))
    assert not out.exists()
    assert stored() == []


def test_files_come_all_or_none(bucket: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cell = Cell("one", write_two, out, out)
    sender, storage = Sender(bucket, [cell]), Storage(bucket)
    there = tmp_path / "there"
    there.mkdir()
    for name in ("1", "2"):
        (there / name).write_text(name)
    digests = storage.put(there, ["1", "2"], "place")
    with pytest.raises(RunError, match="has another file than was stored as place/2"):
        sender.fetch(cell, Left("place", {**digests, "2": "0" * 64}))
    with pytest.raises(RunError, match=r"cannot be read: "):
        sender.fetch(cell, Left("place", {**digests, "3": "0" * 64}))
    with pytest.raises(RunError, match=r"has left '\.\./3', which is no file of its folder"):
        sender.fetch(cell, Left("place", {**digests, "../3": "0" * 64}))
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    sender.fetch(cell, Left("place", digests))
    assert sorted(path.name for path in out.iterdir()) == ["1", "2"]
    assert stored() == []


def test_what_a_lost_command_has_left_is_removed_when_it_goes_on(bucket: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "lines").write_text("")
    cell, other = Cell("one", add_to, out, out), Cell("one", add_to, tmp_path, tmp_path, ())
    Sender(bucket, [cell]).send(cell)
    Sender(bucket, [other])  # of another folder
    assert len(stored()) == 1
    Sender(bucket, [cell])
    assert stored() == []


@pytest.mark.parametrize(
    "url", ["s3://key:secret@bucket/prefix", "https://host/path?token=secret", "s3://bucket#secret"]
)
def test_an_address_with_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="has a password or parameters in it") as caught:
        Registry().resolve("executor", {"name": "ray", "storage": url}).build()
    assert "secret@" not in str(caught.value)
    assert "token" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="an address such as s3://bucket/prefix"):
        Registry().resolve("executor", "ray:storage=bucket").build()


def test_what_is_missing_for_an_address_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.setitem(sys.modules, "adlfs", None)
    for url, extra in (("gs://bucket", "gcs"), ("abfs://folder@account.dfs.core.windows.net", "azure")):
        with pytest.raises(MissingDependencyError, match=rf'pip install "emosim-ray\[{extra}\]"'):
            Storage(url)
    with pytest.raises(ConfigurationError, match="is no address that fsspec knows"):
        Storage("nowhere://bucket")


def test_a_storage_that_does_not_answer_is_named_and_its_key_is_not(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"the storage s3://no-such-bucket cannot be written: ") as caught:
        Storage("s3://no-such-bucket").put(tmp_path, ["file"], "place")
    assert KEY not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_any_address_of_fsspec_serves(tmp_path: Path) -> None:
    storage = Storage(f"file://{tmp_path}/storage")
    (tmp_path / "file").write_text("content")
    digests = storage.put(tmp_path, ["file"], "place")
    storage.get("place", "file", digests["file"], tmp_path / "back")
    assert (tmp_path / "back").read_text() == "content"
    storage.remove("place")
    storage.remove("place")
    assert not list((tmp_path / "storage").iterdir())


FEW: dict[str, Any] = {"policy": "random", "episodes": 50_000, "max_steps": 2, "num_envs": 256}


@pytest.mark.slow
def test_a_run_that_loses_a_node_leaves_the_same_bytes(
    nodes: Any, bucket: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("emosim_movies", reason="the run needs a domain: install emosim-movies beside emosim-ray")
    third = nodes.add_node(num_cpus=1, env_vars={"TMPDIR": str(tmp_path_factory.mktemp("node-"))})
    emosim_core.run("movies", tmp_path / "here", **FEW)

    def lose() -> None:
        while not list(tmp_path.glob("away/interactions/block-*.parquet")) and running:
            time.sleep(0.02)
        nodes.remove_node(third, allow_graceful=False)

    running = [True]
    losing = Thread(target=lose)
    losing.start()
    try:
        away = {"name": "ray", "address": nodes.address, "storage": bucket}
        emosim_core.run("movies", tmp_path / "away", executor=away, **FEW)
    finally:
        running.clear()
        losing.join()
    assert len(contents(tmp_path / "here")) >= 4 + 4
    assert contents(tmp_path / "away") == contents(tmp_path / "here")
    assert stored() == []


@pytest.mark.slow
def test_an_evaluation_that_is_interrupted_goes_on_to_the_same_bytes(nodes: Any, bucket: str, tmp_path: Path) -> None:
    pytest.importorskip("emosim_movies", reason="the run needs a domain: install emosim-movies beside emosim-ray")
    away = {"name": "ray", "address": nodes.address, "storage": bucket}
    few: dict[str, Any] = {"policies": ["random", "popular", "item_knn"], "user_splits": ["test"], "episodes": 40}
    few |= {"max_steps": 8, "resamples": 100, "users": "sampled:n=20", "plugin": "movies", "charts": False}
    emosim_core.evaluate(out=tmp_path / "here", **few)

    def interrupt() -> None:
        while not list(tmp_path.glob("away/runs/*/[!.]*/summary.json")) and running:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    running = [True]
    interrupting = Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        emosim_core.evaluate(out=tmp_path / "away", executor=away, **few)
    running.clear()
    interrupting.join()
    assert 1 <= len(list(tmp_path.glob("away/runs/*/[!.]*/summary.json"))) < 4
    assert not list(tmp_path.rglob(".*.partial-*"))
    assert stored() == []
    emosim_core.evaluate(out=tmp_path / "away", executor=away, resume=True, **few)
    assert contents(tmp_path / "away") == contents(tmp_path / "here")
    assert stored() == []


def contents(folder: Path) -> dict[str, Any]:
    """All files of a directory; JSON without times and its own path."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found[str(path.relative_to(folder))] = path.read_bytes()
        if path.suffix == ".json":
            values = json.loads(path.read_text().replace(str(folder), "folder"))
            found[str(path.relative_to(folder))] = {
                key: value for key, value in values.items() if key not in ("seconds", "steps_per_second", "created")
            }
    return found
