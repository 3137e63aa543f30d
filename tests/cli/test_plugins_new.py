"""``emosim plugins new``: what it writes works with nothing edited, and what cannot be written leaves nothing."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from emosim_core.errors import ConfigurationError
from emosim_core.scaffold import write
from emosim_core.scaffold.words import filled_words
from emosim_core.scaffold.write import KINDS, write_plugin

ROOT = Path(__file__).parents[2]

LISTENERS = ("--item", "track", "--consume", "listen to", "--user", "listener")
"""The words that docs/tutorial.md gives."""

WITHOUT_MODELS = """
from importlib.machinery import PathFinder
_find = PathFinder.find_spec
_hidden = "sentence_transformers"
PathFinder.find_spec = classmethod(lambda _, name, *more: None if name == _hidden else _find(name, *more))
"""
"""Hides sentence models, which a user does not have by default."""

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def tool(*arguments: str | Path, **more: Any) -> str:
    """What a Python tool prints, which must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], capture_output=True, text=True, timeout=300, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --------------------------------------------------------------------------------- what it writes works


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name", "package", "words"),
    [
        ("domain", "board-games", "emosim_board_games", LISTENERS),
        ("strategy", "high_lights", "emosim_high_lights", ()),
        ("llm-backend", "par-rot", "emosim_par_rot", ()),
    ],
)
def test_it_can_be_installed_run_checked_and_tested_as_it_is(
    emosim: Any, kind: str, name: str, package: str, words: tuple[str, ...]
) -> None:
    lines = emosim("plugins", "new", name, "--kind", kind, *words).out.splitlines()
    folder = emosim.folder / f"emosim-{name}"
    begun = f"emosim run --plugin {name}" if kind == "domain" else f"emosim plugins check {name}"
    assert [line.strip() for line in lines[-3:]] == [
        f"pip install -e './{folder.name}[test]'",
        begun,
        f"pytest {folder.name}",
    ]

    tool("uv", "pip", "install", "--quiet", "--no-deps", "--target", emosim.site, folder)
    with (emosim.site / "sitecustomize.py").open("a", encoding="utf-8") as stream:
        stream.write(WITHOUT_MODELS)
    (record,) = [one for one in emosim("plugins", "--json").json if one["name"] == name]
    assert (record["status"], record["cause"], record["conflicts"]) == ("ok", "", [])
    checked = emosim("plugins", "check", name, "--json", timeout=120).json
    assert checked["failed"] == 0, checked
    assert checked["ok"] > 0
    if kind == "domain":
        summary = emosim("run", "--plugin", name, "--episodes", "3", "--json").json
        assert (summary["complete"], summary["episodes"], summary["scale"]) == (True, 3, "1-5")
        assert summary["most_liked"][0]["mean_rating"] > summary["least_liked"][0]["mean_rating"]
        environment = re.findall(r'gym.make\("(.+?)"', (folder / "README.md").read_text(encoding="utf-8"))
        code = "import gymnasium, sys; print(gymnasium.make(sys.argv[1]).reset(seed=1)[1]['user_name'])"
        assert emosim.python(code, *environment).strip()
    if kind == "strategy":
        options = ("--items-retrieval", f"{name}:k=2,recency=0.8", "--reward-shaping", f"{name}:fade=0.3")
        emosim("run", "--plugin", "movies", "--episodes", "2", *options, "--quiet")

    if kind == "llm-backend":
        emosim("run", "--plugin", "movies", "--episodes", "1", "--max-steps", "3", "--llm-model", f"{name}-hash")

    inner = tool(
        "pytest", folder, "--basetemp", emosim.folder / "inner", "-p", "no:cacheprovider", "-q",
        cwd=emosim.folder, env=emosim.environment(),
    )  # fmt: skip
    assert re.search(r"\d+ passed", inner), inner
    assert (emosim.site / package / "py.typed").is_file()


@pytest.mark.long
@pytest.mark.slow
def test_it_is_well_typed_as_it_is(tmp_path: Path, strictly_typed: Any) -> None:
    folders = [str(write_plugin(kind, f"my-{kind}", tmp_path / kind)) for kind in ("domain", "strategy")]
    folders.append(str(write_plugin("llm_backend", "my-backend", tmp_path / "backend")))
    strictly_typed(tmp_path, *folders, MYPYPATH=os.pathsep.join(folders))


@pytest.mark.slow
def test_the_wheel_of_the_core_brings_every_template(tmp_path: Path) -> None:
    tool("uv", "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("emosim_core-*.whl")
    brought = {name for name in zipfile.ZipFile(wheel).namelist() if "/templates/" in name}
    ours = (ROOT / "emosim_core" / "scaffold" / "templates").rglob("*.tmpl")
    assert brought == {path.relative_to(ROOT).as_posix() for path in ours}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["music", "my-music", "my_music", "a", "type", "m2-x", "reward", "board-games"])
def test_what_is_written_is_filled_and_well_kept(tmp_path: Path, kind: str, name: str) -> None:
    folder = write_plugin(kind, name, tmp_path / "made")
    module = f"emosim_{name.replace('-', '_')}"
    for path in (path for path in folder.rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8")
        assert "${" not in text, path
        assert "__" not in path.relative_to(folder).as_posix().replace("__init__", ""), path
        assert ".tmpl" not in path.name, path
        if path.suffix == ".py":
            assert ast.get_docstring(ast.parse(text)), path
        if path.suffix == ".md":
            assert all(len(line) <= 120 or line.startswith("|") for line in text.splitlines()), path
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == f"emosim-{name.replace('_', '-')}"
    assert project["dependencies"][0] == "emosim-core>=0.1,<0.2"
    group = "emosim.domains" if kind == "domain" else "emosim"
    assert project["entry-points"] == {group: {name: f"{module}.plugin"}}
    sources = "".join(path.read_text(encoding="utf-8") for path in (folder / module).glob("*.py"))
    needed = {text.partition(">")[0] for text in project["dependencies"]} - {"emosim-core"}
    assert needed == {one for one in ("numpy", "pydantic") if re.search(rf"^(from|import) {one}\b", sources, re.M)}
    tool("ruff", "check", "--extend-select", "E,I,B,UP,SIM,RUF,C4,PIE,PT,TID", ".", cwd=folder)
    tool("ruff", "format", "--check", ".", cwd=folder)


def test_the_texts_of_a_domain_are_in_its_words(tmp_path: Path, quick: Any) -> None:
    quick("plugins", "new", "music", *LISTENERS, "--out", "made")
    content = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "made").rglob("*") if path.is_file())
    assert not re.search(r"\bitems? (about|disappoint|that everyone)", content)
    for text in ('item = "track"', 'items = "tracks"', 'consumed = "listened to"', "A made-up track about"):
        assert text in content
    for verb, past in (("try", "tried"), ("bake", "baked"), ("play with", "played with")):
        quick("plugins", "new", "music", "--consume", verb, "--out", past.replace(" ", "-"))
        domain = tmp_path / past.replace(" ", "-") / "emosim_music" / "data" / "domain.toml"
        assert f'consumed = "{past}"' in domain.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("version", "compatible"),
    [
        ("0.1.0", ">=0.1,<0.2"),
        ("0.12.3", ">=0.12,<0.13"),
        ("1.4.2", ">=1.4,<2"),
        ("2", ">=2.0,<3"),
        ("0.2.0rc1", ">=0.2.0rc1,<0.3"),
        ("1.0.dev3+g12", ">=1.0.dev3,<2"),
    ],
)
def test_it_depends_on_the_releases_that_are_compatible_with_the_installed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, compatible: str
) -> None:
    monkeypatch.setattr(write.metadata, "version", lambda name: version)
    folder = write_plugin("strategy", "best", tmp_path / "best")
    assert f'"emosim-core{compatible}"' in (folder / "pyproject.toml").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------ where to


def test_it_is_written_where_it_is_asked_and_the_next_commands_say_so(tmp_path: Path, quick: Any) -> None:
    assert "  pip install -e './emosim-my_music[test]'\n" in quick("plugins", "new", "my_music").out
    output = quick("plugins", "new", "music", "--out", tmp_path / "my plugins").out
    assert f"  pip install -e '{tmp_path}/my plugins[test]'\n  emosim run --plugin music\n" in output
    assert (tmp_path / "my plugins" / "emosim_music" / "data" / "sample.csv").is_file()
    listed = {line.strip() for line in output.splitlines()}
    assert {"pyproject.toml", "emosim_music/data/sample.csv", "tests/test_music.py"} <= listed


@pytest.mark.parametrize("what", ["folder", "empty folder", "file", "link"])
def test_what_is_there_already_stays_as_it_is(tmp_path: Path, quick: Any, what: str) -> None:
    target = tmp_path / "emosim-music"
    if "folder" in what:
        target.mkdir()
    if what == "folder":
        (target / "mine.txt").write_text("mine", encoding="utf-8")
    if what == "file":
        target.write_text("mine", encoding="utf-8")
    if what == "link":
        target.symlink_to(tmp_path / "nowhere")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert "emosim-music exists already" in quick("plugins", "new", "music", status=2).err
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert what != "folder" or (target / "mine.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
@pytest.mark.parametrize("written", [0, 1, 5])
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, quick: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, written: int
) -> None:
    really, count = Path.write_text, iter(range(100))

    def write_text(self: Path, *arguments: Any, **more: Any) -> int:
        if next(count) == written:
            raise error
        return really(self, *arguments, **more)

    monkeypatch.setattr(Path, "write_text", write_text)
    status = 2 if isinstance(error, OSError) else 130
    message = quick("plugins", "new", "music", status=status).err
    if status == 2:
        assert message == "Error: emosim-music: cannot be written: No space left on device\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, quick: Any) -> None:
    message = quick("plugins", "new", "music", "--out", "nowhere/music", status=2).err
    assert message == "Error: nowhere/music: cannot be written: No such file or directory\n"
    assert list(tmp_path.iterdir()) == []


# ----------------------------------------------------------------------------------- names and words


@pytest.mark.parametrize(
    ("name", "message", "suggested"),
    [
        ("Music", "lower-case letters", "music"),
        ("my music", "lower-case letters", "my-music"),
        ("Müsik & Töne", "lower-case letters", "musik-tone"),
        ("2fast", "begins with a letter", "fast"),
        ("-x", "single '-' or '_'", "x"),
        ("a--b", "single '-' or '_'", "a-b"),
        ("a_", "single '-' or '_'", "a"),
        ("a-_b", "single '-' or '_'", "a_b"),
        ("../music", "lower-case letters", "music"),
        ("", "lower-case letters", "music"),
        ("音楽", "lower-case letters", "music"),
        ("class", "Python", "my-class"),
        ("core", "built-in", "my-core"),
        ("emosim-music", "leave it out", "music"),
        ("emosim_core", "leave it out", "my-core"),
        ("a" * 41, "40 characters", "a" * 40),
    ],
)
def test_a_name_that_cannot_be_one_gets_a_suggestion_that_can(
    tmp_path: Path, quick: Any, name: str, message: str, suggested: str
) -> None:
    printed = quick("plugins", "new", "--", name, status=2).err
    assert message in printed
    assert printed.endswith(f"Try {suggested!r}.\n")
    assert list(tmp_path.iterdir()) == []
    write_plugin("domain", suggested, tmp_path / "made")


@pytest.mark.parametrize(
    ("kind", "name", "holder"),
    [
        ("domain", "movies", "plugin 'movies' (emosim-movies"),
        ("strategy", "movies", "plugin 'movies' (emosim-movies"),
        ("strategy", "last", "retrieval strategy 'last_K' of plugin 'core'"),
        ("strategy", "last_3", "retrieval strategy 'last_K' of plugin 'core'"),
        ("strategy", "simple", "retrieval strategy 'simple_K' of plugin"),
        ("strategy", "churn_satisfaction", "reward shaping 'churn_satisfaction' of plugin 'core'"),
        ("domain", "old-est", "plugin 'old-est' (emosim-old-est 1.2)"),
        ("domain", "old_est", "plugin 'old-est' (emosim-old-est 1.2)"),
        ("llm-backend", "talk", "language-model backend 'talker:MODEL' of plugin 'old-est'"),
    ],
)
def test_a_name_that_is_taken_is_refused(
    tmp_path: Path, quick: Any, install: Any, kind: str, name: str, holder: str
) -> None:
    install(
        "old-est",
        """
        from emosim_core.plugins import Component, hookimpl
        EMOSIM_HOOK_VERSION = 1

        @hookimpl
        def emosim_llm_backends():
            options = "emosim_core.loading:CsvUsersOptions"
            yield Component("talker", "Talks.", "no:One", options=options, value="model", prefixes=("talk-",))
        """,
    )
    message = quick("plugins", "new", name, "--kind", kind, status=2).err
    assert holder in message
    assert repr(name) in message
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize(("kind", "name"), [("domain", "last"), ("strategy", "rule_based"), ("llm-backend", "popular")])
def test_a_name_that_only_another_kind_has_is_free(quick: Any, kind: str, name: str) -> None:
    assert quick("plugins", "new", name, "--kind", kind).out
    assert quick("--no-plugins", "plugins", "new", name, "--kind", kind, "--out", "again").out


@pytest.mark.parametrize("word", ["", " ", '"', "a|b", "{who}", "a; b", "$item", "1st", "two\nlines\\", "x" * 31])
def test_a_word_that_would_break_a_text_is_refused(tmp_path: Path, quick: Any, word: str) -> None:
    message = quick("plugins", "new", "music", "--item", word, status=2).err
    assert "cannot be the word for 'item'" in message
    assert list(tmp_path.iterdir()) == []


def test_words_are_those_of_a_domain(quick: Any) -> None:
    message = quick("plugins", "new", "best", "--kind", "strategy", "--user", "listener", status=2).err
    assert "--user is a word of a domain" in message


def test_an_unknown_kind_is_refused_with_those_that_are_known(tmp_path: Path, quick: Any) -> None:
    assert "'domain', 'strategy', 'llm-backend'" in quick("plugins", "new", "x", "--kind", "rater", status=2).err
    with pytest.raises(ConfigurationError, match="known: domain, strategy, llm_backend"):
        write_plugin("llm-backend", "x", tmp_path / "x")


def test_help_is_there_without_anything_heavy(emosim: Any) -> None:
    code = """
    import sys
    from emosim_core.cli.main import main
    try:
        main(["plugins", "new", "--help"])
    except SystemExit as exited:
        heavy = ("numpy", "pydantic", "pluggy", "rich", "gymnasium", "emosim_core.scaffold.write", "emosim_movies")
        print("LEFT", exited.code, [name for name in heavy if name in sys.modules])
    """
    output = emosim.python(code)
    assert output.startswith("Usage: emosim plugins new [OPTIONS] NAME")
    assert output.endswith("LEFT 0 []\n")


def test_words_follow_from_others_where_they_are_not_given() -> None:
    words = filled_words({"item": "track", "consume": "listen to"})
    assert (words.items, words.consumed, words.consumption) == ("tracks", "listened to", "listening")
    for verb, gerund in (("use", "using"), ("try out", "trying"), ("see", "seeing"), ("lie down", "lying")):
        assert filled_words({"consume": verb}).consumption == gerund
    assert filled_words({"consume": "listen to", "consumption": "play"}).consumption == "play"
