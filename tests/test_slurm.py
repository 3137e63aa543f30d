"""Jobs of submitit's local mode: commands leave the same files as in one process, also after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from emosim_core.testing.chat_server import Answer, ChatServer

pytestmark = pytest.mark.slow

TIMES = ("seconds", "steps_per_second", "created")

LOCAL = ("--executor", "slurm:cluster=local")


def files_of(folder: Path) -> dict[str, Any]:
    """All files of a directory; JSON without times, lines without what came from a cache."""
    files: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, content = str(path.relative_to(folder)), path.read_bytes()
        files[name] = content.replace(b'"cached":true', b'"cached":false') if path.suffix == ".jsonl" else content
        if path.suffix == ".json":
            files[name] = {key: value for key, value in json.loads(content).items() if key not in TIMES}
    return files


def test_a_run_that_ctrl_c_stops_in_a_terminal_goes_on_to_the_same_directory(emosim: Any) -> None:
    run = ("run", "--plugin", "movies", "--policy", "random", "--episodes", "40000", "--max-steps", "5", "--quiet")
    process = subprocess.Popen(
        [sys.executable, "-m", "emosim_core", *run, *LOCAL, "--out", "cut"],
        cwd=emosim.folder,
        env=emosim.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while not list(emosim.folder.glob("cut/interactions/block-*")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the jobs too
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in told
    assert "emosim run --resume cut" in told
    assert not list(emosim.folder.glob("emosim-slurm-*"))
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nothing of it goes on
    assert len(list(emosim.folder.glob("cut/interactions/block-*.parquet"))) < 3
    emosim("run", "--resume", "cut", *LOCAL, "--quiet", timeout=300)
    emosim(*run, "--out", "whole", timeout=300)
    assert files_of(emosim.folder / "cut") == files_of(emosim.folder / "whole")


def test_jobs_share_a_budget_a_cache_and_a_limit_of_model_calls(emosim: Any) -> None:
    dear = {"prompt_tokens": 1_000_000, "completion_tokens": 0}  # 0.30 USD

    def answer(body: dict[str, Any]) -> Answer:
        return Answer(str(len(str(body["messages"])) % 10), usage=dear, delay=0.05)

    command = (
        *("evaluate", "--plugin", "movies", "--users", "sampled:n=20", "--episodes", "3", "--max-steps", "5"),
        *("--config", "model.toml", "--policies", "popular,top_rated", "--user-splits", "test"),
        *("--no-charts", "--resamples", "100", "--concurrency", "2", "--quiet"),
    )
    with ChatServer(answer) as server:
        price = 'price = { prompt = 0.3, completion = 0.0, as_of = "2026-11-01" }'
        model = f'[llm_model]\nname = "openai"\nmodel = "any"\nbase_url = "{server.url}"\n{price}\n'
        (emosim.folder / "model.toml").write_text(model)
        error = emosim(*command, *LOCAL, "--max-cost", "2", "--out", "e", status=2, timeout=300).err
        assert "the budget is spent: 2." in error
        assert "(In job " in error
        assert 7 <= len(server.calls) <= 8
        emosim("evaluate", "--resume", "e", *LOCAL, "--max-cost", "1000", "--no-charts", "--quiet", timeout=300)
        asked = [json.dumps(call.body) for call in server.calls]
        assert len(asked) == len(set(asked)) > 8
        assert server.most_at_once == 2
        emosim(*command, "--out", "whole", timeout=300)
        assert len(server.calls) == len(asked)
    here, there = (files_of(emosim.folder / name) for name in ("e", "whole"))
    records = [name for name in here if name.endswith(".jsonl")]
    assert len(records) == 4
    assert {name: here[name] for name in records} == {name: there[name] for name in records}
