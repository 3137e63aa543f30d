"""Runs fast tests with the lowest versions that the pyproject.toml files allow, on Python 3.10 where there is one.

Run with: python scripts/test_lowest.py [--train] [pytest's arguments]

torch is left out, with the tests that need it: its releases bring gigabytes each. With --train it is installed as
constraints.txt has it, beside the lowest versions of all that trains with it, on the Python that runs this script.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("components", "data", "evaluation", "hooks", "model", "population", "simulation")
"""Rooms whose tests need no torch, are fast, and meet most of what other distributions bring."""
TRAINED = ("recommenders", "training")
UNTRAINED = "tests/simulation/test_copies.py"
"""Copies an environment of stable-baselines3 too."""
PLUGINS = ("emosim_books", "emosim_deepseek", "emosim_movies")
TOOLS = re.compile(r'"((?:hypothesis|pytest|pytest-timeout|pytest-xdist)>=[^"]+)"')


def interpreter(version: str) -> str | None:
    """A Python of this version that is on the path, or that pyenv has installed; None where there is none."""
    places = [Path(found)] if (found := shutil.which(f"python{version}")) else []
    places += sorted(
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python")
    )
    for place in places:
        # pyenv's own command of this name fails where the version is not chosen.
        if subprocess.run([place, "-c", ""], capture_output=True).returncode == 0:
            return str(place)
    return None


def install(folder: Path, python: str, extras: str, constraints: list[str]) -> Path:
    """A virtual environment with the lowest versions; returns its Python.

    Raises:
        subprocess.CalledProcessError: there is no set of versions that goes together, or it cannot be had.
    """
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", python, folder], check=True)
    (folder / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
    wanted = ["--editable", f".[{extras}]"]
    for name in PLUGINS:
        wanted += ["--editable", f"plugins/{name}"]
    wanted += TOOLS.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    links = [part for link in os.environ.get("PIP_FIND_LINKS", "").split() for part in ("--find-links", link)]
    command = [*uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *links]
    command += ["--resolution", "lowest-direct", "--constraints", str(folder / "constraints.txt"), *wanted]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder / "bin" / "python"


def main() -> int:
    """Install and test; returns the exit status of the tests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", action="store_true", help="with torch, and the tests of what learns")
    options, more = parser.parse_known_args()
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    python = None if options.train else interpreter("3.10")
    if python is None and not options.train:
        print("There is no Python 3.10 here; these are the lowest versions on another.", flush=True)
    tests = [f"tests/{room}" for room in (*ROOMS, *(TRAINED if options.train else ()))]
    if not options.train:
        tests.append(f"--ignore={UNTRAINED}")
    with tempfile.TemporaryDirectory() as folder:
        torch = [line for line in pins if options.train and line.startswith("torch==")]
        extras = "data,report,train" if options.train else "data,report"
        inside = install(Path(folder) / "lowest", python or sys.executable, extras, torch)
        listed = [sys.executable, "-m", "uv", "pip", "list", "--quiet", "--python", str(inside)]
        print(subprocess.run(listed, capture_output=True, text=True, check=True).stdout, flush=True)
        command = [str(inside), "-m", "pytest", "-n", "auto", "-m", "not slow", "-p", "no:cacheprovider", *tests, *more]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode


if __name__ == "__main__":
    sys.exit(main())
