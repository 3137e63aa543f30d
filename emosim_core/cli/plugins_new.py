"""``emosim plugins new``: write a plugin of one's own, complete and working."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click

from emosim_core.cli.printing import print_line
from emosim_core.errors import ConfigurationError

_KINDS = {"domain": "domain", "strategy": "strategy", "llm-backend": "llm_backend"}
_WORDS = {
    "item": "What one item of a domain is called, such as song.  [item]",
    "items": "Several of them.  [the item's word with an s]",
    "consume": "What users do with it, such as 'listen to'.  [try]",
    "consumed": "The same in the past, such as 'listened to'.  [the regular past]",
    "consumption": "One time of doing it, such as listening.  [the verb with -ing]",
    "user": "Who does it, such as listener.  [user]",
}


@click.command()
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(list(_KINDS)), default="domain", show_default=True, help="What the plugin brings."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make.  [emosim-NAME]")
@click.option("--item", help=_WORDS["item"])
@click.option("--items", help=_WORDS["items"])
@click.option("--consume", help=_WORDS["consume"])
@click.option("--consumed", help=_WORDS["consumed"])
@click.option("--consumption", help=_WORDS["consumption"])
@click.option("--user", help=_WORDS["user"])
@click.pass_obj
def new(obj: dict[str, Any], /, name: str, kind: str, out: Path | None, **words: str | None) -> None:
    """Write a plugin called NAME: a distribution that can be installed, run and tested as it is.

    A domain brings made-up items, users and their words; a strategy brings a retrieval strategy and a reward shaping;
    an llm-backend answers requests by a rule until you put in a client. The options below are words of a domain.

    \b
    emosim plugins new music --item song --consume "listen to" --user listener
    emosim plugins new highlights --kind strategy
    """
    from emosim_core.hooks import Registry
    from emosim_core.scaffold.write import check_free, check_name, write_plugin

    given = {word: text for word, text in words.items() if text is not None}
    if given and kind != "domain":
        raise ConfigurationError(f"--{next(iter(given))} is a word of a domain; a plugin of the kind {kind!r} has none")
    check_name(name)
    check_free(_KINDS[kind], name, Registry(only=obj["only"]))
    folder = write_plugin(_KINDS[kind], name, out or Path(f"emosim-{name}"), _words(given))
    print_line(f"Wrote {folder}:")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print_line(f"  {path.relative_to(folder).as_posix()}")
    shown = shlex.quote(str(folder))
    print_line("It works as it is. Next:")
    place = str(folder) if "/" in str(folder) else f"./{folder}"
    print_line(f"  pip install -e {shlex.quote(f'{place}[test]')}")
    print_line(f"  emosim run --plugin {name}" if kind == "domain" else f"  emosim plugins check {name}")
    print_line(f"  pytest {shown}")


def _words(given: dict[str, str]) -> Any:
    """The words of a domain, with what follows from others filled in."""
    from dataclasses import replace

    from emosim_core.scaffold.write import GENERIC

    words: dict[str, Any] = {word: " ".join(text.split()) for word, text in given.items()}
    if "item" in words:
        words.setdefault("items", f"{words['item']}s")
    if "consume" in words:
        words.setdefault("consumed", _past(words["consume"]))
        words.setdefault("consumption", _gerund(words["consume"]))
    return replace(GENERIC, **words)


def _past(verb: str) -> str:
    """The regular past of a verb, such as "listened to" of "listen to"."""
    first, blank, rest = verb.partition(" ")
    first = re.sub(r"([^aeiou])y$", r"\1i", first)
    return f"{first}{'d' if first.endswith('e') else 'ed'}{blank}{rest}"


def _gerund(verb: str) -> str:
    """The first word of a verb with -ing, such as "listening" of "listen to"."""
    first = re.sub("ie$", "y", verb.partition(" ")[0])
    return re.sub("([^eoy])e$", r"\1", first) + "ing"
