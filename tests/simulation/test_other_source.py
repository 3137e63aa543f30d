"""A file for the wrong item loader: the error names the source that reads it, of whatever plugin."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from emosim_core import DataError
from emosim_core.hooks import Registry
from emosim_core.simulation.assembly import load_items

GOODBOOKS = "book_id,goodreads_book_id,authors,title,average_rating,ratings_count\n1,2,Suzanne Collins,A,4.3,7\n"


@pytest.mark.parametrize("name", ["books.csv", "my books.csv"])
def test_a_source_of_another_domain_is_named_with_its_plugin(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(GOODBOOKS)
    with pytest.raises(DataError, match="is goodbooks-10k, which 'movielens' does not read") as caught:
        load_items(Registry(), "movies", f"movielens:{path}")  # which has loaded movies alone until then
    assert str(caught.value).endswith(f"Use: --plugin books --items {shlex.quote(f'goodreads:{path}')}")


def test_a_file_that_no_source_knows_has_its_own_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("when,what\n1,2\n")
    with pytest.raises(DataError) as caught:
        load_items(Registry(), "movies", f"movielens:{path}")
    assert "Use:" not in str(caught.value)
