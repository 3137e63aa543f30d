"""JobQueue: jobs by way of submitit, in the queue of a cluster or as processes of this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosim_core import RunError

if TYPE_CHECKING:
    import submitit

_REFRESH = 30.0
"""Seconds between two questions to Slurm about the states of all jobs; the results of jobs are seen without asking."""

_ENDING = 60.0
"""Seconds to wait until jobs that were cancelled have ended; later they end by themselves."""


class JobQueue:
    """Submits jobs, says what has become of them, and cancels them.

    Args:
        folder: where the files of the jobs lie.
        local: whether jobs are processes of this machine.
        parameters: what submitit asks the cluster for.

    Attributes:
        tick: seconds between two looks at the jobs.

    Raises:
        RunError: there is no Slurm here.
    """

    def __init__(self, folder: Path, local: bool, parameters: dict[str, Any]) -> None:
        import submitit

        logging.getLogger("submitit").handlers.clear()  # one of them prints to standard output
        self._local, self.tick = local, 0.1 if local else 1.0
        try:
            self._executor = submitit.AutoExecutor(folder, cluster="local" if local else "slurm")
        except RuntimeError as error:
            raise RunError(
                "this machine has no command srun of Slurm; start where jobs are submitted, or try with cluster=local"
            ) from error
        self._executor.update_parameters(**parameters)
        self._asked = time.monotonic()

    def submit(self, tasks: Sequence[Callable[[], str]]) -> list[submitit.Job[str]]:
        """Submit jobs; several are an array of Slurm.

        Raises:
            RunError: Slurm does not take them.
        """
        import submitit

        try:
            with _not_for_jobs():
                return self._executor.submit_array(tasks)
        except (OSError, RuntimeError) as error:
            message = str(error) if isinstance(error, submitit.core.utils.FailedJobError) else repr(error)
            raise RunError(f"Slurm does not take the jobs: {message.strip()}") from error

    def ended(self, jobs: Sequence[submitit.Job[str]]) -> list[submitit.Job[str]]:
        """Those of some jobs that have ended, with or without a result."""
        if not self._local and jobs and time.monotonic() > self._asked + _REFRESH:
            jobs[0].get_info("force")  # of all jobs
            self._asked = time.monotonic()
        # submitit waits for a preempted job to begin anew, which these do not.
        return [job for job in jobs if job.done() or job.state == "PREEMPTED"]

    def result(self, job: submitit.Job[str]) -> str | None:
        """What a job that has ended returned; None where it was lost. Its files are removed but for its log.

        Raises:
            RunError: it has failed as no cell should.
        """
        if not job.paths.result_pickle.exists():
            self._cancel([job])
            result = None
        elif (error := job.exception()) is not None:
            trace = str(error).partition(f"{'-' * 22}\n")[2].rpartition(f"\n{'-' * 22}")[0]
            raise RunError((trace.strip().splitlines() or [str(error)])[-1])
        else:
            result = job.result()
        for path in (job.paths.submitted_pickle, job.paths.result_pickle):
            path.unlink(missing_ok=True)  # a process of this machine may get the number of this one
        return result

    def end(self, jobs: Sequence[submitit.Job[str]]) -> None:
        """Cancel jobs, and wait until they have ended."""
        left, until = list(jobs), time.monotonic() + _ENDING
        while left and time.monotonic() < until:
            self._cancel(left)  # a process that only begins may not have heard it
            time.sleep(self.tick)
            if not self._local:
                left[0].get_info("force")
            left = [job for job in left if not job.done()]

    def _cancel(self, jobs: Sequence[submitit.Job[str]]) -> None:
        if not self._local:
            subprocess.run(["scancel", *(job.job_id for job in jobs)], check=False, capture_output=True)
            return
        for job in jobs:
            if not job.done():  # its number is that of a process, and still its own
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(job.job_id), signal.SIGTERM)


@contextlib.contextmanager
def _not_for_jobs() -> Iterator[None]:
    """Ctrl-C is for the command, which cancels its jobs, and not for processes that begin within the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def sbatch_parameters(text: str) -> dict[str, str | bool]:
    """Options of sbatch by name, as in ``"--exclusive --gres=gpu:1"``.

    Raises:
        ValueError: something in it is no such option.
    """
    parameters: dict[str, str | bool] = {}
    for part in shlex.split(text):
        name, equals, value = part.removeprefix("--").partition("=")
        if not part.startswith("--") or not name.replace("-", "").isalnum():
            raise ValueError(f"expected options of sbatch such as --qos=high or --exclusive, got {part!r}")
        parameters[name] = value if equals else True
    return parameters
