"""Damaged directories: whatever is wrong with a file, every command that reads it says so in one message."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emosim_core.testing import Emosim

pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("equal_charts_drawn_once")

ROUNDS = int(os.environ.get("EMOSIM_FUZZ_ROUNDS", "12"))
"""Damages that are tried of each kind of directory; a thousand take some minutes."""

SMALL = ("--plugin", "movies", "--users", "sampled:n=6", "--max-steps", "4")

MAKE: dict[str, tuple[str, ...]] = {
    "run": ("run", *SMALL, "--episodes", "3", "--out", "run"),
    "train": ("train", *SMALL, "--num-envs", "2", "--timesteps", "64", "--device", "cpu", "--out", "train"),
    "evaluation": (
        *("evaluate", *SMALL, "--policies", "random,popular", "--episodes", "2", "--resamples", "100", "--no-charts"),
        *("--out", "evaluation"),
    ),
    "ablation": (
        *("ablate", "--plugin", "movies", "--study", "high_rating:items=1", "--executor", "local"),
        *("--perturbator", "none,gaussian", "--out", "ablation"),
    ),
}

READ: dict[str, tuple[tuple[str, ...], ...]] = {
    "run": (
        ("show", "run"),
        ("show", "run", "--episode", "0"),
        ("report", "run", "--out", "page.html"),
        ("compare", "run", "run", "--resamples", "100"),
        ("run", "--resume", "run", "--quiet"),
        ("data", "export", "run", "--format", "csv", "--out", "table.csv"),
    ),
    "train": (
        ("recommend", "train"),
        ("show", "train"),
        ("report", "train", "--out", "page.html"),
        ("train", "--resume", "train", "--quiet"),
    ),
    "evaluation": (
        ("show", "evaluation"),
        ("report", "evaluation", "--out", "page.html"),
        ("evaluate", "--resume", "evaluation", "--no-charts", "--quiet"),
    ),
    "ablation": (
        ("show", "ablation"),
        ("ablate", "report", "ablation"),
        ("report", "ablation", "--out", "page.html"),
        ("ablate", "--resume", "ablation", "--executor", "local", "--quiet"),
    ),
}

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 7, 2**70, 10**400, 1e308, -0.5, "", "\x1b[2Jtext", [], {}, [[]], [None], {"a": 1}, "x" * 3000),
    *(99, "99", [1, "a"], {"name": 3}, "..", "../../x", float("nan"), float("inf")),
)


def call(*arguments: str) -> tuple[int, str, str]:
    """A command within this process: status, standard output and standard error."""
    from emosim_core.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("default")
        try:
            main(list(arguments))
        except SystemExit as leave:
            return int(leave.code or 0), out.getvalue(), err.getvalue()
    raise AssertionError("the command did not leave")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small directory of each kind."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EMOSIM_CACHE_DIR", str(folder / "cache"))
        patch.setenv("EMOSIM_STATE_DIR", str(folder / "state"))
        for arguments in MAKE.values():
            status, out, err = call(*arguments)
            assert status == 0, out + err
    return folder


@pytest.fixture
def fresh(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Puts whole directories in the place of those that were damaged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("EMOSIM_STATE_DIR", str(made / "state"))

    def put() -> None:
        for path in tmp_path.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(made, tmp_path, dirs_exist_ok=True)

    return put


# ---------------------------------------------------------------------------------------------- damages


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand within a JSON value."""
    yield here
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*here, key))


def with_other_value(rng: random.Random, content: Any) -> str:
    """A JSON text in which one value is another, is gone, has another name or stands twice."""
    content = copy.deepcopy(content)
    where = rng.choice([place for place in places(content) if place])
    holder = content
    for key in where[:-1]:
        holder = holder[key]
    kind, last = rng.choice(["value", "value", "value", "gone", "twice", "name"]), where[-1]
    if kind == "gone":
        del holder[last]
    elif kind == "name" and isinstance(holder, dict):
        holder[str(last) + "x"] = holder.pop(last)
    elif kind == "twice" and isinstance(holder, dict):
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        return text.replace(f'"{last}":', f'"{last}":{json.dumps(rng.choice(VALUES))},"{last}":', 1)
    else:
        holder[last] = rng.choice([value for value in VALUES if value != holder[last]])
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def damage(rng: random.Random, path: Path) -> str:
    """Damage a file; what was done to it, for messages."""
    before = path.read_bytes()
    kinds = ["cut", "junk", "empty", "binary", "folder", "gone", "deep"]
    if path.suffix in (".json", ".jsonl"):
        kinds += ["value"] * 14
    if path.suffix == ".jsonl":
        kinds += ["line gone", "line twice", "lines swapped", "first line gone"] * 2
    kind = rng.choice(kinds)
    lines = before.splitlines(keepends=True)
    place = rng.randrange(max(1, len(before)))
    if kind == "gone":
        path.unlink()
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "value":
        number = rng.randrange(len(lines)) if path.suffix == ".jsonl" else 0
        text = with_other_value(rng, json.loads(lines[number] if path.suffix == ".jsonl" else before)) + "\n"
        parts = lines if path.suffix == ".jsonl" else [b""]
        parts[number] = text.encode("utf-8", "backslashreplace")
        path.write_bytes(b"".join(parts))
    elif kind.startswith(("line", "first")) and lines:
        number = 0 if kind == "first line gone" else rng.randrange(len(lines))
        line = lines.pop(number)
        if kind == "line twice":
            lines[number:number] = [line, line]
        elif kind == "lines swapped":
            lines.insert(rng.randrange(len(lines) + 1), line)
        path.write_bytes(b"".join(lines))
    else:
        deep = b"[" * 100_000 + b"]" * 100_000
        path.write_bytes({
            "cut": before[:place],
            "junk": before[:place] + rng.randbytes(5) + before[place:],
            "empty": b"",
            "binary": rng.randbytes(300),
            "deep": b'{"format":2,"config":' + deep + b"}\n",
        }[kind])  # fmt: skip
    return f"{path}: {kind}"


def check(kind: str, arguments: tuple[str, ...], what: str) -> int:
    """Run a command on a damaged directory, and hold it to how it must end; its status."""
    for name in ("page.html", "table.csv"):
        Path(name).unlink(missing_ok=True)
    status, out, err = call(*arguments)
    where = f"{what}\n{' '.join(arguments)}\n{out}{err}"
    assert status in (0, 2), where
    assert "Traceback" not in out + err, where
    assert "\x1b" not in out + err, where
    if status == 2:
        errors = [line for line in err.split("\n") if line.startswith("Error: ")]
        assert len(errors) == 1, where
        assert kind in errors[0], where
        assert not Path("page.html").exists(), where
        assert not Path("table.csv").exists(), where
    return status


@pytest.mark.parametrize("kind", MAKE)
def test_no_damage_gives_a_traceback(kind: str, fresh: Callable[[], None], tmp_path: Path) -> None:
    rng = random.Random(f"{kind} {os.environ.get('EMOSIM_FUZZ_SEED', '0')}")
    for _ in range(ROUNDS):
        fresh()
        files = sorted(path for path in Path(kind).rglob("*") if path.is_file())
        # Each kind of file as often as any other, however many of it there are.
        by_name = {name: [path for path in files if path.name == name] for name in {path.name for path in files}}
        what = damage(rng, rng.choice(by_name[rng.choice(sorted(by_name))]))
        for arguments in READ[kind] if ROUNDS > 50 else rng.sample(READ[kind], 2):
            check(kind, arguments, what)
        assert check(kind, ("runs", "."), what) == 0


READERS = [arguments for arguments in READ["run"] if arguments != ("show", "run")]


@pytest.mark.parametrize("number", [0, 1, -1])
@pytest.mark.parametrize("how", ["gone", "twice", "swapped", "renamed", "of another run"])
def test_records_that_do_not_belong_together_are_never_shown_as_a_run(
    fresh: Callable[[], None], how: str, number: int
) -> None:
    fresh()
    path = Path("run/interactions.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "gone":
        del lines[number]
    elif how == "twice":
        lines.insert(number, lines[number])
    elif how == "swapped":
        own = [place for place, line in enumerate(lines) if json.loads(line)["episode"] == 0]
        first, second = own[:2] if number >= 0 else own[-2:]
        lines[first], lines[second] = lines[second], lines[first]
    elif how == "renamed":
        record = json.loads(lines[number])
        record["recommended"][0]["item"] = "no-such-film"
        lines[number] = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    else:
        record = json.loads(lines[number])
        record["episode"] = 99
        lines[number] = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    readers = READERS if how != "renamed" else [("report", "run", "--out", "page.html")]
    for arguments in readers:
        assert check("interactions.jsonl", arguments, f"{how} {number}") == 2, arguments


@pytest.mark.parametrize(
    ("kind", "file", "readers"),
    [
        ("run", "manifest.json", READ["run"]),
        ("train", "manifest.json", READ["train"][1:]),
        ("train", "model/recommender.json", READ["train"][:1]),
        ("evaluation", "evaluation.json", READ["evaluation"]),
        ("ablation", "manifest.json", READ["ablation"]),
        ("ablation", "results.json", READ["ablation"][::2]),
    ],
)
def test_a_newer_format_is_said_to_be_that_of_a_newer_version(
    fresh: Callable[[], None], kind: str, file: str, readers: tuple[tuple[str, ...], ...]
) -> None:
    fresh()
    path = Path(kind) / file
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    for arguments in readers:
        status, _, err = call(*arguments)
        assert status == 2
        assert f"{path} was written by a newer version of EmoSim (format 99; this one reads" in err


def test_a_command_of_its_own_ends_in_the_same_way(made: Path, emosim: Emosim) -> None:
    shutil.copytree(made / "run", emosim.folder / "run")
    manifest = emosim.folder / "run" / "manifest.json"
    manifest.write_text("[" * 100_000)
    done = emosim("show", "run", status=2)
    assert (
        done.err
        == f"Error: {Path('run/manifest.json')} is damaged: lists and tables stand too deep within each other\n"
    )
    manifest.unlink()
    manifest.mkdir()
    assert "run/manifest.json cannot be read: Is a directory" in emosim("report", "run", status=2).err
    os.rmdir(manifest)
    os.mkfifo(manifest)
    assert "run/manifest.json cannot be read: it is a pipe" in emosim("show", "run", status=2).err


def test_a_field_that_stands_twice_in_a_record_is_noticed(fresh: Callable[[], None]) -> None:
    fresh()
    path = Path("run/interactions.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"rating":', b'"rating":1,"rating":', 1))
    for arguments in READERS:
        assert check("interactions.jsonl", arguments, "a field twice") == 2


def test_what_a_model_may_send_is_read_back(fresh: Callable[[], None]) -> None:
    """Half of a surrogate pair, a quote and a colon, a backslash before a quote."""
    fresh()
    path = Path("run/interactions.jsonl")
    lines = path.read_text().split("\n")
    for number, reason in enumerate((r"half \ud83d", r"a \":\" b", r"end \\")):
        lines[number] = lines[number].replace('"reason":"', f'"reason":"{reason}', 1)
    path.write_text("\n".join(lines))
    for arguments in READ["run"][:4]:
        assert check("run", arguments, "reasons") == 0


@pytest.mark.parametrize("usage", [{"a": 1}, {"cost": 0.5, "currency": "USD"}, {"cost": 2.0}, {"calls": 3}])
def test_a_usage_that_says_less_than_ours_is_shown(made: Path, quick: Emosim, usage: dict[str, Any]) -> None:
    """A rater of a plugin may say less, and a file may have lost a field."""
    for folder in ("run", "ablation"):
        shutil.copytree(made / folder, quick.folder / folder)
    cells = list((quick.folder / "ablation" / "jobs").glob("*/job.json"))
    for path in (quick.folder / "run" / "summary.json", *cells):
        path.write_text(json.dumps({**json.loads(path.read_text()), "usage": usage}))
    commands = (("show", "run"), ("report", "run"), ("ablate", "report", "ablation"))
    printed = [quick(*command).out for command in commands]
    for times, text in ((1, printed[0]), (len(cells), printed[2])):
        cost = f"{times * usage['cost']:.6f} {usage.get('currency', '')}" if "cost" in usage else "not known"
        assert cost.strip() in text
