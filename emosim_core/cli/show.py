"""``emosim show``: tell a run, or one of its sessions as a story."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import click

from emosim_core.cli.output import END_REASONS, console, show_table, summary_table, who_answers
from emosim_core.errors import ConfigurationError
from emosim_core.llm.fencing import legible
from emosim_core.model.user import User
from emosim_core.runs.records import SUMMARY, read_records, read_summary, run_manifest
from emosim_core.runs.typed import typed
from emosim_core.runs.words import mood_words, user_lines
from emosim_core.terminal import one_line


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--episode", type=int, help="Number of the session to tell as a story; without it, the run's table.")
def show(directory: Path, episode: int | None) -> None:
    """Tell the run in DIRECTORY: its table, or with --episode one session as a story.

    The story says what was proposed, what was remembered, what was felt, what was answered and why,
    and why the session ended.
    """
    manifest = run_manifest(directory)
    screen = console()
    if episode is None:
        _tell_run(directory, manifest, screen)
        return
    steps = [record for record in read_records(directory) if record["episode"] == episode]
    if not steps:
        known = sorted({record["episode"] for record in read_records(directory)})
        there = f"it has {len(known)} sessions, {known[0]} to {known[-1]}" if known else "it has no steps yet"
        raise ConfigurationError(f"{directory} has no session {episode}; {there}")
    for line in map(one_line, story(steps, manifest)):
        if screen.is_terminal and line:
            indent = " " * (17 if line.startswith("  ") else 0)
            line = textwrap.fill(line, screen.width, subsequent_indent=indent, break_on_hyphens=False)
        screen.print(line, soft_wrap=True)


def _tell_run(directory: Path, manifest: dict[str, Any], screen: Any) -> None:
    if (directory / SUMMARY).exists():
        summary = read_summary(directory)
        show_table(screen, summary_table(summary))
        if summary["complete"]:
            return
    steps = ended = 0
    for record in read_records(directory):
        steps += bool(record["recommended"])
        ended += record["end_reason"] is not None
    wanted = manifest["config"]["episodes"]
    screen.print_line(
        f"The run is not complete: {ended} of {wanted} sessions, {steps} steps. "
        f"Go on with: {typed('run', '--resume', directory)}"
    )


def story(steps: list[dict[str, Any]], manifest: dict[str, Any]) -> list[str]:
    """The lines of one session's story.

    Args:
        steps: the session's records, in order.
        manifest: the run's manifest.
    """
    user = User(**steps[0]["user_profile"])
    lines = user_lines(user)
    lines.append(who_answers(manifest["parts"]["rater"]["name"], manifest["uses_llm"], manifest.get("language_model")))
    for record in sorted(steps, key=lambda step: step["step"]):
        lines.append("")
        if not record["recommended"]:
            continue
        for item in record["recommended"]:
            lines.append(
                f"{record['step']:>3}. {item['title']}"
                + (f", time number {item['times']}" if item.get("times", 1) > 1 else "")
            )
            if item["retrieved"]:
                past = ", ".join(f"{one['title']} ({one['rating']})" for one in item["retrieved"])
                lines.append(f"     retrieved   {past}")
            lines.append(f"     answered    {_answer(item, record['end_reason'])}")
            if item["reason"]:
                lines.append(f"     because     {legible(item['reason'])}")
            if item["consumed"]:
                lines.append(f"     felt        {item['valence']}, arousal {item['arousal']}")
        lines.append(f"     mood        {mood_words(*record['mood'])}; reward {record['reward']}")
    end = steps[-1]["end_reason"]
    lines.append("")
    if end is None:
        lines.append("The session is not over: the run stopped in the middle of it.")
    else:
        total = sum(step["reward"] for step in steps)
        lines.append(
            f"The end, after {sum(bool(step['recommended']) for step in steps)} steps: "
            f"{user.name} {END_REASONS.get(end, f'ended the session: {end}')}. Total reward {total:g}."
        )
    return lines


def _answer(item: dict[str, Any], end: str | None) -> str:
    if item["raw_rating"] is None:
        return "nothing, something came in between" if end == "interrupted" else "no rating: the rater failed"
    if not item["consumed"]:
        return f"would rate it {item['raw_rating']}, did not take it"
    felt = item["rating"]
    return f"{item['raw_rating']}" + (f", perturbed to {felt}" if felt != item["raw_rating"] else "")
