"""``emosim plugins new`` with tables: the plugin works untouched, a terminal is asked, and nothing is half-written."""

from __future__ import annotations

import csv
import os
import pty
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from emosim_core.testing import Emosim

AWKWARD = [
    [
        "App ID",
        "Name",
        "Genre(s)",
        "Release Date",
        "About",
        "class",
        "json",
        "is_free",
        "Price €",
        "part",
        "id",
        "empty",
    ],
    *(
        [
            f"{number:05d}",
            f'"{number}" {{who}} $item\n${{x}}' if number % 7 == 0 else f"Game {number}",
            ";".join(("Strategy", "Role-Playing", "Puzzle & Logic", "Sim [a] {who}")[number % 3 : number % 3 + 2]),
            f"{number % 28 + 1} May, {1995 + number % 20}",
            f'A text with "quotes", commas,\nlines and $dollars about number {number}, which goes on and on and on.',
            "ABC"[number % 3],
            number % 9,
            ("yes", "no")[number % 2],
            number / 4,
            ("one", "two")[number % 2],
            "xyz"[number % 3],
            "",
        ]
        for number in range(1, 61)
    ),
]
"""Names that Python, pydantic, TOML, Markdown or a template might take for their own."""


def log_rows(users: int = 40) -> list[list[object]]:
    rows: list[list[object]] = [["gamer", "app", "hours", "verdict", "when"]]
    random = Random(1)
    for user in range(users):
        for place in range(20):
            game = (user * 7 + place * 3) % 63 + 1
            rating = min(10, max(2, round(random.gauss(6 + user % 3 - game % 4, 1.5))))
            rows.append([f"g{user}", game, game * place, rating, 1_500_000_000 + 86_400 * (20 * user + place)])
    return rows


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with games.csv and ratings.csv."""
    for name, rows in (("games.csv", AWKWARD), ("ratings.csv", log_rows())):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)
    return tmp_path


NAMED = ("--columns", "user=gamer,item=app")
GAMES = ("plugins", "new", "games", "--items", "games.csv", "--ratings", "ratings.csv")


# ------------------------------------------------------------------------------- what it writes works


@pytest.mark.slow
def test_a_domain_of_awkward_tables_installs_runs_validates_and_passes_its_tests(emosim: Emosim, tables: Path) -> None:
    lines = emosim(*GAMES, "--yes", timeout=300).out.splitlines()
    assert [line.strip() for line in lines[-5:]] == [
        "pip install -e './emosim-games[test]'",
        "emosim run --plugin games",
        "emosim run --plugin games --users fitted:emosim-games/emosim_games/data/people",
        "emosim validate --plugin games --ratings sample",
        "pytest emosim-games",
    ]
    folder = emosim.folder / "emosim-games"
    install = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", str(emosim.site), str(folder)]
    subprocess.run([sys.executable, "-m", *install], check=True, timeout=120)
    quickly = ("--embeddings", "lexical", "--json")
    summary = emosim("run", "--plugin", "games", "--episodes", "3", *quickly, timeout=180).json
    assert (summary["complete"], summary["scale"]) == (True, "1-10")
    newer = ("--items", "csv:games.csv", "--episodes", "1", *quickly)
    again = emosim("run", "--plugin", "games", *newer, timeout=180).json
    assert again["complete"]
    people = folder / "emosim_games" / "data" / "people"
    learned = ("--users", f"fitted:{people}", "--episodes", "3", *quickly)
    fitted = emosim("run", "--plugin", "games", *learned, timeout=180).json
    assert fitted["complete"]
    assert fitted["answered_by"].startswith("fitted")
    few = ("--max-users", "12", "--out", "validation", *quickly)
    measured = emosim("validate", "--plugin", "games", "--ratings", "sample", *few, timeout=180).json
    assert measured["users"] > 0
    assert emosim("plugins", "check", "games", "--json", timeout=120).json["failed"] == 0
    command = ["pytest", str(folder), "--basetemp", str(emosim.folder / "inner"), "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=emosim.folder,
        env=emosim.environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert re.search(r"\d+ passed", done.stdout), done.stdout
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("fit", ["--fit", "--no-fit"])
def test_what_is_written_is_well_kept(quick: Any, tables: Path, monkeypatch: pytest.MonkeyPatch, fit: str) -> None:
    monkeypatch.setattr("emosim_core.scaffold.people._FIT", "")
    quick(*GAMES, "--yes", "--out", "made", fit)
    assert (tables / "made" / "tests" / "test_people.py").is_file() == (fit == "--fit")
    for command in (["check", "--extend-select", "E,I,B,UP,SIM,RUF,C4,PIE,PT,TID"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."],
            cwd=tables / "made",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout
    text = (tables / "made" / "README.md").read_text(encoding="utf-8")
    assert all(len(line) <= 120 or line.startswith(("|", "emosim ")) for line in text.splitlines())
    assert "--columns user=gamer,item=app,rating=verdict,time=when" in text
    assert "${" not in text


# ----------------------------------------------------------------------------------------- what it asks


def test_what_is_guessed_is_shown_before_anything_is_written(quick: Any, tables: Path) -> None:
    finished = quick(*GAMES, status=2)
    assert re.search(r"Genre\(s\) +categories, 4 different", finished.err)
    assert re.search(r"verdict +rating", finished.err)
    assert "Scale: 1 to 10 in steps of 1" in finished.err
    assert "\nError: nobody is there to say whether this is right; add --yes" in finished.err
    assert sorted(path.name for path in tables.iterdir()) == ["games.csv", "ratings.csv"]


class Terminal:
    """A command in a terminal, to which is typed what it waits for."""

    def __init__(self, emosim: Emosim, *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "emosim_core", *arguments]
        env = emosim.environment(TERM="xterm", COLUMNS="160")
        self.process = subprocess.Popen(
            command, cwd=emosim.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.text = ""
        self._read = 0
        self._thread = threading.Thread(target=self._reading, daemon=True)
        self._thread.start()

    def _reading(self) -> None:
        while True:
            try:
                part = os.read(self.ours, 65536)
            except OSError:
                return
            self.text += part.decode("utf-8", "replace")

    def answer(self, question: str, text: str) -> str:
        """Wait for a question, type an answer, and return what was shown before it."""
        for _ in range(600):
            if question in self.text[self._read :]:
                shown = self.text[self._read :]
                self._read = len(self.text)
                os.write(self.ours, text.encode())
                return shown
            assert self.process.poll() is None, self.text
            time.sleep(0.1)
        raise AssertionError(f"{question!r} was not asked: {self.text}")

    def end(self) -> int:
        status = self.process.wait(timeout=60)
        self._thread.join(timeout=5)
        os.close(self.ours)
        return status


@pytest.mark.slow
def test_a_terminal_may_correct_what_was_guessed(emosim: Emosim, tables: Path) -> None:
    terminal = Terminal(emosim, *GAMES, "--no-fit", "--columns", "rating=hours")
    first = terminal.answer("Write it?", "rating=verdict\n")
    assert re.search(r"hours +rating", first)
    second = terminal.answer("Write it?", "nonsense\n")
    assert re.search(r"verdict +rating", second)
    third = terminal.answer("Write it?", "leave=Price €\n")
    assert "cannot read 'nonsense'" in third
    fourth = terminal.answer("Write it?", "\n")
    assert re.search(r"Price € +left out", fourth)
    assert terminal.end() == 0, terminal.text
    code = (tables / "emosim-games" / "emosim_games" / "item.py").read_text(encoding="utf-8")
    assert "price" not in code
    assert "json_: int | None" in code


@pytest.mark.slow
def test_a_terminal_is_asked_for_a_column_that_nothing_tells(emosim: Emosim, tables: Path) -> None:
    text = (tables / "ratings.csv").read_text().replace("gamer,app,hours,verdict,when", "c1,c2,c3,c4,c5")
    (tables / "ratings.csv").write_text("".join(f"{line}\n" for line in text.split()).replace("g", ""))
    terminal = Terminal(emosim, "plugins", "new", "games", "--ratings", "ratings.csv")
    assert "It has: c1, c2, c3, c4, c5" in terminal.answer("user: ", "c1\n")
    terminal.answer("item: ", "c2\n")
    shown = terminal.answer("Write it?", "no\n")
    assert re.search(r"c1 +user", shown)
    assert terminal.end() != 0
    assert "Wrote" not in terminal.text
    assert sorted(path.name for path in tables.iterdir() if "emosim" in path.name) == []


@pytest.mark.slow
def test_ctrl_c_at_the_question_writes_nothing(emosim: Emosim, tables: Path) -> None:
    terminal = Terminal(emosim, *GAMES)
    terminal.answer("Write it?", "\x03")
    # A terminal that controls no process turns this into no signal; then the end of the input ends the question.
    time.sleep(0.5)
    if terminal.process.poll() is None:
        os.write(terminal.ours, b"\x04\n")
    assert terminal.end() != 0
    assert "Traceback" not in terminal.text
    assert sorted(path.name for path in tables.iterdir() if "emosim" in path.name) == []


# ------------------------------------------------------------------------------------ nothing half-written


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
@pytest.mark.parametrize("written", ["sample.csv", "ratings.csv", "item.py"])
def test_a_write_that_fails_leaves_nothing(
    quick: Any, tables: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, written: str
) -> None:
    really = Path.open

    def opened(self: Path, *arguments: Any, **more: Any) -> Any:
        if self.name == written and ".partial-" in str(self):
            raise error
        return really(self, *arguments, **more)

    monkeypatch.setattr(Path, "open", opened)
    message = quick(*GAMES, "--yes", status=2 if isinstance(error, OSError) else 130).err
    if isinstance(error, OSError):
        assert message.endswith("\nError: emosim-games: cannot be written: No space left on device\n")
    assert sorted(path.name for path in tables.iterdir()) == ["games.csv", "ratings.csv"]


def test_users_that_cannot_be_learned_are_left_out_and_said_unless_they_are_asked_for(
    quick: Any, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emosim_core.scaffold.people._FIT", "import sys; sys.exit('Error: the log is too small')")
    message = quick(*GAMES, "--yes", "--fit", status=2).err.splitlines()[-1]
    assert message == "Error: users cannot be learned from the log: the log is too small"
    assert sorted(path.name for path in tables.iterdir()) == ["games.csv", "ratings.csv"]
    note = quick(*GAMES, "--yes").err.splitlines()[-1]
    assert note == f"Note: {message.removeprefix('Error: ')}; so the plugin comes without them."
    assert not (tables / "emosim-games" / "emosim_games" / "data" / "people").exists()
    monkeypatch.setattr("emosim_core.scaffold.people._LIBRARIES", ("no_such_library",))
    note = quick(*GAMES, "--yes", "--out", "again").err.splitlines()[-1]
    assert note == 'Note: Users are not learned from the log: that needs pip install "emosim-core[fit]".'
    alone = quick("plugins", "new", "games", "--items", "games.csv", "--yes", "--fit", "--out", "x", status=2).err
    assert "there is no log to learn users from" in alone


def test_what_is_there_already_stays_as_it_is(quick: Any, tables: Path) -> None:
    (tables / "emosim-games").mkdir()
    assert "emosim-games exists already" in quick(*GAMES, "--yes", status=2).err
    assert list((tables / "emosim-games").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ratings", "nothing.csv", "--yes"), "nothing.csv: no such file; expected a"),
        (("--items", "nothing.csv", "--yes"), "nothing.csv: no such file; expected a table of items"),
        (("--columns", "user=uid"), "--columns is about tables: name --items, --ratings or both"),
        (("--ratings", "ratings.csv", "--columns", "user=uid", "--yes"), "ratings.csv, field 'uid': no such column"),
        (("--ratings", "ratings.csv", "--kind", "strategy"), "--ratings is about tables; a plugin of the kind"),
        (
            ("--ratings", "ratings.csv", "--words", "a|b", "--columns", "user=gamer,item=app", "--yes"),
            "'a|b' cannot be the word for 'item'",
        ),
        (("--ratings", "ratings.csv", "--step", "0"), "0.0 is not in the range x>0"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(
    quick: Any, tables: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in quick("plugins", "new", "games", *options, status=2).err
    assert sorted(path.name for path in tables.iterdir()) == ["games.csv", "ratings.csv"]


def test_one_and_several_are_words_of_one_option(quick: Any, tables: Path) -> None:
    output = quick(*GAMES, "--yes", "--words", "story,stories", "--consume", "bake", "--no-fit").err
    assert "one story, several stories; to bake, baked, baking" in output
    domain = (tables / "emosim-games" / "emosim_games" / "data" / "domain.toml").read_text(encoding="utf-8")
    assert 'item = "story"\nitems = "stories"\nconsume = "bake"' in domain
