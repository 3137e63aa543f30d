"""New users have the quantiles and the correlations of those whom they are drawn from, and each has one number."""

from __future__ import annotations

import numpy as np

from emosim_core.fitting.distribution import Distribution


def table(users: int = 400, columns: int = 30) -> np.ndarray:
    """Columns of which the first ten go together; the first is skewed, and the last is constant."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(users, columns))
    values[:, :10] = 0.8 * values[:, :1] + 0.6 * values[:, :10]
    values[:, 0] = np.exp(values[:, 0])
    values[:, -1] = 7.0
    return values


def test_drawn_users_have_the_quantiles_and_the_correlations_of_the_real_ones() -> None:
    real = table()
    drawn = Distribution.of(real).sample(5, np.arange(5000)).astype(np.float64)
    for share in (0.1, 0.5, 0.9):
        apart = np.quantile(drawn, share, axis=0) - np.quantile(real, share, axis=0)
        assert np.abs(apart / np.maximum(real.std(axis=0), 1e-9)).max() < 0.15
    ranks = [np.argsort(np.argsort(one[:, :10], axis=0), axis=0) for one in (real, drawn)]
    mine, theirs = (np.corrcoef(one.T) for one in ranks)
    assert np.abs(mine - theirs).max() < 0.1
    assert (drawn[:, -1] == 7.0).all()
    assert drawn[:, 0].min() > 0


def test_a_user_depends_on_the_seed_and_the_number_alone() -> None:
    one = Distribution.of(table())
    everybody = one.sample(5, np.arange(9000))
    some = np.array([8999, 0, 4096, 17])
    assert (one.sample(5, some) == everybody[some]).all()
    assert (one.sample(5, some, slice(3, 8)) == everybody[some, 3:8]).all()
    assert not np.array_equal(one.sample(6, some), everybody[some])


def test_a_distribution_is_the_same_after_it_was_saved() -> None:
    one = Distribution.of(table())
    other = Distribution.load(one.arrays())
    assert (one.sample(1, np.arange(50)) == other.sample(1, np.arange(50))).all()


def test_of_many_users_as_many_count_as_memory_has_room_for() -> None:
    few = table(users=20_000, columns=3)
    apart = Distribution.of(np.repeat(few, 2, axis=0)).quantiles - Distribution.of(few).quantiles
    assert np.abs(apart[2:-2]).max() < 0.05
