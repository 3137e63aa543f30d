"""Sampling: the next token, the likeliest or sampled; equal requests with equal seeds draw the same."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emosim_core.llm import ChatRequest, LLMRequestError

if TYPE_CHECKING:
    import torch


@dataclass
class Sampler:
    """Picks tokens; the likeliest one at a temperature of 0."""

    temperature: float = 0.0
    numbers: random.Random = field(default_factory=lambda: random.Random(0))

    @classmethod
    def of(cls, request: ChatRequest) -> Sampler:
        """The sampler of a request; its draws do not depend on other requests."""
        messages = [[one.role, one.content] for one in request.messages]
        key = json.dumps([request.seed, request.sample, messages], ensure_ascii=False)
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        return cls(request.temperature, random.Random(int.from_bytes(digest, "big")))

    def pick(self, logits: torch.Tensor, allowed: torch.Tensor | None = None) -> int:
        """One token.

        Args:
            logits: shape ``(V,)``.
            allowed: which tokens may be picked, shape ``(V,)``, at least one; any of them if None.
        """
        import torch

        scores = logits.float()
        if allowed is not None:
            scores = scores.masked_fill(~allowed.to(scores.device), -torch.inf)
        best = int(scores.argmax())
        if not torch.isfinite(scores[best]):
            raise LLMRequestError("what the model computes is no number: try dtype=float32 or dtype=bfloat16")
        if not self.temperature:
            return best
        edges = ((scores - scores[best]) / self.temperature).exp().cumsum(0)
        at = torch.searchsorted(edges, edges[-1] * self.numbers.random(), right=True)
        chosen = min(int(at), len(edges) - 1)
        return chosen if allowed is None or bool(allowed[chosen]) else best
