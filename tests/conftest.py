"""Fixtures for all tests: the command line, throw-away installed plugins, and no network but loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

_UNPATCHED = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}

_NO_NETWORK = """
import sys

def _refuse(event, arguments):
    if event == "socket.connect" and not str(arguments[1][0]).startswith(("127.", "::1", "localhost", "/")):
        raise RuntimeError(f"tests use no network: {arguments[1]!r}")

sys.addaudithook(_refuse)
"""


def _only_loopback(name: str) -> Callable[[socket.socket, Any], Any]:
    def connect(self: socket.socket, address: Any) -> Any:
        local = self.family not in (socket.AF_INET, socket.AF_INET6)
        if not local and address[0] != "localhost" and not str(address[0]).startswith(("127.", "::1")):
            raise RuntimeError(f"tests use no network: {address!r}")
        return _UNPATCHED[name](self, address)

    return connect


def pytest_configure() -> None:
    """Block every connection that leaves this machine, for the whole session."""
    for name in _UNPATCHED:
        setattr(socket.socket, name, _only_loopback(name))


def pytest_unconfigure() -> None:
    """Give sockets back as they were."""
    for name, original in _UNPATCHED.items():
        setattr(socket.socket, name, original)


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams."""
        return self.out + self.err

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Emosim:
    """Runs ``python -m emosim_core`` in a process of its own, in ``folder``, with the plugins of ``site``."""

    folder: Path
    site: Path

    def __call__(self, *arguments: str | Path, status: int = 0, timeout: float = 60, **more: Any) -> Finished:
        """Run a command that must end with ``status`` and without a traceback.

        Args:
            arguments: of the command line.
            status: exit status to expect.
            timeout: seconds.
            more: environment variables (upper case) and arguments of ``subprocess.run``.
        """
        env = self.environment(**{name: more.pop(name) for name in list(more) if name.isupper()})
        command = [sys.executable, "-m", "emosim_core", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=timeout, check=False, **more
        )
        finished = Finished(done.returncode, done.stdout, done.stderr)
        _check(finished, status)
        return finished

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "emosim_core", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, code: str, *arguments: str) -> str:
        """The output of a program."""
        command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of the process."""
        env = {**os.environ, "EMOSIM_CACHE_DIR": str(self.folder / "cache"), "COLUMNS": "200", **more}
        env.pop("EMOSIM_PLUGINS", None) if "EMOSIM_PLUGINS" not in more else None
        env["PYTHONPATH"] = str(self.site)
        return env


def _check(finished: Finished, status: int) -> None:
    assert finished.status == status, finished.said
    assert "Traceback" not in finished.said, finished.said
    if status == 2:
        errors = [line for line in finished.err.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, finished.said
        assert finished.out == "", finished.said


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An empty folder of installed distributions; subprocesses see it, and reach no network."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_NO_NETWORK)
    return folder


@pytest.fixture
def emosim(tmp_path: Path, site: Path) -> Emosim:
    """The command line in a process of its own, as a user meets it."""
    return Emosim(tmp_path, site)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The command line within this process: as :func:`emosim`, without the start of a process."""
    from emosim_core.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("EMOSIM_PLUGINS", raising=False)

    def call(*arguments: str | Path, status: int = 0) -> Finished:
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            with pytest.raises(SystemExit) as left:
                main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        finished = Finished(int(left.value.code or 0), captured.out, captured.err)
        _check(finished, status)
        return finished

    return call


def _distribution(site: Path, name: str, entry_points: dict[str, str], files: dict[str, str], version: str) -> None:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{lines}\n" for group, lines in entry_points.items()))
    for file, source in files.items():
        path = site / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))
    listed = [*files, *(f"{info.name}/{file}" for file in ("METADATA", "entry_points.txt", "RECORD"))]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in listed))


@pytest.fixture
def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Installs a throw-away plugin, which subprocesses see, and this process too.

    ``install("oldest", source)`` makes the distribution ``emosim-oldest`` 1.2 with the package
    ``emosim_oldest``, whose source this is, and the entry point ``oldest``; returns the package's name.
    """
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def make(
        name: str, source: str, *, dist: str = "", entry: str = "", target: str = "", domains: Sequence[str] = ()
    ) -> str:
        dist = dist or f"emosim-{name}"
        package = f"emosim_{name.replace('-', '_')}"
        files = {f"{package}/__init__.py": source}
        points = {
            "emosim": f"{entry or name} = {target or package}",
            "emosim.domains": "\n".join(f"{domain} = {target or package}" for domain in domains),
        }
        _distribution(site, dist, points, files, "1.2")
        import importlib

        importlib.invalidate_caches()
        return package

    yield make
    for module in set(sys.modules) - before:
        file = getattr(sys.modules[module], "__file__", None)
        if file and file.startswith(str(site)):
            del sys.modules[module]


@pytest.fixture
def uninstall(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Hides an installed plugin from this process, by the name of its entry point."""

    def hide(name: str) -> None:
        found = metadata.entry_points()
        monkeypatch.setattr(
            metadata, "entry_points", lambda group: [one for one in found.select(group=group) if one.name != name]
        )

    return hide


def _key(line: bytes) -> tuple[int, int]:
    record = json.loads(line)
    return record["episode"], record["step"]


@pytest.fixture
def sorted_lines() -> Callable[[Path], list[bytes]]:
    """Reads the interactions of a run, sorted by episode and step."""

    def read(directory: Path) -> list[bytes]:
        return sorted((directory / "interactions.jsonl").read_bytes().splitlines(keepends=True), key=_key)

    return read
