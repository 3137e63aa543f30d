"""Ratings per second of a run whose users a language model plays, beside the openai client over the same transport.

Run with: python benchmarks/llm_run.py [--calls 1500]
A server on loopback, in a process of its own, answers every question after 50 ms. A run's rate is that of its further
episodes: the difference between a long run and a short one, so that what it takes to begin (the client library is
imported at the first question) is left out. The ways take turns, the bare client before and after each run; means of
several repetitions, and the range of their ratios. Look at the ratios, as the machine is as busy as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

DELAY = 0.05
STEPS = 10
USERS = 32
"""Users for each question at once, as by default."""


@contextmanager
def server() -> Iterator[str]:
    """A server that answers each question with a 7 after 50 ms; its URL."""
    command = [sys.executable, "-m", "emosim_core.testing.chat_server", "--text", "7", "--delay", str(DELAY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = re.search(r"http://\S+/v1", process.stdout.readline())
        assert url is not None
        try:
            yield url[0]
        finally:
            process.kill()


def questions(calls: int) -> list[list[dict[str, str]]]:
    """As many messages as a run sends, of the same length."""
    command = [
        sys.executable,
        "-m",
        "emosim_core",
        "prompt",
        "--plugin",
        "movies",
        "--user",
        "0",
        "--item",
        "4",
        "--json",
    ]
    payload = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    messages = [{"role": one["role"], "content": one["content"]} for one in payload["messages"]]
    return [[*messages[:-1], {"role": "user", "content": f"{messages[-1]['content']} ({i})"}] for i in range(calls)]


def bare(url: str, concurrency: int, conversations: list[list[dict[str, str]]]) -> float:
    """Answers per second of the openai client alone, over aiohttp as emosim-deepseek."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    async def everything() -> float:
        limit = asyncio.Semaphore(concurrency)
        async with AsyncOpenAI(base_url=url, api_key="x", max_retries=0, http_client=DefaultAioHttpClient()) as client:

            async def one(messages: list[dict[str, str]]) -> None:
                async with limit:
                    await client.chat.completions.create(model="m", messages=messages, max_tokens=16, temperature=0)

            await asyncio.gather(*(one(messages) for messages in conversations[:concurrency]))
            start = time.perf_counter()
            await asyncio.gather(*(one(messages) for messages in conversations))
            return len(conversations) / (time.perf_counter() - start)

    return asyncio.run(everything())


def run(url: str, concurrency: int, num_envs: int, episodes: int, cache: Path) -> tuple[int, float]:
    """Ratings and seconds of a run of episodes of ``STEPS`` steps, as its summary says."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "emosim_core", "run", "--plugin", "movies", "--llm-model", f"{url}#m",
            "--llm-rater", "0Shot_system_our", "--concurrency", str(concurrency), "--num-envs", str(num_envs),
            "--reward-shaping", "identity", "--max-steps", str(STEPS), "--episodes", str(episodes),
            "--llm-cache", str(cache), "--out", f"{folder}/run", "--json",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    summary = json.loads(done.stdout)
    return summary["ratings"], summary["seconds"]


def steady(url: str, concurrency: int, num_envs: int, calls: int, folder: Path) -> float:
    """Ratings per second once a run goes."""
    short, long = num_envs, num_envs + max(num_envs, -(-calls // STEPS // num_envs) * num_envs)
    few, soon = run(url, concurrency, num_envs, short, folder / f"{time.monotonic_ns()}.sqlite3")
    many, late = run(url, concurrency, num_envs, long, folder / f"{time.monotonic_ns()}.sqlite3")
    return (many - few) / (late - soon)


def warm(url: str, folder: Path) -> float:
    """Ratings per second of a run all of whose answers are kept."""
    run(url, 64, 64, 128, folder / "warm.sqlite3")
    ratings, seconds = run(url, 64, 64, 128, folder / "warm.sqlite3")
    return ratings / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 16, 64])
    arguments = parser.parse_args()
    conversations = questions(arguments.calls)
    print(f"{os.cpu_count()} cores; answers after {DELAY * 1000:g} ms; means of {arguments.repeat} alternations")
    print("at once  users  bare openai      run   share (single ones)      ideal")
    with server() as url, tempfile.TemporaryDirectory() as place:
        for concurrency, each in itertools.product(arguments.at_once, (1, USERS)):
            calls = arguments.calls if concurrency > 1 else 100
            plain, rates = [], []
            for _ in range(arguments.repeat):
                before = bare(url, concurrency, conversations[:calls])
                rates.append(steady(url, concurrency, each * concurrency, calls, Path(place)))
                plain.append((before + bare(url, concurrency, conversations[:calls])) / 2)
            shares = [rate / other for rate, other in zip(rates, plain, strict=True)]
            print(
                f"{concurrency:>7} {each * concurrency:>7} {mean(plain):>10,.0f}/s {mean(rates):>6,.0f}/s "
                f"{mean(shares):>7.0%} ({min(shares):.0%} to {max(shares):.0%}) {concurrency / DELAY:>8,.0f}/s",
                flush=True,
            )
        cached = max(warm(url, Path(place)) for _ in range(arguments.repeat))
        print(f"all answers kept: {cached:,.0f} ratings/s, written to disk")


if __name__ == "__main__":
    main()
