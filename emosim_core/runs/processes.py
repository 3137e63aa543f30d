"""Processes: the executor that does cells in several processes of this machine."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.connection import wait as wait_for
from multiprocessing.queues import SimpleQueue
from threading import Thread
from types import FrameType
from typing import Any

from emosim_core.errors import EmoSimError, RunError
from emosim_core.model.frozen import Frozen, option
from emosim_core.runs.cells import TICK, Cell, Executor, OnProgress, Worlds
from emosim_core.signals import STOPPING, signals_later
from emosim_core.terminal import standard_streams


class ProcessesOptions(Frozen):
    """Options of ``processes``."""

    workers: int | None = option(None, "Number of processes; as many as this process may use cores if not given.", ge=1)


class Processes(Executor):
    """Several cells at the same time, each in a process of this machine. No such process outlives this one."""

    def __init__(self, options: ProcessesOptions | None = None) -> None:
        self.workers = (options or ProcessesOptions()).workers or cores()

    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Generator[Cell, None, None]:
        with worlds.served():
            yield from self._run(cells, worlds, on_progress)

    def _run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Generator[Cell, None, None]:
        # A new interpreter for each: a fork would bring along threads and connections.
        context = get_context("spawn")
        others = set(active_children())
        with _starting():
            counts: SimpleQueue[int] = context.SimpleQueue()
            workers = min(self.workers, len(cells))
            pool = ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(worlds, counts))
        try:
            with _starting():  # submit() starts the processes
                waiting: dict[Future[str], Cell] = {pool.submit(_run_alone, cell): cell for cell in cells}
            while waiting:
                ended = wait(waiting, timeout=TICK, return_when=FIRST_COMPLETED).done
                while not counts.empty():
                    on_progress(counts.get())
                for future in ended:
                    cell = waiting.pop(future)
                    if problem := future.result():
                        raise EmoSimError(problem)
                    yield cell
        except BrokenProcessPool as error:
            raise RunError("a process that did cells has died; its cell is done again when this goes on") from error
        except EmoSimError:
            raise  # cells that are under way come to their end
        except BaseException:
            for child in set(active_children()) - others:
                child.terminate()
            raise
        finally:
            try:
                pool.shutdown(wait=True, cancel_futures=True)
            except BaseException:  # Ctrl-C once more
                for child in set(active_children()) - others:
                    child.kill()
                raise


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """Hold signals back while processes start: one that is interrupted half started ends with a traceback."""
    with signals_later():
        resource_tracker.ensure_running()  # it lets two signals in again, and would end by the third
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        yield


def _begin_worker(worlds: Worlds, counts: SimpleQueue[int]) -> None:
    """Keep what cells share; make this process end with its parent, and let SIGTERM end it.

    Ctrl-C and a terminal that is closed are for the parent to heed, which then stops its processes.
    """
    _here.extend((worlds, counts))
    atexit.register(gc.freeze)  # a process ends sooner without a search for garbage, and the command waits for it
    for number in STOPPING - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # also where the parent ignores it
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)  # whatever is going on: nobody is there to take the result, and another process may go on

    Thread(target=watch, name="emosim-parent", daemon=True).start()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


_stopped: list[int] = []
"""The signal that has stopped the cell which a process of :class:`Processes` does."""


def _stop(number: int, frame: FrameType | None) -> None:
    """End the cell that is under way; answers that it waits for are still kept."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _stopped.append(number)
    raise SystemExit(128 + number)


_here: list[Any] = []
"""What a process of :class:`Processes` holds from one cell to the next: its worlds, and the queue of its progress."""


@standard_streams()
def _run_alone(cell: Cell) -> str:
    """Do a cell in a process of its own; what went wrong, if anything did."""
    worlds, counts = _here
    try:
        try:
            signal.signal(signal.SIGTERM, _stop)
            return cell.attempt(worlds, counts.put)
        finally:
            if not _stopped:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is under way
    finally:
        if _stopped:  # whatever has become of the SystemExit on its way
            _end_process()


def _end_process() -> None:
    """End this process, which was stopped.

    Nothing would come for it to do, and it could wait for that for ever: what jobs are handed out by may be locked by
    another process that has ended.
    """
    try:
        _here[0].close()
    finally:
        os._exit(128 + _stopped[0])
