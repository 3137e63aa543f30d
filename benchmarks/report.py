"""How large a report of 100,000 steps is, how long it takes to make, and how fast it opens and finds in Chromium.

Needs Debian's packages chromium and chromium-driver. The run and its report are made in a temporary folder. Times in
the browser are the medians of five loads; ``ready`` is from the start of the load until figures and the list of
episodes are set up, ``first search`` includes the unpacking of all episodes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import emosim_core
from emosim_core.reports import write_report

_LOADS = 5


def _driver() -> Any:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise SystemExit("this needs Debian's packages chromium and chromium-driver")
    os.environ["SE_OFFLINE"] = "true"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=Service(driver))


def _until(driver: Any, condition: str) -> float:
    """Seconds until an expression is true in the page."""
    started = time.perf_counter()
    while not driver.execute_script(f"return {condition}"):
        time.sleep(0.005)
    return time.perf_counter() - started


def _fill(driver: Any, text: str) -> float:
    """Seconds from a word in the search field to the list, the wait for further keys included."""
    driver.execute_script(
        "const field = document.getElementById('text'); field.value = arguments[0];"
        "document.getElementById('found').textContent = '';"
        "field.dispatchEvent(new Event('input', {bubbles: true}));",
        text,
    )
    return _until(driver, "/ of /.test(document.getElementById('found').textContent)")


def _measure(page: Path) -> dict[str, list[float]]:
    driver = _driver()
    timings: dict[str, list[float]] = {}
    try:
        for _ in range(_LOADS):
            driver.get("about:blank")
            started = time.perf_counter()
            driver.get(page.as_uri())
            _until(driver, "document.documentElement.dataset.ready === 'yes'")
            ready = time.perf_counter() - started
            _until(driver, "document.querySelector('[data-chart] .plot').dataset.drawn === 'yes'")
            drawn = time.perf_counter() - started
            driver.execute_script("document.querySelector('.episode').click()")
            opened = _until(driver, "document.getElementById('story-title') !== null")
            times = {"ready": ready, "first chart": drawn, "open an episode": opened}
            times["first search"] = _fill(driver, "crowd")
            times["next search"] = _fill(driver, "curious")
            for name, seconds in times.items():
                timings.setdefault(name, []).append(seconds)
            timings.setdefault("elements", []).append(
                driver.execute_script("return document.querySelectorAll('*').length")
            )
    finally:
        driver.quit()
    return timings


def main() -> None:
    """Make the run and the report, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000, help="Steps of the run, in episodes of 50.  [100000]")
    wanted = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        # Nobody leaves, so that there are as many steps as were asked for.
        summary = emosim_core.run("movies", run, episodes=-(-wanted // 50), reward_shaping="identity")
        started = time.perf_counter()
        page = write_report(run)
        made = time.perf_counter() - started
        size = (run / "interactions.jsonl").stat().st_size
        print(f"{summary['steps']:,} steps in {summary['episodes']:,} episodes, {size / 1e6:.1f} MB of records")
        print(f"report             {page.stat().st_size / 1e6:6.1f} MB, made in {made:.1f} s")
        for name, values in _measure(page).items():
            middle = statistics.median(values)
            print(f"{name:<18} {middle:6.0f}" if name == "elements" else f"{name:<18} {1000 * middle:6.0f} ms")


if __name__ == "__main__":
    main()
