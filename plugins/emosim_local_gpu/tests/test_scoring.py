"""Scoring: exact, whatever else is in the batch, whatever is shared, whatever the kind of model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from emosim_local_gpu.backend import LocalBackend

from emosim_core.llm import ChatAnswer, ChatRequest, LLMError, LLMRefusedError, LLMRequestError

Make = Callable[..., LocalBackend]
Ask = Callable[..., list[ChatRequest]]

DIGITS = tuple("0123456789")
TEN = tuple(map(str, range(1, 11)))
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NESTED = ("t", "te", "ten", "tent", "x")
SCALES = {"digits": DIGITS, "ten": TEN, "words": WORDS, "nested": NESTED}
CASES = [
    pytest.param(kind, SCALES[scale], id=f"{kind}-{scale}")
    for kind, scales in {
        "merged": ("digits", "ten", "words", "nested"),
        "bytes": ("digits", "ten", "words", "nested"),
        "sliding": ("ten", "nested"),
        "alibi": ("ten", "words"),
        "recurrent": ("ten",),
        "uncached": ("ten",),
    }.items()
    for scale in scales
]


def answered(answers: Sequence[ChatAnswer | LLMError]) -> list[ChatAnswer]:
    for answer in answers:
        assert isinstance(answer, ChatAnswer), answer
    return list(answers)  # type: ignore[arg-type]


def shares(answers: Sequence[ChatAnswer | LLMError]) -> list[list[float]]:
    return [list(answer.probabilities.values()) for answer in answered(answers)]


def same(left: list[list[float]], right: list[list[float]]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one == pytest.approx(other, rel=0, abs=1e-5)


def by_hand(folder: Path, prompt: Callable[[ChatRequest], str], request: ChatRequest, ends: set[int]) -> list[float]:
    """Each choice's probability by a pass of its own over the whole text, without masks, filling or keeping."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    text = prompt(request)
    begin = tokenizer(text, add_special_tokens=False)["input_ids"]
    paths = []
    for choice in request.choices:
        whole = tokenizer(text + choice, add_special_tokens=False)["input_ids"]
        assert whole[: len(begin)] == begin
        paths.append(whole[len(begin) :])
    nested = any(one != other and other[: len(one)] == one for one in paths for other in paths)
    logs = []
    for path in paths:
        with torch.no_grad():
            tokens = torch.tensor([[*begin, *path]])
            out = model(tokens).logits[0].double().log_softmax(-1)
        log = sum(float(out[len(begin) - 1 + i, token]) for i, token in enumerate(path))
        if nested:
            log += float(out[-1, sorted(ends)].logsumexp(-1))
        logs.append(log)
    weights = torch.tensor(logs, dtype=torch.float64).softmax(-1)
    return [float(weight) for weight in weights]


@pytest.mark.parametrize(("kind", "choices"), [("bytes", DIGITS), ("bytes", TEN), ("merged", WORDS)])
def test_an_opened_answer_goes_on_from_its_opening(
    kind: str, choices: tuple[str, ...], models: Callable[[str], Path], backend: Make, questions: Ask
) -> None:
    bare = questions(2, choices=choices)
    opened = [replace(one, opening="Rating: ") for one in bare]
    local = backend(kind)
    answers = answered(local.answer_batch([*bare, *opened]))
    loaded = local._load()
    expected = [
        by_hand(models(kind), lambda one: f"{loaded.format.text(one.messages)}Rating: ", one, set(loaded.ends))
        for one in bare
    ]
    same(shares(answers[2:]), expected)
    assert shares(answers[:1])[0] != pytest.approx(expected[0], abs=1e-3)
    for one in answers[2:]:
        assert one.text in choices
        assert one.usage.completion <= len(one.text) + 1


@pytest.mark.parametrize(("kind", "choices"), CASES)
def test_probabilities_are_those_of_a_pass_over_each_whole_answer(
    kind: str, choices: tuple[str, ...], models: Callable[[str], Path], backend: Make, questions: Ask
) -> None:
    requests = questions(2, choices=choices)
    local = backend(kind)
    actual = shares(local.answer_batch(requests))
    loaded = local._load()
    expected = [
        by_hand(models(kind), lambda one: loaded.format.text(one.messages), one, set(loaded.ends)) for one in requests
    ]
    same(actual, expected)
    assert actual[0] != pytest.approx(actual[1], abs=1e-3), "a model that heeds no question would pass anything"


@pytest.mark.parametrize(("kind", "choices"), [*CASES, pytest.param("plain", TEN, id="plain-ten")])
def test_a_batch_is_answered_as_its_questions_are_one_by_one(
    kind: str, choices: tuple[str, ...], backend: Make, questions: Ask
) -> None:
    requests = questions(3 if kind in ("recurrent", "uncached") else 6, choices=choices)
    together, alone = backend(kind), backend(kind, prefix_sharing=False)
    answers = answered(together.answer_batch(requests))
    one_by_one = answered([answer for one in requests for answer in alone.answer_batch([one])])
    same(shares(answers), shares(one_by_one))
    assert [answer.text for answer in answers] == [answer.text for answer in one_by_one]


@pytest.mark.parametrize("kind", ["merged", "bytes", "sliding", "alibi"])
def test_sharing_what_questions_begin_with_changes_no_probability(
    kind: str, backend: Make, question: Callable[..., ChatRequest], questions: Ask
) -> None:
    shared, apart = backend(kind), backend(kind, prefix_sharing=False)
    requests = questions(5, choices=TEN)
    far = [question(f"{word} Rate film {i}.", choices=TEN) for i, word in enumerate("abc")]
    for batch in (requests, requests[:1], requests[1:2], far, requests, [*requests, *far], far[:1], requests[2:3]):
        ours, plain = answered(shared.answer_batch(batch)), answered(apart.answer_batch(batch))
        same(shares(ours), shares(plain))
        assert all(answer.usage.cached == 0 for answer in plain)
        assert [answer.usage.prompt for answer in ours] == [answer.usage.prompt for answer in plain]
    cached = [answer.usage.cached for answer in ours]
    assert all(0 < count < answer.usage.prompt for count, answer in zip(cached, ours, strict=True))


def test_the_first_of_a_batch_pays_for_what_all_share(backend: Make, questions: Ask) -> None:
    local = backend("bytes")
    counts = sorted(answer.usage.cached for answer in answered(local.answer_batch(questions(5, choices=DIGITS))))
    assert counts[0] == 0
    assert len(set(counts[1:])) == 1
    again = [answer.usage.cached for answer in answered(local.answer_batch(questions(5, choices=DIGITS)))]
    assert set(again) == {counts[1]}


def test_only_the_choices_are_answered_and_the_first_of_the_likeliest(backend: Make, questions: Ask) -> None:
    for answer in answered(backend("bytes").answer_batch(questions(12, choices=TEN, temperature=1.5, seed=4))):
        assert list(answer.probabilities) == list(TEN)
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-9)
        assert answer.text == max(TEN, key=answer.probabilities.__getitem__)
        assert answer.finished


def test_of_equally_likely_choices_the_first_is_answered(backend: Make, questions: Ask) -> None:
    import torch

    local = backend("bytes")
    with torch.no_grad():
        local._load().engine.model.get_output_embeddings().weight.zero_()
    for answer in answered(local.answer_batch(questions(2, choices=("7", "3", "9")))):
        assert answer.text == "7"
        assert list(answer.probabilities.values()) == pytest.approx([1 / 3] * 3)


def test_choices_of_every_kind_and_free_questions_may_be_mixed(backend: Make, questions: Ask) -> None:
    local = backend("bytes")
    mixed = [*questions(3, choices=TEN), *questions(2, max_tokens=4), *questions(3, choices=WORDS)]
    answers = answered(local.answer_batch(mixed))
    assert [set(answer.probabilities) for answer in answers] == [set(one.choices) for one in mixed]
    same(shares(answers[:3]), shares(local.answer_batch(mixed[:3])))


def test_as_many_probabilities_as_asked_for_are_returned(backend: Make, questions: Ask) -> None:
    (every,) = answered(backend("bytes").answer_batch(questions(1, choices=TEN)))
    (some,) = answered(backend("bytes", top=3).answer_batch(questions(1, choices=TEN)))
    best = sorted(TEN, key=lambda label: -every.probabilities[label])[:3]
    assert set(some.probabilities) == set(best)
    assert sum(some.probabilities.values()) == pytest.approx(1)
    assert some.probabilities[best[0]] > every.probabilities[best[0]]


def test_labels_that_the_model_cannot_tell_apart_are_an_error(backend: Make, questions: Ask) -> None:
    (answer,) = backend("words").answer_batch(questions(1, choices=("eleven", "twelve")))
    assert isinstance(answer, LLMRequestError)
    assert "same tokens" in str(answer)


def test_numbers_that_are_none_are_an_error_and_no_rating(backend: Make, questions: Ask) -> None:
    import torch

    local = backend("bytes")
    with torch.no_grad():
        local._load().engine.model.get_output_embeddings().weight.fill_(torch.nan)
    for requests in (questions(2, choices=TEN), questions(2, max_tokens=3)):
        for answer in local.answer_batch(requests):
            assert isinstance(answer, LLMRequestError)
            assert "no number" in str(answer)


def test_a_question_that_is_too_long_spoils_no_other(
    backend: Make, question: Callable[..., ChatRequest], questions: Ask
) -> None:
    requests = [*questions(2, choices=TEN), question("film " * 2000, choices=TEN)]
    answers = backend("bytes").answer_batch(requests)
    assert isinstance(answers[2], LLMRefusedError)
    assert "4,096" in str(answers[2])
    answered(answers[:2])


def test_the_same_questions_get_the_very_same_numbers(backend: Make, questions: Ask) -> None:
    requests = questions(6, choices=TEN)
    assert shares(backend("bytes").answer_batch(requests)) == shares(backend("bytes").answer_batch(requests))


def test_no_questions_need_no_model(backend: Make) -> None:
    assert backend(model="/nowhere/at/all").answer_batch([]) == []
