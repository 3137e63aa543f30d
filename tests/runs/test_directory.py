"""The directory of a run: lines are appended, and on resuming compared with those that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emosim_core import RunError
from emosim_core.runs.directory import RunDirectory

LINES = [b'{"step":1}\n', b'{"step":2}\n', b'{"step":3}\n']


def begun(path: Path, content: bytes) -> RunDirectory:
    """A run that is resumed, of which these bytes were written."""
    path.mkdir()
    (path / "manifest.json").write_text("{}", encoding="utf-8")
    (path / "interactions.jsonl").write_bytes(content)
    return RunDirectory(path, resume=True)


def test_lines_are_written_as_they_come_and_the_summary_last(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "r")
    directory.write(LINES[:1])
    assert (tmp_path / "r" / "interactions.jsonl").read_bytes() == LINES[0]
    directory.write(LINES[1:])
    directory.finish({"complete": True})
    directory.job.release()
    assert (tmp_path / "r" / "interactions.jsonl").read_bytes() == b"".join(LINES)
    assert json.loads((tmp_path / "r" / "summary.json").read_text(encoding="utf-8")) == {"complete": True}


@pytest.mark.parametrize("cut", [0, 5, len(LINES[0]), len(LINES[0]) + 3, 2 * len(LINES[0])])
def test_a_resumed_run_goes_on_after_its_last_whole_line(tmp_path: Path, cut: int) -> None:
    directory = begun(tmp_path / "r", b"".join(LINES)[:cut])
    for line in LINES:
        directory.write([line])
    directory.finish({"complete": True})
    directory.job.release()
    assert (tmp_path / "r" / "interactions.jsonl").read_bytes() == b"".join(LINES)


def test_a_line_that_is_simulated_differently_is_an_error_that_names_it(tmp_path: Path) -> None:
    directory = begun(tmp_path / "r", LINES[0] + b'{"step":7}\n')
    with pytest.raises(RunError, match=r"interactions\.jsonl, line 2: simulating it again gives another step"):
        directory.write(LINES)
    directory.abandon()
    assert (tmp_path / "r" / "interactions.jsonl").read_bytes() == LINES[0] + b'{"step":7}\n'


def test_a_line_beyond_the_end_of_the_run_is_an_error_and_no_summary_is_written(tmp_path: Path) -> None:
    directory = begun(tmp_path / "r", b"".join(LINES))
    directory.write(LINES[:2])
    with pytest.raises(RunError, match=r"interactions\.jsonl, line 3: the run ends before this line"):
        directory.finish({"complete": True})
    directory.job.release()
    assert not (tmp_path / "r" / "summary.json").exists()


def test_a_run_that_was_stopped_early_keeps_lines_beyond_what_was_simulated_again(tmp_path: Path) -> None:
    directory = begun(tmp_path / "r", b"".join(LINES))
    directory.write(LINES[:1])
    directory.finish({"complete": False})
    directory.job.release()
    assert (tmp_path / "r" / "interactions.jsonl").read_bytes() == b"".join(LINES)


def test_a_run_that_took_no_step_leaves_nothing(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "r")
    (tmp_path / "r" / "manifest.json").write_text("{}", encoding="utf-8")
    directory.abandon()
    assert not (tmp_path / "r").exists()
