"""``emosim cache``: inspect, prune, export and import the cache of model answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.printing import print_json, print_line
from emosim_core.errors import ConfigurationError
from emosim_core.runs.typed import typed
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from emosim_core.llm.gateway.cache import AnswerCache
    from emosim_core.llm.gateway.cache_lines import Cleaner

_cache_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--cache",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="File that holds the answers; llm.sqlite3 in the cache folder if not given.",
)


@click.group()
def cache() -> None:
    """Inspect, prune, export and import the cache of model answers.

    Every answer is kept, so that no request is paid for twice and a run can be replayed without a key. Requests and
    answers are cached; keys never are.
    """


@cache.command()
@_cache_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def stats(path: Path | None, as_json: bool) -> None:
    """Print the number of cached answers by model."""
    from emosim_core.llm.gateway.redaction import Redactor, secrets_of_environment, without_keys

    redactor = Redactor(secrets_of_environment())
    with _opened(path, read_only=True, must_exist=path is not None) as answers:
        statistics = answers.stats()
    for model in statistics["models"]:
        model["identity"] = without_keys(model["identity"], redactor)
    if as_json:
        print_json(statistics)
        return
    if not statistics["answers"]:
        print_line(f"No answers are cached in {statistics['path']}.")
        return
    print_line(f"{_answers(statistics['answers'])} in {statistics['path']}, {_size(statistics['bytes'])}")
    for model in statistics["models"]:
        print_line(model["identity"], bold=True)
        days = model["first"] if model["first"] == model["last"] else f"{model['first']} to {model['last']}"
        unknown = model["unknown_usage"]
        print_line(
            f"  {_answers(model['answers'])}, {days}; tokens: {model['prompt_tokens']:,} in, "
            f"{model['cached_tokens']:,} of them cached by the service, {model['completion_tokens']:,} answered, "
            f"{model['reasoning_tokens']:,} of them reasoning"
            + (f"; those of {_answers(unknown)} are unknown" if unknown else "")
        )


@cache.command()
@_cache_option
@click.option("--older-than", "days", type=click.FloatRange(min=0), help="Remove answers kept before so many days.")
@click.option("--max-mb", type=click.FloatRange(min=0), help="Remove the oldest until the file has so many MiB.")
@click.option("--model", "identity", help="Remove answers of this model only, as 'emosim cache stats' names it.")
def prune(path: Path | None, days: float | None, max_mb: float | None, identity: str | None) -> None:
    """Remove cached answers; they are paid for again when they are requested again."""
    with _opened(path) as answers:
        done = answers.prune(older_than_days=days, max_mb=max_mb, identity=identity)
    print_line(f"Removed {_answers(done.removed)}; {_answers(done.remaining)} left, {_size(done.bytes)}")


@cache.command()
@_cache_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def export(path: Path | None, file: Path, force: bool) -> None:
    """Write all cached answers with their requests to FILE, one JSON object a line."""
    from emosim_core.llm.gateway.cache_lines import Cleaner

    if file.exists() and not force:
        raise ConfigurationError(f"{file} exists already; choose another file, or replace it with --force")
    cleaner = Cleaner()
    with _opened(path, read_only=True) as answers:
        count = answers.export(file, cleaner)
    _print_cleaned(cleaner)
    print_line(f"Wrote {_answers(count)} to {file}. Read them back with: {typed('cache', 'import', file)}")


@cache.command("import")
@_cache_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def import_(path: Path | None, file: Path) -> None:
    """Add the answers of FILE, written by export; existing answers stay as they are."""
    from emosim_core.llm.gateway.cache_lines import Cleaner

    cleaner = Cleaner()
    with _opened(path, must_exist=False) as answers:
        added, existing = answers.import_(file, cleaner)
    _print_cleaned(cleaner)
    print_line(f"Added {_answers(added)}; {existing:,} were there already")


@contextmanager
def _opened(path: Path | None, read_only: bool = False, must_exist: bool = True) -> Iterator[AnswerCache]:
    from emosim_core.llm.gateway.cache import AnswerCache, default_cache_path

    path = path or default_cache_path()
    if must_exist and not path.expanduser().exists():
        raise ConfigurationError(f"{path}: no such file; a run with a language model makes it")
    answers = AnswerCache(path, read_only=read_only)
    try:
        yield answers
    finally:
        answers.close()


def _print_cleaned(cleaner: Cleaner) -> None:
    if cleaner.changed:
        print_line(f"{_answers(cleaner.changed)} held what looks like a key; [key] stands in its place", err=True)


def _answers(count: int) -> str:
    return counted(count, "answer")


def _size(count: int) -> str:
    return f"{count / 1024 / 1024:.1f} MiB"
