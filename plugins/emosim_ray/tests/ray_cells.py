"""Cells of the tests, in a module that the workers of a cluster can import."""

from __future__ import annotations

import json
import time
from pathlib import Path

from emosim_core import EmoSimError
from emosim_core.plugins import OnProgress, Worlds


def tick(arguments: tuple[str, int], worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that takes a second, and writes on which node it was done."""
    import ray

    folder, number = arguments
    started = Path(folder) / f"started-{number}"
    started.write_text(ray.get_runtime_context().get_node_id())
    for _ in range(10):
        time.sleep(0.1)
        on_progress(1)
    (Path(folder) / f"{number}").write_text(ray.get_runtime_context().get_node_id())


def wait_long(folder: str, worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that says that it began, and then takes a minute."""
    (Path(folder) / "began").write_text("")
    on_progress(1)
    time.sleep(60)
    (Path(folder) / "ended").write_text("")


def fail(arguments: None, worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that fails as no cell should."""
    print(1 / 0)


def say_where(arguments: tuple[Path, str], worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that writes on which node and in which folder it was done, in a second, so that both nodes do some."""
    import ray

    folder, name = arguments
    time.sleep(1)
    about = {"node": ray.get_runtime_context().get_node_id(), "folder": str(folder)}
    (folder / "deep" / f"{name}.json").write_text(json.dumps(about))


def add_to(folder: Path, worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that goes on with a file that is there."""
    with (folder / "deep" / "lines").open("a") as file:
        file.write("second\n")
    (folder / ".lock").write_text("")


def write_two(folder: Path, worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that writes two files."""
    for name in ("1", "2"):
        (folder / name).write_text(name)


def stop_half_way(folder: Path, worlds: Worlds, on_progress: OnProgress) -> None:
    """A cell that cannot be done."""
    (folder / "1").write_text("")
    raise EmoSimError("stopped half way")
