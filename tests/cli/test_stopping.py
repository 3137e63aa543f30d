"""SIGTERM, SIGHUP and a terminal that is closed end a command as Ctrl-C does; workers end with their parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emosim_core.testing import Answer, ChatServer

MARK = "EMOSIM_TEST_MARK"

ABLATE = (
    "ablate", "--plugin", "movies", "--study", "sampling:pairs=4000,high_rating", "--num-seeds", "16",
    "--executor", "processes:2", "--out", "a", "--quiet",
)  # fmt: skip
RUN = ("run", "--plugin", "movies", "--episodes", "3000", "--out", "r")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


def marked(mark: str) -> list[int]:
    process_ids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}\0".encode() in (folder / "environ").read_bytes():
                process_ids.append(int(folder.name))
        except OSError:
            continue
    return process_ids


def waited_for(what: Callable[[], Any], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def in_terminal(emosim: Any, *arguments: str) -> tuple[int, int]:
    """Start a command in a terminal of its own; its process and the terminal's other end."""
    import pty

    environment = emosim.environment()
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(emosim.folder)
        os.execve(sys.executable, [sys.executable, "-m", "emosim_core", *arguments], environment)
    return process, terminal


def signalled(program: Path, first: str, number: signal.Signals) -> tuple[int, str, str]:
    """Send a signal to a program after its first line; its exit status, the rest of its output, and its errors."""
    with subprocess.Popen([sys.executable, program], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == first
        process.send_signal(number)
        out, error = process.communicate(timeout=15)
    return process.returncode, out, error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_where_nothing_can_be_raised_ends_a_command_all_the_same(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "program.py").write_text(
        "import sys, time\n"
        "from emosim_core.cli.stopping import heeding_signals\n"
        "class Closing:\n"
        "    def __del__(self):\n"
        "        print('closing', flush=True)\n"
        "        time.sleep(20)\n"
        "@heeding_signals\n"
        "def main():\n"
        "    try:\n"
        "        Closing()\n"
        "        print('not stopped', flush=True)\n"
        "        time.sleep(20)\n"
        "    except KeyboardInterrupt:\n"
        "        sys.exit(130)\n"
        "main()\n"
    )
    status, out, error = signalled(tmp_path / "program.py", "closing\n", number)
    assert (out, error) == ("not stopped\n", "")  # it went on at first, and was stopped then
    assert status == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_that_a_library_makes_another_error_of_is_no_traceback(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "program.py").write_text(
        "import time\n"
        "from emosim_core.cli import main\n"
        "def interrupted_in_a_library(**options):\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(20)\n"
        "    except KeyboardInterrupt:\n"
        "        raise ValueError('as pydantic does while it makes a model') from None\n"
        "main.cli.main = interrupted_in_a_library\n"
        "main.main([])\n"
    )
    status, _, error = signalled(tmp_path / "program.py", "begun\n", number)
    assert error == "Interrupted.\n"
    assert status == 128 + number


STOPPED = """
import os, signal, time
from emosim_core.plugins import Component, ItemLoader, Policy, Rater, hookimpl
EMOSIM_HOOK_VERSION = 1
count = 0

def in_a_library(*arguments):
    global count
    count += 1
    if count < {calls}:
        return 0
    try:
        os.kill(os.getpid(), signal.{number})
        time.sleep(20)
    except KeyboardInterrupt as error:
        raise SystemError("returned a result with an exception set") from {cause}

{body}
"""

COMPONENT = """
@hookimpl
def emosim_{hook}():
    yield Component("x_odd", "s", "emosim_odd:Odd", domain={domain})
"""


@pytest.mark.parametrize("cause", ["error", "None"])
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    ("body", "options"),
    [
        (
            "class Odd(Rater):\n    def rate(self, situation, rng):\n        return 5 + in_a_library()\n"
            + COMPONENT.format(hook="raters", domain=None),
            ("--rater", "x_odd"),
        ),
        (
            "class Odd(Policy):\n    def recommend(self, observation, rng):\n        return [in_a_library()]\n"
            + COMPONENT.format(hook="policies", domain=None),
            ("--policy", "x_odd"),
        ),
        ("@hookimpl\ndef emosim_episode_ended(episode):\n    in_a_library()\n", ()),
    ],
    ids=["rater", "policy", "observer"],
)
def test_a_signal_that_became_an_error_in_a_component_is_an_interruption_to_be_resumed(
    emosim: Any, install: Any, body: str, options: tuple[str, ...], number: str, cause: str
) -> None:
    install("odd", STOPPED.format(calls=3, number=number, cause=cause, body=body))
    result = emosim("run", "--plugin", "movies", "--episodes", "8", "--num-envs", "1", "--max-steps", "4", "--quiet",
                    "--out", "r", *options, status=128 + getattr(signal, number))  # fmt: skip
    assert result.err == "\nInterrupted. Progress is saved in r; continue with:\n  emosim run --resume r\n"


def test_a_signal_that_became_an_error_while_items_are_loaded_is_an_interruption(emosim: Any, install: Any) -> None:
    body = "class Odd(ItemLoader):\n    def load(self):\n        in_a_library()\n"
    body += COMPONENT.format(hook="item_loaders", domain="'movies'")
    install("odd", STOPPED.format(calls=1, number="SIGINT", cause="error", body=body))
    result = emosim("run", "--plugin", "movies", "--items", "x_odd", "--quiet", "--out", "r", status=130)
    assert result.err == "\nInterrupted. Nothing was started; run the same command again.\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_workers_of_an_ablation_end_with_it(emosim: Any, number: signal.Signals) -> None:
    mark = f"{os.getpid()}-{number}"
    emosim.variables[MARK] = mark
    process = emosim.start(*ABLATE)
    waited_for(lambda: len(marked(mark)) >= 4 or list(emosim.folder.glob("a/jobs/*/job.json")))
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    # A worker that is still starting when its parent is killed learns of it from Python itself.
    assert "Traceback" not in errors or (number == signal.SIGKILL and "in spawn_main" in errors)
    waited_for(lambda: not marked(mark), 15)
    if number != signal.SIGKILL:
        assert "emosim ablate --resume a" in errors or "run the same command again" in errors


def test_an_ablation_ends_while_one_worker_has_nothing_left_to_do(emosim: Any) -> None:
    mark = f"{os.getpid()}-idle"
    emosim.variables[MARK] = mark
    study = "sampling:pairs=100000,high_rating:items=1"
    process = emosim.start(
        "ablate", "--plugin", "movies", "--study", study, "--executor", "processes:2", "--out", "a", "--quiet"
    )
    waited_for(lambda: list(emosim.folder.glob("a/jobs/*/job.json")))
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    try:
        errors = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "Traceback" not in errors
    waited_for(lambda: not marked(mark), 15)


HALF_STARTED = """
import os, signal, sys, time
from multiprocessing import popen_spawn_posix
from emosim_core.cli.main import main

start = popen_spawn_posix.util.spawnv_passfds

def start_and_signal(path, arguments, descriptors):
    process = start(path, arguments, descriptors)
    if b"spawn_main" in b" ".join(map(os.fsencode, arguments)):
        time.sleep(0.3)
        os.kill(os.getpid() * (-1 if sys.argv[2] == "all" else 1), int(sys.argv[1]))
    return process

popen_spawn_posix.util.spawnv_passfds = start_and_signal
main(sys.argv[3:])
"""


@pytest.mark.parametrize(
    ("number", "whom"), [(signal.SIGINT, "all"), (signal.SIGTERM, "parent"), (signal.SIGHUP, "all")]
)
def test_a_signal_between_the_start_of_a_worker_and_its_first_words_ends_all_quietly(
    emosim: Any, number: signal.Signals, whom: str
) -> None:
    mark = f"{os.getpid()}-half-{number}"
    emosim.variables[MARK] = mark
    process = subprocess.Popen(
        [sys.executable, "-c", HALF_STARTED, str(int(number)), whom, *ABLATE],
        cwd=emosim.folder,
        env=emosim.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert errors == "\nInterrupted. Nothing was started; run the same command again.\n"
    waited_for(lambda: not marked(mark), 15)


WHILE_A_CLASS_IS_MADE = """
import dataclasses, os, signal, sys
from emosim_core.cli.main import main

create = dataclasses._create_fn

def create_and_signal(*arguments, **more):
    if os.environ.pop("EMOSIM_TEST_ONCE", None):
        exec("import os, sys, time; os.kill(os.getpid(), int(sys.argv[1])); time.sleep(1)")
    return create(*arguments, **more)

dataclasses._create_fn = create_and_signal
main(sys.argv[2:])
"""


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="dataclasses are made otherwise")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_an_import_gives_its_own_status(emosim: Any, number: signal.Signals) -> None:
    (emosim.folder / "begun.py").write_text(WHILE_A_CLASS_IS_MADE)
    done = subprocess.run(
        [sys.executable, "-m", "begun", str(int(number)), *RUN],
        cwd=emosim.folder,
        env={**emosim.environment(), "EMOSIM_TEST_ONCE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 128 + number, done.stderr
    assert done.stderr == "\nInterrupted.\n"


@pytest.mark.parametrize("command", ["run", "ablate"])
def test_a_terminal_that_is_closed_ends_a_command_and_leaves_it_to_be_resumed(emosim: Any, command: str) -> None:
    mark = f"{os.getpid()}-{command}"
    emosim.variables[MARK] = mark
    process, terminal = in_terminal(emosim, *(RUN if command == "run" else ABLATE))
    begun = emosim.folder / ("r/interactions.jsonl" if command == "run" else "a/manifest.json")
    os.set_blocking(terminal, False)

    def going() -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(terminal, 65536)
        return begun.exists() and (command == "ablate" or begun.stat().st_size > 20_000)

    waited_for(going)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 128 + signal.SIGHUP
    waited_for(lambda: not marked(mark), 15)
    folder = emosim.folder / begun.relative_to(emosim.folder).parts[0]
    assert not list(folder.rglob(".*")) or not folder.exists()


def test_under_nohup_a_terminal_that_is_closed_ends_nothing(emosim: Any) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "emosim_core", "run", "--plugin", "movies", "--episodes", "60", "--quiet", "--out", "r"],
        cwd=emosim.folder,
        env=emosim.environment(),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    waited_for((emosim.folder / "r" / "interactions.jsonl").exists)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0


def test_a_command_that_asks_a_language_model_keeps_what_is_under_way(emosim: Any) -> None:
    with ChatServer(lambda request: Answer("7", delay=0.4)) as server:
        emosim.variables.update({"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url})
        options = ("--users", "sampled:n=4", "--episodes", "4", "--max-steps", "3", "--llm-model", "deepseek-chat")
        process = emosim.start("run", "--plugin", "movies", *options, "--concurrency", "4", "--out", "r", "--quiet")
        waited_for(lambda: len(server.calls) >= 6)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == 128 + signal.SIGTERM
        assert "emosim run --resume r" in errors
        emosim("run", "--resume", "r", "--quiet")
    prompts = [call.body["messages"][-1]["content"] for call in server.calls if call.body]
    assert len(prompts) == len(set(prompts))
