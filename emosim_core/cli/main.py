"""The command ``emosim``: knows the names of the commands, loads one when it is called, and words errors."""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from emosim_core.cli.printing import on_screen
from emosim_core.cli.stopping import came_of_signal, heeding_signals
from emosim_core.errors import EmoSimError
from emosim_core.terminal import Stream, standard_streams

_GROUPS = {
    "Simulate": {
        "fit": "Learn simulated users from a log of real ones.",
        "distill": "Fit simulated users to the answers of a language model.",
        "run": "Simulate episodes of a recommender with simulated users.",
        "log": "Simulate a log of interactions to learn from.",
    },
    "Learn": {
        "train": "Train a recommender by reinforcement learning.",
        "recommend": "Ask a trained recommender, without a simulator.",
        "serve": "Serve a trained recommender to other programs over HTTP.",
    },
    "Measure": {
        "evaluate": "Simulate several recommenders with the same users and compare their rewards.",
        "validate": "Measure how close simulated users are to real ones, whose ratings you give.",
        "judge": "Test whether a judge can tell ratings of simulated users from those of real ones.",
        "trust": "Measure how often a verdict on two recommenders is right, where the truth is known.",
        "ablate": "Measure which rater, prompt, memory and noise make users behave as they should.",
        "prompt-bench": "Measure which prompts make a language model rate as real users do.",
        "sweep": "Do runs or trainings of many configurations and seeds, with one table in the end.",
    },
    "Look": {
        "view": "Look at everything in a browser: lists, live progress, episodes, comparisons.",
        "runs": "List what was made so far: kind, date, state and headline.",
        "show": "Print the results in a directory, or one episode as a story.",
        "report": "Write a web page with the charts and stories of a directory.",
        "compare": "Put finished runs side by side; nothing is simulated.",
        "pack": "Write a run to one file that replays anywhere, with the answers that it used.",
        "replay": "Make the run of a pack again, without a key, a server or a network.",
    },
    "Plugins and data": {
        "plugins": "List, check and create plugins.",
        "users": "List and generate simulated users.",
        "items": "List the items of a domain.",
        "data": "Export the interactions of runs to other formats.",
        "embed": "Rebuild the embeddings that are bundled with items.",
        "llm-models": "List language models and what they cost.",
        "prompt": "Print the prompt of a rating by a language model.",
        "cache": "Inspect, prune, export and import the cache of model answers.",
    },
}
"""The commands by what they are for, each with its line in the help; it is the function of its name in its module."""

_COMMANDS = [name for group in _GROUPS.values() for name in group]


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; its help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return _COMMANDS

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        return getattr(importlib.import_module(f"emosim_core.cli.{name}"), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _COMMANDS))
        for title, group in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in group.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from emosim_core.hooks.names import did_you_mean

            raise click.UsageError(error.message + did_you_mean(args[0], _COMMANDS), ctx) from None


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from importlib import metadata

        click.echo(f"emosim-core {metadata.version('emosim-core')}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
@click.option(
    "--no-plugins", is_flag=True, help="Load no plugin; EMOSIM_PLUGINS=a,b loads only the plugins named there."
)
@click.pass_context
def cli(ctx: click.Context, no_plugins: bool) -> None:
    """EmoSim simulates users for recommender systems.

    A recommender recommends items such as films; a simulated user with a profile, traits, a memory and a
    mood answers with a rating, and stays or leaves. An episode is one session of one user.

    \b
    emosim run --plugin movies     a hundred episodes with a random recommender
    emosim show --episode 3        one of them as a story
    emosim report                  a web page about all of them
    """
    ctx.obj = {"only": [] if no_plugins else None, "typed": ctx.obj or []}


@heeding_signals
def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave.

    The status is 0, 2 for a user's mistake and for output that cannot be written, 130 for Ctrl-C. When who read the
    output has gone, the command goes on to its end, and its status is what it would have been.
    """
    atexit.register(gc.freeze)  # no search for garbage in what ends with the process anyway: it takes long
    with standard_streams() as (out, _):
        status: object = 1
        try:
            _run(arguments)
        except SystemExit as leave:
            status = leave.code
        except Exception as error:
            if came_of_signal(error):
                click.echo("Interrupted.", err=True)
            else:
                import traceback

                traceback.print_exc()
        status = _written(out) or status
    sys.exit(status)  # type: ignore[arg-type]


def _run(arguments: list[str] | None) -> NoReturn:
    warnings.showwarning = _show_warning
    try:
        typed = sys.argv[1:] if arguments is None else arguments
        status: Any = cli.main(args=typed, prog_name="emosim", standalone_mode=False, obj=["emosim", *typed])
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        usage, heading, message = _shown(error).partition("Error: ")
        _echo_error(f"{usage}{heading}{_indented(_needed(error, typed) or message)}")
        sys.exit(2)
    except EmoSimError as error:
        if came_of_signal(error):
            raise
        if os.environ.get("EMOSIM_TRACEBACK"):
            import traceback

            traceback.print_exception(error)
        _echo_error(f"Error: {_indented(str(error))}")
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(130)


def _needed(error: click.ClickException, typed: Sequence[str]) -> str:
    """The options that a command cannot do without and that were not ``typed``; empty where another thing is wrong."""
    if not isinstance(error, click.MissingParameter) or not isinstance(error.param, click.Option) or error.ctx is None:
        return ""
    given = {word.partition("=")[0] for word in typed}
    needed = [one for one in error.ctx.command.params if isinstance(one, click.Option) and one.required]
    missing = [one for one in needed if given.isdisjoint(one.opts)]
    what = " ".join(one.help or "" for one in missing)
    return f"{' and '.join(one.opts[0] for one in missing)} {'is' if len(missing) == 1 else 'are'} needed ({what})"


def _shown(error: click.ClickException) -> str:
    text = io.StringIO()
    error.show(text)
    return text.getvalue().rstrip("\n")


def _written(out: Stream) -> int:
    """Whether standard output was written: 0, or 2 after saying why not."""
    out.flush()
    if out.error is None:
        return 0
    cause = getattr(out.error, "strerror", None) or out.error
    _echo_error(
        f"Error: standard output cannot be written: {cause}. The command went on to its end; files that it wrote are "
        "whole"
    )
    return 2


def _echo_error(text: str) -> None:
    click.echo(on_screen(text, sys.stderr), err=True)


def _indented(message: str) -> str:
    """A message whose further lines cannot be taken for messages of their own."""
    return message.replace("\n", "\n  ")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _echo_error(f"Warning: {_indented(str(message))}")
