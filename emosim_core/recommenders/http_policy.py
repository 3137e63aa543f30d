"""The policy ``http_service``: a recommender behind HTTP, in another process, another language or elsewhere."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from emosim_core.components.base import (
    Draws,
    Policy,
    PolicySetting,
    RecommendationOutcome,
    RecommendationRequest,
)
from emosim_core.errors import MissingDependencyError, RecommenderError
from emosim_core.model.arrays import Ints
from emosim_core.model.frozen import Frozen, option
from emosim_core.recommenders import protocol
from emosim_core.recommenders.outside import History, OutsidePolicy, id_lists

if TYPE_CHECKING:
    import httpx

INSTALL = 'pip install "emosim-core[serve]"'

_FIRST_WAIT = 0.25
"""Seconds before the second attempt; twice as long before each further one."""

_SHOWN = 200
"""Characters of a service's answer that a message shows."""

A = TypeVar("A", bound=BaseModel)


class HttpOptions(Frozen):
    """Options of ``http_service``."""

    url: str = Field(pattern=r"^https?://", description="Address of the service, without the path of a call.")
    history: int = option(50, "Most recent interactions that the recommender receives.", ge=1, unit="items")
    timeout: float = option(10.0, "Longest wait for one answer.", gt=0, le=3600, unit="seconds")
    attempts: int = option(4, "Attempts of a call that gets no answer, an error of the service or 'too many'.", ge=1)


class Service:
    """A recommender behind HTTP. Raises RecommenderError: no answer after all attempts, or none of the protocol."""

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._url = options.url.rstrip("/")

    @cached_property
    def _client(self) -> httpx.Client:
        try:
            import httpx
        except ImportError as error:
            raise MissingDependencyError("a recommender behind HTTP", "httpx", INSTALL) from error
        client = httpx.Client(timeout=self._options.timeout)
        weakref.finalize(self, client.close)  # its connections end with the policy
        return client

    def call(self, path: str, body: BaseModel | None, answer: type[A]) -> A:
        """What the service answers to a call of the protocol."""
        where = f"the recommender at {self._url}{path}"
        response = self._sent(path, None if body is None else body.model_dump_json().encode(), where)
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the answer"
            raise RecommenderError(f"{where} does not answer as the protocol says: {field}: {first['msg']}") from error

    def _sent(self, path: str, content: bytes | None, where: str) -> httpx.Response:
        client = self._client
        import httpx

        headers = {} if content is None else {"content-type": "application/json"}
        method, problem = "GET" if content is None else "POST", ""
        for attempt in range(self._options.attempts):
            if attempt:
                time.sleep(_FIRST_WAIT * 2 ** (attempt - 1))
            try:
                response = client.request(method, self._url + path, content=content, headers=headers)
            except httpx.TimeoutException:
                problem = f"gave no answer within {self._options.timeout:g} s"
            except httpx.TransportError as error:
                problem = f"cannot be reached ({error})"
            else:
                if response.status_code == httpx.codes.OK:
                    return response
                problem = f"answered {response.status_code}: {response.text[:_SHOWN]!r}"
                if response.status_code < 500 and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                    raise RecommenderError(f"{where} {problem}")
        tries = self._options.attempts
        raise RecommenderError(f"{where} {problem}, in {tries} attempt{'s' if tries > 1 else ''}")


def http_policy(options: HttpOptions) -> Policy:
    """The policy for a service; it is called once, for what it is.

    Raises:
        RecommenderError: it does not answer.
        MissingDependencyError: httpx is not installed.
    """
    service = Service(options)
    health = service.call("/health", None, protocol.Health)
    return (LearningHttpPolicy if health.feedback else HttpPolicy)(options, service)


class HttpPolicy(OutsidePolicy):
    """Asks a service for the lists of all users of a step in one request."""

    def __init__(self, options: HttpOptions, service: Service) -> None:
        super().__init__(options.history)
        self._service, self._who = service, f"the recommender at {options.url}"

    def lists(
        self, users: Sequence[str], histories: Sequence[History], exclude: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[str]]:
        body: dict[str, Any] = {"users": users, "histories": histories, "exclude": exclude}
        call = protocol.RecommendCall.model_construct(k=self.slate, **body)  # what is sent needs no check
        return id_lists(self._service.call("/recommend", call, protocol.RecommendAnswer).items, len(users), self._who)


class LearningHttpPolicy(HttpPolicy):
    """The same for a service that wants to know what came of its lists: such a run is one block of records."""

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        self._asked: dict[int, str] = {}
        self._service.call("/reset", protocol.Done(), protocol.Done)

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        users = np.asarray(request.observations["user"]).ravel().tolist()
        self._asked.update(zip(request.rows.tolist(), (self.users[user] for user in users), strict=True))
        return super().recommend_batch(request, draws)

    def learn(self, outcome: RecommendationOutcome) -> None:
        call = protocol.FeedbackCall.model_construct(
            users=[self._asked[row] for row in outcome.rows.tolist()],
            items=[[self._ids[item] for item in slate] for slate in outcome.actions.tolist()],
            ratings=[[None if one != one else one for one in row] for row in outcome.ratings.tolist()],
            ended=outcome.ended.tolist(),
        )
        self._service.call("/feedback", call, protocol.Done)
