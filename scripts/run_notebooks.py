"""Executes the notebooks of docs/notebooks, each in an empty folder, and stores what they show.

    python scripts/run_notebooks.py
    python scripts/run_notebooks.py --check

With --check nothing is stored: a notebook that fails, warns, or shows something else than what is stored is an error.
Times are not compared, and of a picture only the words, as another version of matplotlib draws other lines.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
SECONDS = 120
"""Longest time that one cell may take."""

TIMES = re.compile(r"[\d,.]+(?= (?:steps/s|s\b))")
WORDS = re.compile(r"<text[^>]*>([^<]*)</text>")


def executed(path: Path) -> Any:
    """The notebook with what its cells show now; an error of a cell is a nbclient.exceptions.CellExecutionError."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        own = {name: str(folder / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
        os.environ.update(own, EMOSIM_STATE_DIR=str(folder / "state"))
        (folder / "work").mkdir()
        resources = {"metadata": {"path": str(folder / "work")}}
        quiet = ["--IPKernelApp.log_level=40"]  # no warning that the kernel is reached over a port of this machine
        client = NotebookClient(notebook, kernel_name="python3", timeout=SECONDS, resources=resources)
        client.extra_arguments = quiet
        client.execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # when each was executed
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if len(data) > 1:
                data.pop("text/plain", None)  # nobody sees it beside something richer
    return notebook


def shown(notebook: Any) -> Iterator[tuple[int, str]]:
    """What the cells show, by number of the cell, as far as it is the same each time."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                yield number, f"{output.name}: {TIMES.sub('-', output.text)}"
            for kind, content in output.get("data", {}).items():
                words = " ".join(WORDS.findall(content)) if kind == "image/svg+xml" else content
                yield number, f"{kind}: {TIMES.sub('-', words)}"


def stale(path: Path) -> list[str]:
    """What the cells of a notebook show that is not stored, or is stored and not shown; and their warnings."""
    import nbformat

    new = list(shown(executed(path)))
    old = list(shown(nbformat.read(path, as_version=4)))
    found = [f"{path.name}, cell {number}: {text}" for number, text in new if text.startswith("stderr")]
    found += [f"{path.name}, cell {number} shows: {text}" for number, text in new if (number, text) not in old]
    return found + [
        f"{path.name}, cell {number} has stored: {text}" for number, text in old if (number, text) not in new
    ]


def main() -> int:
    """Execute all notebooks; the exit status is 1 where --check finds something stale."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what is stored, and store nothing")
    parser.add_argument("notebooks", nargs="*", type=Path, help="those of docs/notebooks if none is named")
    options = parser.parse_args()
    found = []
    for path in options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        if options.check:
            found += stale(path)
        else:
            import nbformat

            nbformat.write(executed(path), path)
            print(path.name)
    if found:
        print("\n".join(found), "Run: python scripts/run_notebooks.py", sep="\n", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
