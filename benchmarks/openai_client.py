"""What a call costs: the openai client over its two transports, aiohttp by itself, and emosim-deepseek's backend.

Run with: python benchmarks/openai_client.py [--delay 0.05] [--concurrency 16 64 512]
The server runs in a process of its own; the CPU time is that of the asking process alone. Every number is the best of
several repetitions, which is what a noisy machine disturbs least.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emosim_core.llm import ChatRequest, Message

if TYPE_CHECKING:
    from openai import AsyncOpenAI

QUESTION = ChatRequest(
    (Message("system", "You are this person. " * 60), Message("user", "How do you rate this film? " * 60)),
    max_tokens=16,
)
PLAIN = {
    "model": "model",
    "messages": [{"role": message.role, "content": message.content} for message in QUESTION.messages],
    "max_tokens": QUESTION.max_tokens,
    "temperature": QUESTION.temperature,
}

Ask = Callable[[], Awaitable[str]]
Close = Callable[[], Awaitable[None]]


def plain(url: str) -> tuple[Ask, Close]:
    """``await client.chat.completions.create(...)``, as everybody writes it."""
    from openai import AsyncOpenAI

    return through(AsyncOpenAI(base_url=url, api_key="key", max_retries=0))


def over_aiohttp(url: str) -> tuple[Ask, Close]:
    """The same with the client's own transport over aiohttp, which uses connections again."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    return through(AsyncOpenAI(base_url=url, api_key="key", max_retries=0, http_client=DefaultAioHttpClient()))


def through(client: AsyncOpenAI) -> tuple[Ask, Close]:
    """Asks through a client of openai."""

    async def ask() -> str:
        answer = await client.chat.completions.create(**PLAIN)  # type: ignore[call-overload]
        return str(answer.choices[0].message.content)

    return ask, client.close


def bare(url: str, connection_for_each: bool) -> tuple[Ask, Close]:
    """aiohttp by itself, and ``json.loads`` of the body."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0, force_close=connection_for_each)
    session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def ask() -> str:
        async with session.post(f"{url}/chat/completions", json=PLAIN) as answer:
            return str(json.loads(await answer.read())["choices"][0]["message"]["content"])

    return ask, session.close


def backend(url: str) -> tuple[Ask, Close]:
    """The backend: the openai client over aiohttp with a connection for each question, and a strict reading."""
    from emosim_deepseek.endpoint import Endpoint, EndpointOptions

    endpoint = Endpoint(EndpointOptions(model=f"{url}#model"))

    async def ask() -> str:
        return (await endpoint.answer(QUESTION)).text

    return ask, endpoint.close


CLIENTS: tuple[tuple[str, Callable[[str], tuple[Ask, Close]]], ...] = (
    ("openai", plain),
    ("openai over aiohttp", over_aiohttp),
    ("aiohttp", lambda url: bare(url, False)),
    ("aiohttp, a connection for each", lambda url: bare(url, True)),
    ("emosim-deepseek", backend),
)


async def measure(
    client: Callable[[str], tuple[Ask, Close]], url: str, concurrency: int, calls: int
) -> tuple[float, float]:
    """Calls per second, and CPU seconds per call."""
    ask, close = client(url)
    remaining = iter(range(calls))

    async def worker() -> None:
        for _ in remaining:
            await ask()

    try:
        await asyncio.gather(*(ask() for _ in range(concurrency)))  # opens the connections
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return calls / (time.perf_counter() - began), (time.process_time() - cpu) / calls
    finally:
        await close()


@contextmanager
def server(delay: float) -> Iterator[str]:
    """The base URL of a server in a process of its own."""
    command = [sys.executable, "-m", "emosim_core.testing.chat_server", "--delay", str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--delay", type=float, default=0.05, help="seconds until the server answers (0.05)")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[16, 64, 512], help="calls at once (16 64 512)")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions (3)")
    options = parser.parse_args(arguments)
    print(f"Python {platform.python_version()}, a server that answers after {options.delay * 1000:g} ms\n")
    print("| client | at once | calls/s | CPU per call |\n|---|---:|---:|---:|")
    for concurrency in options.concurrency:
        rates: dict[str, list[float]] = {name: [] for name, _ in CLIENTS}
        costs: dict[str, list[float]] = {name: [] for name, _ in CLIENTS}
        for _ in range(options.repeat):  # in turns, as other programs may be busy for a while
            for name, client in CLIENTS:
                with server(options.delay) as url:
                    rate, cost = asyncio.run(measure(client, url, concurrency, max(1000, 3 * concurrency)))
                rates[name].append(rate)
                costs[name].append(cost)
        for name, _ in CLIENTS:
            print(f"| {name} | {concurrency} | {max(rates[name]):.0f} | {min(costs[name]) * 1e6:.0f} us |", flush=True)


if __name__ == "__main__":
    main()
