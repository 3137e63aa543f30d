"""A user is met, and pairs are judged, in a real browser: with clicks and keys, and nothing wrong in the console."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

import emosim_core
from emosim_core.hooks import Registry
from emosim_core.studies.believability.believability import Believability, BelievabilityConfig
from emosim_core.testing import Answer, ChatServer
from emosim_core.testing.command_line import Emosim

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def root(movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with users in a table and fitted ones, a log, a run, and a believability test that nobody has judged."""
    folder = tmp_path_factory.mktemp("view")
    with (folder / "people.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "name", "description", "liked"])
        writer.writerow(["p1", f"Ada {HOSTILE}", HOSTILE, "drama"])
        writer.writerow(["p2", "Bo Lind", "Bo likes war.", "war"])
    shutil.copytree(movielens, folder / "ml")
    emosim_core.fit("movies", folder / "fitted", ratings=f"movielens:{folder / 'ml'}")
    emosim_core.run("movies", folder / "a", episodes=2, max_steps=3, slate=2)
    environment = {"plugin": "movies"}
    log = f"movielens:{movielens}"
    config = BelievabilityConfig(environment=environment, ratings=log, history=4, earlier=3, max_users=4)
    Believability(config, Registry()).run(folder / "judge")
    return folder


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    """Where ``emosim view`` shows it, with the token."""
    command = [sys.executable, "-m", "emosim_core", "view", str(root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http\S+", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


class Visit:
    """Chromium at a page of the application."""

    def __init__(self, driver: Any, address: str) -> None:
        self.driver, self._address = driver, address
        driver.get_log("browser")
        driver.get(address)

    def open(self, path: str) -> None:
        self.driver.get(self._address.partition("?")[0] + path)
        self.wait("document.documentElement.dataset.ready === 'yes'")

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {code}", *arguments)

    def wait(self, condition: str, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not self.js(condition):
            assert time.monotonic() < until, f"never true: {condition}; {self.text('#trouble')}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        self.wait(f"document.querySelector({json.dumps(selector)})?.disabled === false")
        self.js("document.querySelector(arguments[0]).scrollIntoView({block: 'center', behavior: 'instant'})", selector)
        self.driver.find_element("css selector", selector).click()

    def fill(self, selector: str, value: str) -> None:
        self.js(
            "(() => { const one = document.querySelector(arguments[0]); one.value = arguments[1]; "
            "one.dispatchEvent(new Event('input', {bubbles: true})); "
            "one.dispatchEvent(new Event('change', {bubbles: true})); })()",
            selector,
            value,
        )

    def text(self, selector: str) -> str:
        return str(self.js("document.querySelector(arguments[0]).textContent", selector))

    def press(self, key: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        ActionChains(self.driver).send_keys(getattr(Keys, key, key)).perform()


@pytest.fixture
def visit(chromium: Any, address: str) -> Iterator[Visit]:
    """A browser whose console must be empty in the end."""
    one = Visit(chromium, address)
    yield one
    assert one.js("document.title").find("owned") < 0
    assert one.driver.get_log("browser") == []


def meet(visit: Visit, user: str, **fields: str) -> None:
    visit.open("meet")
    for name, value in fields.items():
        visit.fill(f"#world [name={name}]", value)
    visit.click("#world button")
    visit.wait("document.querySelectorAll('#users button').length > 0")
    visit.fill("#user-search", user)
    visit.wait("document.getElementById('users-found').textContent.startsWith('1 of 1 ')")
    visit.click("#users button")
    visit.wait("!document.getElementById('meeting').hidden && document.querySelectorAll('#items button').length > 0")


def steps(visit: Visit) -> list[str]:
    return list(visit.js("[...document.querySelectorAll('#steps .step')].map((one) => one.textContent)"))


def accessible_and_fits_a_phone(visit: Visit) -> None:
    """See that axe finds nothing in light and dark, and that nothing is wider than a phone."""
    from axe_core_python.selenium import Axe

    def emulate(what: str, **how: Any) -> None:
        visit.driver.execute_cdp_cmd(f"Emulation.{what}", how)

    for scheme in ("light", "dark"):
        emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        found = [
            (one["id"], [node["html"][:120] for node in one["nodes"]]) for one in Axe().run(visit.driver)["violations"]
        ]
        assert found == [], scheme
    emulate("setEmulatedMedia", features=[])
    emulate("setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    visit.wait("document.documentElement.scrollWidth <= 360")
    emulate("clearDeviceMetricsOverride")


def offered(visit: Visit) -> None:
    """Offer the slate, and wait until the step is there."""
    before = len(steps(visit))
    visit.click("#offer")
    visit.wait(f"document.querySelectorAll('#steps .step').length === {before + 1}")
    visit.wait("document.getElementById('happened').textContent.startsWith('Step ')")


def test_a_user_is_met_offered_slates_taken_back_and_saved_as_a_run(visit: Visit, root: Path, quick: Emosim) -> None:
    meet(visit, "u0004", plugin="movies", slate="2", choice="ratings_first")
    assert "Character:" in visit.text("#user-lines")
    assert "nothing yet" in visit.text("#remembered summary")
    visit.js("document.getElementById('item-search').focus()")
    for title in ("the dark knight rises", "inception"):
        visit.fill("#item-search", title)
        visit.press("ENTER")  # at once: what was found before must not be taken
        visit.wait(f"document.getElementById('slate').textContent.toLowerCase().includes({title!r})")
    assert visit.text("#slate-says") == "The slate is full."
    offered(visit)
    first = steps(visit)[0]
    assert "The Dark Knight Rises" in first
    assert "Inception" in first
    assert "From 6" in first  # the worded reason
    assert "rated" in visit.text("#happened")
    mood = visit.text("#mood")
    for policy in ("popular", "similar_to_liked"):
        visit.fill("#policy", policy)
        visit.click("#suggest")
        visit.wait("document.getElementById('slate-says').textContent === 'The slate is full.'")
        offered(visit)
    visit.click("#steps .step:last-child .again")
    visit.wait("document.querySelectorAll('#steps .step').length === 1")
    assert steps(visit) == [first]
    assert visit.text("#mood") == mood
    assert "1 film" in visit.text("#remembered summary")
    visit.fill("#run-name", "met")
    visit.click("#save")
    visit.wait("document.getElementById('saved').textContent.startsWith('Saved as met')")
    visit.driver.refresh()
    visit.wait("document.querySelectorAll('#steps .step').length === 1")
    summary = json.loads((root / "met" / "summary.json").read_text())
    assert (summary["complete"], summary["steps"], summary["episodes"]) == (True, 1, 1)
    shown = " ".join(quick("show", str(root / "met"), "--episode", "0").out.split())
    assert "The Dark Knight Rises" in shown
    quick("report", str(root / "met"), "--out", "page.html")
    visit.open("job/met")


def test_texts_of_users_are_data_and_a_run_lends_its_world(visit: Visit) -> None:
    meet(visit, "ada", plugin="movies", users="people.csv")
    assert HOSTILE in visit.text("#user-name")
    assert visit.js("document.querySelectorAll('#meeting img').length") == 0
    visit.click("#another")
    visit.wait("!document.getElementById('setup').hidden")
    meet(visit, "u0002", like="a")
    assert "Slate of 2" in visit.text("#about-world")
    visit.fill("#policy", "random")
    visit.click("#suggest")
    offered(visit)
    assert len(steps(visit)) == 1


def test_a_fitted_user_is_met_with_the_items_of_the_log(visit: Visit, root: Path) -> None:
    with (root / "fitted" / "users.csv").open(encoding="utf-8") as stream:
        user = next(csv.DictReader(stream))
    visit.open("meet")
    visit.fill("#world [name=users]", "fitted")
    visit.click("#world button")
    visit.wait("document.querySelectorAll('#users button').length > 1")
    assert "fitted" in visit.text("#about-world")
    visit.click("#users button")
    visit.wait("!document.getElementById('meeting').hidden && document.querySelectorAll('#items button').length > 0")
    assert user["name"] in visit.text("#user-name")
    assert "Film " in visit.text("#items")  # of the log, not of the domain
    visit.fill("#policy", "random")
    visit.click("#suggest")
    offered(visit)
    assert re.search(r"rated \d", visit.text("#happened"))
    accessible_and_fits_a_phone(visit)


def test_a_language_model_shows_its_prompt_and_a_failed_answer_is_no_step(chromium: Any, address: str) -> None:
    visit = Visit(chromium, address)
    answers = chain(["8"], repeat("no idea"))
    with ChatServer(lambda body: Answer(next(answers))) as server:
        meet(visit, "u0001", plugin="movies", llm_model=f"{server.url}#m")
        assert "language model" in visit.text("#about-world")
        visit.click("#items button")
        offered(visit)
        assert "Prompt and raw answer" in steps(visit)[0]
        assert "You are" in steps(visit)[0]
        visit.click("#items li:nth-child(2) button")
        visit.click("#offer")
        visit.wait("!document.getElementById('trouble').hidden")
        assert "no rating by" in visit.text("#trouble")
        assert len(steps(visit)) == 1
        assert "4 for 4 requests" in visit.text("#spent") or "calls" in visit.text("#spent")
    assert [entry for entry in visit.driver.get_log("browser") if "422" not in entry["message"]] == []


def test_a_person_judges_with_the_keyboard_and_sees_no_truth_before_the_results(visit: Visit, root: Path) -> None:
    pairs = [json.loads(line) for line in (root / "judge" / "pairs.jsonl").read_text().splitlines()]
    visit.open("believe/judge")
    visit.fill("#judge [name=name]", "Ada")
    visit.click("#judge button")
    for number, pair in enumerate(pairs):
        visit.wait(f"document.getElementById('number').textContent === 'Pair {number + 1} of {len(pairs)}'")
        said = visit.js("JSON.stringify(asked)")
        assert "real" not in said
        assert pair["user"] not in json.loads(said).values()
        badges = visit.js("[...document.querySelectorAll('#later .badge')].map((one) => Number(one.textContent))")
        sides = [pair["real"], pair["simulated"]][:: 1 if pair["real_side"] == "first" else -1]
        assert [badges[::2], badges[1::2]] == sides
        visit.press("ARROW_LEFT" if pair["real_side"] == "first" else "ARROW_RIGHT")
    visit.wait("!document.getElementById('results').hidden")
    assert f"Person Ada finds the real user in {len(pairs)} of {len(pairs)} pairs" in visit.text("#sentence")
    exported = visit.driver.execute_async_script(
        "const [go] = arguments; fetch('/api/believe/export/csv?path=judge').then((one) => one.text()).then(go)"
    )
    mine = [row for row in csv.DictReader(exported.splitlines()) if row["judge"] == "person Ada"]
    assert [row["right"] for row in mine] == ["1"] * len(pairs)
    accessible_and_fits_a_phone(visit)


def test_a_test_is_begun_from_a_log_and_judged_without_a_shell(visit: Visit, root: Path) -> None:
    visit.open("believe")
    assert visit.js("[...document.querySelector('[name=ratings]').options].map((one) => one.value)")[1] == "ml"
    for name, value in {
        "plugin": "movies",
        "ratings": "ml",
        "format": "movielens",
        "max_users": "4",
        "history": "4",
    }.items():
        visit.fill(f"#begin [name={name}]", value)
    accessible_and_fits_a_phone(visit)
    visit.click("#begin button")
    visit.wait("location.pathname === '/believe/judge-1' && document.documentElement.dataset.ready === 'yes'")
    manifest = json.loads((root / "judge-1" / "manifest.json").read_text())
    assert manifest["parts"]["rater"]["name"] == "fitted"
    visit.fill("#judge [name=name]", "Bo")
    visit.click("#judge button")
    visit.wait("!document.getElementById('asking').hidden")
    accessible_and_fits_a_phone(visit)
    visit.press("ARROW_LEFT")
    visit.wait("document.getElementById('number').textContent.startsWith('Pair 2 ')")
    assert len((root / "judge-1" / "verdicts.jsonl").read_text().splitlines()) == 1
