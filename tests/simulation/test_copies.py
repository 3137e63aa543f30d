"""Pickling and copying: environments, what they return, and all that they are made of, at any moment."""

from __future__ import annotations

import builtins
import copy
import io
import multiprocessing
import pickle
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emosim_core
from emosim_core import EmoSimEnv, EmoSimError, EmoSimVectorEnv, StableBaselines3VecEnv, errors
from emosim_core.components.base import Rater
from emosim_core.llm.gateway.gateway import Gateway
from emosim_core.plugins import Registry
from emosim_core.simulation.assembly import World
from emosim_core.testing import Answer, ChatServer

ID = "emosim_movies:EmoSim/Movies-v0"


def pickled(thing: Any) -> Any:
    return unpickled(pickle.dumps(thing))


def unpickled(content: bytes) -> Any:
    return pickle.loads(content)  # noqa: S301  (what this test pickled)


def plain(value: Any) -> Any:
    """Something that an environment returned, in a form that equals another of the same content."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key != "t"}  # the time of an episode's end
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    return list(value) if type(value).__name__ == "Reasons" else value


class Drawing(Rater):
    """Answers from a generator per user, in its single form."""

    def rate(self, situation: Any, rng: np.random.Generator) -> tuple[float, str]:
        return float(rng.choice(situation.scale.levels)), f"as {situation.user.name} likes"


KINDS: dict[str, Callable[[World], Any]] = {
    "one": lambda world: EmoSimEnv(world=world),
    "wrapped": lambda world: gymnasium.wrappers.RecordEpisodeStatistics(
        gymnasium.wrappers.OrderEnforcing(gymnasium.wrappers.TimeLimit(EmoSimEnv(world=world), 30))
    ),
    "next step": lambda world: EmoSimVectorEnv(num_envs=3, world=world),
    "same step": lambda world: EmoSimVectorEnv(num_envs=3, autoreset_mode="SameStep", world=world),
    "stable-baselines3": lambda world: StableBaselines3VecEnv(
        EmoSimVectorEnv(num_envs=3, autoreset_mode="SameStep", world=world)
    ),
}

OPTIONS: list[dict[str, Any]] = [
    {},
    {"max_steps": 4, "keep_memory": True, "user_order": "sequential"},
    {"p_interrupt": 0.2, "perturbator": "gaussian", "reward_shaping": "churn_satisfaction:min_steps=2"},
    {"slate": 2, "selector": "multinomial_logit", "items_retrieval": "decay_emotion_3"},
    {"observe_consumed": True, "reward_shaping": "identity"},
    {"parts": "drawing"},
]


def begun(env: Any, seed: int) -> Any:
    if isinstance(env, StableBaselines3VecEnv):
        env.seed(seed)
        return env.reset()
    return env.reset(seed=seed)


def went(env: Any, actions: Any, slate: int = 1) -> list[Any]:
    """What it brings to recommend these items, one after the other."""
    count = getattr(env, "num_envs", 0)
    shape = tuple(size for size in (count, slate) if size > 1)
    seen = []
    for action in np.asarray(actions).reshape(-1, *shape):
        came = env.step(action)
        seen.append(plain(came))
        if not count and (came[2] or came[3]):
            seen.append(plain(env.reset()))
    return seen


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6)
@given(data=st.data())
def test_a_copy_goes_on_as_the_original_whenever_it_is_made(
    small_world: Callable[..., World], kind: str, data: st.DataObject
) -> None:
    options = dict(data.draw(st.sampled_from(OPTIONS)))
    if "parts" in options:
        options["parts"] = {"rater": Drawing()}
    if kind in ("wrapped", "stable-baselines3"):
        options["slate"] = 1
    slate, env = options.get("slate", 1), KINDS[kind](small_world(**options))
    each = slate * getattr(env, "num_envs", 1)
    seed, steps = data.draw(st.integers(0, 2**62)), data.draw(st.integers(0, 90))
    begun(env, seed)
    rng = np.random.default_rng(seed)
    went(env, rng.integers(0, 8, steps * each), slate)
    actions = rng.integers(0, 8, 12 * each)
    copies = [copy.deepcopy(env), pickled(env), pickled(copy.deepcopy(env))]
    # The original comes last: were anything shared, the copies would have moved it.
    paths = [went(one, actions, slate) for one in (*copies, env)]
    assert all(path == paths[-1] for path in paths)


def test_what_an_environment_returns_pickles_small_and_stays_lazy_here(small_world: Callable[..., World]) -> None:
    world = small_world()
    worded: list[int] = []
    rate = world.rater.rate_batch

    def watched(request: Any, draws: Any) -> Any:
        answer = rate(request, draws)
        reason = answer.reason
        answer.reason = lambda row, place: (worded.append(row), reason(row, place))[1]
        return answer

    world.rater.rate_batch = watched  # type: ignore[method-assign]
    env = EmoSimEnv(world=world)
    env.reset(seed=1)
    observation, _, _, _, info = env.step(3)
    same = copy.deepcopy(info)
    assert worded == []
    moved = pickle.dumps((observation, info))
    assert worded == [0]
    assert len(moved) < 2_000
    assert unpickled(moved)[1] == info == same
    assert info["reasons"] == [info["reasons"][0]]
    assert isinstance(unpickled(moved)[1]["reasons"], list)
    assert info["reasons"][0].startswith("From ")


@pytest.mark.parametrize("domain", ["movies", "books"])
def test_a_domain_copies_in_the_middle_of_an_episode(domain: str) -> None:
    env = emosim_core.make(domain, render_mode="ansi")
    env.reset(seed=4)
    went(env, range(20))
    copies = [env, copy.deepcopy(env), pickled(env)]
    assert len({str(one.render()) for one in copies}) == 1
    assert len({str(went(one, range(30, 50))) for one in copies}) == 1
    assert copies[2].world.label("rater") == env.world.label("rater")
    assert copies[2].world.trusted("rater")


def test_unpickling_reads_no_file_of_data(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = pickle.dumps(emosim_core.make("movies"))
    opened: list[str] = []
    real = io.open

    def noted(path: Any, *rest: Any, **more: Any) -> Any:
        opened.append(str(path))
        return real(path, *rest, **more)

    for module in (builtins, io):
        monkeypatch.setattr(module, "open", noted)
    env = unpickled(moved)
    assert env.step(env.reset(seed=1)[0]["user"])[1] > 0
    # Metadata of installed distributions is looked for in the entries of the path too, such as python311.zip.
    assert [path for path in opened if "dist-info" not in path and path not in sys.path] == []


def test_a_registry_is_found_anew_with_what_was_loaded() -> None:
    registry = Registry(only=["movies"])
    registry.load("movies")
    other = pickled(registry)
    assert [(one.name, one.status) for one in other.records] == [(one.name, one.status) for one in registry.records]
    assert other.resolve("domain", "movies").component == registry.resolve("domain", "movies").component
    assert copy.deepcopy(registry) is registry


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_gymnasium_steps_environments_in_processes(method: str) -> None:
    here = gymnasium.make_vec(ID, num_envs=2, vectorization_mode="sync", max_steps=3)
    in_processes = gymnasium.make_vec(
        ID, num_envs=2, vectorization_mode="async", vector_kwargs={"context": method}, max_steps=3
    )
    try:
        assert plain(here.reset(seed=2)) == plain(in_processes.reset(seed=2))
        for step in range(5):
            one, other = here.step([step, step + 1]), in_processes.step([step, step + 1])
            assert plain(one) == plain(other)
        assert [list(reasons) for reasons in other[4]["reasons"]] == [list(reasons) for reasons in one[4]["reasons"]]
    finally:
        in_processes.close()


def test_an_environment_travels_to_a_process_in_the_middle_of_an_episode() -> None:
    env = emosim_core.make("movies")
    env.reset(seed=3)
    went(env, range(9))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        info = pool.apply(_stepped, (env,))
    assert info == env.step(11)[4]


def _stepped(env: EmoSimEnv) -> dict[str, Any]:
    return env.step(11)[4]


# --------------------------------------------------------------------------------------------- errors

MADE: dict[str, EmoSimError] = {
    "UnknownNameError": errors.UnknownNameError("retrieval", "lst", ["last"], ["last"], hint="Look."),
    "DataError": errors.DataError("items.csv", "no number", row=3, field="rating"),
    "OptionError": errors.OptionError("run", "max_steps", "too small"),
    "LLMCacheError": errors.LLMCacheError("llm.sqlite3", "cannot be written"),
    "MissingDependencyError": errors.MissingDependencyError("reading", "pandas", "pip install pandas"),
    "LLMRateLimitError": errors.LLMRateLimitError("slow down", retry_after=2.5),
    "WrongAnswerError": errors.WrongAnswerError("rated 11", "rater-scale"),
}

ERRORS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, EmoSimError)]


class Custom(EmoSimError):
    """An error of a plugin, with arguments of its own."""

    def __init__(self, *, what: str, where: int) -> None:
        self.where = where
        super().__init__(f"{what} at {where}")


@pytest.mark.parametrize("kind", [*ERRORS, Custom])
@pytest.mark.parametrize("copied", [pickled, copy.copy, copy.deepcopy])
def test_every_error_is_the_same_in_another_process(kind: type[EmoSimError], copied: Callable[[Any], Any]) -> None:
    error = MADE.get(kind.__name__) or (Custom(what="x", where=3) if kind is Custom else kind("what went wrong"))
    error.usage = "seven tokens"  # type: ignore[attr-defined]
    other = copied(error)
    assert type(other) is kind
    assert str(other) == str(error)
    assert vars(other) == vars(error)
    assert other.args == error.args


# ------------------------------------------------------------------------------------ language models


def test_who_a_language_model_answers_for_travels_without_its_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("EMOSIM_LLM_API_KEY", "sk-very-secret-key")
    monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path))
    with ChatServer(lambda request: Answer("7")) as server:
        env = emosim_core.make("movies", llm_model=f"{server.url}#tiny", max_steps=6)
        env.reset(seed=1)
        env.step(1)
        calls = len(server.calls)
        moved = pickle.dumps(env)
        assert b"sk-very-secret-key" not in moved
        other = unpickled(moved)
        gateway = other.world.rater.gateway
        assert isinstance(gateway, Gateway)
        assert gateway.usage.summary()["calls"] == calls == 1
        every = [env, other, copy.deepcopy(env)]
        assert len({str(plain(one.step(2))) for one in every}) == 1
        assert len(server.calls) == calls + 1  # the copies find the answer where the original kept it
        for one in every:
            one.close()
