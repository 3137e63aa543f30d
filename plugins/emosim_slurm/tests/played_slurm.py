"""Plays commands of Slurm, as far as submitit calls them: jobs are processes of this machine, without a queue.

Files of the folder that PLAYED_SLURM names hold the state: ``N.sh`` what was submitted, ``N_INDEX.pid`` a process,
``N_INDEX.state`` what sacct says of a job that a test says more of.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

STATE = Path(os.environ["PLAYED_SLURM"])


def sbatch(file: str) -> None:
    """Submit a script; an array of jobs if it says so."""
    text = Path(file).read_text()
    if "--partition=none" in text:
        sys.exit("sbatch: error: invalid partition specified: none")
    number = 100 + len(list(STATE.glob("*.sh")))
    (STATE / f"{number}.sh").write_text(text)
    array = re.search(r"^#SBATCH --array=0-(\d+)%", text, re.MULTILINE)
    for index in range(int(array[1]) + 1) if array else [None]:
        env = {**os.environ, "SLURM_JOB_ID": str(number), "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
        name = str(number)
        if index is not None:
            env |= {"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(index)}
            name = f"{number}_{index}"
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(["bash", file], env=env, start_new_session=True, **quiet)
        (STATE / f"{name}.pid").write_text(str(process.pid))
    print(f"Submitted batch job {number}")


def srun(*arguments: str) -> None:
    """Do the command of a job, with its output in files."""
    options, command = list(arguments[:5]), list(arguments[5:])
    assert options[0::2] == ["--unbuffered", options[2], options[4]]
    assert (options[1], options[3]) == ("--output", "--error")
    job, index = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_ARRAY_TASK_ID", "")
    for descriptor, path in ((1, options[2]), (2, options[4])):
        for sign, value in (("%A", job), ("%j", job), ("%a", index), ("%t", "0")):
            path = path.replace(sign, value)
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.execvp(command[0], command)


def sacct(*arguments: str) -> None:
    """Say what has become of all jobs."""
    print("JobID|State|NodeList")
    for path in sorted(STATE.glob("*.pid")):
        told = path.with_suffix(".state")
        state = told.read_text() if told.exists() else "RUNNING" if is_running(int(path.read_text())) else "FAILED"
        print(f"{path.stem}|{state}|node1")


def is_running(process: int) -> bool:
    """Whether a process goes on."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def scancel(*names: str) -> None:
    """End jobs."""
    with (STATE / "cancelled").open("a") as cancelled:
        cancelled.writelines(f"{name}\n" for name in names)
    for name in names:
        process = int((STATE / f"{name}.pid").read_text())
        if is_running(process):
            os.killpg(process, signal.SIGTERM)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
