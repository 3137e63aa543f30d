"""Steps of users whose recommender is behind HTTP, beside what a bare client of the same server reaches.

Run with: python benchmarks/http_policy.py [--users 256] [--items 2000] [--rounds 7] [--seconds 2]
Two servers, each in a process of its own: an untrained network as ``emosim serve recommender`` serves it, and one that
answers every call with the same list, so that what is measured is the client alone. The policy as a run calls it, and
httpx by itself, which sends the same users, histories and exclusions as JSON and reads the answer, take turns. Exits
with status 1 where the policy reaches less than 90 % of the bare client of the served network.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TARGET = 0.9
HISTORY, SHOWN = 50, 20
"""Interactions that an observation has room for, and that it shows."""


def serve(kind: str, items: int) -> None:
    """Serve until the process ends; prints the port first."""
    import uvicorn

    if kind == "prepared":
        app: Any = prepared(items)
    else:
        from emosim_core.recommenders.recommender import load_recommender, save_recommender
        from emosim_core.recommenders.server import recommender_app
        from emosim_core.recommenders.weights import actor_bytes, empty_actor

        net = {
            "kind": "mlp", "num_users": 12, "items": items, "features": 6, "history_length": HISTORY, "low": 1.0,
            "high": 10.0, "max_steps": 50, "embedding_dim": 32, "hidden": [64],
        }  # fmt: skip
        description = {
            "algo": "a2c", "domain": "made_up", "timesteps": 0, "net": net, "users": [f"u{i:03d}" for i in range(12)],
            "items": [{"id": f"i{i:03d}", "title": f"Item {i}"} for i in range(items)],
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            save_recommender(Path(folder) / "model", description, actor_bytes(empty_actor(net)[1]))
            app = recommender_app(load_recommender(folder), "untrained")
    settings = uvicorn.Config(app, port=0, log_level="warning", lifespan="off")
    with settings.bind_socket() as listening:
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(settings).run(sockets=[listening])


def prepared(items: int) -> Any:
    """An application that reads a call and answers with the last item for each of its users."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def health(request: Request) -> Response:
        return JSONResponse({"protocol": 1, "name": "prepared"})

    async def recommend(request: Request) -> Response:
        call = await request.json()
        return JSONResponse({"items": [[f"i{items - 1:03d}"]] * len(call["users"])})

    return Starlette(routes=[Route("/health", health), Route("/recommend", recommend, methods=["POST"])])


def clients(url: str, users: int, items: int) -> dict[str, Callable[[], object]]:
    """One step of all users: of the policy, and of httpx by itself."""
    import httpx
    import numpy as np

    from emosim_core.components.base import BeginRequest, PolicySetting, RecommendationRequest
    from emosim_core.recommenders.http_policy import HttpOptions, http_policy
    from emosim_core.simulation.streams import Stage
    from emosim_core.testing.worlds import draws, small_world

    catalog = small_world(items=items).catalog
    policy, rows, here = http_policy(HttpOptions(url=url)), np.arange(users), draws(users, Stage.POLICY)
    ids = [f"u{user:03d}" for user in range(users)]
    policy.start(PolicySetting(catalog=catalog, slate=1, batch_size=users, users=ids, history_length=HISTORY))
    rng, known = np.random.default_rng(1), [item.id for item in catalog.items]
    past = np.zeros((users, HISTORY), dtype=np.int64)
    past[:, :SHOWN] = rng.permuted(np.tile(np.arange(items - 1), (users, 1)), axis=1)[:, :SHOWN]
    mask = np.zeros((users, HISTORY), dtype=np.int8)
    mask[:, :SHOWN] = 1
    ratings = rng.integers(1, 11, size=(users, HISTORY)).astype(np.float32)
    seen = {"user": rows, "history_items": past, "history_ratings": ratings, "history_mask": mask}
    request = RecommendationRequest(rows=rows, observations=seen)
    shown = [[known[item] for item in reversed(row[:SHOWN])] for row in past.tolist()]

    def step() -> object:
        policy.begin(BeginRequest(rows=rows), here)
        policy._recommended = [list(reversed(row[:SHOWN])) for row in past.tolist()]  # type: ignore[attr-defined]
        return policy.recommend_batch(request, here)

    rated = [list(reversed(row[:SHOWN])) for row in ratings.tolist()]
    histories = [list(zip(*pair, strict=True)) for pair in zip(shown, rated, strict=True)]
    call = {"protocol": 1, "k": 1, "users": ids, "histories": histories, "exclude": shown}
    client = httpx.Client(timeout=60)

    def bare() -> object:
        return client.post(f"{url}/recommend", json=call).json()["items"]

    assert (np.asarray(step())[:, 0] >= 0).all()
    assert len(bare()) == users  # type: ignore[arg-type]
    return {"policy": step, "bare": bare}


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls per second."""
    began, calls = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < seconds:
        call()
        calls += 1
    return calls / spent


def main() -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=256)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--serve", choices=("served", "prepared"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.items)
        return 0
    print(f"Python {platform.python_version()}; {given.users} users, {given.items:,} items, {SHOWN} interactions each")
    ratios = {}
    for kind in ("served", "prepared"):
        command = [sys.executable, __file__, "--serve", kind, "--items", str(given.items)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                both = clients(f"http://127.0.0.1:{int(server.stdout.readline())}", given.users, given.items)
                rounds = [{name: rate(one, given.seconds) for name, one in both.items()} for _ in range(given.rounds)]
            finally:
                server.kill()
        policy, bare = (statistics.median(one[name] for one in rounds) for name in ("policy", "bare"))
        ratios[kind] = statistics.median(one["policy"] / one["bare"] for one in rounds)
        print(f"  {kind:9} policy {policy:7.1f} steps/s, bare client {bare:7.1f}: {ratios[kind]:.0%}")
    return int(ratios["served"] < TARGET)


if __name__ == "__main__":
    sys.exit(main())
