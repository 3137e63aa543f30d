"""Service: how raters in worker processes ask the process of the command, in JSON over a connection with a token."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError, Pipe
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge, wait
from threading import Lock, Thread, current_thread
from typing import Any

from emosim_core import errors
from emosim_core.components.base import Rater, RaterService
from emosim_core.errors import EmoSimError, RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.faults import fault
from emosim_core.model import Domain

_PATIENCE = 30.0
"""Seconds to wait until a connection is made."""

_LAST_WORDS = 5.0
"""Seconds to wait for each thread that answers a worker, after all calls have ended."""


@dataclass(frozen=True)
class Address:
    """Where the process of a command listens, and the token that workers prove to know; a secret."""

    host: str
    port: int
    token: bytes = field(repr=False)


class Service:
    """Answers the raters of all workers of a command, each in a thread of its own, until it is closed.

    Args:
        registry: makes the raters that are asked for their services.
        host: address of this machine at which workers reach it.
        spent: cost of the model calls that the command has made before.

    Raises:
        RunError: it cannot listen there.
    """

    def __init__(self, registry: Registry, host: str, spent: float) -> None:
        self._registry, self._spent = registry, spent
        try:
            self._socket = socket.create_server(
                (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
            )
        except OSError as error:
            raise RunError(f"cannot listen at {host} for the workers of this command: {error}") from error
        self.address = Address(host, self._socket.getsockname()[1], secrets.token_bytes(32))
        self._closing, self._close = Pipe(duplex=False)
        self._lock = Lock()
        self._services: dict[str, RaterService] = {}
        self._of_rater: dict[str, RaterService] = {}
        self._answering: list[Thread] = []
        self._accepting = Thread(target=self._accept, name="emosim-service", daemon=True)
        self._accepting.start()

    @property
    def cost(self) -> float:
        """Cost of the model calls that workers have caused."""
        return sum(one.cost() for one in list(self._services.values()))

    def close(self) -> None:
        """Complete the running calls, and answer no more."""
        self._close.close()  # wakes all threads
        self._accepting.join()
        self._socket.close()
        services = list(self._services.values())
        for service in services:
            service.close()
        for thread in self._answering:
            thread.join(_LAST_WORDS)
        for service in services:  # one that was asked meanwhile
            service.close()

    # ------------------------------------------------------------------------------------------ in other threads

    def _accept(self) -> None:
        while self._closing not in wait([self._socket, self._closing]):
            try:
                link = self._socket.accept()[0]
            except OSError:  # the worker has gone already, or there are too many open files
                time.sleep(0.1)
                continue
            _prepare(link)
            Thread(target=self._talk, args=(Connection(link.detach()),), name="emosim-worker", daemon=True).start()

    def _talk(self, connection: Connection) -> None:
        """Answer a worker until one of both ends it."""
        # The end of a worker also ends what it has asked for; what was sent to a model is completed and cached.
        with contextlib.suppress(EOFError, OSError, AuthenticationError), connection:
            deliver_challenge(connection, self.address.token)
            answer_challenge(connection, self.address.token)
            with self._lock:
                self._answering.append(current_thread())
            while self._closing not in wait([connection, self._closing]):
                messages = _received(connection)
                reply = self._reply(next(messages), messages)
                for _ in messages:
                    pass
                connection.send_bytes(json.dumps(reply).encode())

    def _reply(self, rater: Mapping[str, Any], messages: Iterator[Any]) -> dict[str, Any]:
        try:
            return {"answer": self._service_of(rater).answer(messages)}
        except EmoSimError as error:
            return {"error": error_json(error)}
        except OSError:
            raise
        except Exception as error:
            return {"error": error_json(fault("the service of a rater", error))}

    def _service_of(self, rater: Mapping[str, Any]) -> RaterService:
        """The service of a rater; those of one key are one."""
        spec = json.dumps(rater, sort_keys=True)
        with self._lock:
            if spec not in self._of_rater:
                domain: Domain = self._registry.resolve_domain(rater["plugin"]).build(Domain)
                resolved = self._registry.resolve("rater", rater["rater"], domain.name)
                made: Rater = resolved.build(Rater)
                service = made.service()
                if service is None:
                    raise RunError(f"{resolved.label} offers no service to other processes")
                if service.key not in self._services:
                    service.charge(lambda: self._others(service))
                    self._services[service.key] = service
                self._of_rater[spec] = self._services[service.key]
            return self._of_rater[spec]

    def _others(self, service: RaterService) -> float:
        return self._spent + sum(one.cost() for one in list(self._services.values()) if one is not service)


class ServiceClient:
    """What a worker asks the process of its command with; connected at the first question."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = Lock()
        self._connection: Connection | None = None

    def ask(self, rater: Mapping[str, Any], messages: Iterable[Any]) -> Any:
        """The answer of the service of a rater, given by its configuration, to JSON values that are sent one by one.

        Raises:
            EmoSimError: the service cannot be made there; or a RunError: the process of the command is not there.
        """
        with self._lock:
            try:
                connection = self._connected()
                _send(connection, rater)
                for message in messages:
                    _send(connection, message)
                _send(connection, None)
                reply = json.loads(connection.recv_bytes())
            except (OSError, EOFError, AuthenticationError) as error:
                self._close()
                where = f"{self._address.host}:{self._address.port}"
                why = str(error) or "it has ended"
                raise RunError(
                    f"the process of the command, which calls the language model for all workers, does not answer at "
                    f"{where}: {why}"
                ) from error
            except BaseException:  # in the middle of a question
                self._close()
                raise
        if "error" in reply:
            raise error_of(reply["error"])
        return reply["answer"]

    def _connected(self) -> Connection:
        if self._connection is None:
            with socket.create_connection((self._address.host, self._address.port), _PATIENCE) as link:
                link.settimeout(None)
                _prepare(link)
                connection = Connection(link.detach())
            self._connection = connection
            answer_challenge(connection, self._address.token)
            deliver_challenge(connection, self._address.token)
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def error_json(error: EmoSimError) -> dict[str, Any]:
    """An error as JSON values: the nearest of its classes that the core has, its message, and its plain attributes."""
    kind = next(one for one in type(error).__mro__ if getattr(errors, one.__name__, None) is one)
    plain = {name: value for name, value in vars(error).items() if isinstance(value, str | int | float | None)}
    return {"kind": kind.__name__, "message": str(error), "attributes": plain}


def error_of(payload: Mapping[str, Any]) -> EmoSimError:
    """The error that :func:`error_json` told."""
    kind: type[EmoSimError] = getattr(errors, payload["kind"])
    error = kind.__new__(kind, payload["message"])
    vars(error).update(payload["attributes"])
    return error


def _received(connection: Connection) -> Iterator[Any]:
    while (message := json.loads(connection.recv_bytes())) is not None:
        yield message


def _send(connection: Connection, message: Any) -> None:
    connection.send_bytes(json.dumps(message).encode())


def _prepare(link: socket.socket) -> None:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
