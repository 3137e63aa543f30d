"""LabelTree: the allowed answers to a request as a tree of tokens, and the probability of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emosim_core.llm import LLMRequestError

ROOT = 0
"""The node before the first token of an answer."""


@dataclass(frozen=True)
class Step:
    """One factor of an answer's probability: that of a token, or of the end (None), after the tokens of a node."""

    node: int
    token: int | None


class LabelTree:
    """The allowed answers to a request as a tree of tokens.

    An answer c of the tokens t_1 ... t_m has the weight

        w(c) = p(t_1 | prompt) * p(t_2 | prompt, t_1) * ... * p(t_m | prompt, t_1 ... t_{m-1})

    and its probability is w(c) / (w(c_1) + ... + w(c_n)) over all allowed answers. Where the tokens of one answer begin
    with all the tokens of another, as those of "10" may begin with that of "1", every answer has one factor more,
    p(end | prompt, t_1 ... t_m), the sum of the probabilities of all tokens that end an answer: "1" then competes
    as "1 and nothing more". Otherwise no answer needs an end to be distinguished from the others. Tokens with which all
    answers begin are appended to the prompt (:attr:`lead`): they are in every weight and change no probability.

    An LLMRequestError where two answers have the same tokens (``paths``), or one has none.
    """

    def __init__(self, paths: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
        for path, label in zip(paths, labels, strict=True):
            if not path:
                raise LLMRequestError(f"the model has no token for the answer {label!r}")
        whole = {tuple(path): label for path, label in zip(paths, labels, strict=True)}
        if len(whole) < len(labels):
            same = next(one for one, path in zip(labels, paths, strict=True) if whole[tuple(path)] != one)
            raise LLMRequestError(f"the model has the same tokens for {same!r} as for another of {', '.join(labels)}")
        self.ended = any(path[:i] in whole for path in whole for i in range(1, len(path)))
        shared, shortest = 0, min(map(len, whole))
        while shared < shortest - (not self.ended) and len({path[shared] for path in whole}) == 1:
            shared += 1
        first = next(iter(whole))
        self.lead: tuple[int, ...] = first[:shared]
        self.lengths = [len(path) for path in paths]
        self.parents: list[int] = [-1]
        self.tokens: list[int] = [-1]
        self._children: list[dict[int, int]] = [{}]
        self.steps = [self._grow(list(path[shared:])) for path in paths]

    def _grow(self, path: list[int]) -> list[Step]:
        node, steps = ROOT, []
        for i, token in enumerate(path):
            steps.append(Step(node, token))
            if i + 1 < len(path) or self.ended:
                if token not in self._children[node]:
                    self._children[node][token] = len(self.parents)
                    self.parents.append(node)
                    self.tokens.append(token)
                    self._children.append({})
                node = self._children[node][token]
        if self.ended:
            steps.append(Step(node, None))
        return steps

    def __len__(self) -> int:
        """Number of nodes that need the model's distribution; 1 if one pass over the prompt is enough."""
        return len(self.parents)

    def depth(self, node: int) -> int:
        """Number of tokens on the path to a node."""
        return len(self.path(node))

    def path(self, node: int) -> list[int]:
        """The nodes from the first token to this one."""
        nodes: list[int] = []
        while node != ROOT:
            nodes.append(node)
            node = self.parents[node]
        return nodes[::-1]

    def leaves(self) -> list[int]:
        return [node for node, children in enumerate(self._children) if not children]
