"""``emosim validate --ratings csv:FILE``: what is wrong with a log is one line that says where and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from emosim_core.testing import Emosim


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("a,b\n1,2\n", (), "no column holds the user; the file has: a, b. Name it: --columns user=NAME"),
        ("user,item\na,1\n", ("--columns", "user"), "cannot read 'user': columns are named as in user=uid"),
        ("user,item,rating\na,1,99\n", (), "row 2, field 'rating': 99 is no rating of 1 to 10; name the scale"),
        ("user,item\na,no-1\nb,no-2\n", (), "no item has the id 'no-1', and 2 of 2 rows are of unknown items"),
    ],
)
def test_a_log_that_is_wrong(quick: Emosim, tmp_path: Path, text: str, arguments: tuple[str, ...], words: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    command = ("validate", "--plugin", "movies", "--ratings", "csv:log.csv", *arguments, "--out", "out")
    done = quick(*command, status=2)
    assert words in " ".join(done.err.split())
    assert not (tmp_path / "out").exists()
