"""The page: one file that asks no network, with every text escaped; and its stories, packed."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.evaluation.columns import read_run
from emosim_core.reports import Report, Section, Table, report_of, write_report
from emosim_core.reports.page import page as page_of
from emosim_core.reports.stories import Stories, packed


class Parsed(HTMLParser):
    """Tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.texts.append(data)


def unpacked(block: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(block)))


def test_nothing_in_the_page_names_another_place(page: Path) -> None:
    parsed = Parsed(page.read_text(encoding="utf-8"))
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "action", "srcset", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    policy = next(a["content"] for t, a in parsed.tags if t == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_texts_of_items_and_users_are_escaped_and_packed(hostile: Path) -> None:
    text = page_of(report_of(hostile))
    parsed = Parsed(text)
    assert "owned" in "".join(parsed.texts)
    scripts = [attributes for tag, attributes in parsed.tags if tag == "script"]
    assert [one for one in scripts if "type" not in one] == [{}]
    assert not any(tag in ("b", "i") for tag, _ in parsed.tags)
    assert all(one["src"].startswith("data:image/svg+xml;") for tag, one in parsed.tags if tag == "img")


def test_the_same_run_gives_the_same_page(made: Path, tmp_path: Path) -> None:
    one = write_report(made / "books", tmp_path / "one.html")
    other = write_report(made / "books", tmp_path / "two.html")
    assert one.read_bytes() == other.read_bytes()


def test_notes_facts_and_tables_of_a_report_are_on_the_page() -> None:
    report = Report("study", "A <title>", "What & why", notes=["note <1>"])
    report.sections = [Section("s", "Part", tables=[Table("T", ("a", "b"), [("x<y", "2")])])]
    content = " ".join("".join(Parsed(page_of(report)).texts).split())
    for text in ("A <title>", "What & why", "note <1>", "x<y", "Part"):
        assert text in content


def test_stories_hold_every_step_of_every_episode(made: Path) -> None:
    stories = Stories()
    run = read_run(made / "books", stories.add)
    index = unpacked(stories.index(run, run.episodes))
    blocks = [unpacked(block) for block in stories.blocks]
    records = [json.loads(line) for line in (made / "books" / "interactions.jsonl").read_text().splitlines()]
    assert index["number"] == sorted({record["episode"] for record in records})
    assert sum(sum(block["steps"]) for block in blocks) == len(records)
    for number in index["number"]:
        block, place = blocks[index["block"][number]], index["place"][number]
        first = sum(block["steps"][:place])
        item = sum(block["places"][:first])
        mine = sorted((r for r in records if r["episode"] == number), key=lambda r: r["step"])
        assert block["steps"][place] == len(mine)
        for offset, record in enumerate(mine):
            assert block["reward"][first + offset] == record["reward"]
            for one in record["recommended"]:
                assert index["items"][block["item"][item]] == one["title"]
                assert block["raw_rating"][item] == one["raw_rating"]
                assert block["reason"][item] == one["reason"]
                assert (block["rating"][item] is not None) == one["consumed"]
                item += 1
        assert index["users"][index["user"][number]]["name"] == mine[0]["user_profile"]["name"]


def test_what_is_packed_is_letters_that_end_no_element() -> None:
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", packed({"text": "</script>\ud800"}))
    assert unpacked(packed({"text": "</script>\ud800"})) == {"text": "</script>\ud800"}


def test_the_lists_of_items_hold_none_with_a_lucky_rating_or_two(made: Path) -> None:
    tables = {table.title: table for section in report_of(made / "a").sections for table in section.tables}
    run = read_run(made / "a")
    counts = np.bincount(run.item)
    assert (counts >= 3).sum() >= 10
    means = np.bincount(run.item, weights=run.rating)[counts >= 3] / counts[counts >= 3]
    for title, best in (("Most liked", means.max()), ("Least liked", means.min())):
        rows = tables[title].rows
        assert tables[title].caption.endswith("with at least 3 ratings.")
        assert rows[0][1] == f"{best:.2f}"
        assert min(int(count) for _, _, count in rows) >= 3
