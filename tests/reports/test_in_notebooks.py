"""What notebooks and papers get: charts as figures, and objects that show themselves."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import emosim_core
from emosim_core import Charts, notebook
from emosim_core.plugins import Population, User
from emosim_core.reports import Chart, Series, report_of
from emosim_core.reports.drawings import draw_charts

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
ELEMENTS = {"div", "p", "strong", "span", "table", "tr", "th", "td", "figure", "img", "figcaption"}


class Reader(HTMLParser):
    """The texts of a piece of HTML, which may have no element or attribute but ours."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS
        assert {name for name, _ in attrs} <= {"style", "scope", "alt", "src"}
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def texts(shown: str) -> list[str]:
    reader = Reader()
    reader.feed(shown)
    reader.close()
    assert reader.open == []
    return reader.texts


@given(title=st.text(min_size=1), rows=st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_whatever_a_text_holds_it_stays_a_text(title: str, rows: list[tuple[str, str]]) -> None:
    shown = texts(notebook.card(title, tables=[notebook.table(rows, (title, title))], notes=[title]))
    printed = [notebook.clean(text) for text in (title, title, title, *(cell for row in rows for cell in row), title)]
    assert "".join(shown) == "".join(printed)


def test_hostile_items_and_users_are_shown_as_texts(hostile: Path) -> None:
    users = f"csv:{hostile.parent / 'people.csv'}"
    items = f"csv:{hostile.parent / 'films.csv'}"
    world = emosim_core.make("movies", items=items, user_dataset=users, embeddings="lexical").world
    population = world.population
    for shown in (emosim_core.read_run(hostile), population, population.users[0]):
        assert "</script><script>" in "".join(texts(shown._repr_html_()))
    chart = Chart("a", "bars", HOSTILE, HOSTILE, "x", "y", [Series("s", [1])], ["n"])
    assert texts(Charts("t", {"a": chart})._repr_html_()) == [f"{HOSTILE}. {HOSTILE}"]


def test_a_user_shows_who_they_are_and_a_population_its_first() -> None:
    users = [User(id=f"u{number}", name=f"Ada {number}", liked=("drama",), diversity=3) for number in range(12)]
    assert "3, trailblazer" in texts(users[0]._repr_html_())
    shown = texts(Population(users)._repr_html_())
    assert "12 simulated users" in shown
    assert [text for text in shown if text.startswith("Ada")] == [f"Ada {number}" for number in range(10)]


def test_results_are_dictionaries_that_show_what_came_out(made: Path, tmp_path: Path) -> None:
    results = emosim_core.Results(json.loads((made / "a" / "summary.json").read_text()), made / "a")
    assert json.loads(json.dumps(results)) == results == copy.deepcopy(results)
    shown = texts(results._repr_html_() or "")
    assert shown == texts(emosim_core.read_run(made / "a")._repr_html_())
    assert "60, with 54 different users; 950 steps" in shown
    assert emosim_core.Results(results, tmp_path / "gone")._repr_html_() is None


def test_a_comparison_shows_what_the_command_prints(made: Path, quick: Any) -> None:
    printed = quick("compare", made / "a", made / "better").output
    shown = texts(emosim_core.compare([made / "a", made / "better"])._repr_html_())
    assert [text for text in shown[1:] if " ".join(text.split()) not in " ".join(printed.split())] == []
    assert len(shown) > 30


def test_an_evaluation_and_its_charts_are_shown(tmp_path: Path) -> None:
    policies = ["random", "popular"]
    evaluation = emosim_core.evaluate(
        "movies", tmp_path / "e", policies=policies, episodes=6, max_steps=4, user_splits=["test"], charts=False
    )
    assert evaluation["complete"]
    assert {"popular", "random", "reward per episode"} <= set(texts(evaluation._repr_html_() or ""))
    charts = emosim_core.charts(evaluation)
    assert "test-mean-reward: Reward per episode" in repr(charts)
    assert charts["test-mean-reward"].axes[0].get_xlabel() == "reward per episode"


def test_a_figure_is_the_file_that_the_report_writes(made: Path, tmp_path: Path) -> None:
    drawn = report_of(made / "a").charts
    charts = emosim_core.charts(made / "a")
    assert list(charts) == [chart.id for chart in drawn]
    assert ("ratings" in charts, "rating" in charts, len(charts)) == (True, False, len(drawn))
    draw_charts([chart for chart in drawn if chart.id == "ratings"], tmp_path)
    charts["ratings"].savefig(tmp_path / "own.svg", metadata={"Date": None})
    assert (tmp_path / "own.svg").read_bytes() == (tmp_path / "ratings.svg").read_bytes()
    assert charts["ratings"]._repr_svg_().encode() == (tmp_path / "own.svg").read_bytes()
    with pytest.raises(emosim_core.UnknownNameError, match="Did you mean 'ratings'"):
        charts["rating"]


def test_a_name_in_a_figure_is_no_formula(made: Path) -> None:
    figure = emosim_core.charts(made / "a")["heat"]
    figure.axes[0].set_xticklabels(["$x^2$"] * len(figure.axes[0].get_xticks()))
    assert ">$x^2$</text>" in figure._repr_svg_()


def test_results_need_no_plotting_library() -> None:
    program = (
        "import sys, emosim_core, emosim_core.notebook\n"
        "emosim_core.Results, emosim_core.read_run, emosim_core.compare\n"
        "assert not {'matplotlib', 'plotly', 'IPython', 'jinja2'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
