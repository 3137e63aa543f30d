"""The protocol between a simulation and a recommender behind HTTP, version 1: what goes over the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION: Literal[1] = 1
"""Of the protocol; both sides name it."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Health(_Message):
    """What a service is: the answer of ``GET /health``."""

    protocol: Literal[1] = Field(description="Version of this protocol.")
    name: str = Field(min_length=1, description="Name of the recommender.")
    version: str = Field("", description="Its version.")
    feedback: bool = Field(False, description="Whether it wants POST /feedback after each step, and POST /reset.")


class RecommendCall(_Message):
    """Lists for R users of one step: what is posted to ``/recommend``."""

    protocol: Literal[1] = Field(VERSION, description="Version of this protocol.")
    k: int = Field(ge=1, description="Items that each user is shown.")
    users: list[str] = Field(description="Ids of the users, R of them.")
    histories: list[list[tuple[str, float | None]]] = Field(
        description="What each consumed, oldest first: pairs of an item's id and its rating."
    )
    exclude: list[list[str]] = Field(description="Ids that each was recommended in this episode already.")


class RecommendAnswer(_Message):
    """The lists: the answer of ``POST /recommend``."""

    items: list[list[str]] = Field(description="Ids of items for each user, best first; at least k where there are.")


class FeedbackCall(_Message):
    """What came of the lists of one step, for R users: what is posted to ``/feedback``."""

    protocol: Literal[1] = Field(VERSION, description="Version of this protocol.")
    users: list[str] = Field(description="Ids of the users, R of them.")
    items: list[list[str]] = Field(description="Ids of what each was shown, in order.")
    ratings: list[list[float | None]] = Field(description="Its ratings; null for what was not consumed.")
    ended: list[bool] = Field(description="Whether the user's episode ended.")


class Done(_Message):
    """An empty answer: of ``POST /feedback`` and ``POST /reset``."""


CALLS: dict[str, tuple[type[BaseModel] | None, type[BaseModel], str]] = {
    "/health": (None, Health, "What the recommender is."),
    "/recommend": (RecommendCall, RecommendAnswer, "Recommend items to the users of one step."),
    "/feedback": (FeedbackCall, Done, "Take what came of the last lists; called where health asks for it."),
    "/reset": (Done, Done, "Forget all feedback; called before the first episode, where health asks for feedback."),
}
"""For each path what is sent, what is answered, and what it is for."""


def openapi() -> dict[str, Any]:
    """The protocol as an OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for path, (call, answer, summary) in CALLS.items():
        operation: dict[str, Any] = {"summary": summary, "operationId": path[1:]}
        if call is not None:
            operation["requestBody"] = {"required": True, "content": _content(call)}
        operation["responses"] = {"200": {"description": "Done.", "content": _content(answer)}}
        if call is not None:
            operation["responses"]["422"] = {"description": "The body is no such call; says why in 'detail'."}
        paths[path] = {"get" if call is None else "post": operation}
    title = "Recommender behind HTTP"
    return {"openapi": "3.1.0", "info": {"title": title, "version": str(VERSION)}, "paths": paths}


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": model.model_json_schema()}}
