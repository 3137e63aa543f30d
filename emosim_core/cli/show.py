"""``emosim show``: print what a directory holds, or one episode of a run as a story."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click

from emosim_core.cli.output import END_REASONS, Screen, console, show_table, summary_table, who_answers
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.llm.prompts.fencing import legible
from emosim_core.model.user import User
from emosim_core.runs.records import SUMMARY, progress_of, read_records, read_summary, records_of_episode, run_manifest
from emosim_core.runs.transcript import Exchanges, exchanges_of
from emosim_core.runs.typed import continue_with
from emosim_core.runs.words import mood_words, user_lines, with_article
from emosim_core.terminal import counted, one_line


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("--episode", type=int, help="Number of an episode of a run, which is shown as a story.")
@click.option("--prompts", is_flag=True, help="With --episode: show each prompt and raw answer of a language model.")
def show(directory: Path | None, episode: int | None, prompts: bool) -> None:
    """Print the results in DIRECTORY: a run, training, evaluation, ablation or validation.

    Without DIRECTORY, the newest in runs/. With --episode, one episode of a run is shown as a story: what was
    recommended, which memories were retrieved, the ratings and why, the mood, and why the episode ended.
    """
    from emosim_core.kinds import RUN
    from emosim_core.reports.directories import kind_of, newest

    screen = console()
    if prompts and episode is None:
        raise ConfigurationError("--prompts shows the prompts of one episode; give its number with --episode")
    if directory is None:
        directory = newest(None if episode is None else RUN)
        screen.print_line(f"{directory}:")
    kind = kind_of(directory)
    if kind is None:
        raise RunError(f"{directory} is no run, nor anything else that can be shown; list those with: emosim runs")
    if kind == RUN:
        _print_run(directory, screen) if episode is None else _print_episode(directory, episode, screen, prompts)
    elif episode is None:
        from emosim_core.cli.results import print_report

        print_report(screen, directory)
    else:
        raise ConfigurationError(f"--episode is for runs; {directory} holds {with_article(kind)}")


def _print_episode(directory: Path, episode: int, screen: Screen, prompts: bool) -> None:
    manifest = run_manifest(directory)
    steps = list(records_of_episode(directory, episode))
    if not steps:
        known = sorted({record["episode"] for record in read_records(directory)})
        numbers = (
            f"it has {counted(len(known), 'episode')}, {known[0]} to {known[-1]}" if known else "it has no steps yet"
        )
        raise ConfigurationError(f"{directory} has no episode {episode}; {numbers}")
    exchanges = exchanges_of(directory, episode) if prompts else None
    for line in map(one_line, story(steps, manifest, exchanges)):
        if screen.is_terminal and line:
            indent = " " * (17 if line.startswith("  ") else 0)
            line = textwrap.fill(line, screen.width, subsequent_indent=indent, break_on_hyphens=False)
        screen.print(line, soft_wrap=True)


def _print_run(directory: Path, screen: Screen) -> None:
    manifest = run_manifest(directory)
    if (directory / SUMMARY).exists():
        summary = read_summary(directory)
        show_table(screen, summary_table(summary))
        if summary["complete"]:
            return
    ended, steps = progress_of(directory)
    wanted = manifest["config"]["episodes"]
    screen.print_line(
        f"The run is not complete: {ended} of {wanted} episodes, {steps} steps. {continue_with('run', directory)}"
    )


def story(steps: list[dict[str, Any]], manifest: dict[str, Any], exchanges: Exchanges | None = None) -> list[str]:
    """The lines of one episode's story, from its records in order and the manifest of the run.

    Items of a slate have the number of the step and of their place, as in ``3.10``. A propensity of 1 is not shown.
    ``exchanges`` are prompts and raw answers of the episode, where they are to be shown.
    """
    exchanges = dict(exchanges or {})
    user = User(**steps[0]["user_profile"])
    lines = user_lines(user)
    lines.append(who_answers(manifest["answered_by"]))
    for record in sorted(steps, key=lambda step: step["step"]):
        lines.append("")
        if not record["recommended"]:
            continue
        for place, item in enumerate(record["recommended"]):
            of_slate = f"{place + 1} " if len(record["recommended"]) > 1 else " "
            lines.append(
                f"{record['step']:>3}.{of_slate}{item['title']}"
                + (f", time number {item['times']}" if item.get("times", 1) > 1 else "")
            )
            if item["retrieved"]:
                past = ", ".join(f"{one['title']} ({one['rating']})" for one in item["retrieved"])
                lines.append(f"     retrieved   {past}")
            lines += _exchange_lines(exchanges.pop((record["episode"], record["step"], place), ()))
            lines.append(f"     rating      {_answer(item, record['end_reason'])}")
            if item.get("propensity") not in (None, 1):
                lines.append(f"     propensity  {item['propensity']:.4g}")
            if item["reason"]:
                lines.append(f"     reason      {legible(item['reason'])}")
            if item["consumed"]:
                lines.append(f"     emotion     {item['valence']}, arousal {item['arousal']}")
        lines.append(f"     mood        {mood_words(*record['mood'])}; reward {record['reward']}")
    if exchanges:
        lines += ["", "A step that did not come to its end:", *_exchange_lines(chain.from_iterable(exchanges.values()))]
    end = steps[-1]["end_reason"]
    lines.append("")
    if end is None:
        lines.append("The episode is not over: the run stopped in the middle of it.")
    else:
        total = sum(step["reward"] for step in steps)
        lines.append(
            f"The end, after {counted(sum(bool(step['recommended']) for step in steps), 'step')}: "
            f"{user.name} {END_REASONS.get(end, f'ended the episode: {end}')}. Total reward {total:g}."
        )
    return lines


def _exchange_lines(exchanges: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Prompts and raw answers, line by line."""
    for one in exchanges:
        parts = [(message["role"], message["text"]) for message in one["messages"]]
        if one["answer"] is not None:
            parts.append(("raw answer", one["answer"]))
        if error := one.get("error"):
            parts.append(("no answer" if one["answer"] is None else "cannot be used", error))
        for title, text in parts:
            yield f"     --- {title} ---"
            yield from (f"     {line}" for line in text.split("\n"))


def _answer(item: dict[str, Any], end: str | None) -> str:
    if item["raw_rating"] is None:
        if end == "interrupted":
            return "nothing, something came in between"
        if item.get("clicked") is False:
            return "none: looked at it and did not click" if item["examined"] else "none: did not look at it"
        return "no rating: the rater failed"
    if not item["consumed"]:
        return f"would rate it {item['raw_rating']}, did not take it"
    rating = item["rating"]
    return f"{item['raw_rating']}" + (f", perturbed to {rating}" if rating != item["raw_rating"] else "")
