"""JsonWriter: constrained decoding of a JSON text of a given shape, so that the text always parses.

The shapes are those of the requests of EmoSim: objects of strings, of arrays of strings, of numbers from a range and of
one of several values. The structure is fixed; the model chooses the tokens of strings, whether an array continues, and
one of several values, each among the tokens that lead to a text of the shape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from emosim_local_gpu.sampling import Sampler
from emosim_local_gpu.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

Feeding: TypeAlias = "Generator[list[int], torch.Tensor, None]"
"""Yields the next tokens, and receives the logits after them, shape ``(V,)``."""

LONGEST_STRING = 4000
"""Maximum characters of a string without ``maxLength``; a longer one is cut off."""

MOST_ITEMS = 3
"""Maximum items of an array without ``maxItems``."""

_MOST_VALUES = 1000
_ANY = {"type", "title", "description", "default", "examples", "$schema"}
_KEYS = {
    "object": {"properties", "required", "additionalProperties"},
    "string": {"minLength", "maxLength"},
    "array": {"items", "minItems", "maxItems"},
    "integer": {"minimum", "maximum"},
    "boolean": set[str](),
}


class UnknownShapeError(ValueError):
    """A schema has something that cannot be enforced."""


class JsonWriter:
    """Writes one JSON text.

    Args:
        schema: the shape; see :func:`check`.
        vocabulary: vocabulary of the model.
        encode: returns the tokens of a text.
        sampler: picks tokens.
        most: number of tokens after which strings and arrays end, as far as the shape allows.

    Attributes:
        text: the text so far.
        written: number of its tokens.
        cut_off: whether a string or an array ended because of ``most``.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        vocabulary: Vocabulary,
        encode: Callable[[str], list[int]],
        sampler: Sampler,
        most: int,
    ) -> None:
        self._vocabulary, self._encode, self._sampler, self._most = vocabulary, encode, sampler, most
        self._schema = schema
        self._waiting = ""
        self._queue: list[int] = []
        self._logits: torch.Tensor | None = None
        self.text, self.written, self.cut_off = "", 0, False

    def write(self) -> Feeding:
        """Write the text into :attr:`text`; the first list of tokens that is yielded may be empty."""
        yield from self._value(self._schema)
        self.text += self._waiting
        self.written += len(self._queue) + len(self._encode(self._waiting))

    # ------------------------------------------------------------------------------------------ shapes

    def _value(self, schema: Mapping[str, Any]) -> Feeding:
        values = _values(schema)
        if values is not None:
            yield from self._one_of([_dumped(value) for value in values])
        elif schema["type"] == "object":
            yield from self._object(schema)
        elif schema["type"] == "array":
            yield from self._array(schema)
        else:
            yield from self._string(int(schema.get("minLength", 0)), schema.get("maxLength"))

    def _object(self, schema: Mapping[str, Any]) -> Feeding:
        self._waiting += "{"
        for i, (name, shape) in enumerate(schema.get("properties", {}).items()):
            self._waiting += f"{', ' if i else ''}{_dumped(name)}: "
            yield from self._value(shape)
        self._waiting += "}"

    def _array(self, schema: Mapping[str, Any]) -> Feeding:
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(MOST_ITEMS, least)))
        self._waiting += "["
        for count in range(most):
            if count >= least:
                goes_on = yield from self._goes_on(count)
                if not goes_on:
                    break
            self._waiting += ", " if count else ""
            yield from self._value(schema["items"])
        self._waiting += "]"

    def _goes_on(self, count: int) -> Generator[list[int], torch.Tensor, bool]:
        """Whether the model adds an item to an array that may end."""
        if self._spent():
            self.cut_off = True
            return False
        logits = yield from self._flush()
        over = self._vocabulary.beginning("]")
        allowed = over | self._vocabulary.beginning(",") if count else None
        if allowed is not None and not bool(allowed.any()):
            return False
        return not bool(over[self._sampler.pick(logits, allowed)])

    def _string(self, least: int, bound: int | None) -> Feeding:
        words, most = self._vocabulary, max(least, LONGEST_STRING) if bound is None else int(bound)
        self._waiting += '"'
        length, going = 0, most > 0
        while going:
            if length >= least and self._spent():
                self.cut_off = True
                break
            logits = yield from self._flush()
            may_end = words.closing if length >= least else words.closing & False
            allowed = (words.inside | may_end) & (words.lengths <= most - length)
            if not bool(allowed.any()):
                break
            token = self._sampler.pick(logits, allowed)
            text, quote, _ = words.texts[token].partition('"')
            length += len(text)
            going = not quote and length < most
            self.cut_off |= not quote and length >= most and bound is None
            if quote:
                self._waiting += text
            else:
                self.text += text
                self._queue.append(token)
        self._waiting += '"'

    def _one_of(self, texts: Sequence[str]) -> Feeding:
        """Write one of several texts, token by token as the model chooses."""
        paths = {tuple(self._encode(text)): text for text in reversed(texts)}
        if len(paths) == 1:
            self._waiting += texts[0]
            return
        path_so_far: tuple[int, ...] = ()
        while len(paths) > 1:
            logits = yield from self._flush()
            nexts = {path[len(path_so_far)] for path in paths if len(path) > len(path_so_far)}
            allowed = self._vocabulary.only(nexts)
            if path_so_far in paths:
                allowed = allowed | self._vocabulary.after_value
            token = self._sampler.pick(logits, allowed)
            if token in nexts:
                path_so_far = (*path_so_far, token)
                self._queue.append(token)
                paths = {path: text for path, text in paths.items() if path[: len(path_so_far)] == path_so_far}
            else:
                paths = {path_so_far: paths[path_so_far]}
        ((path, text),) = paths.items()
        self._queue += path[len(path_so_far) :]
        self.text += text

    # --------------------------------------------------------------------------------------- the model

    def _flush(self) -> Generator[list[int], torch.Tensor, torch.Tensor]:
        """Pass pending tokens to the model; returns the logits after them."""
        self.text += self._waiting
        tokens = self._queue + (self._encode(self._waiting) if self._waiting else [])
        self._queue, self._waiting = [], ""
        if tokens or self._logits is None:
            self.written += len(tokens)
            self._logits = yield tokens
        return self._logits

    def _spent(self) -> bool:
        return self.written + len(self._queue) >= self._most


def check(schema: Mapping[str, Any]) -> None:
    """Reject a schema that cannot be enforced.

    Raises:
        UnknownShapeError: it has an unsupported keyword, such as a pattern.
    """
    if _values(schema) is not None:
        return
    kind = schema.get("type")
    if kind not in ("object", "array", "string"):
        raise UnknownShapeError(f"values of the type {kind!r} without a range or a list of values")
    unknown = set(schema) - _ANY - _KEYS[kind]
    if unknown:
        raise UnknownShapeError(f"{', '.join(map(repr, sorted(unknown)))} of the type {kind!r}")
    if kind == "object":
        properties = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in properties:
                raise UnknownShapeError(f"the required property {name!r}, which is not described")
        for shape in properties.values():
            check(shape)
    elif kind == "array":
        check(schema.get("items", {}))
    low, high = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems")}.get(kind, ("", ""))
    if low and int(schema.get(low, 0)) > int(schema.get(high, 10**9)):
        raise UnknownShapeError(f"{low} above {high}")


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    """All values that a shape allows, if they can be listed; None otherwise."""
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return list(schema["enum"])
    if schema.get("type") == "boolean":
        return [True, False]
    if schema.get("type") == "null":
        return [None]
    if schema.get("type") == "integer" and set(schema) - _ANY <= _KEYS["integer"]:
        low, high = schema.get("minimum"), schema.get("maximum")
        if isinstance(low, int) and isinstance(high, int) and 0 <= high - low < _MOST_VALUES:
            return list(range(low, high + 1))
    return None


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
