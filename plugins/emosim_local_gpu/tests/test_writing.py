"""Writing: free answers, drawn or likeliest, thoughts apart, and one question's answer whatever else is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emosim_local_gpu.backend import LocalBackend

from emosim_core.llm import ChatAnswer, ChatRequest, LLMRequestError

Make = Callable[..., LocalBackend]
Ask = Callable[..., list[ChatRequest]]

THINKING = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking %}<think>\n{% endif %}{% endif %}"
)


def texts(local: LocalBackend, requests: list[ChatRequest]) -> list[str]:
    answers = local.answer_batch(requests)
    assert all(isinstance(answer, ChatAnswer) for answer in answers), answers
    return [answer.text for answer in answers if isinstance(answer, ChatAnswer)]


@pytest.mark.parametrize("kind", ["merged", "words", "sliding", "alibi", "recurrent"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_batch_writes_what_its_questions_get_one_by_one(
    kind: str, temperature: float, backend: Make, questions: Ask
) -> None:
    requests = questions(4, max_tokens=12, temperature=temperature, seed=5)
    alone = backend(kind, prefix_sharing=False)
    assert texts(backend(kind), requests) == [text for one in requests for text in texts(alone, [one])]


@pytest.mark.parametrize("kind", ["merged", "recurrent"])
def test_the_likeliest_text_is_what_transformers_generates(
    kind: str, models: Callable[[str], Path], backend: Make, question: Callable[..., ChatRequest]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    local = backend(kind)
    tokenizer = AutoTokenizer.from_pretrained(models(kind))
    model = AutoModelForCausalLM.from_pretrained(models(kind))
    for i in range(3):
        request = question(f"Say something of {i}.", max_tokens=16)
        tokens = local._load().format.prompt(request)
        with torch.no_grad():
            out = model.generate(torch.tensor([tokens]), do_sample=False, max_new_tokens=16)
        expected = tokenizer.decode(out[0, len(tokens) :], skip_special_tokens=True).strip()
        assert texts(local, [request]) == [expected]


def test_the_same_seed_draws_the_same_and_another_seed_or_sample_something_else(backend: Make, questions: Ask) -> None:
    local = backend("merged")

    def drawn(**more: Any) -> list[str]:
        return texts(local, questions(2, max_tokens=8, temperature=1.0, **more))

    first = drawn(seed=1)
    assert drawn(seed=1) == first
    assert drawn(seed=2) != first
    assert drawn(seed=1, sample=1) != first
    assert drawn() == drawn()


def test_questions_with_the_same_seed_do_not_draw_alike(backend: Make, question: Callable[..., ChatRequest]) -> None:
    from emosim_local_gpu.writing import Sampler

    draws = {Sampler.of(question(f"{i}", seed=1)).numbers.random() for i in range(50)}
    assert len(draws) == 50


def test_draws_are_as_likely_as_the_model_has_it() -> None:
    import torch
    from emosim_local_gpu.writing import Sampler

    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    sampler = Sampler(temperature=2.0)
    allowed = torch.tensor([True, True, False, True])
    counts = torch.zeros(4)
    for _ in range(4000):
        counts[sampler.pick(logits, allowed)] += 1
    expected = (logits / 2).masked_fill(~allowed, -torch.inf).softmax(-1)
    assert counts[2] == 0
    assert (counts / 4000).tolist() == pytest.approx(expected.tolist(), abs=0.03)


def test_an_answer_that_is_cut_off_says_so(backend: Make, questions: Ask) -> None:
    for answer in backend("merged").answer_batch(questions(3, max_tokens=5)):
        assert isinstance(answer, ChatAnswer)
        assert answer.usage.completion <= 5
        assert answer.finished == (answer.usage.completion < 5)
    (capped,) = backend("merged", max_new_tokens=2).answer_batch(questions(1, max_tokens=50))
    assert isinstance(capped, ChatAnswer)
    assert (capped.usage.completion, capped.finished) == (2, False)


class Script:
    """Stands in for sampling: the tokens of a text, then the end."""

    def __init__(self, local: LocalBackend, text: str) -> None:
        loaded = local._load()
        self.tokens = [*loaded.format.encode(text), loaded.ends[0]]

    def pick(self, logits: Any, allowed: Any = None) -> int:
        return self.tokens.pop(0)


def writer_of(local: LocalBackend, text: str, most: int = 100, thinks: bool = False) -> Any:
    import torch
    from emosim_local_gpu.writing import TextWriter

    loaded, script = local._load(), Script(local, text)
    writer = TextWriter(loaded.format.tokenizer, loaded.ends, script, most, 60, thinks)  # type: ignore[arg-type]
    hand = writer.write()
    assert next(hand) == []
    try:
        while True:
            hand.send(torch.zeros(1))
    except StopIteration:
        return writer


def test_thoughts_are_told_apart_from_the_answer(backend: Make) -> None:
    local = backend("merged")
    for text, thinks in (("<think>Hm, space.</think>A nine.", False), ("Hm, space.</think>A nine.", True)):
        writer = writer_of(local, text, thinks=thinks)
        assert writer.parts == ("Hm, space.", "A nine.")
        assert (writer.written - writer.thought, writer.cut_off) == (len("A nine."), False)
    assert writer_of(local, "A nine.").parts == ("", "A nine.")
    assert writer_of(local, "A <think> nine.").parts == ("", "A <think> nine.")


def test_thoughts_do_not_count_as_the_answer_but_have_an_end(backend: Make) -> None:
    local = backend("merged")
    writer = writer_of(local, "<think>A long thought.</think>Nine, or ten.", most=4)
    assert writer.parts == ("A long thought.", "Nine")
    assert writer.cut_off
    writer = writer_of(local, "<think>" + "on and " * 20, most=4)
    assert writer.parts[1] == ""
    assert writer.parts[0].startswith("on and on")
    assert writer.cut_off
    assert writer.thought == writer.written == 60


def test_a_model_thinks_where_it_is_let_and_never_before_a_rating(
    tmp_path: Path, builder: Any, backend: Make, question: Callable[..., ChatRequest]
) -> None:
    folder = builder.build(tmp_path / "thinks", builder.byte_tokenizer(), template=THINKING)
    local = backend(model=str(folder), thinking=True, max_new_tokens=8)
    form = local._load().format
    assert form.opened(form.prompt(question("Why?"), thinking=True))
    assert not form.opened(form.prompt(question("Why?")))
    (answer,) = local.answer_batch([question("Why?", max_tokens=4)])
    assert isinstance(answer, ChatAnswer)
    assert answer.usage.reasoning > 0
    with_choices, plain = question("Why?", choices=("1", "2")), backend(model=str(folder))
    (ours,), (theirs,) = local.answer_batch([with_choices]), plain.answer_batch([with_choices])
    assert isinstance(ours, ChatAnswer)
    assert isinstance(theirs, ChatAnswer)
    assert dict(ours.probabilities) == pytest.approx(dict(theirs.probabilities), abs=1e-5)
    assert "thinking=True" in local.identity


def test_a_model_without_a_cache_can_choose_but_not_write(backend: Make, questions: Ask) -> None:
    (answer,) = backend("uncached").answer_batch(questions(1, max_tokens=3))
    assert isinstance(answer, LLMRequestError)
    assert "only choose" in str(answer)


def test_one_question_can_be_awaited(backend: Make, question: Callable[..., ChatRequest]) -> None:
    import asyncio

    local = backend("merged")
    answer = asyncio.run(local.answer(question("Rate it.", choices=("1", "2"))))
    assert answer.text in ("1", "2")
    with pytest.raises(LLMRequestError, match="does not exist"):
        asyncio.run(backend(model="/nowhere/at/all").answer(question("Rate it.")))
