"""``emosim plugins check``: a report of a plugin and all it provides, in words, as JSON and as an exit status."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from emosim_core import PluginError, UnknownNameError
from emosim_core.hooks.component import KINDS
from emosim_core.plugins import BrokenPluginError
from emosim_core.testing import BrokenRuleError, check_plugin
from emosim_core.testing.check import HEAVY, SUITES
from emosim_core.testing.contract import RULES

HEAD = """
from pydantic import BaseModel, ConfigDict, Field
from emosim_core.llm import ChatAnswer, LLMBackend
from emosim_core.plugins import Component, Retrieval, hookimpl
EMOSIM_HOOK_VERSION = 1

class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    model: str = Field(description="Which model.")

class Oldest(Retrieval):
    def retrieve(self, situation):
        return [{position}] if situation.history else []

class Asked(LLMBackend):
    identity = "asked"

    def __init__(self, options=None):
        pass

    async def answer(self, request):
        raise SystemExit("it was asked")
"""

OLDEST = """
@hookimpl
def emosim_retrievals():
    yield Component("x_oldest", "The oldest.", "emosim_odd:Oldest")
"""

BACKEND = """
@hookimpl
def emosim_llm_backends():
    yield Component("x_plain", "Asks.", "emosim_odd:Asked")
    yield Component("x_model", "Asks.", "emosim_odd:Asked", options="emosim_odd:Options", value="model")
"""

RIGHT, WRONG = HEAD.replace("{position}", "0") + OLDEST, HEAD.replace("{position}", "len(situation.history)") + OLDEST


def test_each_kind_has_a_suite() -> None:
    assert set(SUITES) == set(KINDS)


def test_a_right_plugin_passes_and_everything_is_reported(quick: Any, installed: Any) -> None:
    installed("odd", RIGHT)
    done = quick("plugins", "check", "odd")
    lines = done.out.splitlines()
    assert lines[0] == "plugin 'odd' (emosim-odd 1.2)"
    assert lines[1:4] == [
        "  ok      importing it imports nothing heavy [plugin-loads, plugin-light]",
        "  ok      no other plugin provides its names [plugin-names]",
        "  ok      it implements a hook [plugin-loads]",
    ]
    assert lines[4] == "retrieval strategy x_oldest"
    assert any(line.startswith("  ok      a user gets the same alone as among others [") for line in lines)
    assert lines[-1] == f"{len(lines) - 3} checks passed, 0 failed, 0 skipped"
    assert done.err == ""


def test_a_broken_rule_is_reported_and_the_status_is_1(quick: Any, installed: Any) -> None:
    installed("odd", WRONG)
    out = quick("plugins", "check", "odd", status=1).out
    assert re.search(r"\n  failed  it answers positions within each history \[.*\bretrieval-range.*\]\n", out)
    assert out.count("The rule 'retrieval-range' is broken: ") == 1
    assert RULES["retrieval-range"].text in out
    assert "docs/hooks/emosim_retrievals.md" in out
    assert " failed, 0 skipped" in out.splitlines()[-1]


def test_one_fault_that_many_checks_meet_is_told_once(quick: Any, installed: Any) -> None:
    installed("odd", RIGHT.replace('"emosim_odd:Oldest"', '"emosim_odd:Gone"'))
    out = quick("plugins", "check", "odd", status=1).out
    assert out.count("cannot be made: AttributeError: module 'emosim_odd' has no attribute 'Gone'\n") == 1
    assert out.count("          the same error as in 'a history without interactions gives nothing'\n") == 5


def test_an_error_of_the_plugins_code_is_reported_with_its_place(quick: Any, installed: Any) -> None:
    installed("odd", RIGHT.replace("return [0] if situation.history else []", "return {}[situation.user.name]"))
    out = quick("plugins", "check", "odd", status=1).out
    line = RIGHT[: RIGHT.index("return [0]")].count("\n") + 1
    assert re.search(rf"raised KeyError: [^(]+ \(__init__\.py, line {line}\)\. \(The rule", out)


def test_an_error_of_a_factory_is_reported_with_its_place(quick: Any, installed: Any) -> None:
    installed("odd", RIGHT.replace("    def retrieve", "    def __init__(self):\n        1 / 0\n\n    def retrieve"))
    out = quick("plugins", "check", "odd", status=1).out
    assert re.search(r"cannot be made: ZeroDivisionError: division by zero \(__init__\.py, line \d+\)", out)


@pytest.mark.parametrize("end", [".", "?", "!"])
def test_a_message_that_is_a_sentence_gets_no_second_stop(end: str) -> None:
    assert f" Found: it is{end} (The rule" in str(BrokenRuleError("plugin-names", f"it is{end}."))


def test_a_plugin_without_a_hook_fails(quick: Any, installed: Any) -> None:
    installed("odd", HEAD)
    out = quick("plugins", "check", "odd", status=1).out
    assert "  failed  it implements a hook [plugin-loads]\n" in out
    assert "Found: the module emosim_odd has no function marked with @hookimpl. (The rule" in out


def test_a_backend_that_implements_no_form_fails_though_it_is_not_called(quick: Any, installed: Any) -> None:
    installed("odd", HEAD.replace("def answer", "def anwser") + BACKEND)
    out = quick("plugins", "check", "odd", status=1).out
    assert "Found: Asked implements neither answer nor answer_batch, but anwser. (The rule" in out


@pytest.mark.parametrize("misspelt", ['value="modle"', 'number="modle"', 'preset={"modle": "x"}'])
def test_a_component_that_names_an_option_that_is_none_fails(quick: Any, installed: Any, misspelt: str) -> None:
    installed("odd", HEAD + BACKEND.replace('value="model"', misspelt))
    out = quick("plugins", "check", "odd", status=1).out
    assert "The rule 'plugin-options' is broken" in out
    assert "Found: no option 'modle'. Did you mean 'model'? (The rule" in out


def test_json_says_the_same_and_nothing_else(quick: Any, installed: Any) -> None:
    for source, status in ((RIGHT, 0), (WRONG, 1)):
        name = "odd" if status == 0 else "wrong"
        installed(name, source.replace("emosim_odd", f"emosim_{name}").replace("x_oldest", f"x_{name}"))
        done = quick("plugins", "check", name, "--json", status=status)
        report = json.loads(done.out)
        assert set(report) == {"plugin", "reports", "ok", "failed", "skipped"}
        assert report["plugin"] == name
        assert [one["subject"] for one in report["reports"]] == [
            f"plugin '{name}' (emosim-{name} 1.2)",
            f"retrieval strategy x_{name}",
        ]
        checks = [check for one in report["reports"] for check in one["checks"]]
        for check in checks:
            assert set(check) == {"check", "rules", "status", "message"}
            assert set(check["rules"]) <= set(RULES)
            assert bool(check["message"]) == (check["status"] != "ok")
        for outcome in ("ok", "failed", "skipped"):
            assert report[outcome] == sum(check["status"] == outcome for check in checks)
        assert bool(report["failed"]) == (status == 1)
        assert done.err == ""


def test_a_component_that_needs_an_option_is_said_so_and_a_backend_is_not_asked(quick: Any, installed: Any) -> None:
    installed("odd", HEAD + BACKEND)
    out = quick("plugins", "check", "odd").out
    assert "\nlanguage-model backend x_plain\n" in out
    assert "it is not called here; subclass LLMBackendConformance in a test" in out
    of_model = out.partition("language-model backend x_model:MODEL\n")[2]
    assert "it needs the option 'model': check it in a test with component = \"x_model:model=...\"" in of_model
    assert "  ok      its description is complete [plugin-names, plugin-options]\n" in of_model


def test_an_unknown_a_broken_or_a_blocked_plugin_has_the_status_2(
    quick: Any, installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("boom", "raise RuntimeError('no luck')")
    installed("future", "EMOSIM_HOOK_VERSION = 99")
    message = quick("plugins", "check", "movie", status=2).err
    assert message.startswith("Error: unknown plugin 'movie'. Did you mean 'movies'? Known: ")
    assert ", core, " in message
    message = quick("plugins", "check", "boom", status=2).err
    assert (
        message
        == "Error: plugin 'boom' (emosim-boom 1.2) is broken: importing emosim_boom raised RuntimeError: no luck "
        "(__init__.py, line 1)\n"
    )
    assert " is incompatible: it was built for version 99" in quick("plugins", "check", "future", status=2).err
    assert " is blocked: not named in EMOSIM_PLUGINS" in quick("--no-plugins", "plugins", "check", "boom", status=2).err
    assert "plugin 'movies' " in quick("--no-plugins", "plugins", "check", "movies", status=2).err
    monkeypatch.setenv("EMOSIM_PLUGINS", "books")
    assert " is blocked: not named in EMOSIM_PLUGINS" in quick("plugins", "check", "movies", status=2).err
    assert quick("plugins", "check", "--josn", "movies", status=2).out == ""


def test_check_plugin_raises_what_the_command_words(installed: Any) -> None:
    installed("boom", "raise RuntimeError('no luck')")
    with pytest.raises(UnknownNameError):
        list(check_plugin("nobody"))
    with pytest.raises(BrokenPluginError) as caught:
        next(check_plugin("boom"))
    assert isinstance(caught.value, PluginError)


def test_a_plugin_that_was_installed_meanwhile_is_found(installed: Any, install: Any) -> None:
    installed("odd", RIGHT)
    assert len(list(check_plugin("odd"))) == 2
    install("later", RIGHT.replace("emosim_odd", "emosim_later").replace("x_oldest", "x_later"))
    assert [report.subject for report in check_plugin("later")][1:] == ["retrieval strategy x_later"]


def test_what_is_heavy_is_named(installed: Any) -> None:
    installed("odd", "import scipy.linalg\n" + RIGHT)
    light, alone, _ = next(check_plugin("odd")).outcomes
    assert isinstance(light.error, BrokenRuleError)
    assert light.error.rule == "plugin-light"
    assert "Found: scipy." in str(light.error)
    assert alone.error is None
    assert set(HEAVY) > {"scipy", "torch"}


def test_a_plugin_is_imported_from_wherever_this_process_finds_it(
    installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    installed("odd", RIGHT)
    assert [outcome.error for outcome in next(check_plugin("odd")).outcomes] == [None] * 3


def test_names_of_two_plugins_are_reported_of_both(installed: Any) -> None:
    installed("odd", RIGHT)
    installed("other", RIGHT.replace("x_oldest", "last_3"))
    message = str(next(check_plugin("other")).outcomes[1].error)
    assert "retrieval strategy 'last_3' is provided by plugin 'core' (emosim-core" in message
    assert next(check_plugin("odd")).outcomes[1].error is None


@pytest.mark.parametrize("name", ["core", "movies", "books"])
def test_what_this_project_brings_passes(emosim: Any, quick: Any, name: str) -> None:
    command = emosim if name == "movies" else quick  # one of them as a user calls it
    report = command("plugins", "check", name, "--json").json
    assert report["failed"] == 0
    assert report["ok"] > 40
    for one in report["reports"]:
        for check in one["checks"]:
            allowed = (
                "it needs the option",
                "it reads no file",
                "it brings no embeddings",
                "not called here",
                "it needs no key",
            )
            assert check["status"] == "ok" or any(words in check["message"] for words in allowed), check
