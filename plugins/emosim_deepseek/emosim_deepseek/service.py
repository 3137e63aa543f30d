"""ChatService: asks a service that speaks chat completions through the openai client, one client per event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from emosim_core import ChatAnswer, ChatRequest, LLMAuthenticationError, LLMBackend, LLMError
from emosim_deepseek.addresses import Address, hidden_parts
from emosim_deepseek.failures import Asked, failure
from emosim_deepseek.keys import read_key, without_key
from emosim_deepseek.reading import read_answer
from emosim_deepseek.usage import usage_of_error

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai._types import RequestOptions

_NO_KEY = "no-key"
"""What the client is given in place of a key, as it is not made without one; it is not sent."""

LARGEST_ANSWER = 2 * 1024 * 1024
"""Bytes that the body of an answer may have."""


class _Opened(NamedTuple):
    """A client, and what every question takes along. The key is in the client alone, which does not show it."""

    client: AsyncOpenAI
    options: RequestOptions


class ChatService(LLMBackend):
    """Base of the backends of this package.

    Args:
        name: what the service is called, for messages.
        address: where it is.
        key_variable: environment variable with its key.
        key_needed: whether it answers nothing without one.
        key_help: how a key is given, as sentences.
        timeout: seconds to wait for an answer.
    """

    def __init__(
        self, *, name: str, address: Address, key_variable: str, key_needed: bool, key_help: str, timeout: float
    ) -> None:
        self.base_url, self.timeout = address.url, timeout
        self._address = address
        self._key_variable, self._key_needed = key_variable, key_needed
        self._asked = Asked(f"{name} at {address.shown}", key_help, timeout)
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Opened] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        """All but the clients, which hold the key; a copy reads it where it is."""
        return {name: value for name, value in vars(self).items() if name != "_clients"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _clients=WeakKeyDictionary())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity}>"

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """What is sent to ask a question."""
        raise NotImplementedError(f"{type(self).__name__} does not implement body")

    def secrets(self) -> Sequence[str]:
        """The key, as far as it can be one, and what a base URL that is in an environment variable holds."""
        secrets = [part for part in hidden_parts(self._address) if part]
        with contextlib.suppress(LLMError):
            secrets.append(read_key(self._key_variable))
        return [secret for secret in secrets if secret]

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        import httpx2
        import openai

        client, options = self._client()
        body = self.body(request)
        try:
            response = await client.post("/chat/completions", cast_to=httpx2.Response, body=body, options=options)
            return read_answer(response.content, self._asked.service)
        except openai.OpenAIError as error:
            problem = failure(error, self._asked, _key_of(client))
            if isinstance(error, openai.APIStatusError):
                problem.usage = usage_of_error(error.response.content)
        except LLMError as error:
            problem = type(error)(without_key(str(error), _key_of(client)))
            problem.usage = error.usage
        raise problem  # out here, so that it does not carry along what the client raised, which may hold the key

    def _client(self) -> _Opened:
        """The client of the running event loop and its key; opened where there is none yet."""
        loop = asyncio.get_running_loop()
        found = self._clients.get(loop)
        if found is None:
            found = self._clients[loop] = self._open()
        return found

    def _open(self) -> _Opened:
        key = read_key(self._key_variable)
        if self._key_needed and not key:
            raise LLMAuthenticationError(
                f"{self._asked.service} needs a key, and there is none. {self._asked.key_help}"
            )
        import httpx2
        from openai import AsyncOpenAI, omit

        from emosim_deepseek.direct import transport

        carrier = transport(self.base_url, self.timeout, LARGEST_ANSWER, self._asked.service)
        client = AsyncOpenAI(
            api_key=key or _NO_KEY,
            base_url=self.base_url,
            timeout=self.timeout,
            max_retries=0,  # whoever asks decides whether to ask again
            default_headers=self._headers(key),
            http_client=httpx2.AsyncClient(transport=carrier, timeout=self.timeout, trust_env=False),
        )
        return _Opened(client, {} if key else {"headers": {"Authorization": omit}})

    def _headers(self, key: str) -> Mapping[str, str]:
        """Headers of every request; nothing that the environment holds for OpenAI's own service goes elsewhere."""
        from openai import omit

        headers: dict[str, Any] = {"Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if not self.base_url.startswith("https://api.openai.com/"):
            headers |= {"OpenAI-Organization": omit, "OpenAI-Project": omit}
            ours = {name.lower() for name in (*headers, "Authorization")}
            named = [
                line.partition(":")[0].strip() for line in os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
            ]
            headers |= {name: omit for name in named if name.lower() not in ours}
        return cast("Mapping[str, str]", headers)

    async def close(self) -> None:
        found = self._clients.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.client.close()


def _key_of(client: AsyncOpenAI) -> str:
    return "" if client.api_key == _NO_KEY else client.api_key
