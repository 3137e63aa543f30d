"""Schemas: what the files of a run hold, field by field; a reader relies on nothing else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, with_config
from typing_extensions import NotRequired, TypedDict

from emosim_core.model.user import User

_MOST = 2**53

Number = Annotated[int, Field(ge=-_MOST, le=_MOST)] | Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=_MOST)]
Share = Annotated[float, Field(ge=0, le=1)]
Valence = Annotated[float, Field(ge=-1, le=1)]
Name = Annotated[str, Field(min_length=1)]
Choice = str | dict[str, Any]


@with_config(strict=True, allow_inf_nan=False, extra="allow")
class Written(TypedDict):
    """A table in a file: types are what they are in JSON; fields that a later version adds do not matter."""


class Part(Written):
    """A component that was used."""

    name: str
    options: dict[str, Any]
    provider: str
    parts: NotRequired[dict[str, Part]]


class Manifest(Written):
    """What manifest.json of a run and of a training holds; ``config`` is checked by who makes it again."""

    format: Count
    created: NotRequired[str]
    uses_llm: bool
    language_model: NotRequired[str | None]
    answered_by: str
    config: dict[str, Any]
    parts: dict[str, Part]
    data: dict[str, int | str | None]
    versions: NotRequired[dict[str, str]]
    announcements: NotRequired[list[str]]


class Environment(Written):
    """What readers use of the configuration of an environment."""

    plugin: Name
    items: NotRequired[Choice | None]
    rater: NotRequired[Choice]


class RunConfig(Environment):
    """What readers of a run use of its configuration."""

    episodes: Count


class Usage(Written, total=False):
    """What calling a language model took; a rater of a plugin may say less of it."""

    requests: Count
    calls: Count
    cached: Count
    shared: Count
    retried: Count
    failed: Count
    prompt_tokens: Count
    cached_tokens: Count
    completion_tokens: Count
    reasoning_tokens: Count
    unknown_usage: Count
    cost: Number | None
    currency: str | None
    price_as_of: str | None


class Ranked(Written):
    """One item of the most or least liked."""

    item: str
    title: str
    mean_rating: Number
    ratings: Count


class Place(Written):
    """One place of the slates: how many were recommended there, examined, and clicked."""

    recommended: Count
    examined: Count
    clicked: Count


class Clicks(Written):
    """What users did with slates before they rated; ``with_click`` counts those with one, ``places`` are in order."""

    click_rate: Share | None
    slates: Count
    with_click: Count
    places: list[Place]


class Length(Written):
    """Steps of the episodes."""

    mean: Number | None
    median: Number | None
    longest: Count | None


class Mood(Written):
    """A mean mood."""

    valence: Valence | None
    arousal: Share | None


class Answering(Written):
    """A rater that answers for some of the users: its share of them, and how many were met."""

    share: Share
    users: Count


class Summary(Written):
    """What summary.json of a run holds."""

    complete: bool
    domain: str
    rater: str
    uses_llm: bool
    language_model: NotRequired[str | None]
    answered_by: str
    usage: Usage | None
    episodes: Count
    users: Count
    steps: Count
    ratings: Count
    failed_ratings: Count
    scale: str
    mean_rating: Number | None
    share_liked: Share | None
    rating_counts: dict[str, Count]
    mean_reward: Number | None
    episode_length: Length
    end_reasons: dict[str, Count]
    raters: NotRequired[dict[str, Answering]]
    policy_counts: NotRequired[dict[str, Count]]
    clicks: NotRequired[Clicks]
    mood_at_end: Mood
    most_liked: list[Ranked]
    least_liked: list[Ranked]
    seconds: Number
    steps_per_second: Number | None


class Retrieved(Written):
    """A memory that was retrieved."""

    item: str
    title: str
    rating: Number


class Recommended(Written):
    """One item of a slate.

    ``raw_rating`` is null where the rater failed or was not asked; what stands after ``probabilities`` is there if the
    item was consumed.
    """

    item: Name
    title: str
    raw_rating: Number | None
    reason: str | None
    consumed: bool
    retrieved: list[Retrieved]
    examined: NotRequired[bool]
    clicked: NotRequired[bool]
    propensity: NotRequired[Share | None]
    rater: NotRequired[Name]
    probabilities: NotRequired[dict[str, Share]]
    rating: NotRequired[Number]
    times: NotRequired[Annotated[int, Field(ge=1, le=_MOST)]]
    valence: NotRequired[Literal["negative", "neutral", "positive"]]
    arousal: NotRequired[Literal["low", "medium", "high"]]


class StepRecord(Written):
    """One line of interactions.jsonl."""

    episode: Count
    step: Annotated[int, Field(ge=1, le=_MOST)]
    user: str
    recommended: list[Recommended]
    reward: Number
    mood: Annotated[list[Number], Field(min_length=2, max_length=2)]
    end_reason: Name | None
    user_profile: NotRequired[dict[str, Any]]


class Shared(Written):
    """One line of transcript.jsonl that others refer to: a text, or options of requests."""

    id: Name
    text: NotRequired[str]
    options: NotRequired[dict[str, Any]]


class Message(Written):
    """A message of a request."""

    role: Name
    text: str


class SharedMessage(Written):
    """A message of a request whose text is in an earlier line, that of ``id``."""

    role: Name
    id: Name


class Exchange(Written):
    """One line of transcript.jsonl: a request to a language model and its answer."""

    episode: Count
    step: Annotated[int, Field(ge=1, le=_MOST)]
    user: str
    place: Count
    item: str
    messages: list[SharedMessage | Message]
    options: Name
    answer: str | None
    about: NotRequired[Literal["choice"]]
    error: NotRequired[str]
    reasoning: NotRequired[str]
    model: NotRequired[str]
    finished: NotRequired[bool]
    usage: dict[str, Count | None]
    cached: bool


CONSUMED = frozenset({"rating", "times", "valence", "arousal"})
"""Fields of an item that was consumed."""

MANIFEST = TypeAdapter(Manifest)
ENVIRONMENT = TypeAdapter(Environment)
RUN_CONFIG = TypeAdapter(RunConfig)
SUMMARY = TypeAdapter(Summary)
STEP = TypeAdapter(StepRecord)
SHARED = TypeAdapter(Shared)
EXCHANGE = TypeAdapter(Exchange)
USER = TypeAdapter(User)
