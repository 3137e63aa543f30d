"""``emosim plugins``: what is installed, what it provides and whether it works."""

from __future__ import annotations

from typing import Any

import click

from emosim_core.cli.plugins_check import check
from emosim_core.cli.plugins_new import new
from emosim_core.cli.printing import print_json
from emosim_core.errors import BrokenPluginError


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option("--options", is_flag=True, help="Show the options of every component too.")
@click.pass_context
def plugins(ctx: click.Context, as_json: bool, options: bool) -> None:
    """List plugins and everything they provide, with their status.

    A plugin is ok, broken, incompatible (built for another version of the hooks) or blocked (by
    --no-plugins or EMOSIM_PLUGINS).

    \b
    emosim plugins new music        write a plugin of your own, complete and working
    emosim plugins check movies     hold an installed plugin to the contract
    """
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, as_json, options)


plugins.add_command(check)
plugins.add_command(new)


def _list(obj: dict[str, Any], as_json: bool, options: bool) -> None:
    from emosim_core.hooks import Registry

    registry = Registry(only=obj["only"])
    registry.load_all(warn=False)
    if as_json:
        print_json([_record(record) for record in registry.records])
        return
    from emosim_core.cli.output import console

    screen = console()
    colours = {"ok": "green", "blocked": "dim"}
    for record in registry.records:
        screen.print_line(
            (f"{record.name}  ", "bold"),
            (f"{record.distribution} {record.version}  ", "dim"),
            (record.status, colours.get(record.status, "red")),
            f": {record.cause}" if record.cause else "",
        )
        for conflict in record.conflicts:
            screen.print_line((f"    conflict: {conflict}", "red"))
        width = max((len(one.usage()) for one in record.components), default=0)
        for kind in dict.fromkeys(component.kind for component in record.components):
            screen.print_line((f"  {kind.replace('_', ' ')}", "cyan"))
            for component in (one for one in record.components if one.kind == kind):
                also = f" (also: {', '.join(component.aliases)})" if component.aliases else ""
                only = f" [{component.domain}]" if component.domain and kind != "domain" else ""
                screen.print_line(f"    {component.usage():<{width}}  {component.summary}{also}{only}")
                for line_ in _options(component) if options else ():
                    screen.print_line((line_, "dim"))


def _options(component: Any) -> list[str]:
    try:
        model = component.options_model()
    except BrokenPluginError as error:
        return [f"        {error}"]
    if model is None:
        return []
    lines = []
    for name, field in model.model_fields.items():
        preset = component.preset.get(name, field.get_default(call_default_factory=True, validated_data={}))
        default = "" if field.is_required() and name not in component.preset else f" [{preset!r}]"
        lines.append(f"        {name}: {field.description}{default}")
    return lines


def _record(record: Any) -> dict[str, Any]:
    names = ("name", "distribution", "version", "status", "cause", "conflicts")
    of_component = ("kind", "name", "usage", "aliases", "domain", "summary")
    components = [
        {name: one.usage() if name == "usage" else getattr(one, name) for name in of_component}
        for one in record.components
    ]
    return {**{name: getattr(record, name) for name in names}, "components": components}
