"""Changes the source in small ways that tests must notice, and prints the changes that none does.

Run with: python scripts/mutate.py [--number 100] [--seed 1] [--only TEXT] [ROOM ...]

A room's mutants are judged by the tests of the room, tests/ROOM, without those marked slow, by the file of the mutated
module first, until one fails, and by whether docs/ has the right tables of options. The source is copied to a temporary
folder, so the working tree stays as it is. The sample is the same for the same source and seed. The exit status is 1
where fewer than nine in ten are caught.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import copy
import importlib
import os
import py_compile
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]
CORE = "emosim_core"
ROOMS = ("components", "simulation", "evaluation", "runs")
ENOUGH = 0.9
"""Share of the mutants that tests must notice."""

NAMED = (
    ("runs", r"np\.median\(", "np.mean("),
    ("runs", r"(?m)^ENOUGH = \d+$", "ENOUGH = 1"),
    ("runs", r"(?m)^ENOUGH = \d+$", "ENOUGH = 4"),
    ("reports", r"(?m)^_ENOUGH = \d+$", "_ENOUGH = 1"),
    ("simulation", r"(?ms)(^def check_perturbed\(.*?\) -> None:\n)", r"\1    return\n"),
    ("training", r"(?s)(\[a2c\].*?gae_lambda = )0\.0", r"\g<1>1.0"),
)
"""Changes that are always tried: room, what is replaced (it must stand in the room once), and by what."""

EQUIVALENT: dict[str, str] = {
    "emosim_core/components/attributes.py: _Tables.__init__: block = slice(start, start + 256) -> "
    "block = slice(start, start + 257)": "rows are computed twice, to the same numbers",
    "emosim_core/components/fitted.py: Fitted._find_users: drawn = [read_drawn_id(name) or (-1, -1) for name in ids] "
    "-> drawn = [read_drawn_id(name) or (-1, -2) for name in ids]": "the number of a seed that is none is not read",
    "emosim_core/components/fitted.py: Fitted._find_users: self._places = np.array([place.get(name, -1) for name in "
    "ids], dtype=np.intp) -> self._places = np.array([place.get(name, -2) for name in ids], dtype=np.intp)": "any "
    "place below 0 is none",
    "emosim_core/components/shaping.py: ChurnSatisfaction.shape_batch: ends[drawn[:, 0] < leaves] = 2 -> "
    "ends[(drawn[:, 0] <= leaves)] = 2": "no draw equals a probability that is computed",
    "emosim_core/simulation/streams.py: PairDraws.__init__: self._turns = [np.flatnonzero(turn == number) for number "
    "in range(int(turn.max(initial=-1)) + 1)] -> self._turns = [np.flatnonzero(turn == number) for number in "
    "range(int(turn.max(initial=-2)) + 1)]": "both are no turn where there is none",
}
"""Mutants that no test can notice, by file, function and change, with the reason."""

ALONE = {"test_job": ("directory", "job"), "test_trust": ("notes", "plain", "reach", "trust")}
"""Files of tests that take long, as they start many processes: they judge these modules and no other."""

TABLES = "tests/test_docs.py::test_help_and_tables_of_options_say_what_the_configurations_say"
"""The test of the tables of options, which have the defaults of all rooms."""

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}  # fmt: skip
CALLS = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
    "median": "mean", "argmin": "argmax", "argmax": "argmin", "floor": "ceil", "ceil": "floor",
}  # fmt: skip


QUIET = ("--hypothesis-profile=mutants", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist",
         "-W", "ignore::pytest.PytestAssertRewriteWarning")  # fmt: skip
IMPORTED = ("gymnasium", "numpy", "pandas", "pydantic", "sentence_transformers", "stable_baselines3")


@dataclass(frozen=True)
class Mutant:
    """A file of a room with one change.

    Attributes:
        path: the file, from the root of the repository.
        line: where the change is.
        what: function, and the changed lines before and after, on one line.
        source: the whole file with the change.
    """

    path: Path
    line: int
    what: str
    source: str

    @property
    def room(self) -> str:
        """The folder of the file, which tests/ mirrors."""
        return self.path.parts[1]

    @property
    def key(self) -> str:
        """What stays the same when lines are added elsewhere."""
        return f"{self.path.as_posix()}: {self.what}"


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """Copies of a node, each with one change."""
    made = copy.deepcopy(node)
    match made:
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            made.ops = [COMPARISONS[type(op)]()]
            yield made
        case ast.BinOp(op=op) if type(op) in OPERATORS and not any(map(_is_text, (made.left, made.right))):
            made.op = OPERATORS[type(op)]()
            yield made
        case ast.BoolOp():
            made.op = ast.Or() if isinstance(made.op, ast.And) else ast.And()
            yield made
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield made.operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1 if isinstance(value, int) or not value else value * 2)
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            made.func = ast.Name(CALLS[name])
            yield made
        case ast.Call(func=ast.Attribute(attr=name)) if name in CALLS:
            made.func.attr = CALLS[name]
            yield made
        case ast.If(test=ast.Name() | ast.Attribute() | ast.Call()) | ast.IfExp(test=ast.Name() | ast.Attribute()):
            yield ast.UnaryOp(ast.Not(), made.test)
        case ast.Return(value=value) if value is not None and not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            yield ast.Pass()


def _is_text(node: ast.AST) -> bool:
    """Whether a node is a text or, in capitals, the name of one: what is joined by + and / is no number."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.Name(id=name):
            return name.isupper()
        case _:
            return False


def candidates(tree: ast.AST, function: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Nodes that may be changed, with the function around each; texts, types, patterns and zip's ``strict`` stay."""
    if isinstance(tree, ast.keyword) and tree.arg == "strict":
        return  # a guard, which makes no difference as long as the lengths are right
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list") or isinstance(tree, ast.JoinedStr | ast.match_case):
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST) or "TYPE_CHECKING" in ast.dump(node)[:60]:
                continue
            inside = function
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inside = f"{function}.{node.name}".lstrip(".")
            yield inside, node
            yield from candidates(node, inside)


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of a file."""
    source = (ROOT / path).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for function, node in candidates(ast.parse(source)):
        for new in changed(node):
            place = node.test if isinstance(node, ast.If | ast.IfExp) else node
            begin = starts[place.lineno - 1] + place.col_offset  # type: ignore[attr-defined]
            end = starts[place.end_lineno - 1] + place.end_col_offset  # type: ignore[attr-defined]
            text = ast.unparse(ast.fix_missing_locations(new))
            text = f"({text})" if isinstance(new, ast.expr) and not isinstance(new, ast.Constant) else text
            first, last = source.rfind(b"\n", 0, begin) + 1, source.find(b"\n", end)
            before, after = source[first:last], source[first:begin] + text.encode() + source[end:last]
            what = " -> ".join(" ".join(lines.decode().split()) for lines in (before, after))
            mutated = source[:first] + after + source[last:]
            yield Mutant(path, place.lineno, f"{function or 'module'}: {what}", mutated.decode())  # type: ignore[attr-defined]


def named(room: str, pattern: str, replacement: str) -> Mutant:
    """The mutant of an entry of ``NAMED``.

    Raises:
        SystemExit: what is replaced does not stand in the room once.
    """
    matches = [
        (path, match)
        for path in sorted((ROOT / CORE / room).rglob("*.*"))
        if path.suffix in (".py", ".toml")
        for match in re.finditer(pattern, path.read_text(encoding="utf-8"))
    ]
    if len(matches) != 1:
        sys.exit(f"scripts/mutate.py: NAMED: {pattern!r} stands {len(matches)} times in {CORE}/{room}; it must once")
    path, match = matches[0]
    source, new = path.read_text(encoding="utf-8"), match.expand(replacement)
    before, after = match.group().splitlines(), new.splitlines()
    what = f"named: {before[-1].strip()} -> {after[-1].strip()}"
    line = source.count("\n", 0, match.end() - 1) + 1
    return Mutant(path.relative_to(ROOT), line, what, source[: match.start()] + new + source[match.end() :])


def sample(room: str, number: int, seed: int) -> list[Mutant]:
    """So many mutants of a room, drawn by the seed, in the order of files and lines."""
    paths = sorted(path.relative_to(ROOT) for path in (ROOT / CORE / room).rglob("*.py"))
    every = [one for path in paths for one in mutants(path) if one.key not in EQUIVALENT]
    places = random.Random(f"{seed} {room}").sample(range(len(every)), min(number, len(every)))
    return [every[place] for place in sorted(places)]


class Copy:
    """A copy of the repository in which one file is changed at a time."""

    def __init__(self, folder: Path, limit: float) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        for name in filter(lambda name: (ROOT / name).is_file(), listed):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
        # Bytecode that is told by the content of its source, not by its time: a file may change twice a second.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(folder, quiet=2, workers=1, invalidation_mode=mode)
        self.limits: dict[str, float] = {}
        self.limit = limit

    def passes(self, room: str, module: str, limit: float) -> bool:
        """Whether the tests of a room pass within seconds; those of the module come first."""
        files = [
            path
            for path in sorted(
                (self.folder / "tests" / room).rglob("test_*.py"), key=lambda path: module not in path.stem
            )
            if not module or module in ALONE.get(path.stem, (module,))
        ]
        process = os.fork()
        if process == 0:
            self._test(files)
        until = time.monotonic() + limit
        while time.monotonic() < until:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(0.05)
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return False

    def _test(self, files: list[Path]) -> NoReturn:
        """Be the process that tests: a fork, which has imported already what takes long and is not ours."""
        os.setpgid(0, 0)
        os.chdir(self.folder)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os.environ["PYTHONPATH"] = str(self.folder)
        sys.path.insert(0, str(self.folder))
        status = 1
        try:
            status = pytest.main(["-x", "-m", "not slow", *QUIET, *map(str, files), TABLES])
        finally:
            os._exit(status)

    def notices(self, mutant: Mutant) -> bool:
        """Whether a test fails, or takes several times as long, with the mutant; without it all must pass."""
        if not self.limit and mutant.room not in self.limits:
            print(f"tests/{mutant.room} without a mutant", flush=True)
            began = time.monotonic()
            if not self.passes(mutant.room, "", 900):
                sys.exit(f"scripts/mutate.py: tests/{mutant.room} fails without a mutant; mend that first")
            self.limits[mutant.room] = 30 + 4 * (time.monotonic() - began)
        target = self.folder / mutant.path
        original = target.read_bytes()
        target.write_text(mutant.source, encoding="utf-8")
        try:
            return not self.passes(mutant.room, mutant.path.stem, self.limit or self.limits[mutant.room])
        finally:
            target.write_bytes(original)


def main() -> None:
    """Try the mutants, print those that survive, and the share that was caught."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rooms", nargs="*", default=ROOMS, help=f"rooms to change (default: {' '.join(ROOMS)})")
    parser.add_argument("--number", type=int, default=100, help="mutants in all, beside the named ones (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="which mutants are drawn (default: 1)")
    parser.add_argument("--only", default="", help="try those alone whose file, function and change hold this text")
    parser.add_argument("--no-named", action="store_true", help="leave the named ones out")
    parser.add_argument(
        "--limit", type=float, default=0, help="seconds of the tests of a mutant (default: by a run without a mutant)"
    )
    options = parser.parse_args()
    chosen = [] if options.no_named else [named(*entry) for entry in NAMED]
    for room in options.rooms:
        chosen += sample(room, -(-options.number // len(options.rooms)), options.seed)
    chosen = [one for one in chosen if options.only in one.key]
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    for name in IMPORTED:
        importlib.import_module(name)
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, deadline=None, database=None, max_examples=20,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),  # a failure is enough, however large
    )  # fmt: skip
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Copy(Path(folder), options.limit)
        for count, mutant in enumerate(chosen, 1):
            began = time.monotonic()
            caught = place.notices(mutant)
            survivors += not caught
            seconds = time.monotonic() - began
            late = seconds >= (options.limit or place.limits[mutant.room])
            verdict = "SURVIVES" if not caught else "caught, out of time," if late else "caught"
            print(
                f"{count}/{len(chosen)} {verdict} {seconds:.0f} s {mutant.path}:{mutant.line} {mutant.what}",
                flush=True,
            )
    rate = 1 - survivors / max(len(chosen), 1)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants caught, {rate:.1%}")
    sys.exit(rate < ENOUGH)


if __name__ == "__main__":
    main()
