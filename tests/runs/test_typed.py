"""Commands that messages suggest are read back by a shell as they are meant."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emosim_core.runs.job import JobDirectory
from emosim_core.runs.typed import typed
from emosim_core.terminal import clean
from emosim_core.testing import Emosim

_BASH = shutil.which("bash")

_NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)


@pytest.mark.skipif(_BASH is None, reason="needs bash")
@settings(max_examples=60, deadline=None)
@given(st.lists(_NAMES, min_size=1, max_size=5))
@example(["with space", "it's", "$HOME", "-dash", "new\nline"])
@example(["\x1b[2J", "\u202ex'\\", "`id`"])
def test_a_shell_reads_back_what_was_given(names: list[str]) -> None:
    shown = clean(typed(*map(Path, names)))
    assert "\n" not in shown
    line = shown.removeprefix("emosim ")
    read = subprocess.run([str(_BASH), "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
    expected = [f"./{name}" if name.startswith("-") else name for name in names]
    assert read.decode().split("\0")[:-1] == expected


def test_the_command_that_goes_on_holds_a_folder_with_a_space(tmp_path: Path) -> None:
    place = tmp_path / "my runs" / "it's"
    job = JobDirectory(place, "run")
    job.claim()
    (job.path / "manifest.json").write_text("{}")
    job.release()
    assert shlex.split(job.resume_hint().splitlines()[-1]) == ["emosim", "run", "--resume", str(place)]


def test_what_a_run_says_next_works_in_a_folder_with_a_space(quick: Emosim, tmp_path: Path) -> None:
    done = quick("run", "--plugin", "movies", "--episodes", "1", "--out", str(tmp_path / "my run"))
    line = done.out.strip().splitlines()[-1]
    words = shlex.split(line.partition("emosim ")[2])
    assert "step" in quick(*words).out.lower()
