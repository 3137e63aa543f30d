"""Executor: where the cells of a sweep are done; in this process, in several on this machine, or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from signal import SIG_IGN, SIGINT, signal
from typing import Protocol

from emosim_core.errors import EmoSimError, RunError
from emosim_core.hooks import Registry
from emosim_core.studies.cells import Cell, Worlds, do
from emosim_core.terminal import standard_streams


class Executor(Protocol):
    """Does cells, in any order; each is whole in itself and leaves its files behind."""

    def run(self, cells: Sequence[Cell], on_ratings: Callable[[int], None]) -> Iterator[Cell]:
        """Do cells.

        Args:
            cells: what to do.
            on_ratings: told how many more ratings there are.

        Yields:
            Each cell when it is done.

        Raises:
            EmoSimError: one cannot be done; those that are done stay.
        """
        ...


class InThisProcess:
    """One cell after the other, here.

    Args:
        worlds: where worlds come from.
    """

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds

    def run(self, cells: Sequence[Cell], on_ratings: Callable[[int], None]) -> Iterator[Cell]:
        try:
            for cell in cells:
                do(cell, self._worlds, on_ratings)
                yield cell
        finally:
            self._worlds.close()


class Processes:
    """Several cells at the same time, each in a process of this machine.

    Args:
        jobs: how many processes.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs

    def run(self, cells: Sequence[Cell], on_ratings: Callable[[int], None]) -> Iterator[Cell]:
        # A new interpreter for each: a fork would bring along threads and connections.
        # Ctrl-C is for this process to take, which then begins no further cell.
        count, new = min(self._jobs, len(cells)), get_context("spawn")
        with ProcessPoolExecutor(count, new, initializer=signal, initargs=(SIGINT, SIG_IGN)) as pool:
            waiting: dict[Future[tuple[int, str]], Cell] = {pool.submit(_do_alone, cell): cell for cell in cells}
            try:
                while waiting:
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        cell = waiting.pop(future)
                        ratings, problem = future.result()
                        if problem:
                            raise EmoSimError(problem)
                        on_ratings(ratings)
                        yield cell
            except BrokenProcessPool as error:
                raise RunError(f"a process that did cells has died: {error}") from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


_worlds: dict[Collection[str] | None, Worlds] = {}
"""What a process of :class:`Processes` holds from one cell to the next."""


@standard_streams()
def _do_alone(cell: Cell) -> tuple[int, str]:
    """Do a cell in a process of its own: how many ratings, or what went wrong (errors do not travel whole)."""
    only = None if cell.only is None else tuple(cell.only)
    worlds = _worlds.setdefault(only, Worlds(Registry(only=cell.only)))
    done = 0

    def count(ratings: int) -> None:
        nonlocal done
        done += ratings

    try:
        do(cell, worlds, count)
    except EmoSimError as error:
        return done, str(error) or type(error).__name__
    return done, ""
