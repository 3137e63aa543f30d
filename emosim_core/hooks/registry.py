"""Registry: finds plugins, loads them guarded, and turns names into components."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Literal

import pluggy
from pydantic import BaseModel

from emosim_core.errors import (
    BrokenPluginError,
    ConfigurationError,
    EmoSimError,
    IncompatiblePluginError,
    NameConflictError,
    PluginError,
    UnknownNameError,
)
from emosim_core.hooks import spec
from emosim_core.hooks.component import KIND_TITLES, KINDS, Component, core_module, load_object
from emosim_core.hooks.deprecations import Deprecation, deprecation_of, overridden
from emosim_core.hooks.faults import place, worded
from emosim_core.hooks.fields import extra
from emosim_core.hooks.mixtures import WEIGHT, choice_of
from emosim_core.hooks.names import (
    Request,
    checked_options,
    did_you_mean,
    nearest,
    package_hint,
    split_number,
    with_value,
    written_options,
)

GROUP = "emosim"
"""The entry-point group of the plugins that bring no domain; they are loaded in every run."""

DOMAIN_GROUP = "emosim.domains"
"""The entry-point group of the plugins that bring domains, each under its name; a run of one domain loads no other."""

CORE = "core"
"""Name under which the built-in components are registered."""

Status = Literal["not loaded", "ok", "broken", "incompatible", "blocked"]


class PluginWarning(UserWarning):
    """A plugin was left out, or asks for attention."""


@dataclass
class PluginRecord:
    """What is known of one plugin.

    Attributes:
        name: name of its entry point.
        target: module that the entry point names.
        cause: why its status is neither ok nor not loaded.
        components: what it provides, once it is loaded.
        hooks: names of the hooks that it implements, once it is loaded.
        conflicts: names that another plugin provides too, in words.
        domains: the domains that its entry points name (:data:`DOMAIN_GROUP`), known before it is loaded.
    """

    name: str
    distribution: str
    version: str
    target: str
    status: Status = "not loaded"
    cause: str = ""
    components: tuple[Component, ...] = ()
    hooks: tuple[str, ...] = ()
    conflicts: list[str] = field(default_factory=list)
    domains: tuple[str, ...] = ()
    _warned: set[str] = field(default_factory=set, repr=False)

    def warn_once(self, what: str, deprecation: Deprecation) -> None:
        """Warn that the plugin uses what is deprecated, the first time."""
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(deprecation.warning(what, self.label), PluginWarning, stacklevel=2)

    @property
    def release(self) -> str:
        """Distribution and version."""
        return f"{self.distribution} {self.version}"

    @property
    def label(self) -> str:
        """Name, distribution and version, for messages."""
        return f"plugin {self.name!r} ({self.release})"

    def check(self) -> None:
        """See that the plugin can be used; a PluginError where it is broken, incompatible or blocked."""
        if self.status != "ok":
            errors = {"broken": BrokenPluginError, "incompatible": IncompatiblePluginError}
            raise errors.get(self.status, PluginError)(f"{self.label} is {self.status}: {self.cause}")


@dataclass(frozen=True)
class Resolved:
    """A component that was asked for by name, with its checked options, if it has any.

    ``parts`` are the components that its options name, by the name of the option.
    """

    component: Component
    options: BaseModel | None
    provider: PluginRecord
    parts: Mapping[str, Resolved] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The component in words, such as ``"rater 'llm' of emosim-core 0.1.0"``."""
        return f"{self.component.title} of {self.provider.release}"

    def build(self, expected: type = object) -> Any:
        """Import the factory and call it: with the options, and with the parts where the options name components.

        A PluginError where it cannot be imported, raises, or returns something that is not ``expected``.
        """
        who = f"{self.component.title} of {self.provider.label}"
        given: list[Any] = [] if self.component.options is None else [self.options]
        given += [self.parts] if self.parts else []
        try:
            made = load_object(self.component.factory)(*given)
        except EmoSimError:
            raise
        except Exception as error:
            raise BrokenPluginError(f"{who} cannot be made: {worded(error)}") from error
        for what, deprecation in overridden(type(made)):
            self.provider.warn_once(what, deprecation)
        if not isinstance(made, expected):
            raise PluginError(
                f"{who} must be of the class {expected.__name__}; its factory returned a {type(made).__name__}"
            )
        return made

    def describe(self) -> dict[str, Any]:
        """Name, options, provider and parts, for a manifest.

        Options that change no result (``json_schema_extra={"recorded": False}``) are left out.
        """
        options: dict[str, Any] = {}
        if self.options is not None:
            fields = type(self.options).model_fields
            unrecorded = {name for name, one in fields.items() if extra(one).get("recorded") is False}
            options = self.options.model_dump(mode="json", exclude={*self.parts, *unrecorded})
            for name in [name for name, one in fields.items() if "mixture" in extra(one)]:
                options[name] = {key: entry[WEIGHT] for key, entry in options[name].items()}
        description = {"name": self.component.name, "options": options, "provider": self.provider.release}
        parts = {name: part.describe() for name, part in self.parts.items()}
        return {**description, "parts": parts} if parts else description


_Match = tuple[Component, PluginRecord, dict[str, Any]]
"""A component that answers to a name, who provides it, and how its options are read from what was written."""


class Registry:
    """The plugins of one process and what they provide. Pass it on; there is no global one.

    A pickled one is found anew where it is unpickled, and loads the plugins that were loaded; a deep copy is the
    registry itself.

    Args:
        only: names of the plugins that may be loaded; None for all. The environment variable
            ``EMOSIM_PLUGINS`` (names with commas between) has the same effect and is read where
            ``only`` is None. The built-in components are always there.
        strict: a plugin that cannot be loaded is an error rather than a warning.
    """

    def __init__(self, only: Collection[str] | None = None, strict: bool = False) -> None:
        entry_points = _entry_points()
        if only is None and (listed := os.environ.get("EMOSIM_PLUGINS")) is not None:
            only = [name.strip() for name in listed.split(",") if name.strip()]
            installed = [entry.name for entry, _ in entry_points]
            for name in (name for name in only if name not in installed):
                message = f"EMOSIM_PLUGINS names {name!r}, which is not installed.{did_you_mean(name, installed)}"
                warnings.warn(message, PluginWarning, stacklevel=3)
        self._allowed = only
        self._strict = strict
        self._manager = pluggy.PluginManager(spec.PROJECT)
        self._manager.add_hookspecs(spec)
        built_in = core_module()
        core = PluginRecord(CORE, "emosim-core", metadata.version("emosim-core"), built_in.__name__)
        self._records: list[PluginRecord] = [core]
        self._entry_points: dict[int, metadata.EntryPoint] = {}
        self._register(core, built_in)
        for entry, domains in entry_points:
            name, version = (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "unknown")
            record = PluginRecord(entry.name, name, version, entry.value, domains=domains)
            if only is not None and entry.name not in only:
                record.status, record.cause = "blocked", "not named in EMOSIM_PLUGINS, or blocked by --no-plugins"
            self._entry_points[id(record)] = entry
            self._records.append(record)

    def __reduce__(self) -> tuple[Any, ...]:
        loaded = [record.name for record in self._records[1:] if record.status == "ok"]
        return _rediscovered, (type(self), self._allowed, self._strict, loaded)

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Registry:
        return self

    @property
    def hook(self) -> Any:
        """pluggy's caller of the observer hooks of the plugins that are loaded."""
        return self._manager.hook

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """All plugins that were found, the core first."""
        return tuple(self._records)

    def load(self, name: str) -> PluginRecord:
        """Load the plugin of this name; an UnknownNameError, NameConflictError or PluginError where it cannot be."""
        matches = [record for record in self._records if record.name == name]
        if not matches:
            names = [record.name for record in self._records]
            hint = package_hint("domain", name) or _elsewhere(name)
            raise UnknownNameError("plugin", name, names, nearest(name, names), hint)
        if len({record.distribution for record in matches}) > 1:
            releases = " and ".join(record.release for record in matches)
            what = f"two distributions bring a plugin named {name!r}: {releases}"
            raise NameConflictError(f"{what}. Uninstall one of them.")
        if len(matches) > 1:
            modules = " and ".join(record.target for record in matches)
            what = f"{matches[0].release} names several modules as the plugin {name!r}: {modules}"
            raise NameConflictError(f"{what}. Keep one of these entry points.")
        self._load(matches[0])
        matches[0].check()
        return matches[0]

    def load_all(self, warn: bool = True, domain: str | None = None) -> None:
        """Load every plugin that is not blocked, but those that say they bring other domains than ``domain``.

        One that cannot be loaded is left out with one warning; in strict mode it is a PluginError.
        """
        for record in self._records:
            if record.status != "not loaded" or (domain and record.domains and domain not in record.domains):
                continue
            self._load(record)
            if record.cause:
                if self._strict:
                    record.check()
                if warn:
                    warnings.warn(f"{record.label} is left out: {record.cause}", PluginWarning, stacklevel=2)

    def _load(self, record: PluginRecord) -> None:
        if record.status == "not loaded":
            try:
                module = self._entry_points[id(record)].load()
            except (Exception, SystemExit) as error:
                record.status, record.cause = "broken", f"importing {record.target} raised {_cause(error)}"
            else:
                self._register(record, module)

    def _register(self, record: PluginRecord, plugin: ModuleType) -> None:
        if cause := _mismatch(getattr(plugin, "EMOSIM_HOOK_VERSION", 1), record):
            record.status, record.cause = "incompatible", cause
            return
        if self._manager.is_registered(plugin):
            holder = self._manager.get_name(plugin)
            record.status, record.cause = "broken", f"{record.target} is the module of plugin {holder!r} already"
            return
        try:
            self._manager.register(plugin, name=f"{record.name}@{record.distribution}")
            record.hooks = self._hooks_of(plugin)
            record.components = tuple(self._describe(plugin))
        except Exception as error:
            if self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
            record.status, record.cause = "broken", _cause(error)
            return
        record.status = "ok"
        others = [(other, theirs) for other in self._records if other is not record for theirs in other.components]
        for component in record.components:
            for other, theirs in others:
                if other.status == "ok" and (clash := _clash(component, theirs)):
                    note = f"{KIND_TITLES[component.kind]} {clash!r} is provided by {{}} too"
                    record.conflicts.append(note.format(other.label))
                    other.conflicts.append(note.format(record.label))
        for caller in self._manager.get_hookcallers(plugin) or ():
            if caller.spec and (deprecation := deprecation_of(caller.spec.function)):
                record.warn_once(f"the hook {caller.name}", deprecation)

    def _hooks_of(self, plugin: ModuleType) -> tuple[str, ...]:
        """The names of the hooks that a plugin implements; a PluginError where one does not exist."""
        names = tuple(caller.name for caller in self._manager.get_hookcallers(plugin) or ())
        known = [name for name in vars(spec) if name.startswith(f"{spec.PROJECT}_")]
        for name in names:
            if name not in known:
                raise PluginError(f"there is no hook {name!r}.{did_you_mean(name, known)}")
        return names

    def _describe(self, plugin: ModuleType) -> Iterator[Component]:
        seen: set[tuple[str, str, str | None]] = set()
        for kind, hook in KINDS.items():
            for implementation in getattr(self._manager.hook, hook).get_hookimpls():
                for described in implementation.function() if implementation.plugin is plugin else ():
                    if not isinstance(described, Component):
                        raise PluginError(f"{hook} must yield components, not {described!r}")
                    component = replace(described, kind=kind)
                    for name in component.names:
                        key = (kind, name, component.domain)
                        if key in seen:
                            raise NameConflictError(f"it provides the {KIND_TITLES[kind]} {name!r} twice")
                        seen.add(key)
                    yield component

    def components(self, kind: str, domain: str | None = None) -> list[tuple[Component, PluginRecord]]:
        """Components of a kind that can be used in a domain, of all plugins that are loaded, without hidden ones."""
        return [one for one in self._known(kind, domain) if not one[0].hidden]

    def _known(self, kind: str, domain: str | None) -> list[tuple[Component, PluginRecord]]:
        return [
            (component, record)
            for record in self._records
            for component in record.components
            if component.kind == kind and component.domain in (None, domain)
        ]

    def resolve(
        self,
        kind: str,
        choice: str | Mapping[str, Any],
        domain: str | None = None,
        defaults: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> Resolved:
        """The component that a user asked for, with its options.

        ``defaults`` are options by name of a component that hold where the user gives none.

        The exact name comes first, then a trailing number (``decay_emotion_3``). Where the plugins that are loaded do
        not know the name, all others are loaded too. Options that name components
        (``json_schema_extra={"component": KIND}``) are resolved too.

        Raises:
            UnknownNameError: nothing provides the name.
            NameConflictError: several plugins provide it; lists them with their versions.
            ConfigurationError: its options are wrong.
        """
        component, record, values = self.written(kind, choice, domain)
        model = component.options_model()
        options = (
            None
            if model is None
            else checked_options(
                model, {**component.preset, **defaults.get(component.name, {}), **values}, component.title
            )
        )
        parts: dict[str, Resolved] = {}
        for name, one in ({} if model is None else model.model_fields).items():
            value = getattr(options, name)
            if "component" in extra(one) and value is not None:
                parts[name] = self.resolve(str(extra(one)["component"]), value, domain)
            if (inner := extra(one).get("mixture")) is not None:
                for key, entry in value.items():
                    parts[key] = self.resolve(str(inner), choice_of(key, entry), domain, defaults)
        return Resolved(component, options, record, parts)

    def describe(
        self, kind: str, choice: str | Mapping[str, Any], domain: str | None = None
    ) -> tuple[Component, PluginRecord]:
        """The component that a user asked for and who provides it; raises as :meth:`resolve`, but for options."""
        return self._only(kind, Request.read(choice), domain)[:2]

    def known_domains(self) -> str:
        """The domains that installed plugins bring, as a sentence."""
        self.load_all(warn=False)
        known = sorted(component.name for component, _ in self.components("domain"))
        return f"Installed domains: {', '.join(known)}." if known else "No domain is installed."

    def written(
        self, kind: str, choice: str | Mapping[str, Any], domain: str | None = None
    ) -> tuple[Component, PluginRecord, dict[str, Any]]:
        """The component asked for, who provides it, and its options as written, unchecked; see :meth:`resolve`."""
        request = Request.read(choice)
        component, record, reading = self._only(kind, request, domain)
        return component, record, written_options(component, request, **reading)

    def _only(self, kind: str, request: Request, domain: str | None) -> _Match:
        matches = self._find(kind, request, domain)
        if not matches:
            self.load_all()
            matches = self._find(kind, request, domain)
        if not matches:
            raise self._unknown(kind, request, domain)
        if len(matches) > 1:
            raise NameConflictError(
                f"{KIND_TITLES[kind]} {request.name!r} is provided by "
                + " and by ".join(record.label for _, record, _ in matches)
                + ". Uninstall one of them, or name the plugins to use in EMOSIM_PLUGINS."
            )
        return matches[0]

    def _unknown(self, kind: str, request: Request, domain: str | None) -> UnknownNameError:
        known = self.components(kind, domain)
        names = [name for component, _ in known for name in component.names]
        base = split_number(request.name)
        suggestions = nearest(request.name, names)
        if base is not None:
            numbered = {name for one, _ in known if one.number for name in one.names}
            suggestions = [
                f"{name}_{base[1]}" if name in numbered else name for name in nearest(base[0], names) or suggestions
            ]
        left_out = [record.label for record in self._records if record.status in ("broken", "incompatible")]
        if left_out:
            hint = f"It may be of {' or of '.join(left_out)}, left out; see: emosim plugins."
        else:
            hint = package_hint(kind, request.written, any_of_kind=not known)
            is_file = Path(request.written).suffix[1:].isalpha()  # csv:PATH is meant, not csv
            if (is_file or not suggestions) and request.options is None:
                suggestions = with_value(request.written, [component for component, _ in known]) or suggestions
        usages = [component.usage() for component, _ in known]
        return UnknownNameError(KIND_TITLES[kind], request.name, usages, suggestions, hint)

    def _find(self, kind: str, request: Request, domain: str | None) -> list[_Match]:
        """What answers to a name, each with how its options are read; one plugin answers once, by the best match."""
        known = self._known(kind, domain)
        base = split_number(request.name)
        matches: dict[int, _Match] = {}

        def add(matching: Callable[[Component], bool], **reading: Any) -> None:
            for component, record in known:
                if matching(component):
                    matches.setdefault(id(record), (component, record, reading))

        add(lambda one: request.name in one.names)
        if base is not None:
            name, number = base
            exact = len(matches)
            add(lambda one: one.number is not None and name in one.names, number=number)
            if len(matches) > exact:  # whose name has no number is no match, but two must not share the name
                add(lambda one: name in one.names)
        add(lambda one: bool(one.prefixes) and request.written.startswith(one.prefixes), whole=True)
        return list(matches.values())

    def resolve_domain(self, name: str) -> Resolved:
        """The domain of a plugin: its domain of that name, or its only one.

        Loads what a run of it may use: all plugins but those that say they bring other domains.

        Raises:
            UnknownNameError: no plugin and no domain has this name.
            ConfigurationError: the plugin brings no domain.
            PluginError: the plugin cannot be used.
        """
        domain = name
        if any(record.name == name for record in self._records[1:]):
            record = self.load(name)
            domains = [component.name for component in record.components if component.kind == "domain"]
            if not domains:
                raise ConfigurationError(
                    f"{record.label} brings no domain; it cannot be run by itself. {self.known_domains()}"
                )
            if len(domains) == 1:
                domain = domains[0]
        self.load_all(domain=domain)
        try:
            return self.resolve("domain", domain)
        except UnknownNameError as error:
            plugins = [record.name for record in self._records[1:]]
            known = [component.name for component, _ in self.components("domain")]
            hint = package_hint("domain", name) or "No plugin that is installed provides it."
            close = error.suggestions or nearest(name, plugins)
            raise UnknownNameError("domain", name, known, close, hint) from None


def _rediscovered(kind: type[Registry], only: Collection[str] | None, strict: bool, loaded: list[str]) -> Registry:
    """The registry of this process, with the plugins loaded that were loaded in another."""
    registry = kind(only, strict)
    for name in loaded:
        registry.load(name)
    return registry


def _clash(mine: Component, theirs: Component) -> str | None:
    """A name that both answer to, a trailing number included."""
    if mine.kind != theirs.kind or (mine.domain and theirs.domain and mine.domain != theirs.domain):
        return None
    shared = set(mine.names) & set(theirs.names)
    for one, other in ((mine, theirs), (theirs, mine)):
        if other.number:
            shared |= {name for name in one.names if (base := split_number(name)) and base[0] in other.names}
        shared |= {name for name in one.names if other.prefixes and name.startswith(other.prefixes)}
    shared |= {prefix for prefix in mine.prefixes if theirs.prefixes and prefix.startswith(theirs.prefixes)}
    shared |= {prefix for prefix in theirs.prefixes if mine.prefixes and prefix.startswith(mine.prefixes)}
    return min(shared) if shared else None


def _entry_points() -> list[tuple[metadata.EntryPoint, tuple[str, ...]]]:
    """The entry point of each plugin, by name, with the domains that it says it brings.

    A module that several entry points in :data:`DOMAIN_GROUP` name is one plugin, called as the first of them, or as
    its entry point in :data:`GROUP` where it has one.
    """
    domains: dict[tuple[str, str], list[metadata.EntryPoint]] = {}
    for entry in _sorted(metadata.entry_points(group=DOMAIN_GROUP)):
        domains.setdefault(_brought_by(entry), []).append(entry)
    plugins = list(metadata.entry_points(group=GROUP))
    own_names = {_brought_by(entry) for entry in plugins}
    plugins += [entries[0] for brought_by, entries in domains.items() if brought_by not in own_names]
    return [(entry, tuple(one.name for one in domains.get(_brought_by(entry), ()))) for entry in _sorted(plugins)]


def _elsewhere(name: str) -> str:
    """What to say of an entry point of this name in a group that is not read; empty where there is none."""
    entries = [entry for entry in metadata.entry_points(name=name) if entry.group.startswith("emosim")]
    if not entries:
        return ""
    who = entries[0].dist.name if entries[0].dist else "a distribution"
    return (
        f"{who} names it in the entry-point group {entries[0].group!r}, which is not read; write {GROUP!r}, or "
        f"{DOMAIN_GROUP!r} for a domain, and install it again."
    )


def _sorted(entries: Iterable[metadata.EntryPoint]) -> list[metadata.EntryPoint]:
    return sorted(entries, key=lambda entry: (entry.name, entry.value))


def _brought_by(entry: metadata.EntryPoint) -> tuple[str, str]:
    """Which module of which distribution an entry point names."""
    return entry.dist.name if entry.dist else "", entry.value


def _cause(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    if isinstance(error, EmoSimError):
        return text[0]
    if isinstance(error, pluggy.PluginValidationError):
        return "; ".join(text)
    return (f"{type(error).__name__}: {text[0]}" if text else type(error).__name__) + place(error)


def _mismatch(built_for: object, record: PluginRecord) -> str:
    """Why a plugin does not fit these hooks; empty where it does."""
    oldest, newest = spec.OLDEST_HOOK_VERSION, spec.HOOK_VERSION
    if not isinstance(built_for, int) or isinstance(built_for, bool):
        return f"EMOSIM_HOOK_VERSION of {record.target} is {built_for!r}, not a whole number such as {newest}"
    if oldest <= built_for <= newest:
        return ""
    known = f"version {newest}" if oldest == newest else f"versions {oldest} to {newest}"
    return (
        f"it was built for version {built_for} of the hooks, this emosim-core has {known}; "
        f"install a matching release of {record.distribution} or of emosim-core"
    )
