"""Works with ``emosim view`` as a researcher does, and takes the screenshots of docs/view.md meanwhile.

    python scripts/view_hour.py FOLDER

In FOLDER, which must be empty, three runs and two trainings are made while Chromium follows them; one run is stopped,
shown with the command that goes on with it, and goes on; the trainings and runs are compared, a user is met and saved
as a run, and a believability test is begun and judged. Only commands are typed; all else happens in the browser. Every
page is photographed at 1400 and 390 pixels, light and dark, into FOLDER/shots. A page that is wider than its window,
or a message in the console, ends the work with an error. With ``--docs``, pictures go to docs/images.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from emosim_core.testing import Answer, ChatServer

ROOT = Path(__file__).resolve().parents[1]
EMOSIM = (sys.executable, "-m", "emosim_core")
WORLD = ("--plugin", "movies", "--quiet")
TRAINING = (*WORLD, "--timesteps", "2000", "--eval-every", "500", "--num-envs", "4", "--max-steps", "10")
SIZES = {"1400": 1400, "390": 390}
PICTURES = ("list", "episodes", "compare-runs", "meet")
PATIENCE = 400.0


class Desk:
    """The browser, the folder, and the commands that are typed."""

    def __init__(self, folder: Path, address: str, driver: Any) -> None:
        self.folder, self.driver = folder, driver
        self._base = address.partition("?")[0]
        self.shots = folder / "shots"
        self.shots.mkdir()
        driver.get(address)

    def type(self, *words: str) -> subprocess.Popen[bytes]:
        """Type a command."""
        print("$ emosim", *words, flush=True)
        return subprocess.Popen([*EMOSIM, *words], cwd=self.folder)

    def done(self, *words: str) -> None:
        """Type a command and wait for its end."""
        if self.type(*words).wait(PATIENCE):
            raise SystemExit(f"emosim {' '.join(words)} failed")

    def open(self, path: str) -> None:
        self.driver.get(self._base + path)

    def js(self, code: str, *values: str) -> Any:
        return self.driver.execute_script(f"return {code}", *values)

    def wait(self, condition: str) -> None:
        until = time.monotonic() + PATIENCE
        while not self.js(condition):
            if time.monotonic() > until:
                raise SystemExit(f"never true: {condition}; {self.js('document.body.innerText')[:2000]}")
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        self.wait(f"document.querySelector({selector!r}) && !document.querySelector({selector!r}).disabled")
        self.js("document.querySelector(arguments[0]).click()", selector)

    def fill(self, values: dict[str, str]) -> None:
        for selector, value in values.items():
            self.js(
                "((one, value) => { one.value = value; for (const what of ['input', 'change']) "
                "one.dispatchEvent(new Event(what, {bubbles: true})); })(document.querySelector(arguments[0]), "
                "arguments[1])",
                *(selector, value),
            )

    def photograph(self, name: str, height: int = 900) -> None:
        """Take the page at each width, light and dark, and see that it fits and that nothing went wrong."""
        for size, width in SIZES.items():
            self._emulate(
                "setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=size == "390"
            )
            for scheme in ("light", "dark"):
                self._emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                time.sleep(0.4)  # charts are drawn again
                if (wide := self.js("document.documentElement.scrollWidth")) > width:
                    raise SystemExit(f"{name} is {wide} pixels wide at {width}")
                self.driver.save_screenshot(str(self.shots / f"{name}-{size}-{scheme}.png"))
        self._emulate("clearDeviceMetricsOverride")
        self._emulate("setEmulatedMedia", features=[])
        if messages := self.driver.get_log("browser"):
            raise SystemExit(f"{name}: {messages}")

    def _emulate(self, what: str, **how: Any) -> None:
        self.driver.execute_cdp_cmd(f"Emulation.{what}", how)


def work(desk: Desk, service: str, pause: list[float]) -> None:
    """The hour; ``service`` is the address of a language model, ``pause`` how many seconds it takes."""
    desk.done("run", *WORLD, "--episodes", "300", "--out", "runs/first")
    desk.done("run", *WORLD, "--episodes", "300", "--policy", "top_rated", "--out", "runs/top")
    model = ("--llm-model", f"{service}#small", "--concurrency", "4", "--num-envs", "4", "--max-steps", "4")
    long = desk.type("run", *WORLD, *model, "--episodes", "400", "--out", "runs/long")
    desk.open("")
    desk.wait("document.querySelector('[data-path=long]') !== null")
    desk.open("job/long")
    desk.wait("document.querySelectorAll('#newest tbody tr').length > 5 && document.querySelector('.plot[data-drawn]')")
    desk.photograph("live")
    long.send_signal(signal.SIGINT)
    long.wait(PATIENCE)
    desk.wait("document.getElementById('state').textContent === 'stopped'")
    desk.photograph("stopped")
    pause[0] = 0.0
    goes_on = desk.js("document.querySelector('#resume code').textContent").split()
    again = desk.type(*goes_on[1:], *model[:2], "--quiet")
    trainings = [desk.type("train", *TRAINING, "--seed", seed, "--out", f"runs/training-{seed}") for seed in ("1", "2")]
    desk.open("")
    desk.wait("document.querySelectorAll('#jobs tbody tr').length === 5")
    desk.open("job/training-1")
    desk.wait("document.querySelector('#live-charts .plot[data-drawn], #facts .facts div')")
    desk.photograph("training")
    for command in (again, *trainings):
        if command.wait(PATIENCE):
            raise SystemExit("a command failed")
    desk.open("job/long")
    desk.wait("document.querySelectorAll('#facts .facts div').length > 3")
    desk.photograph("job")
    desk.open("job/first")
    desk.fill({"#tags": "baseline", "#note": "Random, to compare with."})
    desk.click("#remark button")
    desk.wait("document.getElementById('saved').textContent === 'Saved.'")
    desk.open("episodes/top")
    desk.wait("document.querySelector('#story [data-drawn]') !== null")
    desk.photograph("episodes", 1000)
    for name, places in (
        ("compare-runs", ("first", "top", "long")),
        ("compare-trainings", ("training-1", "training-2")),
    ):
        desk.open("")
        desk.wait("document.querySelectorAll('#jobs tbody tr').length === 5")
        for place in places:
            desk.click(f'[data-path="{place}"] input')
        desk.click("#compare")
        desk.wait("document.querySelector('#charts .plot[data-drawn]') !== null")
        desk.photograph(name)
    meet(desk)
    judge(desk)
    desk.open("")
    desk.wait("document.querySelectorAll('#jobs tbody tr').length === 7")
    desk.wait("document.querySelectorAll('#jobs .interval').length > 2")
    desk.photograph("list")


def meet(desk: Desk) -> None:
    """Meet a user, and save it."""
    desk.open("meet")
    desk.fill({"#world [name=plugin]": "movies", "#world [name=slate]": "3"})
    desk.click("#world button")
    desk.wait("document.querySelectorAll('#users button').length > 1")
    desk.photograph("users")
    desk.click("#users button")
    desk.wait("!document.getElementById('meeting').hidden")
    desk.fill({"#policy": "random"})
    taken = (
        "[...document.querySelectorAll('#steps .step:first-child .badge')].some((one) => /\\d/.test(one.textContent))"
    )
    for step in range(1, 9):  # three slates at least, and until one has something that the user takes
        desk.click("#suggest")
        desk.wait("document.getElementById('slate-says').textContent === 'The slate is full.'")
        desk.click("#offer")
        desk.wait(f"document.querySelectorAll('#steps .step').length === {step} && !document.body.ariaBusy")
        if (step > 2 and desk.js(taken)) or desk.js("document.getElementById('offering').hidden"):
            break
    desk.js("scrollTo(0, 0)")
    desk.photograph("meet", 1300)
    desk.fill({"#run-name": "met"})
    desk.click("#save")
    desk.wait("document.getElementById('saved').textContent.startsWith('Saved as met')")


def judge(desk: Desk) -> None:
    """Begin a believability test of a made-up log, and judge it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from studies.made_up_ratings import write_movielens

    write_movielens(desk.folder / "runs" / "log")
    desk.open("believe")
    desk.fill({f"#begin [name={name}]": value for name, value in (
        ("plugin", "movies"), ("ratings", "log"), ("format", "movielens"), ("max_users", "4"), ("history", "4")
    )})  # fmt: skip
    desk.photograph("begin")
    desk.click("#begin button")
    desk.wait("location.pathname === '/believe/judge' && document.documentElement.dataset.ready === 'yes'")
    desk.fill({"#judge [name=name]": "Ada"})
    desk.click("#judge button")
    desk.wait("!document.getElementById('asking').hidden")
    desk.photograph("judge")
    while desk.js("!document.getElementById('asking').hidden"):
        before = desk.js("document.getElementById('number').textContent")
        desk.click("[data-side=first]")
        desk.wait(
            f"document.getElementById('asking').hidden || document.getElementById('number').textContent !== {before!r}"
        )
    desk.wait("!document.getElementById('results').hidden")
    desk.photograph("results")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", action="store_true", help="Write pictures of the documentation.")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    (folder / "runs").mkdir(parents=True)
    for name in ("cache", "state"):  # an answer that is in the user's cache takes no time to be watched in
        os.environ[f"EMOSIM_{name.upper()}_DIR"] = str(folder / name)
    chrome = webdriver.ChromeOptions()
    chrome.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        chrome.add_argument(argument)
    chrome.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with subprocess.Popen([*EMOSIM, "view", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http\S+", server.stdout.readline())
        assert found is not None
        driver = webdriver.Chrome(options=chrome, service=Service(shutil.which("chromedriver")))
        try:
            pause = [0.2]
            with ChatServer(
                lambda request: Answer(str(3 + crc32(str(request).encode()) % 6), delay=pause[0])
            ) as service:
                work(Desk(folder, found[0], driver), service.url, pause)
        finally:
            driver.quit()
            server.send_signal(signal.SIGINT)
    if options.docs:
        for name in PICTURES:
            with Image.open(folder / "shots" / f"{name}-1400-light.png") as shot:
                few = shot.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(ROOT / "docs" / "images" / f"view-{name.partition('-')[0]}.png", optimize=True)


if __name__ == "__main__":
    main()
