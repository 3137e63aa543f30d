"""``emosim plugins``: what is installed, what it provides, and whether it works."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from emosim_core.hooks import KINDS


def test_the_list_names_distributions_versions_status_and_everything_that_is_provided(quick: Any) -> None:
    shown = quick("plugins").out.splitlines()
    for name, distribution in (("core", "emosim-core"), ("movies", "emosim-movies")):
        assert f"{name}  {distribution} {metadata.version(distribution)}  ok" in shown
    text = "\n".join(shown)
    for usage in ("decay_emotion_K", "replay:FILE", "csv:PATH", "multinomial_logit", "simple_K", "rule_based"):
        assert f"    {usage} " in text
    assert "(also: same_film_terminate)" in text
    assert "[movies]" in text


def test_json_says_the_same_and_nothing_else(quick: Any) -> None:
    done = quick("plugins", "--json")
    assert done.err == ""
    records = {record["name"]: record for record in done.json}
    assert next(iter(records)) == "core"
    for record in records.values():
        assert set(record) == {"name", "distribution", "version", "status", "cause", "conflicts", "components"}
        for component in record["components"]:
            assert component["kind"] in KINDS
            assert component["summary"].endswith(".")
    kinds = {component["kind"] for record in records.values() for component in record["components"]}
    assert kinds == set(KINDS)
    assert all(record["conflicts"] == [] for record in records.values())


def test_options_are_shown_with_their_descriptions_and_defaults(quick: Any) -> None:
    shown = quick("plugins", "--options").out
    assert "        time_decay: Decay per interaction, lambda of exp(-lambda * age). [0.15]" in shown
    assert "        target: MODULE:NAME or FILE.py:NAME of a function, or of a class without arguments.\n" in shown
    assert "None" not in [line.split(":")[1].strip() for line in shown.splitlines() if line.startswith("        ")]


def test_a_blocked_plugin_is_listed_as_such(quick: Any) -> None:
    for more in ({"EMOSIM_PLUGINS": ""}, {"EMOSIM_PLUGINS": "others"}):
        statuses = {record["name"]: record["status"] for record in quick("plugins", "--json", **more).json}
        assert statuses["core"] == "ok"
        assert statuses["movies"] == "blocked"
    shown = quick("--no-plugins", "plugins").out
    assert "blocked: not named in EMOSIM_PLUGINS, or blocked by --no-plugins" in shown


def test_texts_of_a_plugin_are_shown_as_they_are(quick: Any, install: Any) -> None:
    install(
        "odd",
        """
        from emosim_core.plugins import Component, hookimpl
        EMOSIM_HOOK_VERSION = 1

        @hookimpl
        def emosim_policies():
            yield Component("odd", "In [red]brackets[/red].", "nowhere:Thing")
        """,
    )
    install("loud", "raise RuntimeError('[red]no[/red]')")
    shown = quick("plugins").out
    assert "In [red]brackets[/red]." in shown
    assert "RuntimeError: [red]no[/red]" in shown


def test_an_unknown_option_is_refused(quick: Any) -> None:
    assert "--options" in quick("plugins", "--option", status=2).err
