"""``emosim embed``: rebuild the embeddings that are bundled with items."""

from __future__ import annotations

from typing import Any

import click

from emosim_core.cli.options import plugin_option
from emosim_core.cli.printing import print_line


@click.command()
@plugin_option
@click.option("--items", "source", default=None, help="The bundled items; the domain's default if not given.")
@click.pass_obj
def embed(obj: dict[str, Any], plugin: str, source: str | None) -> None:
    """Rebuild the embeddings that are bundled with items, after a change of their texts.

    Needs the extra 'embed' (pip install 'emosim-core[embed]').
    """
    from emosim_core.hooks import Registry
    from emosim_core.simulation.assembly import item_source

    _, loader = item_source(Registry(only=obj["only"]), plugin, source)
    print_line(f"Wrote {loader.rebuild_embeddings()}")
