"""Registry: plugins are found without import, loaded guarded, and named when something is wrong with them."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emosim_core import PluginError, UnknownNameError
from emosim_core.hooks.registry import PluginWarning
from emosim_core.plugins import BrokenPluginError, IncompatiblePluginError, NameConflictError, Registry

HEAD = """
from emosim_core.plugins import Component, Perturbator, Policy, Rater, Retrieval, RewardShaping, Selector, hookimpl
EMOSIM_HOOK_VERSION = 1
"""

MOVIES = ("run", "--plugin", "movies", "--episodes", "2", "--max-steps", "6", "--quiet")


def retrieval(name: str, package: str, more: str = "") -> str:
    """The source of a plugin with one retrieval strategy, in its single form."""
    return f"""{HEAD}
class Oldest(Retrieval):
    def retrieve(self, situation):
        return [0] if situation.history else []

@hookimpl
def emosim_retrievals():
    yield Component("{name}", "The oldest memory.", "{package}:Oldest")
{more}
"""


def listed(quick: Callable[..., Any]) -> dict[str, Any]:
    return {record["name"]: record for record in quick("plugins", "--json").json}


# ----------------------------------------------------------------------------------- broken plugins


@pytest.mark.parametrize(
    ("source", "status", "cause"),
    [
        ("raise RuntimeError('no luck')", "broken", "raised RuntimeError: no luck"),
        ("raise RuntimeError('two\\nlines')", "broken", "raised RuntimeError: two"),
        ("import a_package_that_is_missing", "broken", "No module named 'a_package_that_is_missing'"),
        ("import sys; sys.exit(3)", "broken", "raised SystemExit: 3"),
        ("def f(:", "broken", "SyntaxError"),
        ("EMOSIM_HOOK_VERSION = 99", "incompatible", "it was built for version 99 of the hooks"),
        ("EMOSIM_HOOK_VERSION = '1'", "incompatible", "EMOSIM_HOOK_VERSION of emosim_odd is '1', not a whole number"),
        ("EMOSIM_HOOK_VERSION = True", "incompatible", "is True, not a whole number such as 1"),
        (
            "EMOSIM_HOOK_VERSION = 0",
            "incompatible",
            "built for version 0 of the hooks, this emosim-core has version 1",
        ),
        (
            HEAD + "@hookimpl\ndef emosim_retreivals():\n    return []",
            "broken",
            "there is no hook 'emosim_retreivals'. Did you mean 'emosim_retrievals'",
        ),
        (
            HEAD + "@hookimpl\ndef emosim_policies():\n    yield dict('a', 'b')",
            "broken",
            "TypeError: dict expected at most 1 argument, got 2 (__init__.py, line 6)",
        ),
        (HEAD + "@hookimpl\ndef emosim_retrievals(wrong):\n    return []", "broken", "wrong"),
        (HEAD + "@hookimpl\ndef emosim_retrievals():\n    pass", "broken", "TypeError"),
        (
            HEAD + "@hookimpl\ndef emosim_retrievals():\n    return ['x']",
            "broken",
            "emosim_retrievals must yield components, not 'x'",
        ),
        (
            HEAD + "@hookimpl\ndef emosim_policies():\n    yield Component('p', 's', 'm:f', 'm:Options')",
            "broken",
            "takes 4 positional arguments but 5 were given",
        ),
        (
            HEAD
            + "@hookimpl\ndef emosim_policies():\n    for _ in 'ab':\n"
            + "        yield Component('p', 's', 'm:f')",
            "broken",
            "it provides the policy 'p' twice",
        ),
        (
            HEAD + "@hookimpl\ndef emosim_policies():\n    yield Component('p', 's', 'm:f', aliases=('p',))",
            "broken",
            "it provides the policy 'p' twice",
        ),
    ],
)
def test_a_plugin_that_cannot_be_used_is_shown_with_its_cause_and_movies_still_runs(
    quick: Any, install: Any, source: str, status: str, cause: str
) -> None:
    install("odd", source)
    plugins = listed(quick)
    assert plugins["odd"]["status"] == status
    assert cause in plugins["odd"]["cause"]
    assert "\n" not in plugins["odd"]["cause"]
    assert (plugins["odd"]["distribution"], plugins["odd"]["version"]) == ("emosim-odd", "1.2")
    assert plugins["odd"]["components"] == []
    assert plugins["movies"]["status"] == "ok"
    shown = quick("plugins").out
    assert f"odd  emosim-odd 1.2  {status}: " in shown
    ran = quick(*MOVIES, "--out", "r")
    assert ran.out == "r\n"
    assert ran.err.startswith("Warning: plugin 'odd' (emosim-odd 1.2) is left out: ")
    assert ran.err.count("\n") == 1
    message = quick("run", "--plugin", "odd", status=2).err
    assert message.startswith(f"Error: plugin 'odd' (emosim-odd 1.2) is {status}: ")
    assert message.count("\n") == 1


def test_a_name_that_a_broken_plugin_may_bring_is_not_answered_with_another_service(quick: Any, install: Any) -> None:
    install("my-service", HEAD + "@hookimpl\ndef emosim_llm_backend():\n    return []")
    message = quick(*MOVIES, "--llm-model", "my-service-hash", "--out", "r", status=2).err
    assert "left out: there is no hook 'emosim_llm_backend'. Did you mean 'emosim_llm_backends'" in message
    assert "It may be of plugin 'my-service' (emosim-my-service 1.2), left out; see: emosim plugins." in message
    assert "<module" not in message
    assert "openai:" not in message.partition("Known:")[0]


def test_a_backend_that_refuses_a_value_is_not_suggested_for_it(quick: Any, install: Any) -> None:
    options = """
class Options(BaseModel):
    model: Literal["hash", "first"] = Field(description="m")

@hookimpl
def emosim_llm_backends():
    yield Component("x_plain", "s", "emosim_odd:f", options="emosim_odd:Options", value="model")
"""
    install("odd", "from typing import Literal\nfrom pydantic import BaseModel, Field\n" + HEAD + options)
    message = quick(*MOVIES, "--llm-model", "gpt-4", "--out", "r", status=2).err
    assert "Did you mean 'deepseek:gpt-4' or 'openai:gpt-4'" in message
    assert "x_plain:gpt-4" not in message


def test_each_broken_plugin_is_one_warning_of_a_run(quick: Any, install: Any) -> None:
    install("boom", "raise RuntimeError('no luck')")
    install("future", "EMOSIM_HOOK_VERSION = 99")
    package = install("oldest", retrieval("oldest", "emosim_oldest"))
    assert package == "emosim_oldest"
    done = quick(*MOVIES, "--out", "r", "--items-retrieval", "oldest", "--policy", "popular")
    assert done.out == "r\n"
    lines = done.err.splitlines()
    assert len(lines) == 2
    assert lines[0] == (
        "Warning: plugin 'boom' (emosim-boom 1.2) is left out: importing emosim_boom raised RuntimeError: no luck "
        "(__init__.py, line 1)"
    )
    assert lines[1].startswith("Warning: plugin 'future' (emosim-future 1.2) is left out: it was built for version 99")


def test_in_strict_mode_a_broken_plugin_is_an_error(install: Any) -> None:
    install("boom", "raise RuntimeError('no luck')")
    with pytest.raises(BrokenPluginError, match=r"plugin .boom. .emosim-boom 1.2. is broken"):
        Registry(strict=True).load_all()
    with pytest.warns(PluginWarning, match="is left out"):
        Registry().load_all()


def test_a_plugin_that_is_asked_for_by_name_says_what_is_wrong_each_time(install: Any) -> None:
    install("future", "EMOSIM_HOOK_VERSION = 99")
    registry = Registry()
    for _ in range(2):
        with pytest.raises(IncompatiblePluginError, match="install a matching release of emosim-future or of"):
            registry.load("future")


def test_a_distribution_without_metadata_does_not_hinder_the_others(quick: Any, site: Path, install: Any) -> None:
    install("bare", retrieval("oldest", "emosim_bare"))
    (site / "emosim_bare-1.2.dist-info" / "METADATA").unlink()
    assert listed(quick)["movies"]["status"] == "ok"
    assert quick(*MOVIES, "--out", "r").output == "r\n"


# ---------------------------------------------------------------------------------------- conflicts


def test_a_name_that_the_core_has_is_a_conflict_that_lists_both_with_their_versions(quick: Any, install: Any) -> None:
    install("twice", retrieval("decay_emotion", "emosim_twice"))
    plugins = listed(quick)
    core = f"emosim-core {plugins['core']['version']}"
    assert plugins["twice"]["status"] == "ok"
    assert plugins["twice"]["conflicts"] == [
        f"retrieval strategy 'decay_emotion' is provided by plugin 'core' ({core}) too"
    ]
    assert plugins["core"]["conflicts"] == [
        "retrieval strategy 'decay_emotion' is provided by plugin 'twice' (emosim-twice 1.2) too"
    ]
    assert f"conflict: {plugins['twice']['conflicts'][0]}" in quick("plugins").out
    message = quick(*MOVIES, "--out", "r", status=2).err
    assert (
        f"'decay_emotion_3' is provided by plugin 'core' ({core}) and by plugin 'twice' (emosim-twice 1.2)" in message
    )
    assert quick(*MOVIES, "--out", "r", "--items-retrieval", "last_3").output == "r\n"
    registry = Registry()
    registry.load_all()
    with pytest.raises(NameConflictError) as error:
        registry.resolve("retrieval", "decay_emotion")
    assert "plugin 'twice' (emosim-twice 1.2)" in str(error.value)
    assert core in str(error.value)


def test_a_name_that_two_plugins_have_is_an_error_until_one_is_blocked(emosim: Any, quick: Any, install: Any) -> None:
    install("one", retrieval("oldest", "emosim_one"))
    install("other", retrieval("oldest", "emosim_other"))
    message = quick(*MOVIES, "--items-retrieval", "oldest", status=2).err
    assert "plugin 'one' (emosim-one 1.2) and by plugin 'other' (emosim-other 1.2)" in message
    assert "EMOSIM_PLUGINS" in message
    emosim(*MOVIES, "--items-retrieval", "oldest", "--out", "r", EMOSIM_PLUGINS="movies,other")
    parts = json.loads((emosim.folder / "r" / "manifest.json").read_text())["parts"]
    assert parts["retrieval"]["provider"] == "emosim-other 1.2"


def test_two_distributions_with_one_plugin_name_are_both_listed_and_an_error_by_name(quick: Any, install: Any) -> None:
    install("one", retrieval("first", "emosim_one"), entry="same")
    install("other", retrieval("second", "emosim_other"), entry="same")
    records = [record for record in quick("plugins", "--json").json if record["name"] == "same"]
    assert [(record["distribution"], record["status"]) for record in records] == [
        ("emosim-one", "ok"),
        ("emosim-other", "ok"),
    ]
    message = quick("run", "--plugin", "same", status=2).err
    assert "two distributions bring a plugin named 'same': emosim-one 1.2 and emosim-other 1.2" in message
    assert quick(*MOVIES, "--out", "r", "--items-retrieval", "second").output == "r\n"


def test_a_module_that_is_registered_twice_keeps_its_hooks_once(quick: Any, install: Any) -> None:
    install("one", retrieval("oldest", "emosim_one"))
    install("fork", "", target="emosim_one", dist="emosim-fork")
    registry = Registry()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        registry.load_all()
    by_name = {record.name: record for record in registry.records}
    assert {by_name["one"].status, by_name["fork"].status} == {"ok", "broken"}
    broken = next(record for record in by_name.values() if record.status == "broken")
    assert "emosim_one is the module of plugin" in broken.cause
    assert len(caught) == 1
    hooked = [one.plugin.__name__ for one in registry.hook.emosim_retrievals.get_hookimpls()]
    assert hooked.count("emosim_one") == 1
    assert quick(*MOVIES, "--out", "r", "--items-retrieval", "oldest").out == "r\n"


def test_a_name_with_a_number_that_is_the_exact_name_of_another_is_a_conflict(quick: Any, install: Any) -> None:
    install("sneaky", retrieval("decay_emotion_3", "emosim_sneaky"))
    assert (
        "retrieval strategy 'decay_emotion_3' is provided by plugin 'core'" in listed(quick)["sneaky"]["conflicts"][0]
    )
    message = quick(*MOVIES, status=2).err
    assert "'decay_emotion_3' is provided by plugin 'sneaky' (emosim-sneaky 1.2) and by plugin 'core'" in message
    assert quick(*MOVIES, "--out", "r", "--items-retrieval", "decay_emotion_4").output == "r\n"


# ----------------------------------------------------------------------------------------- blocking


def test_a_name_in_emosim_plugins_that_is_not_installed_is_warned_of(quick: Any) -> None:
    done = quick(*MOVIES, "--out", "r", EMOSIM_PLUGINS="movies,moveis")
    assert done.err == "Warning: EMOSIM_PLUGINS names 'moveis', which is not installed. Did you mean 'movies'?\n"


def test_a_blocked_plugin_is_not_imported(quick: Any, install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = install("oldest", retrieval("oldest", "emosim_oldest"))
    statuses = {one["name"]: one["status"] for one in quick("--no-plugins", "plugins", "--json").json}
    assert statuses.pop("core") == "ok"
    assert {"movies", "oldest"} <= set(statuses)
    assert set(statuses.values()) == {"blocked"}
    message = quick("--no-plugins", *MOVIES, status=2).err
    assert "plugin 'movies'" in message
    assert "blocked" in message
    monkeypatch.setenv("EMOSIM_PLUGINS", " movies , ")
    assert listed(quick)["oldest"]["status"] == "blocked"
    assert "unknown retrieval strategy 'oldest'" in quick(*MOVIES, "--items-retrieval", "oldest", status=2).err
    assert package not in sys.modules
    with pytest.raises(PluginError, match="blocked"):
        Registry(only=["movies"]).load("oldest")
    assert package not in sys.modules
    monkeypatch.setenv("EMOSIM_PLUGINS", "")
    assert "is blocked" in quick(*MOVIES, status=2).err
    assert Registry(only=["oldest"]).load("oldest").status == "ok"
    assert package in sys.modules


def test_a_run_imports_all_plugins_but_those_that_say_they_bring_other_domains(emosim: Any, install: Any) -> None:
    install("oldest", retrieval("oldest", "emosim_oldest"))
    install("other", "raise RuntimeError('imported')", domains=["other"])
    code = """
    import sys
    from emosim_core.cli.main import main
    try:
        main(sys.argv[1:])
    except SystemExit as exited:
        print(exited.code, "emosim_oldest" in sys.modules, "emosim_movies" in sys.modules)
    """
    assert emosim.python(code, *MOVIES, "--out", "r") == "r\n0 True True\n"
    assert "imported" not in emosim(*MOVIES, "--out", "s").output
    assert "importing emosim_other raised RuntimeError: imported" in emosim("run", "--plugin", "other", status=2).err
    assert "emosim_other raised" in emosim(*MOVIES, "--items-retrieval", "unheard_of", status=2).err
    assert emosim.python(code, "--no-plugins", "plugins", "--json").endswith("]\n0 False False\n")


TWO_DOMAINS = """
from emosim_core.plugins import Component, hookimpl

@hookimpl
def emosim_domains():
    yield Component("tea", "Teas.", "emosim_drinks:domain")
    yield Component("coffee", "Coffees.", "emosim_drinks:domain")
"""


@pytest.mark.parametrize(("entry", "name"), [("", "coffee"), ("drinks", "drinks")])
def test_a_module_that_brings_several_domains_is_one_plugin(install: Any, entry: str, name: str) -> None:
    install("drinks", TWO_DOMAINS, entry=entry, domains=["tea", "coffee"])
    registry = Registry()
    (record,) = [record for record in registry.records if record.distribution == "emosim-drinks"]
    assert (record.name, record.domains) == (name, ("coffee", "tea"))
    for domain in ("tea", "coffee"):
        assert registry.resolve_domain(domain).component.name == domain
    assert (record.status, record.conflicts) == ("ok", [])


def test_two_modules_of_one_distribution_under_one_name_are_an_error_that_names_both(install: Any, site: Path) -> None:
    install("odd", "", domains=["odd"])
    with (site / "emosim_odd-1.2.dist-info" / "entry_points.txt").open("a") as file:
        file.write("[emosim]\nodd = emosim_odd.plugin\n")
    with pytest.raises(NameConflictError, match=r"emosim-odd 1.2 names .*: emosim_odd and emosim_odd\.plugin\."):
        Registry().load("odd")


# --------------------------------------------------------------------------- third-party components


def test_components_of_a_third_party_in_their_single_form_are_used_by_name(quick: Any, install: Any) -> None:
    source = f"""{HEAD}
class Oldest(Retrieval):
    def retrieve(self, situation):
        return [0] if situation.history else []

class Fixed(Rater):
    def rate(self, situation, rng):
        return int(rng.integers(1, 10)), f"{{len(situation.retrieved)}} memories"

class Last(Selector):
    def select(self, situation, rng):
        return [False] * (len(situation.ratings) - 1) + [True]

class Up(Perturbator):
    def perturb(self, situation, rng):
        return situation.rating + 1

class Third(RewardShaping):
    end_reasons = ("had_three",)
    def shape(self, situation, rng):
        return situation.rating / 2, situation.times == 3

class Circle(Policy):
    def recommend(self, observation, rng):
        return [5, 6]

@hookimpl
def emosim_retrievals():
    yield Component("x_oldest", "s", "emosim_thirds:Oldest")

@hookimpl
def emosim_raters():
    yield Component("x_fixed", "s", "emosim_thirds:Fixed")

@hookimpl
def emosim_selectors():
    yield Component("x_last", "s", "emosim_thirds:Last")

@hookimpl
def emosim_perturbators():
    yield Component("x_up", "s", "emosim_thirds:Up")

@hookimpl
def emosim_reward_shapings():
    yield Component("x_third", "s", "emosim_thirds:Third")

@hookimpl
def emosim_policies():
    yield Component("x_circle", "s", "emosim_thirds:Circle")
"""
    install("thirds", source)
    options = "--items-retrieval x_oldest --rater x_fixed --selector x_last --perturbator x_up"
    names = [*options.split(), "--reward-shaping", "x_third", "--policy", "x_circle", "--slate", "2"]
    for batch in ("1", "8"):
        summary = quick(
            "run", "--plugin", "movies", "--episodes", "3", *names, "--num-envs", batch, "--out", batch, "--json"
        )
        assert summary.json["end_reasons"] == {"had_three": 3}
        assert summary.json["steps"] == 9
        assert summary.json["rater"] == "x_fixed"
    lines = [json.loads(line) for line in Path("1/interactions.jsonl").read_text().splitlines()]
    assert sorted(Path("1/interactions.jsonl").read_text().splitlines()) == sorted(
        Path("8/interactions.jsonl").read_text().splitlines()
    )
    for line in lines:
        refused, taken = line["recommended"]
        assert (refused["consumed"], taken["consumed"]) == (False, True)
        assert taken["rating"] == taken["raw_rating"] + 1
        assert line["reward"] == taken["rating"] / 2
        assert taken["reason"] == ("0 memories" if line["step"] == 1 else "1 memories")
        assert len(taken["retrieved"]) == (line["step"] > 1)
    providers = {
        kind: part["provider"] for kind, part in json.loads(Path("1/manifest.json").read_text())["parts"].items()
    }
    assert {kind for kind, one in providers.items() if one == "emosim-thirds 1.2"} == {
        "retrieval", "rater", "selector", "perturbator", "reward_shaping", "policy",
    }  # fmt: skip
    assert json.loads(Path("1/manifest.json").read_text())["versions"]["emosim-thirds"] == "1.2"
    assert "ended the episode: had_three" in quick("show", "1", "--episode", "2").out


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("emosim_bad:Raises", "ValueError: no such thing"),
        ("emosim_bad:Missing", "has no attribute 'Missing'"),
        ("emosim_nowhere:Thing", "No module named 'emosim_nowhere'"),
        ("emosim_bad:Wrong", "must be of the class Retrieval; its factory returned a Wrong"),
    ],
)
def test_a_factory_that_fails_is_an_error_that_names_the_plugin(
    quick: Any, install: Any, factory: str, message: str
) -> None:
    install(
        "bad",
        f"""{HEAD}
class Raises(Retrieval):
    def __init__(self):
        raise ValueError("no such thing")

class Wrong:
    pass

@hookimpl
def emosim_retrievals():
    yield Component("bad", "s", "{factory}")
""",
    )
    printed = quick(*MOVIES, "--items-retrieval", "bad", status=2).err
    assert "retrieval strategy 'bad' of plugin 'bad' (emosim-bad 1.2)" in printed
    assert message in printed
    assert not Path("runs").exists()


def test_options_that_cannot_be_imported_are_an_error_that_names_the_component(quick: Any, install: Any) -> None:
    install(
        "bad",
        f"{HEAD}\n@hookimpl\ndef emosim_retrievals():\n"
        "    yield Component('bad', 's', 'emosim_bad:X', options='emosim_bad:Options')",
    )
    printed = quick(*MOVIES, "--items-retrieval", "bad", status=2).err
    assert "retrieval strategy 'bad'" in printed
    assert "has no attribute 'Options'" in printed
    assert "has no attribute 'Options'" in quick("plugins", "--options").out


# ---------------------------------------------------------------------------------------- observers

WATCH = """
import json, pathlib

def note(**what):
    with open("notes.jsonl", "a") as stream:
        stream.write(json.dumps(what) + "\\n")

@hookimpl
def emosim_run_started(directory, manifest):
    assert (pathlib.Path(directory) / "manifest.json").exists()
    note(started=manifest["config"]["episodes"])

@hookimpl
def emosim_step_recorded(record):
    note(step=[record["episode"], record["step"]])
    record["reward"] = "changed by an observer"

@hookimpl
def emosim_episode_ended(episode):
    note(ended=episode)

@hookimpl
def emosim_run_ended(summary):
    note(ran=summary["episodes"])
"""


def test_observers_of_a_plugin_see_all_and_change_nothing(
    quick: Any, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("watch", f"{HEAD}{WATCH}")
    monkeypatch.setenv("EMOSIM_PLUGINS", "movies")
    quick(*MOVIES, "--out", "unwatched")
    assert not Path("notes.jsonl").exists()
    monkeypatch.delenv("EMOSIM_PLUGINS")
    quick(*MOVIES, "--out", "r")
    assert Path("r/interactions.jsonl").read_bytes() == Path("unwatched/interactions.jsonl").read_bytes()
    notes = [json.loads(line) for line in Path("notes.jsonl").read_text().splitlines()]
    assert notes[0] == {"started": 2}
    assert notes[-1] == {"ran": 2}
    lines = [json.loads(line) for line in Path("r/interactions.jsonl").read_text().splitlines()]
    assert [note["step"] for note in notes if "step" in note] == [[one["episode"], one["step"]] for one in lines]
    assert sorted(note["ended"]["number"] for note in notes if "ended" in note) == [0, 1]
    assert all(isinstance(line["reward"], int) for line in lines)


def test_an_entry_point_in_a_group_that_is_not_read_is_named(install: Any, site: Path) -> None:
    install("nostalgia", HEAD)
    (file,) = site.glob("emosim_nostalgia*/entry_points.txt")
    file.write_text(file.read_text(encoding="utf-8").replace("[emosim]", "[emosim_plugins]"), encoding="utf-8")
    with pytest.raises(UnknownNameError, match="emosim-nostalgia names it in the entry-point group 'emosim_plugins'"):
        Registry().load("nostalgia")


def test_an_unknown_plugin_is_an_error_with_the_nearest_and_its_package(uninstall: Any) -> None:
    uninstall("books")
    registry = Registry()
    with pytest.raises(UnknownNameError, match=r"unknown plugin .moveis.. Did you mean 'movies'") as error:
        registry.load("moveis")
    assert error.value.suggestions == ("movies",)
    with pytest.raises(UnknownNameError, match="in a checkout: pip install -e plugins/emosim_books"):
        registry.load("books")
