"""Signals that are held back: they act when the block has ended, the first of them, and handlers are as before."""

from __future__ import annotations

import signal

import pytest

from emosim_core.signals import STOPPING, signals_later


def interrupted(*, fails: bool = False) -> list[str]:
    done = []
    with signals_later():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        if fails:
            raise ValueError("mine")
        done.append("all of it")
    return done


def test_the_first_of_the_signals_that_came_acts_at_the_end_and_all_is_as_before() -> None:
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {number: signal.getsignal(number) for number in STOPPING} == handlers
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & STOPPING


def test_the_block_comes_to_its_end_first() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        assert interrupted() == ["all of it"]
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]


def test_an_error_of_the_block_is_the_context_of_the_interruption() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted(fails=True)
    assert isinstance(caught.value.__context__, ValueError)


def test_without_a_signal_nothing_happens() -> None:
    with signals_later():
        pass
