"""``emosim validate``: its tables, its files, its errors, and that money is not spent unasked."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from emosim_core.testing import Answer, ChatServer, Emosim

for library in ("surprise", "implicit", "scipy"):
    pytest.importorskip(library)


KEY = "sk-0fAk3kEyF0rTests9qZ7"


@pytest.fixture(scope="module")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from studies.made_up_ratings import write_movielens

    return write_movielens(tmp_path_factory.mktemp("ratings") / "[made-up]")


def test_one_sentence_says_who_is_ahead_and_one_table_has_every_baseline(
    quick: Emosim, movielens: Path, tmp_path: Path
) -> None:
    done = quick(
        *("validate", "--plugin", "movies", "--ratings", f"movielens:{movielens}", "--out", "[out]"),
        *("--executor", "processes:2", "--negatives", "1,2"),
    )
    payload = json.loads((tmp_path / "[out]" / "validation.json").read_text())
    words = " ".join(done.out.split())
    assert payload["sentence"] in words
    for name in (
        "90 films by 60 users", "(no language model)", "EASE", "implicit ALS", "item kNN", "matched in popularity",
        "split in time", "All files are in [out]",
    ):  # fmt: skip
        assert name in words
    assert "Wasserstein" not in words


def test_json_is_what_the_file_holds(quick: Emosim, movielens: Path, tmp_path: Path) -> None:
    done = quick(
        *("validate", "--plugin", "movies", "--ratings", f"movielens:{movielens}", "--out", "out", "--json"),
        *("--negatives", "2,1", "--max-users", "8", "--seed", "3", "--folds", "2"),
    )
    payload = done.json
    assert payload.pop("directory") == "out"
    assert payload == json.loads((tmp_path / "out" / "validation.json").read_text())
    assert payload["config"]["negatives"] == [1, 2]
    assert payload["users"] + payload["left_out"] == 8


def test_a_file_says_who_is_measured(quick: Emosim, movielens: Path, tmp_path: Path) -> None:
    ask = ("validate", "--plugin", "movies", "--ratings", f"movielens:{movielens}", "--only", "ratings")
    (tmp_path / "who").write_text("7\n9\n")
    done = quick(*ask, "--test-users", "who", "--out", "out", "--json")
    assert done.json["data"]["measured"] == {"test users": 2}
    (tmp_path / "who").write_text("7\nnobody\n")
    refused = quick(*ask, "--test-users", "who", "--out", "other", status=2)
    assert "who, row 2: the log has no user 'nobody'" in " ".join(refused.err.split())
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ratings", "movielens:nowhere"), "nowhere: no such file or folder"),
        (
            ("--ratings", "sample"),
            "'sample' has no ratings of single users. Sources that have: csv:FILE, parquet:FILE, movielens:PATH",
        ),
        (("--ratings", "moovielens:x"), "Did you mean 'movielens'?"),
        (("--ratings", "h2.csv"), "unknown source of ratings 'h2.csv'. Did you mean 'csv:h2.csv'?"),
        (("--ratings", "csv"), "'csv' has no ratings of single users. Sources that have: csv:FILE, parquet:FILE, "),
        (("--ratings", "csv:x.csv"), "x.csv: no such file"),
        ((), "--ratings is needed (Log of real users: "),
        (("--ratings", "movielens:x", "--negatives", "1,zero"), "--negatives: "),
        (("--ratings", "movielens:x", "--max-users", "1"), "--max-users: "),
        (("--ratings", "movielens:x", "--folds", "1"), "--folds: "),
        (("--ratings", "movielens:x", "--only", "tea"), "--only: "),
        (("--ratings", "movielens:x", "--split", "test", "--test-users", "x"), "give test_users or split, not both"),
    ],
)
def test_mistakes_are_errors_and_leave_nothing(
    quick: Emosim, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = quick("validate", "--plugin", "movies", *arguments, "--out", "out", status=2)
    assert words in " ".join(done.err.split())
    assert not (tmp_path / "out").exists()


def test_a_directory_that_holds_something_is_left_alone(quick: Emosim, movielens: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    done = quick("validate", "--plugin", "movies", "--ratings", f"movielens:{movielens}", "--out", "out", status=2)
    assert "exists already" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_language_model_is_asked_only_after_its_cost_was_printed(
    quick: Emosim, movielens: Path, tmp_path: Path
) -> None:
    few = ("--max-users", "10", "--max-positives", "1", "--max-heldout", "3", "--negatives", "1", "--out", "out")
    ask = ("validate", "--plugin", "movies", "--ratings", f"movielens:{movielens}", "--llm-model", "deepseek-chat")
    with ChatServer(lambda body: Answer("7")) as server:
        command = replace(quick, variables={"DEEPSEEK_API_KEY": KEY, "DEEPSEEK_BASE_URL": server.url})
        refused = command(*ask, *few, status=2)
        assert "requests, about" in refused.err
        assert "say --yes to start" in refused.err
        assert not server.calls
        assert not (tmp_path / "out").exists()
        done = command(*ask, *few, "--yes")
        assert server.calls
    assert "(language model; prompt strategy" in done.out
    assert "its ratings are taken" in done.out
    assert "requests, about" in done.err
    words = " ".join(done.out.split())
    assert "Note: Distribution of the answers: 1 0%, 2 0%, 3 0%, 4 0%, 5 0%, 6 0%, 7 0%, 8 100%" in words
    assert "ratings are 8: this model hardly tells users and items apart" in words
    payload = json.loads((tmp_path / "out" / "validation.json").read_text())
    assert payload["uses_llm"] is True
    assert payload["heldout_ratings"] == 3 * payload["users"]
    assert KEY not in "".join(path.read_text() for path in (tmp_path / "out").iterdir())


def test_a_validation_is_resumed_in_its_directory_or_as_the_newest(
    quick: Emosim, movielens: Path, tmp_path: Path
) -> None:
    few = ("--max-users", "10", "--max-positives", "2", "--max-heldout", "3", "--negatives", "1")
    begun = quick("validate", "--plugin", "movies", "--ratings", f"movielens:{movielens}", *few, "--json")
    directory = tmp_path / json.loads(begun.out)["directory"]
    before = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "manifest.json"}
    (directory / "validation.json").unlink()  # as if it had been killed before its end
    (directory / "choices.jsonl").unlink()
    assert quick("validate", "--resume", "--quiet").out.strip() == begun.json["directory"]
    again = quick("validate", "--resume", "--json")
    assert json.loads(again.out) == json.loads(begun.out)
    after = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "manifest.json"}
    assert after == before
    refused = quick("validate", "--resume", str(directory), "--seed", "7", status=2)
    assert "seed: 42 then, 7 now" in refused.err
    directory.rename(tmp_path / "moved")
    refused = quick("validate", "--resume", "moved", status=2)
    assert f"emosim validate --resume moved --ratings {shlex.quote(f'movielens:{movielens}')}" in refused.err
    quick("validate", "--resume", "moved", "--ratings", f"movielens:{movielens}")
    assert "there is no validation in runs/ to resume" in quick("validate", "--resume", status=2).err
