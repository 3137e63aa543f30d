"""The application in a real browser, served by the command: lists, live updates, episodes, comparisons, keyboard."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emosim_core.testing import Answer, ChatServer, Emosim

pytestmark = pytest.mark.slow


@pytest.fixture
def served(emosim: Emosim, root: Path) -> Iterator[str]:
    """The address that ``emosim view`` prints, without its token's cookie."""
    with emosim.start("view", root, "--port", "0") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)
        assert found, line
        yield found.group()
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode in (0, 130)
        assert time.monotonic() - begun < 15  # though a browser follows its streams


@pytest.fixture
def at(browser: Any, served: str) -> Any:
    """Opens a page of the application: ``at("/job/random")``."""
    base = served.partition("/?")[0]
    browser.driver.get(served)

    def visit(address: str) -> Any:
        browser.visit(base + address)
        return browser

    yield visit
    browser.driver.get("about:blank")


def names(browser: Any) -> list[str]:
    return browser.js("[...document.querySelectorAll('#jobs tbody tr')].map((one) => one.dataset.path)")


def type_in(browser: Any, field: str, value: str) -> None:
    """Write into a field as a user does."""
    browser.js(
        "((one, value) => { one.value = value; one.dispatchEvent(new Event('input', {bubbles: true})); })"
        "(document.getElementById(arguments[0]), arguments[1])",
        field,
        value,
    )


def faults(browser: Any) -> list[str]:
    """What axe finds wrong on the page, and where."""
    from axe_core_python.selenium import Axe

    found = Axe().run(browser.driver)["violations"]
    return [f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes']]}" for one in found]


def test_the_list_sorts_filters_and_searches_and_follows_the_folder(at: Any, root: Path) -> None:
    browser = at("/")
    browser.wait("document.querySelectorAll('#jobs tbody tr').length === 5")
    browser.js("document.querySelector('[data-sort=name]').click()")
    assert names(browser) == sorted(names(browser))
    assert browser.js("document.querySelector('th.name').getAttribute('aria-sort')") == "ascending"
    browser.js("document.querySelector('[data-sort=name]').click()")
    assert names(browser) == sorted(names(browser), reverse=True)
    type_in(browser, "q", "top_rated")
    assert names(browser) == ["deep/top"]
    type_in(browser, "q", "")
    type_in(browser, "state", "failed")
    assert names(browser) == ["failed"]
    assert "<b>no route</b>" in browser.js("document.querySelector('.why').textContent")
    type_in(browser, "state", "")
    shutil.copytree(root / "random", root / "appeared")
    browser.wait("document.querySelectorAll('#jobs tbody tr').length === 6")
    shutil.rmtree(root / "appeared")
    browser.wait("document.querySelectorAll('#jobs tbody tr').length === 5")


def test_a_running_command_is_followed_to_its_end(at: Any, root: Path, emosim: Emosim) -> None:
    pause = [0.15]
    with ChatServer(lambda request: Answer("7", delay=pause[0])) as server:
        model = ("--plugin", "movies", "--llm-model", f"{server.url}#small", "--concurrency", "2", "--num-envs", "2")
        browser = at("/")
        browser.wait("document.querySelectorAll('#jobs tbody tr').length === 5")
        with emosim.start(
            "run", *model, "--episodes", "60", "--max-steps", "2", "--quiet", "--out", root / "going"
        ) as run:
            browser.wait("document.querySelector('[data-path=going] .state-running') !== null")
            browser = at("/job/going")
            browser.wait("document.querySelectorAll('#newest tbody tr').length > 3")
            browser.wait("document.querySelector('#live-charts .plot[data-drawn]') !== null")
            shown = browser.js("document.getElementById('progress').textContent")
            assert re.fullmatch(r"\d+ of 60 episodes, \d+%", shown)
            assert "answers" in browser.js("document.getElementById('spending').textContent")
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=60)
        browser.wait("document.getElementById('state').textContent === 'stopped'")
        command = browser.js("document.querySelector('#resume code').textContent")
        assert command == f"emosim run --resume {root}/going"
        pause[0] = 0.0
        emosim(*command.split()[1:], *model[2:4], "--quiet", timeout=300)
    browser.wait("document.getElementById('state').textContent === 'complete'")
    browser.wait("document.querySelectorAll('#facts .facts div').length > 3")
    browser = at("/prompts/going")
    browser.wait("document.querySelectorAll('#rows > li').length === 20")
    assert "Answer: 7" in browser.js("document.getElementById('rows').innerText")


def test_what_a_run_has_to_show_appears_on_its_page(at: Any, root: Path, emosim: Emosim) -> None:
    place = root / "stopped" / "interactions.jsonl"
    place.rename(root / "aside")
    browser = at("/job/stopped")
    hidden = "document.querySelector('[data-page=episodes]').hidden"
    browser.wait("document.getElementById('progress').textContent.startsWith('0 of 24')")
    assert browser.js(hidden) is True
    (root / "aside").rename(place)
    browser.wait(f"!{hidden}")
    with ChatServer(lambda request: Answer("7", delay=0.02)) as server:
        options = ("--plugin", "movies", "--llm-model", f"{server.url}#small", "--max-steps", "2", "--num-envs", "4")
        with emosim.start(
            "run", *options, "--records", "parquet", "--episodes", "2000", "--quiet", "--out", root / "blocks"
        ) as run:
            while not (root / "blocks" / "manifest.json").exists():
                assert run.poll() is None
                time.sleep(0.05)
            browser = at("/job/blocks")
            browser.wait("/^[1-9]\\d* of 2,000 episodes/.test(document.getElementById('progress').textContent)")
            assert "blocks of many episodes" in browser.js("document.getElementById('later').innerText")
            browser.wait("!document.querySelector('[data-page=prompts]').hidden")
            assert browser.js(hidden) is True
            browser.wait("document.querySelectorAll('#newest tbody tr').length > 5")
            assert browser.js("document.querySelectorAll('#newest a').length") == 0  # no story can be read yet
            browser.wait("document.querySelectorAll('#live-charts [data-drawn]').length === 2")
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=60)
        browser.wait("document.getElementById('state').textContent === 'stopped'")
        browser.wait("document.getElementById('later').hidden")


def on_paper(browser: Any) -> tuple[list[str], list[str], list[str]]:
    """What cannot be used on paper and is shown, what is cut off, and charts that are not whole, as it is printed."""
    browser.emulate("setDeviceMetricsOverride", width=700, height=1000, deviceScaleFactor=1, mobile=False)
    browser.emulate("setEmulatedMedia", media="print")
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    browser.wait("[...document.querySelectorAll('.plot')].every((one) => one.dataset.drawn)")
    label = "(one.id || one.innerText || one.className)"
    controls = "nav, form, iframe, button:not(th button)"
    shown = browser.js(
        f"[...document.querySelectorAll({controls!r})].filter((one) => one.checkVisibility()).map((one) => {label})"
    )
    cut = browser.js(
        "[...document.querySelectorAll('.scroll, main')].filter((one) => one.checkVisibility() && "
        f"(one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1)).map((one) => {label})"
    )
    charts = browser.js(
        "[...document.querySelectorAll('.plot')].filter((one) => { const [plot, card] = [one.querySelector('svg'), "
        "one.closest('.card, #story')].map((which) => which.getBoundingClientRect()); "
        "return plot.width < 300 || plot.right > card.right; }).map((one) => one.ariaLabel)"
    )
    return shown, cut, charts


def test_paper_has_whole_tables_and_charts_and_nothing_to_press(at: Any) -> None:
    for address, ready in (
        ("/", "document.querySelectorAll('#jobs tbody tr').length === 5"),
        ("/job/random", "document.querySelector('#sections .plot[data-drawn]') !== null"),
        ("/episodes/random", "document.querySelector('#story .plot[data-drawn]') !== null"),
        ("/compare?d=random&d=deep%2Ftop", "document.querySelector('#charts .plot[data-drawn]') !== null"),
        ("/report/random", "document.getElementById('waiting').hidden"),
    ):
        browser = at(address)
        browser.js("document.getElementById('theme').click()")
        browser.wait(ready, 60)
        assert on_paper(browser) == ([], [], []), address
        if address == "/job/random":
            assert browser.js("document.querySelectorAll('#sections .plot').length") > 5
            assert "Configuration" in browser.js("document.getElementById('sections').innerText")
            assert browser.js("document.documentElement.dataset.theme") == "light"
            browser.emulate("setEmulatedMedia", media="")
            browser.emulate("clearDeviceMetricsOverride")
            browser.js("window.dispatchEvent(new Event('afterprint'))")
            browser.wait(
                "[...document.querySelectorAll('.part[open] .wide')].every((one) => "
                "one.querySelector('svg').clientHeight > 100 && one.scrollHeight <= one.clientHeight + 1)"
            )
            assert browser.js("document.documentElement.dataset.theme") == "dark"
        browser.emulate("setEmulatedMedia", media="")
        browser.emulate("clearDeviceMetricsOverride")
    browser = at("/job/random")
    assert browser.js("document.querySelector('nav').checkVisibility()")


def test_tags_are_written_and_found(at: Any) -> None:
    browser = at("/job/random")
    browser.js("document.getElementById('tags').value = 'baseline, paper'")
    browser.js("document.getElementById('note').value = 'the <i>first</i>'")
    browser.js("document.querySelector('#remark button').click()")
    browser.wait("document.getElementById('saved').textContent === 'Saved.'")
    browser = at("/")
    browser.wait("document.querySelectorAll('.tag').length === 2")
    type_in(browser, "tag", "paper")
    assert names(browser) == ["random"]
    assert browser.js("document.querySelector('.remark').textContent") == "the <i>first</i>"


def test_episodes_are_searched_and_read_with_the_keyboard(at: Any, root: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    lines = [json.loads(line) for line in (root / "random" / "interactions.jsonl").read_text().splitlines()]
    title = lines[5]["recommended"][0]["title"]
    browser = at("/episodes/random")
    browser.wait("document.querySelector('#story .step') !== null")
    assert browser.js("document.querySelectorAll('.picks .row').length") == 24
    browser.js("document.documentElement.dataset.found = ''")
    type_in(browser, "text", f'"{title}"')
    browser.wait("document.documentElement.dataset.found !== ''")
    numbers = browser.js("[...document.querySelectorAll('.picks .row')].map((one) => Number(one.dataset.number))")
    assert numbers == sorted({one["episode"] for one in lines if title in [i["title"] for i in one["recommended"]]})
    browser.js("document.querySelector('.picks .row').focus()")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.wait("document.activeElement.id === 'story'")
    browser.wait("document.querySelector('#story mark') !== null")
    assert browser.js("location.hash") == f"#episode-{numbers[0]}"
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.js("document.activeElement.dataset.number") == str(numbers[0])


def test_ticked_results_are_compared(at: Any) -> None:
    browser = at("/")
    browser.wait("document.querySelectorAll('#jobs tbody tr').length === 5")
    assert browser.js("document.getElementById('compare').getAttribute('aria-disabled')") == "true"
    for path in ("random", "deep/top"):
        browser.js('document.querySelector(`[data-path="${arguments[0]}"] input`).click()', path)
    browser.js("document.getElementById('compare').click()")
    browser.wait("document.querySelector('#charts .plot[data-drawn]') !== null")
    text = browser.js("document.getElementById('metrics').innerText")
    assert "reward per episode" in text
    assert "top_rated" in browser.js("document.getElementById('differs').innerText")


def test_a_report_inside_reaches_nothing_of_the_application(at: Any, root: Path) -> None:
    script = (
        "<title>r</title><p id='said'></p><script>const said = (text) => { document.getElementById('said').textContent "
        "+= text + ';'; }; try { parent.document.title = 'owned'; } catch { said('no parent'); } "
        "try { document.cookie = 'a=b'; } catch { said('no cookie'); } "
        "try { localStorage.a = 1; } catch { said('no storage'); }</script>"
    )
    (root / "random" / "report.html").write_text(script)
    browser = at("/job/random")
    browser.js("document.querySelector('.actions a').click()")
    browser.wait("document.getElementById('waiting')?.hidden === true")
    browser.driver.switch_to.frame("report")
    assert browser.js("document.getElementById('said').textContent") == "no parent;no cookie;no storage;"
    browser.driver.switch_to.default_content()
    assert browser.js("document.title").startswith("Report of random")


def test_the_report_of_a_run_draws_its_charts_inside(at: Any) -> None:
    browser = at("/job/random")
    browser.js("document.querySelector('.actions a').click()")
    browser.wait("document.getElementById('waiting')?.hidden === true", 60)
    browser.driver.switch_to.frame("report")
    browser.wait("document.querySelector('.plot[data-drawn]') !== null")
    assert browser.js("document.querySelectorAll('.episode').length") > 3
    browser.driver.switch_to.default_content()


def test_every_page_is_accessible_in_light_and_dark_and_fits_a_phone(at: Any) -> None:
    for address, ready in (
        ("/", "document.querySelectorAll('#jobs tbody tr').length === 5"),
        ("/job/failed", "document.getElementById('live').hidden === false"),
        ("/job/random", "document.querySelectorAll('#facts .facts div').length > 3"),
        ("/episodes/random", "document.querySelector('#story .step') !== null"),
        ("/compare?d=random&d=deep%2Ftop", "document.querySelector('#metrics table') !== null"),
        ("/compare", "true"),
    ):
        browser = at(address)
        browser.wait(ready)
        for scheme in ("light", "dark"):
            browser.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            assert faults(browser) == [], (address, scheme)
        browser.emulate("setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
        browser.wait("document.documentElement.scrollWidth <= 360")
        assert browser.js("((one) => one.scrollWidth <= one.clientWidth)(document.querySelector('.top ul'))")
        browser.emulate("clearDeviceMetricsOverride")
    browser.js("document.getElementById('main').append(document.createElement('img'))")
    assert "image-alt" in "".join(faults(browser))  # what is wrong is found


def test_without_the_token_the_port_gives_nothing(served: str) -> None:
    base = served.partition("/?")[0]
    assert httpx.get(base).status_code == 403
    assert httpx.get(served).status_code == 303


def test_without_the_extra_the_command_says_what_to_install(emosim: Emosim) -> None:
    (emosim.site / "starlette.py").parent.mkdir(exist_ok=True)
    (emosim.site / "starlette.py").write_text("raise ModuleNotFoundError('starlette', name='starlette')")
    (emosim.folder / "runs").mkdir()
    message = emosim("view", status=2).err
    assert 'pip install "emosim-core[view]"' in message
    (emosim.site / "starlette.py").unlink()
    assert "there is no directory" in emosim("view", "nowhere", status=2).err
