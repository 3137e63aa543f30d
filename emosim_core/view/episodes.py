"""Episodes: a page of a run's episodes at a time, searched on the server, and each as a story."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.evaluation.columns import Numbered
from emosim_core.llm.prompts.fencing import legible
from emosim_core.model.arrays import Flags
from emosim_core.model.emotion import describe_mood
from emosim_core.model.user import User
from emosim_core.runs import schemas
from emosim_core.runs.blocks import RunBlocks
from emosim_core.runs.reading import lines_of, read_line
from emosim_core.runs.records import INTERACTIONS, MANIFEST, SUMMARY, open_blocks, read_json, read_records, read_summary
from emosim_core.runs.steps import Steps, joined
from emosim_core.runs.transcript import TRANSCRIPT, exchanges_of
from emosim_core.runs.words import END_REASONS, user_lines, who_answers
from emosim_core.view.context import Context
from emosim_core.view.listing import signature

PAGE = 50
"""Episodes of a page."""

_BUDGET = 0.7
"""Seconds of a call after which it returns what it has found so far."""

_MOST_SEARCHES = 8
_MOST_PROMPTS = 64_000_000
"""Bytes of a transcript up to which a story shows its prompts; those of longer ones have a page of their own."""


@dataclass(frozen=True)
class Query:
    """What is searched: all that is given must hold.

    Attributes:
        words: each stands in a title, in what is known of the user, in the end reason or, with ``reasons``, in a
            reason; lower case.
        user: part of the name, or the id; lower case.
        end: an end reason in words.
        low, high: ends of the mean rating.
        order: ``number``, ``best``, ``worst``, ``longest`` or ``shortest``.
    """

    words: tuple[str, ...] = ()
    reasons: bool = False
    user: str = ""
    end: str = ""
    low: float | None = None
    high: float | None = None
    order: str = "number"

    def fits(self, rating: float | None, end: str, user: User) -> bool:
        """Whether all holds but the words."""
        if self.user and self.user not in user.name.lower() and self.user != user.id.lower():
            return False
        if self.end and self.end != end:
            return False
        return (self.low is None or (rating is not None and rating >= self.low)) and (
            self.high is None or (rating is not None and rating <= self.high)
        )


@dataclass(frozen=True, slots=True)
class Match:
    """One episode of a list."""

    number: int
    user: str
    steps: int
    reward: float
    rating: float | None
    end: str


_KEYS: dict[str, Callable[[Match], float]] = {
    "best": lambda one: math.inf if one.rating is None else -one.rating,
    "worst": lambda one: math.inf if one.rating is None else one.rating,
    "longest": lambda one: -one.steps,
    "shortest": lambda one: one.steps,
}
"""What each order but that of the numbers sorts by."""


class Search:
    """A search through the episodes of a run, which goes on where it stopped.

    Attributes:
        matches: what was found so far.
        seen: episodes that were looked at.
        done: whether that were all.
    """

    def __init__(self, directory: Path, query: Query) -> None:
        self.query = query
        self.matches: list[Match] = []
        self.seen, self.done = 0, False
        self.total = _total(directory)
        self.lock = Lock()
        blocks = open_blocks(directory)
        self._going = _in_lines(directory, self) if blocks is None else _in_blocks(blocks, self)

    def advance(self, wanted: int) -> None:
        """Go on until as many are found, all were looked at, or the time of a call is over."""
        until = time.monotonic() + _BUDGET
        if self.query.order != "number":
            wanted = self.total + 1
        while not self.done and len(self.matches) < wanted and time.monotonic() < until:
            if next(self._going, None) is None:
                self.done = True

    def page(self, offset: int) -> list[Match]:
        """A page of what was found, in the order that is wanted."""
        key = _KEYS.get(self.query.order)
        ordered = self.matches if key is None else sorted(self.matches, key=key)
        return ordered[offset : offset + PAGE]


def _total(directory: Path) -> int:
    if (directory / SUMMARY).exists():
        return int(read_summary(directory)["episodes"])
    return int(read_json(directory / MANIFEST)["config"]["episodes"])


def _words(end: str | None) -> str:
    return "the run stopped in the middle of it" if end is None else END_REASONS.get(end, end)


def _of_user(user: User) -> str:
    return "\n".join((user.id, *user_lines(user))).lower()


def _in_lines(directory: Path, search: Search) -> Iterator[bool]:
    """Search the records of JSON lines, episode by episode in the order of their numbers, as soon as they have ended.

    Those that began in another order, or did not end, come last.
    """
    going: dict[int, list[dict[str, Any]]] = {}
    waiting: dict[int, list[dict[str, Any]]] = {}
    number = 0
    for record in read_records(directory):
        going.setdefault(record["episode"], []).append(record)
        if record["end_reason"] is not None:
            waiting[record["episode"]] = going.pop(record["episode"])
            while number in waiting:
                _take(search, waiting.pop(number))
                number += 1
            yield True
        elif record["step"] % 64 == 0:
            yield True  # long episodes take time too
    for _, records in sorted((waiting | going).items()):
        _take(search, records)
        yield True


def _take(search: Search, records: Sequence[Mapping[str, Any]]) -> None:
    search.seen += 1
    user = User(**records[0]["user_profile"])
    items = [item for record in records for item in record["recommended"]]
    ratings = [item["rating"] for item in items if item["consumed"]]
    mean = sum(ratings) / len(ratings) if ratings else None
    end = _words(records[-1]["end_reason"])
    query = search.query
    if not query.fits(mean, end, user):
        return
    if query.words:
        texts = [_of_user(user), end, *(item["title"].lower() for item in items)]
        if query.reasons:
            texts += [(item["reason"] or "").lower() for item in items]
        text = "\n".join(texts)
        if not all(word in text for word in query.words):
            return
    steps = sum(bool(record["recommended"]) for record in records)
    reward = sum(record["reward"] for record in records)
    search.matches.append(Match(records[0]["episode"], user.name, steps, reward, mean, end))


def _in_blocks(blocks: RunBlocks, search: Search) -> Iterator[bool]:
    """Search the records of Parquet files, block by block."""
    users = blocks.users
    titles = [title.lower() for title in blocks.labels.titles]
    of_user = [_of_user(user) for user in users] if search.query.words else []
    for path in blocks.blocks:
        parts, ends = zip(*blocks.steps([path]), strict=True)
        _take_block(blocks, search, joined(parts), np.concatenate(ends), users, titles, of_user)
        yield True


def _take_block(
    blocks: RunBlocks,
    search: Search,
    steps: Steps,
    ends: np.ndarray,
    users: Sequence[User],
    titles: Sequence[str],
    of_user: Sequence[str],
) -> None:
    query = search.query
    numbers, first, place = np.unique(steps.episode, return_index=True, return_inverse=True)
    count = len(numbers)
    search.seen += count
    rated = steps.consumed & ~np.isnan(steps.rating)
    totals, counts = (np.bincount(place[rated], weights, count) for weights in (steps.rating[rated], None))
    rewards = np.bincount(place, np.where(steps.place == 0, steps.reward, 0.0), count)
    lengths = np.bincount(place[(steps.place == 0) & (steps.item >= 0)], minlength=count)
    who, how = steps.user[first], ends[first]
    reasons = [_words(name or None) for name in blocks.labels.end_reasons]
    chosen: Flags = np.ones(count, dtype=np.bool_)
    if query.user:
        fit = np.array([query.user in user.name.lower() or query.user == user.id.lower() for user in users])
        chosen &= fit[who]
    if query.end:
        chosen &= np.array([reason == query.end for reason in reasons])[how]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = totals / counts
        for bound, within in ((query.low, np.greater_equal), (query.high, np.less_equal)):
            if bound is not None:
                chosen &= within(means, bound)
    unsure: Flags = np.zeros(count, dtype=np.bool_)
    for word in query.words:
        hit = np.array([word in text for text in of_user])[who] | np.array([word in reason for reason in reasons])[how]
        shown = (steps.item >= 0) & np.array([word in title for title in titles])[steps.item]
        hit[place[shown]] = True
        if query.reasons:
            unsure |= ~hit
        else:
            chosen &= hit
    unsure &= chosen
    if unsure.any():
        chosen &= ~unsure | np.isin(numbers, _by_reasons(blocks, numbers[unsure], query, of_user, reasons))
    for row in np.flatnonzero(chosen).tolist():
        rating = float(means[row]) if counts[row] else None
        name = users[int(who[row])].name
        search.matches.append(
            Match(int(numbers[row]), name, int(lengths[row]), float(rewards[row]), rating, reasons[int(how[row])])
        )


def _by_reasons(
    blocks: RunBlocks, episodes: np.ndarray, query: Query, of_user: Sequence[str], reasons: Sequence[str]
) -> list[int]:
    """Which of some episodes of a block have all words somewhere, their reasons included."""
    texts: dict[int, list[str]] = {}
    place = {user.id: number for number, user in enumerate(blocks.users)}
    for record in blocks.records(lambda numbers: np.isin(numbers, episodes)):
        text = texts.setdefault(record["episode"], [of_user[place[record["user"]]]])
        text += [f"{item['title']}\n{item['reason'] or ''}".lower() for item in record["recommended"]]
        if record["end_reason"]:
            text.append(_words(record["end_reason"]))
    return [number for number, text in texts.items() if all(word in "\n".join(text) for word in query.words)]


class Searches:
    """The last searches, so that the next page goes on where the last one stopped."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[Any, Search] = {}

    def of(self, directory: Path, query: Query) -> Search:
        """The search of a query in a directory as it is now."""
        key = (directory, signature(directory), query)
        with self._lock:
            if key not in self._known:
                self._known[key] = Search(directory, query)
                while len(self._known) > _MOST_SEARCHES:
                    self._known.pop(next(iter(self._known)))
            self._known[key] = self._known.pop(key)  # the newest last
            return self._known[key]


def records_of_story(directory: Path, episode: int) -> list[dict[str, Any]]:
    """The steps of one episode in their order; lines of others are not parsed."""
    blocks = open_blocks(directory)
    if blocks is not None:
        records = list(blocks.records(lambda numbers: numbers == episode))
    else:
        path, start = directory / INTERACTIONS, re.compile(rb'\{"episode": ?%d,' % episode)
        records = [
            read_line(f"{path}, line {number}:", line, schemas.STEP)
            for number, line in lines_of(path)
            if start.match(line)
        ]
    return sorted(records, key=lambda record: record["step"])


def story_of(directory: Path, episode: int) -> dict[str, Any]:
    """An episode as the scripts show it: who the user is, and its steps as ``story.js`` has them.

    Raises:
        RunError: the run has no such episode, or a line of it is damaged.
    """
    records = records_of_story(directory, episode)
    if not records or "user_profile" not in records[0]:
        raise RunError(f"{directory} has no episode {episode}")
    transcript = directory / TRANSCRIPT
    has_prompts = transcript.exists()
    shown = has_prompts and transcript.stat().st_size <= _MOST_PROMPTS
    exchanges = exchanges_of(directory, episode) if shown else {}
    steps = []
    for record in records:
        if not record["recommended"]:
            continue
        steps.append(
            {
                "reward": record["reward"],
                "mood": record["mood"],
                "feels": describe_mood(*record["mood"]),
                "recommendations": [
                    recommendation_of(item, exchanges.get((episode, record["step"], place), ()))
                    for place, item in enumerate(record["recommended"])
                ],
            }
        )
    return {
        "number": episode,
        "lines": [legible(line) for line in user_lines(User(**records[0]["user_profile"]))],
        "steps": steps,
        "end": _words(records[-1]["end_reason"]),
        "reward": round(sum(record["reward"] for record in records), 6),
        "prompts_elsewhere": has_prompts and not shown,
    }


def recommendation_of(item: Mapping[str, Any], exchanges: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """One recommended item of a record as ``story.js`` shows it."""
    eaten = item["consumed"]
    return {
        "title": legible(item["title"]),
        "raw_rating": item["raw_rating"],
        "rating": item["rating"] if eaten else None,
        "times": item["times"] if eaten else 0,
        "emotion": f"{item['valence']}, arousal {item['arousal']}" if eaten else "",
        "looked": 1 + item["examined"] + item["clicked"] if "clicked" in item else 0,
        "reason": legible(item["reason"] or ""),
        "retrieved": [[legible(past["title"]), past["rating"]] for past in item["retrieved"]],
        "shares": item.get("probabilities"),
        "exchanges": [exchange_of(one) for one in exchanges] or None,
    }


def exchange_of(exchange: Mapping[str, Any]) -> dict[str, Any]:
    """A request to a model and its answer as ``story.js`` shows it."""
    return {
        "messages": [[one["role"], one["text"]] for one in exchange["messages"]],
        "answer": exchange["answer"],
        "error": exchange.get("error", ""),
    }


def query_of(request: Request) -> Query:
    """The query of an address; a ConfigurationError where a number is none."""
    given = request.query_params
    words = [one.lower() for pair in re.findall(r'"([^"]+)"|(\S+)', given.get("q", "")) for one in pair if one]

    def number(name: str) -> float | None:
        text = given.get(name, "")
        try:
            return float(text) if text else None
        except ValueError:
            raise ConfigurationError(f"{name} must be a number, got {text!r}") from None

    return Query(
        tuple(word for word in words if word != '"'),
        given.get("reasons") == "1",
        given.get("user", "").strip().lower(),
        given.get("end", ""),
        number("from"),
        number("to"),
        given.get("order", "number"),
    )


def count_of(request: Request, name: str) -> int:
    """A whole number, at least 0, of an address; 0 where it is not given."""
    text = request.query_params.get(name, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise ConfigurationError(f"{name} must be a whole number, got {text!r}")
    return int(text)


def routes(context: Context) -> Sequence[BaseRoute]:
    """The page of a run's episodes, and what it shows."""
    searches = Searches()

    def show(request: Request) -> Response:
        path = request.path_params["path"]
        place = context.directory(path)
        manifest = read_json(place / MANIFEST)
        reasons = Numbered()
        if (place / SUMMARY).exists():
            for name in read_summary(place)["end_reasons"]:
                reasons[_words(name)]
        return context.page(
            request,
            "episodes.html.j2",
            charts=True,
            title=f"Episodes of {place.name}",
            scripts=("story.js", "stories.js"),
            ends=list(reasons) or sorted(END_REASONS.values()),
            has_prompts=(place / TRANSCRIPT).exists(),
            rater=who_answers(str(manifest.get("answered_by", "?"))),
            data={"path": path, "page": PAGE},
            **context.here(path),
        )

    def search(request: Request) -> Response:
        place = context.directory(request.query_params.get("path", ""))
        offset = count_of(request, "offset")
        one = searches.of(place, query_of(request))
        with one.lock:
            one.advance(offset + PAGE)
            rows = [_shown(match) for match in one.page(offset)]
            more = {"found": len(one.matches), "seen": one.seen, "total": one.total, "done": one.done}
        return JSONResponse({"episodes": rows, **more})

    def story(request: Request) -> Response:
        place = context.directory(request.query_params.get("path", ""))
        return JSONResponse(story_of(place, count_of(request, "episode")))

    return [
        Route("/episodes/{path:path}", show),
        Route("/api/episodes", search),
        Route("/api/story", story),
    ]


def _shown(match: Match) -> dict[str, Any]:
    return {
        "number": match.number,
        "user": legible(match.user),
        "steps": match.steps,
        "reward": round(match.reward, 4),
        "rating": None if match.rating is None else round(match.rating, 2),
        "end": match.end,
    }
