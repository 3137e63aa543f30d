"""Cells: the parts into which a command is cut, each whole in itself, and the interface of what does them."""

from __future__ import annotations

import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from emosim_core.errors import ConfigurationError, EmoSimError, RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import component_table
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import EnvironmentConfig, read_config

if TYPE_CHECKING:
    from emosim_core.runs.service import Address, Service, ServiceClient

_T = TypeVar("_T")

TICK = 0.2
"""Seconds between two reports of the progress of a cell that is done elsewhere."""

OnProgress = Callable[[int], None]
"""Gets the number of units of work (ratings, episodes) that were done since the call before."""


class Worlds:
    """Worlds by their configuration, for the cells of one process; one is held at a time.

    Pickled, they are empty elsewhere, and know the versions of this process; pickled while they are :meth:`served`,
    their raters ask those of this process.

    Args:
        registry: the plugins.
        serves: whether :meth:`served` offers anything; False where cells call no language model.
    """

    def __init__(self, registry: Registry, serves: bool = True) -> None:
        self.registry, self.serves = registry, serves
        self._spent = 0.0
        self._service: Service | None = None
        self._address: Address | None = None
        self._client: ServiceClient | None = None
        self._elsewhere = False
        self._versions: dict[str, str] = {}
        self._world: World | None = None
        self._environment: Mapping[str, Any] | None = None
        self._kept: tuple[Any, Any] = (None, None)

    def __reduce__(self) -> tuple[Any, ...]:
        address = None if self._service is None else self._service.address
        state = {"_address": address, "_elsewhere": True, "_versions": versions(self.registry)}
        return type(self), (self.registry, self.serves), state

    def differing(self) -> str:
        """What has another version here than in the process that pickled these worlds; empty if nothing has."""
        actual = versions(self.registry) if self._versions else {}
        names = [
            f"{name} {actual.get(name, 'is missing')} (expected {version})"
            for name, version in self._versions.items()
            if actual.get(name) != version
        ]
        if not names:
            return ""
        return f"{platform.node()} has other versions: {', '.join(names)}. Install the same ones there"

    @property
    def spent(self) -> float:
        """Cost of the model calls so far; it counts towards the budget of the next world."""
        return self._spent + (0.0 if self._service is None else self._service.cost)

    @spent.setter
    def spent(self, spent: float) -> None:
        self._spent = spent

    @contextmanager
    def served(self, host: str = "127.0.0.1") -> Iterator[None]:
        """Within the block, answer the raters of other processes: one budget, cache and limit of calls for all cells.

        An executor pickles the worlds within it, and has all cells end before its end.

        Args:
            host: address of this machine at which the other processes reach it.

        Raises:
            RunError: this process cannot listen there.
        """
        if not self.serves:
            yield
            return
        from emosim_core.runs.service import Service

        self._service = Service(self.registry, host, self._spent)
        try:
            yield
        finally:
            try:
                self._service.close()
            finally:
                self._spent, self._service = self.spent, None

    def ask_service(self, config: EnvironmentConfig) -> Callable[[Iterable[Any]], Any] | None:
        """How the rater of a configuration asks its service; None in the process of the command.

        Raises:
            ConfigurationError: the rater has a budget, which other processes would not know of.
        """
        if self._address is None:
            if self._elsewhere and max_cost_of(config.rater) is not None:
                raise ConfigurationError("this executor shares no --max-cost between processes; use --executor local")
            return None
        if self._client is None:
            from emosim_core.runs.service import ServiceClient

            self._client = ServiceClient(self._address)
        return partial(self._client.ask, config.model_dump(mode="json", include={"plugin", "rater"}))

    def of(self, environment: Mapping[str, Any], learns: bool = False) -> World:
        """The world of a configuration; ``learns`` as of :func:`assemble`."""
        if self._world is None or self._environment != environment:
            self.close()
            config: EnvironmentConfig = read_config(EnvironmentConfig, environment, "environment")
            self._world, self._environment = (
                assemble(config, self.registry, self.spent, self.ask_service(config), learns),
                environment,
            )
        return self._world

    def cached(self, key: Any, make: Callable[[], _T]) -> _T:
        """What cells with the same key share, made at the first; what had another key is forgotten."""
        if self._kept[0] != key:
            self._kept = (key, make())
        made: _T = self._kept[1]
        return made

    def close(self) -> None:
        """Let go of what is held."""
        self._kept = (None, None)
        if self._world is not None:
            self.spent += self._world.rater.usage().get("cost") or 0.0
            self._world.close()
            self._world = None


@dataclass(frozen=True)
class Cell:
    """One part of a command. It knows its seeds, writes files of its own, and its files do not depend on where it is
    done, when, or how often.

    Attributes:
        key: its name within the command.
        work: a function of a module, called with ``arguments``, the worlds of the process and a function that counts
            progress; raises an EmoSimError where the cell cannot be done.
        arguments: a value that can be pickled.
        folder: the only folder of the command that it reads or writes, and that ``arguments`` name, as a path; None for
            a cell that only a machine can do which has all that the command has.
        needs: names of the files of its folder that it reads; None for all that are there.
        writes: name of the file in its folder that it writes; empty where the whole folder is its own.
    """

    key: str
    work: Callable[[Any, Worlds, OnProgress], None]
    arguments: Any
    folder: Path | None = None
    needs: tuple[str, ...] | None = None
    writes: str = ""

    def run(self, worlds: Worlds, on_progress: OnProgress) -> None:
        """Do it in the process of the command."""
        self.work(self.arguments, worlds, on_progress)

    def attempt(self, worlds: Worlds, send: OnProgress) -> str:
        """Do it in a process elsewhere; what went wrong, empty if nothing did, because errors do not travel whole.

        It is not done where Python, NumPy, EmoSim-RL or its plugins have other versions than where the worlds were
        pickled.

        Args:
            send: carries numbers of units of work to the command, every ``TICK`` seconds at most and at the end.
        """
        if problem := worlds.differing():
            return problem
        done, sent = 0, time.monotonic()

        def count(number: int) -> None:
            nonlocal done, sent
            done += number
            if time.monotonic() > sent + TICK:
                send(done)
                done, sent = 0, time.monotonic()

        try:
            self.run(worlds, count)
        except EmoSimError as error:
            return str(error) or type(error).__name__
        except SystemExit as error:
            return f"something that a cell called has left the program, with {error.code!r}"
        finally:
            if done:
                send(done)
        return ""


class Executor(ABC):
    """Does the cells of a command: in this process, in several, or on other machines.

    Attributes:
        workers: greatest number of cells that are done at the same time.
    """

    workers = 1

    @abstractmethod
    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Generator[Cell, None, None]:
        """Do cells in any order and yield each when it is done.

        A cell whose worker is lost may be done again. When the generator is closed, or raises, no cell is under way
        any more.

        Args:
            cells: the cells; at least one.
            worlds: worlds of this process; other processes make their own.
            on_progress: called in this thread.

        Raises:
            EmoSimError: a cell cannot be done; those that were yielded stay.
        """


class Local(Executor):
    """One cell after the other, in this process."""

    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Generator[Cell, None, None]:
        try:
            for cell in cells:
                cell.run(worlds, on_progress)
                yield cell
        finally:
            worlds.close()


def versions(registry: Registry) -> dict[str, str]:
    """Versions by name of what makes the bytes of a cell: Python, NumPy, EmoSim-RL and the plugins that are loaded."""
    loaded = {record.distribution: record.version for record in registry.records if record.status == "ok"}
    return {"Python": platform.python_version(), "numpy": np.__version__, **loaded}


def check_data(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """See that a cell has the items and users of the process in which its command was given, by their digests.

    Raises:
        RunError: it has others; names the machine and what differs.
    """
    differing = [
        f"{name} {actual.get(name)!r} (expected {value!r})"
        for name, value in expected.items()
        if actual.get(name) != value
    ]
    if differing:
        raise RunError(f"{platform.node()} has other items or users: {', '.join(differing)}")


def max_cost_of(rater: Any) -> float | None:
    """The limit on the cost of the model calls of a configuration's ``rater``; None where it has none."""
    return (component_table(rater, "llm").get("gateway") or {}).get("max_cost")


def executor_of(choice: str | Mapping[str, Any], registry: Registry) -> Executor:
    """An executor by its name, such as ``"local"`` or ``"processes:4"``.

    Raises:
        EmoSimError: nothing provides the name, or its options are wrong.
    """
    executor: Executor = registry.resolve("executor", choice).build(Executor)
    return executor
