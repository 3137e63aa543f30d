"""Cells of the tests, in a module that the workers of a cluster can import."""

from __future__ import annotations

import time
from pathlib import Path

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
