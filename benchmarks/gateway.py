"""What the gateway to language models costs: questions per second and CPU time per call, beside bare asyncio.

Run with: python benchmarks/gateway.py [--calls 3000] [--repeat 3]
The model answers after 50 ms, once within the process and once behind a loopback HTTP server. Bare asyncio asks the
same backend with asyncio.gather under a semaphore, and keeps nothing. Every number is that of the fastest repetition,
which is what a noisy machine disturbs least; bare and gateway take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.gateway.gateway import Gateway, GatewayOptions

DELAY = 0.05
SYSTEM = "You answer as the person who is described, with a rating and nothing else. " * 10
USER = "A person with a job, a hobby, a mood and a few memories of films. " * 20


class Sleeping(LLMBackend):
    """A model within this process, which answers after a while."""

    identity = "sleeping"

    def price(self) -> Price:
        return Price(0.1, 0.01, 0.2, "2026-01-01")

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        await asyncio.sleep(DELAY)
        return ChatAnswer("7", model="sleeping", usage=Usage(500, 400, 1))


class OverHTTP(Sleeping):
    """A model behind a loopback server, with as little client as will do."""

    identity = "over http"

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        body = json.dumps([[message.role, message.content] for message in request.messages]).encode()
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        payload = json.loads(await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0])))
        self._idle.append((reader, writer))
        return ChatAnswer(payload["text"], usage=Usage(payload["prompt"], 0, 1))

    async def close(self) -> None:
        while self._idle:
            _, writer = self._idle.pop()
            writer.close()
            await writer.wait_closed()


SERVER = f"""
import asyncio

BODY = b'{{"text": "7", "prompt": 500}}'
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY) + BODY

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
            await asyncio.sleep({DELAY})
            writer.write(ANSWER)
    except asyncio.IncompleteReadError:
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


class Measured(NamedTuple):
    """Wall-clock and CPU time of a number of calls, in seconds; compared by the former."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Measured:
    """How long something takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Measured(time.perf_counter() - wall, time.process_time() - cpu)


def questions(count: int) -> list[ChatRequest]:
    """Different questions of about 2 KB."""
    return [
        ChatRequest((Message("system", SYSTEM), Message("user", f"{USER} {i}")), 4, choices=tuple("0123456789"))
        for i in range(count)
    ]


def bare(backend: LLMBackend, requests: Sequence[ChatRequest], concurrency: int, batch: int) -> None:
    """Ask with nothing around it, ``batch`` questions at a time."""

    async def all_of_them() -> None:
        free = asyncio.Semaphore(concurrency)

        async def one(request: ChatRequest) -> ChatAnswer:
            async with free:
                return await backend.answer(request)

        for start in range(0, len(requests), batch):
            await asyncio.gather(*(one(request) for request in requests[start : start + batch]))
        await backend.close()

    asyncio.run(all_of_them())


def through_gateway(
    backend: LLMBackend, requests: Sequence[ChatRequest], concurrency: int, batch: int, cache: Path
) -> Measured:
    """Ask through a gateway with an empty cache, ``batch`` questions at a time; its closing is not timed."""
    gateway = Gateway(backend, GatewayOptions(concurrency=concurrency, cache=cache))

    def work() -> None:
        for start in range(0, len(requests), batch):
            gateway.ask(requests[start : start + batch])

    try:
        return timed(work)
    finally:
        assert gateway.usage.calls == len(requests), gateway.usage.summary()
        gateway.close()


def compare(name: str, backend: LLMBackend, concurrency: int, calls: int, repeat: int, folder: Path) -> None:
    """Measure and print: all questions put at once, and as many at a time as may be under way."""
    requests = questions(calls)
    for label, batch in (("all at once", calls), ("in batches", concurrency)):
        alone: list[Measured] = []
        inside: list[Measured] = []
        for turn in range(repeat):
            alone.append(timed(lambda batch=batch: bare(backend, requests, concurrency, batch)))
            cache = folder / f"{name}-{concurrency}-{batch}-{turn}.sqlite3"
            inside.append(through_gateway(backend, requests, concurrency, batch, cache))
        beside = min(alone)
        for row, best in ((f"bare, {label}", beside), (f"gateway, {label}", min(inside))):
            print(
                f"{name:<12} {concurrency:>4}  {row:<20} {calls / best.wall:>8,.0f} {beside.wall / best.wall:>8.1%}"
                f" {best.cpu / calls * 1e6:>8,.0f} {(best.cpu - beside.cpu) / calls * 1e6:>+8,.0f}"
            )


def warm(folder: Path, count: int, repeat: int) -> None:
    """Measure and print asking what is kept already."""
    requests = questions(count)
    gateway = Gateway(_Instant(), GatewayOptions(cache=folder / "warm.sqlite3"))
    gateway.ask(requests)

    def work(batch: int) -> None:
        for start in range(0, count, batch):
            gateway.ask(requests[start : start + batch])

    for batch in (1, 64, 512):
        best = min(timed(lambda batch=batch: work(batch)) for _ in range(repeat))
        label = f"kept answers, {batch} at a time"
        print(f"{label:<39} {count / best.wall:>8,.0f} {'':>8} {best.cpu / count * 1e6:>8,.0f}")
    assert gateway.usage.calls == count
    gateway.close()


class _Instant(Sleeping):
    identity = "instant"

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        return ChatAnswer("7", usage=Usage(500, 400, 1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    calls, repeat = arguments.calls, arguments.repeat
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    print(f"{'model':<12} {'at once':>4} {'':<17} {'calls/s':>8} {'of bare':>8} {'CPU us':>8} {'added':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for concurrency in (16, 64):
            compare("in process", Sleeping(), concurrency, calls, repeat, folder)
        with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                port = int(server.stdout.readline())
                for concurrency in (16, 64):
                    compare("over HTTP", OverHTTP(port), concurrency, calls, repeat, folder)
            finally:
                server.kill()
        warm(folder, 6400, repeat + 2)


if __name__ == "__main__":
    main()
