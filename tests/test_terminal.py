"""What reaches a terminal: no control character but line breaks and our own colours, whatever the text."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from emosim_core.terminal import Stream, clean, clean_json, one_line
from emosim_core.testing import Answer, ChatServer, Emosim

SGR = re.compile(r"\x1b\[[0-9;]*m")
CURSOR = re.compile(r"\r?\x1b\[\??[0-9;]*[A-Za-z]|\r")
"""What a live line of progress moves the cursor by."""

EVIL = (
    "a\x1b[31mred\x1b]8;;http://x\x07link\x1b]8;;\x07\x07\x00\x7f\x08\x0b\x0c\x9b2J\x85\u2028\u2029\u202eabc\u2066\u2069\u200e"
    "\u200f\u200b\ufeff\U000e0041\tb"
)
FORGED = "x\nError: all is lost\r\nWritten to nowhere."


def unsafe(text: str) -> list[str]:
    """Characters that must not reach a terminal, by their categories in Unicode."""
    allowed = {"\n", "\u200c", "\u200d"}
    control = [one for one in text if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") and one not in allowed]
    hidden = {0xAD, 0x61C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)}
    return control + [
        one for one in text if (ord(one) in hidden or 0xE0000 <= ord(one) < 0xE1000) and one not in allowed
    ]


texts = st.text(st.characters(), max_size=60) | st.lists(st.sampled_from([*EVIL, *FORGED, "[red]", "é", "\ud800"])).map(
    "".join
)


@given(texts)
@settings(deadline=None)
def test_clean_text_holds_no_control_character_and_cleaning_is_done_once(text: str) -> None:
    assert unsafe(clean(text)) == []
    assert clean(clean(text)) == clean(text)
    assert "\n" not in one_line(text)
    if not unsafe(text) and not {"\u200c", "\u200d"} & set(text) and text.isprintable() and text.isascii():
        assert clean(text) == text


@given(texts | st.dictionaries(texts, texts | st.integers(), max_size=3))
@settings(max_examples=50, deadline=None)
def test_clean_json_stands_for_the_same_value(value: Any) -> None:
    cleaned = clean_json(json.dumps(value, ensure_ascii=False))
    assert unsafe(cleaned) == []
    assert json.loads(cleaned) == value


@pytest.mark.parametrize("text", ["Amélie", "千と千尋の神隠し", "क्‍ष", "می‌خواهم", "👩‍👧 ❤️", "Tiếng Việt", "עברית"])
def test_what_scripts_need_stays(text: str) -> None:
    assert clean(text) == text


def test_joiners_that_change_nothing_are_shown() -> None:
    assert clean("ad\u200dmin") == "ad\\u200dmin"
    assert clean("\u200c") == "\\u200c"


@settings(max_examples=50, deadline=None)
@given(texts, st.sampled_from(["utf-8", "ascii", "cp1252", "latin-1"]))
def test_a_stream_writes_every_text_in_every_encoding(text: str, encoding: str) -> None:
    raw = io.BytesIO()
    stream = Stream(io.TextIOWrapper(raw, encoding=encoding, newline=""))
    stream.write(text)
    stream.flush()
    assert stream.error is None
    assert unsafe(raw.getvalue().decode(encoding)) == []


@given(texts)
@settings(max_examples=50, deadline=None)
def test_a_console_prints_every_text_clean_and_in_one_line(text: str) -> None:
    from emosim_core.cli import output

    screen = output.Screen(
        file=io.StringIO(), force_terminal=True, markup=False, emoji=False, highlight=False,
        color_system="256", width=500,
    )  # fmt: skip
    table = output.Table(text)
    table.add_row(text)
    table.add_row(Text(text, style="red"))
    screen.print_line(text, (text, "bold"))
    printed = SGR.sub("", screen.file.getvalue())  # type: ignore[attr-defined]
    assert unsafe(printed) == []
    assert printed.count("\n") == 1
    screen.print(table)
    assert unsafe(SGR.sub("", screen.file.getvalue())) == []  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------- whole commands


def in_terminal(emosim: Emosim, *arguments: str | Path, **variables: str) -> tuple[int, str]:
    """A command in a terminal of its own: its status, and all that it wrote there."""
    ours, theirs = pty.openpty()
    env = emosim.environment(**{"TERM": "xterm-256color", **variables})
    command = [sys.executable, "-m", "emosim_core", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=emosim.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = bytearray()

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                return
            if not part:
                return
            written.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    status = process.wait(timeout=90)
    reader.join(timeout=10)
    os.close(ours)
    return status, written.decode("utf-8").replace("\r\n", "\n")


def see_clean(output: str, live: bool = False) -> None:
    """See that a terminal got nothing but text, colours and, of a live line, moves of the cursor."""
    output = SGR.sub("", output)
    if live:
        output = CURSOR.sub("", output)
    assert unsafe(output) == [], repr(output)
    assert not any(line.startswith(("Error: all is lost", "Written to nowhere")) for line in output.splitlines()), (
        output
    )


@pytest.fixture
def items(emosim: Emosim) -> Path:
    """A file of items whose titles are hostile."""
    path = emosim.folder / "items.csv"
    rows = "".join(
        f'i{number},"{title}",drama\n' for number, title in enumerate((EVIL.replace("\x00", ""), FORGED, "Plain"))
    )
    path.write_bytes(f"id,title,genres\n{rows}".encode())
    return path


@pytest.mark.skipif(not hasattr(pty, "openpty"), reason="no terminals here")
def test_hostile_titles_and_names_reach_no_terminal(emosim: Emosim, items: Path) -> None:
    source = f"csv:{items}"
    run = (
        "run",
        "--embeddings",
        "lexical",
        "--plugin",
        "movies",
        "--items",
        source,
        "--users",
        "sampled:n=3",
        "--episodes",
        "2",
        "--max-steps",
        "3",
    )
    for arguments, live in (
        (("items", "--plugin", "movies", "--items", source), False),
        (("items", "--plugin", "movies", "--items", source, "--csv"), False),
        ((*run, "--out", "evil\x1b[31m\nError: all is lost"), True),
        ((*run, "--out", "json", "--json"), False),
        (("show", "json", "--episode", "0"), False),
        (
            (
                "show",
                "json",
                "--episode",
                "1",
            ),
            False,
        ),
        (("report", "json"), False),
    ):
        status, output = in_terminal(emosim, *arguments)
        assert status == 0, output
        see_clean(output, live)
    page = (emosim.folder / "json" / "report.html").read_text()
    assert "\x1b" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--plugin", EVIL.replace("\x00", "") + FORGED),
        ("run", "--" + FORGED.replace("\x00", "")),
        ("show", FORGED),
        (EVIL.replace("\x00", ""),),
        ("run", "--plugin", "movies", "--items", "csv:" + FORGED),
        ("run", "--plugin", "movies", "--episodes", FORGED),
    ],
)
def test_errors_repeat_no_control_character_and_no_forged_line(
    quick: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    done = quick(*arguments, status=2)
    see_clean(done.output)


def test_the_error_text_of_a_service_is_cleaned(emosim: Emosim) -> None:
    with ChatServer(lambda request: Answer(EVIL + FORGED, status=400)) as server:
        status, output = in_terminal(
            emosim, "run", "--plugin", "movies", "--llm-model", "deepseek-chat", "--episodes", "1", "--out", "r",
            DEEPSEEK_API_KEY="sk-test-0123456789", DEEPSEEK_BASE_URL=server.url,
        )  # fmt: skip
    assert status == 2, output
    see_clean(output, live=True)


def test_text_of_a_plugin_is_cleaned(quick: Callable[..., Any], install: Callable[..., str]) -> None:
    install(
        "evil",
        f"""
        import warnings
        from emosim_core.plugins import Component, hookimpl

        @hookimpl
        def emosim_perturbators():
            warnings.warn({EVIL + FORGED!r})
            raise RuntimeError({EVIL + FORGED!r})
        """,
    )
    see_clean(quick("plugins").output)
    see_clean(quick("items", "--plugin", "movies").output)


# ------------------------------------------------------------------------------- output that cannot be written

RUN = ("run", "--plugin", "movies", "--users", "sampled:n=4", "--max-steps", "5", "--episodes", "6")


def shell(emosim: Emosim, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell, in which ``emosim`` is the command."""
    script = f'set -o pipefail; emosim() {{ "{sys.executable}" -m emosim_core "$@"; }}\n{line}'
    return subprocess.run(
        ["bash", "-c", script], cwd=emosim.folder, env=emosim.environment(**variables), capture_output=True,
        text=True, timeout=90, check=False, errors="replace",
    )  # fmt: skip


def whole(directory: Path) -> bool:
    """Whether a run is complete and has all its lines."""
    summary = json.loads((directory / "summary.json").read_text())
    lines = (directory / "interactions.jsonl").read_text().splitlines()
    return bool(summary["complete"]) and len(lines) == summary["steps"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("more", [(), ("--json",), ("--quiet",)])
def test_a_run_whose_output_is_full_is_whole_and_ends_with_2_and_one_message(
    emosim: Emosim, more: tuple[str, ...]
) -> None:
    done = shell(emosim, f"emosim {' '.join((*RUN, *more))} --out r >/dev/full")
    assert done.returncode == 2
    assert done.stderr == (
        "Error: standard output cannot be written: No space left on device. The command went on to its end; files that "
        "it wrote are whole\n"
    )
    assert whole(emosim.folder / "r")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("emosim items --plugin movies | head -1", 0),
        ("emosim items --plugin movies --csv | head -1", 0),
        ("emosim items --plugin movies --csv | true", 0),
        (f"emosim {' '.join(RUN)} --out r | head -1", 0),
        (f"emosim {' '.join(RUN)} --out r --json | true", 0),
        (f"emosim {' '.join(RUN)} --out r >&-", 0),
        (f"emosim {' '.join(RUN)} --out r >&- 2>&- <&-", 0),
        (f"emosim {' '.join(RUN)} --out r 2>/dev/full >/dev/null", 0),
        ("emosim --help | true", 0),
        ("emosim show nothing 2>&-", 2),
        ("emosim show nothing 2>/dev/full", 2),
    ],
)
def test_a_reader_that_has_gone_is_no_error(emosim: Emosim, line: str, status: int) -> None:
    done = shell(emosim, line)
    assert (done.returncode, done.stderr) == (status, "")
    if "--out r" in line:
        assert whole(emosim.folder / "r")
        # No file of the run got the number of a stream that was closed.
        assert shell(emosim, "emosim show r --episode 0").returncode == 0


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "cp1252"},
    ],
)
def test_a_name_that_the_terminal_lacks_is_written_as_an_escape(emosim: Emosim, variables: dict[str, str]) -> None:
    (emosim.folder / "items.csv").write_text(
        "id,title,genres\na,千と千尋,drama\nb,Amélie 👩,comedy\n", encoding="utf-8"
    )
    source = "--plugin movies --items csv:items.csv"
    shown = shell(emosim, f"emosim items {source}", **variables)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\\u5343\\u3068" in shown.stdout
    run = shell(
        emosim, f"emosim run {source} --embeddings lexical --episodes 2 --max-steps 2 --out r --json", **variables
    )
    assert (run.returncode, run.stderr) == (0, "")
    summary = json.loads(run.stdout)
    titles = {one["title"] for one in [*summary["most_liked"], *summary["least_liked"]]}
    assert titles == {"千と千尋", "Amélie 👩"}
    shell(emosim, f"emosim items {source} --csv > out.csv", **variables)
    assert "b,Amélie 👩,,comedy," in (emosim.folder / "out.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", ["0", "1", "abc", "-5", "²", "9" * 30, ""])
def test_every_width_is_taken(quick: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert "6 films" in quick("items", "--plugin", "movies", "--search", "lie").out
    assert "Usage" in quick("--help").out


def test_a_terminal_without_colours_gets_none(emosim: Emosim) -> None:
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        status, output = in_terminal(emosim, "plugins", **variables)
        assert status == 0
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", output)


def test_a_fault_of_our_own_is_printed_clean_and_ends_with_1(emosim: Emosim) -> None:
    code = f"""
    import sys
    from emosim_core.cli import main
    def fail(*_, **__):
        raise RuntimeError({EVIL!r})
    main.cli.main = fail
    main.main(["items"])
    """
    import textwrap

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=emosim.environment(), capture_output=True, check=False
    )
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr.decode()
    see_clean(done.stderr.decode())
