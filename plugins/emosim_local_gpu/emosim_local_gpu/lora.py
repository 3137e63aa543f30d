"""LoRA: fine-tunes a small model on examples of ratings, with few weights, and writes it as a folder for ``local:``.

    python -m emosim_local_gpu.lora --model smollm2 --examples examples/examples.jsonl --steps 100 --out tuned
    emosim validate ... --llm-model local:tuned

Low-rank adaptation (Hu et al., 2021, arXiv:2106.09685) by the library peft. Each line of the examples is
``{"messages": [{"role": ..., "content": ...}, ...], "answer": "7"}``; the loss is that of the answer alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emosim_core import ConfigurationError, DataError, EmoSimError, MissingDependencyError
from emosim_core.llm import ChatRequest, Message
from emosim_local_gpu.options import LocalOptions

LOG = "training.json"
"""File of a tuned model that says what it was tuned with, and the loss of each step."""


@dataclass(frozen=True)
class Tuning:
    """What a model is tuned with.

    Attributes:
        steps: updates of the weights.
        batch_size: examples of one update.
        rank: rank of the matrices that are learned beside each linear layer.
        learning_rate: of AdamW; it falls linearly to 0.
        longest: tokens of the longest example that takes part.
        device: as of the option ``device`` of ``local``.
    """

    model: str
    steps: int = 100
    batch_size: int = 4
    rank: int = 8
    learning_rate: float = 2e-4
    longest: int = 2048
    seed: int = 42
    device: str = "auto"


def tune(tuning: Tuning, examples: Path, out: Path) -> dict[str, Any]:
    """Tune a model and write it, with :data:`LOG`; returns what that holds.

    Raises:
        EmoSimError: the model or the examples cannot be read, peft is missing, or ``out`` is taken.
    """
    if find_spec("peft") is None:
        raise MissingDependencyError("fine-tuning", "peft", "pip install 'emosim-local-gpu[lora]'")
    if out.exists():
        raise ConfigurationError(f"{out} exists already; choose another place with --out")
    pairs = list(read_examples(examples))
    from emosim_local_gpu.loading import load, quiet

    loaded = load(LocalOptions(model=tuning.model, dtype="float32", device=tuning.device))
    rows = []
    for request, answer in pairs:
        prompt, label = loaded.format.prompt(request), loaded.format.label(answer)
        if len(prompt) + len(label) <= tuning.longest:
            rows.append((prompt, label))
    if not rows:
        raise ConfigurationError(
            f"all {len(pairs):,} examples are longer than {tuning.longest:,} tokens; raise --longest"
        )
    begun = time.perf_counter()
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peft, about what is as it should be
        model, losses = _trained(tuning, loaded.engine.model, rows)
        model.save_pretrained(out)
        loaded.format.tokenizer.save_pretrained(out)
    about = {
        "tuning": asdict(tuning),
        "examples": len(rows),
        "left_out": len(pairs) - len(rows),
        "examples_sha256": hashlib.sha256(examples.read_bytes()).hexdigest(),
        "losses": [round(loss, 4) for loss in losses],
        "seconds": round(time.perf_counter() - begun, 1),
        "versions": {name: metadata.version(name) for name in ("peft", "torch", "transformers")},
    }
    (out / LOG).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return about


def read_examples(path: Path) -> Iterator[tuple[ChatRequest, str]]:
    """The prompts and answers of a file; a DataError names the line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"cannot be read: {error}") from error
    if not lines:
        raise DataError(path, "has no example")
    for number, line in enumerate(lines, start=1):
        try:
            example = json.loads(line)
            messages = tuple(Message(one["role"], one["content"]) for one in example["messages"])
            answer = example["answer"]
            if (
                not isinstance(answer, str)
                or not answer
                or not all(
                    isinstance(one.content, str) and one.role in ("system", "user", "assistant") for one in messages
                )
            ):
                raise ValueError("a text is missing")
            yield ChatRequest(messages), answer
        except (ValueError, KeyError, TypeError, EmoSimError) as error:
            raise DataError(path, f'is no example {{"messages": [...], "answer": "7"}}: {error}', row=number) from error


def _trained(tuning: Tuning, model: Any, rows: Sequence[tuple[list[int], list[int]]]) -> tuple[Any, list[float]]:
    """The model with what it learned in its weights, and the mean loss of each step."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(tuning.seed)
    config = LoraConfig(
        r=tuning.rank, lora_alpha=2 * tuning.rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(model, config)
    adapted.train()
    weights = [one for one in adapted.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=tuning.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - step / tuning.steps)
    device, losses = next(model.parameters()).device, []
    order: list[int] = []
    generator = torch.Generator().manual_seed(tuning.seed)
    for step in range(tuning.steps):
        total = 0.0
        for _ in range(tuning.batch_size):
            order = order or torch.randperm(len(rows), generator=generator).tolist()
            prompt, label = rows[order.pop()]
            tokens = torch.tensor([[*prompt, *label]], device=device)
            # One example after the other, without padding; only the places before the answer are needed.
            logits = adapted(input_ids=tokens[:, :-1], logits_to_keep=len(label)).logits[0]
            loss = torch.nn.functional.cross_entropy(logits.float(), tokens[0, -len(label) :])
            torch.autograd.backward(loss / tuning.batch_size)
            total += loss.item() / tuning.batch_size
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(total)
        print(f"step {step + 1} of {tuning.steps}: loss {total:.3f}", file=sys.stderr, flush=True)
    return _plain(adapted.merge_and_unload().eval()), losses


def _plain(model: Any) -> Any:
    """A model without the mark that it comes from a .gguf file: its weights are whole numbers no more."""
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model


def main(arguments: Sequence[str] | None = None) -> int:
    """Tune as the command line says; returns the exit status."""
    defaults = Tuning("")
    parser = argparse.ArgumentParser(prog="python -m emosim_local_gpu.lora", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a folder, a .gguf file or smollm2, as after local:")
    parser.add_argument("--examples", type=Path, required=True, help="file of examples, as JSON lines")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tuned model")
    for name, kind, what in (
        ("steps", int, "updates of the weights"),
        ("batch-size", int, "examples of one update"),
        ("rank", int, "rank of what is learned beside each layer"),
        ("learning-rate", float, "learning rate, which falls to 0"),
        ("longest", int, "tokens of the longest example"),
        ("seed", int, "seed of all random numbers"),
        ("device", str, "auto, cpu, cuda or mps"),
    ):
        default = getattr(defaults, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{what} ({default})")
    given = vars(parser.parse_args(arguments))
    examples, out = given.pop("examples"), given.pop("out")
    if min(given["steps"], given["batch_size"], given["rank"], given["longest"]) < 1 or not given["learning_rate"] > 0:
        parser.error("steps, batch-size, rank, longest and learning-rate must be above 0")
    try:
        about = tune(Tuning(**given), examples, out)
    except EmoSimError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    tenth = max(1, len(about["losses"]) // 10)
    first, last = (sum(part) / len(part) for part in (about["losses"][:tenth], about["losses"][-tenth:]))
    print(f"{out}: loss {first:.2f} in the first tenth of the steps, {last:.2f} in the last. Use it: local:{out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
