"""``emosim report``: the page and the charts, and its messages about mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("equal_charts_drawn_once")


@pytest.fixture
def run(quick: Any, tmp_path: Path) -> Path:
    quick("run", "--plugin", "movies", "--episodes", "4", "--max-steps", "6", "--out", "r", "--quiet")
    return tmp_path / "r"


def test_it_writes_the_page_beside_the_run_and_says_where(quick: Any) -> None:
    quick("run", "--plugin", "movies", "--episodes", "2", "--max-steps", "5", "--out", "r", "--quiet")
    done = quick("report", "r")
    assert done.err == ""
    assert "Written to r/report.html" in done.out
    assert "needs no network" in done.out
    text = (quick.folder / "r" / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "Movies: a run of 2 episodes" in text


def test_out_charts_and_quiet(quick: Any, run: Path, tmp_path: Path) -> None:
    done = quick("report", run, "--out", "pages/one.html", "--charts", "figures", "--quiet")
    assert done.out == "pages/one.html\n"
    assert (tmp_path / "pages" / "one.html").exists()
    assert not (run / "report.html").exists()
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"ratings.png", "ratings.svg", "moods.png", "heat.svg"} <= names


def test_a_second_report_takes_the_place_of_the_first(quick: Any, run: Path) -> None:
    quick("report", run)
    first = (run / "report.html").read_bytes()
    quick("report", run)
    assert (run / "report.html").read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none",), "none is no directory"),
        (("empty",), "empty holds nothing to report"),
        (("r", "--prompts"), "r has no transcript.jsonl"),
        (("r", "--out", "r/manifest.json/x"), "cannot be written"),
        (("r", "--charts", "r/manifest.json"), "cannot be written"),
    ],
)
def test_mistakes_are_said_in_one_line_and_leave_nothing(
    quick: Any, run: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    before = sorted(path.name for path in run.iterdir())
    assert message in quick("report", *arguments, status=2).err
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.mark.parametrize("missing", ["plotly", "jinja2", "matplotlib"])
def test_a_library_that_is_missing_is_named_with_the_extra(emosim: Any, quick: Any, site: Path, missing: str) -> None:
    quick("run", "--plugin", "movies", "--episodes", "1", "--max-steps", "3", "--out", "r", "--quiet")
    (site / f"{missing}.py").write_text(f"raise ModuleNotFoundError('no {missing}', name={missing!r})\n")
    message = emosim("report", "r", "--charts", "f", status=2).err
    assert repr(missing) in message
    assert 'pip install "emosim-core[report]"' in message
    assert not (emosim.folder / "r" / "report.html").exists()
