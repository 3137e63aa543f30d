"""A validation as a whole: its records, that every metric follows from them, and that no leak is of use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core.components.base import RatingRequest
from emosim_core.components.rule_based import RuleBased
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks import Registry
from emosim_core.studies.validation.candidates import MATCHED, MATCHED_YEAR, RANDOM
from emosim_core.studies.validation.records import read_lines
from emosim_core.studies.validation.results import SIMULATED, compute_results
from emosim_core.studies.validation.validation import Validation, ValidationConfig

for library in ("surprise", "implicit", "scipy"):
    pytest.importorskip(library)

RECORDS = ("users", "ratings", "choices")


def config(folder: Path, **more: Any) -> ValidationConfig:
    environment = {"plugin": "movies", **more.pop("environment", {})}
    return ValidationConfig(
        environment=environment, ratings=f"movielens:{folder}", **{"negatives": (1, 2), "folds": 3, **more}
    )


@pytest.fixture(scope="module")
def done(movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a validation of made-up users."""
    directory = tmp_path_factory.mktemp("validations") / "done"
    Validation(config(movielens), Registry()).run(directory)
    return directory


def change(directory: Path, name: str, **values: Any) -> None:
    """Change every record of a file."""
    path = directory / f"{name}.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record.update({key: [value] * len(record["items"]) for key, value in values.items()})
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_every_metric_follows_from_the_records(done: Path) -> None:
    assert compute_results(done) == json.loads((done / "validation.json").read_text())


@pytest.mark.parametrize(
    ("name", "values", "part"),
    [
        ("ratings", {"expected": 1}, "ratings"),
        ("ratings", {"answer": 1}, "distribution"),
        ("ratings", {"real": 1}, "between_users"),
        ("choices", {"score": 0}, "choices"),
        ("choices", {"score": 0}, "choice_differences"),
    ],
)
def test_a_changed_record_changes_the_metric(
    done: Path, tmp_path: Path, name: str, values: dict[str, Any], part: str
) -> None:
    copy = Path(shutil.copytree(done, tmp_path / "copy"))
    change(copy, name, **values)
    assert compute_results(copy)[part] != compute_results(done)[part]


def test_metrics_of_ratings_are_what_their_names_say(done: Path) -> None:
    lines = read_lines(done, "ratings")
    off = np.concatenate([np.array(line["expected"]) - line["real"] for line in lines])
    results = compute_results(done)
    assert results["ratings"][SIMULATED]["rmse"]["estimate"] == pytest.approx(np.sqrt((off**2).mean()), abs=1e-5)
    assert results["ratings"][SIMULATED]["mae"]["estimate"] == pytest.approx(np.abs(off).mean(), abs=1e-5)
    errors, apart = results["ratings"], results["rating_differences"]["user mean"]["rmse"]
    expected = errors[SIMULATED]["rmse"]["estimate"] - errors["user mean"]["rmse"]["estimate"]
    assert apart["estimate"] == pytest.approx(expected, abs=2e-6)
    assert apart["low"] < apart["estimate"] < apart["high"]


def test_no_answer_of_a_user_sets_their_own_threshold(done: Path, tmp_path: Path) -> None:
    """Who scores everything a thousand points higher has everything called chosen: the others set the threshold."""
    copy = Path(shutil.copytree(done, tmp_path / "copy"))
    lines = [json.loads(line) for line in (copy / "choices.jsonl").read_text().splitlines()]
    one, shown = lines[0]["user"], 0
    for line in lines:
        if line["user"] == one:
            line["score"] = [score + 1000 for score in line["score"]]
            shown += line["test"] == RANDOM and len(line["items"]) // 3
    (copy / "choices.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    before, after = (compute_results(each)["choices"][RANDOM]["ratios"]["1:1"][SIMULATED] for each in (done, copy))
    assert before["auc"] == after["auc"]
    assert after["recall"]["estimate"] > before["recall"]["estimate"]
    assert shown > 0


def test_what_is_held_out_moves_no_answer_about_its_user(movielens: Path, tmp_path: Path) -> None:
    (tmp_path / "who").write_text("3\n8\n11\n")
    validations = [Validation(config(movielens, test_users=tmp_path / "who"), Registry()) for _ in range(2)]
    for real_user in validations[1].measured:
        assert real_user.values is not None
        real_user.values[real_user.past_count :] = 1.0
    for name, validation in zip(("first", "second"), validations, strict=True):
        validation.run(tmp_path / name)
    for name, keys in (("ratings", ("answer", "expected", "baselines")), ("choices", ("score", "baselines"))):
        first, second = (read_lines(tmp_path / one, name) for one in ("first", "second"))
        assert {line["user"] for line in first} == {"3", "8", "11"}
        assert [[line[key] for key in keys] for line in first] == [[line[key] for key in keys] for line in second]


def test_nothing_that_others_do_after_the_moment_moves_an_answer(movielens: Path, tmp_path: Path) -> None:
    """All ratings from the year after the last moment on may be others: scores and expectations stay."""
    (tmp_path / "who").write_text("1\n")
    folder = Path(shutil.copytree(movielens, tmp_path / "other"))
    first = Validation(config(movielens, test_users=tmp_path / "who", only=("ratings",)), Registry())
    moment = first.measured[0].moment
    assert moment is not None
    border = np.datetime64(moment, "M").astype("datetime64[s]").astype(int)
    rows = [row.split(",") for row in (folder / "ratings.csv").read_text().splitlines()]
    later = [row for row in rows[1:] if int(row[3]) >= border and row[0] != "1"]
    assert later
    for row in later:
        row[2] = "0.5"
    (folder / "ratings.csv").write_text("\n".join(map(",".join, rows)) + "\n")
    second = Validation(config(folder, test_users=tmp_path / "who", only=("ratings",)), Registry())
    for name, validation in (("a", first), ("b", second)):
        validation.run(tmp_path / name)
    assert (tmp_path / "a" / "ratings.jsonl").read_bytes() == (tmp_path / "b" / "ratings.jsonl").read_bytes()


def test_the_same_seed_writes_the_same_records_in_processes_too(done: Path, movielens: Path, tmp_path: Path) -> None:
    Validation(config(movielens), Registry()).run(tmp_path / "again", executor="processes:2")
    Validation(config(movielens, seed=7, only=("ratings",)), Registry()).run(tmp_path / "other")
    for name in RECORDS:
        assert (tmp_path / "again" / f"{name}.jsonl").read_bytes() == (done / f"{name}.jsonl").read_bytes()
    assert (tmp_path / "other" / "ratings.jsonl").read_bytes() != (done / "ratings.jsonl").read_bytes()


def test_a_validation_that_broke_off_goes_on_to_the_same_bytes(
    done: Path, movielens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    expect = RuleBased.expected_batch

    def failing(self: RuleBased, request: RatingRequest) -> Any:
        nonlocal asked
        asked += 1
        if asked > 30:
            raise RunError("broke off")
        return expect(self, request)

    validation = Validation(config(movielens), Registry())
    with monkeypatch.context() as patch:
        patch.setattr(RuleBased, "expected_batch", failing)
        with pytest.raises(RunError, match="broke off"):
            validation.run(tmp_path / "out")
    assert len([*(tmp_path / "out" / "jobs").iterdir()]) in (1, 2)
    Validation(config(movielens), Registry()).run(tmp_path / "out", resume=True)
    for name in (*(f"{one}.jsonl" for one in RECORDS), "validation.json"):
        assert (tmp_path / "out" / name).read_bytes() == (done / name).read_bytes()
    assert not (tmp_path / "out" / "jobs").exists()


def test_only_what_is_asked_for_is_measured(movielens: Path, tmp_path: Path) -> None:
    results = Validation(config(movielens, only=("choices",), max_users=6), Registry()).run(tmp_path / "out")
    assert "ratings" not in results
    assert results["users"] + results["left_out"] == 6
    assert (tmp_path / "out" / "ratings.jsonl").read_bytes() == b""


def test_users_are_chosen_in_one_way(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        config(tmp_path, test_users=tmp_path, split="test")


def test_the_split_of_a_log_without_users_of_that_group_is_an_error(movielens: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    shutil.copy(movielens / "movies.csv", tmp_path / "few")
    rows = (movielens / "ratings.csv").read_text().splitlines()
    some = [row for row in rows if row.split(",")[0] in ("userId", "1")]
    (tmp_path / "few" / "ratings.csv").write_text("\n".join(some) + "\n")
    with pytest.raises(ConfigurationError, match="too few users"):
        Validation(config(tmp_path / "few"), Registry())


@pytest.fixture(scope="module")
def random_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who choose at random from the films that exist: nothing can be told of their choices."""
    folder, rng = tmp_path_factory.mktemp("random"), np.random.default_rng(4)
    years = 2000 + np.arange(160) % 15
    films = [
        f"{film + 1},Film {film + 1} ({year}),{'Comedy' if film % 3 else 'Drama'}" for film, year in enumerate(years)
    ]
    rows = []
    for user in range(1, 181):
        start, seen = rng.integers(2002, 2013), set()
        for place in range(22):
            year = int(start) + place // 8
            film = int(rng.choice([film for film in np.flatnonzero(years < year) if film not in seen]))
            seen.add(film)
            time = np.datetime64(f"{year}-{1 + place % 8:02}-15").astype("datetime64[s]").astype(int)
            rows.append(f"{user},{film + 1},{rng.integers(1, 11) / 2},{time}")
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(films) + "\n")
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows) + "\n")
    return folder


def leaks(self: RuleBased, request: RatingRequest) -> Any:
    """Knows which films are newer than anything that the user remembers."""
    years = np.array([item.year for item in request.catalog.items], dtype=np.float64)
    newest = years[request.history.items[0, : request.history.lengths[0]]].max()
    return (years[request.items] > newest).astype(np.float64)


@pytest.mark.parametrize("planted", [False, True])
def test_of_choices_at_random_nothing_is_told_nor_by_a_term_that_knows_the_future(
    random_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: bool
) -> None:
    if planted:
        monkeypatch.setattr(RuleBased, "interest_batch", leaks)
        monkeypatch.setattr(RuleBased, "interest_terms", lambda self, request: {})
    results = Validation(config(random_log, only=("choices",), negatives=(2,)), Registry()).run(tmp_path / "out")
    assert set(results["choices"]) == {RANDOM, MATCHED, MATCHED_YEAR}
    for test, measured in results["choices"].items():
        assert measured["users"] > 100
        for name, values in measured["ratios"]["1:2"].items():
            if "auc" in values and (planted is (name == SIMULATED)):
                # The interval is of 95 %, and these are many: its ends may be missed by a little.
                assert values["auc"]["low"] - 0.01 <= 0.5 <= values["auc"]["high"] + 0.01, (test, name)
