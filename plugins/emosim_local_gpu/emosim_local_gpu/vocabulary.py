"""Vocabulary: the text of each token, and masks of the tokens that may occur in a JSON text."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Vocabulary:
    """Texts and masks of tokens.

    Args:
        tokenizer: tokenizer of the model.
        size: number of logits of the model, at least the number of tokens.
        device: device of the masks.
    """

    def __init__(self, tokenizer: Any, size: int, device: torch.device) -> None:
        self.tokenizer, self.size, self.device = tokenizer, size, device
        self._beginning: dict[str, torch.Tensor] = {}

    @cached_property
    def texts(self) -> list[str]:
        """The text that each token adds; empty for special tokens and unused ids."""
        count, special = len(self.tokenizer), marks(self.tokenizer)
        anchor = self.tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
        before = self._decode([anchor])[0]
        pairs = self._decode([[*anchor, i] for i in range(min(count, self.size))])
        texts = [
            "" if i in special or not text.startswith(before) else text[len(before) :] for i, text in enumerate(pairs)
        ]
        return texts + [""] * (self.size - len(texts))

    @cached_property
    def inside(self) -> torch.Tensor:
        """Mask of the tokens that may occur in a JSON string unescaped, shape ``(V,)``.

        Tokens with a part of a character are excluded.
        """
        return self._mask([bool(text) and _plain(text) for text in self.texts])

    @cached_property
    def lengths(self) -> torch.Tensor:
        """Characters of each token before the first quotation mark, shape ``(V,)``."""
        import torch

        return torch.tensor([len(text.partition('"')[0]) for text in self.texts], device=self.device)

    @cached_property
    def closing(self) -> torch.Tensor:
        """Mask of the tokens that end a JSON string, by a quotation mark after plain text, shape ``(V,)``."""
        return self._mask(['"' in text and _plain(text.partition('"')[0]) for text in self.texts])

    @cached_property
    def after_value(self) -> torch.Tensor:
        """Mask of the tokens that may follow a number, shape ``(V,)``."""
        return self.beginning(",") | self.beginning("}") | self.beginning("]")

    def beginning(self, mark: str) -> torch.Tensor:
        """Mask of the tokens that begin with a character after any white space, shape ``(V,)``."""
        if mark not in self._beginning:
            self._beginning[mark] = self._mask([text.lstrip()[:1] == mark for text in self.texts])
        return self._beginning[mark]

    def only(self, tokens: Iterable[int]) -> torch.Tensor:
        """Mask of some tokens, shape ``(V,)``."""
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
        texts: list[str] = self.tokenizer.batch_decode(
            rows, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return texts


def marks(tokenizer: Any) -> set[int]:
    """Ids of the tokens that are not text: special tokens, and added ones of the form ``<...>``."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    added_marks = {
        i for i, one in added.items() if one.special or (one.content.startswith("<") and one.content.endswith(">"))
    }
    return added_marks | set(tokenizer.all_special_ids)


def _plain(text: str) -> bool:
    """Whether a text needs no escapes in a JSON string."""
    return text.isprintable() and '"' not in text and "\\" not in text and "\ufffd" not in text
