"""Meet: one simulated user is looked at, offered items, followed step by step, taken back, and saved as a run."""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.fitting.directory import read_card
from emosim_core.hooks.names import checked_options
from emosim_core.kinds import PEOPLE, RUN, TRAINING
from emosim_core.llm.prompts.fencing import legible
from emosim_core.model import Domain, Item, User
from emosim_core.model.emotion import describe_mood
from emosim_core.model.frozen import Frozen, option
from emosim_core.runs.job import JobDirectory
from emosim_core.runs.meeting import Meeting, MeetingStep, search_items
from emosim_core.runs.records import MANIFEST, read_manifest
from emosim_core.runs.trust import CommandHint, confirmed
from emosim_core.runs.typed import typed
from emosim_core.runs.words import END_REASONS, mood_words, usage_rows, user_lines
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import EnvironmentConfig, RunConfig, read_config
from emosim_core.simulation.logs import is_table_log
from emosim_core.view.context import Context, body_of
from emosim_core.view.episodes import recommendation_of
from emosim_core.view.places import file_inside, new_place, relative

_MOST_STEPS = 500
"""Steps after which a meeting ends."""

_WORLDS, _MEETINGS = 3, 30
"""How many are kept; of more, the one that was used longest ago is let go."""

_MOST_MATCHES = 40
"""Users or items that a search returns."""

_MOST_LISTED = 100
"""Directories and files that a form lists."""


class WorldChoice(Frozen):
    """What a form says of the world that a user lives in."""

    like: str = option("", "Run or training below the root whose environment it is; empty for a new one.")
    plugin: str = option("", "Domain of a new one; fitted users have their own.")
    items: str = option("", "CSV file of items below the root; empty for those of the domain.")
    users: str = option("", "CSV file of users, or directory of fitted ones, below the root; empty for made-up ones.")
    llm_model: str = option("", "Language model that rates.")
    max_cost: float | None = option(None, "Maximum cost of its calls.", ge=0)
    choice: str = option("", "Choice model; empty for what the environment or the slate says.")
    slate: int | None = option(None, "Items of a slate; None for what the environment says.", ge=1, le=20)


@dataclass
class _Shared:
    """A world, and what lets one thread at a time use it: its rater remembers its last batch."""

    world: World
    lock: Lock = field(default_factory=Lock)


def _close(shared: _Shared) -> None:
    """Let go of the connections of a world; a meeting that goes on opens them again."""
    with shared.lock:
        shared.world.close()


class _Shelf:
    """What is kept under a number that nobody guesses; ``what`` it is, for messages."""

    def __init__(self, most: int, what: str, let_go: Callable[[Any], None] = lambda one: None) -> None:
        self._most, self._what, self._let_go = most, what, let_go
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()

    def add(self, one: Any) -> str:
        number = secrets.token_urlsafe(9)
        with self._lock:
            self._kept[number] = one
            gone = [self._kept.popitem(last=False)[1] for _ in range(len(self._kept) - self._most)]
        for other in gone:
            self._let_go(other)
        return number

    def get(self, number: str) -> Any:
        with self._lock:
            if number not in self._kept:
                raise ConfigurationError(f"this {self._what} is over: it was let go to make room, or emosim view ended")
            self._kept.move_to_end(number)
            return self._kept[number]


def routes(context: Context) -> Sequence[BaseRoute]:
    """The page, and what its scripts call."""
    worlds, meetings = _Shelf(_WORLDS, "world", _close), _Shelf(_MEETINGS, "meeting")

    def show(request: Request) -> Response:
        return context.page(
            request,
            "meet.html.j2",
            charts=True,
            title="Meet a user",
            scripts=("story.js", "meet.js"),
            data=forms(context),
        )

    def build(body: dict[str, Any]) -> dict[str, Any]:
        chosen = checked_options(WorldChoice, body, "meet")
        world = assemble(configuration(context, chosen), context.registry)
        number = worlds.add(_Shared(world))
        return {"world": number, **about_world(world)}

    def users(request: Request) -> Response:
        world: World = worlds.get(request.path_params["world"]).world
        matches, count = find_users(world, request.query_params.get("search", ""))
        return JSONResponse({"found": [{"id": one.id, "about": _in_short(one)} for one in matches], "count": count})

    def items(request: Request) -> Response:
        world: World = worlds.get(request.path_params["world"]).world
        matches, count = search_items(world, request.query_params.get("search", ""), _MOST_MATCHES)
        return JSONResponse({"found": [about_item(world.catalog.items[number]) for number in matches], "count": count})

    def begin(body: dict[str, Any]) -> dict[str, Any]:
        shared, seed = worlds.get(str(body.get("world"))), body.get("seed", 42)
        if not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise ConfigurationError("the seed must be a whole number from 0 on")
        with shared.lock:
            meeting = Meeting(shared.world, str(body.get("user")), seed)
        number = meetings.add((meeting, shared, str(body.get("world"))))
        return {"meeting": number, **state_of(meeting)}

    def look(request: Request) -> Response:
        meeting, _, number = meetings.get(request.path_params["meeting"])
        return JSONResponse({**state_of(meeting), "world": {"world": number, **about_world(meeting.world)}})

    def acting(act: Callable[[Meeting, dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Any]:
        def locked(number: str, body: dict[str, Any]) -> dict[str, Any]:
            meeting, shared, _ = meetings.get(number)
            with shared.lock:
                return act(meeting, body)

        async def answer(request: Request) -> Response:
            body = await body_of(request)
            return JSONResponse(await run_in_threadpool(locked, request.path_params["meeting"], body))

        return answer

    def calling(act: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return JSONResponse(await run_in_threadpool(act, await body_of(request)))

        return answer

    def suggest(meeting: Meeting, body: dict[str, Any]) -> dict[str, Any]:
        catalog = meeting.world.catalog
        ids = meeting.suggest(str(body.get("policy")))
        return {"items": [about_item(catalog.items[catalog.index[one]]) for one in ids]}

    def offer(meeting: Meeting, body: dict[str, Any]) -> dict[str, Any]:
        items = body.get("items")
        if not isinstance(items, list):
            raise ConfigurationError("items must be a list of ids")
        meeting.offer([str(one) for one in items])
        return state_of(meeting)

    def rewind(meeting: Meeting, body: dict[str, Any]) -> dict[str, Any]:
        steps = body.get("steps")
        if not isinstance(steps, int):
            raise ConfigurationError("steps must be a whole number")
        meeting.rewind(steps)
        return state_of(meeting)

    def save(meeting: Meeting, body: dict[str, Any]) -> dict[str, Any]:
        job = JobDirectory(new_place(context.root, str(body.get("name"))), "run", numbered=True)
        summary = meeting.save(job)
        return {"path": relative(context.root, job.path), "steps": summary["steps"]}

    def posted(path: str, answer: Callable[[Request], Any]) -> Route:
        return Route(path, answer, methods=["POST"])

    return [
        Route("/meet", show),
        posted("/api/meet/world", calling(build)),
        Route("/api/meet/world/{world}/users", users),
        Route("/api/meet/world/{world}/items", items),
        posted("/api/meet/begin", calling(begin)),
        Route("/api/meet/{meeting}", look),
        posted("/api/meet/{meeting}/suggest", acting(suggest)),
        posted("/api/meet/{meeting}/offer", acting(offer)),
        posted("/api/meet/{meeting}/rewind", acting(rewind)),
        posted("/api/meet/{meeting}/save", acting(save)),
    ]


# ------------------------------------------------------------------------------------------------ worlds


def forms(context: Context) -> dict[str, Any]:
    """What the form offers: domains, choice models, and what below the root can be taken part of."""
    context.registry.known_domains()
    domains = []
    for component, _ in context.registry.components("domain"):
        domain: Domain = context.registry.resolve_domain(component.name).build(Domain)
        domains.append({"name": component.name, "title": domain.title})
    jobs = [info for info in context.listing.jobs() if info.state != "unreadable"][: 5 * _MOST_LISTED]

    def listed(*kinds: str) -> list[dict[str, str]]:
        some = [info for info in jobs if info.kind in kinds][:_MOST_LISTED]
        return [{"path": relative(context.root, one.path), "about": f"{one.kind}: {one.headline}"} for one in some]

    return {
        "domains": sorted(domains, key=lambda one: one["title"]),
        "choices": [component.name for component, _ in context.registry.components("choice")],
        "like": listed(RUN, TRAINING),
        "fitted": listed(PEOPLE),
        "tables": _tables(context),
    }


def _tables(context: Context) -> list[str]:
    """CSV files in the root and in folders right below it that are no results."""
    folders = [context.root]
    with_entries = sorted(one for one in context.root.iterdir() if one.is_dir() and not one.is_symlink())
    folders += [one for one in with_entries if not one.name.startswith(".") and not (one / MANIFEST).exists()]
    tables: list[str] = []
    for folder in folders:
        files = sorted(one for one in folder.glob("*.csv") if one.is_file() and not one.is_symlink())
        tables += [relative(context.root, one) for one in files]
        if len(tables) >= _MOST_LISTED:
            break
    return tables[:_MOST_LISTED]


def configuration(context: Context, chosen: WorldChoice) -> RunConfig:
    """The configuration of a world: that of a directory which its user made here, or of what lies below the root.

    Raises:
        TrustError: the directory names code, hosts or paths that its user did not give.
        ConfigurationError: nothing is chosen, or a value is wrong.
    """
    values: dict[str, Any] = {}
    if chosen.like:
        directory = context.directory(chosen.like)
        stored = read_manifest(directory)["config"]
        stored = {name: value for name, value in stored.items() if name in EnvironmentConfig.model_fields}
        again = CommandHint(typed("run", "--resume", directory), options={})
        values = confirmed(directory, stored, {}, stored, (EnvironmentConfig,), context.registry, again)
    elif chosen.plugin:
        values = {"plugin": chosen.plugin, "embeddings": "auto"}
        if chosen.items:
            values["items"] = {"name": "csv", "path": str(_table(context, chosen.items))}
            values["embeddings"] = "lexical"
        if chosen.users.endswith(".csv"):
            values["user_dataset"] = {"name": "csv", "path": str(_table(context, chosen.users))}
        elif chosen.users:
            directory = context.directory(chosen.users)
            card = read_card(directory)
            values |= {"plugin": card.domain, "user_dataset": {"name": "fitted", "path": str(directory)}}
            if not chosen.items and (source := _items_below(context, card.fit)) is not None:
                values |= {"items": source, "embeddings": card.fit["embeddings"]}
    else:
        raise ConfigurationError("choose a domain, or a run or training to be like")
    if chosen.llm_model:
        values.pop("rater", None)
        values |= {"llm_model": chosen.llm_model, "gateway": {"max_cost": chosen.max_cost}}
    elif chosen.max_cost is not None and isinstance(rater := values.get("rater"), dict) and rater.get("name") == "llm":
        values["rater"] = {**rater, "gateway": {**rater.get("gateway", {}), "max_cost": chosen.max_cost}}
    if chosen.slate is not None:
        values["slate"] = chosen.slate
        values.pop("choice", None)  # that of another slate may mean nothing here
        values.pop("selector", None)
    if chosen.choice:
        values["choice"] = chosen.choice
        values.pop("selector", None)
    values |= {"max_steps": _MOST_STEPS, "user_split": "all", "keep_memory": False}
    return read_config(RunConfig, values, "meet")


def _items_below(context: Context, fit: Mapping[str, Any]) -> str | None:
    """The source of the items that users were fitted to; None where it lies elsewhere than below the root."""
    source = str(fit.get("items") or fit.get("ratings"))
    name, _, path = source.partition(":")
    if is_table_log(source) and not fit.get("items"):
        return None
    try:
        place = Path(path).resolve(strict=True)
        below = context.directory(relative(context.root, place if place.is_dir() else place.parent))
    except (OSError, ValueError, RunError):
        return None
    return f"{name}:{below if place.is_dir() else below / place.name}"


def _table(context: Context, path: str) -> Path:
    """A CSV file below the root; raises as :meth:`Context.directory`."""
    if not path.endswith(".csv"):
        raise ConfigurationError(f"{path!r} is no CSV file")
    return file_inside(context.root, path)


def about_world(world: World) -> dict[str, Any]:
    """What a page says of a world."""
    words = world.domain.words
    return {
        "title": world.domain.title,
        "users": len(world.population),
        "items": len(world.catalog),
        "slate": world.config.slate,
        "choice": world.parts["choice"]["name"],
        "answered_by": world.answered_by,
        "uses_llm": world.rater.uses_llm,
        "notes": [legible(note) for note in world.announcements],
        "words": {"item": words.item, "items": words.items, "consumed": words.consumed},
    }


# -------------------------------------------------------------------------------------- users and items


def find_users(world: World, text: str) -> tuple[list[User], int]:
    """Users with all words of a text in their id, name, job, hobby or tastes, and how many there are."""
    wanted = text.casefold().split()
    matches = []
    for user in world.population.users:
        about = "\n".join((user.id, user.name, user.job, user.hobby, *user.liked)).casefold()
        if all(word in about for word in wanted):
            matches.append(user)
    return matches[:_MOST_MATCHES], len(matches)


def _in_short(user: User) -> str:
    parts = [user.name, "" if user.age is None else str(user.age), user.job]
    text = ", ".join(part for part in parts if part)
    return legible(f"{text}: likes {', '.join(user.liked)}" if user.liked else text)


def about_item(item: Item) -> dict[str, Any]:
    """What a page says of an item."""
    facts = [*([str(item.year)] if item.year is not None else []), ", ".join(item.categories)]
    if item.public_rating is not None:
        facts.append(f"rated {item.public_rating:.1f} by the public")
    return {"id": item.id, "title": legible(item.title), "about": legible("; ".join(one for one in facts if one))}


# --------------------------------------------------------------------------------------------- meetings


def state_of(meeting: Meeting) -> dict[str, Any]:
    """What a page shows of a meeting: who, how they feel, what they remember, and every step."""
    end, usage = meeting.end_reason, meeting.world.rater.usage()
    return {
        "user": {
            "id": meeting.user.id,
            "name": legible(meeting.user.name),
            "lines": [*map(legible, user_lines(meeting.user)[1:])],
        },
        "mood": mood_words(*meeting.mood),
        "memories": [{"title": legible(one["title"]), "rating": one["rating"]} for one in meeting.memories()],
        "slate": meeting.slate,
        "policies": meeting.policies(),
        "steps": [story_step(step, meeting) for step in meeting.steps],
        "end": None if end is None else f"{legible(meeting.user.name)} {END_REASONS.get(end, legible(end))}.",
        "spent": None if not meeting.world.rater.uses_llm else _spent(usage),
        "name": f"meeting-{re.sub(r'[^A-Za-z0-9._-]+', '_', meeting.user.id)[:40]}-{meeting.seed}",
    }


def _spent(usage: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in usage_rows(usage))


def story_step(step: MeetingStep, meeting: Meeting) -> dict[str, Any]:
    """A step as ``story.js`` shows it, and what happened in a sentence, for a live region."""
    record = step.record
    return {
        "recommendations": [
            recommendation_of(one, [exchange for exchange in step.exchanges if exchange["place"] == place])
            for place, one in enumerate(record["recommended"])
        ],
        "reward": record["reward"],
        "mood": record["mood"],
        "feels": describe_mood(*record["mood"]),
        "said": _reaction(step, meeting),
    }


def _reaction(step: MeetingStep, meeting: Meeting) -> str:
    record, words, name = step.record, meeting.world.domain.words, meeting.user.name
    taken = [one for one in record["recommended"] if one["consumed"]]
    what = " and ".join(f"{one['title']}, rated {one['rating']}" for one in taken)
    text = (
        f"Step {record['step']}: {name} {words.consumed} {what}."
        if what
        else f"Step {record['step']}: {name} took nothing."
    )
    text += f" Mood: {describe_mood(*record['mood'])}."
    if record["end_reason"]:
        text += f" {name} {END_REASONS.get(record['end_reason'], record['end_reason'])}."
    return legible(text)
