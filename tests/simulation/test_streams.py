"""Random streams: keyed by seed, episode and stage, whoever else is in the batch."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.simulation.streams import Stage, Streams

ROWS = np.arange(3)


def begun(seeds: list[int], episodes: list[int]) -> Streams:
    streams = Streams(len(seeds))
    streams.begin(np.arange(len(seeds)), seeds, episodes)
    return streams


@settings(deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=12), st.sampled_from(["uniform", "normal"]))
def test_a_slots_draws_do_not_depend_on_the_other_slots_or_stages(counts: list[int], kind: str) -> None:
    batch, alone = begun([7, 8, 9], [0, 5, 2]), begun([8], [5])
    for count in counts:
        batch.of(Stage.SHAPE, ROWS).uniform(3)
        together = getattr(batch.of(Stage.RATE, ROWS), kind)(count)
        single = getattr(alone.of(Stage.RATE, np.array([0])), kind)(count)
        np.testing.assert_array_equal(together[1], single[0])


def test_a_stream_is_numpys_philox_with_a_key_of_the_seed_and_a_counter_of_episode_and_stage() -> None:
    key = np.random.SeedSequence(7).generate_state(2, np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key, counter=[0, 2, Stage.USER, 3]))
    assert Streams(1).once(7, 3, Stage.USER).random(4).tolist() == generator.random(4).tolist()


def test_seeds_episodes_and_stages_give_different_draws() -> None:
    draws = begun([1, 1, 2], [0, 1, 0])
    rate, shape = (draws.of(stage, ROWS).uniform(4) for stage in (Stage.RATE, Stage.SHAPE))
    assert len({tuple(row) for row in np.concatenate([rate, shape]).tolist()}) == 6


def test_draws_are_uniform_and_normal() -> None:
    draws = begun(list(range(2000)), [0] * 2000).of(Stage.RATE, np.arange(2000))
    uniform, normal = draws.uniform(50), draws.normal(50)
    assert abs(uniform.mean() - 0.5) < 0.005
    assert 0 <= uniform.min() < uniform.max() < 1
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02


def test_a_new_episode_starts_its_streams_anew() -> None:
    streams = begun([4], [0])
    row = np.array([0])
    first = streams.of(Stage.RATE, row).uniform(10), streams.of(Stage.RATE, row).generator(0).random()
    streams.begin(row, [4], [1])
    other = streams.of(Stage.RATE, row).uniform(10)
    streams.begin(row, [4], [0])
    again = streams.of(Stage.RATE, row).uniform(10), streams.of(Stage.RATE, row).generator(0).random()
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert not np.array_equal(first[0], other)
