"""Tiny models for the tests, built here: nothing is downloaded, and no test may try to."""

from __future__ import annotations

import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from emosim_local_gpu.backend import LocalBackend
from emosim_local_gpu.options import LocalOptions

from emosim_core.llm import ChatRequest, Message

pytest_plugins = ["emosim_core.testing.pytest_plugin"]

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A chat template of the common kind."""

SPECIAL = ("<|im_start|>", "<|im_end|>", "<|pad|>")
MARKS = ("<think>", "</think>")
MERGES = (("1", "0"), ("o", "n"), ("t", "e"), ("te", "n"), ("Ġ", "a"), ('"', ","))


def pytest_configure(config: pytest.Config) -> None:
    """Known also where the tests of all plugins run together."""
    config.addinivalue_line("markers", "gpu: needs a graphics card that torch can use; skipped without one")
    config.addinivalue_line("markers", "slow: takes more than a few seconds; CI runs these too")


@pytest.fixture(autouse=True)
def _one_core() -> Iterator[None]:
    """One core is enough for a tiny model, and the fastest where tests run side by side."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def byte_tokenizer(merges: Sequence[tuple[str, str]] = ()) -> Any:
    """A tokenizer of bytes, of which some pairs are tokens of their own."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(left + right for left, right in merges)]
    model = models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=list(merges))
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(one, special=True) for one in SPECIAL])
    tokenizer.add_tokens([AddedToken(one) for one in MARKS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|pad|>", clean_up_tokenization_spaces=False
    )


def word_tokenizer() -> Any:
    """A tokenizer of words."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[UNK]", "user", "assistant", "system", "a", "good", "film", "rate", "it", *map(str, range(11)), '"', ","]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(one, special=True) for one in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|pad|>", unk_token="[UNK]"
    )


def build(folder: Path, tokenizer: Any, template: str | None = TEMPLATE, config: Any = None, seed: int = 0) -> Path:
    """Save a tiny model whose weights are random, so that its answers differ from question to question."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    config = config or LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.4,
    )
    config.update({"vocab_size": len(tokenizer), **ids})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    if template is not None:
        tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a tiny model by its kind: "merged", "bytes", "words", "plain", "sliding", "alibi", "recurrent",
    "uncached" or "other"."""
    base, made = tmp_path_factory.mktemp("models"), dict[str, Path]()

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = _make(kind, base / kind)
        return made[kind]

    return make


def _make(kind: str, folder: Path) -> Path:
    if kind == "words":
        return build(folder, word_tokenizer())
    if kind == "bytes":
        return build(folder, byte_tokenizer())
    if kind == "plain":
        return build(folder, byte_tokenizer(MERGES), template=None)
    if kind == "other":
        return build(folder, byte_tokenizer(MERGES), seed=1)
    if kind == "sliding":
        from transformers import MistralConfig

        config = MistralConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            sliding_window=24,
            initializer_range=0.4,
        )
        return build(folder, byte_tokenizer(), config=config)
    if kind == "alibi":
        from transformers import BloomConfig

        return build(
            folder, byte_tokenizer(), config=BloomConfig(hidden_size=32, n_layer=2, n_head=4, initializer_range=0.4)
        )
    if kind == "recurrent":
        from transformers import MambaConfig

        return build(
            folder, byte_tokenizer(), config=MambaConfig(hidden_size=32, num_hidden_layers=2, initializer_range=0.4)
        )
    if kind == "uncached":
        from transformers import OpenAIGPTConfig

        return build(
            folder,
            byte_tokenizer(),
            config=OpenAIGPTConfig(n_positions=512, n_embd=32, n_layer=2, n_head=4, initializer_range=0.4),
        )
    assert kind == "merged"
    return build(folder, byte_tokenizer(MERGES))


@pytest.fixture
def backend(models: Callable[[str], Path]) -> Callable[..., LocalBackend]:
    """A backend on the processor: ``backend("bytes", batch_size=2)``."""

    def make(kind: str = "merged", **options: Any) -> LocalBackend:
        return LocalBackend(LocalOptions(**{"model": str(models(kind)), "device": "cpu", **options}))

    return make


INSTRUCTIONS = "You play a person who rates films. Answer with the rating alone, and with nothing else."


def _question(text: str, **more: Any) -> ChatRequest:
    return ChatRequest((Message("system", INSTRUCTIONS), Message("user", text)), **more)


@pytest.fixture
def question() -> Callable[..., ChatRequest]:
    """A question with the usual beginning: ``question("How good is it?", choices=("1", "2"))``."""
    return _question


@pytest.fixture
def questions() -> Callable[..., list[ChatRequest]]:
    """Questions of different lengths that begin alike: ``questions(6, choices=("1", "2"))``."""

    def make(count: int, **more: Any) -> list[ChatRequest]:
        return [_question(f"Film {i}{' is long' * (i % 4)}. Rate it.", **more) for i in range(count)]

    return make


@pytest.fixture
def builder() -> Any:
    """What builds tiny models: ``builder.build(folder, builder.byte_tokenizer(), template=None)``."""
    return sys.modules[__name__]
