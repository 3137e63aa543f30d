"""AttributeRetrieval: its formula on any histories, with one table or on demand, of one catalog at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.components import attributes
from emosim_core.components.attributes import AttributeRetrieval
from emosim_core.components.retrieval import CountOptions
from emosim_core.errors import ConfigurationError
from emosim_core.model import Catalog, Item, Memory, RatingScale
from emosim_core.testing import retrieval_request

SCALE = RatingScale(low=1, high=5)
NAMES = ("Ada", "Bo", "Cy", "Di", "Ed")
HERE = np.zeros((1, 1), dtype=np.intp)


class Song(Item):
    """An item with two lists of names."""

    singers: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()


class OfTwo(AttributeRetrieval):
    """Compares singers and ratings."""

    item_type = Song
    overlaps = ("singers",)
    rating_range = 5.0


class OfFour(AttributeRetrieval):
    """Compares singers, categories, ratings, and whether a writer is the same."""

    item_type = Song
    overlaps = ("singers", "categories")
    shared = ("writers",)
    rating_range = 4.0


def dice(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    if not left and not right:
        return 1.0
    return 2 * len(set(left) & set(right)) / (len(set(left)) + len(set(right)))


def likeness(strategy: type[AttributeRetrieval], a: Song, b: Song, mean: float) -> float:
    """The formula, word for word."""
    apart = abs((a.public_rating or mean) - (b.public_rating or mean))
    if strategy is OfTwo:
        return (dice(a.singers, b.singers) + 1 - apart / 5) / 2
    same_writer = 1 if set(a.writers) & set(b.writers) else 0
    return (dice(a.singers, b.singers) + dice(a.categories, b.categories) + 1 - apart / 4 + same_writer) / 4


def mean_rating(songs: list[Song]) -> float:
    known = [song.public_rating for song in songs if song.public_rating is not None]
    return sum(known) / len(known) if known else 3.0


def remember(histories: list[list[int]], count: int) -> Memory:
    memory = Memory(len(histories), count, capacity=2)
    for row, history in enumerate(histories):
        for item in history:
            memory.append(np.array([row]), np.array([item]), np.array([4.0]), np.array([4]))
    return memory


some_names = st.lists(st.sampled_from(NAMES), max_size=4).map(tuple)
song_fields = st.fixed_dictionaries(
    {
        "singers": some_names,
        "writers": st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple),
        "categories": st.lists(st.sampled_from(["folk", "jazz", "soul"]), max_size=3, unique=True).map(tuple),
        "public_rating": st.none() | st.integers(20, 100).map(lambda twentieths: twentieths / 20),
    }
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Song], list[list[int]], list[list[int]], int]:
    fields = draw(st.lists(song_fields, min_size=1, max_size=7))
    songs = [Song(id=str(i), title=f"Song {i}", **f) for i, f in enumerate(fields)]
    some = st.integers(0, len(songs) - 1)
    histories = draw(st.lists(st.lists(some, max_size=9), min_size=1, max_size=3))
    slate = draw(st.integers(1, 3))
    items = [draw(st.lists(some, min_size=slate, max_size=slate)) for _ in histories]
    return songs, histories, items, draw(st.integers(1, 5))


@pytest.mark.parametrize("strategy", [OfTwo, OfFour])
@pytest.mark.parametrize("limit", [4096, 0], ids=["one table", "on demand"])
def test_it_equals_the_formula(limit: int, strategy: type[AttributeRetrieval], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "FULL_TABLE_LIMIT", limit)
    monkeypatch.setattr(attributes, "AT_ONCE", 40)

    @settings(max_examples=80, deadline=None)
    @given(worlds())
    def check(world: tuple[list[Song], list[list[int]], list[list[int]], int]) -> None:
        songs, histories, items, k = world
        mean = mean_rating(songs)

        def expected(item: int, history: list[int]) -> list[int]:
            """The positions of the k most similar, from the last interaction with each item."""
            last = {past: position for position, past in enumerate(history)}.values()
            alike = {at: round(likeness(strategy, songs[item], songs[history[at]], mean), 6) for at in last}
            return (sorted(last, key=lambda at: (-alike[at], -at)) + [-1] * k)[:k]

        history = remember(histories, len(songs)).history()
        answer = strategy(CountOptions(k=k)).retrieve_batch(
            retrieval_request(np.array(items), history, Catalog(songs, SCALE))
        )
        assert answer.tolist() == [
            [expected(item, history) for item in slate] for slate, history in zip(items, histories, strict=True)
        ]

    check()


def test_both_ways_to_compare_agree_on_real_sized_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    songs = [
        Song(
            id=str(i),
            title=str(i),
            singers=tuple(f"Singer {n}" for n in rng.integers(0, 40, rng.integers(0, 6))),
            writers=tuple(f"Writer {n}" for n in rng.integers(0, 20, rng.integers(0, 3))),
            categories=tuple(rng.choice(["a", "b", "c", "d"], rng.integers(0, 4), replace=False)),
            public_rating=float(rng.uniform(1, 5)),
        )
        for i in range(300)
    ]
    items, others = rng.integers(0, 300, (5, 4)), rng.integers(0, 300, (5, 30))
    table = OfFour().similarity(Catalog(songs, SCALE), items, others)
    monkeypatch.setattr(attributes, "FULL_TABLE_LIMIT", 0)
    on_demand = OfFour().similarity(Catalog(songs, SCALE), items, others)
    assert table.shape == (5, 4, 30)
    assert np.array_equal(table, on_demand)
    assert table.min() >= 0
    assert table.max() <= 1


def test_an_empty_history_gives_nothing() -> None:
    catalog = Catalog([Song(id="a", title="A")], SCALE)
    answer = OfFour().retrieve_batch(
        retrieval_request(np.zeros((2, 3), dtype=np.intp), Memory(2, 1).history(), catalog)
    )
    assert answer.shape == (2, 3, 3)
    assert (answer == -1).all()


def test_another_catalog_gets_tables_of_its_own() -> None:
    strategy = OfTwo()
    for singers, expected in ((("Ada",), 1.0), (("Bo",), 0.5)):
        songs = [Song(id="a", title="A", singers=("Ada",)), Song(id="b", title="B", singers=singers)]
        assert strategy.similarity(Catalog(songs, SCALE), HERE, np.array([[0, 1]]))[0, 0].tolist() == [1.0, expected]


def test_other_items_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="OfTwo compares items of the type Song; it cannot compare a Item"):
        OfTwo().similarity(Catalog([Item(id="a", title="A")], SCALE), HERE, HERE)
