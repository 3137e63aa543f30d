"""RayExecutor: the executor ``ray``, which does cells as tasks of a Ray cluster."""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from emosim_core import EmoSimError, RunError
from emosim_core.plugins import Cell, Executor, Frozen, OnProgress, Worlds, option
from emosim_ray.storage import check_url
from emosim_ray.travel import Left, Sender

if TYPE_CHECKING:
    import ray

_TICK = 0.2
"""Seconds between two looks at the progress of cells under way."""

_PATIENCE = 10.0
"""Seconds to wait until a cluster accepts a connection."""

_LOST = 3
"""Times that a cell is done again after its worker or node was lost."""


class RayOptions(Frozen):
    """Options of ``ray``."""

    address: str | None = option(
        None,
        "Address of a cluster, such as 10.0.0.1:6379 or ray://10.0.0.1:10001; the environment variable RAY_ADDRESS if "
        "not given, and a Ray on this machine if that is not set either.",
    )
    workers: int | None = option(
        None, "Cells that run at the same time; as many as the cluster has cores by default.", ge=1
    )
    storage: str | None = option(
        None,
        "Address such as s3://bucket/prefix, of any kind that fsspec knows, for the files of cells where nodes share "
        "no folder.",
    )
    cores: float = option(1.0, "Cores of the cluster that a cell takes.", gt=0)

    @field_validator("storage")
    @classmethod
    def _without_secrets(cls, url: str | None) -> str | None:
        if url is not None:
            check_url(url)
        return url


class RayExecutor(Executor):
    """Does cells as tasks of a Ray cluster. It connects to a cluster and never starts machines.

    The cells write into the folder of the command, which must be the same folder on all nodes. With a storage, each
    writes into a folder of its node, and the process of the command fetches its files from the storage when it is done.
    A cell whose worker or node is lost is done again, up to three times. A node with other versions of EmoSim, its
    plugins, NumPy or Python is refused.

    Args:
        options: options.

    Attributes:
        workers: greatest number of cells at the same time; ``sys.maxsize`` where the cluster decides.
    """

    def __init__(self, options: RayOptions | None = None) -> None:
        self.options = options or RayOptions()
        self.workers = self.options.workers or sys.maxsize

    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Generator[Cell, None, None]:
        with _connected(self.options.address) as host, worlds.served(host):
            if self.options.storage is None:
                yield from self._run(cells, worlds, on_progress, None)
                return
            away = [cell for cell in cells if cell.folder is not None]
            sender = Sender(self.options.storage, away)
            try:
                yield from self._run(away, worlds, on_progress, sender)
            finally:
                sender.clear()
            here = [cell for cell in cells if cell.folder is None]  # what they need is here alone
        try:
            for cell in here:
                cell.run(worlds, on_progress)
                yield cell
        finally:
            worlds.close()

    def _run(
        self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress, sender: Sender | None
    ) -> Generator[Cell, None, None]:
        """Do cells. References to the cluster are held here alone, as they must not outlive the connection."""
        import ray

        from emosim_ray.task import begin

        task, progress = begin(self.options.cores, _LOST)
        shared = ray.put(worlds)
        folder = os.getcwd()
        waiting = deque(cells)
        under_way: dict[ray.ObjectRef[Any], Cell] = {}
        try:
            while waiting or under_way:
                while waiting and len(under_way) < self.workers:
                    cell = waiting.popleft()
                    under_way[task.remote(cell, [shared], folder, progress, sender and sender.send(cell))] = cell
                ended, _ = ray.wait(list(under_way), timeout=_TICK)
                if count := ray.get(progress.take.remote()):
                    on_progress(count)
                for reference in ended:
                    cell = under_way.pop(reference)
                    problem, left = _outcome(reference, cell)
                    if problem:
                        raise EmoSimError(problem)
                    if sender is not None and left is not None:
                        sender.fetch(cell, left)
                    yield cell
        finally:
            _end(list(under_way))
            del task, progress, shared, under_way


def _outcome(reference: ray.ObjectRef[Any], cell: Cell) -> tuple[str, Left | None]:
    """What went wrong with a cell, empty if nothing did, and what it has left in a storage.

    Raises:
        RunError: its workers or nodes were lost too often, or it failed as no cell should.
    """
    import ray

    try:
        outcome: tuple[str, Left | None] = ray.get(reference)
        return outcome
    except ray.exceptions.RayTaskError as error:
        cause = error.cause or error
        what = f"{type(cause).__name__}: {str(cause).splitlines()[-1]}"
        raise RunError(f"the cell {cell.key!r} failed on the Ray cluster with {what}") from error
    except ray.exceptions.RayError as error:
        kind = type(error).__name__
        raise RunError(
            f"the cell {cell.key!r} was lost {_LOST + 1} times on the Ray cluster ({kind}); it is done again when this "
            "goes on"
        ) from error


def _end(references: list[ray.ObjectRef[Any]]) -> None:
    """End the cells that are under way, and wait until they have ended."""
    import ray

    for reference in references:
        ray.cancel(reference, force=True)
    if references:
        ray.wait(references, num_returns=len(references), timeout=30)


def _own_address() -> str:
    import ray

    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


@contextmanager
def _connected(address: str | None) -> Iterator[str]:
    """A connection to the cluster; one that is opened here is closed again.

    Yields:
        The address of this machine at which the nodes of the cluster reach it.

    Raises:
        RunError: there is no cluster at the address.
    """
    import ray

    if ray.is_initialized():
        yield _own_address()
        return
    named = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": named} if named else {"address": "local", "include_dashboard": False}
    own = ""
    try:
        if named and ":" in named:  # Ray ends the process where nothing listens
            host, _, port = named.removeprefix("ray://").rpartition(":")
            with socket.create_connection((host, int(port)), _PATIENCE) as connection:
                own = connection.getsockname()[0]
        ray.init(log_to_driver=False, configure_logging=False, **options)
    except (OSError, ValueError, RuntimeError) as error:
        where = f"at {named!r}" if named else "on this machine"
        raise RunError(f"no Ray cluster answers {where}: {error}. Ray's own command 'ray start' starts one") from error
    try:
        yield own or (_own_address() if named else "127.0.0.1")
    finally:
        ray.shutdown()
