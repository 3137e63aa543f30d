"""Fixtures for all tests: the command line, throw-away installed plugins, and no network but loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from emosim_core.testing.command_line import Emosim, Finished, checked
from emosim_core.testing.network import block_network

pytest_plugins = [
    "emosim_core.testing.pytest_plugin",
    "fixtures.browser",
    "fixtures.draws",
    "fixtures.people",
    "fixtures.small_worlds",
    "fixtures.stones",
]

_unblock: list[Callable[[], None]] = []


def pytest_configure(config: pytest.Config) -> None:
    """Block connections that leave this machine, leave its user's state alone, and heed signals, for the episode.

    Compiled kernels are kept for all processes that tests start, and for the next episode.
    """
    os.environ.setdefault("NUMBA_CACHE_DIR", str(config.rootpath / ".pytest_cache" / "kernels"))
    _unblock.append(block_network())
    state = tempfile.TemporaryDirectory()
    os.environ["EMOSIM_STATE_DIR"] = state.name
    os.environ["EMOSIM_CACHE_DIR"] = os.path.join(state.name, "cache")  # of what outlives one test
    _unblock.append(state.cleanup)
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:  # as under nohup; children inherit it
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests: none of them is the last, beside a processor that has nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_unconfigure() -> None:
    """Give sockets back as they were, and remove the state."""
    while _unblock:
        _unblock.pop()()


@pytest.fixture
def site(emosim_site: Path) -> Path:
    """An empty folder of installed distributions; subprocesses see it, and reach no network."""
    return emosim_site


@dataclass(frozen=True)
class Quick(Emosim):
    """The command line within this process: as :class:`Emosim`, without the start of a process.

    Programs of :meth:`python` and commands of :meth:`start` have processes of their own here too.

    Attributes:
        capture: what reads the streams of this process.
    """

    capture: pytest.CaptureFixture[str] = field(kw_only=True)

    def __call__(self, *arguments: str | Path, status: int = 0, timeout: float = 60, **more: str) -> Finished:
        """Run a command that must end with ``status``; ``more`` are environment variables, and nothing ends it late."""
        from emosim_core.cli.main import main

        self.capture.readouterr()
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            for name, value in {**self.variables, **more}.items():
                patch.setenv(name, value)
            warnings.simplefilter("default")
            with pytest.raises(SystemExit) as exited:
                main([str(argument) for argument in arguments])
        captured = self.capture.readouterr()
        return checked(Finished(int(exited.value.code or 0), captured.out, captured.err), status)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that keeps the Python processes which find it from every network."""
    from emosim_core.testing.pytest_plugin import _GUARD

    folder = tmp_path_factory.mktemp("guarded")
    (folder / "sitecustomize.py").write_text(_GUARD, encoding="utf-8")
    return folder


@pytest.fixture
def quick(tmp_path: Path, guarded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Quick:
    """The command line within this process, which is in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(guarded), prepend=os.pathsep)
    monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("EMOSIM_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("EMOSIM_PLUGINS", raising=False)
    return Quick(tmp_path, tmp_path / "site", capture=capsys)


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
    With ``domains`` it has an entry point for each of these, and none of its own unless ``entry`` names it.
    """
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def make(
        name: str, source: str, *, dist: str = "", entry: str = "", target: str = "", domains: Sequence[str] = ()
    ) -> str:
        dist = dist or f"emosim-{name}"
        package = f"emosim_{name.replace('-', '_')}"
        files = {f"{package}/__init__.py": source}
        points = {"emosim.domains": "\n".join(f"{domain} = {target or package}" for domain in domains)}
        if entry or not domains:
            points["emosim"] = f"{entry or name} = {target or package}"
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
def uninstall(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Hides installed plugins from this process, by the names of their entry points."""

    def hide(*names: str) -> None:
        entry_points = metadata.entry_points()
        monkeypatch.setattr(
            metadata,
            "entry_points",
            lambda **chosen: [one for one in entry_points.select(**chosen) if one.name not in names],
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


@pytest.fixture(scope="session")
def strictly_typed() -> Callable[..., None]:
    """Sees that ``mypy --strict`` passes: ``strictly_typed(folder, ".")``.

    The settings and the cache are those of ``make lint``: where it ran, nobody learns the types of the core again,
    which takes a minute. Workers that need the cache wait for each other.
    """
    root = Path(__file__).parents[1]
    (root / ".mypy_cache").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml")]
    command += ["--cache-dir", str(root / ".mypy_cache")]

    def check(folder: Path, *paths: str, **variables: str) -> None:
        with FileLock(root / ".mypy_cache" / "of-plugins.lock"):
            done = subprocess.run(
                [*command, *paths], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True
            )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "no issues found" in done.stdout

    return check


@pytest.fixture(scope="session")
def _drawings() -> dict[str, bytes]:
    """Charts of this process that were drawn, as SVG, by all that they show."""
    return {}


@pytest.fixture
def equal_charts_drawn_once(monkeypatch: pytest.MonkeyPatch, _drawings: dict[str, bytes]) -> None:
    """Lets a page take a drawing from an earlier page that has the same chart; drawing takes most of a page's time.

    That the same chart is drawn the same each time is tested in ``tests/reports/test_charts.py``.
    """
    from emosim_core.reports import drawings

    draw = drawings.svg

    def svg(chart: Any) -> bytes:
        key = repr(chart)
        if key not in _drawings:
            _drawings[key] = draw(chart)
        return _drawings[key]

    monkeypatch.setattr(drawings, "svg", svg)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Selenium's driver of Debian's Chromium, without a window."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        reason = "needs Debian's packages chromium and chromium-driver"
        if os.environ.get("EMOSIM_BROWSER") == "required":
            pytest.fail(f"{reason}; EMOSIM_BROWSER says that they must be there")
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    os.environ["SE_OFFLINE"] = "true"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()
