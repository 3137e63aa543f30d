"""Results of a believability test, computed from its pairs and verdicts alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from emosim_core.data import json_text
from emosim_core.errors import RunError
from emosim_core.kinds import BELIEVABILITY, KINDS
from emosim_core.runs.job import write_file
from emosim_core.runs.reading import check_format, read_lines, read_object
from emosim_core.runs.records import FORMAT, MANIFEST
from emosim_core.stats import rounded, wilson
from emosim_core.studies.believability.judges import STATISTIC, Verdict, by_distance
from emosim_core.studies.believability.pairs import FIRST, SECOND, Pair, read_pairs

KIND = "believability"
RESULTS = KINDS[BELIEVABILITY].results
VERDICTS = "verdicts.jsonl"
TABLE = "verdicts.csv"

_VERDICT = TypeAdapter(Verdict)

CHANCE = 0.5
"""Share of right verdicts of a judge who cannot tell."""


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a believability test; a RunError where there is none, or it is of something else."""
    path = directory / MANIFEST
    manifest = read_object(path)
    if manifest.get("kind") != KIND:
        raise RunError(f"{directory} holds no believability test")
    check_format(path, manifest, FORMAT)
    return manifest


def read_verdicts(directory: Path) -> list[Verdict]:
    """The verdicts so far; a RunError where one is damaged. A later one of the same judge and pair is the one."""
    path = directory / VERDICTS
    latest: dict[tuple[str, int], Any] = {}
    for _, record in read_lines(path, _VERDICT) if path.exists() else ():
        latest[record["judge"], record["pair"]] = record
    return list(latest.values())


def write_results(directory: Path) -> dict[str, Any]:
    """Compute the results, write them and the table of all verdicts, and return the former."""
    results, pairs, verdicts = compute_results(directory), read_pairs(directory), read_verdicts(directory)
    write_file(directory / TABLE, verdict_table(pairs, [*statistic_verdicts(pairs), *verdicts]).encode())
    write_file(directory / RESULTS, results)
    return results


def compute_results(directory: Path) -> dict[str, Any]:
    """What the verdicts come to, by judge; a RunError where a file is missing or damaged."""
    about, pairs, verdicts = read_manifest(directory), read_pairs(directory), read_verdicts(directory)
    by_judge: dict[str, list[Verdict]] = {}
    for one in (*verdicts, *statistic_verdicts(pairs)):
        if one["pair"] >= len(pairs):
            raise RunError(f"{directory / VERDICTS} is damaged: there is no pair {one['pair']}")
        by_judge.setdefault(one["judge"], []).append(one)
    judges = {name: measured(pairs, some) for name, some in by_judge.items()}
    results = {
        **{name: about[name] for name in ("kind", "title", "scale", "parts", "config", "data", "left_out")},
        "format": FORMAT,
        "pairs": len(pairs),
        "identical": sum(pair["real"] == pair["simulated"] for pair in pairs),
        "judges": judges,
    }
    return {**results, "sentence": sentence_of(judges)}


def statistic_verdicts(pairs: Sequence[Pair]) -> list[Verdict]:
    """What :func:`~emosim_core.studies.believability.judges.by_distance` says of each pair."""
    return [{"pair": one["pair"], "judge": STATISTIC, "answer": by_distance(one), "error": ""} for one in pairs]


def measured(pairs: Sequence[Pair], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How often one judge was right, with Wilson's interval: each pair is of another user.

    ``accuracy`` is over all verdicts, ``real_first`` and ``real_second`` where the real history stood there; the
    ``first_chosen`` share is far from a half where the place says more to the judge than the ratings do. A verdict
    without an answer counts as ``failed``, and nowhere else.
    """
    given = [one for one in verdicts if one["answer"] is not None]
    right = {one["pair"]: one["answer"] == pairs[one["pair"]]["real_side"] for one in given}
    of_side = {
        side: [right[one["pair"]] for one in given if pairs[one["pair"]]["real_side"] == side]
        for side in (FIRST, SECOND)
    }
    return {
        "judged": len(given),
        "failed": len(verdicts) - len(given),
        "right": sum(right.values()),
        "accuracy": share(list(right.values())),
        "real_first": share(of_side[FIRST]),
        "real_second": share(of_side[SECOND]),
        "first_chosen": share([one["answer"] == FIRST for one in given]),
    }


def share(flags: Sequence[bool]) -> dict[str, float | int | None]:
    """A share with its interval; None each where there is nothing to count."""
    if not flags:
        return {"estimate": None, "low": None, "high": None, "of": 0}
    low, high = wilson(sum(flags), len(flags))
    estimate = sum(flags) / len(flags)
    return {"estimate": rounded(estimate), "low": rounded(float(low)), "high": rounded(float(high)), "of": len(flags)}


def sentence_of(judges: Mapping[str, Mapping[str, Any]]) -> str:
    """What came out, in a sentence for each judge who said something, the model-free one last."""
    order = [name for name in judges if name != STATISTIC] + [name for name in judges if name == STATISTIC]
    return " ".join(_sentence(name, judges[name]) for name in order if judges[name]["judged"]) or "Nobody has judged."


def _sentence(name: str, one: Mapping[str, Any]) -> str:
    accuracy = one["accuracy"]
    interval = f"{accuracy['estimate']:.0%} [{accuracy['low']:.0%}, {accuracy['high']:.0%}]"
    who = f"The {name}" if name == STATISTIC or name.startswith("language model") else name[:1].upper() + name[1:]
    text = f"{who} finds the real user in {one['right']:,} of {one['judged']:,} pairs, {interval}"
    if accuracy["low"] > CHANCE:
        return f"{text}: the simulation can be distinguished from real users."
    if accuracy["high"] < CHANCE:
        return f"{text}: it takes the simulation for the real user."
    return f"{text}: no difference from chance is shown."


def verdict_table(pairs: Sequence[Pair], verdicts: Sequence[Verdict]) -> str:
    """All verdicts as CSV, one a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("pair", "user", "judge", "real", "answer", "right", "error"))
    for one in verdicts:
        pair, answer = pairs[one["pair"]], one["answer"]
        right = "" if answer is None else str(int(answer == pair["real_side"]))
        writer.writerow((one["pair"], pair["user"], one["judge"], pair["real_side"], answer or "", right, one["error"]))
    return text.getvalue()


def verdict_lines(verdicts: Sequence[Verdict]) -> bytes:
    """Verdicts as lines of ``verdicts.jsonl``."""
    return b"".join(json_text.line(one) for one in verdicts)
