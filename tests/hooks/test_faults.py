"""Faults: what a plugin's code raises in a run is one message that names the plugin and the line."""

from __future__ import annotations

from typing import Any

import pytest

HEAD = """
import numpy as np
from emosim_core.plugins import (
    Component,
    ItemLoader,
    Perturbator,
    Policy,
    Rater,
    Ratings,
    Retrieval,
    RewardShaping,
    Selector,
    UserLoader,
    hookimpl,
)
EMOSIM_HOOK_VERSION = 1

"""

PLUGIN = """
{body}

@hookimpl
def emosim_{hook}():
    yield Component("x_odd", "s", "emosim_odd:Odd", domain={domain})
"""

RUN = ("run", "--plugin", "movies", "--episodes", "2", "--max-steps", "6", "--quiet", "--out", "r")


@pytest.mark.parametrize(
    ("kind", "hook", "option", "body", "message"),
    [
        (
            "retrieval",
            "retrievals",
            "--items-retrieval",
            "class Odd(Retrieval):\n    def retrieve(self, situation):\n        return {}[situation.item]",
            "retrieval strategy 'x_odd' of emosim-odd 1.2 failed with KeyError: ",
        ),
        (
            "retrieval",
            "retrievals",
            "--items-retrieval",
            "class Odd(Retrieval):\n    def retrieve(self, situation):\n        return [len(situation.history)]",
            "retrieval strategy 'x_odd' of emosim-odd 1.2: Odd.retrieve answered the position 0 in a history of 0",
        ),
        (
            "policy",
            "policies",
            "--policy",
            "class Odd(Policy):\n    def recommend(self, observation, rng):\n        return [0.7]",
            "policy 'x_odd' of emosim-odd 1.2: Odd.recommend answered [0.7] of the type list; expected indices of it",
        ),
        (
            "reward_shaping",
            "reward_shapings",
            "--reward-shaping",
            "class Odd(RewardShaping):\n    def shape(self, situation, rng):\n        return 'great', False",
            "reward shaping 'x_odd' of emosim-odd 1.2: Odd.shape answered 'great' of the type str; expected a reward, "
            "or a pair of a reward and whether the episode ends",
        ),
        (
            "rater",
            "raters",
            "--rater",
            "class Odd(Rater):\n    def rate(self, situation, rng):\n        return 'eight'",
            "rater 'x_odd' of emosim-odd 1.2: Odd.rate answered 'eight' of the type str; expected a rating, or a pair "
            "of a rating and a reason",
        ),
        (
            "rater",
            "raters",
            "--rater",
            "class Odd(Rater):\n    def rate_batch(self, request, draws):\n"
            "        return Ratings(np.full(request.items.shape, 7.5))",
            "rater 'x_odd' of emosim-odd 1.2 rated 7.5, which is no rating of the scale 1-10",
        ),
        (
            "rater",
            "raters",
            "--rater",
            "class Odd(Rater):\n    def prepare(self, setting):\n        raise OSError('gone')",
            "rater 'x_odd' of emosim-odd 1.2 failed with OSError: gone",
        ),
        (
            "selector",
            "selectors",
            "--selector",
            "class Odd(Selector):\n    def select(self, situation, rng):\n        return 1 / 0",
            "selector 'x_odd' of emosim-odd 1.2 failed with ZeroDivisionError: division by zero (__init__.py, line 21)",
        ),
        (
            "perturbator",
            "perturbators",
            "--perturbator",
            "class Odd(Perturbator):\n    pass",
            "perturbator 'x_odd' of emosim-odd 1.2 failed with NotImplementedError: "
            "Odd implements neither perturb nor perturb_batch",
        ),
        (
            "reward_shaping",
            "reward_shapings",
            "--reward-shaping",
            "class Odd(RewardShaping):\n    def begin(self, request):\n        self.state[request.rows] = 0",
            "reward shaping 'x_odd' of emosim-odd 1.2 failed with AttributeError",
        ),
        (
            "policy",
            "policies",
            "--policy",
            "class Odd(Policy):\n    def recommend(self, observation, rng):\n        return observation['age']",
            "policy 'x_odd' of emosim-odd 1.2 failed with KeyError: 'age'",
        ),
        (
            "policy",
            "policies",
            "--policy",
            "class Odd(Policy):\n    def recommend(self, observation, rng):\n        return [10**6]",
            "policy 'x_odd' of emosim-odd 1.2 recommended the item 1000000; the catalog has ",
        ),
        (
            "policy",
            "policies",
            "--policy",
            "class Odd(Policy):\n    history_length = None",
            "policy 'x_odd' of emosim-odd 1.2 failed with TypeError: 'NoneType'",
        ),
        (
            "item_loader",
            "item_loaders",
            "--items",
            "class Odd(ItemLoader):\n    def load(self):\n        raise ValueError('no')",
            "item loader 'x_odd' of emosim-odd 1.2 failed with ValueError: no",
        ),
        (
            "user_loader",
            "user_loaders",
            "--users",
            "class Odd(UserLoader):\n    def load(self):\n        raise ValueError('no')",
            "user loader 'x_odd' of emosim-odd 1.2 failed with ValueError: no",
        ),
    ],
)
def test_an_error_in_a_component_names_it_its_distribution_and_the_line(
    quick: Any, install: Any, kind: str, hook: str, option: str, body: str, message: str
) -> None:
    domain = "'movies'" if kind in ("item_loader", "user_loader") else None
    install("odd", HEAD + PLUGIN.format(body=body, hook=hook, domain=domain))
    assert message in quick(*RUN, option, "x_odd", status=2).err


def test_an_error_in_an_observer_names_the_hook_and_the_line(quick: Any, install: Any) -> None:
    install("odd", HEAD + "@hookimpl\ndef emosim_episode_ended(episode):\n    raise ValueError('no')\n")
    message = quick(*RUN, status=2).err
    assert "an observer (emosim_episode_ended) failed with ValueError: no (__init__.py, line 20)" in message


def test_the_whole_traceback_is_shown_where_it_is_asked_for(emosim: Any, install: Any) -> None:
    body = "class Odd(Retrieval):\n    def retrieve(self, situation):\n        return {}[situation.item]"
    install("odd", HEAD + PLUGIN.format(body=body, hook="retrievals", domain=None))
    code = """
    from emosim_core.cli.main import main
    import os, sys
    os.environ["EMOSIM_TRACEBACK"] = "1"
    sys.stderr = sys.stdout
    try:
        main(sys.argv[1:])
    except SystemExit as exited:
        print("LEFT", exited.code)
    """
    output = emosim.python(code, *RUN, "--items-retrieval", "x_odd")
    assert "return {}[situation.item]" in output
    assert output.endswith("LEFT 2\n")
