"""What a new user does with a fresh installation, through the command line in a subprocess."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest


def emosim(*arguments: str, cwd: Path, site: Path | None = None, status: int = 0, **more: str) -> str:
    """The output, both streams, of a command that must end with ``status``."""
    env = {**os.environ, "EMOSIM_CACHE_DIR": str(cwd / "cache"), "COLUMNS": "200", **more}
    if site is not None:
        env["PYTHONPATH"] = str(site)
    done = subprocess.run(
        [sys.executable, "-m", "emosim_core", *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=120
    )
    output = done.stdout + done.stderr
    assert done.returncode == status, output
    assert "Traceback" not in output
    return output


def install(site: Path, name: str, source: str) -> None:
    """Put a plugin where ``importlib.metadata`` finds it, as an installed distribution of version 1.2."""
    module = f"{name.replace('-', '_')}_plugin"
    site.mkdir(exist_ok=True)
    (site / f"{module}.py").write_text(textwrap.dedent(source))
    info = site / f"x_{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: x-{name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[emosim]\n{name} = {module}\n")


RETRIEVAL = """
    from emosim_core.plugins import Component, Retrieval, hookimpl
    EMOSIM_HOOK_VERSION = 1

    class Oldest(Retrieval):
        def retrieve(self, situation):
            return [0] if situation.history else []

    @hookimpl
    def emosim_retrievals():
        yield Component("{name}", "The oldest memory.", "{module}:Oldest")
"""


def test_a_run_leaves_its_files_and_says_that_no_language_model_was_asked(tmp_path: Path, quick: Any) -> None:
    output = emosim("run", "--plugin", "movies", "--episodes", "4", "--out", "r", cwd=tmp_path)
    assert "(no language model)" in output
    for word in ("mean rating", "share liked", "episode length", "end reasons", "mood at the end", "steps/s"):
        assert word in output
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [
        "interactions.jsonl",
        "manifest.json",
        "summary.json",
    ]
    story = emosim("show", "r", "--episode", "3", cwd=tmp_path)
    for word in ("Character:", "rating", "reason", "mood", "The end, after"):
        assert word in story
    assert "it has 4 episodes, 0 to 3" in emosim("show", "r", "--episode", "9", cwd=tmp_path, status=2)
    assert "mean rating" in quick("show", "r").out
    assert "exists already" in quick("run", "--plugin", "movies", "--out", "r", status=2).err


def test_the_same_seed_gives_the_same_interactions_in_another_process(tmp_path: Path, quick: Any) -> None:
    options = (
        "run", "--plugin", "movies", "--episodes", "40", "--num-envs", "64", "--slate", "2", "--selector", "random",
        "--reward-shaping", "random_watch", "--items-retrieval", "simple_2", "--perturbator", "greedy", "--quiet",
    )  # fmt: skip
    quick(*options, "--out", "here")
    assert emosim(*options, "--out", "there", cwd=tmp_path).strip() == "there"  # its sets have another order
    same = [(tmp_path / name / "interactions.jsonl").read_bytes() for name in ("here", "there")]
    assert same[0] == same[1]


def test_broken_and_foreign_plugins_are_named_while_movies_still_runs(
    tmp_path: Path, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    install(site, "boom", "raise RuntimeError('no luck')")
    install(site, "future", "EMOSIM_HOOK_VERSION = 99")
    install(site, "silent", "pass")
    install(site, "twice", RETRIEVAL.format(name="decay_emotion", module="twice_plugin"))
    double = RETRIEVAL.format(name="dusty", module="double_plugin")
    install(site, "double", double + double.split("@hookimpl")[1].split(":", 1)[1].replace("\n", "", 1))
    install(
        site,
        "misspelt",
        """
        from emosim_core.plugins import hookimpl
        EMOSIM_HOOK_VERSION = 1
        @hookimpl
        def emosim_retreivals():
            return []
        """,
    )
    install(site, "oldest", RETRIEVAL.format(name="oldest", module="oldest_plugin"))
    monkeypatch.syspath_prepend(str(site))
    listing = json.loads(emosim("plugins", "--json", cwd=tmp_path, site=site))
    by_name = {record["name"]: record for record in listing}
    assert by_name["movies"]["status"] == "ok"
    assert by_name["boom"]["status"] == "broken"
    assert "RuntimeError: no luck" in by_name["boom"]["cause"]
    assert by_name["boom"]["version"] == "1.2"
    assert by_name["future"]["status"] == "incompatible"
    assert "built for version 99 of the hooks" in by_name["future"]["cause"]
    assert by_name["silent"]["status"] == "ok"  # a plugin that names no version counts as built for 1
    assert by_name["double"]["status"] == "broken"
    assert "'dusty' twice" in by_name["double"]["cause"]
    assert "emosim_retreivals" in by_name["misspelt"]["cause"]
    assert "'decay_emotion' is provided by plugin 'core'" in by_name["twice"]["conflicts"][0]
    printed = quick("plugins").output
    assert "conflict: retrieval strategy 'decay_emotion' is provided by plugin 'twice' (x-twice 1.2) too" in printed

    run = ["run", "--plugin", "movies", "--episodes", "2", "--quiet", "--items-retrieval", "last_3"]
    assert quick(*run).output.count("Warning: plugin") == 4
    taken = quick(*run[:-2], status=2).output
    assert "'decay_emotion_3' is provided by plugin 'core'" in taken
    assert "and by plugin 'twice' (x-twice 1.2)" in taken
    warned = quick(*run, "--items-retrieval", "oldest").output
    assert warned.count("plugin 'boom' (x-boom 1.2) is left out") == 1
    output = quick("run", "--plugin", "boom", status=2).output
    assert "plugin 'boom' (x-boom 1.2) is broken: importing boom_plugin raised RuntimeError: no luck" in output
    assert "is incompatible" in quick("run", "--plugin", "future", status=2).output
    blocked = quick(*run, "--items-retrieval", "oldest", status=2, EMOSIM_PLUGINS="movies").output
    assert "unknown retrieval strategy 'oldest'" in blocked
    assert "is blocked" in quick("--no-plugins", *run, status=2).output
    statuses = {
        record["name"]: record["status"] for record in json.loads(quick("--no-plugins", "plugins", "--json").output)
    }
    assert statuses.pop("core") == "ok"
    assert statuses["movies"] == "blocked"
    assert set(statuses.values()) == {"blocked"}


def test_two_providers_of_one_name_are_an_error_that_lists_both(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name in ("one", "other"):
        install(site, name, RETRIEVAL.format(name="oldest", module=f"{name}_plugin"))
    output = emosim("run", "--plugin", "movies", "--items-retrieval", "oldest", cwd=tmp_path, site=site, status=2)
    assert "plugin 'one' (x-one 1.2)" in output
    assert "plugin 'other' (x-other 1.2)" in output


def test_observers_of_a_loaded_plugin_see_steps_and_episodes(tmp_path: Path) -> None:
    site = tmp_path / "site"
    watch = """
    @hookimpl
    def emosim_step_recorded(record):
        print("STEP", record["episode"], record["step"])

    @hookimpl
    def emosim_episode_ended(episode):
        print("ENDED", episode["number"], episode["end_reason"])

    @hookimpl
    def emosim_run_ended(summary):
        print("RAN", summary["episodes"])
    """
    install(site, "oldest", RETRIEVAL.format(name="oldest", module="oldest_plugin") + watch)
    output = emosim(
        "run",
        "--plugin",
        "movies",
        "--items-retrieval",
        "oldest",
        "--episodes",
        "2",
        "--quiet",
        cwd=tmp_path,
        site=site,
    )
    assert "STEP 0 1" in output
    assert output.count("ENDED") == 2
    assert "RAN 2" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--items-retrieval", "decay_emotoin_5"], "Did you mean 'decay_emotion_5'"),
        (["--items-retrieval", "decay_emotion:tme_decay=1"], "unknown option 'tme_decay'. Did you mean 'time_decay'"),
        (["--items-retrieval", "decay_emotion:k=0"], "option 'k'"),
        (["--items-retrieval", "last:k=1,k=2"], "given twice"),
        (["--items-retrieval", "last:3"], "expected option=value"),
        (["--items-retrieval", "none:k=1"], "takes no options"),
        (["--perturbator", "gausian"], "Did you mean 'gaussian'"),
        (["--slate", "0"], "--slate: "),
        (["--slate", "100000"], "needs more items"),
        (["--episodes", "0"], "--episodes: "),
        (["--seed", "-1"], "--seed: "),
        (["--llm-rater", "0Shot_cotlite_our"], "--llm-model"),
        (["--policy", "replay:nowhere.csv"], "nowhere.csv: no such file"),
        (["--policy", "replay:list.csv"], "list.csv, row 3, field 'item': the catalog has no item 'nope'"),
        (["--config", "typo.toml"], "unknown option 'episods'. Did you mean 'episodes'"),
        (["--config", "broken.toml"], "broken.toml is not a TOML file"),
        (["--users", "csv:people.csv"], "people.csv, row 2, field 'age'"),
        (["--resume", "nowhere"], "nowhere is no directory"),
        (["--embeddings", "word2vec"], "embeddings"),
    ],
)
def test_a_mistake_is_one_clear_message_and_leaves_no_directory(
    tmp_path: Path, quick: Any, arguments: list[str], message: str
) -> None:
    (tmp_path / "list.csv").write_text("item\nthe-matrix-1999\nnope\n")
    (tmp_path / "typo.toml").write_text("episods = 3\n")
    (tmp_path / "broken.toml").write_text("episodes = = 3\n")
    (tmp_path / "people.csv").write_text(
        "name,gender,description,age,job,hobby,genres_liked,genres_disliked\nAnn,F,x,old,y,z,[],[]\n"
    )
    assert message in quick("run", "--plugin", "movies", *arguments, status=2).output
    assert not (tmp_path / "runs").exists()


def test_a_toml_file_sets_everything_and_options_override_it(tmp_path: Path, quick: Any) -> None:
    (tmp_path / "c.toml").write_text(
        'plugin = "movies"\nepisodes = 2\nmax_steps = 3\nreward_shaping = "identity"\n'
        '[items_retrieval]\nname = "decay_emotion"\nk = 2\ntime_decay = 0.5\n[mood]\nhalf_life = 2\n'
    )
    summary = quick("run", "--config", "c.toml", "--max-steps", "4", "--out", "r", "--json").json
    assert summary["steps"] == 8
    parts = json.loads((tmp_path / "r" / "manifest.json").read_text())["parts"]
    assert parts["retrieval"]["options"]["time_decay"] == 0.5


def test_generated_users_are_written_and_read_back(tmp_path: Path, quick: Any) -> None:
    emosim("users", "generate", "--plugin", "movies", "--n", "40", "--seed", "1", "--out", "p.csv", cwd=tmp_path)
    refused = quick("users", "generate", "--plugin", "movies", "--out", "p.csv", status=2).err
    assert "exists already" in refused
    quick("run", "--plugin", "movies", "--users", "csv:p.csv", "--episodes", "2", "--out", "r")
    assert json.loads((tmp_path / "r" / "manifest.json").read_text())["data"]["users"] == 40


def test_starting_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = ["torch", "transformers", "sentence_transformers", "pandas", "matplotlib", "scipy", "sklearn"]
    code = textwrap.dedent(
        """
        import sys
        heavy, arguments = sys.argv[1].split(","), sys.argv[2:]
        from emosim_core.cli.main import main
        try:
            main(arguments)
        except SystemExit as leave:
            assert not leave.code, leave.code
        print("LOADED", [name for name in heavy if name in sys.modules])
        """
    )
    for arguments, banned in (
        (["--help"], [*heavy, "numba", "numpy", "pydantic", "rich", "gymnasium", "emosim_movies"]),
        (["run", "--plugin", "movies", "--episodes", "2", "--quiet"], heavy),
        (["plugins"], [*heavy, "numba"]),
    ):
        # numba loads scipy where it is installed.
        env = {**os.environ, "EMOSIM_KERNELS": "0"} if arguments[0] == "run" else None
        done = subprocess.run(
            [sys.executable, "-c", code, ",".join(banned), *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )
        assert "LOADED []" in done.stdout, done.stdout[-300:] + done.stderr
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, emosim_core; print(sorted(m for m in sys.modules if 'emosim' in m or m=='numpy'))",
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "['emosim_core', 'emosim_core.lazy']"


def test_real_data_runs(tmp_path: Path, quick: Any) -> None:
    data = os.environ.get("EMOSIM_REAL_DATA")
    if not data:
        pytest.skip("EMOSIM_REAL_DATA names no folder of real data")
    output = quick(
        "run", "--plugin", "movies", "--items", f"movielens:{data}/movielens-small", "--embeddings", "lexical",
        "--users", f"csv:{data}/personas/movies_600.csv", "--episodes", "3", "--out", "r",
    ).out  # fmt: skip
    assert "9,742 films, 600 users" in output
    assert "lexical" in output
    tmdb = ("--items", f"tmdb:{data}/tmdb-movies/movies.json", "--episodes", "3")
    assert "159 films" in quick("run", "--plugin", "movies", *tmdb).out
