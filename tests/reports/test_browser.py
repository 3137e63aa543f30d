"""Reports in a real browser: charts are drawn, episodes found and shown, and nothing is wrong in the console."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emosim_core.reports import Chart, Series, write_report
from emosim_core.reports.chart import Table
from emosim_core.reports.page import page as written
from emosim_core.reports.report import Report, Section

pytestmark = pytest.mark.slow


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "interactions.jsonl").read_text().splitlines()]


def test_every_chart_is_drawn_and_has_its_numbers_as_a_table(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.draw_all()
    charts = browser.js("[...document.querySelectorAll('[data-chart]')].map((one) => one.dataset.chart)")
    assert {"ratings", "end-reasons", "ratings-over-time", "moods", "categories", "heat"} <= set(charts)
    for chart in charts:
        holder = f"document.getElementById('chart-{chart}')"
        assert browser.js(f"{holder}.querySelectorAll('.plot svg').length") > 0
        assert browser.js(f"{holder}.querySelector('.plot').getAttribute('role')") == "img"
        assert browser.js(f"{holder}.querySelector('table')") is None
        browser.js(f"{holder}.querySelector('summary').click()")
        browser.wait(f"{holder}.querySelector('table tbody tr') !== null")


def test_a_charts_table_has_the_numbers_of_the_run(browser: Any, page: Path, made: Path) -> None:
    browser.open(page)
    browser.js("document.querySelector('#chart-ratings summary').click()")
    browser.wait("document.querySelector('#chart-ratings table') !== null")
    rows = browser.js(
        "[...document.querySelectorAll('#chart-ratings tbody tr')]"
        ".map((row) => [...row.children].map((cell) => cell.innerText))"
    )
    counts = json.loads((made / "a" / "summary.json").read_text())["rating_counts"]
    assert {row[0]: int(row[-1].replace(",", "")) for row in rows} == counts


def test_search_finds_the_episodes_with_a_title_and_marks_it(browser: Any, page: Path, made: Path) -> None:
    lines = records(made / "a")
    title = lines[5]["recommended"][0]["title"]
    with_it = {record["episode"] for record in lines if any(title in one["title"] for one in record["recommended"])}
    browser.open(page)
    assert browser.episodes_shown == 60
    browser.fill("text", f'"{title}"')
    # a title may also stand in a reason or a description
    assert browser.episodes_shown >= len(with_it) > 0
    browser.js("document.querySelector('.episode').click()")
    browser.wait("document.querySelector('#story mark') !== null")
    assert browser.js("document.querySelector('#story mark').textContent").lower() == title.lower()
    browser.fill("text", "no film has this in its title")
    assert browser.episodes_shown == 0
    browser.js("document.querySelector('#filters button[type=reset]').click()")
    browser.wait("document.getElementById('found').textContent.startsWith('60 of')")


def test_filters_by_user_end_reason_and_rating_agree_with_the_records(browser: Any, page: Path, made: Path) -> None:
    lines = records(made / "a")
    ends = {record["episode"]: record["end_reason"] for record in lines if record["end_reason"]}
    ratings: dict[int, list[float]] = {}
    for record in lines:
        for one in record["recommended"]:
            ratings.setdefault(record["episode"], []).append(one["rating"])
    means = {episode: sum(some) / len(some) for episode, some in ratings.items()}
    name = lines[0]["user_profile"]["name"]
    browser.open(page)
    browser.fill("user", name)
    assert browser.episodes_shown == sum(r["step"] == 1 and r["user_profile"]["name"] == name for r in lines)
    browser.fill("user", "")
    choice = browser.js(
        "[...document.querySelectorAll('#end_reason option')].find((o) => o.text === 'stayed to the end').value"
    )
    browser.fill("end_reason", choice)
    assert browser.episodes_shown == sum(end == "max_steps" for end in ends.values())
    browser.fill("from", "8")
    assert browser.episodes_shown == sum(means[k] >= 8 and ends[k] == "max_steps" for k in ends)
    browser.fill("end_reason", "")
    browser.fill("to", "8.5")
    assert browser.episodes_shown == sum(8 <= mean <= 8.5 for mean in means.values())
    browser.fill("order", "worst")
    shown = browser.js("[...document.querySelectorAll('.episode .badge')].map((one) => Number(one.textContent))")
    assert shown == sorted(shown)


def test_an_episode_is_shown_with_all_that_is_on_record(browser: Any, page: Path, made: Path) -> None:
    lines = [record for record in records(made / "a") if record["episode"] == 7]
    browser.open(page, "#episode-7")
    browser.wait("document.getElementById('story-title') !== null")
    text = browser.js("document.getElementById('story').textContent")
    assert lines[0]["user_profile"]["name"] in text
    assert lines[0]["user_profile"]["description"] in text
    steps = browser.js("[...document.querySelectorAll('#story .step')].map((one) => one.textContent)")
    assert len(steps) == len(lines)
    for step, record in zip(steps, sorted(lines, key=lambda one: one["step"]), strict=True):
        one = record["recommended"][0]
        assert one["title"] in step
        assert one["reason"] in step
        assert f"reward {record['reward']}" in step
        for past in one["retrieved"]:
            assert f"{past['title']} ({past['rating']})" in step


def test_an_address_of_an_episode_opens_it_whatever_the_filters_say(browser: Any, page: Path) -> None:
    browser.open(page, "#episode-7")
    browser.fill("text", "no film has this in its title")
    assert browser.episodes_shown == 0
    browser.js("location.hash = '#episode-9'")
    browser.wait("document.getElementById('story-title').textContent.startsWith('Episode 9:')")
    assert browser.episodes_shown == 60


def test_the_first_episode_is_open_and_a_search_that_finds_nothing_says_so(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.wait("document.getElementById('story-title') !== null")
    assert browser.js("document.getElementById('story-title').textContent").startswith("Episode 0:")
    assert browser.js("location.hash") == ""
    assert browser.js("document.activeElement === document.body")
    browser.fill("text", "no film has this in its title")
    assert browser.js("document.getElementById('found').textContent").startswith("0 of 60 episodes: nothing found.")


def test_charts_that_nobody_scrolled_to_are_drawn_too(browser: Any, page: Path) -> None:
    browser.open(page)
    count = browser.js("document.querySelectorAll('[data-chart] .plot').length")
    assert browser.js("document.documentElement.scrollHeight") > 2000
    browser.wait(f"document.querySelectorAll('.plot[data-drawn]').length >= {count}")
    assert browser.js("scrollY") == 0


def test_the_list_works_with_the_keyboard_and_says_where_it_is(browser: Any, page: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    holder = browser.driver.find_element(By.ID, "list")
    holder.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    active = "document.getElementById(document.getElementById('list').getAttribute('aria-activedescendant'))"
    assert browser.js(f"{active}.getAttribute('aria-posinset')") == "3"
    assert browser.js(f"{active}.getAttribute('aria-setsize')") == "60"
    assert browser.js(f"{active}.getAttribute('aria-selected')") == "true"
    holder.send_keys(Keys.END)
    assert browser.js(f"{active}.getAttribute('aria-posinset')") == "60"
    holder.send_keys(Keys.ENTER)
    browser.wait("document.activeElement.id === 'story'")
    assert browser.js("document.getElementById('story-title').textContent").startswith("Episode 59: ")
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.js("document.activeElement.id") == "list"


def test_only_rows_that_are_seen_are_elements(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.wait("document.querySelectorAll('.episode').length > 0")
    assert browser.js("document.querySelectorAll('.episode').length") < 40
    browser.js("document.getElementById('list').scrollTop = 1e9")
    browser.wait("[...document.querySelectorAll('.episode')].some((one) => one.getAttribute('aria-posinset') === '60')")
    assert browser.js("document.querySelectorAll('.episode').length") < 40


def test_it_fits_a_phone(browser: Any, page: Path) -> None:
    browser.emulate("setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    browser.open(page)
    browser.draw_all()
    browser.js("document.querySelector('.episode').click()")
    browser.wait("document.getElementById('story-title') !== null")
    assert browser.js("document.documentElement.scrollWidth") <= 360
    small = browser.js(
        "[...document.querySelectorAll('button, input, select')]"
        ".filter((one) => one.offsetHeight && one.offsetHeight < 40).length"
    )
    assert small == 0


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A page with bars of more series than there are colours, long names, values without intervals and wide tables."""
    names = [f"a_name_that_is_rather_long number {number}, in two parts" for number in range(6)]
    bars = [Series(name, [0.5, 0.6], low=[0.4, None], high=[0.6, None]) for name in names]
    charts = [
        Chart("bars", "rows", "Bars", "Many.", "value", "", bars, names=("matrix_factorization", "x")),
        Chart("none", "rows", "None", "Bare.", "value", "", [Series("a", [1], low=[None], high=[None])], names=["x"]),
        Chart("heat", "heat", "Heat", "Hot.", "across", "up", names=names, rows=names, cells=[[0.5] * 6] * 6),
    ]
    cells = [["a name of a row", *["0.123 [0.100, 0.200]"] * 5] for _ in range(40)]
    tables = [
        Table("Wide", ("name", *"abcde"), cells),
        Table("Pair", ("what", "value"), [["sha256", "0123456789abcdef" * 4]]),
    ]
    path = tmp_path / "many.html"
    path.write_text(written(Report("run", "Many", "", sections=[Section("s", "All", charts=charts, tables=tables)])))
    return path


@pytest.mark.parametrize("width", [1400, 390])
def test_bars_labels_and_tables_can_be_read_at_any_width(browser: Any, many: Path, width: int) -> None:
    browser.emulate("setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    browser.open(many)
    browser.draw_all()
    looks = browser.js(
        "[...document.querySelectorAll('#chart-bars .legendpoints path')].map((one) => getComputedStyle(one).fill)"
    )
    assert len(set(looks)) == len(looks) == 6
    # Of two values only the first has an interval, and the value of the second chart has none.
    drawn = "[...document.querySelectorAll('#chart-{} .errorbar path')].filter((one) => one.getAttribute('d')).length"
    assert browser.js(drawn.format("bars")) == 6
    assert browser.js(drawn.format("none")) == 0
    assert browser.js("document.querySelector('#chart-bars .ytick text').textContent") == "matrix_factorization"
    assert browser.js("document.querySelectorAll('#chart-heat .xtick tspan, #chart-heat .ytick tspan').length") == 0
    table = "document.querySelector('[aria-label=Wide]')"
    assert browser.js(f"{table}.scrollHeight > {table}.clientHeight")
    assert browser.js(f"getComputedStyle({table}).backgroundImage").count("linear-gradient") == 8
    lines = "((text) => { text.selectNodeContents(cell); return text.getClientRects().length; })(new Range())"
    assert browser.js(f"[...{table}.querySelectorAll('td')].every((cell) => {lines} === 1)")
    browser.js(f"{table}.scrollLeft = 1000")
    assert browser.js(f"{table}.scrollLeft > 0") == (width < 500)
    seen = f"{table}.querySelector('tbody th').getBoundingClientRect().left - {table}.getBoundingClientRect().left"
    assert abs(browser.js(seen)) < 1
    pair = "document.querySelector('[aria-label=Pair]')"
    assert browser.js(f"{pair}.scrollWidth <= {pair}.clientWidth")


def test_dark_follows_the_system_and_the_switch(browser: Any, page: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "document.querySelector('#chart-ratings .plot .xtick text').style.fill"
    browser.open(page)
    browser.wait(f"document.querySelector('#chart-ratings .plot .xtick text') && {ink} !== ''")
    light, dark_ink = browser.js(ground), browser.js(ink)
    browser.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.wait(f"{ground} !== {json.dumps(light)}")
    browser.wait(f"{ink} !== {json.dumps(dark_ink)}")
    assert browser.js("document.getElementById('theme').textContent") == "Light"
    browser.js("document.getElementById('theme').click()")
    browser.wait(f"{ground} === {json.dumps(light)} && {ink} === {json.dumps(dark_ink)}")


def test_hostile_texts_are_shown_and_do_nothing(browser: Any, hostile: Path) -> None:
    browser.open(write_report(hostile))
    browser.draw_all()
    browser.js("document.querySelector('.episode').click()")
    browser.wait("document.getElementById('story-title') !== null")
    for summary in range(browser.js("document.querySelectorAll('details summary').length")):
        browser.js(f"document.querySelectorAll('details summary')[{summary}].click()")
    assert browser.js("document.title") == "Movies: a run of 12 episodes"
    assert browser.js("document.querySelectorAll('img:not(.paper), main b, main i').length") == 0
    assert "</script><script>document.title='owned'</script>" in browser.js(
        "document.getElementById('story').textContent"
    )
    # The labels of the heat map are the texts themselves, cut off.
    assert "</script><script>" in browser.js("document.querySelector('#chart-heat .xtick text').textContent")


def test_the_policy_of_the_page_stops_scripts_that_are_not_its_own_and_fetches(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.js(
        "(() => { const script = document.createElement('script'); script.textContent = 'window.owned = 1'; "
        "document.body.append(script); })()"
    )
    assert browser.js("window.owned === undefined")
    browser.js(
        "(() => { window.fetched = ''; fetch('http://127.0.0.1:9/').catch((e) => { window.fetched = String(e); }); })()"
    )
    browser.wait("window.fetched !== ''")
    messages = browser.console()
    assert len(messages) >= 2
    assert all("Content Security Policy" in one or "127.0.0.1:9" in one for one in messages)


def test_a_slate_shows_what_was_taken_and_what_was_not(browser: Any, made: Path) -> None:
    lines = records(made / "books")
    browser.open(write_report(made / "books"), "#episode-0")
    browser.wait("document.querySelector('#story .step') !== null")
    first = sorted((r for r in lines if r["episode"] == 0), key=lambda r: r["step"])[0]["recommended"]
    shown = browser.js("document.querySelector('#story .step').querySelectorAll('.recommendation.left').length")
    assert shown == sum(not one["consumed"] for one in first)
    interrupted = next(r["episode"] for r in lines if r["end_reason"] == "interrupted")
    browser.js(f"location.hash = '#episode-{interrupted}'")
    browser.wait(f"document.getElementById('story-title').textContent.startsWith('Episode {interrupted}:')")
    assert "something came in between" in browser.js("document.getElementById('story').textContent")


@pytest.mark.parametrize(
    ("command", "sections"),
    [
        (
            ("ablate", "--study", "high_rating:items=2,sampling:pairs=60", "--items-retrieval", "last_3,none"),
            ["At a glance", "High rating:items=2", "Sampling:pairs=60", "What was run"],
        ),
        (
            ("train", "--users", "sampled:n=20", "--timesteps", "200", "--num-envs", "4", "--max-steps", "8",
             "--eval-every", "100"),
            ["Learning curves", "What else was measured", "What was trained"],
        ),
        (
            ("evaluate", "--policies", "random,popular", "--users", "sampled:n=20", "--episodes", "6",
             "--max-steps", "8", "--resamples", "200", "--no-charts"),
            ["Train users and test users", "Test users", "Train users", "What was run"],
        ),
    ],
    ids=["ablation", "training", "evaluation"],
)  # fmt: skip
def test_the_page_of_what_is_no_run_draws_every_chart_and_fits_a_phone(
    browser: Any, emosim: Any, tmp_path: Path, command: tuple[str, ...], sections: list[str]
) -> None:
    emosim(*command, "--plugin", "movies", "--quiet", "--out", "made", timeout=300)
    browser.open(write_report(tmp_path / "made"))
    browser.draw_all()
    assert browser.js("document.querySelectorAll('[data-chart]').length") > 0
    assert browser.js("[...document.querySelectorAll('section > h2')].map((one) => one.textContent)") == sections
    browser.emulate("setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    browser.wait("document.documentElement.scrollWidth <= 390")


def test_paper_and_a_browser_without_scripts_have_every_chart_whole_and_every_row(browser: Any, page: Path) -> None:
    browser.emulate("setScriptExecutionDisabled", value=True)
    browser.driver.get(page.as_uri())
    browser.emulate("setDeviceMetricsOverride", width=700, height=1000, deviceScaleFactor=1, mobile=False)
    try:
        for media in ("screen", "print"):
            browser.emulate("setEmulatedMedia", media=media)
            charts = browser.js(
                "[...document.querySelectorAll('[data-chart]')].map((one) => { const [image, plot] = "
                "[one.querySelector('img.paper'), one.querySelector('.plot')]; return [image.naturalWidth, "
                "image.clientWidth, plot.clientHeight]; })"
            )
            assert len(charts) > 5
            assert all(natural > 0 and width > 300 and plot == 0 for natural, width, plot in charts)
        scrolled = browser.js(
            "[...document.querySelectorAll('.table .scroll')].filter((one) => one.scrollHeight > one.clientHeight + 1 "
            "|| one.scrollWidth > one.clientWidth + 1).map((one) => one.getAttribute('aria-label'))"
        )
        assert scrolled == []
    finally:
        browser.emulate("setEmulatedMedia", media="")
        browser.emulate("setScriptExecutionDisabled", value=False)
