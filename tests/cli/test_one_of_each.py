"""One of each: what counts says "1 film", not "1 films", in what commands print and in their pages."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

WORLD = ("--plugin", "movies", "--items", "csv:one.csv", "--users", "sampled:n=1", "--embeddings", "lexical")
SHORT = ("--episodes", "1", "--max-steps", "1")

PLURAL = re.compile(r"(?<![\d.,:=/-])\b1 (?:different |cached |test |train )?(?!steps/s|has\b)[a-z]*[a-rt-z]s\b")
"""One of several; a noun in ss is one."""


def test_of_one_nothing_is_said_in_the_plural(quick: Any, tmp_path: Path, equal_charts_drawn_once: None) -> None:
    (tmp_path / "one.csv").write_text("id,title,year,genres\na,Alone,2001,Drama\n")
    splits = ("--user-splits", "all", "--no-charts")
    printed = [
        quick(*arguments, status=status)
        for status, *arguments in (
            (0, "run", *WORLD, *SHORT, "--out", "r"),
            (0, "show", "r"),
            (0, "show", "r", "--episode", "0"),
            (2, "show", "r", "--episode", "7"),
            (0, "report", "r"),
            (0, "data", "export", "r", "--format", "csv", "--out", "r.csv"),
            (0, "items", *WORLD[:4]),
            (0, "users", "list", "--plugin", "movies", "--users", "sampled:n=1"),
            (0, "users", "generate", "--plugin", "movies", "--n", "1", "--out", "u.csv"),
            (2, "run", *WORLD, *SHORT, "--user-split", "test", "--out", "x"),
            (0, "evaluate", *WORLD, *SHORT, "--policies", "random", *splits, "--out", "e"),
            (0, "ablate", *WORLD, "--study", "sampling", "--out", "a"),
            (0, "runs", "."),
        )
    ]
    pages = [
        re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", (tmp_path / "r" / "report.html").read_text())
    ]
    for text in [*(one.out + one.err for one in printed), *map(html.unescape, pages)]:
        assert PLURAL.findall(text) == []
