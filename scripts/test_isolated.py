"""Runs each plugin's tests in a fresh virtual environment that has the core and that plugin alone, from wheels.

Run with: python scripts/test_isolated.py [PLUGIN ...]

uv builds the wheels and fills the environments: what one environment has, it links into the next.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = (sys.executable, "-m", "uv")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command and return what it prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout


def wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a distribution into a folder of its own."""
    run(*UV, "build", "--wheel", "--out-dir", folder, project)
    (built,) = folder.glob("*.whl")
    return built


def alone(project: Path, core: Path, folder: Path) -> str:
    """Run the tests of a plugin in an environment of its own; returns what they print."""
    name = project.name
    built = wheel(project, folder / name)
    python = folder / "environment" / name / "bin" / "python"
    run(*UV, "venv", "--python", sys.executable, python.parents[1])
    found = [part for link in os.environ.get("PIP_FIND_LINKS", "").split() for part in ("--find-links", link)]
    constraints = ("--constraints", ROOT / "constraints.txt", *found)
    run(*UV, "pip", "install", "--quiet", "--python", python, *constraints, core, f"{built}[test]")
    # The folder of the plugin must not be importable: what is tested is what the wheel installed.
    tests = run(python, "-P" if sys.version_info >= (3, 11) else "-I", "-m", "pytest", "-c", project / "pyproject.toml",
                "--rootdir", project, project / "tests", cwd=folder)  # fmt: skip
    return f"{name}: a fresh environment with {core.name} and {built.name}\n{tests}"


def main() -> None:
    """Build the wheel of the core, and test plugins beside each other, as many as there are processors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("plugins", nargs="*", help="names of folders in plugins/; all of them if none is named")
    names = parser.parse_args().plugins
    # In this order the plugin whose tests take longest is among the first.
    plugins = {path.parent.name: path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml"), reverse=True)}
    failed = False
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            core = wheel(ROOT, Path(place) / "core")
        except subprocess.CalledProcessError as error:
            sys.exit(f"{error}\n{error.output}")
        for done in as_completed([pool.submit(alone, plugins[name], core, Path(place)) for name in names or plugins]):
            try:
                print(done.result(), flush=True)
            except Exception as error:  # the other plugins are still reported
                failed = True
                output = getattr(error, "output", "")
                print(f"{error}\n{output.decode() if isinstance(output, bytes) else output}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
