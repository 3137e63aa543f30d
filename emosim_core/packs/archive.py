"""The file of a pack: a zip of a few known members, written the same each time, and read within bounds."""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from emosim_core.data import json_text
from emosim_core.data.bounds import FREE_BYTES, MAX_RATIO
from emosim_core.data.files import whole
from emosim_core.data.places import READ_ERRORS, opened_zip
from emosim_core.errors import DataError, RunError
from emosim_core.kinds import BLOCKS
from emosim_core.runs.plain import child, visible
from emosim_core.runs.reading import read_object
from emosim_core.runs.records import INTERACTIONS, MANIFEST, SUMMARY

FORMAT = 1
"""Format of the file that this version writes and reads."""

ABOUT = "pack.json"
ANSWERS = "answers.jsonl"
DATA = "data"

_WHAT = "a pack that 'emosim pack' wrote"
_MOST_BYTES = 16 * 2**30
"""Bytes that the members of a pack may have together."""

_CHUNK = 1 << 20
_DOCUMENT = 4 * 2**20
"""Bytes of a member that is read whole: what the pack says of itself, the manifest and the summary."""

_RECORDS = rf"{re.escape(INTERACTIONS)}|{BLOCKS}/(block-[0-9]{{6,12}}|_items|_users)\.parquet"
_KNOWN = re.compile(
    rf"{re.escape(ABOUT)}|{re.escape(MANIFEST)}|{re.escape(SUMMARY)}|{re.escape(ANSWERS)}|{_RECORDS}"
    rf"|{DATA}/[0-9]{{1,3}}/.+",
    re.DOTALL,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Digest(_Exact):
    """Size and content of a file.

    Attributes:
        bytes: its size.
        sha256: SHA-256 of its content, 64 hexadecimal digits.
    """

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class PackedModelName(_Exact):
    """What a pack says of the language model of its run; see :class:`~emosim_core.llm.packed.PackedOptions`."""

    identity: str = Field(min_length=1, max_length=4000)
    title: str = Field(max_length=4000)
    kind: str = Field(max_length=400)
    failures: dict[str, str] = {}


class DataSource(_Exact):
    """A file or a folder that the configuration of a run names by an option of a component.

    Attributes:
        field: the field of the component, such as ``"items"``.
        component: its name, such as ``"movielens"``.
        option: the option that holds the path.
        name: the last part of the path.
        number: the folder of ``data/`` that holds it; None where the pack does not.
        files: its files by their names within it, or ``"."`` for a file itself; None where there are too many.
    """

    field: str
    component: str
    option: str
    name: str
    number: int | None = Field(ge=0)
    files: dict[str, Digest] | None


class About(_Exact):
    """What ``pack.json`` says.

    Attributes:
        format: the format of the file.
        model: the language model; None for a run without one.
        answers: number of answers.
        records: the files that a run has written its steps to, also those that are not in the pack.
        members: all other members of the pack, and those of ``records`` that are in it.
        data: files and folders that the configuration names.
    """

    format: int
    model: PackedModelName | None
    answers: int = Field(ge=0)
    records: dict[str, Digest]
    members: dict[str, Digest]
    data: list[DataSource]


_ABOUT = TypeAdapter(About)


def digest_of(path: Path) -> Digest:
    """Size and SHA-256 of a file."""
    content, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while part := stream.read(_CHUNK):
            content.update(part)
            size += len(part)
    return Digest(bytes=size, sha256=content.hexdigest())


@contextmanager
def written(out: Path, members: Mapping[str, Path], about: Mapping[str, Any]) -> Iterator[Path]:
    """Write a pack beside ``out``, which it becomes if the body of the ``with`` succeeds.

    The same members give the same bytes: their order, times and modes are fixed.

    Args:
        members: files by their names in the pack.
        about: what ``pack.json`` says but for the digests of the members.

    Raises:
        RunError: it cannot be written, or a member is no plain file.
    """
    digests = {name: digest_of(path).model_dump() for name, path in sorted(members.items())}
    content = json_text.dumps({**about, "members": digests}, ensure_ascii=False, indent=1)
    _ABOUT.validate_python(json_text.loads(content))
    with whole(out) as partial:
        with zipfile.ZipFile(partial, "x", allowZip64=True) as archive:
            archive.writestr(_member(ABOUT), content.encode("utf-8", "backslashreplace") + b"\n")
            for name, path in sorted(members.items()):
                with path.open("rb") as source, archive.open(_member(name), "w", force_zip64=True) as target:
                    while part := source.read(_CHUNK):
                        target.write(part)
        yield partial


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _FIRST_DAY)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    return member


def unpack(file: Path, folder: Path) -> About:
    """Unpack a pack into a new folder; what it says of itself.

    Nothing outside the folder is written, whatever the names of the members are, and no member becomes absurdly large.

    Raises:
        DataError: the file is no pack, has members that no pack has, or is damaged.
        RunError: a newer version wrote it, or what it says of itself is wrong.
        OSError: the folder cannot be written.
    """
    folder.mkdir()
    with opened_zip(file, file, _WHAT) as archive:
        members = archive.infolist()
        if ABOUT not in archive.namelist():
            raise DataError(file, f"has no {ABOUT}; expected {_WHAT}")
        total = sum(max(one.file_size, 0) for one in members)
        if total > _MOST_BYTES or (total > FREE_BYTES and total > MAX_RATIO * file.stat().st_size):
            raise DataError(file, f"becomes {total:,} bytes when it is unpacked, which no pack does; nothing was read")
        for member in members:
            _check(file, member)
            _extract(file, archive, member, _place(file, folder, member.filename))
    about = read_object(folder / ABOUT, newest=FORMAT, schema=_ABOUT)
    _check_members(file, folder, about, [one.filename for one in members])
    return _ABOUT.validate_python(about)


def _check(file: Path, member: zipfile.ZipInfo) -> None:
    """See that a member is one that a pack has: a plain file of a known name, packed in a known way."""
    name, mode = member.filename, member.external_attr >> 16
    shown = visible(name[:80])
    if _KNOWN.fullmatch(name) is None:
        raise DataError(file, f"has a member {shown!r}, which no pack has; nothing of it was used")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise DataError(file, f"has a member {shown!r} that is no plain file; nothing of it was used")
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
        raise DataError(file, f"has a member {shown!r} that is encrypted or packed in another way than deflate")


def _place(file: Path, folder: Path, name: str) -> Path:
    """Where a member goes: within the folder, whatever its name is."""
    place = folder
    for part in name.split("/"):
        try:
            place = child(place, part)
        except RunError as error:
            raise DataError(
                file, f"has a member {visible(name[:80])!r}, which leads elsewhere; nothing of it was used"
            ) from error
    return place


def _extract(file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path) -> None:
    """Write a member, no byte more than its size says."""
    limit = _DOCUMENT if "/" not in member.filename and member.filename.endswith(".json") else _MOST_BYTES
    if member.file_size > limit:
        raise DataError(file, f"its {member.filename} has {member.file_size:,} bytes; at most {limit:,} are read")
    place.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    try:
        with archive.open(member) as source, place.open("xb") as target:
            while part := source.read(_CHUNK):
                size += len(part)
                if size > member.file_size:
                    raise DataError(file, f"its {visible(member.filename)} is larger than it says; the file is damaged")
                target.write(part)
    except FileExistsError as error:
        raise DataError(file, f"has two members in the place of {visible(member.filename)!r}") from error
    except READ_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(file, f"its {visible(member.filename)} is damaged: {error}") from error
    except ValueError as error:  # a name that the disk does not take
        raise DataError(file, f"its {visible(member.filename)!r} cannot be written: {error}") from error


def _check_members(file: Path, folder: Path, about: Mapping[str, Any], names: list[str]) -> None:
    """See that the pack has the members that it says, with the content that it says."""
    listed = about["members"]
    if strange := [name for name in about["records"] if re.fullmatch(_RECORDS, name) is None]:
        raise DataError(file, f"says that a run writes its steps to {visible(strange[0][:80])!r}, which none does")
    for name in sorted({*listed, *names} - {ABOUT}):
        if name not in listed or name not in names:
            which = "has" if name in names else "lacks"
            raise DataError(file, f"{which} the member {visible(name[:80])!r}, against what its {ABOUT} says")
        if digest_of(_place(file, folder, name)).model_dump() != listed[name]:
            raise DataError(file, f"its {visible(name[:80])} is not what its {ABOUT} says: the file was changed")
    for needed in (MANIFEST, SUMMARY, *([ANSWERS] if about["model"] is not None else [])):
        if needed not in names:
            raise DataError(file, f"has no {needed}; expected {_WHAT}")
