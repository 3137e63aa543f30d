"""The pytest plugin of emosim-core: the command line in a process of its own, and no network but this machine's.

A ``conftest.py`` switches it on with ``pytest_plugins = ["emosim_core.testing.pytest_plugin"]``, a command with
``pytest -p emosim_core.testing.pytest_plugin``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emosim_core.testing.command_line import Emosim
from emosim_core.testing.network import block_network

_GUARD = '''\
"""Refuses every connection that leaves this machine."""
import sys


def _refuse(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        host = str(address[0]) if isinstance(address, tuple) else "/"
        if not host.startswith(("127.", "::1", "localhost", "/")):
            raise RuntimeError(f"tests use no network: {address!r}")


sys.addaudithook(_refuse)
'''
"""A ``sitecustomize.py`` for the processes of tests."""


@pytest.fixture
def emosim_site(tmp_path: Path) -> Path:
    """An empty folder of installed distributions, which the processes of :func:`emosim` see."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_GUARD, encoding="utf-8")
    return folder


@pytest.fixture
def emosim(tmp_path: Path, emosim_site: Path) -> Emosim:
    """The command line: ``emosim("run", "--plugin", "music", "--episodes", "2")``."""
    return Emosim(tmp_path, emosim_site)


@pytest.fixture
def no_network() -> Iterator[None]:
    """Refuses every connection of this process that leaves the machine, while a test runs."""
    unblock = block_network()
    yield
    unblock()
