"""Engine: forward passes of prompts, with a common prefix computed once."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emosim_local_gpu.labels import ROOT, LabelTree

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)

WORTH_SHARING = 16
"""Least length of a common prefix that is computed separately, in tokens."""

Rows = Sequence[Sequence[int]]
"""Tokens of several prompts."""


@dataclass(frozen=True)
class Prefix:
    """A common prefix of prompts, with its keys and values.

    Attributes:
        cache: keys and values of the tokens, for one row; None for no tokens.
        computed: number of tokens computed for this use; the others were cached.
    """

    tokens: tuple[int, ...] = ()
    cache: Any = None
    computed: int = 0


@dataclass
class Read:
    """Result of a forward pass.

    Attributes:
        logits: logits of the next token at the requested places, shape ``(B, K, V)``.
        cache: keys and values of all tokens; None if they were not requested.
        mask: which columns of the cache are tokens of a prompt, shape ``(B, C)``.
        lengths: tokens of each prompt, shape ``(B,)``.
    """

    logits: torch.Tensor
    cache: Any
    mask: torch.Tensor
    lengths: torch.Tensor


class Engine:
    """Runs forward passes of a model of transformers.

    Rows of different lengths are padded on the right, which a causal model never attends to; so padding changes
    nothing, whatever the kind of attention.

    Attributes:
        shares: whether the keys and values of a common prefix can be used by many rows.
        branches: whether, in addition, tokens can be added after padded rows, and several continuations be computed
            in one pass; the model must respect masks and positions.
    """

    def __init__(self, model: Any, device: torch.device, sharing: bool = True) -> None:
        self.model, self.device = model, device
        self._forward_takes = set(inspect.signature(model.forward).parameters)
        # transformers 5.24 calls `cache` what releases before it, and models of others, call `past_key_values`.
        self._cache_name = "cache" if "cache" in self._forward_takes else "past_key_values"
        self._prefix = Prefix()
        self._last: tuple[int, ...] = ()
        self.shares = self.branches = False
        out = self._run([[0]], 0, None, [[0]], keep=True)
        kinds = {type(layer).__name__ for layer in getattr(out.cache, "layers", None) or ()}
        self.shares = sharing and bool(kinds) and kinds <= {"DynamicLayer", "DynamicSlidingWindowLayer"}
        self.branches = (
            kinds == {"DynamicLayer"}
            and "position_ids" in self._forward_takes
            and getattr(model.config, "_attn_implementation", "") in ("sdpa", "eager")
        )
        self.branches = self.branches and self._heeds_masks()
        _LOG.debug("cache of %s: shares=%s, branches=%s", sorted(kinds), self.shares, self.branches)

    # ------------------------------------------------------------------------------------------ passes

    def prefix(self, rows: Rows) -> Prefix:
        """The common prefix of all rows, computed once; at least one token of each row remains after it.

        The last prefix is cached for the following requests; a single prompt shares its prefix with the previous one.
        """
        if not self.shares:
            return Prefix()
        cached = self._prefix.tokens
        single = len(rows) == 1
        last, self._last = self._last, tuple(rows[-1])
        common = shared_beginning([rows[0], last] if single and last else rows)
        if single and not last:
            common = 0
        tokens = tuple(rows[0][:common])
        start = len(cached) if cached and tokens[: len(cached)] == cached else 0
        if start and (common - start < WORTH_SHARING or (single and common < 2 * start)):
            return Prefix(cached, self._prefix.cache)
        if common < WORTH_SHARING:
            return Prefix()
        before = self._spread(self._prefix.cache, 1) if start else None
        out = self._run([tokens[start:]], start, before, gather=[[common - start - 1]], keep=True)
        if not start or common >= 2 * start:
            self._prefix = Prefix(tokens, out.cache)
        return Prefix(tokens, out.cache, common - start)

    def forget(self) -> None:
        """Free the cached keys and values of earlier requests."""
        self._prefix, self._last = Prefix(), ()

    def read(self, rows: Rows, prefix: Prefix, keep: bool = False, gather: Rows | None = None) -> Read:
        """One forward pass over rows with a common prefix.

        Args:
            keep: whether keys and values are returned, so that the rows can be continued.
            gather: places in each row at which logits are returned, equally many per row; the last place if None.
        """
        start = len(prefix.tokens)
        own = [row[start:] for row in rows]
        places = [[len(row) - 1] for row in rows] if gather is None else gather
        cache = None if prefix.cache is None else self._spread(prefix.cache, len(rows))
        return self._run(own, start, cache, [[place - start for place in one] for one in places], keep)

    def branch(self, read: Read, tree: LabelTree) -> torch.Tensor:
        """Logits at each node of a tree except its root, after each row; shape ``(B, N - 1, V)``.

        All nodes are computed in one pass; each attends to its row and to its ancestors.
        """
        import torch

        nodes = range(1, len(tree))
        rows = len(read.lengths)
        sees = torch.zeros(len(nodes), len(nodes), dtype=torch.bool)
        for node in nodes:
            for seen in tree.path(node):
                sees[node - 1, seen - 1] = True
        of_row = read.mask.bool()[:, None, :].expand(rows, len(nodes), -1)
        allowed = torch.cat([of_row, sees.to(self.device)[None].expand(rows, -1, -1)], dim=2)
        dtype = self.model.dtype
        mask = torch.zeros(allowed.shape, dtype=dtype, device=self.device)
        mask.masked_fill_(~allowed, torch.finfo(dtype).min)
        depths = torch.tensor([tree.depth(node) for node in nodes], device=self.device)
        tokens = torch.tensor([[tree.tokens[node] for node in nodes]] * rows, device=self.device)
        positions = read.lengths[:, None] + depths[None] - 1
        return self._forward(tokens, mask[:, None], read.cache, positions, gather=None).logits

    def go_on(self, read: Read, tokens: Sequence[int]) -> None:
        """Append one token to each row, and store the logits of the next one in ``read``.

        If the model does not branch, all rows must have the same length.
        """
        import torch

        added = torch.tensor(tokens, device=self.device)[:, None]
        read.mask = torch.cat([read.mask, torch.ones_like(added)], dim=1)
        # A recurrent model would multiply its states by the mask; rows of one length need none.
        mask = read.mask if self.branches else None
        out = self._forward(added, mask, read.cache, positions=read.lengths[:, None], gather=None)
        read.logits, read.cache = out.logits, out[self._cache_name]
        read.lengths = read.lengths + 1

    def keep_rows(self, read: Read, rows: Sequence[int]) -> None:
        import torch

        indices = torch.tensor(rows, device=self.device)
        read.cache.reorder_cache(indices)
        read.logits = read.logits[indices.to(read.logits.device)]
        read.mask, read.lengths = read.mask[indices], read.lengths[indices]

    # ------------------------------------------------------------------------------------------ inside

    def _run(self, own: Rows, start: int, cache: Any, gather: Rows, keep: bool) -> Read:
        import torch

        longest = max(map(len, own))
        ids = torch.zeros(len(own), longest, dtype=torch.long)
        mask = torch.zeros(len(own), start + longest, dtype=torch.long)
        mask[:, :start] = 1
        for i, row in enumerate(own):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, start : start + len(row)] = 1
        mask = mask.to(self.device)
        places = torch.tensor(gather, device=self.device)
        out = self._forward(ids.to(self.device), mask, cache, None, places, keep)
        lengths = torch.tensor([start + len(row) for row in own], device=self.device)
        return Read(out.logits, out.get(self._cache_name) if keep else None, mask, lengths)

    def _forward(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        cache: Any,
        positions: torch.Tensor | None,
        gather: torch.Tensor | None,
        keep: bool = True,
    ) -> Any:
        import torch

        options: dict[str, Any] = {self._cache_name: cache} if cache is not None else {}
        if positions is not None and "position_ids" in self._forward_takes:
            options["position_ids"] = positions
        with torch.inference_mode(), self._gathering(gather) as finish:
            keeps = keep or cache is not None
            return finish(self.model(input_ids=ids, attention_mask=mask, use_cache=keeps, **options))

    @contextmanager
    def _gathering(self, places: torch.Tensor | None) -> Iterator[Any]:
        """Compute logits only at some places, shape ``(B, K)``; those of all places would fill the memory."""
        import torch

        head = self.model.get_output_embeddings()

        def pick(states: torch.Tensor) -> torch.Tensor:
            assert places is not None
            where = places.to(states.device)
            return states[torch.arange(len(where), device=states.device)[:, None], where]

        def finish(out: Any) -> Any:
            if places is not None and head is None:
                out.logits = pick(out.logits)
            return out

        handle = None
        if places is not None and head is not None:
            handle = head.register_forward_pre_hook(lambda _, arguments: (pick(arguments[0]), *arguments[1:]))
        try:
            yield finish
        finally:
            if handle is not None:
                handle.remove()

    def _spread(self, cache: Any, rows: int) -> Any:
        """The same keys and values for many rows; nothing is copied before the model adds to them."""
        spread = copy.copy(cache)
        spread.layers = [copy.copy(layer) for layer in cache.layers]
        for layer in spread.layers:
            if getattr(layer, "keys", None) is not None:
                layer.keys = layer.keys.expand(rows, *layer.keys.shape[1:])
                layer.values = layer.values.expand(rows, *layer.values.shape[1:])
        return spread

    def _heeds_masks(self) -> bool:
        """Whether continuations computed in one pass have the same logits as those computed one by one."""
        import torch

        size = min(int(self.model.config.get_text_config().vocab_size), 64)
        rows = [[i % size for i in range(3, 11)], [i % size for i in range(20, 25)]]
        tree = LabelTree([[1 % size], [1 % size, 2 % size], [3 % size, 2 % size]], ("a", "ab", "cb"))
        try:
            side_by_side = self.branch(self.read(rows, Prefix(), keep=True), tree).float()
        except (RuntimeError, TypeError, ValueError, NotImplementedError):
            return False
        one_by_one = self.follow(rows, Prefix(), tree)[:, 1:].float()
        near = 1e-3 if self.model.dtype == torch.float32 else 0.05 * float(one_by_one.abs().max())
        return bool((side_by_side - one_by_one).abs().max() <= near)

    def follow(self, rows: Rows, prefix: Prefix, tree: LabelTree) -> torch.Tensor:
        """Logits at each node of a tree after each row, with one row per leaf; shape ``(B, N, V)``.

        Slower than :meth:`branch`; for models that do not branch.
        """
        import torch

        leaves = [tree.path(leaf) for leaf in tree.leaves()]
        longest = max(map(len, leaves))
        logits_of_rows = []
        for row in rows:
            whole = [[*row, *(tree.tokens[node] for node in nodes)] for nodes in leaves]
            gather = [[len(row) - 1 + min(k, len(nodes)) for k in range(longest + 1)] for nodes in leaves]
            logits = self.read(whole, prefix, gather=gather).logits
            at = {node: logits[j, k] for j, nodes in enumerate(leaves) for k, node in enumerate([ROOT, *nodes])}
            logits_of_rows.append(torch.stack([at[node] for node in range(len(tree))]))
        return torch.stack(logits_of_rows)


def shared_beginning(rows: Rows) -> int:
    """Length of the common prefix of all rows, at least one token shorter than each."""
    ordered = sorted(map(tuple, rows))
    first, last = ordered[0], ordered[-1]
    most = min(map(len, rows)) - 1
    for i in range(most):
        if first[i] != last[i]:
            return i
    return max(most, 0)
