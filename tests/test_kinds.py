"""The one table of what directories hold: each command that goes on is there, and each kind can be listed and shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emosim_core.cli.main import cli
from emosim_core.kinds import DISTILLATION, KINDS, RUN, Kind, kinds_of, made_by
from emosim_core.reports.directories import _HEADLINES, JobInfo, resume_command
from emosim_core.reports.make import _MAKERS
from emosim_core.runs.records import newest_of


def test_each_command_that_goes_on_is_in_the_table_and_no_other() -> None:
    context = cli.make_context("emosim", [], resilient_parsing=True)
    going = {
        name
        for name in cli.list_commands(context)
        if name != "log"  # another name of run
        and (command := cli.get_command(context, name)) is not None
        and any(option.name == "resume" for option in command.params)
    }
    assert going == {kind.command for kind in KINDS.values() if kind.command}
    assert all(made_by(command) for command in going)


def test_each_kind_has_a_headline_a_report_and_a_command_that_goes_on(tmp_path: Path) -> None:
    assert _HEADLINES.keys() == KINDS.keys()
    assert _MAKERS.keys() | {RUN, DISTILLATION} == KINDS.keys()
    for kind in KINDS.values():
        command = resume_command(JobInfo(tmp_path, kind.name, "", "stopped", ""), Path("out"))
        assert command.startswith(f"emosim {kind.command} ") == bool(kind.command)
        assert command.endswith(" --resume out") == bool(kind.command)


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.command], ids=lambda kind: kind.name)
def test_the_newest_of_each_command_is_found(tmp_path: Path, kind: Kind) -> None:
    for number, one in enumerate(KINDS.values()):
        content = {"config": {one.option: "x"}} if one.option else {"kind": one.name, "config": {}}
        (tmp_path / one.name).mkdir()
        path = tmp_path / one.name / one.about
        path.write_text(json.dumps(content))
        os.utime(path, (1e9 + number,) * 2)
    assert newest_of(tmp_path, kind.command) == tmp_path / kinds_of(kind.command)[-1].name


def test_the_list_imports_nothing_that_simulates() -> None:
    code = "import sys, emosim_core.view.jobs; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = ("gymnasium", "pyarrow", "torch", "pandas", "matplotlib", "plotly", "jinja2", "emosim_core.simulation")
    assert "emosim_core.reports.directories" in loaded
    assert not loaded.intersection(heavy)
