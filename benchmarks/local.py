"""Ratings per second of a language model in this process, by batch, with and without sharing; prints a table.

Run with: python benchmarks/local.py [--device cuda] [--model FOLDER]
Without a model a tiny one with random weights is made. Questions are as long as real ones: about 700 tokens that all
share (instructions and worked examples) and 250 of their own. Every number is the best of several repetitions.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emosim_local_gpu.backend import LocalBackend

    from emosim_core.llm import ChatRequest

SHARED, OWN = 700, 250
BATCHES = (1, 8, 64)
SCALES = {"0-9": tuple("0123456789"), "1-10": tuple(map(str, range(1, 11)))}
TEXT = "a quiet film of two sisters who meet again by the sea and find that nothing was as they had told it"
WORDS = TEXT.split()
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(folder: Path, hidden: int, layers: int) -> None:
    """Save a small Llama with random weights, whose tokens are words and bytes; of "10" it has two tokens."""
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(one, special=True) for one in ("<|im_start|>", "<|im_end|>")])
    tokenizer.add_tokens([AddedToken(" " + word) for word in dict.fromkeys(WORDS)])
    wrap: Any = PreTrainedTokenizerFast
    made = wrap(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    made.chat_template = TEMPLATE
    made.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=2,
        eos_token_id=made.eos_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def questions(backend: LocalBackend, count: int, choices: tuple[str, ...]) -> list[ChatRequest]:
    """Questions of about the usual length, in the model's own tokens."""
    from emosim_core.llm import ChatRequest, Message

    rng = random.Random(0)
    form = backend._load().format

    def text(tokens: int) -> str:
        words: list[str] = []
        while len(form.encode(" " + " ".join(words))) < tokens:
            words += rng.choices(WORDS, k=max(1, tokens // 40))
        return " " + " ".join(words)

    shared = text(SHARED)
    return [
        ChatRequest((Message("system", shared), Message("user", f"{i}{text(OWN + i % 21 - 10)}")), choices=choices)
        for i in range(count)
    ]


def rate(backend: LocalBackend, requests: list[ChatRequest], batch: int, seconds: float) -> float:
    """Ratings per second, the best of some seconds of repetitions."""
    from emosim_core.llm import ChatAnswer

    best, until, at = 0.0, time.perf_counter() + seconds, 0
    while time.perf_counter() < until or not best:
        some = [requests[(at + i) % len(requests)] for i in range(batch)]
        at += batch
        begun = time.perf_counter()
        answers = backend.answer_batch(some)
        took = time.perf_counter() - begun
        assert all(isinstance(answer, ChatAnswer) for answer in answers), answers
        best = max(best, batch / took)
    return best


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", help="folder of a model; a tiny one is made if none is named")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=2, help="cores that torch uses")
    parser.add_argument("--hidden", type=int, default=256, help="width of the tiny model")
    parser.add_argument("--layers", type=int, default=4, help="layers of the tiny model")
    parser.add_argument("--seconds", type=float, default=6.0, help="seconds for each figure")
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

    import torch
    from emosim_local_gpu.backend import LocalBackend
    from emosim_local_gpu.options import LocalOptions

    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.model or name
        if not arguments.model:
            build(Path(name), arguments.hidden, arguments.layers)
        options = {"model": str(folder), "device": arguments.device, "dtype": arguments.dtype}
        shared, apart = (LocalBackend(LocalOptions(**options, prefix_sharing=sharing)) for sharing in (True, False))
        engine = shared._load().engine
        where = torch.cuda.get_device_name(engine.device) if engine.device.type == "cuda" else platform.machine()
        print(
            f"{sum(one.numel() for one in engine.model.parameters()) / 1e6:,.1f} million parameters, "
            f"{engine.model.dtype}, {engine.device} ({where}, {arguments.threads} threads), torch {torch.__version__}"
        )
        print(f"{'scale':<7}{'batch':>6}{'shared':>10}{'apart':>10}{'gain':>7}   ratings/s")
        for scale, choices in SCALES.items():
            put = questions(shared, max(BATCHES), choices)
            for batch in BATCHES:
                for backend in (shared, apart):
                    rate(backend, put, batch, 0)
                fast, slow = (rate(backend, put, batch, arguments.seconds) for backend in (shared, apart))
                print(f"{scale:<7}{batch:>6}{fast:>10.1f}{slow:>10.1f}{fast / slow:>6.1f}x", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
