"""``emosim pack``: write a run to one file that replays anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.printing import print_json, print_line
from emosim_core.runs.typed import typed

GIVEN = (
    *("items", "user_dataset", "embeddings", "rater", "items_retrieval", "choice", "selector", "perturbator"),
    *("emotion_model", "reward_shaping", "observation", "policy", "llm_rater", "llm.prior"),
)
"""Fields that a directory or a pack from elsewhere may name, and only the user may choose."""


@click.command(cls=SectionedCommand)
@click.argument("directory", metavar="RUN", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [RUN-pack.zip]")
@click.option(
    "--with-data",
    is_flag=True,
    help="Pack the files of items and users that the run read too; see that their licence allows it.",
)
@click.option("--check/--no-check", default=True, help="Replay the pack before it is there.  [check]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with any of the options below.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@field_options("RunConfig", only=(*GIVEN, "llm_model", "gateway.cache"))
@click.pass_obj
def pack(
    obj: dict[str, Any],
    /,
    directory: Path,
    out: Path | None,
    with_data: bool,
    check: bool,
    config: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Write the complete run in RUN to one file, with the model's answers that it used.

    'emosim replay FILE' makes it again on another machine, without a key, a server or a network. Files of items and
    users stay where they are, unless --with-data packs them; a pack names them with their digests. The options below
    are needed for a run that was not made here.
    """
    from emosim_core.cli.options import command_hint, keyboard, read_written
    from emosim_core.hooks import Registry
    from emosim_core.packs.pack import pack as pack_run
    from emosim_core.simulation.config import RunConfig

    own = keyboard(RunConfig, given, read_written(RunConfig, config))
    hint = command_hint(obj, config)
    packed = pack_run(
        directory,
        out,
        with_data=with_data,
        check=check,
        given=own,
        registry=Registry(only=obj["only"]),
        again=hint,
    )
    if as_json:
        print_json(
            {
                "file": str(packed.path),
                "bytes": packed.path.stat().st_size,
                "answers": packed.answers,
                "steps": packed.steps,
                "checked": packed.checked,
                "named": [one.model_dump(exclude={"files", "number"}) for one in packed.named],
            }
        )
        return
    answers = f", {packed.answers:,} answers" if packed.answers else ""
    same = "; it was replayed and is the same" if packed.checked else ""
    print_line(f"Wrote {packed.path}: {packed.steps:,} steps{answers}, {_size(packed.path)}{same}.")
    if packed.redacted:
        print_line(f"{packed.redacted:,} answers held what looks like a key; [key] stands in its place", err=True)
    for one in packed.named:
        print_line(f"Not in it: {one.field} ({one.component}, {one.name}). Who replays it gives it again.")
    print_line(f"Replay it anywhere with: {typed('replay', packed.path)}")


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 2**20:.1f} MiB" if size >= 2**19 else f"{size / 2**10:.1f} KiB"
