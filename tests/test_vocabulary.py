"""Words: identifiers, help and pages use the words of the field, not those that this project once had for them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

OLD = {
    *("told", "said", "asked", "found", "meant", "felt", "there", "whim", "whose"),
    *("proposed", "proposal", "proposals", "endings", "keeper", "inflight", "prompter", "holdout"),
    *("catalogue", "catalogues", "factorisation", "personalisation", "person", "persons"),
}
"""Words of which no identifier is made. ``there``: what is there is ``existing``, ``present`` or ``written``."""

OLD_IN_TEXT = re.compile(
    r"\b(?:(?:is|are|was|were|be|been) told|proposals?|whims?|inflight|prompters?|foretell\w*|catalogues?"
    r"|factorisation|personalisation|known people|new people|--people|--asked|--bootstrap|--models)\b",
    re.IGNORECASE,
)
"""What neither a page nor the help of an option says."""


def identifiers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What a module names: functions, classes, arguments and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}


def test_words_of_an_identifier() -> None:
    assert words("_told_apart") == {"told", "apart"}
    assert words("ShotPrompter") == {"shot", "prompter"}


def test_no_identifier_is_made_of_a_word_that_was_given_up() -> None:
    modules = [*(ROOT / "emosim_core").rglob("*.py"), *(ROOT / "plugins").glob("*/emosim_*/**/*.py")]
    assert len(modules) > 300
    old = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in modules
        for name, line in identifiers(ast.parse(path.read_text(encoding="utf-8")))
        if words(name) & OLD
    ]
    assert old == []


def test_no_message_and_no_docstring_is_in_the_words_that_were_given_up() -> None:
    modules = [*(ROOT / "emosim_core").rglob("*.py"), *(ROOT / "plugins").glob("*/emosim_*/**/*.py")]
    old = [
        f"{path.relative_to(ROOT)}:{node.lineno} {match[0]}"
        for path in modules
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := OLD_IN_TEXT.search(node.value))
    ]
    assert old == []


def test_no_page_and_no_help_says_what_was_given_up() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").glob("*/README.md")]
    old = [
        f"{path.relative_to(ROOT)}:{number} {match[0]}"
        for path in pages
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := OLD_IN_TEXT.search(line))
    ]
    assert old == []
    fields = (ROOT / "emosim_core" / "cli" / "fields.json").read_text(encoding="utf-8")
    assert OLD_IN_TEXT.findall(json.dumps(json.loads(fields))) == []
