"""On a graphics card: the same answers as on the processor, and quantised weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from emosim_local_gpu.backend import LocalBackend

from emosim_core.llm import ChatAnswer, ChatRequest

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no graphics card here"),
]

Make = Callable[..., LocalBackend]
Ask = Callable[..., list[ChatRequest]]

TEN = tuple(map(str, range(1, 11)))
SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string", "maxLength": 20}, "rating": {"enum": list(TEN)}},
}


@pytest.mark.parametrize("kind", ["merged", "bytes", "sliding"])
def test_a_card_answers_as_the_processor_does(kind: str, backend: Make, questions: Ask) -> None:
    requests = questions(9, choices=TEN)
    on_card, here = (backend(kind, device=device, dtype="float32").answer_batch(requests) for device in ("cuda", "cpu"))
    for one, other in zip(on_card, here, strict=True):
        assert isinstance(one, ChatAnswer)
        assert isinstance(other, ChatAnswer)
        assert dict(one.probabilities) == pytest.approx(dict(other.probabilities), abs=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_coarse_numbers_are_shared_and_written_too(dtype: str, backend: Make, questions: Ask) -> None:
    local = backend("bytes", device="cuda", dtype=dtype)
    apart = backend("bytes", device="cuda", dtype=dtype, prefix_sharing=False)
    requests = questions(9, choices=TEN)
    for one, other in zip(local.answer_batch(requests), apart.answer_batch(requests), strict=True):
        assert isinstance(one, ChatAnswer)
        assert isinstance(other, ChatAnswer)
        assert dict(one.probabilities) == pytest.approx(dict(other.probabilities), abs=0.05)
    for answer in local.answer_batch(questions(4, schema=SCHEMA, temperature=1.0, seed=1)):
        assert isinstance(answer, ChatAnswer)


@pytest.mark.filterwarnings("ignore:inner dimension:UserWarning")  # bitsandbytes, of a model as tiny as this one
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_weights_are_shrunk_while_they_are_loaded(bits: str, backend: Make, questions: Ask) -> None:
    for package in ("bitsandbytes", "accelerate"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'emosim-local-gpu[bitsandbytes]'")
    local = backend("merged", device="cuda", quantization=bits)
    for answer in local.answer_batch(questions(3, choices=TEN)):
        assert isinstance(answer, ChatAnswer)
        assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_a_model_is_spread_over_devices(models: Callable[[str], Path], backend: Make, questions: Ask) -> None:
    if importlib.util.find_spec("accelerate") is None:
        pytest.skip("accelerate is not installed: pip install 'emosim-local-gpu[accelerate]'")
    requests = questions(4, choices=TEN)
    spread: Any = backend("merged", device="auto", device_map="auto").answer_batch(requests)
    for one, other in zip(spread, backend("merged", device="cuda").answer_batch(requests), strict=True):
        assert dict(one.probabilities) == pytest.approx(dict(other.probabilities), abs=1e-4)  # type: ignore[union-attr]
