"""A directory of people: what is in it, what is not, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emosim_core
from emosim_core import DataError, RunError

RUN = {"items": None, "embeddings": "lexical", "max_steps": 5}


def made(people: Path, movielens: Path, **options: object) -> emosim_core.EmoSimEnv:
    return emosim_core.make(
        "movies", items=f"movielens:{movielens}", users=f"fitted:{people}", embeddings="lexical", **options
    )


def test_a_directory_holds_tables_and_arrays_and_no_history(people: Path, movielens: Path) -> None:
    names = {one.name for one in people.iterdir()}
    assert names == {
        *("card.json", "users.csv", "items.csv", "report.html", "interest.safetensors", "ratings.safetensors"),
        *("states.safetensors", "distribution.safetensors"),
    }
    card = json.loads((people / "card.json").read_text())
    assert card["log"]["users"] == card["users"] == 60
    assert card["log"]["interactions"] == 60 * 24
    assert card["can"]
    assert card["cannot"]


def test_histories_are_kept_where_that_is_wanted_and_not_of_anonymous_people(movielens: Path, tmp_path: Path) -> None:
    log = f"movielens:{movielens}"
    emosim_core.fit("movies", tmp_path / "kept", ratings=log, keep_histories=True)
    assert len((tmp_path / "kept" / "histories.csv").read_text().splitlines()) == 1 + 60 * 24
    with pytest.raises(RunError, match="anonymous users have no histories"):
        emosim_core.fit("movies", tmp_path / "both", ratings=log, keep_histories=True, anonymous=True)


def test_the_same_log_and_seed_give_the_same_files(people: Path, movielens: Path, tmp_path: Path) -> None:
    emosim_core.fit("movies", tmp_path / "again", ratings=f"movielens:{movielens}")
    one, other = (json.loads((place / "card.json").read_text())["files"] for place in (people, tmp_path / "again"))
    assert one == other


def changed(**fields: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = json.loads((folder / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps({**card, **fields}))

    return change


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-9])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(format=4), "is of version 4; this release reads 3: install a newer one"),
        (changed(format=1), "is of version 1, which this release does not read; fit it again with emosim fit"),
        (changed(domain="books"), "holds users of the domain 'books', not 'movies'; use them with --plugin books"),
        (changed(scale={"low": 1, "high": 5, "step": 1}), "holds users who rate on 1-5, not on 1-10"),
        (changed(users="many"), r"is damaged \(users\); fit it again"),
        (changed(users=3), "has 60 users, and card.json says 3"),
        (cut("users.csv"), "users.csv: is damaged, or was changed after the fit"),
        (cut("states.safetensors"), "states.safetensors: is damaged, or was changed after the fit"),
        (cut("interest.safetensors"), "interest.safetensors: is damaged"),
        (cut("card.json"), "card.json: is damaged"),
        (lambda folder: (folder / "card.json").unlink(), "is no directory of fitted users: it has no card.json"),
        (lambda folder: (folder / "ratings.safetensors").unlink(), "ratings.safetensors: cannot be read"),
    ],
)
def test_what_is_wrong_with_a_directory_is_said(
    people: Path, movielens: Path, tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    folder = tmp_path / "people"
    shutil.copytree(people, folder)
    change(folder)
    with pytest.raises(DataError, match=words):
        made(folder, movielens)


def test_items_that_are_all_strange_are_refused_and_new_ones_are_rated_by_what_they_are(
    people: Path, movielens: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"know 90 items .*, none of which is among the .* name the items"):
        emosim_core.make("movies", users=f"fitted:{people}")
    more = tmp_path / "more"
    shutil.copytree(movielens, more)
    with (more / "movies.csv").open("a") as stream:
        stream.write("999,A new western (2012),Western\n")
    env = made(people, more)
    env.reset(seed=1)
    new = env.unwrapped.world.catalog.index["ml-999"]
    _, reward, *_ = env.step(new)
    assert 1 <= reward <= 10


def rewritten(folder: Path, name: str, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Change arrays of a file, and the digest on the card too, as somebody would who wants it to be read."""
    from safetensors.numpy import load, save

    from emosim_core.fitting.directory import digest_of

    arrays = {key: array.copy() for key, array in load((folder / name).read_bytes()).items()}
    change(arrays)
    (folder / name).write_bytes(save(arrays))
    card = json.loads((folder / "card.json").read_text())
    card["files"][name] = digest_of(folder / name)
    (folder / "card.json").write_text(json.dumps(card))


def test_arrays_that_no_fit_writes_are_refused_with_their_name(people: Path, movielens: Path, tmp_path: Path) -> None:
    """Whoever changes a file can change its digest on the card as well; no answer is made of what does not fit."""
    interest, ratings = "interest.safetensors", "ratings.safetensors"

    def put(key: str, value: object) -> Callable[[dict[str, np.ndarray]], object]:
        return lambda arrays: arrays[key].__setitem__(Ellipsis, value)

    hostile: list[tuple[str, Callable[[dict[str, np.ndarray]], object], str]] = [
        (interest, put("latent", np.nan), "'latent' has values"),
        (interest, put("facts", np.inf), "'facts' has values"),
        (interest, put("tree_columns", -1), "'tree_columns' has values"),
        (interest, put("tree_columns", 9_999), "'tree_columns' has values"),
        (interest, put("tree_cuts", np.nan), "'tree_cuts' has values"),
        (interest, lambda arrays: arrays.pop("strengths"), "'strengths' is missing"),
        (interest, lambda arrays: arrays.update(content=arrays["content"][:-1].copy()), "'content' is of the shape"),
        (interest, lambda arrays: arrays.update(strengths=arrays["strengths"][:-1].copy()), "'latent' is of the shape"),
        (interest, put("widths", 1), "'widths' are not those"),
        (ratings, put("text", np.nan), "'text' has values"),
        (ratings, lambda arrays: arrays.pop("text_axes"), "'text_axes' is missing"),
        (ratings, lambda arrays: arrays.update(together=arrays["together"][1:].copy()), "'together' is of the shape"),
        (ratings, put("base", np.nan), "'base' has values"),
        (ratings, lambda arrays: arrays.update(base=arrays["base"][1:].copy()), "'base' is of the shape"),
        (ratings, put("scale", [0, 1e9, 1]), "the scale is"),
        (ratings, put("scale", [0, 0, 0]), "models are damaged"),
        (ratings, put("category_names", 255), "models are damaged"),
        (ratings, put("numbers", 0), "is above 0"),
        ("states.safetensors", put("ratings", np.nan), "is damaged: 'ratings'"),
        ("states.safetensors", lambda arrays: arrays.update(interest=arrays["interest"][:, 1:].copy()), "has not the"),
    ]
    for number, (name, change, words) in enumerate(hostile):
        folder = Path(shutil.copytree(people, tmp_path / str(number)))
        rewritten(folder, name, change)
        with pytest.raises(DataError, match=words):
            made(folder, movielens)
    folder = Path(shutil.copytree(people, tmp_path / "drawn"))
    rewritten(folder, "distribution.safetensors", lambda one: one.update(quantiles=one["quantiles"][:9].copy()))
    with pytest.raises(DataError, match="is not of the columns of card"):
        emosim_core.make("movies", items=f"movielens:{movielens}", users=f"fitted:{folder},count=3")


@pytest.mark.parametrize("widths", [[-1, 2, 3], [4, 2, 3], [10, 1, 1]])
def test_a_card_that_contradicts_the_files_is_refused(
    people: Path, movielens: Path, tmp_path: Path, widths: list[int]
) -> None:
    folder = Path(shutil.copytree(people, tmp_path / "people"))
    changed(widths=widths)(folder)
    with pytest.raises(DataError):
        made(folder, movielens)


@pytest.mark.parametrize(
    "fields", [{"log": {}}, {"log": {"users": "many"}}, {"episodes": {"quartiles": 3}}, {"validation": {"choices": 1}}]
)
def test_a_report_of_a_card_that_no_fit_writes_is_refused(people: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    from emosim_core.reports.people_report import report_of_fitted

    folder = Path(shutil.copytree(people, tmp_path / "people"))
    changed(**fields)(folder)
    with pytest.raises(DataError, match=r"card\.json: is damaged"):
        report_of_fitted(folder)
