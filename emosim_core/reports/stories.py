"""Stories: the episodes of a run, packed so that a page opens one at a time."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from emosim_core.evaluation.columns import Episode, EpisodeTable, Numbered, RunColumns
from emosim_core.llm.prompts.fencing import legible
from emosim_core.model.emotion import AROUSAL_NAMES, VALENCE_NAMES, describe_mood
from emosim_core.runs.transcript import Exchanges
from emosim_core.runs.words import END_REASONS, user_lines

_STEPS_OF_A_BLOCK = 2000
"""Steps that are packed together: few enough to unpack in a moment, enough to pack well."""


def packed(value: Any) -> str:
    """A value as JSON, compressed, in base64: nothing in it can end the element of the page that holds it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    return base64.b64encode(gzip.compress(text, 6, mtime=0)).decode("ascii")


class Stories:
    """Takes the records of a run in any order of the episodes, and packs each episode when it has ended.

    ``blocks`` of episodes are as :func:`packed` leaves them; ``exchanges`` are prompts and raw answers, where shown.
    """

    def __init__(self, exchanges: Exchanges | None = None) -> None:
        self.blocks: list[str] = []
        self._exchanges = exchanges or {}
        self._items, self._moods = Numbered(), Numbered()
        self._titles: list[str] = []
        self._open: dict[int, list[Mapping[str, Any]]] = {}
        self._waiting: list[tuple[int, list[Mapping[str, Any]]]] = []
        self._steps = 0
        self._where: dict[int, tuple[int, int]] = {}

    def add(self, episode: Episode, record: Mapping[str, Any]) -> None:
        """Take one record."""
        self._open.setdefault(episode.number, []).append(record)
        if record["end_reason"]:
            self._close(episode.number)

    def _close(self, number: int) -> None:
        records = sorted(self._open.pop(number), key=lambda record: int(record["step"]))
        self._where[number] = (len(self.blocks), len(self._waiting))
        self._waiting.append((number, records))
        self._steps += len(records)
        if self._steps >= _STEPS_OF_A_BLOCK:
            self._pack()

    def _pack(self) -> None:
        if not self._waiting:
            return
        block: dict[str, Any] = {
            name: []
            for name in (
                *("steps", "places", "reward", "mood", "feels", "item", "raw_rating", "rating", "times", "tags"),
                *("looked", "reason", "retrieved", "past", "pastRating"),
            )
        }
        block["shares"], block["exchanges"] = {}, {}
        for number, records in self._waiting:
            block["steps"].append(len(records))
            for record in records:
                valence, arousal = record["mood"]
                block["places"].append(len(record["recommended"]))
                block["reward"].append(record["reward"])
                block["mood"] += [valence, arousal]
                block["feels"].append(self._moods[describe_mood(valence, arousal)])
                for place, item in enumerate(record["recommended"]):
                    self._add_item(block, item)
                    if exchanges := self._exchanges.get((number, record["step"], place)):
                        block["exchanges"][len(block["item"]) - 1] = [
                            {
                                "messages": [[one["role"], one["text"]] for one in exchange["messages"]],
                                "answer": exchange["answer"],
                                "error": exchange.get("error", ""),
                            }
                            for exchange in exchanges
                        ]
        self.blocks.append(packed(block))
        self._waiting, self._steps = [], 0

    def _add_item(self, block: dict[str, Any], item: Mapping[str, Any]) -> None:
        eaten = item["consumed"]
        if item.get("probabilities"):
            block["shares"][len(block["item"])] = item["probabilities"]
        block["item"].append(self._item(item))
        block["raw_rating"].append(item["raw_rating"])
        block["rating"].append(item["rating"] if eaten else None)
        block["times"].append(item["times"] if eaten else 0)
        # 0 where the whole slate is rated; else 1 for not examined, 2 for examined, 3 for clicked.
        block["looked"].append(1 + item["examined"] + item["clicked"] if "clicked" in item else 0)
        tags = 3 * VALENCE_NAMES.index(item["valence"]) + AROUSAL_NAMES.index(item["arousal"]) if eaten else -1
        block["tags"].append(tags)
        block["reason"].append(legible(item["reason"] or ""))
        block["retrieved"].append(len(item["retrieved"]))
        for past in item["retrieved"]:
            block["past"].append(self._item(past))
            block["pastRating"].append(past["rating"])

    def _item(self, item: Mapping[str, Any]) -> int:
        number = self._items[item["item"]]
        if number == len(self._titles):
            self._titles.append(legible(item["title"]))
        return number

    def index(self, run: RunColumns, shown: EpisodeTable) -> str:
        """What a page needs to list, search and filter the episodes that are shown, as :func:`packed` leaves it."""
        for number in sorted(self._open):
            self._close(number)
        self._pack()
        end_reasons = Numbered()
        episodes = list(shown)
        return packed(
            {
                "users": [
                    {"id": user.id, "name": legible(user.name), "lines": [legible(line) for line in user_lines(user)]}
                    for user in run.users
                ],
                "items": self._titles,
                "tags": [f"{valence}, arousal {arousal}" for valence in VALENCE_NAMES for arousal in AROUSAL_NAMES],
                "number": [episode.number for episode in episodes],
                "user": [episode.user for episode in episodes],
                "steps": [episode.steps for episode in episodes],
                "reward": [round(episode.reward, 6) for episode in episodes],
                "mean": [round(episode.total / episode.rated, 4) if episode.rated else None for episode in episodes],
                "feels": [self._moods[describe_mood(*episode.mood)] for episode in episodes],
                "end_reason": [end_reasons[episode.end_reason] for episode in episodes],
                "block": [self._where[episode.number][0] for episode in episodes],
                "place": [self._where[episode.number][1] for episode in episodes],
                "end_reasons": [
                    END_REASONS.get(end_reason, end_reason) or "the run stopped in the middle of it"
                    for end_reason in end_reasons
                ],
                "moods": list(self._moods),
            }
        )
