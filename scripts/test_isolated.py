"""Runs each plugin's tests in a fresh virtual environment that has the core and that plugin alone, from wheels.

Run with: python scripts/test_isolated.py [PLUGIN ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a command; a failure ends everything with its status."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a distribution into a folder of its own."""
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, project)
    (built,) = folder.glob("*.whl")
    return built


def main() -> None:
    """Build the wheels, and for each plugin make an environment and run its tests there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("plugins", nargs="*", help="names of folders in plugins/; all of them if none is named")
    asked = parser.parse_args().plugins
    found = {path.parent.name: path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        core = wheel(ROOT, folder / "core")
        for name in asked or found:
            project = found[name]
            built = wheel(project, folder / name)
            print(f"{name}: a fresh environment with {core.name} and {built.name}", flush=True)
            venv.create(folder / "environment" / name, with_pip=True)
            python = folder / "environment" / name / "bin" / "python"
            run(python, "-m", "pip", "install", "--quiet", core, f"{built}[test]")
            # The folder of the plugin must not be importable: what is tested is what the wheel installed.
            run(python, "-P" if sys.version_info >= (3, 11) else "-I", "-m", "pytest", "-c", project / "pyproject.toml",
                "--rootdir", project, project / "tests", cwd=folder)  # fmt: skip


if __name__ == "__main__":
    main()
