"""Real users of a validation: folds, fixed groups, files of users, the moment, and profiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.fitting.profiles import Profiles
from emosim_core.model import Catalog, Item, LoadedRatings, RatingScale, Words
from emosim_core.model.user import TRAITS
from emosim_core.studies.validation import users as real

TEN = RatingScale()


def log_of(users: int = 40, each: int = 12, seed: int = 1) -> Interactions:
    rng = np.random.default_rng(seed)
    names = [f"u{number}" for number in range(users) for _ in range(each)]
    items = np.concatenate([rng.permutation(50)[:each] for _ in range(users)])
    times = rng.integers(0, 10**9, len(names)).astype(np.float64)
    return Interactions.of(LoadedRatings(names, items, rng.integers(1, 11, len(names)).astype(float), times), 50, 1)


def parts(log: Interactions, folds: int = 5, split: str | None = None, chosen: Path | None = None) -> list[real.Part]:
    return real.parts_of(log, real.real_users_of(log), folds, split, chosen, None)


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_folds_partition_the_users_and_train_on_all_others(folds: int) -> None:
    log = log_of()
    some = parts(log, folds)
    assert sorted(one.id for part in some for one in part.users) == sorted(log.user_ids)
    for part in some:
        mine = {one.number for one in part.users}
        assert set(np.flatnonzero(~part.training).tolist()) == mine


def test_a_fold_belongs_to_an_id_whoever_else_is_there() -> None:
    few, many = ({one.id: part.name for part in parts(log_of(count)) for one in part.users} for count in (20, 60))
    assert all(many[name] == fold for name, fold in few.items())


def test_fixed_groups_have_the_shares_that_are_written() -> None:
    user_splits = [real.user_split_of(str(number)) for number in range(20_000)]
    shares = [user_splits.count(name) / len(user_splits) for name, _ in real.USER_SPLITS]
    assert shares == pytest.approx([0.52, 0.08, 0.2, 0.2], abs=0.015)


def test_a_fixed_group_learns_from_train_and_calibration_users_alone() -> None:
    log = log_of(80)
    (part,) = parts(log, split="test")
    learned = {name for name, training in zip(log.user_ids, part.training, strict=True) if training}
    assert {real.user_split_of(name) for name in learned} == {"train", "calibration"}
    assert {real.user_split_of(one.id) for one in part.users} == {"test"}


@pytest.mark.parametrize("text", ["u3\nu7\n\n", "name,user\nx,u3\ny,u7\n"])
def test_a_file_says_exactly_who_is_measured(tmp_path: Path, text: str) -> None:
    (tmp_path / "who.csv").write_text(text)
    log = log_of()
    (part,) = parts(log, chosen=tmp_path / "who.csv")
    assert {one.id for one in part.users} == {"u3", "u7"}
    assert part.training.sum() == len(log.user_ids) - 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u3\nnobody\n", "row 2: the log has no user 'nobody'"),
        ("user,x\nu3,1\nnobody,2\n", "row 3: the log has no user"),
        ("", "names no user"),
    ],
)
def test_a_file_that_names_nobody_or_an_unknown_user_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "who").write_text(text)
    with pytest.raises(DataError, match=message):
        parts(log_of(), chosen=tmp_path / "who")


def test_too_few_users_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match="too few users to measure"):
        parts(log_of(1))


def test_a_user_is_split_at_half_of_the_log_and_nothing_remembered_is_later_than_what_is_held_out() -> None:
    for one in real.real_users_of(log_of()):
        assert one.months is not None
        assert one.past_count == 6
        assert one.months[: one.past_count].max() <= one.moment
        assert one.months[one.past_count :].min() == one.moment


def test_months_are_those_of_the_calendar() -> None:
    times = np.array(["1970-01-31T23:59:59", "1970-02-01", "2000-12-31"], dtype="datetime64[s]").astype(float)
    assert real.months(times).tolist() == [0, 1, 371]


def test_tastes_and_traits_are_read_off_the_memory_alone() -> None:
    items = [Item(id=f"i{n}", title="t", categories=("comedy", "horror")[n % 2 : n % 2 + 1], public_rating=6.0)
             for n in range(40)]  # fmt: skip
    catalog = Catalog(items, TEN)
    names, values = [f"u{n}" for n in range(30) for _ in range(40)], [9.0, 3.0] * 20
    ratings = LoadedRatings(names, np.tile(np.arange(40), 30), np.tile(values, 30), np.tile(np.arange(40.0), 30))
    log = Interactions.of(ratings, 40, 1)
    profiles = Profiles(log, catalog, TEN, Words())
    one = real.real_users_of(log)[0]
    assert one.values is not None
    row = profiles.row(one.past)
    one.values[one.past_count :] = 1.0
    assert profiles.row(one.past).tolist() == row.tolist()
    user, metrics = profiles.user(one.id, row), dict(zip(TRAITS, row.tolist(), strict=False))
    assert user.liked == ("comedy",)
    assert user.disliked == ("horror",)
    assert metrics == {"activity": 20.0, "conformity": 3.0, "diversity": pytest.approx(np.log(2))}
