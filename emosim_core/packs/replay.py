"""Replay: makes the run of a pack again, from the pack's answers alone, and compares it with the pack's records."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from emosim_core.data.files import scratch
from emosim_core.errors import ConfigurationError, DataError, EmoSimError, LLMReplayError, RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import by_field, component_table, over, with_component_table
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.packs.answers import read_answers
from emosim_core.packs.archive import ANSWERS, DATA, About, DataSource, digest_of, unpack
from emosim_core.packs.sources import (
    PACKABLE,
    Source,
    parts_of,
    reaches_alone,
    sources_of,
    with_options,
    with_path,
)
from emosim_core.runs.job import MANIFEST, JobDirectory
from emosim_core.runs.plain import child, visible
from emosim_core.runs.records import INTERACTIONS, read_summary, run_manifest
from emosim_core.runs.runner import Run
from emosim_core.runs.trust import CommandHint, confirmed
from emosim_core.runs.typed import typed
from emosim_core.simulation.config import RunConfig, read_config

_OF_ONE_MACHINE = ("usage", "seconds", "steps_per_second", "language_model", "answered_by")
"""What the summaries of two runs that are the same may differ in."""

_CACHE = "answers.sqlite3"


@dataclass(frozen=True)
class Replayed:
    """A run that was made again and is the same.

    Attributes:
        directory: its directory.
        summary: its summary.
        answers: number of answers in the pack.
        records: number of files of records that were compared.
        beside: the folder with what the run reads from the pack; None where it reads nothing.
    """

    directory: Path
    summary: dict[str, Any]
    answers: int
    records: int
    beside: Path | None


def replay(file: str | Path, out: str | Path, *, given: Mapping[str, Any] | None = None) -> Replayed:
    """Make the run of a pack again in a new directory, as ``emosim replay`` does, and see that it is the same.

    No model is called: the answers of the pack rate.

    Args:
        file: the pack, as :func:`emosim_core.pack` wrote it.
        out: the directory of the run.
        given: fields of the configuration that the pack names and does not hold, such as ``items``, or may not choose.

    Raises:
        DataError: the file is no pack, or damaged.
        TrustError: the pack names code, hosts or paths that were not given.
        ConfigurationError: data of the run is neither in the pack nor given, or a plugin's component is missing.
        RunError: the run cannot be made, or it is not the one in the pack; says what differs.
        LLMError: an :class:`~emosim_core.llm.LLMReplayError`: the run asks what has no answer in the pack.
    """
    return make_again(Path(file), JobDirectory(Path(out), "run", part=True), given or {}, Registry())


def make_again(
    file: Path,
    job: JobDirectory,
    given: Mapping[str, Any],
    registry: Registry,
    *,
    trusted: bool = False,
    again: CommandHint | None = None,
    play: Callable[[Run], dict[str, Any]] = Run.run,
) -> Replayed:
    """Make the run of a pack again in a new directory; errors as of :func:`replay`.

    What the run reads from the pack is put beside its directory.

    Args:
        trusted: whether the user has given the whole configuration of the pack before.
        again: how values are given again.
        play: simulates the run.
    """
    if not file.is_file():
        raise DataError(file, "no such file; expected a pack that 'emosim pack' wrote")
    beside = job.path.with_name(f"{job.path.name}-pack")
    if os.path.lexists(beside):
        raise ConfigurationError(f"{beside} exists already; choose another place with --out")
    with _folder(beside.parent), scratch(beside) as unpacked, _named(file, unpacked):
        about = unpack(file, unpacked)
        manifest, summary = run_manifest(unpacked), read_summary(unpacked)
        domain = registry.resolve_domain(manifest["config"]["plugin"]).component.name
        stored, own = _configuration(file, about, manifest, beside, registry, domain)
        given = by_field(RunConfig, given)
        mixed = _in_mixture(about, given, stored, registry, domain)
        other = {name for name in ("rater", "llm_model", "gateway") if name in mixed and mixed[name] is given[name]}
        if about.model is not None and other:
            raise ConfigurationError(
                f"{file} brings the answers of its model, and no other is called: leave out {min(other)}"
            )
        _check_given(file, about, given)
        values = over(RunConfig, mixed, stored)
        if not trusted:
            hint = again or CommandHint(typed("replay", file))
            paths = {*_packed_paths(about, beside), *_texts(given.get("rater"), registry, domain)}
            if mixed.get("rater") is not given.get("rater") and reaches_alone(
                "rater", mixed["rater"], paths, registry, domain
            ):  # what else the mixture names, the user did not give
                given = mixed
            values = confirmed(file, values, {**own, **given}, stored, (RunConfig,), registry, hint)
        config = read_config(RunConfig, values, str(file))
        with _beside(beside, job):
            _put(about, unpacked, beside)
            run = Run(config, job, registry=registry)
            differing = _versions(manifest, run.manifest)
            try:
                _check_world(file, about, manifest, run, differing)
            except EmoSimError:
                run.directory.abandon()
                run.world.close()
                raise
            try:
                made = play(run)
            except LLMReplayError as error:
                raise LLMReplayError(
                    f"{file} has no answer to a request of this run, and no model is called: the run is not the one "
                    f"that was packed{differing}"
                ) from error
        _compare(file, about, unpacked, job.path, (summary, made), differing)
    return Replayed(job.path, made, about.answers, len(about.records), beside if beside.exists() else None)


def _configuration(
    file: Path, about: About, manifest: Mapping[str, Any], beside: Path, registry: Registry, domain: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration of a pack by field, with what is from the pack in its place; and that part of it."""
    config, rater = dict(manifest["config"]), manifest["config"].get("rater")
    if manifest["uses_llm"] != (about.model is not None):
        raise DataError(file, "has answers of a language model and a run without one, or the reverse")
    if about.model is not None:
        table = component_table(rater, "llm")
        if not table:
            raise DataError(file, "has answers of a language model, and a run whose rater is another")
        model = {"name": "packed", **about.model.model_dump()}
        gateway = {"replay": True, "cache": str((beside / _CACHE).absolute())}
        config["rater"] = with_component_table(rater, "llm", {**table, "model": model, "gateway": gateway})
    known = {(one.field, one.component, one.option) for one in sources_of(config, registry, domain)}
    paths: dict[str, set[str]] = {}
    for one in about.data:
        if (one.field, one.component, one.option) not in known:
            raise DataError(
                file, f"says that {visible(one.field)} of its configuration names a file, which it does not"
            )
        if one.number is not None and one.field in PACKABLE:
            path = str(_packed_path(beside, one).absolute())
            config = with_path(config, Source(one.field, one.component, one.option, ""), path, registry, domain)
            paths.setdefault(one.field, set()).add(path)
    stored = by_field(RunConfig, config)
    own = {
        field: stored[field]
        for field, those in paths.items()
        if field in stored and reaches_alone(PACKABLE[field], stored[field], those, registry, domain)
    }
    if about.model is not None:
        own |= {name: stored[name] for name in ("llm_model", "gateway")}
        if prior := paths.get("rater", set()) & {str((stored.get("llm") or {}).get("prior"))}:
            own["llm"] = {"prior": prior.pop()}
    return stored, own


def _packed_path(folder: Path, source: DataSource) -> Path:
    """Where a source of the pack is, in the folder that the pack's data is put into."""
    return child(folder / DATA / str(source.number), source.name)


def _check_given(file: Path, about: About, given: Mapping[str, Any]) -> None:
    """See that what the run read and the pack does not hold was given."""
    missing = [one for one in about.data if one.number is None and not _is_given(one, given)]
    if not missing:
        return
    lines = [f"{file} names data that it does not hold:"]
    options: dict[str, str] = {}
    for one in missing:
        lines.append(f"  {one.field}: {visible(one.component)}, {one.option} {visible(one.name)}{_content(one)}")
        option = "--llm.prior" if one.component == "llm" else f"--{one.field.replace('_', '-')}"
        options[option] = "PATH" if one.component == "llm" else f"{visible(one.component)}:PATH"
    again = " ".join(f"{option} {value}" for option, value in options.items())
    lines += ["Give it where it is on this machine:", f"  {typed('replay', file)} {again}"]
    raise ConfigurationError("\n".join(lines))


def _in_mixture(
    about: About, given: Mapping[str, Any], stored: Mapping[str, Any], registry: Registry, domain: str
) -> dict[str, Any]:
    """What is given, where the rater in it is one of those in the run's mixture, given again for its files: the mixture
    with it."""
    if None in (given.get("rater"), stored.get("rater")) or not parts_of("rater", stored["rater"], registry, domain):
        return dict(given)
    component, _, written = registry.written("rater", given["rater"], domain)
    named = {one.component: one for one in about.data if one.field == "rater" and one.number is None}
    if component.name not in named:
        return dict(given)
    rater = with_options(stored["rater"], named[component.name], written, registry, domain)
    return {**given, "rater": rater}


def _texts(rater: Any, registry: Registry, domain: str) -> list[str]:
    """The texts among the options of a rater that is given."""
    if rater is None:
        return []
    return [one for one in registry.written("rater", rater, domain)[2].values() if isinstance(one, str)]


def _packed_paths(about: About, beside: Path) -> list[str]:
    """Where files of raters are that the pack holds."""
    held = (one for one in about.data if one.field == "rater" and one.number is not None)
    return [str(_packed_path(beside, one).absolute()) for one in held]


def _is_given(source: DataSource, given: Mapping[str, Any]) -> bool:
    if source.component == "llm":
        return (given.get("llm") or {}).get("prior") is not None
    return given.get(source.field) is not None


def _content(source: DataSource) -> str:
    """What a source is, by its digests."""
    files = source.files
    if not files:
        return ""
    if set(files) == {"."}:
        return f" ({files['.'].bytes:,} bytes, SHA-256 {files['.'].sha256})"
    shown = [f"{visible(name)} SHA-256 {one.sha256[:16]}..." for name, one in list(files.items())[:5]]
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    return f" ({', '.join(shown)}{more})"


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make the folder in which a run is to be; it goes again if nothing comes into it."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for one in missing:
                one.rmdir()


@contextmanager
def _named(file: Path, unpacked: Path) -> Iterator[None]:
    """Let errors name the pack where they name the folder in which it is looked at."""
    try:
        yield
    except EmoSimError as error:
        error.args = tuple(one.replace(str(unpacked), str(file)) if isinstance(one, str) else one for one in error.args)
        raise


@contextmanager
def _beside(beside: Path, job: JobDirectory) -> Iterator[None]:
    """Take away what was put beside a run if there is no run in the end."""
    try:
        yield
    except BaseException:
        if not (job.path / MANIFEST).exists():
            shutil.rmtree(beside, ignore_errors=True)
        raise


def _put(about: About, unpacked: Path, beside: Path) -> None:
    """Put what a run reads from a pack beside its directory."""
    if about.model is None and not (unpacked / DATA).exists():
        return
    beside.mkdir()
    if (unpacked / DATA).exists():
        os.rename(unpacked / DATA, beside / DATA)
    if about.model is not None:
        cache = AnswerCache(beside / _CACHE)
        try:
            count = read_answers(unpacked / ANSWERS, about.model.identity, cache)
        finally:
            cache.close()
        if count != about.answers:
            raise DataError(unpacked / ANSWERS, f"has {count:,} answers; the pack says {about.answers:,}")


def _check_world(file: Path, about: About, manifest: Mapping[str, Any], run: Run, differing: str) -> None:
    """See that a run is about the same items and users, and that nothing but the pack answers."""
    if run.world.rater.uses_llm and about.model is None:
        raise ConfigurationError(f"{file} has no answers of a language model, and {run.world.answered_by} rates")
    for what in ("items", "users"):
        key = f"{what}_sha256"
        then, now = manifest["data"].get(key), run.manifest["data"][key]
        if then != now:
            raise RunError(
                f"these are other {what} than those of {file}: {run.manifest['data'][what]:,} with the SHA-256 "
                f"{now[:16]}..., {manifest['data'].get(what)} with {str(then)[:16]}... then{differing}"
            )


def _versions(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The versions that differ between two runs, as the end of a sentence."""
    old, new = then.get("versions", {}), now["versions"]
    differing = [f"{name} {old[name]} then, {new[name]} now" for name in new if name in old and old[name] != new[name]]
    return f" ({visible('; '.join(differing)[:1000])})" if differing else ""


def _compare(
    file: Path,
    about: About,
    unpacked: Path,
    made: Path,
    summaries: tuple[Mapping[str, Any], Mapping[str, Any]],
    differing: str,
) -> None:
    """See that the records and the summary of a run are those of its pack; a RunError that says what differs."""
    for name, digest in about.records.items():
        path = made.joinpath(*name.split("/"))
        if not path.is_file() or digest_of(path) != digest:
            where = _first_difference(unpacked / name, path) if name == INTERACTIONS else ""
            raise RunError(
                f"{path} is not what {file} holds{where}: the run that was made again is another one{differing}"
            )
    then, now = ({name: one[name] for name in one if name not in _OF_ONE_MACHINE} for one in summaries)
    if then != now:
        names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
        raise RunError(
            f"{made}: the summary differs from that of {file} in {', '.join(map(visible, names))}{differing}"
        )


def _first_difference(then: Path, now: Path) -> str:
    """Where two files of lines differ first."""
    if not then.is_file() or not now.is_file():
        return ""
    with then.open("rb") as old, now.open("rb") as new:
        for number, (one, other) in enumerate(zip_longest(old, new), start=1):
            if one != other:
                return f", from line {number} on"
    return ""
