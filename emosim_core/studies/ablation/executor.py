"""Executor: where the jobs of a sweep are done; in this process, in several on this machine, or elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.connection import wait as wait_for
from threading import Thread, current_thread, main_thread
from types import FrameType

from emosim_core.errors import EmoSimError, RunError
from emosim_core.hooks import Registry
from emosim_core.studies.ablation.jobs import Job, Worlds, run_job
from emosim_core.terminal import standard_streams


class InThisProcess:
    """One job after the other, here."""

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds

    def run(self, jobs: Sequence[Job], on_ratings: Callable[[int], None]) -> Generator[Job, None, None]:
        """Do jobs and yield each when it is done; an EmoSimError where one cannot be done, and those done stay.

        ``on_ratings`` gets the number of new ratings.
        """
        try:
            for job in jobs:
                run_job(job, self._worlds, on_ratings)
                yield job
        finally:
            self._worlds.close()


class Processes:
    """Several jobs at the same time, each in a process of this machine. No such process outlives this one."""

    def __init__(self, processes: int) -> None:
        self._processes = processes

    def run(self, jobs: Sequence[Job], on_ratings: Callable[[int], None]) -> Generator[Job, None, None]:
        """As :meth:`InThisProcess.run`, in any order."""
        # A new interpreter for each: a fork would bring along threads and connections.
        others = set(active_children())
        with _signals_later():
            pool = ProcessPoolExecutor(min(self._processes, len(jobs)), get_context("spawn"), initializer=_begin_worker)
        try:
            with _signals_later():  # submit() starts the processes
                waiting: dict[Future[tuple[int, str]], Job] = {pool.submit(_run_alone, job): job for job in jobs}
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    job = waiting.pop(future)
                    ratings, problem = future.result()
                    if problem:
                        raise EmoSimError(problem)
                    on_ratings(ratings)
                    yield job
        except BrokenProcessPool as error:
            raise RunError("a process that did jobs has died; its job is done again when this goes on") from error
        except EmoSimError:
            raise  # jobs that are under way come to their end
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


Executor = InThisProcess | Processes
"""Does jobs, each of which is whole in itself and leaves its files behind."""

_SIGNALS = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}


@contextlib.contextmanager
def _signals_later() -> Iterator[None]:
    """Hold signals back until the end of the block, here and in the processes that it starts.

    A process that is half started when a signal interrupts its start, or its parent's, ends with a traceback.
    """
    received: list[int] = []
    with contextlib.ExitStack() as leave:  # in reverse order, and all of it, whatever comes in between
        leave.callback(_raise_first, received)
        if hasattr(signal, "pthread_sigmask"):
            # What new processes inherit. A signal for this one may still come in by another thread.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            leave.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            resource_tracker.ensure_running()  # it lets two of them in again, and would end by the third
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if current_thread() is main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    leave.callback(signal.signal, number, handler)
                    signal.signal(number, lambda number, frame: received.append(number))
        yield


def _raise_first(received: list[int]) -> None:
    if received:
        signal.raise_signal(received[0])


def _begin_worker() -> None:
    """Make this process end with its parent, and let SIGTERM end it.

    Ctrl-C and a terminal that is closed are for the parent to heed, which then stops its processes.
    """
    for number in _SIGNALS - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # also where the parent ignores it
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)  # whatever is going on: nobody is there to take the result, and another process may go on

    Thread(target=watch, name="emosim-parent", daemon=True).start()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


_stopped: list[int] = []
"""The signal that has stopped the job which a process of :class:`Processes` does."""


def _stop(number: int, frame: FrameType | None) -> None:
    """End the job that is under way; answers that it waits for are still kept."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _stopped.append(number)
    raise SystemExit(128 + number)


_worlds: dict[Collection[str] | None, Worlds] = {}
"""What a process of :class:`Processes` holds from one job to the next."""


def _run_alone(job: Job) -> tuple[int, str]:
    """Do a job in a process of its own: how many ratings, or what went wrong (errors do not travel whole)."""
    try:
        try:
            signal.signal(signal.SIGTERM, _stop)
            return _run_job(job)
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
        for worlds in _worlds.values():
            worlds.close()
    finally:
        os._exit(128 + _stopped[0])


@standard_streams()
def _run_job(job: Job) -> tuple[int, str]:
    only = None if job.only is None else tuple(job.only)
    worlds = _worlds.setdefault(only, Worlds(Registry(only=job.only)))
    done = 0

    def count(ratings: int) -> None:
        nonlocal done
        done += ratings

    try:
        run_job(job, worlds, count)
    except EmoSimError as error:
        return done, str(error) or type(error).__name__
    except SystemExit as error:
        if _stopped:
            raise
        return done, f"something that a job called has left the program, with {error.code!r}"
    return done, ""
