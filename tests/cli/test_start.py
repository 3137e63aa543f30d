"""Starting: help is there at once, commands load what they need, and mistakes in the command itself are told."""

from __future__ import annotations

import importlib
import socket
from importlib import metadata
from typing import Any

import pytest

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "pandas",
    "matplotlib",
    "scipy",
    "sklearn",
    "openai",
    "aiohttp",
)
LIGHT = ("numpy", "pydantic", "rich", "gymnasium", "pluggy", "emosim_movies", "stable_baselines3")
REPORTS = ("plotly", "jinja2")

PROGRAM = """
import sys
from emosim_core.cli.main import main
banned, arguments = sys.argv[1].split(","), sys.argv[2:]
try:
    main(arguments)
except SystemExit as exited:
    print(f"LEFT {exited.code or 0} LOADED", [name for name in banned if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("arguments", "banned"),
    [
        (("--help",), HEAVY + LIGHT),
        (("--version",), HEAVY + LIGHT),
        (("run", "--help"), HEAVY + LIGHT),
        (("plugins",), (*HEAVY, "emosim_core.simulation.engine", "stable_baselines3")),
        (("run", "--plugin", "movies", "--episodes", "2", "--quiet"), (*HEAVY, "stable_baselines3", "rich")),
        (("run", "--plugin", "movies", "--episodes", "2"), (*HEAVY, "stable_baselines3")),
        (("report", "--help"), HEAVY + LIGHT + REPORTS),
        (("compare", "--help"), HEAVY + LIGHT + REPORTS),
        (("users", "generate", "--plugin", "movies", "--n", "20", "--out", "p.csv"), HEAVY),
    ],
    ids=lambda value: " ".join(value[:2]) if value[0] != "torch" else "",
)
def test_a_command_loads_nothing_that_it_does_not_need(emosim: Any, arguments: Any, banned: Any) -> None:
    emosim.variables["EMOSIM_KERNELS"] = "0"  # numba, which compiles them, loads scipy where that is installed
    printed = emosim.python(PROGRAM, ",".join(banned), *arguments)
    assert printed.splitlines()[-1] == "LEFT 0 LOADED []"


def test_importing_the_public_modules_imports_nothing_else_and_no_plugin(emosim: Any) -> None:
    public = [f"emosim_core.{name}" for name in ("lazy", "llm", "loading", "plugins", "testing")]
    code = """
    import sys
    import emosim_core.llm, emosim_core.loading, emosim_core.plugins, emosim_core.testing
    print(sorted(name for name in sys.modules if name.startswith(("emosim_core.", "emosim_movies", "click"))))
    print([name for name in sys.argv[1].split(",") if name in sys.modules])
    emosim_core.plugins.Component
    print([name for name in sys.argv[1].split(",") if name in sys.modules and name not in ("pydantic", "pluggy")])
    """
    assert emosim.python(code, ",".join(HEAVY + LIGHT)).splitlines() == [str(public), "[]", "[]"]


def test_a_plugin_module_describes_itself_without_loading_anything_heavy(emosim: Any) -> None:
    code = """
    import sys
    from emosim_core.plugins import Registry
    registry = Registry()
    print(any(name.startswith("emosim_movies") for name in sys.modules))
    registry.load("movies")
    print([name for name in sys.argv[1].split(",") if name in sys.modules])
    """
    assert emosim.python(code, ",".join((*HEAVY, "emosim_movies.loaders", "rich"))).splitlines() == ["False", "[]"]


def test_help_names_every_command_and_every_option(quick: Any) -> None:
    output = quick("--help").out
    for command in ("run", "show", "plugins", "users", "items", "embed"):
        assert f"\n  {command} " in output
        assert quick(command, "--help").out.startswith(f"Usage: emosim {command}")
    assert quick("-h").out == output


def test_help_shows_common_options_by_section_and_all_of_them_where_that_is_asked(
    quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    common, everything = quick("run", "--help").out, quick("run", "--help-all").out
    for heading in ("Run options:", "Environment options:", "Language model options:", "General options:"):
        assert f"\n{heading}\n" in common
    for option in ("--plugin", "--users", "--policy", "--max-cost", "--retrieval", "--seed", "--resume", "--json"):
        assert option in common
    for option in ("--embeddings", "--history-length", "--mood.half-life", "--gateway.attempts", "--gateway.max-cost"):
        assert option not in common
        assert option in everything


@pytest.mark.parametrize(
    "command", ["run", "log", "train", "evaluate", "ablate", "validate", "judge", "users generate", "prompt"]
)
def test_help_fits_a_terminal_of_80_columns(quick: Any, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for option in ("--help", "--help-all"):
        assert max(map(len, quick(*command.split(), option).out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("command", "model"),
    [
        ("run", "emosim_core.simulation.config:RunConfig"),
        ("train", "emosim_core.training.config:TrainConfig"),
        ("evaluate", "emosim_core.evaluation.plan:EvaluationConfig"),
        ("ablate", "emosim_core.studies.ablation.grid:AblationConfig"),
        ("validate", "emosim_core.studies.validation.validation:ValidationConfig"),
        ("judge", "emosim_core.studies.believability.believability:BelievabilityConfig"),
    ],
)
def test_every_field_of_a_configuration_is_an_option_with_its_help_and_default(command: str, model: str) -> None:
    from emosim_core.cli.fields import FieldOption
    from emosim_core.cli.main import cli
    from emosim_core.hooks.fields import describe

    module, _, name = model.partition(":")
    click_command: Any = cli.get_command(None, command)  # type: ignore[arg-type]
    options = {one.name: one for one in click_command.params if isinstance(one, FieldOption)}
    decided_by_splits = {"user_split", "user_order"} if command == "evaluate" else set()
    for field in describe(getattr(importlib.import_module(module), name)):
        if field.name in decided_by_splits:
            continue
        option = options[field.name]
        assert option.help == (f"{field.help}  [{field.default}]" if field.default else field.help)
        assert {f"--{one.replace('_', '-')}" for one in (field.name, *field.aliases)} == set(option.opts)
        assert field.help.endswith((".", "...")), field.name


def test_the_version_is_that_of_the_distribution(quick: Any) -> None:
    assert quick("--version").out == f"emosim-core {metadata.version('emosim-core')}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "No such command 'rnu'."),
        (["rnu"], "Did you mean 'run' or 'runs'?"),
        (["plugin"], "Did you mean 'plugins'?"),
        (["--no-plugin", "plugins"], "--no-plugins"),
        (["show", "r", "--epsiode", "3"], "--episode"),
    ],
)
def test_a_mistyped_command_or_option_gets_a_suggestion(quick: Any, arguments: list[str], message: str) -> None:
    assert message in quick(*arguments, status=2).err


def test_a_reader_that_stops_reading_ends_the_command_without_a_word(emosim: Any) -> None:
    process = emosim.start("items", "--plugin", "movies", "--csv")
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=60) == 0
    process.stderr.close()
    assert errors == ""


def test_the_tests_reach_no_network(emosim: Any) -> None:
    with socket.socket() as stream, pytest.raises(RuntimeError, match="tests use no network"):
        stream.connect(("192.0.2.1", 80))
    code = """
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    except RuntimeError as error:
        print(error)
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname()).close()
    print("loopback")
    """
    assert emosim.python(code).splitlines() == ["tests use no network: ('192.0.2.1', 80)", "loopback"]
