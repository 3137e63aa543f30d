"""Job directory: what a command writes to, claimed by one process at a time, and what to do after a failure."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import socket
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosim_core.data import json_text
from emosim_core.data.files import is_partial, remove_partials, write_whole
from emosim_core.errors import EmoSimError, RatingError, RunError, interruption
from emosim_core.kinds import MANIFEST as MANIFEST
from emosim_core.runs.notes import forget_note
from emosim_core.runs.plain import own_files
from emosim_core.runs.reading import no_run
from emosim_core.runs.typed import typed

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"
"""File that the writer of a directory holds locked."""

MARKER = ".lock.soft"
"""File that is there while a directory is written on a file system without locks."""

WRITER = ".writer.json"
"""File that says who writes a directory: process, host, since when, by which command, and how far it is."""

FAILED = "failed.json"
"""File that says with which error the last writer ended: ``error``, ``at`` and the command."""

_NOTED = 2.0
"""Seconds between two notes of how far a job is."""

_WAIT = 0.25
"""Seconds to wait for a lock, in case that its holder is just letting go."""

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
"""What file systems without locks answer."""

_FIXED = "once this is fixed, "

_SKIPS = ("run", "train", "evaluate")
"""Commands that can go on without the ratings that failed."""

_TRIES = 20
"""How often a directory is made that others take away at the same time."""


class JobDirectory:
    """The directory of a job, such as a run or a training, which one process at a time can claim.

    The claim is a lock of the operating system: it ends with the process, however that ends, and a process that is
    forked does not take it along. As a context manager, a job directory is let go at the end; an
    :class:`~emosim_core.errors.EmoSimError` that leaves the block takes along what is there and how to go on.

    Args:
        command: the command of ``emosim`` that writes it, for messages.
        resume: whether it holds a job that is to be continued. What a beginning leaves behind that failed is begun
            again.
        numbered: whether a number is appended to the name where it is taken.
        begun: the file that a job has from its beginning on.
        arguments: what the command takes each time, such as the file of a plan.
        part: whether it is a part of another job, which says how to go on.

    Attributes:
        resume: whether there is something to continue.
        advises: whether an error takes along how to go on.
    """

    def __init__(
        self,
        path: Path,
        command: str,
        *,
        resume: bool = False,
        numbered: bool = False,
        begun: str = MANIFEST,
        arguments: Sequence[str | Path] = (),
        part: bool = False,
    ) -> None:
        self.path, self.resume, self.advises = path, resume, not part
        self._command, self._numbered, self._begun, self._arguments = command, numbered, begun, arguments
        self._lock: BaseFileLock | None = None
        self._made = self._claimed = False
        self._parents: list[Path] = []
        self._writer: dict[str, Any] = {}
        self._noted = 0.0

    @property
    def begun(self) -> bool:
        """Whether there is a job to go on with."""
        return (self.path / self._begun).is_file()

    @property
    def claimed(self) -> bool:
        """Whether this process is the writer."""
        return self._lock is not None

    # ------------------------------------------------------------------------------------------- claiming

    def check(self) -> None:
        """See whether there is what is wanted, as far as that can be seen without a claim.

        Raises:
            RunError: the directory is taken, or holds nothing to resume.
        """
        try:
            if self.resume:
                if not self.begun and not holds_remains(self.path):
                    raise no_run(self.path, self._begun)
            elif not self._numbered and not (self.path / LOCK).exists() and self._taken():
                raise self._exists()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def claim(self) -> None:
        """Make the directory if need be, and be its only writer from now on.

        Raises:
            RunError: another process writes it, it is taken, it holds nothing to resume, or it cannot be made.
        """
        from filelock import Timeout  # not needed by who only reads

        self.check()
        wanted, vanished = self.path, None
        numbers = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(1))
        for path in itertools.chain([wanted], numbers) if self._numbered else itertools.repeat(wanted, _TRIES):
            self.path, self._made = path, False
            try:
                if self._make():
                    self._lock = _locked(path)
                    break
            except Timeout:
                if not self._numbered:
                    raise self._held() from None
            except FileNotFoundError as error:  # who made it took it away again
                vanished = error
            except OSError as error:
                self._take_away()
                raise self._not_claimed(error) from error
        if self._lock is None:
            assert vanished is not None
            raise self._not_claimed(vanished) from vanished
        try:
            self._enter()
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise self._not_claimed(error) from error
            raise
        self._claimed = True

    def _make(self) -> bool:
        """Make the directory; whether this one can be used."""
        if self.resume:
            return True
        try:
            try:
                self.path.mkdir()
            except FileNotFoundError:
                self._parents = [parent for parent in self.path.parents if not parent.exists()]
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.mkdir()
            self._made = True
        except FileExistsError:
            if self._numbered:
                return False
            if not self.path.is_dir():
                raise
        return True

    def _enter(self) -> None:
        """Look at what is there, now that nobody else changes it, and say who is here."""
        if self.resume:
            self.check()
            own_files(self.path)
            self.resume = self.begun
        elif self._taken():
            raise self._exists()
        remove_partials(self.path)
        self._writer = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": now(),
            **self._command_line(),
        }
        self._tell_writer()
        self._noted = time.monotonic()
        (self.path / FAILED).unlink(missing_ok=True)

    def _tell_writer(self) -> None:
        write_whole(self.path / WRITER, json.dumps(self._writer).encode() + b"\n")

    def note(self, done: int, more: Callable[[], Mapping[str, Any]] = dict) -> None:
        """Say from time to time how far the job is, to whoever looks; nothing happens where this is not the writer.

        Args:
            more: makes what else is said, when it is.
        """
        if self._lock is None or time.monotonic() < self._noted + _NOTED:
            return
        self._noted = time.monotonic()
        self._writer.update(more(), done=done)
        with contextlib.suppress(OSError):  # who looks knows less then
            self._tell_writer()

    def _command_line(self) -> dict[str, Any]:
        return {"command": f"emosim {self._command}", "arguments": [str(one) for one in self._arguments]}

    def _taken(self) -> bool:
        if not self.path.is_dir():
            return os.path.lexists(self.path)
        return not holds_remains(self.path)

    def _exists(self) -> RunError:
        if not self.begun:
            return RunError(f"{self.path} exists already; choose another place with --out")
        again = typed(self._command, *self._arguments, "--resume", self.path)
        return RunError(f"{self.path} exists already. Choose another place with --out, or continue it with: {again}")

    def _not_claimed(self, error: OSError) -> RunError:
        hint = self.resume_hint(_FIXED) if self.resume else start_again(_FIXED)
        return RunError(f"{cannot_write(self.path, error)}\n{hint}")

    def _held(self) -> RunError:
        who, soft = "another process", self.path / MARKER
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            about = json.loads((self.path / WRITER).read_text(encoding="utf-8"))
            # Short, and without what a terminal acts on.
            host, since, command = (
                "".join(char for char in str(about[name])[:80] if char.isprintable())
                for name in ("host", "since", "command")
            )
            who = f"process {int(about['process'])} on {host}, since {since} ({command})"
        gone = f" If it is gone, remove {soft}." if soft.exists() else ""
        return RunError(
            f"{self.path} is being written by {who}; nothing was changed. Wait until it has ended, or choose another "
            f"place with --out.{gone}"
        )

    def write(self, name: str, content: bytes | Mapping[str, Any]) -> None:
        """Write a file of the job whole or not at all, a mapping as JSON; a RunError where it cannot be written."""
        write_file(self.path / name, content)

    # ------------------------------------------------------------------------------------------ letting go

    def release(self) -> None:
        """Let others write here; what was written stays."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        for name in (WRITER, LOCK):
            with contextlib.suppress(OSError):  # a file that stays is no obstacle
                (self.path / name).unlink()
        lock.release()

    def tidy(self) -> None:
        """Remove what a writer left behind that was killed when its job was complete. It is no obstacle if it stays."""
        with contextlib.suppress(OSError):
            if any(_is_remains(path.name) for path in self.path.iterdir()):
                self._lock = _locked(self.path)
                remove_partials(self.path)
                self.release()

    def discard(self, *names: str) -> None:
        """Remove files that this process wrote, and the directory if this process made it and nothing else is in it.

        The folders above it that this process made go too, where nothing else is in them.

        With the file that a job has from its beginning on, what is noted of the directory goes too.
        """
        if self._lock is None:
            return
        if self._begun in names:
            forget_note(self.path)
        for name in names:
            with contextlib.suppress(OSError):
                (self.path / name).unlink()
        self.release()
        self._take_away()

    def _take_away(self) -> None:
        if self._made:
            with contextlib.suppress(OSError):  # somebody else has claimed it, or writes beside it, by now
                for path in (self.path, *self._parents):
                    path.rmdir()

    def __enter__(self) -> JobDirectory:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not interruption(error) and self._lock is not None and self.begun:
            with contextlib.suppress(RunError):  # who reads the directory knows less then
                self.write(FAILED, {"error": str(error), "at": now(), **self._command_line()})
        if isinstance(error, EmoSimError):
            self.explain(error)
        self.release()

    def explain(self, error: EmoSimError) -> None:
        """Add to an error what is there now and how to go on, if the directory was claimed when it came up."""
        if not self._claimed or not self.advises:
            return
        if hint := self.resume_hint(_FIXED):
            if isinstance(error, RatingError) and self._command in _SKIPS:
                hint += (
                    "\nor leave out what cannot be rated:\n"
                    f"  {typed(self._command, '--resume', self.path, '--on-failed-rating', 'skip')}"
                )
            error.args = (f"{error}\n{hint}",)
        elif isinstance(error.__cause__, OSError):
            error.args = (f"{error}\n{start_again(_FIXED)}",)

    def resume_hint(self, when: str = "") -> str:
        """What is there after a failure, and the command that goes on; empty where nothing was begun."""
        if not (self._claimed or self.resume) or not self.begun:
            return ""
        command = typed(self._command, *self._arguments, "--resume", self.path)
        return f"Progress is saved in {self.path}; {when}continue with:\n  {command}"


def now() -> str:
    """The time of day, as files hold it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def start_again(when: str = "") -> str:
    """What to do after a failure that left nothing to continue."""
    return f"Nothing was started; {when}run the same command again."


def holds_remains(path: Path) -> bool:
    """Whether a directory holds nothing, or only what a beginning leaves behind that failed.

    Raises:
        OSError: it cannot be read.
    """
    return path.is_dir() and all(_is_remains(one.name) for one in path.iterdir())


def _is_remains(name: str) -> bool:
    return name in (LOCK, MARKER, WRITER, FAILED) or is_partial(name)


def write_file(path: Path, content: bytes | Mapping[str, Any]) -> None:
    """Write a file whole or not at all, a mapping as JSON; a RunError where it cannot be written."""
    if not isinstance(content, bytes):
        content = json_text.dumps(content, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace") + b"\n"
    try:
        write_whole(path, content)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> RunError:
    """What to say when a file or a directory cannot be written."""
    return RunError(f"{path} cannot be written: {error.strerror or error}.")


def _locked(directory: Path) -> BaseFileLock:
    """The lock of a directory; on a file system without locks, a file that stands for it."""
    from filelock import FileLock, SoftFileLock, Timeout

    lock: BaseFileLock = FileLock(directory / LOCK, timeout=_WAIT, thread_local=False)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            lock.acquire(poll_interval=0.02)
        if not caught:  # filelock warns where it makes a file stand for a lock; below is said what that means
            return lock
        stand_in = directory / LOCK
    except (NotImplementedError, OSError) as error:
        if isinstance(error, Timeout) or (isinstance(error, OSError) and error.errno not in _NO_LOCKS):
            raise
        stand_in = directory / MARKER
        lock = SoftFileLock(stand_in, timeout=_WAIT, thread_local=False)
        lock.acquire(poll_interval=0.02)
    warnings.warn(
        f"the file system of {directory} has no locks; the file {stand_in} stands for one. It stays when a process is "
        "killed; on this machine that is noticed, on another one remove it",
        stacklevel=2,
    )
    return lock


def job_directory(place: Path | JobDirectory, command: str, resume: bool, begun: str = MANIFEST) -> JobDirectory:
    """A directory as a job directory, unless it is one."""
    return place if isinstance(place, JobDirectory) else JobDirectory(place, command, resume=resume, begun=begun)
