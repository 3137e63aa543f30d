"""The documentation as a site: every page has a place in it, and it opens from a disk."""

from __future__ import annotations

import os
import re
import runpy
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "site"


def pages(entries: Any) -> Iterator[str]:
    """The pages of a part of the navigation."""
    if isinstance(entries, str):
        yield entries
    else:
        for entry in entries.values() if isinstance(entries, dict) else entries:
            yield from pages(entry)


def test_every_page_has_a_place_in_the_navigation() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    placed = [page for page in pages(nav) if not page.startswith("reference/")]
    sources = [path for kind in ("*.md", "*.ipynb") for path in (ROOT / "docs").rglob(kind)]
    written = [path.relative_to(ROOT / "docs").with_suffix(".md").as_posix() for path in sources]
    assert sorted(placed) == sorted([*written, "index.md", "changelog.md", "license.md"])


def test_every_public_module_has_a_page_of_the_reference() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    faces = runpy.run_path(str(ROOT / "scripts" / "build_docs.py"))["FACES"]
    assert [page for page in pages(nav) if page.startswith("reference/")] == [f"reference/{face}.md" for face in faces]
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8").partition("\n## Public names\n")[2]
    assert re.findall(r"^\| `(emosim_core[a-z._]*)` \|", text.partition("\n## ")[0], re.MULTILINE) == [*faces]


def test_the_site_opens_from_a_disk_and_its_search_finds_pages(chromium: Any) -> None:
    if not SITE.exists():
        if os.environ.get("EMOSIM_BROWSER") == "required":
            pytest.fail("the site was not built: make docs")
        pytest.skip("the site was not built: make docs")
    chromium.get((SITE / "index.html").as_uri())
    chromium.find_element("css selector", "button.md-search__button").click()
    chromium.switch_to.active_element.send_keys("reward shaping")
    until = time.monotonic() + 30
    while "Reward shapings" not in chromium.find_element("tag name", "body").text:
        assert time.monotonic() < until, "the search finds nothing"
        time.sleep(0.05)
    loaded = "return performance.getEntriesByType('resource').map(resource => resource.name)"
    assert [name for name in chromium.execute_script(loaded) if not name.startswith(("file:", "data:"))] == []
    assert [entry["message"] for entry in chromium.get_log("browser")] == []
