"""Directories to look at, and the application about them without a server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import emosim_core
from emosim_core.view.app import view_app
from emosim_core.view.context import Context

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="session")
def prototypes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs ``random`` and ``top``, ``parquet``, and the stopped ``stopped`` and failed ``failed``."""
    folder = tmp_path_factory.mktemp("seen")
    few = {"episodes": 24, "max_steps": 6, "user_dataset": "sampled:n=12"}
    emosim_core.run("movies", folder / "random", **few)
    emosim_core.run("movies", folder / "deep" / "top", policy="top_rated", **few)
    emosim_core.run("movies", folder / "parquet", records="parquet", **few)
    stopped = Path(shutil.copytree(folder / "random", folder / "stopped"))
    (stopped / "summary.json").unlink()
    lines = (stopped / "interactions.jsonl").read_text().splitlines(keepends=True)
    (stopped / "interactions.jsonl").write_text("".join(lines[: len(lines) // 2]))
    failed = Path(shutil.copytree(stopped, folder / "failed"))
    (failed / "failed.json").write_text(json.dumps({"error": "<b>no route</b> to the model", "command": "emosim run"}))
    return folder


@pytest.fixture
def root(prototypes: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a test may change."""
    return Path(shutil.copytree(prototypes, tmp_path / "runs")).resolve()


@pytest.fixture
def client_of(tmp_path: Path) -> Callable[[Path], TestClient]:
    """Makes the application about a folder, called from a browser that knows its token."""

    def make(root: Path) -> TestClient:
        context = Context(root.resolve(), str(root), tmp_path / "state" / "view")
        client = TestClient(view_app(context, TOKEN), base_url="http://127.0.0.1:8770", follow_redirects=False)
        assert client.get(f"/?token={TOKEN}").status_code == 303
        return client

    return make


@pytest.fixture
def client(client_of: Callable[[Path], TestClient], root: Path) -> TestClient:
    """The application about the folder ``root``."""
    return client_of(root)
