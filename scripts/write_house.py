"""Draws the rooms of emosim_core and who imports whom: docs/images/house.svg, from .importlinter and the imports.

``python scripts/write_house.py`` writes; ``--check`` writes nothing, and its status is 1 where the picture is stale.

The rooms stand on the diagonal, highest first. From a room a line goes right; where it meets the line down to another
room, a dot says that the first imports the second. An import upward has no place in the picture, and is an error.
"""

from __future__ import annotations

import ast
import configparser
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "house.svg"
CORE = "emosim_core"
STEP, LABEL, HEIGHT, MARGIN = 28, 104, 20, 14
"""Pixels between rooms, width and height of a room, and space around the picture."""

STYLE = """
.paper { fill: #ffffff } .layer { fill: #f3f4f6 } .room { fill: #dbe7fb; stroke: #4a6fa5 }
text { fill: #1f2937; font: 13px ui-monospace, Menlo, Consolas, monospace }
path { fill: none; stroke: #9aa5b4 } circle { fill: #c2410c }
@media (prefers-color-scheme: dark) {
.paper { fill: #14171c } .layer { fill: #1d2229 } .room { fill: #24384f; stroke: #7ba2d6 }
text { fill: #e5e7eb } path { stroke: #5b6675 } circle { fill: #fb923c }
}
"""


def layers() -> list[list[str]]:
    """The rooms of each layer, highest first, as the import contract has them."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    lines = contracts["importlinter:contract:rooms"]["layers"].strip().splitlines()
    return [[name.strip().removeprefix(f"{CORE}.") for name in line.split("|")] for line in lines]


def imports() -> set[tuple[str, str]]:
    """Pairs of rooms of which the first imports the second, at the top of a module or inside a function."""
    pairs = set()
    for path in (ROOT / CORE).rglob("*.py"):
        room = path.relative_to(ROOT / CORE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Import(names=names):
                    modules = [alias.name for alias in names]
                case ast.ImportFrom(module=str(module), level=0, names=names):
                    modules = [f"{module}.{alias.name}" for alias in names]
                case _:
                    continue
            pairs |= {(room, parts[1]) for parts in (name.split(".") for name in modules) if parts[0] == CORE}
    return {(above, below) for above, below in pairs if above != below}


def drawn() -> str:
    """The picture.

    Raises:
        SystemExit: a room imports one that is not below it.
    """
    storeys = layers()
    rooms = [room for storey in storeys for room in storey]
    row = {room: index for index, room in enumerate(rooms)}
    pairs = sorted((row[above], row[below]) for above, below in imports() if above in row and below in row)
    for above, below in pairs:
        if above > below:
            sys.exit(f"{CORE}.{rooms[above]} imports {CORE}.{rooms[below]}, which stands above it in .importlinter")
    width = 2 * MARGIN + LABEL + STEP * (len(rooms) - 1) + STEP // 2
    height = 2 * MARGIN + STEP * len(rooms)

    def x(index: int) -> int:
        return MARGIN + LABEL + STEP * index

    def y(index: int) -> int:
        return MARGIN + STEP * index + STEP // 2

    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title description">',
        f'<title id="title">The rooms of {CORE} and their imports</title>',
        f'<desc id="description">{_described(rooms, pairs)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
    ]
    begin = 0
    for number, storey in enumerate(storeys):
        if number % 2:
            top, tall = y(begin) - STEP // 2, STEP * len(storey)
            made.append(f'<rect class="layer" x="{MARGIN}" y="{top}" width="{width - 2 * MARGIN}" height="{tall}"/>')
        begin += len(storey)
    for index in range(len(rooms)):
        below = [last for first, last in pairs if first == index]
        above = [first for first, last in pairs if last == index]
        if below:
            made.append(f'<path d="M{x(index)} {y(index)}H{x(max(below)) - HEIGHT // 2}"/>')
        if above:
            made.append(f'<path d="M{x(index) - HEIGHT // 2} {y(min(above))}V{y(index)}"/>')
    made += [f'<circle cx="{x(below) - HEIGHT // 2}" cy="{y(above)}" r="3.5"/>' for above, below in pairs]
    for index, room in enumerate(rooms):
        left, top = x(index) - LABEL, y(index) - HEIGHT // 2
        made.append(f'<rect class="room" x="{left}" y="{top}" width="{LABEL}" height="{HEIGHT}" rx="4"/>')
        made.append(f'<text x="{left + LABEL // 2}" y="{top + 14}" text-anchor="middle">{room}</text>')
    return "\n".join([*made, "</svg>", ""])


def _described(rooms: list[str], pairs: list[tuple[int, int]]) -> str:
    """The picture in words: of each room, what it imports."""
    lines = []
    for index, room in enumerate(rooms):
        below = ", ".join(rooms[last] for first, last in pairs if first == index)
        lines.append(f"{room} imports {below or 'no other room'}.")
    return "\n".join(lines)


def main(check: bool) -> int:
    """Write the picture where it is stale, or only say so; returns the exit status."""
    wanted = drawn()
    if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{'stale' if check else 'written'}: {PICTURE.relative_to(ROOT)}")
    if not check:
        PICTURE.write_text(wanted, encoding="utf-8")
    return int(check)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
