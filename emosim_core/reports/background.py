"""Background: what a run's plugins know beyond its records, where they are there: scale, words, items, real users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emosim_core.errors import EmoSimError, TrustError
from emosim_core.hooks import Registry
from emosim_core.model import Domain, Item
from emosim_core.runs.manifest import digest
from emosim_core.runs.trust import CommandHint, confirmed
from emosim_core.runs.typed import typed
from emosim_core.simulation.assembly import loader_of
from emosim_core.simulation.config import RunConfig


@dataclass
class Background:
    """What plugins know: the domain, None where its plugin is not there, and the items by their ids.

    There are no items where they cannot be loaded, or are not those of the run; ``notes`` say what is missing and why.
    """

    domain: Domain | None = None
    items: dict[str, Item] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def words(self) -> tuple[str, str]:
        """What an item is called, one and several."""
        return (self.domain.words.item, self.domain.words.items) if self.domain else ("item", "items")

    @property
    def scale_ends(self) -> tuple[float, float] | None:
        """The ends of the rating scale; None where it is not known."""
        return (self.domain.scale.low, self.domain.scale.high) if self.domain else None


def background(
    manifest: Mapping[str, Any],
    registry: Registry | None = None,
    directory: Path | None = None,
    again: CommandHint | None = None,
    given: Mapping[str, Any] | None = None,
) -> Background:
    """Look up a run's domain and load its items; what cannot be had is noted, for a report can do without.

    Items from a place that the run names are loaded if this user made its directory, or gave them again. Arguments are
    as of :func:`~emosim_core.reports.run_report.report_of_run`.
    """
    result = Background()
    config = manifest["config"]
    registry = registry or Registry()
    try:
        result.domain = registry.resolve_domain(config["plugin"]).build(Domain)
    except EmoSimError as error:
        result.notes.append(
            f"The domain {config['plugin']!r} cannot be used, so nothing is reported on real users: {error}"
        )
        return result
    named = {"plugin": config["plugin"], "items": config["items"]}
    place = directory or Path()
    try:
        hint = again or CommandHint(typed("report", place), {})
        confirmed(place, named, given or {}, {}, (RunConfig,), registry, hint)
    except TrustError as error:
        result.notes.append(f"The items were not loaded, so nothing is reported on their categories: {error}")
        return result
    try:
        source = registry.resolve("item_loader", config.get("items") or result.domain.default_items, result.domain.name)
        items = loader_of(source, result.domain).load().items
    except EmoSimError as error:
        result.notes.append(f"The items cannot be loaded, so nothing is reported on their categories: {error}")
        return result
    if digest(items) != manifest["data"].get("items_sha256"):
        result.notes.append(
            "The items have changed since the run was made, so nothing is reported on their categories. "
            f"Items come from: {source.component.name}."
        )
        return result
    result.items = {item.id: item for item in items}
    return result
