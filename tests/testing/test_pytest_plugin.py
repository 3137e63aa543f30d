"""The pytest plugin: in a run of its own, suites are collected, failures say the rule, and fixtures are there."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from emosim_core.testing.command_line import Finished, checked
from emosim_core.testing.network import block_network


def run_pytest(folder: Path, source: str, *arguments: str) -> tuple[int, str]:
    """The status and output of pytest, as a plugin's author runs it."""
    (folder / "test_mine.py").write_text(textwrap.dedent(source))
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-rs", "-v", *arguments, "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_subclass_in_a_plain_test_file_is_collected_and_passes(tmp_path: Path) -> None:
    status, output = run_pytest(
        tmp_path,
        """
        from emosim_core.plugins import Retrieval
        from emosim_core.testing import LLMBackendConformance, PolicyConformance, RetrievalConformance, ScriptedBackend

        class Oldest(Retrieval):
            def retrieve(self, situation):
                return [0] if situation.history else []

        class TestLast(RetrievalConformance):
            component = "last_2"

        class TestOldest(RetrievalConformance):
            def make(self):
                return Oldest()

        class TestReplay(PolicyConformance):
            component = "replay"

        class TestScripted(LLMBackendConformance):
            def make(self):
                return ScriptedBackend(lambda request: "hello")
        """,
    )
    assert status == 0, output
    assert "test_mine.py::TestLast::test_it_repeats_itself PASSED" in output
    assert "test_mine.py::TestOldest::test_a_user_gets_the_same_alone_as_among_others PASSED" in output
    assert "test_mine.py::TestOldest::test_its_description_is_complete SKIPPED" in output
    assert "it needs the option 'file': check it in a test with component = \"replay:file=...\"" in output
    assert "::RetrievalConformance::" not in output
    assert " failed" not in output


def test_a_subclass_that_breaks_a_rule_fails_with_the_message_and_no_more(tmp_path: Path) -> None:
    status, output = run_pytest(
        tmp_path,
        """
        from emosim_core.plugins import Retrieval
        from emosim_core.testing import RetrievalConformance

        class Next(Retrieval):
            def retrieve(self, situation):
                return [len(situation.history)]

        class TestNext(RetrievalConformance):
            def make(self):
                return Next()
        """,
        "-k",
        "within or empty or interactions",
    )
    assert status == 1, output
    assert (
        "emosim_core.testing.contract.BrokenRuleError: The rule 'retrieval-range' is broken: A retrieved pos" in output
    )
    assert "Next.retrieve answered the position 0 in a history of 0" in output
    assert "(The rule is written in docs/hooks/emosim_retrievals.md.)" in output
    assert "def hold(" not in output


def test_the_fixtures_are_not_there_until_the_plugin_is_switched_on(tmp_path: Path) -> None:
    source = "def test_it(no_network): ..."
    status, output = run_pytest(tmp_path, source)
    assert status == 1
    assert "fixture 'no_network' not found" in output
    assert run_pytest(tmp_path, source, "-p", "emosim_core.testing.pytest_plugin")[0] == 0


def test_the_fixtures_are_there_once_a_conftest_switches_the_plugin_on(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["emosim_core.testing.pytest_plugin"]')
    status, output = run_pytest(
        tmp_path,
        """
        import socket
        import pytest

        def test_the_command_line(emosim):
            assert "movies" in emosim("plugins").out
            assert emosim("plugins", "--json").json[0]["name"] == "core"
            assert emosim("plugins", "check", "nobody", status=2).err.startswith("Error: unknown plugin 'nobody'.")
            assert emosim.python("import emosim_core; print(emosim_core.__name__)") == "emosim_core\\n"

        def test_the_command_line_reaches_no_network(emosim):
            with pytest.raises(AssertionError, match="tests use no network"):
                emosim.python("import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)")

        def test_a_site_is_seen(emosim, emosim_site):
            (emosim_site / "mine.py").write_text("VALUE = 7")
            assert emosim.python("import mine; print(mine.VALUE)") == "7\\n"

        def test_variables_are_handed_on(emosim):
            assert "movies" not in [one["name"] for one in emosim("plugins", "--json", EMOSIM_PLUGINS="").json
                                    if one["status"] == "ok"]

        def test_no_network(no_network):
            with socket.socket() as one, pytest.raises(RuntimeError, match="tests use no network"):
                one.connect(("192.0.2.1", 80))
            with socket.socket() as server, socket.socket() as one:
                server.bind(("127.0.0.1", 0))
                server.listen()
                one.connect(server.getsockname())

        def test_sockets_are_given_back():
            assert socket.socket.connect.__qualname__ == "socket.connect"
        """,
    )
    assert status == 0, output
    assert "6 passed" in output


def test_importing_the_plugin_imports_nothing_heavy(emosim: Any) -> None:
    out = emosim.python("import sys, emosim_core.testing.pytest_plugin; print(*sys.modules)").split()
    assert not {"numpy", "pydantic", "gymnasium", "pluggy._manager.emosim"} & set(out)


def test_a_blocked_network_is_given_back_as_it_was() -> None:
    before = socket.socket.connect
    for local in (True, False):
        unblock = block_network(local)
        with socket.socket() as one, pytest.raises(RuntimeError, match=r"tests use no network: \('192.0.2.1', 80\)"):
            one.connect(("192.0.2.1", 80))
        unblock()
        assert socket.socket.connect is before


def test_this_machine_itself_is_refused_only_where_it_is_asked_for() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.socket() as one:
            one.connect(server.getsockname())
        unblock = block_network(local=False)
        with socket.socket() as one, pytest.raises(RuntimeError, match="tests use no network"):
            one.connect_ex(server.getsockname())
        unblock()


@pytest.mark.parametrize(
    ("finished", "status"),
    [
        (Finished(1, "", ""), 0),
        (Finished(0, "", "Traceback (most recent call last)"), 0),
        (Finished(2, "", "no line that says so"), 2),
        (Finished(2, "", "Error: one\nError: two"), 2),
        (Finished(2, "something", "Error: one"), 2),
    ],
)
def test_how_a_command_must_end(finished: Finished, status: int) -> None:
    with pytest.raises(AssertionError):
        checked(finished, status)


def test_a_command_that_ends_well() -> None:
    assert checked(Finished(2, "", "Warning: x\nError: one"), 2).output == "Warning: x\nError: one"
    assert checked(Finished(0, "[1]", ""), 0).json == [1]
