"""Scoring: the probability of each allowed answer, from the model's distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from emosim_core.llm import LLMRequestError
from emosim_local_gpu.engine import Engine, Prefix, Rows
from emosim_local_gpu.labels import LabelTree, Step


def score(engine: Engine, rows: Rows, prefix: Prefix, tree: LabelTree, ends: Sequence[int]) -> list[list[float]]:
    """The probability of each answer to each prompt (its tokens and those of ``tree.lead``); each row sums to 1."""
    import torch

    if tree.ended and not ends:
        raise LLMRequestError(
            "the model names no token that ends an answer, so answers of which one begins with another cannot be "
            "distinguished; use a scale such as 0-9, or give the model's generation_config.json an eos_token_id"
        )
    if len(tree) == 1:
        logits = engine.read(rows, prefix).logits
    elif engine.branches:
        read = engine.read(rows, prefix, keep=True)
        logits = torch.cat([read.logits, engine.branch(read, tree)], dim=1)
    else:
        logits = engine.follow(rows, prefix, tree)
    factors: dict[Step, list[float]] = {}  # the logarithm of each factor, for each row
    for node in range(len(tree)):
        here = logits[:, node].float()
        total = here.logsumexp(-1)
        for step in {step for steps in tree.steps for step in steps if step.node == node}:
            value = here[:, step.token] if step.token is not None else here[:, list(ends)].logsumexp(-1)
            factors[step] = (value - total).tolist()
    weights = [[sum(factors[step][i] for step in steps) for steps in tree.steps] for i in range(len(rows))]
    return [_normalised(row) for row in weights]


def _normalised(logs: Sequence[float]) -> list[float]:
    highest = max(logs)
    weights = [math.exp(log - highest) for log in logs] if math.isfinite(highest) else [math.nan]
    total = sum(weights)
    if not math.isfinite(total):
        raise LLMRequestError(
            "what the model computes is no number; its weights are damaged, or its numbers are too coarse: try "
            "dtype=float32 or dtype=bfloat16"
        )
    return [weight / total for weight in weights]
