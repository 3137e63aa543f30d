"""Runs the programs of docs/ecosystem with the libraries that they are about, in an environment made for them.

Run with: python scripts/test_ecosystem.py [pytest's arguments]

The environment is build/ecosystem, and is made once; delete it to have newer versions. torch is that of
constraints.txt, all else the newest that goes together. The versions are printed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "ecosystem"
UV = (sys.executable, "-m", "uv")
OURS = (".[data,mlflow,train]", *(f"plugins/emosim_{name}" for name in ("deepseek", "movies", "ray")))
OTHERS = ("d3rlpy==2.8.0", "ray[rllib]>=2.50", "tianshou>=2")
TOOLS = re.compile(r'"((?:hypothesis|pytest|pytest-timeout)>=[^"]+)"')
SHOWN = re.compile(r"^(d3rlpy|gymnasium|minari|mlflow|numpy|pandas|ray|tianshou|torch)\b.*", flags=re.MULTILINE)


def install() -> None:
    """Make the environment; a subprocess.CalledProcessError where there is no set of versions that goes together."""
    subprocess.run([*UV, "venv", "--quiet", "--clear", "--python", sys.executable, FOLDER], check=True)
    torch = re.findall(r"^torch==.+", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    tools = TOOLS.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    links = [part for link in os.environ.get("PIP_FIND_LINKS", "").split() for part in ("--find-links", link)]
    editable = [part for name in OURS for part in ("--editable", name)]
    command = [*UV, "pip", "install", "--quiet", "--python", FOLDER, *links, *editable, *OTHERS, *torch, *tools]
    subprocess.run(command, cwd=ROOT, check=True)
    (FOLDER / "installed").touch()


def main() -> int:
    """Install where it has to be, and test; returns the exit status of the tests."""
    if not (FOLDER / "installed").exists():
        install()
    listed = subprocess.run([*UV, "pip", "list", "--python", FOLDER], capture_output=True, text=True, check=True)
    print("\n".join(one[0] for one in SHOWN.finditer(listed.stdout)), flush=True)
    command = [FOLDER / "bin" / "python", "-m", "pytest", "-p", "no:cacheprovider", "-rs", "tests/ecosystem"]
    return subprocess.run([*command, *sys.argv[1:]], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
