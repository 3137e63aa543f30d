"""SlurmExecutor: the executor ``slurm``, which does cells as jobs of a Slurm cluster."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter, deque
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from emosim_core import EmoSimError, RunError
from emosim_core.plugins import Cell, Executor, Frozen, OnProgress, Worlds, option
from emosim_slurm.folder import Counts, job_folder
from emosim_slurm.queue import JobQueue, sbatch_parameters
from emosim_slurm.task import do

if TYPE_CHECKING:
    import submitit

_LOST = 3
"""Times that a cell is done again after its job was lost."""

_JOBS = 1000
"""Jobs at the same time: one less than the most that an array of Slurm has by default."""

_ONE_LINE = r"^[^\x00-\x1f\x7f]*$"


class SlurmOptions(Frozen):
    """Options of ``slurm``."""

    partition: str | None = option(
        None, "Partition of the cluster; the cluster's default if not given.", pattern=_ONE_LINE
    )
    cluster: Literal["slurm", "local"] = option(
        "slurm", "'local' does jobs as processes of this machine, to try them without Slurm.", needed_to_answer=True
    )
    time: int = option(60, "Minutes that a cell may take; a job that takes longer is ended.", ge=1)
    memory: float | None = option(None, "Memory of a job in GB; the cluster's default if not given.", gt=0)
    cores: int = option(1, "Cores of a job.", ge=1)
    account: str | None = option(None, "Account that jobs are charged to.", pattern=_ONE_LINE)
    sbatch: str = option("", "Other options of sbatch, such as '--qos=high --exclusive'.", pattern=_ONE_LINE)
    workers: int | None = option(
        None, "Jobs in the queue at the same time; 1,000 if not given, with local as many as this machine has cores.",
        ge=1,
    )  # fmt: skip
    folder: Path | None = option(
        None, "Folder in which one for jobs and their logs is made; where the command is started if not given."
    )
    host: str | None = option(
        None, "Address at which nodes reach this machine, for language models; that of its host name if not given."
    )

    @field_validator("sbatch")
    @classmethod
    def _known_form(cls, text: str) -> str:
        sbatch_parameters(text)
        return text


class SlurmExecutor(Executor):
    """Does cells as jobs of a Slurm cluster, several as an array of jobs.

    The cells write into the folder of the command, which must be the same folder on all nodes. A cell whose job is
    lost, is preempted or takes too long is done again, up to three times. A node with other versions of EmoSim-RL, its
    plugins, NumPy or Python is refused.

    submitit carries cells and results in pickle files. They lie in a new folder that only this user can read, beside
    the logs of the jobs; it is removed at the end, but for the logs where the command fails. A job whose command has
    ended or is lost ends by itself.

    Args:
        options: options.

    Attributes:
        workers: greatest number of jobs at the same time.
    """

    def __init__(self, options: SlurmOptions | None = None) -> None:
        self.options = options or SlurmOptions()
        self._local = self.options.cluster == "local"
        self.workers = self.options.workers or ((os.cpu_count() or 1) if self._local else _JOBS)

    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Generator[Cell, None, None]:
        with worlds.served(self._host(worlds)), job_folder(self.options.folder or Path.cwd()) as folder:
            yield from self._run(cells, worlds, on_progress, folder)

    def _run(
        self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress, folder: Path
    ) -> Generator[Cell, None, None]:
        queue, counts = JobQueue(folder, self._local, self._parameters()), Counts(folder)
        tasks = [partial(do, cell, worlds, os.getcwd(), folder, number) for number, cell in enumerate(cells)]
        waiting, lost = deque(range(len(cells))), Counter[int]()
        under_way: dict[submitit.Job[str], int] = {}
        try:
            while waiting or under_way:
                numbers = [waiting.popleft() for _ in range(min(len(waiting), self.workers - len(under_way)))]
                if numbers:
                    under_way.update(zip(queue.submit([tasks[number] for number in numbers]), numbers, strict=True))
                time.sleep(queue.tick)
                ended = queue.ended(list(under_way))
                if count := counts.take(under_way.values()):
                    on_progress(count)
                for job in ended:
                    number = under_way.pop(job)
                    if self._done(queue, job, cells[number], lost[number]):
                        yield cells[number]
                    else:
                        lost[number] += 1
                        waiting.append(number)
        finally:
            queue.end(list(under_way))

    def _done(self, queue: JobQueue, job: submitit.Job[str], cell: Cell, lost: int) -> bool:
        """Whether the job of a cell has done it; False where the job was lost, and is to be done again.

        Raises:
            EmoSimError: the cell cannot be done, or was lost too often.
        """
        where = f"job {job.job_id}, whose log is {job.paths.stderr}"
        state = job.state
        try:
            problem = queue.result(job)
        except RunError as error:
            raise RunError(f"the cell {cell.key!r} failed with {error}, in {where}") from error
        if problem:
            raise EmoSimError(f"{problem}\n(In {where})")
        if problem is None and lost == _LOST:
            raise RunError(
                f"the cell {cell.key!r} was lost {lost + 1} times, at last in {where} (state {state}; a job may take "
                f"{self.options.time} minutes, see the option time); it is done again when this goes on"
            )
        return problem is not None

    def _parameters(self) -> dict[str, Any]:
        """What submitit asks the cluster for. Jobs that Slurm begins anew by itself would be counted by nobody."""
        chosen = self.options
        return {
            "name": "emosim",
            "timeout_min": chosen.time,
            "cpus_per_task": chosen.cores,
            "mem_gb": chosen.memory,
            "slurm_partition": chosen.partition,
            "slurm_account": chosen.account,
            "slurm_additional_parameters": {"no-requeue": True, **sbatch_parameters(chosen.sbatch)},
        }

    def _host(self, worlds: Worlds) -> str:
        """The address of this machine at which jobs reach it.

        Raises:
            RunError: its host name leads to no address that other machines reach.
        """
        if self._local or not worlds.serves or self.options.host:
            return self.options.host or "127.0.0.1"
        name, address = socket.gethostname(), ""
        try:
            address = socket.gethostbyname(name)
        except OSError as error:
            raise RunError(
                f"the host name {name} has no address ({error}); give that of this machine with host="
            ) from error
        if address.startswith("127."):
            raise RunError(
                f"the host name {name} is {address}, which other machines do not reach; give the address of this "
                "machine with host="
            )
        return address
