"""Runs to report on, made once, and a browser to open reports in."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import emosim_core
from emosim_core.reports import write_report

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
"""A text that takes a page over where it is not escaped."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs ``a`` (films), ``better`` (the same users, another recommender) and ``books``."""
    folder = tmp_path_factory.mktemp("runs")
    emosim_core.run("movies", folder / "a", episodes=60, max_steps=20)
    emosim_core.run("movies", folder / "better", episodes=60, max_steps=20, policy="top_rated")
    emosim_core.run("books", folder / "books", episodes=30, max_steps=20, slate=2, p_interrupt=0.05)
    return folder


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose items and users have hostile texts."""
    folder = tmp_path_factory.mktemp("hostile")
    with (folder / "films.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "title", "genres", "overview"])
        for number in range(8):
            writer.writerow([f"f{number}", f"{HOSTILE} <b>${number}$</b>", f"<i>{number}</i>", HOSTILE])
    with (folder / "people.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "name", "description"])
        writer.writerows([[f"p{number}", f"{HOSTILE} {number}", HOSTILE] for number in range(4)])
    emosim_core.run(
        "movies",
        folder / "run",
        episodes=12,
        max_steps=6,
        items=f"csv:{folder / 'films.csv'}",
        user_dataset=f"csv:{folder / 'people.csv'}",
        embeddings="lexical",
    )
    return folder / "run"


class Browser:
    """Chromium with a report in it.

    Attributes:
        driver: selenium's driver.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, fragment: str = "") -> None:
        """Open a page, and wait until its scripts have set it up."""
        self.driver.get("about:blank")
        self.driver.get(page.as_uri() + fragment)
        self.wait("document.documentElement.dataset.ready === 'yes'")

    def js(self, code: str, *arguments: Any) -> Any:
        """The value of an expression in the page."""
        return self.driver.execute_script(f"return {code}", *arguments)

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Wait until an expression is true in the page."""
        until = time.monotonic() + seconds
        while not self.js(condition):
            assert time.monotonic() < until, f"never true: {condition}; {self.console()}"
            time.sleep(0.02)

    def console(self) -> list[str]:
        """Errors and warnings of the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def emulate(self, command: str, **values: Any) -> None:
        """A command of Chromium's developer tools."""
        self.driver.execute_cdp_cmd(f"Emulation.{command}", values)

    def draw_all(self) -> None:
        """Bring every chart into view, and wait until it is drawn."""
        for k in range(self.js("document.querySelectorAll('[data-chart]').length")):
            holder = f"document.querySelectorAll('[data-chart]')[{k}]"
            self.js(f"{holder}.scrollIntoView({{behavior: 'instant'}})")
            self.wait(f"{holder}.querySelector('.plot').dataset.drawn === 'yes'")

    def fill(self, field: str, value: str) -> None:
        """Write into a field as a user does, and wait until the list follows."""
        self.js("document.getElementById('found').textContent = ''")
        self.js(
            f"(() => {{ const one = document.getElementById('{field}'); one.value = arguments[0]; "
            "one.dispatchEvent(new Event('input', {bubbles: true})); })()",
            value,
        )
        self.wait("/ of /.test(document.getElementById('found').textContent)")

    @property
    def episodes_shown(self) -> int:
        """How many episodes the list has."""
        return int(self.js("document.getElementById('found').textContent").split()[0].replace(",", ""))


@pytest.fixture
def browser(chromium: Any) -> Iterator[Browser]:
    """A browser that at the end of the test must have no error in its console."""
    one = Browser(chromium)
    one.console()
    yield one
    messages = one.console()
    one.emulate("clearDeviceMetricsOverride")
    one.emulate("setEmulatedMedia", features=[])
    assert messages == []


@pytest.fixture(scope="session")
def page(made: Path) -> Path:
    """The report of the run ``a``."""
    return write_report(made / "a")
