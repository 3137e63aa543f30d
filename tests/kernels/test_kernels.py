"""Kernels: a step gives the same bytes with and without them, and only an environment that is made loads them."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.lived import lived
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.components import rule_based
from emosim_core.components.base import Draws, Rater, RatingRequest, Ratings
from emosim_core.components.mixture import MixOptions, Mixture
from emosim_core.errors import ConfigurationError
from emosim_core.kernels import KERNELS_VARIABLE, compiled, load_kernels
from emosim_core.model import RatingScale, catalog
from emosim_core.simulation.assembly import World
from emosim_core.simulation.engine import Engine

ITEMS = 8


class Forgetful(rule_based.RuleBased):
    """The rule-based rater, which now and then gives no rating, in an array of another kind and order."""

    def rate_batch(self, request: RatingRequest, draws: Draws) -> Ratings:
        answer = super().rate_batch(request, draws)
        answer.values[(request.items + request.times + request.users[:, None]) % 3 == 0] = np.nan
        return Ratings(np.asfortranarray(answer.values, dtype=np.float32), answer.reason)


@settings(max_examples=60)
@given(data=st.data())
def test_a_step_gives_the_same_bytes_with_kernels_and_without(
    small_world: Callable[..., World], data: st.DataObject
) -> None:
    slate = data.draw(st.sampled_from([1, 1, 2, 4]), "slate")
    scale = data.draw(st.sampled_from([RatingScale(), RatingScale(low=0, high=5, step=0.5)]), "scale")
    options: dict[str, Any] = {
        "slate": slate,
        "choice": (choice := data.draw(st.sampled_from(["ratings_first", "cascade", "position_based"]), "choice")),
        "selector": data.draw(st.sampled_from(["greedy", "multinomial_logit", "random"]), "selector")
        if choice == "ratings_first" else "greedy",
        "items_retrieval": data.draw(
            st.sampled_from([
                "decay_emotion_3", "decay_emotion_1", "decay_emotion:k=5,time_decay=0.0", "last_2", "none",
                "decay_emotion:k=2,consider_arousal=true,emotion_bonus=0.7", "most_similar_2",
            ]), "retrieval",
        ),
        "reward_shaping": data.draw(
            st.sampled_from([
                "identity", "churn_satisfaction", "churn_satisfaction:min_steps=1,recovery=0.5,rate=2",
                "exp_decay_time",
            ]), "shaping",
        ),
        "perturbator": data.draw(st.sampled_from(["none", "gaussian"]), "perturbator"),
        "observe_consumed": data.draw(st.booleans(), "observe_consumed"),
        "p_interrupt": data.draw(st.sampled_from([0.0, 0.2]), "p_interrupt"),
        "keep_memory": data.draw(st.booleans(), "keep_memory"),
        "history_length": data.draw(st.sampled_from([1, 4, 10]), "history_length"),
        "max_steps": data.draw(st.sampled_from([7, 200]), "max_steps"),
    }  # fmt: skip
    rater = data.draw(st.sampled_from([rule_based.RuleBased, Forgetful]), "rater")
    made = rule_based.RuleBasedOptions(memory=data.draw(st.sampled_from([0.0, 0.4]), "memory"))
    # Long enough, now and then, for the memories to grow and for many repeats.
    one = st.lists(st.integers(0, ITEMS - 1), min_size=slate, max_size=slate, unique=True)
    slates = data.draw(st.lists(one, min_size=1, max_size=30), "slates") * data.draw(st.sampled_from([1, 4]), "times")
    with pytest.MonkeyPatch.context() as patch:
        if data.draw(st.booleans(), "without tables"):
            patch.setattr(catalog, "_FULL_MATRIX_LIMIT", 0)
            patch.setattr(rule_based, "_TABLE_LIMIT", 0)
        world = small_world(scale, parts={"rater": rater(made)}, on_failed_rating="skip", **options)
        assert lived(world, slates, "1") == lived(world, slates, "0")


@settings(max_examples=30)
@given(
    newest=st.sampled_from([0, 1, 3, 64]),
    retrieval=st.sampled_from(["decay_emotion_3", "decay_emotion:k=2,time_decay=0.01"]),
    slates=st.lists(st.permutations(range(ITEMS)), min_size=10, max_size=30),
    slate=st.sampled_from([1, 3]),
    raters=st.sampled_from([1, 3]),
)
def test_vectors_and_cosines_are_those_of_the_items_at_hand(
    small_world: Callable[..., World], newest: int, retrieval: str, slates: list[list[int]], slate: int, raters: int
) -> None:
    """In a large catalog, whatever was copied or kept; some users start anew, and a rater of a mixture sees a few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "_FULL_MATRIX_LIMIT", 0)
        patch.setattr(rule_based, "_TABLE_LIMIT", 0)
        patch.setattr(compiled, "_NEWEST", newest)
        several: dict[str, Rater] = {
            f"r{n}": rule_based.RuleBased(rule_based.RuleBasedOptions()) for n in range(raters)
        }
        mixed = Mixture(MixOptions(raters={key: {"weight": 1 / raters} for key in several}), several)
        world = small_world(
            parts={"rater": mixed if raters > 1 else several["r0"]},
            slate=slate, items_retrieval=retrieval, reward_shaping="identity", p_interrupt=0.05,
        )  # fmt: skip
        slates = [one[:slate] for one in slates]
        assert lived(world, slates, "1") == lived(world, slates, "0")


def test_the_switch_is_0_or_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KERNELS_VARIABLE, "0")
    assert load_kernels() is None
    for on in ("1", ""):
        monkeypatch.setenv(KERNELS_VARIABLE, on)
        assert load_kernels() is not None
    monkeypatch.setenv(KERNELS_VARIABLE, "off")
    with pytest.raises(ConfigurationError, match=r"EMOSIM_KERNELS='off': 0 switches the compiled kernels off"):
        load_kernels()


def test_a_pickled_engine_has_the_kernels_of_where_it_is_read(
    small_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = pickle.dumps(Engine(small_world()).kernels)
    assert pickle.loads(pickled) is not None  # noqa: S301  (what this test pickled)
    monkeypatch.setenv(KERNELS_VARIABLE, "0")
    assert pickle.loads(pickled) is None  # noqa: S301


def python(code: str, **variables: str) -> str:
    """What a Python process prints."""
    environment = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_numba_an_environment_steps_all_the_same() -> None:
    step = "env.reset(seed=1); print(env.engine.kernels is None, [env.step(i)[1] for i in range(6)])"
    made = f"import emosim_core; env = emosim_core.make('movies'); {step}"
    without = python(f"import sys; sys.modules['numba'] = None; {made}")
    assert without == python(made).replace("False", "True")
    assert without.startswith("True ")


def test_numba_is_loaded_where_an_environment_is_made() -> None:
    loaded = "print('numba' in sys.modules)"
    made = "from emosim_core.plugins import assemble; world = assemble(emosim_core.EnvironmentConfig(plugin='movies'))"
    code = f"import sys, emosim_core; {made}; {loaded}; emosim_core.EmoSimEnv(world=world); {loaded}"
    assert python(code).split() == ["False", "True"]


def test_compiled_kernels_are_kept_in_the_cache_of_the_user_and_are_used_where_it_cannot_be_written(
    tmp_path: Path,
) -> None:
    code = (
        "import numpy as np; from emosim_core.kernels import load_kernels; k = load_kernels();"
        "print(k.outside(np.array([[3]]), 3), k.outside(np.array([[2]]), 3))"
    )
    cache = tmp_path / "cache"
    assert python(code, NUMBA_CACHE_DIR="", EMOSIM_CACHE_DIR=str(cache)).split() == ["True", "False"]
    assert list((cache / "kernels").rglob("compiled.outside-*.nbc"))
    (tmp_path / "file").write_text("no folder")
    assert python(code, NUMBA_CACHE_DIR="", EMOSIM_CACHE_DIR=str(tmp_path / "file")).split() == ["True", "False"]


def test_ctrl_c_waits_until_a_kernel_is_compiled_or_loaded() -> None:
    """numba holds this lock then; an interruption between two calls of LLVM would end the process by SIGSEGV later."""
    from numba.core.compiler_lock import global_compiler_lock

    done = []

    def compile_interrupted() -> None:
        with global_compiler_lock:
            with global_compiler_lock:
                signal.raise_signal(signal.SIGINT)
            done.append("compiled")

    with pytest.raises(KeyboardInterrupt):
        compile_interrupted()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
