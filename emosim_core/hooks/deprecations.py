"""Deprecations: what goes away is marked first, and whoever still writes it is warned with their plugin's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

_MARK = "__emosim_deprecated__"

Marked = TypeVar("Marked", bound=Callable[..., Any])


@dataclass(frozen=True)
class Deprecation:
    """That a hook or a method of an interface goes away."""

    since: str
    removed_in: str
    instead: str

    def warning(self, what: str, who: str) -> str:
        """The warning for who still writes it, on one line."""
        return (
            f"{who} uses {what}, which is deprecated since emosim-core {self.since} and removed in {self.removed_in}; "
            f"its author writes {self.instead}"
        )


def deprecated(since: str, removed_in: str, instead: str) -> Callable[[Marked], Marked]:
    """Mark a hook, or a method of an interface, that goes away.

    A plugin that implements the hook, or whose component overrides the method, goes on working and is warned of once,
    with its name and version::

        @hookspec
        @deprecated(since="0.3", removed_in="0.5", instead="emosim_item_loaders")
        def emosim_items() -> Iterable[Component]: ...
    """

    def mark(member: Marked) -> Marked:
        setattr(member, _MARK, Deprecation(since, removed_in, instead))
        return member

    return mark


def deprecation_of(member: object) -> Deprecation | None:
    """How a hook or a method is deprecated; None where it is not."""
    return getattr(member, _MARK, None)


def overridden(kind: type) -> Iterator[tuple[str, Deprecation]]:
    """The deprecated methods that a class overrides, as ``Interface.method``."""
    for base in kind.__mro__:
        for name, member in vars(base).items():
            deprecation = deprecation_of(member)
            if deprecation is not None and getattr(kind, name) is not member:
                yield f"{base.__name__}.{name}", deprecation
