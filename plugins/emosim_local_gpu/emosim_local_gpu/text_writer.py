"""TextWriter: writes a free answer, and separates thoughts from the answer."""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import TYPE_CHECKING, Any

from emosim_local_gpu.chat_format import CLOSE, OPEN
from emosim_local_gpu.sampling import Sampler

if TYPE_CHECKING:
    import torch


class TextWriter:
    """Writes one answer until the model ends it.

    Args:
        most: maximum tokens of the answer without thoughts.
        most_in_all: maximum tokens with thoughts.
        thinks: whether the prompt ends with an open thought.
    """

    def __init__(
        self, tokenizer: Any, ends: Collection[int], sampler: Sampler, most: int, most_in_all: int, thinks: bool = False
    ) -> None:
        self._tokenizer, self._ends, self._sampler = tokenizer, ends, sampler
        self._most, self._most_in_all, self._thinks = most, most_in_all, thinks
        self._opened = thinks
        self._tokens: list[int] = []
        self._thought = 0
        self.cut_off = False

    def write(self) -> Generator[list[int], torch.Tensor, None]:
        """Yield the tokens one by one; the first list that is yielded is empty."""
        logits = yield []
        opening, closing = self._mark(OPEN), self._mark(CLOSE)
        while True:
            token = self._sampler.pick(logits)
            if token in self._ends:
                return
            self._tokens.append(token)
            if token == opening and len(self._tokens) <= 2:
                self._opened = True
            if token == closing:
                self._opened, self._thought = False, len(self._tokens)
            length = 0 if self._opened else len(self._tokens) - self._thought
            if length >= self._most or len(self._tokens) >= self._most_in_all:
                self.cut_off = True
                return
            logits = yield [token]

    @property
    def written(self) -> int:
        """Number of tokens, thoughts included."""
        return len(self._tokens)

    @property
    def thought(self) -> int:
        """Number of tokens of thoughts."""
        return len(self._tokens) if self._opened else self._thought

    @property
    def parts(self) -> tuple[str, str]:
        text = self._tokenizer.decode(self._tokens, skip_special_tokens=True).strip()
        thoughts, closed, answer = text.partition(CLOSE)
        begun = self._thinks or text.startswith(OPEN)
        if closed and begun:
            return thoughts.removeprefix(OPEN).strip(), answer.strip()
        if begun or self._opened:
            return text.removeprefix(OPEN).strip(), ""
        if self._thought:  # the marks are special tokens, which leave no text
            tokens = self._tokens
            shown = [
                self._tokenizer.decode(part, skip_special_tokens=True).strip()
                for part in (tokens[: self._thought], tokens[self._thought :])
            ]
            return shown[0], shown[1]
        return "", text

    def _mark(self, text: str) -> int | None:
        token = self._tokenizer.convert_tokens_to_ids(text)
        return token if isinstance(token, int) and token != self._tokenizer.unk_token_id else None
