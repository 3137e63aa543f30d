"""``emosim plugins new``: write a plugin of one's own, complete and working."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.printing import print_line
from emosim_core.errors import ConfigurationError, EmoSimError

if TYPE_CHECKING:
    from emosim_core.scaffold import DomainPlan

_KINDS = {"domain": "domain", "strategy": "strategy", "llm-backend": "llm_backend"}
_WORDS = {
    "item": "What one item of a domain is called and, after a comma, several: 'story,stories'.  [item,items]",
    "consume": "What users do with it, such as 'listen to'.  [try]",
    "consumed": "The same in the past, such as 'listened to'.  [the regular past]",
    "consumption": "One time of doing it, such as listening.  [the verb with -ing]",
    "user": "Who does it, such as listener.  [user]",
}
_TABLES = ("items", "ratings", "columns", "item_columns", "step", "link_ratings")


@click.command()
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(list(_KINDS)), default="domain", show_default=True, help="What the plugin brings."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make.  [emosim-NAME]")
@click.option("--items", metavar="FILE", help="Table of items of which a domain is made: CSV or Parquet.")
@click.option("--ratings", metavar="FILE", help="Log of ratings of which a domain is made, with or without --items.")
@click.option(
    "--columns",
    metavar="TEXT",
    help="Columns of --ratings: user=uid,item=gid,rating=stars,scale=1-10.  [guessed]",
)
@click.option(
    "--item-columns", metavar="TEXT", help="Columns of --items, such as title=name,text=isbn,leave=notes.  [guessed]"
)
@click.option("--step", type=click.FloatRange(min=0, min_open=True), help="Distance of two ratings.  [from --ratings]")
@click.option("--link-ratings", is_flag=True, help="Leave the log where it is, instead of copying it into the plugin.")
@click.option("--fit/--no-fit", default=None, help="Learn users from the log.  [where the extra 'fit' is installed]")
@click.option("--words", "--item", "item", help=_WORDS["item"])
@click.option("--consume", help=_WORDS["consume"])
@click.option("--consumed", help=_WORDS["consumed"])
@click.option("--consumption", help=_WORDS["consumption"])
@click.option("--user", help=_WORDS["user"])
@click.option("--yes", is_flag=True, help="Do not ask whether the columns are right.")
@click.pass_obj
def new(obj: dict[str, Any], /, name: str, kind: str, out: Path | None, yes: bool, **given: Any) -> None:
    """Write a plugin called NAME: a distribution that can be installed, run and tested as it is.

    A domain brings items, users and their words: made-up ones, or those of your tables, whose columns are guessed and
    shown before anything is written. A strategy brings a retrieval strategy and a reward shaping; an llm-backend
    answers requests by a rule until you put in a client. The options from --items on are for a domain.

    \b
    emosim plugins new games --items games.csv --ratings ratings.csv
    emosim plugins new music --words song --consume "listen to" --user listener
    emosim plugins new highlights --kind strategy
    """
    from emosim_core.cli.output import loading
    from emosim_core.hooks import Registry
    from emosim_core.scaffold.words import filled_words
    from emosim_core.scaffold.write import check_absent, check_free, check_name, write_plugin

    fit = given.pop("fit")
    tables = {option: given.pop(option) for option in _TABLES}
    words = {word: text for word, text in given.items() if text is not None}
    spelled = [f"--{option.replace('_', '-')}" for option in _TABLES if tables[option]]
    spelled += [] if fit is None else ["--fit"]
    if kind != "domain" and (words or spelled):
        option = spelled[0] if spelled else f"--{'words' if 'item' in words else next(iter(words))}"
        what = "about tables" if spelled else "a word of a domain"
        raise ConfigurationError(f"{option} is {what}; a plugin of the kind {kind!r} has none")
    check_name(name)
    check_free(_KINDS[kind], name, Registry(only=obj["only"]))
    folder = out or Path(f"emosim-{name}")
    if "," in words.get("item", ""):
        words["item"], _, words["items"] = (part.strip() for part in words["item"].partition(","))
    if tables["items"] or tables["ratings"]:
        check_absent(folder)
        plan = _agreed(name, tables, words, yes)
        known = len(plan.notes)
        with loading("what the users of the log choose and rate"):
            plan.write(folder, fit)
        for note in plan.notes[known:]:
            print_line(f"Note: {note}", err=True)
    elif spelled:
        raise ConfigurationError(f"{spelled[0]} is about tables: name --items, --ratings or both")
    else:
        plan = None
        write_plugin(_KINDS[kind], name, folder, filled_words(words))
    print_line(f"Wrote {folder}:")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print_line(f"  {path.relative_to(folder).as_posix()}")
    shown = shlex.quote(str(folder))
    print_line("It works as it is. Next:")
    place = str(folder) if "/" in str(folder) else f"./{folder}"
    print_line(f"  pip install -e {shlex.quote(f'{place}[test]')}")
    print_line(f"  emosim run --plugin {name}" if kind == "domain" else f"  emosim plugins check {name}")
    people = folder / f"emosim_{name.replace('-', '_')}" / "data" / "people"
    if people.is_dir():
        print_line(f"  emosim run --plugin {name} --users {shlex.quote(f'fitted:{people}')}")
    if plan is not None and plan.log is not None and plan.log.values is not None:
        print_line(f"  emosim validate --plugin {name} --ratings sample")
    print_line(f"  pytest {shown}")


def _agreed(name: str, tables: dict[str, Any], words: dict[str, str], yes: bool) -> DomainPlan:
    """What a domain of tables will be, shown, and agreed to or corrected by whoever is there."""
    from emosim_core.scaffold.table_domain import UnclearColumnError, plan_domain

    asks = not yes and sys.stdin.isatty()
    given = {option: value for option, value in tables.items() if value not in (None, False)}
    plan: DomainPlan | None = None
    before = dict(given)
    while True:
        try:
            plan = plan_domain(name, words=words, **given)
            _show(plan)
        except UnclearColumnError as error:
            if not asks:
                raise
            print_line(
                f"Which column of {given['ratings']} holds the {error.needed}? It has: {', '.join(error.names)}",
                err=True,
            )
            answer = click.prompt(error.needed, prompt_suffix=": ", err=True).strip()
            given = _changed(given, f"{error.needed}={answer}")
            continue
        except EmoSimError as error:
            if not asks or plan is None:
                raise
            print_line(f"Error: {error}", err=True)
            given = before
        if yes:
            return plan
        if not asks:
            raise ConfigurationError(
                "nobody is there to say whether this is right; add --yes to write it, and --columns or --item-columns "
                "where it is not"
            )
        how = "Enter writes it; FIELD=COLUMN changes it, such as title=name, rating= or scale=1-10; no ends this."
        print_line(how, err=True)
        answer = click.prompt("Write it?", default="yes", prompt_suffix=" ", err=True).strip()
        if answer.lower() in ("y", "yes"):
            return plan
        if answer.lower() in ("n", "no", "q", "quit"):
            raise click.Abort
        before = given
        given = _changed(given, answer)


def _changed(given: dict[str, Any], answer: str) -> dict[str, Any]:
    """Options with one of them changed as ``FIELD=COLUMN`` says; what contradicts it goes."""
    field, _, column = (part.strip() for part in answer.partition("="))
    if field == "step":
        return {**given, "step": column}
    option = "columns" if field in ("user", "item", "rating", "time", "scale") else "item_columns"
    parts = [part.partition("=") for part in given.get(option, "").split(",") if part]
    others = [f"{one}={of}" for one, _, of in parts if one.strip() != field and of.strip() != column]
    return {**given, option: ",".join([*others, answer])}


def _show(plan: DomainPlan) -> None:
    from emosim_core.cli.output import Table, console, show_table

    screen = console(stderr=True)
    for source, shown in zip(plan.sources, (plan.items.shown, plan.shown), strict=True):
        if source:
            rows = [(name, about, cells) for name, about, cells in shown]
            show_table(screen, Table("column", "what it is", "such as", rows=rows, texts=3, title=source, style="dim"))
            screen.print()
    for line in plan.facts():
        screen.print_line(line)
