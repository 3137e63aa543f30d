"""Server: a trained recommender behind HTTP, by the protocol that the policy ``http_service`` speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.recommenders import protocol
from emosim_core.recommenders.http_policy import INSTALL
from emosim_core.recommenders.recommender import Recommender

if TYPE_CHECKING:
    from starlette.applications import Starlette

_LARGEST = 64_000_000
"""Bytes of a call; a longer one is refused."""


def recommender_app(recommender: Recommender, name: str) -> Starlette:
    """An ASGI application that answers with a recommender's lists.

    ``GET /health``, ``POST /recommend`` and ``GET /openapi.json``. A call that is none, or names an item that the
    recommender does not know, is answered with 422 and a JSON object whose ``detail`` says what is wrong.

    Raises:
        MissingDependencyError: starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import Request
        from starlette.responses import JSONResponse, Response
        from starlette.routing import Route
    except ImportError as error:
        raise MissingDependencyError("serving a recommender", "starlette", INSTALL) from error
    about = protocol.Health(protocol=protocol.VERSION, name=name, version=str(recommender.metadata["timesteps"]))

    async def health(request: Request) -> Response:
        return JSONResponse(about.model_dump())

    async def openapi(request: Request) -> Response:
        return JSONResponse(protocol.openapi())

    async def recommend(request: Request) -> Response:
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > _LARGEST:
                return JSONResponse({"detail": f"a call has at most {_LARGEST:,} bytes"}, 413)
        try:
            lists = await run_in_threadpool(_lists, recommender, bytes(content))
        except ConfigurationError as error:
            return JSONResponse({"detail": str(error)}, 422)
        return JSONResponse({"items": lists})

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/openapi.json", openapi),
            Route("/recommend", recommend, methods=["POST"]),
        ]
    )


def _lists(recommender: Recommender, content: bytes) -> list[list[str]]:
    try:
        call = protocol.RecommendCall.model_validate_json(content)
    except ValidationError as error:
        first: Any = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the call"
        raise ConfigurationError(f"{field}: {first['msg']}") from error
    if not len(call.users) == len(call.histories) == len(call.exclude):
        raise ConfigurationError("users, histories and exclude are not equally many")
    return recommender.recommend_batch(call.histories, call.k, call.users, call.exclude)
