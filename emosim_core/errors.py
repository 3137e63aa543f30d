"""Every error that EmoSim raises on purpose.

::

    EmoSimError
    |- ConfigurationError        an option, a configuration file or a combination of both is wrong
    |  `- UnknownNameError       a name that nothing provides; carries the nearest names
    |- DataError                 a file that was read is malformed; names file, row and field
    |  `- LLMCacheError          answers of a language model cannot be kept or looked up
    |- PluginError               a plugin cannot be used
    |  |- BrokenPluginError      it raised when it was imported or asked what it provides
    |  |- IncompatiblePluginError  it was built for another version of the hooks
    |  |- NameConflictError      two plugins provide the same name
    |  `- WrongAnswerError       a component answered something else than its interface says; carries the rule
    |- MissingDependencyError    an optional package is needed; carries the command that installs it
    |- RatingError               a rater could not answer
    |- LLMError                  a language model gave no answer
    |  |- LLMAuthenticationError   the key is missing, wrong or not allowed to do this; asking again is of no use
    |  |- LLMRequestError          the service does not accept the request (unknown model, wrong parameter)
    |  |- LLMRateLimitError        too many requests at once; carries how long to wait
    |  |- LLMTransientError        no connection, a time-out, or an error of the service; asking again may help
    |  |- LLMRefusedError          the model or its service will not answer this request (a filter, too long)
    |  |- LLMMalformedError        what came back is no answer of the requested form
    |  |- LLMBudgetError           the budget is spent; every paid answer is cached
    |  `- LLMReplayError           only cached answers may be used, and there is none for a request
    |- RunError                  a run directory cannot be written, read or resumed
    `- TrustError                a directory names code, keys, hosts or paths that its user did not give

The command line prints the message of any of these, without a traceback, and exits with status 2.
A message says what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, ClassVar


class EmoSimError(Exception):
    """Base of all errors that a user can cause or mend. A copy of one, or one from another process, is the same."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self.args), self.__dict__


def _remade(kind: type[EmoSimError], args: tuple[Any, ...]) -> EmoSimError:
    """An error with the message it had; ``__init__`` composed it, and may take other arguments."""
    return kind.__new__(kind, *args)


class ConfigurationError(EmoSimError):
    """An option, a configuration file or a combination of options is wrong."""


class OptionError(ConfigurationError):
    """The value of an option is wrong, or there is none.

    Args:
        where: what the option is of, such as a command, a component or a file.
        option: path of the option, such as ``"gateway.max_cost"``.
        problem: what is wrong with its value; of one that is missing, what it is.
        missing: whether the option has no value and needs one.
    """

    def __init__(self, where: str, option: str, problem: str, missing: bool = False) -> None:
        self.where, self.option, self.problem, self.missing = where, option, problem, missing
        message = self.named(f"the option {option!r}" if missing else f"option {option!r}")
        super().__init__(f"{where}: {message}")

    def named(self, name: str) -> str:
        """The message under the name that the option has where it is given."""
        if self.missing:
            return f"{name} is needed" + (f" ({self.problem})" if self.problem else "")
        return f"{name}: {self.problem}"


class UnknownNameError(ConfigurationError):
    """Nothing provides a component of this name.

    Attributes:
        kind: what was looked for, such as ``"retrieval"``.
        name: the name as given.
        suggestions: the nearest known names, best first.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str] = (), suggestions: Sequence[str] = (), hint: str = ""
    ) -> None:
        self.kind, self.name, self.suggestions = kind, name, tuple(suggestions)
        parts = [f"unknown {kind} {name!r}."]
        if self.suggestions:
            parts.append("Did you mean " + " or ".join(repr(s) for s in self.suggestions) + "?")
        if hint:
            parts.append(hint)
        known = sorted(known)
        if known:
            parts.append("Known: " + ", ".join(known) + ".")
        super().__init__(" ".join(parts))


class DataError(EmoSimError):
    """A file is malformed.

    Args:
        path: the file.
        message: what was found and what was expected.
        row: 1-based line or record number, where there is one.
        field: column or key, where there is one.
    """

    def __init__(
        self, path: str | PathLike[str], message: str, *, row: int | str | None = None, field: str | None = None
    ) -> None:
        self.path, self.row, self.field = str(path), row, field
        where = str(path)
        if row is not None:
            where += f", row {row}"
        if field is not None:
            where += f", field {field!r}"
        super().__init__(f"{where}: {message}")


class LLMCacheError(DataError):
    """Answers of a language model cannot be kept or looked up.

    Attributes:
        passing: whether it may pass by itself, as a full disk or a lock.
    """

    passing = False


class PluginError(EmoSimError):
    """A plugin cannot be used."""


class BrokenPluginError(PluginError):
    """A plugin raised when it was imported or asked what it provides."""


class IncompatiblePluginError(PluginError):
    """A plugin was built for another version of the hooks."""


class NameConflictError(PluginError):
    """Two plugins provide the same name."""


class WrongAnswerError(PluginError):
    """A component of a plugin answered something else than its interface says.

    Attributes:
        rule: the name of the rule that the answer breaks, as on the page of the hook.
    """

    def __init__(self, message: str, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


_WITH_TORCH = ("train", "embed")
"""Extras that bring torch."""


class MissingDependencyError(EmoSimError):
    """An optional package is needed for what was asked.

    Args:
        needed_for: what was asked, as a phrase ("reading MovieLens").
        package: the package that is missing.
        install: the command that brings it.
    """

    def __init__(self, needed_for: str, package: str, install: str) -> None:
        large = any(f"{extra}]" in install for extra in _WITH_TORCH)
        note = " (with torch: several GB, unless PyTorch's CPU build is installed before)" if large else ""
        super().__init__(f"{needed_for} needs the package {package!r}. Install it with: {install}{note}")


class RatingError(EmoSimError):
    """A rater could not answer; no rating is ever made up in its place."""


class RecommenderError(EmoSimError):
    """A recommender behind HTTP gave no answer, or none of its protocol; a run may be resumed once it does."""


class LLMError(EmoSimError):
    """A language model gave no answer. Messages hold no key.

    Attributes:
        summary: what went wrong, in a few words before the message, where a rating failed.
        usage: the tokens that were paid for all the same, an :class:`~emosim_core.llm.chat.Usage`; None where nothing
            was, or nothing is known.
    """

    summary: ClassVar[str] = "no answer of the language model"
    usage: Any = None

    @property
    def explained(self) -> str:
        """The message with the summary before it."""
        return f"{self.summary}: {self}"


class LLMAuthenticationError(LLMError):
    """The key is missing, wrong, or not allowed to do this; asking again is of no use."""


class LLMRequestError(LLMError):
    """The service does not accept the request, such as an unknown model; a retry is of no use.

    Attributes:
        doubtful: whether it may be this one request that the service objects to, as it does not say. What it says of
            one request alone (a filter, a prompt that is too long) is an :class:`LLMRefusedError`.
    """

    summary = "the language model's service does not accept the request"
    doubtful: bool = False


class LLMRateLimitError(LLMError):
    """Too many requests at once.

    Attributes:
        retry_after: seconds to wait, where the service said so.
    """

    summary = "too many requests to the language model at once"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class LLMTransientError(LLMError):
    """No connection, a time-out, or an error of the service; asking again may help.

    Attributes:
        retry_after: seconds to wait, where the service said so.
        starting: whether the service says that it is still starting, which may take minutes.
    """

    starting: bool = False

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class LLMRefusedError(LLMError):
    """The model or its service will not answer this request."""

    summary = "the language model refuses to answer"


class LLMMalformedError(LLMError):
    """What came back is no answer of the requested form."""

    summary = "the answer of the language model cannot be used"


class LLMBudgetError(LLMError):
    """The budget is spent; every paid answer is cached."""


class LLMReplayError(LLMError):
    """Only cached answers may be used, and there is none for a request."""


class RunError(EmoSimError):
    """A run directory cannot be written, read or resumed."""


class TrustError(EmoSimError):
    """A directory names code, keys, hosts or paths that only its user may choose; says how to give them again.

    Attributes:
        names: the values, by the name of their field, such as ``"llm_model"`` and ``"gateway.cache"``.
    """

    def __init__(self, message: str, names: Sequence[str] = ()) -> None:
        self.names = tuple(names)
        super().__init__(message)


def interruption(error: BaseException) -> KeyboardInterrupt | None:
    """The interruption that an error came of, if any: what a library, such as compiled code, raised in its place."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__
    return cause
