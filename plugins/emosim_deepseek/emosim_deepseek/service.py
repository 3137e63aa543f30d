"""ChatService: calls a service with the API of chat completions, over one client per event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from emosim_core.llm import ChatAnswer, ChatRequest, LLMAuthenticationError, LLMBackend, LLMError, LLMRequestError
from emosim_deepseek.adapting import Adaptation
from emosim_deepseek.addresses import Address, hidden_parts, read_key, without_key
from emosim_deepseek.binding import Binding
from emosim_deepseek.bodies import PHRASES, fault_in
from emosim_deepseek.cutting import CutPrompts
from emosim_deepseek.failures import ServiceInfo, failure, failure_in_answer
from emosim_deepseek.reading import fault_of_envelope, open_envelope, read_answer, usage_of, usage_of_error

if TYPE_CHECKING:
    from emosim_deepseek.wire import Reply, Wire

log = logging.getLogger("emosim_core.llm")

LARGEST_ANSWER = 2 * 1024 * 1024
"""Maximum bytes of the body of an answer."""


class _Opened(NamedTuple):
    """The client of a service and its key, which is never shown."""

    wire: Wire
    key: str

    def __repr__(self) -> str:
        return "<opened>"


class ChatService(LLMBackend):
    """Base of the backends of this package: ``timeout`` is in seconds, ``fixed`` are fields that the user has set."""

    largest_answer = LARGEST_ANSWER

    def __init__(
        self,
        *,
        name: str,
        address: Address,
        key_variable: str,
        key_needed: bool,
        key_help: str,
        timeout: float,
        fixed: Mapping[str, Any] | None = None,
    ) -> None:
        self.base_url, self.timeout = address.url, timeout
        self._address = address
        self._key_variable, self._key_needed = key_variable, key_needed
        self._info = ServiceInfo(f"{name} at {address.shown}", address.shown, key_help)
        self._adaptation = Adaptation(self._info.service, fixed or {})
        self._binding = Binding(self._info.service)
        self._cut_prompts = CutPrompts(self._info.service)
        self._models: set[str] = set()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Opened] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        """The state without the clients, which hold the key; a copy reads it again."""
        return {name: value for name, value in vars(self).items() if name != "_clients"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _clients=WeakKeyDictionary())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity}>"

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """uvloop's, where it can be installed: it opens and reads connections in compiled code."""
        try:
            import uvloop
        except ImportError:  # on Windows
            return super().new_event_loop()
        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop

    def body(self, request: ChatRequest) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} does not implement body")

    def secrets(self) -> Sequence[str]:
        """The key, and the secret parts of a base URL from an environment variable."""
        secrets = hidden_parts(self._address)
        with contextlib.suppress(LLMError):
            secrets.append(read_key(self._key_variable))
        return [secret for secret in secrets if secret]

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        wire, key = self._session()
        try:
            return await self._answer(self.body(request), request.choices, wire, key)
        except LLMError as error:
            error.args = (without_key(str(error), key), *error.args[1:])
            error.__cause__ = error.__context__ = None  # the original error may hold the key
            raise

    async def _answer(self, plain: dict[str, Any], labels: Sequence[str], wire: Wire, key: str) -> ChatAnswer:
        """The answer to a request, which is sent again in a changed form while the adaptation finds a new change."""
        while True:
            changes = self._adaptation.count
            body = self._adaptation.adapted(plain)
            name = self._binding.name()
            sent = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
            reply = await wire.post(sent, name)
            if reply.status == 200:
                return self._read(reply, body, labels, name, sent, key)
            fault = fault_in(reply.body)
            if reply.status in (400, 422, 501) and not PHRASES.refusal.of(fault):
                if self._adaptation.count > changes or self._adaptation.learn(body, fault):
                    continue
                advice = self._adaptation.advice(body, fault)
            else:
                advice = ""
            error = failure(reply.status, reply.headers, fault, self._info, key)
            error = LLMRequestError(f"{error}{advice}") if advice else error
            error.usage = usage_of_error(reply.body)
            raise error

    def _read(
        self, reply: Reply, body: Mapping[str, Any], labels: Sequence[str], name: str, sent: bytes, key: str
    ) -> ChatAnswer:
        usage = None
        try:
            value = open_envelope(reply.body, self._info.service)
            usage = reported = usage_of(value)
            self._binding.check(name, sent, reply.headers, reply.body, value.get("id"))
            if (fault := fault_of_envelope(value)) is not None:
                usage = None
                raise failure_in_answer(fault, reply.headers, self._info, key)
            answer = read_answer(value, reply.body, reported, self._info.service, labels)
        except LLMError as error:
            error.usage = usage or usage_of_error(reply.body)  # its tokens are charged
            raise
        self._cut_prompts.look(body["messages"], reported.prompt)
        if len(self._models) == 1 and answer.model not in self._models:
            what = "%s now answers with the model %r; before it was %r"
            log.warning(what, self._info.service, answer.model, *self._models)
        if len(self._models) < 2:
            self._models.add(answer.model)
        return answer

    def _session(self) -> _Opened:
        """The client of the running event loop, created at the first use."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            key = read_key(self._key_variable)
            if self._key_needed and not key:
                problem = f"{self._info.service} needs a key, and there is none. {self._info.key_help}"
                raise LLMAuthenticationError(problem)
            from emosim_deepseek.wire import Wire

            wire = Wire(self.base_url, key, self.timeout, self.largest_answer, self._info.service)
            self._clients[loop] = _Opened(wire, key)
        return self._clients[loop]

    async def close(self) -> None:
        opened = self._clients.pop(asyncio.get_running_loop(), None)
        if opened is not None:
            await opened.wire.close()
