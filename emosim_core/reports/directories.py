"""Directories: what a directory holds, and what lies in a folder of them, told from few small files."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosim_core.data.files import runs
from emosim_core.errors import RunError
from emosim_core.kinds import (
    ABLATION,
    AUDIT,
    BELIEVABILITY,
    DISTILLATION,
    EVALUATION,
    INTERACTIONS,
    KINDS,
    MANIFEST,
    OF_STUDIES,
    PEOPLE,
    PROMPTS,
    RUN,
    SUMMARY,
    SWEEP,
    TRAINING,
    TRUST,
    VALIDATION,
    WRITTEN,
)
from emosim_core.runs.job import FAILED, WRITER
from emosim_core.runs.reading import check_format, damaged, no_run, read_object
from emosim_core.runs.records import FORMAT, read_json, read_summary
from emosim_core.runs.typed import typed
from emosim_core.runs.words import held_out, on_scale
from emosim_core.terminal import clean, counted

_LONGEST = 2_000
"""Characters of what a directory says of its end."""

RUNS = Path("runs")
"""Where commands write without ``--out``."""


@dataclass(frozen=True)
class JobInfo:
    """What a directory holds, in short.

    Attributes:
        kind: ``run``, ``training``, ``evaluation``, ``ablation``, ``validation``, ``audit``, ``sweep``, ``users``,
            ``trust``, ``believability``, ``prompts``, ``distillation`` (of which the users are not there yet), or
            ``page`` for one with a ``page.json``.
        created: when it was begun, in UTC as ISO 8601; empty where its files do not say.
        state: ``complete``, ``running``, ``stopped``, ``failed`` or ``unreadable``.
        headline: what came out, or what is wrong with it.
        stopped: why it was stopped or failed, where that is known.
        done: what its process says to have done, such as episodes, while it runs; 0 where it says nothing.
    """

    path: Path
    kind: str
    created: str
    state: str
    headline: str
    stopped: str = ""
    done: int = 0


def kind_of(directory: Path) -> str | None:
    """What a directory holds, None if nothing that EmoSim writes; a RunError where that cannot be read."""
    return _kind_and_manifest(directory)[0]


def _kind_and_manifest(directory: Path) -> tuple[str | None, dict[str, Any] | None]:
    """The kind of a directory, and its manifest where the kind is known from that."""
    if not directory.is_dir():
        raise no_run(directory, MANIFEST)
    for kind in KINDS.values():
        if kind.mark and (directory / kind.mark).exists():
            return kind.name, None
    if (directory / MANIFEST).exists():
        manifest = read_json(directory / MANIFEST)
        if manifest.get("kind") in OF_STUDIES:
            return str(manifest["kind"]), manifest
        config = manifest.get("config")
        return TRAINING if isinstance(config, dict) and KINDS[TRAINING].option in config else RUN, manifest
    return RUN if (directory / INTERACTIONS).exists() else None, None


def job_info(directory: Path) -> JobInfo | None:
    """What a directory holds in short; None if it is nothing that EmoSim writes. What cannot be read is said so."""
    try:
        kind, about = _kind_and_manifest(directory)
    except RunError as error:
        return _unreadable(directory, error) if (directory / MANIFEST).exists() else None
    if kind is None:
        return None
    created = ""
    try:
        about = read_json(directory / KINDS[kind].about) if about is None else about
        begun = about.get("created")
        created = begun if isinstance(begun, str) else ""
        if kind not in (WRITTEN, PEOPLE):
            check_format(directory / MANIFEST, {"format": 1, **about} if kind in (VALIDATION, AUDIT) else about, FORMAT)
        with damaged(directory):
            complete, headline = _HEADLINES[kind](directory, about)
    except RunError as error:
        return _unreadable(directory, error, kind, created)
    if complete:
        return JobInfo(directory, kind, created, "complete", headline)
    return JobInfo(directory, kind, created, *_unfinished(directory, headline))


def _unreadable(directory: Path, error: RunError, kind: str = "", created: str = "") -> JobInfo:
    return JobInfo(directory, kind, created, "unreadable", str(error).splitlines()[0])


def jobs_in(folder: Path) -> list[JobInfo]:
    """What the directories in a folder hold, the newest first; a RunError where it cannot be read."""
    try:
        directories = sorted(one for one in folder.iterdir() if one.is_dir())
    except NotADirectoryError as error:
        raise RunError(f"{folder} is no directory") from error
    except FileNotFoundError as error:
        raise RunError(
            f"there is no directory {folder}; commands write to {RUNS} here, or to where --out says. "
            f"Begin with: {typed('run', '--plugin', 'movies')}"
        ) from error
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {error.strerror or error}") from error
    jobs = [info for one in directories if (info := job_info(one)) is not None]
    return sorted(jobs, key=lambda info: (info.created, _changed(info.path)), reverse=True)


def newest(kind: str | None = None, folder: Path = RUNS) -> Path:
    """The newest directory of a folder, of a kind where one is given; a RunError where there is none."""
    for info in jobs_in(folder):
        if kind in (None, info.kind):
            return info.path
    raise RunError(f"{folder} holds {'nothing to show' if kind is None else f'no {kind}'}; name a directory")


def _changed(directory: Path) -> int:
    """When one of its files was made or removed last: tells apart what was begun in the same second."""
    try:
        return directory.stat().st_mtime_ns
    except OSError:
        return 0


def _unfinished(directory: Path, headline: str) -> tuple[str, str, str, int]:
    """The state of a job that is not complete, its headline, why it was stopped, and what it says to have done."""
    try:
        about = json.loads((directory / WRITER).read_text(encoding="utf-8"))
        here = about["host"] == socket.gethostname() and os.name == "posix"
        if here and runs(int(about["process"])):
            done = about.get("done")
            return "running", headline, "", done if type(done) is int else 0
        if here:
            return "failed", headline, "its process was killed, or the machine went down", 0
    except (OSError, ValueError, TypeError, KeyError):
        pass
    how = _how_it_failed(directory)
    return ("failed" if "error" in how else "stopped"), headline, clean(str(how.get("error", "")))[:_LONGEST], 0


def _how_it_failed(directory: Path) -> dict[str, Any]:
    """What the last writer of a directory left behind that failed or was killed; empty where nothing."""
    for name in (FAILED, WRITER):
        try:
            return read_object(directory / name)
        except RunError:
            continue
    return {}


def resume_command(info: JobInfo, shown: Path) -> str:
    """The command that goes on with a job that is not complete; empty where there is none.

    Args:
        shown: the directory as the command is to name it.
    """
    command = KINDS[info.kind].command if info.kind in KINDS else ""
    if not command or info.state not in ("stopped", "failed"):
        return ""
    arguments = _how_it_failed(info.path).get("arguments", [])
    if command == "sweep" and not (isinstance(arguments, list) and len(arguments) == 1):
        arguments = ["PLAN"]
    if command != "sweep":
        arguments = []
    return typed(command, *map(str, arguments), "--resume", shown)


def _of_run(directory: Path, about: Mapping[str, Any]) -> tuple[bool, str]:
    policy = about["parts"].get("policy", {}).get("name") or about["config"]["policy"]
    what = f"{policy} on {about['config']['plugin']}"
    if not (directory / SUMMARY).exists():
        return False, f"{what}: {counted(about['config']['episodes'], 'episode')} wanted"
    summary = read_summary(directory)
    parts = [counted(summary["episodes"], "episode")]
    if summary["mean_reward"] is not None:
        parts.append(f"reward {summary['mean_reward']:.1f} per episode")
    if summary["mean_rating"] is not None:
        parts.append(f"rating {summary['mean_rating']:.2f} {on_scale(summary['scale'])}")
    return summary["complete"], f"{what}: {', '.join(parts)}"


def _of_training(directory: Path, about: Mapping[str, Any]) -> tuple[bool, str]:
    config = about["config"]
    what = f"{config['algo']} on {config['plugin']}"
    if not (directory / SUMMARY).exists():
        return False, f"{what}: {counted(config['timesteps'], 'step')} wanted"
    summary = read_json(directory / SUMMARY)
    return bool(summary["complete"]), f"{what}: {counted(summary['timesteps'], 'step')}; {held_out(summary)}"


def _of_evaluation(directory: Path, about: Mapping[str, Any]) -> tuple[bool, str]:
    if about["complete"]:
        from emosim_core.evaluation.verdict import evaluation_verdict

        return True, evaluation_verdict(about, *list(about["user_splits"].items())[-1])
    return False, f"{', '.join(one['name'] for one in about['recommenders'])} on {about['domain']}"


def _results(directory: Path, kind: str) -> dict[str, Any] | None:
    """The file that the report of a directory is made of; None where it is not there yet."""
    path = directory / KINDS[kind].results
    return read_json(path) if path.exists() else None


def _of_ablation(directory: Path, about: Mapping[str, Any]) -> tuple[bool, str]:
    what = f"{about['config']['environment']['plugin']}: {counted(len(about['jobs']), 'job')}"
    if (results := _results(directory, ABLATION)) is None:
        return False, what
    if differences := results["differences"]:
        from emosim_core.reports.ablation_report import is_decided

        what += f", {sum(map(is_decided, differences))} of {len(differences)} differences shown"
    return not results["missing"], what


def _of_rater(
    kind: str, main: Callable[[Mapping[str, Any]], str], wanted: Callable[[Mapping[str, Any]], str] = lambda about: ""
) -> Callable[[Path, Mapping[str, Any]], tuple[bool, str]]:
    """The headline of a study of a rater: ``main`` of its results, or ``wanted`` where there are none yet."""

    def headline(directory: Path, about: Mapping[str, Any]) -> tuple[bool, str]:
        what = f"{about['config']['environment']['plugin']}, {about['parts']['rater']['name']}"
        results = _results(directory, kind)
        more = wanted(about) if results is None else main(results)
        return results is not None, f"{what}: {more}" if more else what

    return headline


def _problems(results: Mapping[str, Any]) -> str:
    from emosim_core.reports.audit_report import problems_of

    return problems_of(results)


def _right_pairs(results: Mapping[str, Any]) -> str:
    return f"{results['methods']['simulated users']['right']['estimate']:.1%} of pairs in the right order"


def _of_sweep(directory: Path, about: Mapping[str, Any]) -> tuple[bool, str]:
    what = "runs" if about["command"] == "run" else "trainings"
    return (directory / KINDS[SWEEP].results).exists(), f"{about.get('jobs_in_all', len(about['jobs'])):,} {what}"


def _of_prompts(directory: Path, about: Mapping[str, Any]) -> tuple[bool, str]:
    what = f"{about['config']['environment']['plugin']}, {about['language_model']}"
    if not (directory / KINDS[PROMPTS].results).exists():
        return False, what
    return True, f"{what}: {counted(len(about['config']['strategies']), 'prompt')}"


_HEADLINES: dict[str, Callable[[Path, Mapping[str, Any]], tuple[bool, str]]] = {
    RUN: _of_run,
    TRAINING: _of_training,
    EVALUATION: _of_evaluation,
    ABLATION: _of_ablation,
    VALIDATION: _of_rater(VALIDATION, lambda results: counted(results["users"], "user")),
    AUDIT: _of_rater(AUDIT, _problems),
    SWEEP: _of_sweep,
    TRUST: _of_rater(TRUST, _right_pairs, lambda about: f"{counted(about['config']['num_logs'], 'log')} wanted"),
    DISTILLATION: lambda directory, about: (False, f"{about['questions']:,} answers wanted of {about['answered_by']}"),
    BELIEVABILITY: _of_rater(BELIEVABILITY, lambda results: str(results["sentence"])),
    PROMPTS: _of_prompts,
    PEOPLE: lambda directory, about: (True, f"{counted(about['users'], 'user')} of {about['domain']}"),
    WRITTEN: lambda directory, about: (True, str(about["title"])),
}
