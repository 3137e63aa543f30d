"""Vocabulary: what each token writes, and which tokens may stand where in a JSON text."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Vocabulary:
    """What each token writes.

    Args:
        tokenizer: of the model.
        size: how many logits the model has; at least as many as there are tokens.
        device: where masks are needed.
    """

    def __init__(self, tokenizer: Any, size: int, device: torch.device) -> None:
        self.tokenizer, self.size, self.device = tokenizer, size, device
        self._beginning: dict[str, torch.Tensor] = {}

    @cached_property
    def texts(self) -> list[str]:
        """What each token adds to a text; empty for special tokens and for numbers that no token has."""
        known, special = len(self.tokenizer), marks(self.tokenizer)
        anchor = self.tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
        before = self._decode([anchor])[0]
        pairs = self._decode([[*anchor, i] for i in range(min(known, self.size))])
        texts = [
            "" if i in special or not text.startswith(before) else text[len(before) :] for i, text in enumerate(pairs)
        ]
        return texts + [""] * (self.size - len(texts))

    @cached_property
    def inside(self) -> torch.Tensor:
        """Which tokens may stand in a JSON string as they are, shape ``(V,)``.

        A character of which a token holds only a part is left out.
        """
        return self._mask([bool(text) and _plain(text) for text in self.texts])

    @cached_property
    def lengths(self) -> torch.Tensor:
        """Characters of each token before the first quotation mark, shape ``(V,)``."""
        import torch

        return torch.tensor([len(text.partition('"')[0]) for text in self.texts], device=self.device)

    @cached_property
    def closing(self) -> torch.Tensor:
        """Which tokens end a JSON string: they have a quotation mark, and nothing unusual before it."""
        return self._mask(['"' in text and _plain(text.partition('"')[0]) for text in self.texts])

    @cached_property
    def after_value(self) -> torch.Tensor:
        """Which tokens show that a number is over."""
        return self.beginning(",") | self.beginning("}") | self.beginning("]")

    def beginning(self, mark: str) -> torch.Tensor:
        """Which tokens begin with a mark, spaces aside, shape ``(V,)``."""
        if mark not in self._beginning:
            self._beginning[mark] = self._mask([text.lstrip()[:1] == mark for text in self.texts])
        return self._beginning[mark]

    def only(self, tokens: Iterable[int]) -> torch.Tensor:
        """These tokens, shape ``(V,)``."""
        import torch

        allowed = torch.zeros(self.size, dtype=torch.bool, device=self.device)
        allowed[list(tokens)] = True
        return allowed

    @cached_property
    def line_ends(self) -> list[int]:
        """Tokens that begin a new line."""
        return [i for i, text in enumerate(self.texts) if text.startswith(("\n", "\r"))]

    def _mask(self, values: list[bool]) -> torch.Tensor:
        import torch

        return torch.tensor(values, dtype=torch.bool, device=self.device)

    def _decode(self, rows: list[list[int]]) -> list[str]:
        told: list[str] = self.tokenizer.batch_decode(
            rows, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return told


def marks(tokenizer: Any) -> set[int]:
    """Tokens that are no text: special ones, and those that are put into a vocabulary to mark something."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    found = {
        i for i, one in added.items() if one.special or (one.content.startswith("<") and one.content.endswith(">"))
    }
    return found | set(tokenizer.all_special_ids)


def _plain(text: str) -> bool:
    """Whether JSON takes a text between quotation marks as it stands."""
    return text.isprintable() and '"' not in text and "\\" not in text and "\ufffd" not in text
