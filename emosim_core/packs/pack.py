"""Pack: writes a run to one file that replays without a key, a server or the address that answered."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError, EmoSimError, RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import by_field, component_table, over, with_component_table
from emosim_core.hooks.names import Request
from emosim_core.kinds import BLOCKS
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.gateway.cache import AnswerCache, default_cache_path
from emosim_core.packs.answers import write_answers
from emosim_core.packs.archive import ANSWERS, FORMAT, DataSource, Digest, PackedModelName, digest_of, written
from emosim_core.packs.replay import make_again
from emosim_core.packs.sources import NAMED, PACKABLE, members_of, parts_of, sources_of, with_path
from emosim_core.runs.job import MANIFEST, JobDirectory, write_file
from emosim_core.runs.plain import own_files
from emosim_core.runs.records import INTERACTIONS, SUMMARY, check_records, run_manifest, stored_config
from emosim_core.runs.records import read_summary as summary_of
from emosim_core.runs.trust import CommandHint, confirmed
from emosim_core.runs.typed import typed
from emosim_core.simulation.config import RunConfig, read_config

_OTHER_DATA = (f"{BLOCKS}/_items.parquet", f"{BLOCKS}/_users.parquet")
"""Records that hold all items and users of a run."""


@dataclass(frozen=True)
class Packed:
    """A pack that was written.

    Attributes:
        path: the file.
        answers: number of answers in it.
        redacted: of these, those in which a key was replaced.
        steps: steps of the run.
        named: data that the run read and the pack does not hold.
        checked: whether it was replayed.
    """

    path: Path
    answers: int
    redacted: int
    steps: int
    named: tuple[DataSource, ...]
    checked: bool


def pack(
    directory: str | Path,
    out: str | Path | None = None,
    *,
    with_data: bool = False,
    check: bool = True,
    given: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    again: CommandHint | None = None,
) -> Packed:
    """Write a complete run to one file, with the answers that it used, as ``emosim pack`` does.

    Args:
        directory: the directory of the run.
        out: the file to write; beside the directory, ``NAME-pack.zip``, if not given.
        with_data: whether the files of items and users that the run read are packed too.
        check: whether the pack is replayed before it is there.
        given: fields of the configuration that a run from elsewhere may not choose.
        registry: plugins to use; found anew if not given.
        again: how values are given again, for the message.

    Raises:
        RunError: the run is not complete, something that it used is gone, or the pack does not replay.
        ConfigurationError: ``out`` exists, or the run's language model is unknown.
        TrustError: the run is from elsewhere, and names what only its user may choose.
        DataError: the cache cannot be read.
    """
    directory = Path(directory)
    place = directory.resolve()
    out = place.with_name(f"{place.name}-pack.zip") if out is None else Path(out)
    registry = registry or Registry()
    if out.exists():
        raise ConfigurationError(f"{out} exists already; choose another file with --out")
    own_files(directory)
    manifest = run_manifest(directory)
    summary = summary_of(directory)
    if not summary["complete"]:
        raise RunError(f"{directory} is not complete; continue it first")
    check_records(directory)
    config = _confirmed(directory, given or {}, registry, again)
    made_with = {**manifest["config"], **config.model_dump(mode="json", include={*NAMED, "rater"})}
    domain = registry.resolve_domain(config.plugin).component.name
    with tempfile.TemporaryDirectory(prefix="emosim-pack-") as scratch:
        made = Path(scratch)
        members: dict[str, Path] = {}
        model, answers, redacted = None, 0, 0
        if manifest["uses_llm"]:
            rater = component_table(made_with["rater"], "llm")
            backend = _backend(rater, made_with["rater"], manifest.get("language_model"), registry, domain)
            model = PackedModelName(
                identity=backend.identity, title=backend.title or backend.identity, kind=backend.kind
            )
            cache = AnswerCache(_cache_path(rater), read_only=True)
            try:
                identities = (backend.identity, *backend.former_identities)
                answers, redacted, failures = write_answers(directory, identities, cache, made / ANSWERS)
            finally:
                cache.close()
            model = model.model_copy(update={"failures": failures})
            members[ANSWERS] = made / ANSWERS
        named, data, packed = _with_sources(made_with, registry, domain, with_data)
        members |= packed
        records = _records(directory)
        left_out = [] if with_data or not data else _OTHER_DATA
        members |= {name: directory / name for name in records if name not in left_out}
        published = _published(manifest, named, data)
        if model is not None:
            published["language_model"] = model.identity
        for name, content in ((MANIFEST, published), (SUMMARY, summary)):
            write_file(made / name, content)
            members[name] = made / name
        about = {
            "format": FORMAT,
            "model": None if model is None else model.model_dump(),
            "answers": answers,
            "records": {name: digest.model_dump() for name, digest in records.items()},
            "data": [one.model_dump() for one in data],
        }
        with written(out, members, about) as partial:
            if check:
                given = _given(made_with, [one for one in data if one.number is None], registry, domain)
                _check(partial, out, made / "replayed", given, registry)
    return Packed(
        out, answers, redacted, summary["steps"], tuple(one for one in data if one.number is None), checked=check
    )


def _confirmed(directory: Path, given: Mapping[str, Any], registry: Registry, again: CommandHint | None) -> RunConfig:
    """The configuration of a run, what its user gives over what the directory says; errors as of :func:`pack`."""
    stored = stored_config(directory, "run")
    own = by_field(RunConfig, given)
    hint = again or CommandHint(typed("pack", directory))
    values = confirmed(directory, over(RunConfig, own, stored), own, stored, (RunConfig,), registry, hint)
    return read_config(RunConfig, values, str(directory))


def _check(file: Path, out: Path, place: Path, given: Mapping[str, Any], registry: Registry) -> None:
    """Replay a pack that was written to ``file`` and will be ``out``, with the files that the run itself read."""
    try:
        make_again(file, JobDirectory(place, "replay", part=True), given, registry, trusted=True)
    except EmoSimError as error:
        message = str(error).replace(str(file), str(out))
        raise RunError(f"the pack does not replay here, so it was not written: {message}") from error


def _given(config: Mapping[str, Any], named: Sequence[DataSource], registry: Registry, domain: str) -> dict[str, Any]:
    """What the user of this machine gives to replay a pack that names these."""
    given: dict[str, Any] = {}
    for one in named:
        value = config[one.field]
        if one.component == "llm":
            given["llm"] = {one.option: component_table(value, "llm")[one.option]}
            continue
        parts = parts_of(NAMED[one.field], value, registry, domain).values()
        given[one.field] = next((part for part in parts if Request.read(part).name == one.component), value)
    return given


def _backend(table: Mapping[str, Any], rater: Any, identity: str | None, registry: Registry, domain: str) -> LLMBackend:
    """The backend of a run, which tells its identity; no request is made.

    Args:
        table: the options of the rater ``llm``, which may be one of a mixture; empty where there is none.

    Raises:
        RunError: it is not the model that the run was made with, whose ``identity`` this is.
    """
    if not table:
        name = Request.read(rater).name
        raise ConfigurationError(
            f"the rater {name!r} cannot be packed: emosim pack knows the rater 'llm', alone or in a mixture"
        )
    backend: LLMBackend = registry.resolve("llm_backend", table["model"], domain).build(LLMBackend)
    if identity not in (backend.identity, *backend.former_identities):
        raise RunError(
            f"the run was made with {identity!r}, and {table['model']!r} is {backend.identity!r} now: another version, "
            "or another file in its place"
        )
    return backend


def _cache_path(rater: Mapping[str, Any]) -> Path:
    cache = (rater.get("gateway") or {}).get("cache")
    return Path(cache).expanduser() if cache else default_cache_path()


def _with_sources(
    config: Mapping[str, Any], registry: Registry, domain: str, with_data: bool
) -> tuple[dict[str, Any], list[DataSource], dict[str, Path]]:
    """The configuration with the names of files in the place of their paths; these files; and members that hold them.

    A path says nothing on another machine, and much about this one.
    """
    config, described = dict(config), []
    members: dict[str, Path] = {}
    known: dict[str, dict[str, Digest] | None] = {}
    numbers: dict[str, int] = {}
    for source in list(sources_of(config, registry, domain)):
        number = None
        if with_data and source.field in PACKABLE:
            number = numbers.setdefault(source.path, len(numbers))
        one = source.described(number, known)
        if number is not None and one.files is None:
            raise RunError(f"{source.path} has too many files to be packed; leave out --with-data")
        if number is not None:
            members |= members_of(one, source.path)
        config = with_path(config, source, one.name, registry, domain)
        described.append(one)
    return config, described, members


def _published(manifest: Mapping[str, Any], config: Mapping[str, Any], data: Sequence[DataSource]) -> dict[str, Any]:
    """A manifest without what is of one machine alone: where the model is called, its cache, and paths."""
    rater, parts = config["rater"], json_text.loads(json_text.dumps(manifest["parts"]))
    if table := component_table(rater, "llm"):
        table = {name: table[name] for name in table if name not in ("model", "gateway")}
        config = {**config, "rater": with_component_table(rater, "llm", table)}
        _part_of(parts["rater"], "llm")["parts"]["model"]["options"] = {}
    for one in data:
        options = _part_of(parts.get(_PARTS[one.field], {}), one.component).get("options", {})
        if one.option in options:
            options[one.option] = one.name
    return {**manifest, "config": dict(config), "parts": parts}


_PARTS = {"items": "item_loader", "user_dataset": "user_loader", "rater": "rater", "policy": "policy"}
"""What the manifest calls the component of a field."""


def _part_of(part: dict[str, Any], name: str) -> dict[str, Any]:
    """The description of a component in a manifest, or of that of a name where it is a mixture with it."""
    inner = (one for one in part.get("parts", {}).values() if one["name"] == name)
    return part if part.get("name") == name else next(inner, part)


def _records(directory: Path) -> dict[str, Digest]:
    """The files that a run has written its steps to, by their names in its directory."""
    names = [INTERACTIONS] if (directory / INTERACTIONS).exists() else []
    if (directory / BLOCKS).is_dir():
        names += sorted(f"{BLOCKS}/{path.name}" for path in (directory / BLOCKS).glob("*.parquet"))
    return {name: digest_of(directory / name) for name in names}
