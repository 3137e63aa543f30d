"""Tails: runs and transcripts as they grow; each call reads what came since the one before."""

from __future__ import annotations

from collections import deque
from operator import add, sub
from pathlib import Path
from typing import Any, NamedTuple

from emosim_core.llm.backend import Price
from emosim_core.llm.chat import Usage
from emosim_core.llm.gateway.usage import UsageTally
from emosim_core.llm.prompts.fencing import legible
from emosim_core.runs import schemas
from emosim_core.runs.blocks import RunBlocks
from emosim_core.runs.reading import lines_of, parse, read_line
from emosim_core.runs.so_far import NEWEST, read_so_far
from emosim_core.runs.usage import summed
from emosim_core.runs.words import END_REASONS, usage_rows
from emosim_core.terminal import counted
from emosim_core.view.listing import has_blocks

_AT_ONCE = 16_000_000
"""Bytes of new lines that are read at a time; the others next time."""

Point = tuple[int, float, float | None]
"""How many episodes, their mean reward, and their mean rating; None where nothing was rated."""


class Sums(NamedTuple):
    """Sums over the episodes that ended by some moment: how many, their rewards, how many ratings, these."""

    episodes: int
    reward: float
    ratings: int
    total: float

    def plus(self, other: Sums) -> Sums:
        return Sums(*map(add, self, other))

    def less(self, other: Sums) -> Sums:
        return Sums(*map(sub, self, other))


_NOTHING = Sums(0, 0.0, 0, 0.0)


class Tail:
    """What is known of a run while it is being written.

    Attributes:
        points: groups of episodes in the order in which they ended.
        newest: the episodes that ended last, the last one first.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._open: dict[int, dict[str, Any]] = {}
        self.points: list[Point] = []
        self.newest: deque[dict[str, Any]] = deque(maxlen=NEWEST)

    @property
    def done(self) -> int:
        """Episodes that ended."""
        return sum(count for count, _, _ in self.points)

    def advance(self) -> None:
        """Read what came since the last time; a RunError where something is damaged."""
        raise NotImplementedError

    def _take(self, record: dict[str, Any]) -> Point | None:
        """Read a step; an episode that it ends is the newest, and a point that is returned."""
        one = self._open.setdefault(
            record["episode"], {"name": record["user"], "reward": 0.0, "total": 0.0, "rated": 0, "steps": 0}
        )
        if "user_profile" in record:
            one["name"] = legible(record["user_profile"]["name"])
        one["reward"] += record["reward"]
        one["steps"] += bool(record["recommended"])
        for item in record["recommended"]:
            if item["consumed"]:
                one["total"], one["rated"] = one["total"] + item["rating"], one["rated"] + 1
        if record["end_reason"] is None:
            return None
        self._open.pop(record["episode"])
        mean = one["total"] / one["rated"] if one["rated"] else None
        self._ended(record["episode"], one["name"], one["steps"], one["reward"], mean, record["end_reason"], True)
        return 1, one["reward"], mean

    def _ended(
        self, number: int, user: str, steps: int, reward: float, rating: float | None, end: str, readable: bool
    ) -> None:
        """Add an episode that ended after all others; ``readable`` is whether its story can be read."""
        self.newest.appendleft(
            {
                "readable": readable,
                "number": number,
                "user": user,
                "steps": steps,
                "reward": round(reward, 4),
                "rating": None if rating is None else round(rating, 2),
                "end": END_REASONS.get(end, end),
            }
        )


class LinesTail(Tail):
    """Follows interactions.jsonl; each episode is a point."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__()

    def _begin(self) -> None:
        super()._begin()
        self._offset = 0

    def advance(self) -> None:
        size = self._path.stat().st_size if self._path.exists() else 0
        if size < self._offset:  # it was cut when the run was resumed
            self._begin()
        if size == self._offset:
            return
        until = self._offset + _AT_ONCE
        for _, line in lines_of(self._path, self._offset):
            self._offset += len(line)
            if point := self._take(read_line(f"{self._path}:", line, schemas.STEP)):
                self.points.append(point)
            if self._offset > until:
                return


class BlockTail(Tail):
    """Follows a run without lines: by its blocks, of ``--records parquet``, and by what its process notes in between.

    Each block and each note is a point; of what came last, the newest episodes are known.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        super().__init__()

    def _begin(self) -> None:
        super()._begin()
        self._seen: list[Path] = []
        self._end = 0
        self._in_blocks = self._known = _NOTHING

    def advance(self) -> None:
        noted = read_so_far(self._directory)
        self._read_blocks()
        # Where blocks are missing in between, a note does not count those that follow.
        if noted is not None and not noted["done"] > self._in_blocks.episodes == self._end:
            noted = None
        if self._known.episodes > (self._in_blocks.episodes if noted is None else noted["done"]):
            self._begin()  # it was stopped, and what was in no block is lost
            self._read_blocks()
        if noted is not None:
            self._reach(Sums(noted["done"], noted["reward"], noted["ratings"], noted["total"]))
            self.newest.clear()
            for one in noted["newest"]:
                name, rating = legible(one["name"]), one["mean_rating"]
                self._ended(one["number"], name, one["steps"], one["reward"], rating, one["end_reason"], False)

    def _read_blocks(self) -> None:
        if not has_blocks(self._directory):
            return  # what blocks share may be on its way
        blocks = RunBlocks(self._directory)
        if self._seen != blocks.blocks[: len(self._seen)]:  # the run was begun anew, or a block came in between
            self._begin()
        new = blocks.blocks[len(self._seen) :]
        for tally in blocks.tallies(new):
            episodes = sum(count for _, count in tally["lengths"])
            ratings = sum(count for _, count, _ in tally["items"])
            total = sum(total for _, _, total in tally["items"])
            self._in_blocks = self._in_blocks.plus(Sums(episodes, tally["sums"][0], ratings, total))
            self._reach(self._in_blocks)
        if new:
            self._end = blocks.ranges(new[-1:])[0][1]
            noted = [one for one in self.newest if not one["readable"]]
            for one in noted:  # they come again with their stories
                self.newest.remove(one)
            for record in blocks.records(lambda numbers: numbers >= self._end - NEWEST, new[-1:]):
                self._take(record)
        self._seen += new

    def _reach(self, sums: Sums) -> None:
        """Add the episodes since the last point as the next one."""
        episodes, reward, ratings, total = sums.less(self._known)
        if episodes > 0:
            self.points.append((episodes, reward / episodes, total / ratings if ratings > 0 else None))
            self._known = sums


class UsageTail:
    """Follows the transcript of a run as it grows: how many answers, from where, of how many tokens, at what cost.

    Args:
        price: of the model, where it is known.
    """

    def __init__(self, path: Path, price: Price | None) -> None:
        self._path, self._price = path, price
        self._begin()

    def _begin(self) -> None:
        self._offset = 0
        self.usage = UsageTally()
        self.usage.price = self._price

    def advance(self) -> None:
        """Read what came since the last time; a RunError where a line is damaged."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if size < self._offset:
            self._begin()
        until = self._offset + _AT_ONCE
        for _, line in lines_of(self._path, self._offset) if size > self._offset else ():
            self._offset += len(line)
            one = parse(f"{self._path}:", line)
            if "id" not in one:
                self._take(one)
            if self._offset > until:
                return

    def _take(self, one: dict[str, Any]) -> None:
        """Count an exchange."""
        answered, cached = one.get("answer") is not None, bool(one.get("cached"))
        self.usage.count_requests(1, int(cached), 0)
        if not answered:
            self.usage.count_end(1, 0.0)
        if answered and not cached:
            tokens = one.get("usage") or {}
            self.usage.count_answer(Usage.reported(*(tokens.get(f"{name}_tokens") for name in _TOKENS)))


_TOKENS = ("prompt", "completion", "cached", "reasoning")


def spending(tails: list[UsageTail]) -> list[tuple[str, str]]:
    """What a language model took so far, each as a name and an amount; empty where no model was called."""
    parts = [tail.usage.summary() for tail in tails]
    total = {name: sum(part[name] for part in parts) for name in ("requests", "cached", "failed")}
    if not total["requests"]:
        return []
    answers = f"{total['requests'] - total['failed']:,}, {total['cached']:,} of them from the cache"
    failed = f"; {counted(total['failed'], 'request')} failed" if total["failed"] else ""
    rows = usage_rows(summed(parts))
    return [("answers", answers + failed), *(row for row in rows if row[0] != "calls")]
