"""Options of commands, made from the fields of a configuration.

The descriptions are those of the fields (:mod:`emosim_core.hooks.fields`). ``scripts/write_tables.py`` writes them to
``fields.json``, so that ``--help`` loads no configuration; a test fails when the file is stale.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import click

from emosim_core.errors import OptionError

_Command = TypeVar("_Command", bound=Callable[..., Any])

_DESCRIPTIONS = Path(__file__).with_name("fields.json")
_ALL = "emosim.help_all"
GENERAL = "General"
"""Section of the options that no configuration holds."""

_TYPES: Mapping[str, tuple[Any, str]] = {
    "integer": (int, "INTEGER"),
    "number": (float, "NUMBER"),
    "path": (click.Path(path_type=Path), "PATH"),
    "component": (str, "NAME"),
    "list": (str, "NAMES"),
    "assignments": (str, "NAME=VALUE,..."),
    "entries": (str, "NAME=VALUE"),
    "text": (str, "TEXT"),
}
"""How click reads the text of a field of each kind, and what stands for it in the help."""


@cache
def descriptions(model: str) -> dict[str, dict[str, Any]]:
    """The options of a configuration by the path of their field, as ``fields.json`` holds them; its own come first."""
    described: dict[str, Any] = json.loads(_DESCRIPTIONS.read_text(encoding="utf-8"))[model]
    inherited = descriptions(described["inherits"]) if "inherits" in described else {}
    own = {name: one for name, one in described["fields"].items() if name not in inherited}
    return {**own, **{name: described["fields"].get(name, one) for name, one in inherited.items()}}


class FieldOption(click.Option):
    """An option that gives the value of a field, by its path such as ``gateway.max_cost`` and its description.

    ``section`` is its heading in the help, ``rare`` whether only ``--help-all`` shows it.
    """

    def __init__(self, path: str, about: Mapping[str, Any]) -> None:
        self.about = dict(about)
        self.section: str = about["section"]
        self.rare: bool = about.get("rare", False)
        names = [f"--{name.replace('_', '-')}" for name in (path, *about.get("aliases", ()))]
        kind, default = about["kind"], about.get("default", "")
        how: dict[str, Any] = {"default": None}
        if kind == "flag":
            names = [f"{name}/--no-{name[2:]}" for name in names]
        elif kind != "list" and (choices := about.get("choices")):
            how["type"] = click.Choice(choices)
        else:
            how["type"], shown = _TYPES[kind]
            how["metavar"] = (about.get("unit") or shown).upper()
        if kind == "list":
            how.update(multiple=True, callback=_joined)
        elif kind == "entries":
            how.update(multiple=True, callback=lambda _, __, value: value or None)
        super().__init__(["value", *names], help=f"{about['help']}  [{default}]" if default else about["help"], **how)
        self.name = path

    @property
    def spelling(self) -> str:
        """The shortest spelling that names the field by itself: ``--max-cost``, ``--user-dataset``."""
        return next((name for name in self.opts if "." not in name), self.opts[0])

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """What the help shows: the spellings without dots, where there are any, unless all is asked for."""

        def shown(names: list[str]) -> str:
            short = names if ctx.meta.get(_ALL) else [name for name in names if "." not in name]
            return ", ".join(short or names)

        if self.secondary_opts:
            return f"{shown(self.opts)} / {shown(self.secondary_opts)}", self.help or ""
        return f"{shown(self.opts)} {self.make_metavar(ctx)}", self.help or ""


def _joined(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> str | None:
    """A list that was given in several options, with commas between; None where it was not given."""
    return ",".join(value) if value else None


def field_options(
    model: str,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Callable[[_Command], _Command]:
    """Give a command the options of a configuration, by the name of its class.

    Of its fields those in ``only``, all where None, but for those in ``without``; the name of a table stands for all of
    its fields. ``defaults`` by field differ from those of the configuration.
    """

    def chosen(path: str) -> bool:
        names = {path, path.partition(".")[0]}
        return (only is None or bool(names & set(only))) and not names & set(without)

    options = [
        FieldOption(path, {**about, "default": str((defaults or {}).get(path, about.get("default", "")))})
        for path, about in descriptions(model).items()
        if chosen(path)
    ]

    def decorate(command: _Command) -> _Command:
        command.__dict__.setdefault("__click_params__", []).extend(reversed(options))  # as decorators of click do
        return command

    return decorate


class SectionedCommand(click.Command):
    """A command whose help has a section for each group of options, and leaves rare ones to ``--help-all``."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters of the command, with ``--help-all`` before ``--help``."""
        *params, last = super().get_params(ctx)
        return [*params, _HELP_ALL, last]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of an option that was typed names it as it is typed."""
        try:
            return super().invoke(ctx)
        except OptionError as error:
            typed = [word.partition("=")[0] for word in (ctx.find_object(dict) or {}).get("typed", ())]
            paths = (error.option, f"{error.where}.{error.option}")
            for param in self.params:
                if isinstance(param, FieldOption) and param.name in paths:
                    is_own = error.where == ctx.info_name if error.missing else ctx.params.get(param.name) is not None
                    if is_own:
                        spelling = next((name for name in param.opts if name in typed), param.spelling)
                        error.args = (error.named(spelling),)
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and (ctx.meta.get(_ALL) or not getattr(param, "rare", False)):
                sections.setdefault(getattr(param, "section", GENERAL), []).append(record)
        for title, records in sections.items():
            with formatter.section(f"{title} options"):
                formatter.write_dl(records)


class SectionedGroup(SectionedCommand, click.Group):
    """A group whose help has a section for each group of options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section, and the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def _show_all(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


_HELP_ALL = click.Option(
    ["--help-all"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_all,
    help="Show all options, the rare ones too.",
)
