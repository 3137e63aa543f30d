"""Packs: a run travels in one file and is made again without a model; a hostile or damaged pack does nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emosim_core.errors import DataError, EmoSimError
from emosim_core.hooks import Registry
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.packs.archive import unpack
from emosim_core.packs.sources import reaches_alone
from emosim_core.testing import Answer, ChatServer, Emosim

KEY = "sk-0fAk3kEyF0rTests9qZ7"
SMALL = ("--episodes", "4", "--max-steps", "3", "--num-envs", "4", "--quiet")
FILMS = "id,title,year,genres,public_rating,votes\n" + "".join(
    f"f{n},Film {n},{1990 + n},drama|comedy,{5 + n % 5}.5,{100 * n}\n" for n in range(1, 13)
)

Changes = Mapping[str, bytes | Callable[[bytes], bytes] | None]


def answer(body: dict[str, Any]) -> str:
    """What the model says: 0 to 9, by the question."""
    return str(hashlib.sha256(body["messages"][-1]["content"].encode()).digest()[0] % 10)


@dataclass(frozen=True)
class Published:
    """A run that a model on a server rated, its pack, and the server, which is stopped.

    Attributes:
        emosim: the command line of who made it.
        calls: calls of the server until it was stopped.
    """

    emosim: Emosim
    calls: list[dict[str, Any]]

    @property
    def pack(self) -> Path:
        return self.emosim.folder / "run-pack.zip"

    def bytes(self, name: str = "run/interactions.jsonl") -> bytes:
        return (self.emosim.folder / name).read_bytes()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("published")
    (folder / "site").mkdir()
    emosim = Emosim(folder, folder / "site", {"OPENAI_API_KEY": KEY})
    with ChatServer(answer) as server:
        model = ("--llm-model", f"openai:model=rater,base_url={server.url},api_key_env=OPENAI_API_KEY")
        emosim("run", "--plugin", "movies", *model, "--seed", "1", "--out", "run", *SMALL, timeout=300)
        emosim("run", "--plugin", "movies", *model, "--seed", "2", "--out", "another", *SMALL, timeout=300)
        calls = [call.body for call in server.calls]
    emosim("pack", "run", timeout=300)
    return Published(emosim, calls)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Emosim:
    """The command line on another machine: another home, no plugin of a model, no key, no network."""
    site = tmp_path / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(
        "import sys\n\ndef refuse(event, arguments):\n"
        "    if event == 'socket.connect':\n        raise RuntimeError(f'a connection to {arguments[1]!r}')\n\n"
        "sys.addaudithook(refuse)\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    return Emosim(tmp_path, site, {"HOME": str(home), "EMOSIM_PLUGINS": "movies"})


@pytest.fixture
def maker(published: Published, quick: Emosim, monkeypatch: pytest.MonkeyPatch) -> Emosim:
    """Who made the run, in this process."""
    folder = published.emosim.folder
    monkeypatch.chdir(folder)
    places = {"EMOSIM_CACHE_DIR": str(folder / "cache"), "EMOSIM_STATE_DIR": str(folder / "state")}
    return replace(quick, folder=folder, variables={**published.emosim.variables, **places})


def changed(pack: Path, out: Path, changes: Changes, *, honest: bool = True) -> Path:
    """A pack with other members; ``honest`` if it says so itself, as its digests do."""
    with zipfile.ZipFile(pack) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, change in changes.items():
        content = change(members[name]) if callable(change) else change
        members[name] = b"" if content is None else content
        if content is None:
            del members[name]
    about = json.loads(members["pack.json"])
    if honest:
        about["members"] = {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in members.items()
            if name != "pack.json"
        }
        members["pack.json"] = json.dumps(about).encode()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out


def _text(messages: list[dict[str, str]]) -> str:
    return "|".join(f"{one['role']}: {one['content']}" for one in messages)


def edited(**values: Any) -> Callable[[bytes], bytes]:
    """Sets fields of the configuration in a manifest."""

    def edit(content: bytes) -> bytes:
        manifest = json.loads(content)
        manifest["config"] |= values
        return json.dumps(manifest).encode()

    return edit


# ----------------------------------------------------------------------------------------------- a run travels


def test_a_run_is_made_again_elsewhere_to_the_byte_without_a_key_a_server_or_its_plugin(
    published: Published, elsewhere: Emosim
) -> None:
    shutil.copy(published.pack, elsewhere.folder / "p.zip")
    done = elsewhere("replay", "p.zip", "--out", "again", timeout=300)
    assert "the same to the byte" in done.out
    assert (elsewhere.folder / "again/interactions.jsonl").read_bytes() == published.bytes()
    transcripts = [
        [{**json.loads(line), "cached": None} for line in path.read_bytes().splitlines()]
        for path in (elsewhere.folder / "again/transcript.jsonl", published.emosim.folder / "run/transcript.jsonl")
    ]
    assert transcripts[0] == transcripts[1]
    summary = json.loads((elsewhere.folder / "again/summary.json").read_text())
    assert (summary["usage"]["calls"], summary["language_model"]) == (0, "openai rater")


def test_a_replayed_run_is_a_run(published: Published, receiver: Emosim) -> None:
    """It can be reported on and is complete; its directory is never written twice."""
    receiver("replay", published.pack, "--out", "again", "--quiet")
    assert "nothing was left to do" in receiver("run", "--resume", "again").out
    receiver("show", "again", "--episode", "0")
    receiver("report", "again")
    assert "again exists already" in receiver("replay", published.pack, "--out", "again", status=2).err


def test_a_pack_holds_the_answers_that_the_run_used_and_no_key_address_or_path(published: Published) -> None:
    with zipfile.ZipFile(published.pack) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert set(members) == {"pack.json", "manifest.json", "summary.json", "interactions.jsonl", "answers.jsonl"}
    assert members["interactions.jsonl"] == published.bytes()
    entries = [json.loads(line) for line in members["answers.jsonl"].splitlines()]
    requests = {_text(one["request"]["messages"]) for one in entries}
    asked = {_text(call["messages"]) for call in published.calls}
    steps = len(published.bytes().splitlines())
    assert len(entries) == len(requests) <= steps
    assert requests < asked  # those of the other run are not in it
    assert KEY.encode() not in b"".join(members.values())
    config = json.loads(members["manifest.json"])["config"]
    assert not {"model", "gateway"} & config["rater"].keys()
    assert str(published.emosim.folder).encode() not in b"".join(members.values())
    assert b"base_url" not in b"".join(members.values())


def test_the_same_run_is_packed_to_the_same_bytes(published: Published, maker: Emosim) -> None:
    maker("pack", "run", "--out", "twice.zip", "--no-check")
    assert published.bytes("twice.zip") == published.pack.read_bytes()
    refused = maker("pack", "run", "--out", "twice.zip", status=2)
    assert "twice.zip exists already" in refused.err


def test_a_run_without_a_language_model_travels_too(quick: Emosim) -> None:
    quick("run", "--plugin", "movies", "--episodes", "2", "--max-steps", "3", "--out", "r", "--quiet")
    packed = quick("pack", "r", "--json").json
    assert (packed["answers"], packed["checked"]) == (0, True)
    replayed = quick("replay", "r-pack.zip", "--out", "again")
    assert "the same to the byte" in replayed.out
    assert not (quick.folder / "again-pack").exists()


def test_records_in_parquet_travel_too(quick: Emosim) -> None:
    pytest.importorskip("pyarrow")
    options = ("--plugin", "movies", "--episodes", "2", "--max-steps", "3", "--quiet")
    quick("run", *options, "--records", "parquet", "--out", "r")
    quick("pack", "r", "--no-check")
    quick("replay", "r-pack.zip", "--out", "again", "--quiet")
    for path in (quick.folder / "r/interactions").iterdir():
        assert (quick.folder / "again/interactions" / path.name).read_bytes() == path.read_bytes()


def test_a_failed_request_is_part_of_the_run_and_fails_in_the_same_words(quick: Emosim, receiver: Emosim) -> None:
    def refuse_some(body: dict[str, Any]) -> str | Answer:
        said = answer(body)
        return Answer(refusal=f"I never say {said}") if said in "123" else said

    with ChatServer(refuse_some) as server:
        skip = ("--on-failed-rating", "skip", "--seed", "1", "--out", "r", *SMALL)
        quick("run", "--plugin", "movies", "--llm-model", f"{server.url}#rater", *skip)
    summary = json.loads((quick.folder / "r/summary.json").read_text())
    assert 0 < summary["failed_ratings"] < summary["steps"]
    quick("pack", "r", "--no-check")
    done = receiver("replay", "r-pack.zip", "--out", "again", "--json").json
    assert done["failed_ratings"] == summary["failed_ratings"]
    again = (quick.folder / "again/interactions.jsonl").read_bytes()
    assert again == (quick.folder / "r/interactions.jsonl").read_bytes()
    assert b"I never say" in again
    transcripts = [
        [{**json.loads(line), "cached": None, "usage": None} for line in path.read_bytes().splitlines()]
        for path in (quick.folder / name / "transcript.jsonl" for name in ("r", "again"))
    ]
    assert transcripts[0] == transcripts[1]
    assert quick("pack", "again", "--out", "second.zip", "--json").json["answers"] > 0


def test_a_request_that_failed_once_and_was_answered_later_is_not_packed(quick: Emosim) -> None:
    with ChatServer(lambda body: "7") as server:
        quick("run", "--plugin", "movies", "--llm-model", f"{server.url}#rater", "--out", "r", *SMALL)
    path = quick.folder / "r/transcript.jsonl"
    *rest, last = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*rest, last, json.dumps({**json.loads(last), "answer": None, "error": "gone"}) + "\n"]))
    assert "which a replay cannot tell apart" in quick("pack", "r", status=2).err


@pytest.mark.parametrize(
    ("raters", "alone"),
    [
        ({"llm": {"weight": 0.5}, "fitted": {"weight": 0.5, "path": "mine"}}, True),
        ({"rule_based": {"weight": 0.5, "noise": 0}, "fitted": {"weight": 0.5, "path": "mine"}}, True),
        ({"rule_based": 0.5, "fitted": {"weight": 0.5, "path": "/etc"}}, False),
        ({"llm": {"weight": 0.5, "model": "local:x"}, "fitted": {"weight": 0.5, "path": "mine"}}, False),
        ({"llm": {"weight": 0.5, "prior": "/etc/x"}, "fitted": {"weight": 0.5, "path": "mine"}}, False),
    ],
)
def test_who_gives_the_files_of_one_rater_lets_a_mixture_reach_nothing_else(
    raters: dict[str, Any], alone: bool
) -> None:
    mixture = {"name": "mix", "raters": raters}
    assert reaches_alone("rater", mixture, {"mine"}, Registry(), "movies") is alone


@pytest.mark.parametrize("with_data", [True, False])
def test_a_mixture_travels_with_the_files_of_its_raters_or_gets_them_again(
    quick: Emosim, receiver: Emosim, people: Path, movielens: Path, with_data: bool
) -> None:
    mine = quick.folder / "private"
    shutil.copytree(people, mine)
    films = ("--items", f"movielens:{movielens}", "--embeddings", "lexical")
    mixture = "mix:llm=0.5,fitted:private=0.5,fitted.noise=0.5"
    with ChatServer(answer) as server:
        quick("run", "--plugin", "movies", *films, "--users", "fitted:private", "--rater", mixture,
              "--llm-model", f"{server.url}#rater", "--out", "r", *SMALL)  # fmt: skip
    raters = json.loads((quick.folder / "r/summary.json").read_text())["raters"]
    assert [raters[name]["users"] > 0 for name in ("llm", "fitted")] == [True, True]
    quick("pack", "r", *(["--with-data"] if with_data else []))
    with zipfile.ZipFile(quick.folder / "r-pack.zip") as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert str(quick.folder).encode() not in whole
    assert b"base_url" not in whole
    mine.rename(quick.folder / "elsewhere")
    given: tuple[str, ...] = ()
    if not with_data:
        missing = receiver("replay", "r-pack.zip", "--out", "again", status=2).err
        assert "--users fitted:PATH" in missing or "--user-dataset fitted:PATH" in missing
        assert "--rater fitted:PATH" in missing
        given = (*films[:2], "--users", "fitted:elsewhere", "--rater", "fitted:elsewhere")
        other = receiver("replay", "r-pack.zip", *given, "--rater", "rule_based", "--out", "again", status=2).err
        assert "no other is called: leave out rater" in other
    receiver("replay", "r-pack.zip", *given, "--out", "again", "--quiet")
    same = [(quick.folder / name / "interactions.jsonl").read_bytes() for name in ("r", "again")]
    assert same[0] == same[1]


# ------------------------------------------------------------------------------------------- items, users and others


@pytest.fixture
def films(quick: Emosim) -> Iterator[Emosim]:
    """A run of films of a file, rated by a model; the file lies in a folder of its own."""
    (quick.folder / "private").mkdir()
    (quick.folder / "private/films.csv").write_text(FILMS)
    with ChatServer(answer) as server:
        model = ("--llm-model", f"{server.url}#rater")
        films = ("--items", "csv:private/films.csv", "--embeddings", "lexical")
        quick("run", "--plugin", "movies", *films, *model, "--out", "r", *SMALL)
        yield quick


def test_files_of_items_are_named_with_their_digest_and_given_again(films: Emosim) -> None:
    packed = films("pack", "r").out
    assert "Not in it: items (csv, films.csv)" in packed
    shutil.move(films.folder / "private/films.csv", films.folder / "mine.csv")
    missing = films("replay", "r-pack.zip", "--out", "again", status=2).err
    assert hashlib.sha256(FILMS.encode()).hexdigest() in missing
    assert "emosim replay r-pack.zip --items csv:PATH" in missing
    films("replay", "r-pack.zip", "--out", "again", "--items", "csv:mine.csv", "--quiet")
    same = [(films.folder / name / "interactions.jsonl").read_bytes() for name in ("r", "again")]
    assert same[0] == same[1]
    (films.folder / "mine.csv").write_text(FILMS.replace("Film 3", "Film three"))
    other = films("replay", "r-pack.zip", "--out", "other", "--items", "csv:mine.csv", status=2).err
    assert "these are other items than those of r-pack.zip: 12 with the SHA-256" in other
    assert not (films.folder / "other").exists()
    assert not (films.folder / "other-pack").exists()


def test_files_of_items_travel_with_the_pack_where_that_is_wanted(films: Emosim) -> None:
    films("pack", "r", "--with-data")
    shutil.rmtree(films.folder / "private")
    films("replay", "r-pack.zip", "--out", "again", "--quiet")
    same = [(films.folder / name / "interactions.jsonl").read_bytes() for name in ("r", "again")]
    assert same[0] == same[1]
    assert (films.folder / "again-pack/data/0/films.csv").read_text() == FILMS


def test_another_path_beside_a_packed_one_is_not_read(films: Emosim) -> None:
    """A pack that names one file of its own, and sneaks another one in."""
    films("pack", "r", "--with-data")
    secret = films.folder / "secret.csv"
    secret.write_text("id,age\nu1,30\n")
    users = {"name": "csv", "path": str(secret)}
    hostile = changed(
        films.folder / "r-pack.zip", films.folder / "h.zip", {"manifest.json": edited(user_dataset=users)}
    )
    refused = films("replay", hostile, "--out", "again", status=2).err
    assert "user_dataset" in refused
    assert "Nothing of this was used" in refused
    assert not (films.folder / "again-pack").exists()


# -------------------------------------------------------------------------------------------- what cannot be packed


def test_what_cannot_be_packed_says_why(maker: Emosim, tmp_path: Path) -> None:
    moved = maker.folder / "moved"
    shutil.copytree(maker.folder / "run", moved)
    refused = maker("pack", "moved", status=2).err
    assert "llm_model" in refused
    assert "emosim pack moved --llm-model" in refused
    (maker.folder / "run/transcript.jsonl").rename(tmp_path / "transcript.jsonl")
    try:
        assert "has no transcript.jsonl" in maker("pack", "run", "--out", "x.zip", status=2).err
    finally:
        (tmp_path / "transcript.jsonl").rename(maker.folder / "run/transcript.jsonl")
    records = maker.folder / "run/interactions.jsonl"
    before = records.read_bytes()
    records.write_bytes(before.replace(b'"reward":', b'"reward":1', 1))
    try:
        edited_run = maker("pack", "run", "--out", "x.zip", status=2).err
    finally:
        records.write_bytes(before)
    assert "the pack does not replay here, so it was not written" in edited_run
    assert "is not what x.zip holds, from line 1 on" in edited_run
    empty = maker("pack", "run", "--out", "x.zip", "--llm-cache", tmp_path / "none.sqlite3", status=2).err
    assert "lacks" in empty
    assert "--llm-cache" in empty
    assert not (maker.folder / "x.zip").exists()


def test_a_run_that_is_not_complete_is_not_packed(quick: Emosim) -> None:
    quick("run", "--plugin", "movies", "--episodes", "2", "--max-steps", "3", "--out", "r", "--quiet")
    summary = json.loads((quick.folder / "r/summary.json").read_text())
    (quick.folder / "r/summary.json").write_text(json.dumps({**summary, "complete": False}))
    assert "is not complete" in quick("pack", "r", status=2).err


# --------------------------------------------------------------------------------------- damaged and hostile packs


@pytest.fixture
def receiver(quick: Emosim) -> Emosim:
    """Who receives packs: the same process, without the plugin of the model."""
    return replace(quick, variables={"EMOSIM_PLUGINS": "movies"})


def test_a_question_that_is_not_in_the_pack_is_an_error_and_no_call(
    published: Published, receiver: Emosim, tmp_path: Path
) -> None:
    fewer = changed(
        published.pack,
        tmp_path / "fewer.zip",
        {
            "answers.jsonl": lambda content: b"".join(content.splitlines(keepends=True)[:-1]),
            "pack.json": lambda content: json.dumps(
                (about := json.loads(content)) | {"answers": about["answers"] - 1}
            ).encode(),
        },
    )
    refused = receiver("replay", fewer, "--out", "again", "--quiet", status=2).err
    assert "has no answer to a request of this run, and no model is called" in refused


def test_another_answer_makes_another_run_which_is_said(published: Published, receiver: Emosim, tmp_path: Path) -> None:
    def other(content: bytes) -> bytes:
        first, *rest = content.splitlines(keepends=True)
        entry = json.loads(first)
        entry["answer"] = {"text": str((int(entry["answer"]["text"]) + 3) % 10)}
        return json.dumps(entry).encode() + b"\n" + b"".join(rest)

    hostile = changed(published.pack, tmp_path / "o.zip", {"answers.jsonl": other})
    refused = receiver("replay", hostile, "--out", "again", "--quiet", status=2).err
    assert "no answer to a request" in refused or "is not what" in refused


@pytest.mark.parametrize("option", ["--rater=rule_based", "--rater=llm:openai:rater"])
def test_another_rater_in_the_place_of_the_packed_answers_is_refused(
    published: Published, receiver: Emosim, option: str
) -> None:
    refused = receiver("replay", published.pack, "--out", "again", option, status=2).err
    assert "brings the answers of its model, and no other is called: leave out" in refused
    assert not (receiver.folder / "again").exists()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"items": "csv:/etc/passwd"}, "items"),
        ({"policy": "python:evil.py:run"}, "policy"),
        ({"policy": "http://10.0.0.5/"}, "policy"),
        ({"embeddings": "sentence-transformers:evil/model"}, "embeddings"),
        ({"user_dataset": {"name": "csv", "path": "/etc/passwd"}}, "user_dataset"),
        ({"rater": {"name": "llm", "prior": "/etc/passwd", "reading": "prior_corrected"}}, "llm.prior"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_pack_says_chooses_no_code_host_or_path(
    published: Published, receiver: Emosim, tmp_path: Path, values: dict[str, Any], named: str
) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    hostile = changed(published.pack, tmp_path / "h.zip", {"manifest.json": edited(**values)})
    before = set(tmp_path.iterdir())
    refused = receiver("replay", hostile, status=2).err
    assert f"{named} = " in refused
    assert "Nothing of this was used" in refused
    assert set(tmp_path.iterdir()) == before


def test_a_pack_cannot_have_a_model_called(published: Published, quick: Emosim, tmp_path: Path) -> None:
    """Neither by a model that it names beside its answers, nor by one in the place of them."""
    with ChatServer(answer) as server:
        rater = {"name": "llm", "model": f"{server.url}#m", "gateway": {"replay": False, "cache": str(tmp_path / "c")}}
        beside = changed(published.pack, tmp_path / "a.zip", {"manifest.json": edited(rater=rater)})
        quick("replay", beside, "--out", "a", "--quiet")  # its own answers are used, whatever it names

        def without(content: bytes) -> bytes:
            return json.dumps({**json.loads(content), "model": None, "answers": 0}).encode()

        def no_llm(content: bytes) -> bytes:
            manifest = json.loads(edited(rater=rater)(content))
            return json.dumps({**manifest, "uses_llm": False, "language_model": None}).encode()

        instead = changed(
            published.pack,
            tmp_path / "b.zip",
            {"answers.jsonl": None, "pack.json": without, "manifest.json": no_llm},
        )
        assert "llm_model = " in quick("replay", instead, "--out", "b", status=2).err
        insisted = quick("replay", instead, "--out", "b", "--rater", f"llm:{server.url}#m", status=2).err
        assert not server.calls
    assert "gateway.cache = " in insisted or "has no answers of a language model" in insisted
    assert not (tmp_path / "c").exists()


def test_answers_of_another_model_are_refused(published: Published, receiver: Emosim, tmp_path: Path) -> None:
    def other(content: bytes) -> bytes:
        return content.replace(b'"identity": "openai rater"', b'"identity": "openai gpt"', 1)

    hostile = changed(published.pack, tmp_path / "h.zip", {"answers.jsonl": other})
    refused = receiver("replay", hostile, "--out", "again", status=2).err
    assert "h.zip/answers.jsonl, row 1" in refused
    assert "that of another model" in refused
    assert not (tmp_path / "again-pack").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../escaped", "/tmp/escaped", "data/0/../../../escaped", "data/0/a\\..\\b", "C:/escaped", "data/0/c:evil",
        "data/0//x", "interactions/../../escaped", "notes.txt", "manifest.json/", "data/0/x\0y", "data/",
    ],
)  # fmt: skip
def test_a_member_that_no_pack_has_is_refused(published: Published, tmp_path: Path, name: str) -> None:
    hostile = tmp_path / "in" / "h.zip"
    hostile.parent.mkdir()
    shutil.copy(published.pack, hostile)
    with zipfile.ZipFile(hostile, "a") as archive:
        member = zipfile.ZipInfo("x")
        member.filename = name
        archive.writestr(member, b"escaped")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"member|changed|says"):
        unpack(hostile, tmp_path / "in" / "folder")
    made = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "in" / "folder") for path in made)
    assert not Path("/tmp/escaped").exists()


def test_links_bombs_encryption_and_doubles_are_refused(published: Published, tmp_path: Path) -> None:
    def with_member(name: str, content: bytes, **about: Any) -> Path:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.zip"
        shutil.copy(published.pack, file)
        with zipfile.ZipFile(file, "a") as archive:
            member = zipfile.ZipInfo(name)
            member.compress_type = about.pop("method", zipfile.ZIP_DEFLATED)
            for key, value in about.items():
                setattr(member, key, value)
            archive.writestr(member, content)
        return file

    def refused(file: Path) -> str:
        with pytest.raises(EmoSimError) as error:
            unpack(file, tmp_path / f"f{len(list(tmp_path.iterdir()))}")
        return str(error.value)

    link = with_member("data/0/x", b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16)
    assert "no plain file" in refused(link)
    assert "when it is unpacked" in refused(with_member("data/0/x", bytes(200 * 2**20)))
    assert "packed in another way" in refused(with_member("data/0/x", b"x", method=zipfile.ZIP_LZMA))
    with pytest.warns(UserWarning, match="Duplicate name"):
        double = with_member("pack.json", b"{}")
    assert "2 members of the name" in refused(double)
    large = changed(published.pack, tmp_path / "large.zip", {"summary.json": b" " * 5_000_000})
    assert "at most" in refused(large)
    dishonest = changed(published.pack, tmp_path / "d.zip", {"summary.json": b"{}"}, honest=False)
    assert "the file was changed" in refused(dishonest)
    assert "lacks the member" in refused(
        changed(published.pack, tmp_path / "l.zip", {"interactions.jsonl": None}, honest=False)
    )
    assert "has no pack.json" in refused(_zip(tmp_path / "n.zip", {"manifest.json": b"{}"}))
    for name in ("/dev/zero", "../summary.json"):
        sneaky = json.dumps({"records": {name: {"bytes": 1, "sha256": "0" * 64}}}).encode()
        records = changed(
            published.pack, tmp_path / "r.zip", {"pack.json": lambda text, more=sneaky: _merged(text, more)}
        )
        assert "says that a run writes its steps to" in refused(records)
    newer = changed(
        published.pack, tmp_path / "v.zip", {"pack.json": lambda text: text.replace(b'"format": 1', b'"format": 9')}
    )
    assert "newer version" in refused(newer)
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    assert "is not a zip file" in refused(tmp_path / "no.zip")


def _merged(text: bytes, more: bytes) -> bytes:
    return json.dumps({**json.loads(text), **json.loads(more)}).encode()


def _zip(out: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    cut=st.floats(0.1, 1.5),
)
def test_a_damaged_pack_is_one_error_and_writes_nothing_outside(
    published: Published, tmp_path: Path, changes: list[tuple[float, int]], cut: float
) -> None:
    content = bytearray(published.pack.read_bytes())
    for place, value in changes:
        content[int(place * len(content))] = value
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(content[: max(1, int(cut * len(content)))])
    folder = tmp_path / "folder"
    try:
        unpack(damaged, folder)
    except EmoSimError:
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert set(os.listdir(tmp_path)) <= {"damaged.zip", "site"}


def test_a_caches_entries_are_found_with_their_requests(published: Published) -> None:
    cache = AnswerCache(published.emosim.folder / "cache/llm.sqlite3", read_only=True)
    try:
        assert cache.entries(["0" * 64]) == {}
        assert cache.stats()["models"][0]["identity"] == "openai rater"
    finally:
        cache.close()
    assert AnswerCache(published.emosim.folder / "nowhere.sqlite3", read_only=True).entries(["0" * 64]) == {}
