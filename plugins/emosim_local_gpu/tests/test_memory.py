"""Memory: where it is short, fewer questions go at once, and at one it says what is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from emosim_local_gpu import memory
from emosim_local_gpu.backend import LocalBackend

from emosim_core.llm import ChatAnswer, ChatRequest, LLMRequestError

Make = Callable[..., LocalBackend]
Ask = Callable[..., list[ChatRequest]]

TEN = tuple(map(str, range(1, 11)))


def shortage(kind: str) -> Exception:
    import torch

    return {
        "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory"),
        "python": MemoryError(),
    }[kind]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Makes a backend's memory short: a pass over more than ``most`` rows raises. Returns the sizes that came."""

    def make(local: LocalBackend, most: int, kind: str = "cuda") -> list[int]:
        model, sizes = local._load().engine.model, list[int]()
        forward = model.forward

        def limited(*arguments: Any, **more: Any) -> Any:
            rows = more["input_ids"].shape[0]
            sizes.append(rows)
            if rows > most:
                raise shortage(kind)
            return forward(*arguments, **more)

        monkeypatch.setattr(model, "forward", limited)
        return sizes

    return make


@pytest.mark.parametrize("kind", ["cuda", "cpu", "python"])
@pytest.mark.parametrize("more", [{"choices": TEN}, {"max_tokens": 4}], ids=["scored", "written"])
def test_the_batch_is_halved_until_it_fits_and_the_answers_are_the_same(
    kind: str,
    more: dict[str, Any],
    backend: Make,
    questions: Ask,
    short: Callable[..., list[int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    requests = questions(13, **more)
    expected = backend("bytes").answer_batch(requests)
    local = backend("bytes")
    sizes = short(local, 3, kind)
    with caplog.at_level(logging.WARNING, "emosim_local_gpu"):
        answers = local.answer_batch(requests)
    for answer, other in zip(answers, expected, strict=True):
        assert isinstance(answer, ChatAnswer)
        assert isinstance(other, ChatAnswer)
        assert answer.text == other.text
        assert dict(answer.probabilities) == pytest.approx(dict(other.probabilities), abs=1e-5)
    assert [size for size in sizes if size > 3] == [13, 6]
    assert "memory is short: 6 requests at once instead of 13" in caplog.text
    sizes.clear()
    assert all(isinstance(answer, ChatAnswer) for answer in local.answer_batch(requests))
    assert max(sizes) <= 3, "the size that fits is remembered"


def test_where_not_even_one_fits_the_error_says_what_there_is(
    backend: Make, questions: Ask, short: Callable[..., list[int]]
) -> None:
    local = backend("bytes")
    short(local, 0)
    answers = local.answer_batch(questions(3, choices=TEN))
    for answer in answers:
        assert isinstance(answer, LLMRequestError)
        assert answer.doubtful, "a shorter question may fit"
        for word in ("tokens", "does not fit", "free", "MiB of the model's weights", "quantization=4bit"):
            assert word in str(answer), str(answer)


def test_an_error_that_is_no_shortage_is_not_hidden(backend: Make, questions: Ask, monkeypatch: Any) -> None:
    local = backend("bytes")

    def broken(**more: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(local._load().engine.model, "forward", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        local.answer_batch(questions(2, choices=TEN))


def test_shortages_are_known_by_what_they_say() -> None:
    assert all(memory.is_shortage(shortage(kind)) for kind in ("cuda", "cpu", "python"))
    assert not memory.is_shortage(RuntimeError("shapes do not match"))
    assert not memory.is_shortage(ValueError("out of memory"))


def test_what_is_free_is_known_and_worded() -> None:
    import torch

    free = memory.available(torch.device("cpu"))
    assert free is not None
    assert free > 2**20
    assert memory.in_words(3 * 2**30) == "3.0 GiB"
    assert memory.in_words(5 * 2**20) == "5.0 MiB"
    assert memory.in_words(None) == "an unknown amount"
    assert memory.available(torch.device("meta")) is None
