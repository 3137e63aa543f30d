"""Chaos: kills and signals at random moments, after which every command ends as if nothing had happened.

Each round begins a command, ends it by a signal at a random moment a few times, goes on each time as the documentation
says, in a third of the rounds with two processes at once, and compares what is there in the end with an undisturbed
run: the same bytes, no answer paid for twice but those that were under way, no process left. ::

    python tests/chaos.py --rounds 100
    python tests/chaos.py --seed 7 --only 23        one round again
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosim_core.testing import Answer, ChatServer

sys.path.insert(0, str(Path(__file__).with_name("studies")))
from made_up_ratings import write_movielens

MARK = "EMOSIM_CHAOS"
CONCURRENCY = 4
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_MOST_SECONDS = 300
"""For one process."""

_CACHED = re.compile(rb',"cached":(?:true|false)(?=}\n)')


@dataclass(frozen=True)
class Job:
    """A command that is disturbed.

    Attributes:
        begin: how it begins, without its directory.
        compared: files that must have the same bytes in the end.
        begun: the file from which on it is resumed.
        resumed: options that its resumption needs again.
    """

    begin: tuple[str, ...]
    compared: tuple[str, ...]
    begun: str = "manifest.json"
    resumed: tuple[str, ...] = ()


JOBS = {
    "run": Job(
        ("run", "--plugin", "movies", "--episodes", "150", "--policy", "popular", "--num-envs", "2"),
        ("interactions.jsonl",),
    ),
    "model": Job(
        (
            "run", "--plugin", "movies", "--users", "sampled:n=6", "--episodes", "8", "--max-steps", "6",
            "--llm-model", "deepseek-chat", "--concurrency", str(CONCURRENCY),
        ),
        ("interactions.jsonl", "transcript.jsonl"),
    ),
    "train": Job(
        (
            "train", "--plugin", "movies", "--timesteps", "2048", "--num-envs", "8", "--n-steps", "8",
            "--checkpoint-every", "256", "--device", "cpu",
        ),
        (),
    ),
    "ablate": Job(
        (
            "ablate", "--plugin", "movies", "--study", "sampling:pairs=60,high_rating", "--items-retrieval",
            "last_3,none", "--executor", "processes:2", "--yes",
        ),
        ("results.json", "results.csv", "jobs/*/records.jsonl"),
        resumed=("--executor", "processes:2"),
    ),
    "evaluate": Job(
        (
            "evaluate", "--plugin", "movies", "--policies", "random,popular", "--user-splits", "test",
            "--episodes", "60", "--no-charts", "--resamples", "200",
        ),
        ("evaluation.csv", "items.csv", "runs/*/*/interactions.jsonl"),
        begun="evaluation.json",
        resumed=("--no-charts",),
    ),
    "validate": Job(
        ("validate", "--plugin", "movies", "--ratings", "movielens:ratings"),
        ("validation.json", "*.jsonl"),
    ),
}  # fmt: skip


class Chaos:
    """Rounds in a folder, against one service.

    Args:
        folder: where everything is written.
        server: the service that answers in the place of a language model.
        seed: what every round is drawn from, with its number.
    """

    def __init__(self, folder: Path, server: ChatServer, seed: int) -> None:
        self.folder, self.server, self.seed = folder, server, seed
        write_movielens(folder / "ratings")
        self._whole: dict[str, tuple[dict[str, Any], float, int]] = {}

    def run(self, number: int) -> str:
        """Play a round; returns what it was, in a line.

        Raises:
            AssertionError: something is not as it is promised.
        """
        rng = random.Random(f"{self.seed} {number}")
        name = rng.choice(list(JOBS))
        expected, seconds, questions = self.whole(name)
        job, out, mark = JOBS[name], f"{name}{number}", f"{os.getpid()}-{number}"
        calls = len(self.server.calls)
        ended = []
        for _ in range(rng.randint(1, 3)):
            two = rng.random() < 1 / 3
            running = [self.start(job, out, mark) for _ in range(1 + two)]
            time.sleep(rng.uniform(0.2, 1.1) * seconds)
            how = rng.choice(SIGNALS)
            for process in running:
                process.send_signal(how)
            for process in running:
                ended.append(self.ended(process, how))
            self.assert_none_alive(mark)
        statuses = [self.ended(process) for process in [self.start(job, out, mark) for _ in range(1 + number % 3 // 2)]]
        assert 0 in statuses, f"{out}: nobody came to the end: {statuses}"
        self.assert_none_alive(mark)
        actual = self.results(job, out)
        assert actual == expected, f"{out} differs in {[k for k in expected if actual.get(k) != expected[k]]}"
        made = len(self.server.calls) - calls
        most = questions + len(ended) * CONCURRENCY
        assert made <= most, f"{out}: {made} calls for {questions} questions and {len(ended)} kills"
        return f"{number:>4} {name:<8} {' '.join(map(str, ended))}, then {' '.join(map(str, statuses))}; {made} calls"

    def whole(self, name: str) -> tuple[dict[str, Any], float, int]:
        """What an undisturbed process leaves behind, how long it takes, and how many questions it asks."""
        if name not in self._whole:
            began, calls = time.monotonic(), len(self.server.calls)
            assert self.ended(self.start(JOBS[name], f"whole-{name}", f"{os.getpid()}-{name}")) == 0
            took = time.monotonic() - began
            self._whole[name] = self.results(JOBS[name], f"whole-{name}"), took, len(self.server.calls) - calls
        return self._whole[name]

    def start(self, job: Job, out: str, mark: str) -> subprocess.Popen[str]:
        """Begin a job, or go on with it where it was begun."""
        arguments: Sequence[str] = (*job.begin, "--out", out)
        if (self.folder / out / job.begun).exists():
            arguments = (job.begin[0], "--resume", out, *job.resumed)
        return subprocess.Popen(
            [sys.executable, "-m", "emosim_core", *arguments, "--quiet"],
            cwd=self.folder,
            env={
                **os.environ,
                MARK: mark,
                "EMOSIM_CACHE_DIR": str(self.folder / f"cache-{out}"),
                "EMOSIM_STATE_DIR": str(self.folder / "state"),
                "DEEPSEEK_API_KEY": "sk-test",
                "DEEPSEEK_BASE_URL": self.server.url,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, process: subprocess.Popen[str], how: signal.Signals | None = None) -> int:
        """The status of a process that ended as it should."""
        try:
            errors = process.communicate(timeout=_MOST_SECONDS)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"does not end: {process.args}") from None
        status = process.returncode
        refused = status == 2 and any(words in errors for words in ("is being written by", "exists already"))
        stopped = how is not None and status in (-how, 128 + how)
        assert status == 0 or refused or stopped, f"status {status} after {how}: {errors}"
        early = status == -signal.SIGINT  # Python was still starting
        assert early or "Traceback" not in errors, errors
        return status

    def results(self, job: Job, out: str) -> dict[str, Any]:
        """What a job leaves behind that must not depend on what happened on the way."""
        folder = self.folder / out
        hidden = [str(path) for path in folder.rglob(".*")]
        assert not hidden, f"left behind: {hidden}"
        if job.begin[0] == "train":
            summary = json.loads((folder / "summary.json").read_text())
            return {name: summary[name] for name in ("complete", "timesteps", "updates", "parameters")}
        paths = [path for pattern in job.compared for path in sorted(folder.glob(pattern))]
        # Which answers were cached, a line of a transcript says, and that alone depends on what happened.
        return {str(path.relative_to(folder)): _CACHED.sub(b"", path.read_bytes()) for path in paths}

    def assert_none_alive(self, mark: str) -> None:
        """See that no process of a round lives on."""
        until = time.monotonic() + 15
        while alive := list(_marked(mark)):
            assert time.monotonic() < until, f"processes that live on: {alive}"
            time.sleep(0.05)


def _marked(mark: str) -> Iterator[tuple[int, str]]:
    """Processes with a mark in their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}\0".encode() in (folder / "environ").read_bytes():
                yield int(folder.name), (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has just ended, or is somebody else's
            continue


def _answer(request: dict[str, Any]) -> Answer:
    return Answer(str(1 + len(str(request["messages"][-1]["content"])) % 10), delay=0.05)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play rounds; how many of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None, help="what all rounds are drawn from; printed")
    parser.add_argument("--only", type=int, default=None, help="play this round alone")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further round after so long")
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    print(f"seed {seed}; one round again: python tests/chaos.py --seed {seed} --only ROUND", flush=True)
    rounds = range(given.rounds) if given.only is None else [given.only]
    failed, began = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ChatServer(_answer) as server:
        chaos = Chaos(Path(folder), server, seed)
        for number in rounds:
            if time.monotonic() - began > given.seconds:
                print(f"stopped before round {number}, after {given.seconds:g} s")
                break
            try:
                print(chaos.run(number), flush=True)
            except AssertionError as error:
                failed += 1
                print(f"{number:>4} FAILED: {error}", flush=True)
    print(f"{failed} rounds failed")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
