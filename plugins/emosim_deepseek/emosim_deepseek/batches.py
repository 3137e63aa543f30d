"""BatchEndpoint: the backend ``openai`` with ``batch=true``, which sends requests as files and gets answers in hours.

OpenAI's batch interface (``POST /files``, ``POST /batches``, ``GET /batches/ID``, ``GET /files/ID/content``) costs half
of what single requests cost, and answers within a day. Other services have the same paths.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from emosim_core.llm import (
    ChatAnswer,
    ChatRequest,
    LLMError,
    LLMMalformedError,
    LLMRateLimitError,
    LLMRequestError,
    LLMTransientError,
    Price,
)
from emosim_deepseek.addresses import without_key
from emosim_deepseek.bodies import PHRASES, fault_in, fault_of, shortened, strict_json
from emosim_deepseek.endpoint import Endpoint, EndpointOptions
from emosim_deepseek.failures import failure, failure_in_answer
from emosim_deepseek.ledger import Ledger, Sent
from emosim_deepseek.reading import open_envelope, usage_of_error

if TYPE_CHECKING:
    from emosim_deepseek.wire import Reply, Wire

log = logging.getLogger("emosim_core.llm")

HALF = 0.5
"""What a request in a batch costs of what it costs alone (OpenAI's price list)."""

MOST_REQUESTS, MOST_BYTES = 50_000, 150_000_000
"""Requests and bytes of one batch, at most; OpenAI takes 50,000 requests and 200 MB."""

_LARGEST_FILE = 1 << 30
_TRANSFER = 1800.0
"""Seconds that a file may take."""

_ENDED = ("completed", "failed", "expired", "cancelled")
_MOST_FAILED_LOOKS = 30
"""Looks at a batch that may fail one after another."""

_TELL = 600.0
"""Seconds between two reports on batches that are waited for."""


class _Entry(NamedTuple):
    """A request as it is sent: its id, made of its body, and the line of the file."""

    name: str
    body: dict[str, Any]
    line: bytes


class BatchEndpoint(Endpoint):
    """Sends all requests that it gets at once as batches of a service, and waits for their answers.

    What was sent is noted in the cache folder before it is waited for: a process that is stopped, or killed, and is
    called again with the same requests takes the answers of the batches that were sent, or waits for them.
    """

    batched = True
    deferred = True
    largest_answer = _LARGEST_FILE

    def __init__(self, options: EndpointOptions) -> None:
        super().__init__(options)
        self.timeout = max(options.timeout, _TRANSFER)
        self._ledger = Ledger(self.base_url)

    def price(self) -> Price | None:
        """Half of the price of the model."""
        price = super().price()
        if price is None:
            return None
        each = (HALF * price.prompt, HALF * price.cached, HALF * price.completion)
        return Price(*each, price.as_of, price.source, price.currency)

    def answer_batch(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer | LLMError]:
        return asyncio.run(self._answer_all(requests))

    async def _answer_all(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer | LLMError]:
        wire, key = self._session()
        try:
            entries = [self._entry(request) for request in requests]
            lines = await self._lines(wire, key, {one.name: one for one in entries})
            return [
                self._answer_in(lines[one.name], one, request, key)
                for one, request in zip(entries, requests, strict=True)
            ]
        except LLMError as error:
            raise self._clean(error, key) from None
        finally:
            await self.close()

    @staticmethod
    def _clean(error: LLMError, key: str) -> LLMError:
        error.args = (without_key(str(error), key), *error.args[1:])
        error.__cause__ = error.__context__ = None  # the original error may hold the key
        return error

    def _entry(self, request: ChatRequest) -> _Entry:
        body = self._adaptation.adapted(self.body(request))
        sent = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        name = f"emosim-{hashlib.sha256(sent).hexdigest()[:40]}"
        head = json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions"})[:-1]
        return _Entry(name, body, head.encode() + b', "body": ' + sent + b"}\n")

    # -------------------------------------------------------------------------------------------- answers

    def _answer_in(
        self, line: Mapping[str, Any] | LLMError, entry: _Entry, request: ChatRequest, key: str
    ) -> ChatAnswer | LLMError:
        """The answer in a line of a file of answers, or why there is none."""
        from emosim_deepseek.wire import Reply

        if isinstance(line, LLMError):
            return line
        response, error = line.get("response"), line.get("error")
        try:
            if not isinstance(response, dict):
                raise failure_in_answer(fault_of(error), {}, self._info, key)
            status = response.get("status_code")
            status = status if isinstance(status, int) else 500
            content = json.dumps(response.get("body")).encode()
            if status == 200:
                reply = Reply(200, {}, content)
                return self._read(reply, entry.body, request.choices, self._binding.name(), entry.line, key)
            fault = fault_in(content)
            may_adapt = status in (400, 422) and not PHRASES.refusal.of(fault)
            if may_adapt and self._adaptation.learn(entry.body, fault):
                raise LLMTransientError(f"{self._info.service} takes this request in another form alone: {fault.text}")
            raised = failure(status, {}, fault, self._info, key)
            raised.usage = usage_of_error(content)
            raise raised
        except LLMError as problem:
            return self._clean(problem, key)

    async def _lines(
        self, wire: Wire, key: str, entries: Mapping[str, _Entry]
    ) -> dict[str, Mapping[str, Any] | LLMError]:
        """For each request the line of its answer, or the error in its place; sends what is in no batch."""
        results: dict[str, Mapping[str, Any] | LLMError] = {}
        known = self._ledger.having(entries)
        for _ in range(2):  # a second time for what was in batches that the service does not know any more
            noted = {name for one in known for name in one.open}
            new = [one for name, one in entries.items() if name not in noted and name not in results]
            sent = [await self._send(wire, key, part) for part in _parts(new)] if new else []
            for one in (*known, *sent):
                lines = await self._of_batch(wire, key, one)
                if lines is None:
                    continue
                mine = one.open & entries.keys()
                results |= {name: lines[name] for name in mine}
                if failed := [name for name in mine if not _answered(lines[name])]:
                    one.spent = sorted({*one.spent, *failed})
                    self._note(one)
            known = []
        lost = LLMTransientError(f"{self._info.service} does not know a batch that it has taken")
        return {name: results.get(name, lost) for name in entries}

    async def _of_batch(self, wire: Wire, key: str, sent: Sent) -> dict[str, Mapping[str, Any] | LLMError] | None:
        """The lines of a batch by request, or errors in their place; None if the service does not know it any more."""
        batch = await self._ended(wire, key, sent)
        if batch is None:
            self._ledger.forget(sent)
            return None
        status, name = batch["status"], self._info.service
        lines: dict[str, Mapping[str, Any] | LLMError] = {}
        for kind in ("output_file_id", "error_file_id"):
            if isinstance(file := batch.get(kind), str) and file:
                reply = await self._call(wire, key, "GET", f"files/{file}/content", missing=True)
                if reply is None:
                    self._ledger.forget(sent)
                    return None
                lines |= _read_lines(reply.body)
        without: LLMError
        if status == "failed":
            message = shortened(fault_of(batch.get("errors")).text or _messages(batch)) or "it does not say why"
            without = LLMRequestError(f"{name} refuses the batch {sent.batch}: {without_key(message, key)}")
        elif status == "cancelled":
            without = LLMRequestError(
                f"the batch {sent.batch} was cancelled at {name}; the same command sends it again"
            )
        elif status == "expired":
            without = LLMTransientError(f"{name} did not answer in time: the batch {sent.batch} has expired")
        else:
            without = LLMTransientError(f"the batch {sent.batch} of {name} has no answer to this request")
        for one in sent.requests:
            line = lines.get(one, without)
            expired = isinstance(line, dict) and "batch_expired" in fault_of(line.get("error")).codes
            lines[one] = without if expired else line
        return lines

    async def _ended(self, wire: Wire, key: str, sent: Sent) -> dict[str, Any] | None:
        """Wait until a batch has ended; None if the service does not know it."""
        if not sent.batch:
            await self._find(wire, key, sent)
        failed, reported = 0, time.monotonic()
        while True:
            try:
                reply = await self._call(wire, key, "GET", f"batches/{sent.batch}", missing=True)
                if reply is None:
                    return None
                batch, failed = open_envelope(reply.body, self._info.service), 0
                if batch.get("status") in _ENDED:
                    return batch
            except (LLMTransientError, LLMRateLimitError, LLMMalformedError) as error:
                failed += 1
                if failed >= _MOST_FAILED_LOOKS:
                    raise
                log.info("Looking at the batch %s: %s", sent.batch, self._clean(error, key))
            else:
                counts = batch.get("request_counts")
                if time.monotonic() - reported >= _TELL and isinstance(counts, dict):
                    reported = time.monotonic()
                    done, total = counts.get("completed"), counts.get("total")
                    log.warning("Batch %s: %s of %s requests are answered", sent.batch, done, total)
            await asyncio.sleep(self.options.batch_poll)

    # -------------------------------------------------------------------------------------------- sending

    async def _send(self, wire: Wire, key: str, part: Sequence[_Entry]) -> Sent:
        """Send requests as one batch, and note it: before it is begun, and with its id as soon as that is known."""
        content = b"".join(one.line for one in part)
        reply = self._taken(await wire.upload(f"{self.base_url}/files", content, {"purpose": "batch"}), key)
        file = _id_of(open_envelope(reply.body, self._info.service), self._info.service)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        sent = Sent(self._info.base_url, file, now, [one.name for one in part])
        self._note(sent)
        await self._begin(wire, key, sent)
        return sent

    async def _begin(self, wire: Wire, key: str, sent: Sent) -> None:
        body = {"input_file_id": sent.file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        try:
            reply = await self._call(wire, key, "POST", "batches", json.dumps(body).encode())
        except LLMRequestError:
            self._ledger.forget(sent)
            raise
        assert reply is not None
        sent.batch = _id_of(open_envelope(reply.body, self._info.service), self._info.service)
        self._note(sent)
        log.warning(
            "Batch %s with %d requests was sent to %s, which answers within a day. If this command ends before, the "
            "same command goes on with it",
            sent.batch, len(sent.requests), self._info.service,
        )  # fmt: skip

    async def _find(self, wire: Wire, key: str, sent: Sent) -> None:
        """Find out the id of a batch that may have been begun before a process ended; else begin it."""
        reply = await self._call(wire, key, "GET", "batches?limit=100")
        assert reply is not None
        listed = open_envelope(reply.body, self._info.service).get("data")
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict) and one.get("input_file_id") == sent.file and isinstance(one.get("id"), str):
                sent.batch = one["id"]
                self._note(sent)
                return
        await self._begin(wire, key, sent)

    def _note(self, sent: Sent) -> None:
        try:
            self._ledger.write(sent)
        except OSError as error:
            raise LLMRequestError(
                f"the batch cannot be noted in {self._ledger.folder}, without which it would be paid for again: "
                f"{error.strerror or error}"
            ) from None

    async def _call(
        self, wire: Wire, key: str, method: str, path: str, content: bytes = b"", missing: bool = False
    ) -> Reply | None:
        """A response with status 200; None for 404 where something may be ``missing``.

        Raises:
            LLMError: there is no response, or another one.
        """
        reply = await wire.call(method, f"{self.base_url}/{path}", content)
        return None if reply.status == 404 and missing else self._taken(reply, key)

    def _taken(self, reply: Reply, key: str) -> Reply:
        """A response with status 200; the error of another one."""
        if reply.status not in (200, 201):
            raise failure(reply.status, reply.headers, fault_in(reply.body), self._info, key)
        return reply


def _answered(line: Mapping[str, Any] | LLMError | None) -> bool:
    """Whether a line holds a response with status 200."""
    response = line.get("response") if isinstance(line, Mapping) else None
    return isinstance(response, dict) and response.get("status_code") == 200


def _parts(entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
    """Requests in parts that are no larger than a batch may be."""
    part: list[_Entry] = []
    size = 0
    for one in entries:
        if part and (len(part) == MOST_REQUESTS or size + len(one.line) > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(one)
        size += len(one.line)
    yield part


def _read_lines(content: bytes) -> dict[str, Mapping[str, Any]]:
    """The lines of a file of answers, by request; what is no line of one is left out."""
    lines: dict[str, Mapping[str, Any]] = {}
    for text in content.split(b"\n"):
        try:
            line = strict_json(text) if text.strip() else None
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict) and isinstance(name := line.get("custom_id"), str):
            lines[name] = line
    return lines


def _messages(batch: Mapping[str, Any]) -> str:
    """What is wrong with a batch that failed, as OpenAI says it: ``errors.data[].message``."""
    errors = batch.get("errors")
    data = errors.get("data") if isinstance(errors, dict) else None
    return "; ".join(str(one.get("message")) for one in data or () if isinstance(one, dict))


def _id_of(value: Mapping[str, Any], service: str) -> str:
    name = value.get("id")
    if not isinstance(name, str) or not name or not name.isprintable() or "/" in name:
        raise LLMMalformedError(f"{service} answers without the id of what was sent; has it a batch interface?")
    return name
