"""The batch interface of OpenAI's service: half the price, answers in hours, and nothing paid for twice."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
from starlette.applications import Starlette  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse, PlainTextResponse, Response  # noqa: E402
from starlette.routing import Route  # noqa: E402

ASKED = ("--users", "sampled:n=12", "--per-user", "5", "--max-questions", "60", "--yes")


class BatchService:
    """A service with ``/files`` and ``/batches``.

    Attributes:
        looks: how often a batch is looked at before it has ended; None for never.
        ends: how the next batches end, one word each; then all are completed.
        line: from the number of a request in its batch and its body to what stands in the file of answers.
        batches: the batches that were begun, with their requests.
    """

    def __init__(self) -> None:
        self.looks: int | None = 1
        self.ends: list[str] = []
        self.line: Callable[[int, dict[str, Any]], dict[str, Any]] = answered
        self.begin_status = 200
        self.batches: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.keys: set[str] = set()
        self.url = ""

    def app(self) -> Starlette:
        async def upload(request: Request) -> Response:
            body = await request.body()
            start = body.index(b"\r\n\r\n", body.index(b'name="file"')) + 4
            assert b'name="purpose"' in body
            name = f"file-{len(self.files)}"
            self.files[name] = body[start : body.rindex(b"\r\n--")]
            return JSONResponse({"id": name, "object": "file", "purpose": "batch"})

        async def begin(request: Request) -> Response:
            if self.begin_status != 200:
                return JSONResponse({"error": {"message": "no batches for you"}}, self.begin_status)
            wanted = await request.json()
            assert wanted["endpoint"] == "/v1/chat/completions"
            assert wanted["completion_window"] == "24h"
            requests = [json.loads(line) for line in self.files[wanted["input_file_id"]].splitlines()]
            assert len({one["custom_id"] for one in requests}) == len(requests)
            name = f"batch-{len(self.batches)}"
            end = self.ends.pop(0) if self.ends else "completed"
            self.batches[name] = {"requests": requests, "end": end, "looks": 0, "file": wanted["input_file_id"]}
            return JSONResponse(self.state(name))

        async def look(request: Request) -> Response:
            name = request.path_params["name"]
            if name not in self.batches:
                return JSONResponse({"error": {"message": f"no batch {name}"}}, 404)
            self.batches[name]["looks"] += 1
            if self.batches[name]["end"] == "stumbles" and self.batches[name]["looks"] < 3:
                return PlainTextResponse("overloaded", 503)
            return JSONResponse(self.state(name))

        async def content(request: Request) -> Response:
            return Response(self.files[request.path_params["name"]])

        async def listed(request: Request) -> Response:
            return JSONResponse({"object": "list", "data": [self.state(name) for name in self.batches]})

        async def log(request: Request, call_next: Any) -> Any:
            self.calls.append(f"{request.method} {request.url.path.removeprefix('/v1')}")
            self.keys.add(request.headers.get("authorization", ""))
            return await call_next(request)

        from starlette.middleware import Middleware
        from starlette.middleware.base import BaseHTTPMiddleware

        routes = [
            Route("/v1/files", upload, methods=["POST"]),
            Route("/v1/batches", begin, methods=["POST"]),
            Route("/v1/batches", listed, methods=["GET"]),
            Route("/v1/batches/{name}", look),
            Route("/v1/files/{name}/content", content),
        ]
        return Starlette(routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=log)])

    def state(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        about = {"id": name, "object": "batch", "input_file_id": batch["file"], "output_file_id": None}
        about |= {"error_file_id": None, "errors": None}
        if self.looks is None or batch["looks"] < self.looks:
            counts = {"total": len(batch["requests"]), "completed": 0, "failed": 0}
            return {**about, "status": "in_progress", "request_counts": counts}
        end = "completed" if batch["end"] in ("half", "stumbles") else batch["end"]
        if end == "failed":
            return {**about, "status": end, "errors": {"data": [{"code": "bad", "message": "line 3 is invalid"}]}}
        all_of_them = len(batch["requests"])
        count = {"half": all_of_them // 2, "expired": all_of_them // 2, "cancelled": 0}.get(batch["end"], all_of_them)
        done = [self.line(n, one["body"]) | {"custom_id": one["custom_id"]} for n, one in enumerate(batch["requests"])]
        rest = [
            {"custom_id": one["custom_id"], "response": None, "error": {"code": "batch_expired", "message": "too late"}}
            for one in batch["requests"][count:]
        ]
        for kind, lines in (("output", done[:count]), ("error", rest if batch["end"] == "expired" else [])):
            self.files[f"{kind}-{name}"] = "".join(json.dumps(line) + "\n" for line in lines[::-1]).encode()
            about[f"{kind}_file_id"] = f"{kind}-{name}"
        return {**about, "status": end}

    @property
    def requests(self) -> list[str]:
        """The bodies of all requests of all batches."""
        return [json.dumps(one["body"], sort_keys=True) for batch in self.batches.values() for one in batch["requests"]]


def answered(number: int, body: dict[str, Any]) -> dict[str, Any]:
    """A completion whose rating depends on the prompt."""
    text = str(int(hashlib.sha256(str(body["messages"]).encode()).hexdigest(), 16) % 9)
    message = {"role": "assistant", "content": text}
    completion = {
        "id": f"chatcmpl-{hashlib.sha256(str(body).encode()).hexdigest()[:24]}",
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0},
    }
    return {"response": {"status_code": 200, "body": completion}, "error": None}


@pytest.fixture
def service() -> Iterator[BatchService]:
    made = BatchService()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        made.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        server = uvicorn.Server(uvicorn.Config(made.app(), log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield made
        server.should_exit = True
        thread.join()


@pytest.fixture
def asked(quick: Any, service: BatchService) -> tuple[Any, BatchService]:
    """The command line with a model whose answers come in batches, in the configuration ``batch.toml``."""
    (quick.folder / "batch.toml").write_text(
        f"""
        [llm_model]
        name = "openai"
        model = "gpt-x"
        base_url = "{service.url}"
        batch = true
        batch_poll = 0.02
        price = {{ prompt = 2.0, completion = 2.0, as_of = "2026-11-01" }}
        """
    )
    return replace(quick, variables={"EMOSIM_LLM_API_KEY": "sk-secret-0123456789"}), service


def distill(emosim: Any, out: str, *options: str, **more: Any) -> Any:
    command = ("distill", "--plugin", "movies", "--config", "batch.toml", *ASKED, *options)
    return emosim(*command, "--out", out, "--quiet", **more)


def answers(emosim: Any, out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (emosim.folder / out / "answers.jsonl").read_text().splitlines()]


def told(emosim: Any, out: str) -> dict[str, Any]:
    return dict(json.loads((emosim.folder / out / "card.json").read_text())["distillation"])


def test_all_questions_go_in_one_batch_and_cost_half(
    asked: tuple[Any, BatchService], caplog: pytest.LogCaptureFixture
) -> None:
    emosim, service = asked
    distill(emosim, "people")
    assert [len(one["requests"]) for one in service.batches.values()] == [60]
    assert all(one["rating"] is not None for one in answers(emosim, "people"))
    usage = told(emosim, "people")["usage"]
    assert usage["calls"] == 60
    assert usage["cost"] == pytest.approx(60.0)  # a million tokens each, at half of 2.0
    assert "Batch batch-0 with 60 requests was sent" in caplog.text
    assert service.keys == {"Bearer sk-secret-0123456789"}
    for path in emosim.folder.rglob("*"):
        assert not path.is_file() or b"sk-secret" not in path.read_bytes()
    # Answers are cached under the model, however they came.
    calls = len(service.calls)
    text = (emosim.folder / "batch.toml").read_text()
    (emosim.folder / "batch.toml").write_text(text.replace("batch = true", "batch = false"))
    distill(emosim, "again")
    assert len(service.calls) == calls
    assert answers(emosim, "again") == answers(emosim, "people")


def test_a_killed_command_goes_on_with_the_batch_that_it_sent(asked: tuple[Any, BatchService]) -> None:
    emosim, service = asked
    service.looks = None  # the batch goes on for hours
    command = ("distill", "--plugin", "movies", "--config", "batch.toml", *ASKED, "--out", "people", "--quiet")
    process = emosim.start(*command)
    while not any(call.startswith("GET /batches/") for call in service.calls):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    service.looks = 1
    emosim("distill", "--resume", "people", "--yes", "--quiet", "--config", "batch.toml")
    assert len(service.batches) == 1
    assert told(emosim, "people")["usage"]["calls"] == 60


def test_a_batch_that_was_begun_and_not_noted_is_found(asked: tuple[Any, BatchService]) -> None:
    emosim, service = asked
    distill(emosim, "people")
    (note,) = (emosim.folder / "cache" / "batches").rglob("*.json")
    note.write_text(json.dumps({**json.loads(note.read_text()), "batch": ""}))
    service.calls.clear()
    distill(emosim, "again", "--llm-cache", "empty.sqlite3")
    assert "GET /batches" in service.calls
    assert len(service.batches) == 1
    assert answers(emosim, "again") == answers(emosim, "people")


def test_what_expires_or_is_missing_is_sent_again_and_nothing_else(asked: tuple[Any, BatchService]) -> None:
    emosim, service = asked
    service.ends = ["expired", "half", "stumbles"]
    distill(emosim, "people")
    assert [len(one["requests"]) for one in service.batches.values()] == [60, 30, 15]
    assert all(one["rating"] is not None for one in answers(emosim, "people"))
    answered_ones = service.requests[:30] + service.requests[60:75] + service.requests[90:]
    assert len(set(answered_ones)) == 60


def test_a_request_that_the_service_refuses_is_a_failed_rating(asked: tuple[Any, BatchService]) -> None:
    emosim, service = asked

    def line(number: int, body: dict[str, Any]) -> dict[str, Any]:
        error = {"error": {"message": "content policy violation", "code": "content_policy_violation"}}
        return answered(number, body) if number % 5 else {"response": {"status_code": 400, "body": error}}

    service.line = line
    distill(emosim, "people")
    failed = [one for one in answers(emosim, "people") if one["rating"] is None]
    assert 0 < len(failed) < 20
    assert told(emosim, "people")["left_out"] >= len(failed)


@pytest.mark.parametrize(
    ("end", "message"),
    [("failed", "refuses the batch batch-0: line 3 is invalid"), ("cancelled", "was cancelled at")],
)
def test_a_batch_that_fails_is_one_clear_error(asked: tuple[Any, BatchService], end: str, message: str) -> None:
    emosim, service = asked
    service.ends = [end]
    assert message in distill(emosim, "people", status=2).err
    if end == "failed":
        distill(emosim, "again")  # it is sent again, by the next command
        assert len(service.batches) == 2


def test_a_service_without_batches_is_one_clear_error(asked: tuple[Any, BatchService]) -> None:
    emosim, service = asked
    service.begin_status = 404
    assert "answers with status 404: no batches for you" in distill(emosim, "people", status=2).err
    service.begin_status = 401
    assert "The key is missing, wrong or not allowed" in distill(emosim, "again", status=2).err


def test_episodes_are_refused_as_each_step_would_wait_for_a_batch(asked: tuple[Any, BatchService]) -> None:
    emosim, service = asked
    error = emosim("run", "--plugin", "movies", "--config", "batch.toml", "--out", "run", status=2).err
    assert "episode would wait" in error
    assert "emosim distill" in error
    assert not service.calls
    assert not Path("run").exists()


def test_a_validation_asks_all_that_it_measures_of_a_part_in_one_batch(asked: tuple[Any, BatchService]) -> None:
    emosim, service = asked
    sample = resources.files("emosim_movies") / "data" / "sample.csv"
    items = [row["id"] for row in csv.DictReader(sample.read_text(encoding="utf-8").splitlines())]
    rng = random.Random(0)
    rows = [f"{user},{item},{rng.randint(1, 10)}" for user in range(40) for item in rng.sample(items, 12)]
    (emosim.folder / "log.csv").write_text("user,item,rating\n" + "\n".join(rows) + "\n")
    options = ("--ratings", "csv:log.csv", "--only", "ratings", "--max-users", "4", "--folds", "2", "--yes")
    emosim("validate", "--plugin", "movies", "--config", "batch.toml", *options, "--out", "measured", "--quiet")
    parts = {len(one["requests"]) for one in service.batches.values()}
    assert len(service.batches) == 2
    assert min(parts) > 1
    lines = (emosim.folder / "measured" / "ratings.jsonl").read_text().splitlines()
    assert all(answer is not None for line in lines for answer in json.loads(line)["answer"])
