"""Service: workers ask the process of a command, and nobody else does."""

from __future__ import annotations

import contextlib
import copy
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from emosim_core import ConfigurationError, EnvironmentConfig, RunError
from emosim_core.errors import EmoSimError, LLMCacheError, LLMRateLimitError, LLMTransientError
from emosim_core.plugins import Rater, RaterService, Registry, Worlds
from emosim_core.runs.service import Service, ServiceClient, error_json, error_of


class Adding(RaterService):
    """Adds up numbers; each costs 1."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.added = self.closed = 0
        self.others: Callable[[], float] = float

    def answer(self, messages: Iterator[Any]) -> Any:
        numbers = []
        for number in messages:
            if number == "fail":
                raise LLMRateLimitError("slow down", retry_after=3.0)
            if number == "break":
                raise ValueError("broken")
            numbers.append(number)
            self.added += 1
        return {"sum": sum(numbers), "others": self.others()}

    def charge(self, spent: Callable[[], float]) -> None:
        self.others = spent

    def cost(self) -> float:
        return float(self.added)

    def close(self) -> None:
        self.closed += 1


class Served(Rater):
    """A rater whose service adds."""

    def __init__(self, key: str) -> None:
        self.made = Adding(key)

    def service(self) -> RaterService:
        return self.made


class Resolved:
    """What a registry resolves to: made already."""

    label = "rater 'alone' of emosim-test 1"

    def __init__(self, made: Any) -> None:
        self.made = made

    def build(self, interface: type) -> Any:
        return self.made


class SomeRegistry:
    """Raters by their names; ``alone`` has no service."""

    def __init__(self) -> None:
        self.raters = {"one": Served("a"), "two": Served("a"), "other": Served("b"), "alone": Rater()}

    def resolve_domain(self, name: str) -> Resolved:
        return Resolved(type("Domain", (), {"name": name}))

    def resolve(self, kind: str, choice: str, domain: str) -> Resolved:
        return Resolved(self.raters[choice])


@pytest.fixture
def service() -> Iterator[Service]:
    """A service on this machine, of a command that has spent 10."""
    with closing(Service(SomeRegistry(), "127.0.0.1", 10.0)) as service:  # type: ignore[arg-type]
        yield service


def rater(name: str) -> dict[str, str]:
    return {"plugin": "movies", "rater": name}


def test_raters_of_one_key_share_a_service_and_it_knows_what_the_others_cost(service: Service) -> None:
    first, second = ServiceClient(service.address), ServiceClient(service.address)
    assert first.ask(rater("one"), iter([1, 2])) == {"sum": 3, "others": 10.0}
    assert second.ask(rater("other"), [3]) == {"sum": 3, "others": 12.0}
    assert second.ask(rater("two"), []) == {"sum": 0, "others": 11.0}
    assert service.cost == 3.0


def test_errors_come_back_with_their_kind_and_the_next_question_is_answered(service: Service) -> None:
    client = ServiceClient(service.address)
    with pytest.raises(LLMRateLimitError, match="slow down") as raised:
        client.ask(rater("one"), [1, "fail", 2])
    assert raised.value.retry_after == 3.0
    with pytest.raises(EmoSimError, match="the service of a rater failed with ValueError: broken"):
        client.ask(rater("one"), ["break"])
    with pytest.raises(RunError, match="rater 'alone' of emosim-test 1 offers no service to other processes"):
        client.ask(rater("alone"), [1])
    assert client.ask(rater("one"), [5])["sum"] == 5


def test_a_question_that_is_broken_off_is_forgotten(service: Service) -> None:
    client = ServiceClient(service.address)

    def interrupted() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.ask(rater("one"), interrupted())
    assert client.ask(rater("one"), [2])["sum"] == 2


def test_who_does_not_know_the_token_is_turned_away(service: Service) -> None:
    stranger = ServiceClient(replace(service.address, token=b"guessed"))
    with pytest.raises(RunError, match=r"does not answer at 127\.0\.0\.1:\d+: digest sent was rejected"):
        stranger.ask(rater("one"), [1])
    with socket.create_connection((service.address.host, service.address.port), 5) as link:
        link.settimeout(5)
        link.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while link.recv(1024):
                pass
    assert service.cost == 0
    assert ServiceClient(service.address).ask(rater("one"), [1])["sum"] == 1


def test_nobody_answers_after_the_end(service: Service) -> None:
    client = ServiceClient(service.address)
    client.ask(rater("one"), [1])
    silent = socket.create_connection((service.address.host, service.address.port), 5)
    with silent:
        service.close()
    for one in (client, ServiceClient(service.address)):
        with pytest.raises(RunError, match="the process of the command, which calls the language model"):
            one.ask(rater("one"), [1])
    registry: Any = service._registry
    assert registry.raters["one"].made.closed == 2


def test_worlds_tell_other_processes_where_to_ask_and_hide_the_token() -> None:
    config = EnvironmentConfig(plugin="movies", rater={"name": "llm", "model": "m", "gateway": {"max_cost": 1.0}})
    worlds = Worlds(Registry(only=[]))
    assert worlds.ask_service(config) is None
    with worlds.served():
        elsewhere: Worlds = copy.copy(worlds)
        address = elsewhere._address
        assert address is not None
        assert address.host == "127.0.0.1"
        assert repr(address.token) not in repr(address)
        assert elsewhere.ask_service(config) is not None
        assert worlds.ask_service(config) is None
    unserved: Worlds = copy.copy(worlds)
    with pytest.raises(ConfigurationError, match="shares no --max-cost between processes; use --executor local"):
        unserved.ask_service(config)
    assert unserved.ask_service(EnvironmentConfig(plugin="movies")) is None
    silent = Worlds(Registry(only=[]), serves=False)
    with silent.served():
        silent_elsewhere: Worlds = copy.copy(silent)
        assert silent_elsewhere._address is None


def test_an_error_keeps_its_kind_its_message_and_its_plain_attributes() -> None:
    class OfPlugin(LLMTransientError):
        pass

    starting = OfPlugin("starting", retry_after=2.0)
    starting.starting = True
    full = LLMCacheError("a.sqlite3", "the disk is full")
    for error, kind in ((starting, LLMTransientError), (full, LLMCacheError)):
        same = error_of(error_json(error))
        assert type(same) is kind
        assert str(same) == str(error)
        assert vars(same) == vars(error)


def test_an_address_that_is_not_of_this_machine_is_an_error() -> None:
    with pytest.raises(RunError, match=r"cannot listen at 203\.0\.113\.9 for the workers of this command"):
        Service(Registry(only=[]), "203.0.113.9", 0.0)
