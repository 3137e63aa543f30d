"""Users of a new plugin: users who are learned from its log before it is in its place."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from emosim_core.errors import ConfigurationError

_LIBRARIES = ("lightgbm", "safetensors", "scipy", "threadpoolctl")

_FIT = """
import sys
from pathlib import Path
from emosim_core import EmoSimError
from emosim_core.hooks import Registry
from emosim_core.fitting.directory import read_card, read_states
from emosim_core.studies.fit import FitConfig, Fitting
people = Path(sys.argv[2])
try:
    Fitting(FitConfig(plugin=sys.argv[1], ratings="sample"), Registry()).write(people)
    read_states(people, read_card(people))
except EmoSimError as error:
    sys.exit(f"Error: {error}")
"""
"""Learns users from the log that comes with the items of a domain, and sees that they can be read."""


class NoUsersError(ConfigurationError):
    """Users cannot be learned from a log."""


def can_fit() -> bool:
    """Whether the libraries that users are learned with are installed."""
    return all(find_spec(name) is not None for name in _LIBRARIES)


def fit_users(folder: Path, name: str) -> None:
    """Learn users from the log of a plugin that is in a folder and installed nowhere, into its ``data/people``.

    Raises:
        NoUsersError: the log is too small, or a library is missing; says what the process said.
    """
    package = f"emosim_{name.replace('-', '_')}"
    with tempfile.TemporaryDirectory() as site:
        # What makes a folder of modules an installed distribution, for this process alone.
        info = Path(site) / f"{package}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[emosim.domains]\n{name} = {package}.plugin\n")
        paths = [site, str(folder.absolute()), *filter(None, [os.environ.get("PYTHONPATH")])]
        done = subprocess.run(
            [sys.executable, "-B", "-c", _FIT, name, str(folder.absolute() / package / "data" / "people")],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "EMOSIM_PLUGINS": name},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        messages = done.stderr.strip().splitlines()
        reason = messages[-1].removeprefix("Error: ") if messages else f"the process ended with {done.returncode}"
        raise NoUsersError(f"users cannot be learned from the log: {reason}")
