"""The documentation says what the code does: hooks, rules, programs, links, options and names."""

from __future__ import annotations

import ast
import asyncio
import configparser
import dataclasses
import inspect
import json
import os
import re
import runpy
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from pydantic import BaseModel

import emosim_core
import emosim_core.llm
import emosim_core.loading
import emosim_core.plugins
import emosim_core.scaffold
import emosim_core.testing
from emosim_core.cli.main import cli
from emosim_core.hooks import Registry, spec
from emosim_core.hooks.component import KINDS, Component
from emosim_core.kinds import kinds_of, made_by
from emosim_core.runs.words import END_REASONS
from emosim_core.testing import RULES
from emosim_core.testing.check import SUITES

ROOT = Path(__file__).parents[1]
HOOKS = ROOT / "docs" / "hooks"
HOOK_PAGES = sorted(HOOKS.glob("*.md"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "ecosystem").glob("*.md")),
    *HOOK_PAGES,
    *sorted((ROOT / "plugins").glob("*/README.md")),
]

TABLES = (
    "README.md",
    *(f"docs/{name}.md" for name in ("running", "training", "evaluation", "ablations", "realism", "believability")),
    "docs/prompts.md",
)
"""Pages with tables of options."""

LOOK = """
import runpy, sys
from emosim_core.cli.main import main
from emosim_core.testing import check_plugin
outcomes = [outcome for name in sys.argv[2:] for report in check_plugin(name) for outcome in report.outcomes]
for outcome in outcomes:
    if outcome.error is not None:
        raise outcome.error
print(len(outcomes))
try:
    main(["plugins", "--json"])
except SystemExit as leave:
    assert not leave.code
print("Listed.")
runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""Checks the plugins that are named, prints how many checks there were, lists all plugins, and runs a program."""

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Block(NamedTuple):
    """A fenced block of a page, with what the comment in the line before it says."""

    page: Path
    line: int
    language: str
    comment: str
    text: str

    @property
    def label(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        assert line == "```", f"{page}, line {number + 1}: a block is opened within another"
        before = lines[start - 1] if start else ""
        comment = before.removeprefix("<!--").removesuffix("-->").strip() if before.startswith("<!--") else ""
        yield Block(page, start + 1, lines[start][3:].strip(), comment, "\n".join(lines[start + 1 : number]) + "\n")
        start = None
    assert start is None, f"{page}: the last block is not closed"


BLOCKS = [block for page in PAGES for block in blocks(page)]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def python(folder: Path, *arguments: str, site: Path | None = None) -> str:
    """Standard output of a Python command that runs in ``folder`` and must succeed without a warning."""
    env = {**os.environ, "EMOSIM_CACHE_DIR": str(folder / "cache"), "COLUMNS": "200"}
    env.pop("EMOSIM_PLUGINS", None)
    if site is not None:
        env["PYTHONPATH"] = str(site)
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(
    site: Path, distribution: str, entry_points: dict[str, str], module: str, source: str, group: str = "emosim"
) -> None:
    """Put a one-module plugin where ``importlib.metadata`` finds it."""
    info = site / f"{distribution.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(source, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1.0\n")
    listed = "".join(f"{name} = {target}\n" for name, target in entry_points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{listed}")


def hooks() -> list[str]:
    return [name for name in vars(spec) if name.startswith("emosim_")]


def built_in() -> list[Component]:
    """All components of the distributions in this repository."""
    ours = {path.parent.name.removeprefix("emosim_") for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    registry = Registry(only=ours)
    registry.load_all(warn=False)
    return [component for record in registry.records if record.status == "ok" for component in record.components]


def section(page: Path, title: str) -> str:
    """What stands under a heading of level 2, up to the next one; empty where there is no such heading."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def rules(page: Path) -> dict[str, str]:
    """The rules of a page by name, each on one line."""
    by_name: dict[str, str] = {}
    for item in re.findall(r"^- (.+(?:\n  .+)*)", section(page, "Rules"), flags=re.MULTILINE):
        match = re.fullmatch(r"\*\*([a-z-]+)\*\*: (.+)", " ".join(item.split()))
        assert match, f"{page}: {item!r} is not written as a rule"
        assert match[1] not in by_name, f"{page}: the rule {match[1]!r} stands there twice"
        by_name[match[1]] = match[2]
    return by_name


def example_plugins() -> list[Block]:
    """The blocks of the hooks' pages that are plugins; the comment before one says its name."""
    return [block for block in BLOCKS if block.page in HOOK_PAGES and block.comment.startswith("plugin: ")]


def install_example(site: Path, block: Block) -> str:
    """Put the plugin of a page where it is found; its name."""
    name = block.comment.removeprefix("plugin: ")
    group = "emosim.domains" if "def emosim_domains(" in block.text else "emosim"
    install(site, f"emosim-{name}", {name: f"emosim_{name}"}, f"emosim_{name}", block.text, group)
    return name


@pytest.mark.parametrize("name", hooks())
def test_every_hook_has_a_page_with_its_exact_signature(name: str) -> None:
    signature = str(inspect.signature(getattr(spec, name))).replace("'", "")
    assert f"\n## `{name}{signature}`\n" in (HOOKS / f"{name}.md").read_text(encoding="utf-8")


def test_no_hook_is_documented_that_does_not_exist() -> None:
    assert sorted(page.stem for page in HOOK_PAGES) == sorted([*hooks(), "plugin"])
    documented = [
        (page.stem, name)
        for page in [*HOOK_PAGES, ROOT / "docs" / "plugins.md"]
        for name in re.findall(r"^#+ `(emosim_\w+)\(", prose(page), flags=re.MULTILINE)
    ]
    assert sorted(documented) == sorted((name, name) for name in hooks())


FACES = (emosim_core, emosim_core.plugins, emosim_core.loading, emosim_core.llm)

PUBLIC = (*FACES, emosim_core.testing, emosim_core.scaffold)

ABOUT_THE_CORE = ("docs/development.md", "docs/versions.md")
"""Pages for those who change the core, whose programs may import what is not public."""


class Table(NamedTuple):
    """A table of a page: what it lists of which type, and its first column."""

    page: Path
    word: str
    type: type
    cells: list[str]

    @property
    def names(self) -> list[str]:
        return re.findall(r"`(\w+)(?:\([^`]*)?`", " ".join(self.cells))


def tables() -> Iterator[Table]:
    """The tables of the hooks' pages that list the members of an interface, or the fields of what it is handed."""
    for page in HOOK_PAGES:
        for word, name, rows in re.findall(
            r"^\| (member|field) of `(\w+)` \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", prose(page), flags=re.MULTILINE
        ):
            (kind,) = [getattr(face, name) for face in FACES if hasattr(face, name)]
            yield Table(page, word, kind, [row.split(" | ")[0] for row in rows.splitlines()])


def members(kind: type) -> dict[str, Any]:
    """What an interface asks of a component, by name: methods and attributes, those of its bases too."""
    bases = [base for base in kind.__mro__ if base.__module__.startswith("emosim_core.")]
    named = {name: None for base in bases for name in inspect.get_annotations(base)}
    return {
        name: member
        for name, member in {**named, **{name: one for base in bases for name, one in vars(base).items()}}.items()
        if not name.startswith("_")
    }


def fields(kind: type) -> list[str]:
    """The fields that a dataclass or a model is made from."""
    if issubclass(kind, BaseModel):
        return list(kind.model_fields)
    return [field.name for field in dataclasses.fields(kind) if field.init]


@pytest.mark.parametrize("table", list(tables()), ids=lambda table: f"{table.page.stem}-{table.type.__name__}")
def test_a_table_has_the_members_of_its_type_and_no_others(table: Table) -> None:
    if table.word == "field":
        assert sorted(table.names) == sorted(fields(table.type))
        return
    actual = members(table.type)
    assert sorted(table.names) == sorted(actual)
    for name, arguments in re.findall(r"`(\w+)\(([^)]*)\)[^`]*`", " ".join(table.cells)):
        expected = [parameter for parameter in inspect.signature(actual[name]).parameters if parameter != "self"]
        assert re.findall(r"\w+", arguments) == expected, name


@pytest.mark.parametrize("page", HOOK_PAGES, ids=lambda page: page.stem)
def test_a_table_of_members_says_of_which_type(page: Path) -> None:
    assert not re.search(r"^\| (members?|methods?|fields?) \|", prose(page), flags=re.MULTILINE)


@pytest.mark.parametrize("kind", SUITES)
def test_the_page_of_a_hook_has_a_table_of_its_interface_and_of_all_that_this_is_handed(kind: str) -> None:
    interface = SUITES[kind].interface
    here = [table.type for table in tables() if table.page.stem == KINDS[kind]]
    assert here.count(interface) == 1
    tabled = {table.type for table in tables()}
    for name, member in members(interface).items():
        if inspect.isfunction(member):
            # Modules that take time to load are imported where they are needed; annotations name them all the same.
            hints = typing.get_type_hints(member, localns={"asyncio": asyncio}).values()
            for handed in [one for hint in hints for one in (hint, *typing.get_args(hint))]:
                if dataclasses.is_dataclass(handed) and handed.__module__ == interface.__module__:
                    assert handed in tabled, f"{interface.__name__}.{name}"


@pytest.mark.parametrize("page", HOOK_PAGES, ids=lambda page: page.stem)
def test_a_page_has_the_rules_of_the_contract_word_for_word_and_no_others(page: Path) -> None:
    assert rules(page) == {name: rule.text for name, rule in RULES.items() if rule.page == page.stem}


def test_every_rule_of_the_contract_stands_on_a_page() -> None:
    assert {rule.page for rule in RULES.values()} == {page.stem for page in HOOK_PAGES if rules(page)}
    assert {rule.page for rule in RULES.values()} == {"plugin", *(KINDS[kind] for kind in SUITES)}


def test_every_page_of_a_hook_is_linked_from_the_page_of_plugins() -> None:
    linked = re.findall(r"\]\((hooks/[^)#]+)", prose(ROOT / "docs" / "plugins.md"))
    assert set(linked) == {f"hooks/{page.name}" for page in HOOK_PAGES}


@pytest.mark.parametrize("kind", SUITES)
def test_the_page_of_a_hook_shows_the_suite_of_its_kind(kind: str) -> None:
    hook, suite = KINDS[kind], SUITES[kind]
    shown = section(HOOKS / f"{hook}.md", "Checking it")
    assert f"from emosim_core.testing import {suite.__name__}\n" in shown
    ((base, attributes),) = re.findall(r"^class Test\w+\((\w+)\):\n((?:    .+\n)+)", shown, flags=re.MULTILINE)
    assert base == suite.__name__
    names = re.findall(r"^    (\w+) = ", attributes, flags=re.MULTILINE)
    assert "component" in names
    assert all(name == "component" or hasattr(suite, name) for name in names)
    (block,) = [block for block in example_plugins() if block.page.stem == hook]
    assert f"`emosim plugins check {block.comment.removeprefix('plugin: ')}`" in " ".join(shown.split())


@pytest.mark.parametrize(("kind", "hook"), KINDS.items())
def test_the_example_of_a_hook_is_a_plugin_that_keeps_the_contract_and_a_program_that_prints(
    kind: str, hook: str, tmp_path: Path
) -> None:
    (block,) = [block for block in example_plugins() if block.page.stem == hook]
    assert f"@hookimpl\ndef {hook}(" in block.text
    site = tmp_path / "site"
    name = install_example(site, block)
    if hook != "emosim_domains":  # what an example is bound to is the domain of that page
        install_example(site, next(one for one in example_plugins() if one.page.stem == "emosim_domains"))
    checked = [name] if kind in SUITES else []
    done, _, printed = python(tmp_path, "-c", LOOK, str(site / f"emosim_{name}.py"), *checked, site=site).partition(
        "\nListed.\n"
    )
    checks, _, plugins = done.partition("\n")
    listed = {one["name"]: one for one in json.loads(plugins)}
    assert (listed[name]["status"], listed[name]["conflicts"]) == ("ok", [])
    assert kind in {component["kind"] for component in listed[name]["components"]}
    if kind in SUITES:
        assert int(checks) > 3
    assert printed


OBSERVED = ["-m", "emosim_core", "run", "--plugin", "movies", "--episodes", "9", "--quiet", "--out", "runs/r"]


@pytest.fixture(scope="module")
def unobserved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``OBSERVED`` ran beside no observer."""
    folder = tmp_path_factory.mktemp("unobserved")
    python(folder, *OBSERVED)
    return folder


@pytest.mark.parametrize("hook", sorted(set(hooks()) - set(KINDS.values())))
def test_the_example_of_an_observer_observes_a_run(hook: str, tmp_path: Path, unobserved: Path) -> None:
    (block,) = [block for block in example_plugins() if block.page.stem == hook]
    assert f"@hookimpl\ndef {hook}(" in block.text
    install_example(tmp_path / "site", block)
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "EMOSIM_CACHE_DIR": str(tmp_path / "cache")}
    env.pop("EMOSIM_PLUGINS", None)
    done = subprocess.run(
        [sys.executable, *OBSERVED], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "runs/r\n"), done.stderr
    files = [
        sorted(str(path.relative_to(folder)) for path in (folder / "runs").rglob("*"))
        for folder in (unobserved, tmp_path)
    ]
    assert done.stderr or files[0] != files[1], "the observer left no trace"
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.language == "python" and block.comment != "no-run"],
    ids=lambda block: block.label,
)
def test_every_program_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of READMEs as a user runs them; those of other pages in this process, which has imported much already."""
    (tmp_path / "program.py").write_text(block.text, encoding="utf-8")
    if block.page.name == "README.md":
        python(tmp_path, "program.py")
    else:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.delenv("EMOSIM_PLUGINS", raising=False)
        runpy.run_path("program.py", run_name="__main__")


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.language == "toml" and block.text.startswith("plugin = ")],
    ids=lambda block: block.label,
)
def test_every_configuration_file_runs(block: Block, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(block.text, encoding="utf-8")
    arguments = ["run", "--config", "c.toml", "--episodes", "2", "--out", "r", "--json"]
    assert json.loads(python(tmp_path, "-m", "emosim_core", *arguments))["complete"]
    wanted = tomllib.loads(block.text)
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text(encoding="utf-8"))
    tables = {key: value for key, value in wanted.items() if isinstance(value, dict)}
    for kind, table in tables.items():
        part = {"items_retrieval": "retrieval"}.get(kind, kind)
        resolved = manifest["parts"].get(part, {"options": manifest["config"][kind]})
        options = {**resolved["options"], "name": resolved.get("name")}
        assert {key: options[key] for key in table} == table


def test_a_configuration_file_is_documented() -> None:
    assert any(block.language == "toml" and block.text.startswith("plugin = ") for block in BLOCKS)


def test_the_example_of_a_plugin_can_be_installed_and_used(tmp_path: Path) -> None:
    files = {block.comment.removeprefix("file: "): block.text for block in BLOCKS if block.comment.startswith("file: ")}
    project = tomllib.loads(files.pop("pyproject.toml"))
    ((name, source),) = files.items()
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"] == [name]
    points = project["project"]["entry-points"]["emosim"]
    install(tmp_path / "site", project["project"]["name"], points, Path(name).stem, source)
    options = ["--items-retrieval", "highlights:k=2,at_least=6", "--episodes", "2", "--out", "r", "--json"]
    python(tmp_path, "-m", "emosim_core", "run", "--plugin", "movies", *options, site=tmp_path / "site")
    lines = (tmp_path / "r" / "interactions.jsonl").read_text(encoding="utf-8").splitlines()
    retrieved = [item["retrieved"] for line in lines for item in json.loads(line)["recommended"]]
    assert max(map(len, retrieved)) == 2
    assert all(memory["rating"] >= 6 for memories in retrieved for memory in memories)
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["parts"]["retrieval"]["provider"] == "emosim-highlights 0.1.0"


def test_the_short_plugin_of_the_readme_can_be_used(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if block.comment == "plugin: oldest"]
    assert len(block.text.splitlines()) <= 15
    install(tmp_path / "site", "emosim-oldest", {"oldest": "emosim_oldest"}, "emosim_oldest", block.text)
    options = ["--items-retrieval", "oldest", "--episodes", "1", "--quiet"]
    python(tmp_path, "-m", "emosim_core", "run", "--plugin", "movies", *options, site=tmp_path / "site")


def anchors(page: Path) -> set[str]:
    """What the headings of a page are linked by."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_end_reason_is_explained_by_its_code_and_its_words() -> None:
    text = " ".join((ROOT / "docs" / "semantics.md").read_text(encoding="utf-8").split())
    for code, words in END_REASONS.items():
        assert re.search(rf'`{code}`[^`]*"{re.escape(words)}"', text), code


def test_a_directory_is_made_by_one_command_on_all_pages() -> None:
    """Whoever follows several pages in one folder is never refused since a directory is there already."""
    made: dict[str, set[str]] = {}
    for block in BLOCKS:
        for command in re.sub(r"\\\n\s*", " ", block.text).splitlines():
            words = re.sub(r"\s#.*", "", command).split()
            if words[:1] == ["emosim"] and words[1] in ("run", "log", "train", "evaluate", "validate", "ablate"):
                for directory in re.findall(r"--out (\S+)", " ".join(words)):
                    made.setdefault(directory, set()).add(" ".join(words))
    assert len(made) > 20
    assert {directory: commands for directory, commands in made.items() if len(commands) > 1} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page}: {target} does not exist"
        assert not anchor or anchor in anchors(linked), f"{page}: {target} has no such heading"


def test_every_page_is_linked_from_the_readme() -> None:
    linked = re.findall(r"\]\((docs/[^)#]+\.md)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert set(linked) == {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}


def test_help_and_tables_of_options_say_what_the_configurations_say() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "write_tables.py"), "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, f"run python scripts/write_tables.py:\n{done.stdout}{done.stderr}"


def test_the_page_of_prompts_has_the_text_of_every_strategy() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "write_prompts.py"), "--check"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, f"run python scripts/write_prompts.py:\n{done.stdout}{done.stderr}"
    names = re.findall(r"^## (\S+)$", (ROOT / "docs" / "prompt-texts.md").read_text(encoding="utf-8"), re.MULTILINE)
    table = re.findall(
        r"^\| `(\dShot_\w+)` \|", (ROOT / "docs" / "language-models.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(names) == sorted(table)


@pytest.mark.parametrize("command", ["run", "train", "evaluate", "ablate", "validate", "judge", "prompt-bench"])
def test_every_option_is_in_a_table(command: str) -> None:
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in TABLES)
    documented = set(re.findall(r"`(--[a-z.-]+)`", text))
    for option in cli.get_command(click.Context(cli, **cli.context_settings), command).params:  # type: ignore[union-attr]
        for name in option.opts:
            assert name in documented, f"{name} is documented nowhere"


TORCH = r"pip install [^\n`]*(\[[a-z,]*(train|embed|all)\b|\btorch|tianshou|d3rlpy|recbole|local[-_]gpu)"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_that_has_torch_installed_says_that_this_may_be_large(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert (
        not re.search(TORCH, text)
        or "README.md#the-size-of-torch" in text
        or page.name in ("README.md", "CHANGELOG.md")
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_program_of_a_page_imports_public_names_alone(page: Path) -> None:
    public = {face.__name__: {*face.__all__, *(one.__name__.rpartition(".")[2] for one in PUBLIC)} for face in PUBLIC}
    for block in blocks(page):
        if block.language != "python" or str(page.relative_to(ROOT)) in ABOUT_THE_CORE:
            continue
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.Import):
                deep = {one.name for one in node.names if one.name.startswith("emosim_core")} - public.keys()
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("emosim_core"):
                deep = {one.name for one in node.names} - public.get(node.module, set())
            else:
                continue
            assert not deep, f"{block.label} imports {', '.join(sorted(deep))}, not public"


def test_the_page_of_plugins_says_of_each_public_name_of_the_core_why_it_is_there() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    table = text.partition("<!-- names of emosim_core -->\n")[2].partition("\n\n")[0]
    names = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(names) == sorted(emosim_core.__all__)


def test_the_table_of_resuming_has_each_command_that_can_and_what_it_makes() -> None:
    text = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (`[a-z`, -]+`) \| an? ([a-z ]+)(?:;[^|]*)? \| that of `--out`, else the newest ([a-z ]+) in", text, re.M
    )
    table = {command: made for names, made, _ in rows for command in re.findall(r"[a-z-]+", names)}
    commands = {name: cli.get_command(click.Context(cli), name) for name in cli.list_commands(click.Context(cli))}
    able = {name for name, one in commands.items() if one and any(option.name == "resume" for option in one.params)}
    assert table == {name: made_by(name) if kinds_of(name) else "run" for name in able}
    assert all(made == newest for _, made, newest in rows)


@pytest.mark.parametrize("component", built_in(), ids=lambda component: f"{component.kind}-{component.usage()}")
def test_every_built_in_component_is_documented(component: Component) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    for name in (component.name, *component.aliases):
        assert re.search(rf"`{name}[`_:]", text), f"{component.kind} {name} is documented nowhere"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_keep_to_the_line_length(page: Path) -> None:
    outside = re.sub(r"^\|.*$", "", prose(page), flags=re.MULTILINE)
    long = [line for line in outside.splitlines() if len(line) > 120]
    assert not long


def test_the_rooms_of_the_core_are_those_of_the_import_contract_and_their_order_is_the_same() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:rooms"]["layers"].split("\n")
    allowed = [{name.strip() for name in layer.split("|")} for layer in reversed(layers) if layer.strip()]
    text = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    table = text.partition("| room | content |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [{f"emosim_core.{name}" for name in re.findall(r"`(\w+)`", row.split("|")[1])} for row in table.split("\n")]
    assert rows == allowed
    package = ROOT / "emosim_core"
    modules = {one.stem for one in package.glob("*.py")} | {one.parent.name for one in package.glob("*/__init__.py")}
    assert {f"emosim_core.{name}" for name in modules - {"__init__", "__main__"}} == set().union(*rows)
