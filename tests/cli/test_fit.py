"""``emosim fit``: the commands that a user types, the page, and what is said of a wrong log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emosim_core.testing import Emosim

for library in ("scipy", "safetensors"):
    pytest.importorskip(library)


@pytest.fixture(scope="module")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from studies.made_up_ratings import write_movielens

    return write_movielens(tmp_path_factory.mktemp("ratings") / "[made-up]")


def fit(emosim: Emosim, log: str, *more: str, status: int = 0) -> str:
    done = emosim("fit", "--plugin", "movies", "--ratings", log, *more, status=status)
    return " ".join((done.err if status else done.out).split())


def test_people_are_fitted_simulated_evaluated_and_shown(quick: Emosim, movielens: Path, tmp_path: Path) -> None:
    words = fit(quick, f"movielens:{movielens}", "--out", "people")
    assert "Movies: 1,440 ratings of 90 films by 60 users." in words
    assert "people holds 60 users" in words
    assert "--users fitted:people" in words
    assert "60 users fitted to 60 users" in (tmp_path / "people" / "report.html").read_text()
    common = ("--plugin", "movies", "--items", f"movielens:{movielens}", "--users", "fitted:people/")
    common += ("--embeddings", "lexical", "--max-steps", "6")
    done = quick("run", *common, "--policy", "popular", "--episodes", "5", "--out", "run")
    assert "Rater: fitted (no language model)" in done.out
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["config"]["rater"] == {"name": "fitted", "path": "people/"}
    assert len(manifest["parts"]["rater"]["data_sha256"]) == 64
    more = ("--policies", "random,popular", "--episodes", "4", "--no-charts")
    quick("evaluate", *common, *more, "--out", "evaluation", timeout=120)
    assert "60 users of movies" in quick("runs", ".").out
    assert "60 users fitted to" in " ".join(quick("show", "people").out.split())
    quick("report", "people", "--out", "page.html")
    assert "What they cannot do" in (tmp_path / "page.html").read_text()


def test_a_directory_that_is_there_is_left_alone_and_the_same_command_goes_on(
    quick: Emosim, movielens: Path, tmp_path: Path
) -> None:
    log = f"movielens:{movielens}"
    fit(quick, log, "--out", "people")
    before = (tmp_path / "people" / "card.json").read_bytes()
    fit(quick, log, "--out", "people", "--quiet")
    assert (tmp_path / "people" / "card.json").read_bytes() == before
    assert "people exists already; choose another place with --out" in fit(
        quick, log, "--out", "people", "--seed", "1", status=2
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    assert "other exists already" in fit(quick, log, "--out", "other", status=2)
    assert [one.name for one in (tmp_path / "other").iterdir()] == ["file"]


def test_anonymous_people_say_how_near_they_are_to_real_ones(quick: Emosim, movielens: Path) -> None:
    card = json.loads(
        quick("fit", "--plugin", "movies", "--ratings", f"movielens:{movielens}", "--anonymous", "--json").out
    )
    distances = card["distances"]
    assert distances["drawn_to_real_least"] >= distances["real_to_real_least"]
    assert card["anonymous"]


@pytest.mark.slow
def test_validation_is_written_on_the_card_and_the_page(quick: Emosim, movielens: Path, tmp_path: Path) -> None:
    pytest.importorskip("surprise")
    pytest.importorskip("implicit")
    fit(quick, f"movielens:{movielens}", "--out", "people", "--validate", "--folds", "2")
    card = json.loads((tmp_path / "people" / "card.json").read_text())
    assert card["validation"]["ratings"]["simulated users"]["rmse"]["estimate"] > 0
    assert not (tmp_path / "people" / "validation").exists()  # it is of real users
    assert "Beside real users and simple models" in (tmp_path / "people" / "report.html").read_text()
    quick("run", "--plugin", "movies", "--items", f"movielens:{movielens}", "--users", "fitted:people",
          "--embeddings", "lexical", "--episodes", "2", "--quiet")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("who,what\na,1\n", (), "no column holds the user; the file has: who, what. Name it: --columns user=NAME"),
        ("user,item,rating\na,1,7\n", (), "holds one user ('a'); give a log of several"),
        ("user,item,rating\na,1,7\nb,2,7\n", (), "all ratings are the same"),
        ("user,item,rating\na,no,7\nb,none,6\n", (), "2 of 2 rows are of unknown items; name the source of the items"),
        ("user,item,rating\na,1,seven\nb,2,3\n", (), "row 2, field 'rating'"),
        ("user,item,rating,time\na,1,7,yesterday\nb,2,3,5\n", (), "row 2, field 'time': expected a time in seconds"),
        ("user,item,rating,time\na,1,7,1500000000\nb,2,3,1500000000000\n", (), "row 3, field 'time': is in millisec"),
    ],
)
def test_a_log_that_is_wrong_is_one_line(
    quick: Emosim, movielens: Path, tmp_path: Path, text: str, more: tuple[str, ...], words: str
) -> None:
    (tmp_path / "log.csv").write_text(text)
    said = fit(quick, "csv:log.csv", "--items", f"movielens:{movielens}", *more, "--out", "out", status=2)
    assert said.startswith("Error: log.csv")
    assert words in said
    assert not (tmp_path / "out").exists()


def test_what_a_small_log_cannot_say_is_said(quick: Emosim, movielens: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    (small / "movies.csv").write_bytes((movielens / "movies.csv").read_bytes())
    rows = (movielens / "ratings.csv").read_text().splitlines(keepends=True)
    users = dict.fromkeys(row.split(",")[0] for row in rows[1:])
    two = set(list(users)[:2])
    (small / "ratings.csv").write_text("".join([rows[0], *(row for row in rows[1:] if row.split(",")[0] in two)]))
    says = "fewer than 30 users of the log chose 10 items or more"
    assert says in fit(quick, f"movielens:{small}", "--out", "few")
    assert says in (tmp_path / "few" / "report.html").read_text()
    assert says not in fit(quick, f"movielens:{movielens}", "--out", "many")


def test_a_directory_that_is_not_there_is_named_with_the_command_that_makes_one(quick: Emosim) -> None:
    for option in ("--users", "--rater"):
        error = quick("run", "--plugin", "movies", option, "fitted:nix", status=2).err.replace("\n", " ")
        assert "nix: there is no such directory; make one with: emosim fit --plugin DOMAIN --ratings LOG" in error


@pytest.mark.parametrize("form", ["numbers", "texts", "seconds", "milliseconds", "dates", "implicit"])
def test_logs_in_any_form_are_read(quick: Emosim, movielens: Path, tmp_path: Path, form: str) -> None:
    rows = [line.split(",") for line in (movielens / "ratings.csv").read_text().splitlines()[1:]]
    lines = ["uid,film,stars,at"]
    for user, film, stars, at in rows:
        ids = {"numbers": f"{film}.0", "texts": f"ml-{film}"}.get(form, film)
        times = {"milliseconds": f"{at}000", "dates": f"20{10 + int(at) % 9}-05-0{1 + int(at) % 9}T10:00:00"}
        lines.append(f"{user},{ids},{stars},{times.get(form, at)}")
    lines += lines[1:3]  # ratings that stand twice
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    stars = "rating=," if form == "implicit" else "rating=stars,scale=0.5-5,"
    words = fit(
        *(quick, "csv:log.csv", "--items", f"movielens:{movielens}", "--out", "people"),
        *("--columns", f"user=uid,item=film,{stars}time=at"),
    )
    assert "2 ratings of an item by a user who rates it again; the last counts" in words
    done = quick("run", "--plugin", "movies", "--items", f"movielens:{movielens}", "--users", "fitted:people",
                 "--embeddings", "lexical", "--episodes", "3", "--max-steps", "4", "--out", "run")  # fmt: skip
    assert "mean rating" in done.out
