"""The domains of this repository side by side: each runs by itself, and none knows of the other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium
from stable_baselines3.common.env_checker import check_env as check_baselines

from emosim_core import EmoSimEnv, make, make_vec
from emosim_core.plugins import Domain, Emotion, RatingScale, Registry
from emosim_core.testing import ScriptedRater

SCALES = {"movies": 10, "books": 5}

OTHERS = [(one, other) for one in SCALES for other in SCALES if one != other]


@pytest.mark.parametrize(("domain", "other"), OTHERS)
def test_a_run_imports_no_module_of_another_domain(emosim: Any, domain: str, other: str) -> None:
    code = """
    import sys
    from emosim_core.cli.main import main
    try:
        main(sys.argv[1:-1])
    except SystemExit as exited:
        print(exited.code, [name for name in sys.argv[-1].split(",") if name in sys.modules])
    """
    run = ["run", "--plugin", domain, "--episodes", "3", "--quiet", "--out", "r", "--items-retrieval", "simple_2"]
    assert emosim.python(code, *run, f"emosim_{domain},emosim_{other}") == f"r\n0 ['emosim_{domain}']\n"
    code = f"""
    import sys, gymnasium
    env = gymnasium.make("emosim_{domain}:EmoSim/{domain.title()}-v0")
    env.reset(seed=1)
    env.step(0)
    print([name for name in sys.modules if name.startswith("emosim_{other}")])
    """
    assert emosim.python(code) == "[]\n"


@pytest.mark.parametrize("domain", SCALES)
def test_everything_a_domain_has_works_from_the_command_line(quick: Any, domain: str) -> None:
    summary = quick("run", "--plugin", domain, "--episodes", "4", "--out", "r", "--json").json
    assert summary["complete"]
    assert summary["scale"] == f"1-{SCALES[domain]}"
    assert set(summary["rating_counts"]) == {str(level) for level in range(1, SCALES[domain] + 1)}
    story = quick("show", "r", "--episode", "2").out
    assert "Character: " in story
    assert "The end, after " in story
    listed = quick("items", "--plugin", domain, "--csv").out.splitlines()
    assert len(listed) > 240
    (quick.folder / "list.csv").write_text("\n".join(line.split(",")[0] for line in listed[:4]) + "\n")
    replayed = quick("run", "--plugin", domain, "--policy", "replay:list.csv", "--episodes", "1", "--json").json
    assert replayed["end_reasons"] == {"out_of_items": 1}
    quick("users", "generate", "--plugin", domain, "--n", "30", "--out", "p.csv")
    for source in ("csv:p.csv", "basic", "detailed"):
        assert quick("run", "--plugin", domain, "--users", source, "--episodes", "2", "--json").json["complete"]


@pytest.mark.parametrize("domain", SCALES)
@pytest.mark.parametrize("options", [{}, {"slate": 3, "selector": "multinomial_logit"}])
def test_the_environment_passes_the_checks_of_both_libraries(domain: str, options: dict[str, Any]) -> None:
    name = f"emosim_{domain}:EmoSim/{domain.title()}-v0"
    check_gymnasium(gymnasium.make(name, **options).unwrapped, skip_render_check=True)
    if not options:
        check_baselines(make(domain), warn=True)


@pytest.mark.parametrize("domain", SCALES)
def test_thresholds_are_carried_to_the_scale_by_their_relative_position(domain: str) -> None:
    scale = make(domain).world.domain.scale
    emotion = Emotion(scale)
    best, worst = SCALES[domain], 1
    assert (emotion.valence(best), emotion.arousal(best)) == (1, 1)
    assert (emotion.valence(worst), emotion.arousal(worst)) == (-1, 0)
    assert scale.carry(10) == best
    assert scale.carry(1) == worst


def test_a_disappointed_reader_leaves_at_the_ratings_that_disappoint_a_viewer_in_relative_terms() -> None:
    leaves: dict[str, dict[float, bool]] = {}
    for domain in SCALES:
        world = make(domain, max_steps=9).world
        leaves[domain] = {}
        for level in world.domain.scale.levels.tolist():
            rater = ScriptedRater(lambda user, item, times, level=level: level)
            env = EmoSimEnv(world=replace(world, rater=rater))
            env.reset(seed=3)
            ended = [env.step(item)[2] for item in range(5)]
            leaves[domain][level] = ended[-1]
    assert leaves["movies"] == {float(level): level <= 4 for level in range(1, 11)}
    assert leaves["books"] == {1.0: True, 2.0: True, 3.0: False, 4.0: False, 5.0: False}


def test_shaping_and_no_choice_are_carried_to_books() -> None:
    envs = make_vec("books", 64, reward_shaping="exp_decay_time", slate=2, selector="multinomial_logit", max_steps=30)
    assert envs.world.selector.no_choice == pytest.approx(1 + 4 / 9 * 4)
    assert envs.world.selector.temperature == pytest.approx(4 / 9)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        _, rewards, _, _, infos = envs.step(rng.integers(0, 20, (64, 2)))
        assert ((rewards >= 0) & (rewards <= 5)).all()
        assert set(np.unique(infos["raw_ratings"][~np.isnan(infos["raw_ratings"])])) <= {1, 2, 3, 4, 5}
    nothing = 1 - infos["consumed"].any(axis=1).mean()
    assert 0 < nothing < 0.9


@pytest.mark.parametrize("domain", SCALES)
def test_worked_examples_are_near_3_6_and_8_of_10_with_a_mood_and_memories_and_as_short_as_an_answer_should_be(
    domain: str,
) -> None:
    about: Domain = Registry(only=[domain]).resolve_domain(domain).build()
    ten = [about.scale.convert(example.rating, RatingScale(low=1, high=10)) for example in about.examples]
    assert [round(float(one)) for one in ten] == [3, 6, 8]
    for example in about.examples:
        user, item = example.user, example.item
        assert isinstance(item, about.item_type)
        assert all((user.job, user.hobby, user.age, user.liked, user.disliked))
        assert all((item.year, item.creators, item.public_rating, item.categories))
        assert 40 < len(user.description) < 200
        assert len(user.description.split()) < 25  # so that traits are shown, as in a question about a real user
        assert 60 < len(item.description) < 200
        assert len(example.memories) == 2
        assert all(about.scale.contains(one.rating) for one in example.memories)
        assert 20 < len(example.reason) < 130
        assert example.reason.count(".") == 1
        assert len(example.reason.split()) <= 20  # as prompts ask of a reason
        for text in (user.description, item.description, example.reason):
            assert not re.search(r"\brat(e|ing)|\bstars? out\b|\d/\d|out of", text), "it tells a rating"
    assert [np.sign(example.mood[0]) for example in about.examples] == [-1, 0, 1]


def test_books_can_be_read_from_real_data(quick: Any, tmp_path: Path) -> None:
    data = os.environ.get("EMOSIM_REAL_DATA")
    if not data:
        pytest.skip("EMOSIM_REAL_DATA names no folder of real data")
    done = quick(
        "run", "--plugin", "books", "--items", f"amazon:{data}/amazon-books/books.csv",
        "--users", f"csv:{data}/personas/books_600.csv", "--episodes", "3", "--out", "r",
    )  # fmt: skip
    assert "160 books, 600 users" in done.out
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert manifest["data"]["embeddings"] == "description_embedding-768"


def test_the_wheels_hold_their_data_and_nothing_of_the_tests(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    for project in ("plugins/emosim_movies", "plugins/emosim_books"):
        subprocess.run(
            [sys.executable, "-m", "uv", "build", "--wheel", "--out-dir", str(tmp_path / "w"), str(root / project)],
            check=True, capture_output=True,
        )  # fmt: skip
    wheels = list((tmp_path / "w").glob("*.whl"))
    assert len(wheels) == 2
    for wheel in wheels:
        package = wheel.name.partition("-")[0]
        names = zipfile.ZipFile(wheel).namelist()
        for name in ("data/sample.csv", "data/sample.npz", "py.typed"):
            assert f"{package}/{name}" in names
        assert not [name for name in names if "test" in name]


@pytest.mark.parametrize("domain", SCALES)
def test_descriptions_of_users_and_worked_examples_hold_no_rating(domain: str) -> None:
    """A prompt speaks a scale of its own, on which a rating in a text would mean another one."""
    for source in ("sampled", "basic", "detailed"):
        world = make(domain, users=source).world
        for user in world.population.users:
            assert set(re.findall(r"\d+", user.description)) <= {str(user.age)}, user.description
    for example in world.domain.examples:
        assert not re.findall(r"\d+", f"{example.user.description} {example.reason}"), example
