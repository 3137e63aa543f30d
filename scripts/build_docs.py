"""Builds the documentation as a site that opens from a disk: build/site/index.html.

    python scripts/build_docs.py

The pages are README.md, CHANGELOG.md, LICENSE and those of docs/, notebooks too, as they are stored with what they
show, and a reference page for each public module, made of its docstrings. They are copied to build/docs, where links
between them are those of the site, and built by Zensical in strict mode: a link or an anchor that leads nowhere is an
error. zensical.toml orders the pages.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "docs"

FACES = (
    *("emosim_core", "emosim_core.plugins", "emosim_core.loading", "emosim_core.llm"),
    *("emosim_core.testing", "emosim_core.scaffold"),
)
"""Modules whose names are public, each with a page of the reference."""

MOVED = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "LICENSE": "license.md"}
"""Where pages outside docs/ are in the site."""

LINK = re.compile(r"(\]\()([^)\s#]+)([^)\s]*\))")

BLOCK = re.compile(r"(^```.*?^```$)", flags=re.MULTILINE | re.DOTALL)


def place(path: Path) -> Path:
    """Where a file of the repository is in the site, relative to its root."""
    relative = path.relative_to(ROOT).as_posix()
    moved = Path(MOVED.get(relative) or path.relative_to(ROOT / "docs"))
    return moved.with_suffix(".md") if moved.suffix == ".ipynb" else moved


def relinked(text: str, page: Path) -> str:
    """The text of a page with its relative links as the site has them."""

    def link(match: re.Match[str]) -> str:
        if re.match(r"[a-z]+:", match[2]):
            return match[0]
        target = Path(os.path.normpath(page.parent / match[2]))
        if page.suffix == ".ipynb" and target == page:  # the file itself, to be saved
            return match[0]
        try:
            moved = place(target)
        except ValueError:
            raise SystemExit(
                f"Error: {page.relative_to(ROOT)} links to {match[2]}, which is no page of the site"
            ) from None
        return f"{match[1]}{Path(os.path.relpath(moved, place(page).parent)).as_posix()}{match[3]}"

    parts = BLOCK.split(text)
    return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in parts)


def notebook(path: Path) -> str:
    """A notebook as the text of a page; its pictures are written beside the page."""
    import nbformat
    from nbconvert import MarkdownExporter

    content = nbformat.read(path, as_version=4)
    text, resources = MarkdownExporter().from_notebook_node(content, {"unique_key": path.stem, "output_files_dir": "."})
    for name, picture in resources["outputs"].items():
        (BUILD / place(path)).with_name(Path(name).name).write_bytes(picture)
    return text.replace("![svg](", "![The figure that the program above shows](")


def reference(face: str) -> str:
    """The page of a public module: its docstring, and each of its names."""
    names = importlib.import_module(face).__all__
    entries = [f"::: {face}", "    options:", "      members: false", "      show_root_heading: false", ""]
    for name in sorted(names, key=str.lower):
        entries += [f"::: {face}.{name}", ""]
    return f"# `{face}`\n\n" + "\n".join(entries)


def stage() -> None:
    """Write the pages of the site to build/docs."""
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(ROOT / "docs", BUILD, ignore=shutil.ignore_patterns("theme"))
    for page in [*(ROOT / name for name in MOVED), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]:
        text = notebook(page) if page.suffix == ".ipynb" else page.read_text(encoding="utf-8")
        if not page.suffix:
            text = f"# Licence\n\n```text\n{text}```\n"
        (BUILD / place(page)).write_text(relinked(text, page), encoding="utf-8")
    (BUILD / "reference").mkdir()
    for face in FACES:
        (BUILD / "reference" / f"{face}.md").write_text(reference(face), encoding="utf-8")


def main() -> int:
    """Stage the pages and build the site; the exit status of Zensical."""
    if importlib.util.find_spec("zensical") is None:
        raise SystemExit("Error: Zensical, which builds the site, is not installed. It needs Python 3.11: make docs")
    stage()
    build = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    return subprocess.run(build, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
