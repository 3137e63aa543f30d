"""LabelTree: which factors make an answer's probability, and which answers cannot be told apart."""

from __future__ import annotations

import pytest
from emosim_local_gpu.labels import ROOT, LabelTree, Step
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.llm import LLMRequestError

PATHS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple), min_size=1, max_size=8, unique=True)


def tree_of(*paths: tuple[int, ...]) -> LabelTree:
    return LabelTree(paths, [str(path) for path in paths])


def test_answers_of_one_token_need_one_pass() -> None:
    tree = tree_of((1,), (2,), (3,))
    assert (len(tree), tree.ended, tree.lead) == (1, False, ())
    assert tree.steps == [[Step(ROOT, 1)], [Step(ROOT, 2)], [Step(ROOT, 3)]]


def test_every_answer_has_an_end_where_one_begins_with_another() -> None:
    tree = tree_of((1,), (1, 0), (2,))
    assert tree.ended
    assert [len(steps) for steps in tree.steps] == [2, 3, 2]
    assert all(steps[-1].token is None for steps in tree.steps)


def test_what_all_answers_begin_with_goes_to_the_question() -> None:
    tree = tree_of((7, 1), (7, 2), (7, 3))
    assert (tree.lead, len(tree), tree.ended) == ((7,), 1, False)
    tree = tree_of((7, 1), (7, 1, 0))
    assert (tree.lead, tree.ended) == ((7, 1), True)
    assert tree.steps[0] == [Step(ROOT, None)]


def test_one_answer_alone_keeps_a_token() -> None:
    assert tree_of((7, 1)).steps == [[Step(ROOT, 1)]]


@pytest.mark.parametrize(("paths", "says"), [(((1,), (1,)), "same tokens"), (((1,), ()), "no token")])
def test_answers_that_cannot_be_told_apart_are_refused(paths: tuple[tuple[int, ...], ...], says: str) -> None:
    with pytest.raises(LLMRequestError, match=says):
        LabelTree(paths, ("one", "two"))


@given(PATHS)
def test_the_factors_of_an_answer_say_its_tokens(paths: list[tuple[int, ...]]) -> None:
    tree = tree_of(*paths)
    for path, steps in zip(paths, tree.steps, strict=True):
        assert (*tree.lead, *(step.token for step in steps if step.token is not None)) == path
        assert (steps[-1].token is None) == tree.ended
        for step in steps:
            assert 0 <= step.node < len(tree)
    covered = {node for leaf in tree.leaves() for node in (ROOT, *tree.path(leaf))}
    assert covered == set(range(len(tree)))


@given(PATHS)
def test_no_answer_is_a_part_of_another(paths: list[tuple[int, ...]]) -> None:
    """With its end, where ends are needed, no answer's tokens are the beginning of another's."""
    tree = tree_of(*paths)
    whole = [(*path, None) if tree.ended else path for path in paths]
    for one in whole:
        for other in whole:
            assert one is other or one != other[: len(one)]
