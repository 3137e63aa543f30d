"""What studies share: configuration, a directory that is begun and resumed, and the records of their jobs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, TypeAdapter, field_validator
from typing_extensions import Self

from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks.fields import by_field
from emosim_core.hooks.names import checked_options
from emosim_core.model.frozen import Frozen, option
from emosim_core.runs.cells import OnProgress
from emosim_core.runs.job import MANIFEST, JobDirectory, cannot_write, job_directory, write_file
from emosim_core.runs.manifest import begin_job, check_same
from emosim_core.runs.reading import check, check_format, lines_of, parse, read_line
from emosim_core.runs.records import FORMAT
from emosim_core.simulation.config import EnvironmentConfig

if TYPE_CHECKING:
    from emosim_core.hooks import Registry
    from emosim_core.simulation.assembly import World

JOBS = "jobs"
"""Folder of a study with the records of its jobs."""


def folder_name(parts: Sequence[str]) -> str:
    """A name for the folder of a job: readable, and different for every job."""
    digest = blake2b(json_text.line({"parts": list(parts)}), digest_size=4).hexdigest()
    words = "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", part)[:24].strip("._") for part in parts)
    return f"{words[:200]}-{digest}"


class StudyConfig(Frozen):
    """Configuration of a study: fields of its own, and the environment that its users live in."""

    environment: dict[str, Any] = option(..., "Values of an environment: the rater and its components.", option=False)

    @field_validator("environment")
    @classmethod
    def _under_their_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        return by_field(EnvironmentConfig, value)

    @classmethod
    def of(cls, directory: Path, manifest: Mapping[str, Any]) -> Self:
        """The configuration that the manifest of a directory holds; a ConfigurationError says what is wrong with it."""
        return checked_options(cls, manifest["config"], str(directory / MANIFEST))

    @classmethod
    def flat_of(cls, directory: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """As :meth:`of`, but all fields in one table."""
        return cls.of(directory, manifest).flat()

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str) -> Self:
        """The configuration of values among which are those of the environment: the reverse of :meth:`flat`."""
        own = {name: value for name, value in values.items() if name in cls.model_fields}
        environment = {name: value for name, value in values.items() if name not in own}
        return checked_options(cls, {**own, "environment": environment}, where)

    def flat(self) -> dict[str, Any]:
        """All fields, with those of the environment beside the others, as JSON."""
        values = self.model_dump(mode="json")
        return {**values.pop("environment"), **values}


class ResumableStudy:
    """A study that asks a world, and writes a directory that may be resumed.

    Attributes:
        command: the command that makes it.
        options: the model of its own fields.
        may_differ: fields that may be others where it is resumed.
        alone: why it is made in one process, as an error says it; empty where an executor may make it.
        world: what is asked.
    """

    command: ClassVar[str]
    options: ClassVar[type[StudyConfig]]
    may_differ: ClassVar[tuple[str, ...]] = ("gateway",)
    alone: ClassVar[str] = "it is made in this process: leave out the executor"
    world: World
    _registry: Registry

    @classmethod
    def models(cls) -> tuple[type[BaseModel], ...]:
        """The models of all fields."""
        return EnvironmentConfig, cls.options

    @classmethod
    def manifest_of(cls, directory: Path) -> dict[str, Any]:
        """The manifest of a directory; a RunError where it is that of something else, or damaged."""
        raise NotImplementedError

    @classmethod
    def stored(cls, directory: Path) -> dict[str, Any]:
        """The configuration of a study that is to be resumed, flat."""
        return cls.options.flat_of(directory, cls.manifest_of(directory))

    def about(self) -> dict[str, Any]:
        """The manifest: what is asked, of whom, by what."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what the rater holds on to, such as connections."""
        self.world.close()

    def check_resumed(self, directory: Path, stored: Mapping[str, Any] | None = None) -> None:
        """See that the study in a directory, whose manifest is ``stored``, was begun with the same.

        Raises:
            RunError: it was begun with something else; says what differs.
        """
        manifests = (self.manifest_of(directory) if stored is None else stored, self.about())
        old, new = ({**one, "config": self.options.flat_of(directory, one)} for one in manifests)
        check_same(directory, old, new, self.may_differ, self.options)

    def run(
        self,
        directory: Path | JobDirectory,
        on_progress: OnProgress = lambda count: None,
        resume: bool = False,
        executor: str | Mapping[str, Any] = "local",
    ) -> dict[str, Any]:
        """Do what is not done, write the records and the results, and return the latter.

        A study that fails before anything is done leaves nothing behind, unless a language model was called: what it
        has answered is cached, and to go on costs nothing.

        Args:
            directory: must not exist or be empty, unless it is resumed, as a job directory knows.
            on_progress: gets how many users, logs, pairs or answers were done since the call before.
            executor: where it is done, such as ``"processes:2"``; the results are the same.

        Raises:
            ConfigurationError: another executor than ``"local"``, and the study is made in one process.
            EmoSimError: it cannot go on; what is done stays, to be resumed.
        """
        if self.alone and executor != "local":
            raise ConfigurationError(self.alone)
        job = job_directory(directory, self.command, resume)
        with claimed(job, lambda: self.world.rater.uses_llm or self._has_done(job.path)):
            try:
                check, flat = partial(self.check_resumed, job.path), partial(self.options.flat_of, job.path)
                begin_job(job, self.about(), self.models(), self._registry, check, self.manifest_of, flat)
                return self._make(job.path, on_progress, executor)
            except OSError as error:
                raise cannot_write(job.path, error) from error

    def _has_done(self, directory: Path) -> bool:
        """Whether the directory of a study that failed holds something to go on with."""
        return False

    def _make(self, directory: Path, on_progress: OnProgress, executor: str | Mapping[str, Any]) -> dict[str, Any]:
        """Do what the directory lacks; arguments and errors as of :meth:`run`."""
        raise NotImplementedError


@dataclass(frozen=True)
class JobRecords:
    """The records of one job, in a file that is written whole. The first line is the head.

    Attributes:
        name: of the file, without its ending.
        directory: of the study.
    """

    name: str
    directory: Path

    head: ClassVar[TypeAdapter[Any]]
    line: ClassVar[TypeAdapter[Any]]

    @property
    def path(self) -> Path:
        """The file."""
        return self.directory / JOBS / f"{self.name}.jsonl"

    @property
    def complete(self) -> bool:
        """Whether it is done."""
        return self.path.is_file()

    def write_lines(self, head: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> None:
        """Write the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.path, b"".join(map(json_text.line, [{"format": FORMAT, **head}, *lines])))

    def read_lines(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The head and the other lines; a RunError names the line that is wrong."""
        return read_job_file(self.path, self.head, self.line)


@contextmanager
def claimed(directory: JobDirectory, done: Callable[[], bool]) -> Iterator[None]:
    """Claim a directory; a study that fails before a job is ``done`` leaves nothing behind, unless it was resumed."""
    with directory:
        directory.claim()
        try:
            yield
        except BaseException:
            if not directory.resume and not done():
                shutil.rmtree(directory.path / JOBS, ignore_errors=True)
                directory.discard(MANIFEST)
            raise


def read_job_file(
    path: Path, head: TypeAdapter[Any], line: TypeAdapter[Any], *, whole: bool = True
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first line of a file of records, and the others; a RunError names the line that is wrong.

    Args:
        whole: whether the others are wanted with all that is in them, and not the fields of ``line`` alone, which are
            read in a third of the time.
    """
    lines = lines_of(path)
    first = next(lines, None)
    if first is None:
        raise RunError(f"{path} is empty")
    about = parse(f"{path}, line 1:", first[1])
    check_format(path, about, FORMAT)
    check(f"{path}, line 1:", about, head)
    records = []
    for number, content in lines:
        where = f"{path}, line {number}:"
        if whole:
            records.append(parse(where, content))
            check(where, records[-1], line)
        else:
            records.append(read_line(where, content, line))
    return about, records
