"""Process: runs a few lines of Python in a process of their own, which has imported nothing yet."""

from __future__ import annotations

import os
import subprocess
import sys


def in_new_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The result of a program that finds the same modules as this process."""
    path = os.pathsep.join(place for place in sys.path if place)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
