"""Records: the lines of interactions.jsonl, made from steps and read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosim_core.errors import RunError
from emosim_core.kinds import BLOCKS, KINDS, Kind, kinds_of
from emosim_core.kinds import INTERACTIONS as INTERACTIONS
from emosim_core.kinds import MANIFEST as MANIFEST
from emosim_core.kinds import SUMMARY as SUMMARY
from emosim_core.notebook import card, table
from emosim_core.runs import schemas
from emosim_core.runs.reading import check, check_format, lines_of, no_run, parse, read_line, read_object
from emosim_core.runs.transcript import read_transcript
from emosim_core.runs.typed import continue_with
from emosim_core.runs.words import summary_rows, with_article

if TYPE_CHECKING:
    from emosim_core.runs.blocks import RunBlocks

_FIELD_OF_ITS_OWN = {kind.command: kind.option for kind in KINDS.values() if kind.option}
"""A field that only the configurations of one command have."""

FORMAT = 2
"""Format of the files of a job that this version writes and reads."""


def read_records(directory: Path) -> Iterator[dict[str, Any]]:
    """All steps of a run in the order in which they were written; what was in flight when it was killed is left out.

    Each is what :func:`~emosim_core.runs.steps.records_of` makes, and the steps of an episode are in order, the first
    with its user. What is read to its end is what the summary says, if the run is complete. Of a run that kept a
    sample of its episodes, these are all that there are.

    Raises:
        MissingDependencyError: the records are Parquet, and pyarrow is not installed.
        RunError: there are no records, one is not a step, or some are missing or do not belong together; names the
            line or the file.
    """
    if (blocks := open_blocks(directory)) is not None:
        yield from blocks.records()
        return
    path = directory / INTERACTIONS
    begun = (directory / MANIFEST).exists()
    most = run_manifest(directory)["config"]["episodes"] if begun else None
    if not path.exists():
        if begun:  # it was stopped before its first step
            _Order(most).check(path, directory)
            return
        raise no_run(directory, INTERACTIONS)
    order = _Order(most)
    for number, line in lines_of(path):
        where = f"{path}, line {number}:"
        record = read_line(where, line, schemas.STEP)
        order.take(where, record, line)
        yield record
    order.check(path, directory)


def open_blocks(directory: Path) -> RunBlocks | None:
    """The steps of a run as columns; None of one whose records are JSON lines.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        RunError: the run keeps no steps, or its summary tells of others than there are.
    """
    if (directory / INTERACTIONS).exists() or not (directory / MANIFEST).exists():
        return None
    kind = run_manifest(directory)["config"].get("records")
    if kind == "none":
        raise RunError(
            f"{directory} was made with --records none: it has a summary and no steps. Make it again with --records "
            "parquet or jsonl"
        )
    if kind in (None, "jsonl") or not (directory / BLOCKS).is_dir():
        return None
    from emosim_core.runs.blocks import RunBlocks

    blocks = RunBlocks(directory)
    if (directory / SUMMARY).exists() and (summary := read_summary(directory))["complete"]:
        tallies = list(blocks.tallies())
        episodes = sum(count for tally in tallies for _, count in tally["lengths"])
        steps = sum(tally["steps"] for tally in tallies)
        for what, count, expected in (
            ("episodes that ended", episodes, summary["episodes"]),
            ("steps", steps, summary["steps"]),
        ):
            if count != expected:
                raise RunError(
                    f"{directory / BLOCKS} has {count:,} {what}, {SUMMARY} says {expected:,}; a block is missing or "
                    "damaged"
                )
    return blocks


def records_of_episode(directory: Path, episode: int) -> Iterator[dict[str, Any]]:
    """The steps of one episode; errors as of :func:`read_records`."""
    if (blocks := open_blocks(directory)) is not None:
        yield from blocks.records(lambda numbers: numbers == episode)
    else:
        yield from (record for record in read_records(directory) if record["episode"] == episode)


def progress_of(directory: Path) -> tuple[int, int]:
    """How far a run has come: episodes that ended, and steps; errors as of :func:`read_records`."""
    if run_manifest(directory)["config"].get("records") == "none":
        return 0, 0  # such a run begins again from its start
    if (blocks := open_blocks(directory)) is not None:
        tallies = list(blocks.tallies())
        return sum(n for tally in tallies for _, n in tally["lengths"]), sum(tally["steps"] for tally in tallies)
    ended = steps = 0
    for record in read_records(directory):
        steps += bool(record["recommended"])
        ended += record["end_reason"] is not None
    return ended, steps


def check_records(directory: Path) -> None:
    """See that the records of a run can be read to their end, if it keeps any; errors as of :func:`read_records`."""
    if run_manifest(directory)["config"].get("records") == "none":
        return
    blocks = open_blocks(directory)
    for _ in read_records(directory) if blocks is None else blocks.steps():
        pass


class _Order:
    """Sees that the steps of a run belong together."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._going: dict[int, tuple[int, str]] = {}
        self._ended: set[int] = set()
        self._titles: dict[str, str] = {}
        self._steps = 0

    def take(self, where: str, record: dict[str, Any], line: bytes) -> None:
        """See that a record is the next of its episode."""
        episode, step, user = record["episode"], record["step"], record["user"]
        before, who = self._going.get(episode, (0, user))
        if step != before + 1 or user != who or episode in self._ended:
            raise RunError(
                f"{where} step {step} of episode {episode} with {user!r} is out of place: "
                + ("the episode has ended before" if episode in self._ended else f"expected step {before + 1}")
                + (f" with {who!r}" if user != who else "")
            )
        if self._most is not None and episode >= self._most:
            raise RunError(f"{where} episode {episode} is none of this run, which has {self._most}")
        if step == 1:
            check(f"{where} user", record.get("user_profile"), schemas.USER)
            if record["user_profile"]["id"] != user:
                raise RunError(f"{where} the user is {record['user_profile']['id']!r}, the user {user!r}")
        keys = len(record) + len(record.get("user_profile", ()))
        for item in record["recommended"]:
            keys += len(item) + len(item.get("probabilities", ()))
            if item["consumed"] and not item.keys() >= schemas.CONSUMED:
                missing = sorted(schemas.CONSUMED - item.keys())[0]
                raise RunError(f"{where} is damaged: {item['item']!r} was consumed and has no {missing!r}")
            for one in (item, *item["retrieved"]):
                if self._titles.setdefault(one["item"], one["title"]) != one["title"]:
                    raise RunError(
                        f"{where} the item {one['item']!r} is called {one['title']!r}, and "
                        f"{self._titles[one['item']]!r} before"
                    )
            keys += sum(map(len, item["retrieved"]))
        if keys != line.count(b'":') - line.count(b'\\":'):
            parse(where, line)  # a field may stand twice
        if record["end_reason"] is None:
            self._going[episode] = (step, user)
        else:
            self._going.pop(episode, None)
            self._ended.add(episode)
        self._steps += bool(record["recommended"])

    def check(self, path: Path, directory: Path) -> None:
        """See that all were taken, if the run is complete."""
        if not (directory / SUMMARY).exists():
            return
        summary = read_summary(directory)
        if not summary["complete"]:
            return
        for what, count, expected in (
            ("episodes that ended", len(self._ended), summary["episodes"]),
            ("steps", self._steps, summary["steps"]),
        ):
            if count != expected:
                raise RunError(f"{path} has {count:,} {what}, {SUMMARY} says {expected:,}; one of them is damaged")


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a run or a training.

    Raises:
        RunError: it is missing or damaged, or was written by a newer version.
    """
    path = directory / MANIFEST
    manifest = read_json(path)
    check_format(path, manifest, FORMAT)
    if isinstance(kind := manifest.get("kind"), str):
        raise RunError(f"{directory} holds {with_article(kind)}, not a run; name the directory of a run")
    for section in ("config", "parts", "data"):
        if not isinstance(manifest.get(section), dict):
            raise RunError(f"{path} is damaged: it has no table {section!r}")
    check(path, manifest, schemas.MANIFEST)
    return manifest


def run_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        RunError: as :func:`read_manifest`, or it is that of something else.
    """
    manifest = read_manifest(directory)
    if _FIELD_OF_ITS_OWN["run"] not in manifest["config"] and _FIELD_OF_ITS_OWN["train"] in manifest["config"]:
        raise RunError(f"{directory} holds a training, not a run; name the directory of a run")
    check(f"{directory / MANIFEST}: config", manifest["config"], schemas.RUN_CONFIG)
    return manifest


def read_summary(directory: Path) -> dict[str, Any]:
    """The summary of a run; a RunError where it is missing or damaged, or its numbers do not go together."""
    path = directory / SUMMARY
    summary = read_json(path)
    check(path, summary, schemas.SUMMARY)
    for name, parts in (("episodes", "end_reasons"), ("ratings", "rating_counts")):
        if sum(summary[parts].values()) != summary[name]:
            raise RunError(f"{path} is damaged: {parts} do not add up to {name}, {summary[name]}")
    return summary


def stored_config(directory: Path, command: str) -> dict[str, Any]:
    """The configuration of what is to be resumed, as its manifest holds it.

    Args:
        command: ``"run"`` or ``"train"``, the command that resumes it.

    Raises:
        RunError: there is no manifest, or another command made it.
    """
    config: dict[str, Any] = read_manifest(directory)["config"]
    if _FIELD_OF_ITS_OWN[command] not in config:
        made = next((other for other, field in _FIELD_OF_ITS_OWN.items() if field in config), None)
        hint = continue_with(made, directory) if made else "Resume it with the command that made it"
        raise RunError(f"{directory} was not made by 'emosim {command}'. {hint}")
    check(f"{directory / MANIFEST}: config", config, schemas.ENVIRONMENT)
    return config


def config_of_seeds(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration, ``num_seeds`` included, of trainings under several seeds; None where a manifest is of none."""
    jobs = manifest.get("jobs")
    if manifest.get("command") != "train" or not isinstance(jobs, list) or not jobs:
        return None
    configs = [one.get("config") if isinstance(one, dict) else None for one in jobs]
    first = configs[0]
    if not isinstance(first, dict) or not isinstance(first.get("seed"), int):
        return None
    wanted = [{**first, "seed": first["seed"] + number} for number in range(len(jobs))]
    return {**first, "num_seeds": len(jobs)} if configs == wanted else None


def newest_of(folder: Path, command: str) -> Path | None:
    """The directory in a folder that a command has begun last; None where there is none.

    Args:
        command: one that makes directories and resumes them, such as ``"train"``.

    Raises:
        RunError: what a newer job has written at its beginning is not JSON.
    """
    kinds = kinds_of(command)
    about = kinds[0].about
    newest_first = sorted(folder.glob(f"*/{about}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first:
        manifest = read_json(path)
        if about != MANIFEST or any(_is_of(manifest, kind) for kind in kinds):
            return path.parent
    return None


def _is_of(manifest: Mapping[str, Any], kind: Kind) -> bool:
    """Whether a manifest is one of a kind."""
    if not kind.option:
        return manifest.get("kind") == kind.name
    config = manifest.get("config")
    several = kind.command == "train" and config_of_seeds(manifest) is not None
    return several or (isinstance(config, dict) and kind.option in config)


def read_json(path: Path) -> dict[str, Any]:
    """A manifest or a summary; a RunError where it is missing or is not JSON."""
    if not path.exists():
        raise no_run(path.parent, path.name)
    return read_object(path)


@dataclass(frozen=True)
class RecordedRun:
    """A run in its directory; made by :func:`~emosim_core.read_run`.

    Attributes:
        manifest: what ``manifest.json`` holds: the configuration, seed, components, versions and digests.
        summary: what ``summary.json`` holds; None if the run was stopped before one was written.
    """

    directory: Path
    manifest: dict[str, Any]
    summary: dict[str, Any] | None

    def steps(self) -> Iterator[dict[str, Any]]:
        """The records of ``interactions.jsonl``, one per step, in the order in which they were written.

        The steps of one episode are in order; steps of episodes that ran side by side alternate. The first step of an
        episode also holds ``user_profile``.

        Raises:
            RunError: a record is damaged, missing or out of place; names the line.
        """
        return read_records(self.directory)

    def transcript(self) -> Iterator[dict[str, Any]]:
        """The exchanges with the language model, in the order of ``transcript.jsonl``.

        Each has ``episode``, ``step``, ``user``, ``place`` (in the slate) and ``item``; ``messages``, each with
        ``role`` and ``text``; ``options`` of the request; ``answer``, None where the request failed; ``usage``;
        ``cached``; and where there is something to say, ``error``, ``reasoning``, ``model`` and ``finished``.

        Raises:
            RunError: there is no transcript, or a line is damaged; names the line.
        """
        return read_transcript(self.directory)

    def _repr_html_(self) -> str:
        """The run in a notebook: what was recommended to whom, and the summary."""
        config = self.manifest["config"]
        policy = self.manifest["parts"].get("policy", {}).get("name", config["policy"])
        title = f"{self.directory}: a run of {config['plugin']} with the policy {policy}"
        complete = self.summary is not None and self.summary["complete"]
        note = "" if complete else f"The run is not complete. {continue_with('run', self.directory)}"
        return card(title, note, tables=[table(summary_rows(self.summary))] if self.summary else [])


def read_run(directory: str | Path) -> RecordedRun:
    """Read a run back: its manifest, its summary and its steps.

    Args:
        directory: the directory of the run, complete or not.

    Raises:
        RunError: the directory is no run, is damaged, or was written by a newer version.
    """
    directory = Path(directory)
    manifest = run_manifest(directory)
    summary = read_summary(directory) if (directory / SUMMARY).exists() else None
    return RecordedRun(directory, manifest, summary)
