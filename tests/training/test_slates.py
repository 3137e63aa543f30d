"""Trainings on slates: what clicks teach is found, nothing is shown twice, and a seed decides every byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from stable_baselines3.common.vec_env import VecEnv

from emosim_core.hooks import Registry
from emosim_core.recommenders.recommender import load_recommender
from emosim_core.training.config import TrainConfig
from emosim_core.training.slates import SlateEnv, marked, unmarked
from emosim_core.training.top_k import SlateDistribution
from emosim_core.training.trainer import Training, checkpoints

STALLS = '''
"""Goods of three kinds: bait, which is clicked most and worth nothing; gems; shy goods, which nobody clicks."""
import numpy as np
from emosim_core.plugins import (
    Choice, Component, Domain, Item, ItemLoader, LoadedItems, RatingScale, User, UserLoader, Words, hookimpl,
)
from emosim_core.components.base import Rater, Ratings

EMOSIM_HOOK_VERSION = 1
KINDS = ("bait", "gem", "shy")
UTILITIES, RATINGS = np.array([1.5, 0.5, -6.0]), np.array([1.0, 8.0, 10.0])

def domain():
    return Domain("stalls", "Stalls", RatingScale(low=1, high=10), Words(), Item, "stalls", "six")

class Stalls(ItemLoader):
    def load(self):
        return LoadedItems([
            Item(id=f"i{i}", title=f"Good {i}", categories=(KINDS[i % 3],), public_rating=5.0, public_count=10)
            for i in range(ITEMS)
        ])

class Six(UserLoader):
    def load(self):
        return [User(id=f"u{u}", name=f"User {u}") for u in range(6)]

class ByKind(Rater):
    def rate_batch(self, request, draws):
        return Ratings(RATINGS[request.items % 3])

class Buys(Choice):
    """One item or none, by a logit over the kinds; the last place of a slate is worth a unit less."""

    def choose_batch(self, request, examining, choosing):
        places = request.items.shape[1]
        weight = np.exp(UTILITIES[request.items % 3] - (np.arange(places) == places - 1))
        edges = weight.cumsum(axis=1)
        drawn = choosing.uniform(1) * (edges[:, -1:] + 1.0)
        examined = np.ones(weight.shape, dtype=bool)
        return examined, (edges <= drawn).sum(axis=1)[:, None] == np.arange(places)

@hookimpl
def emosim_domains():
    yield Component("stalls", "Stalls.", "emosim_stalls:domain")

@hookimpl
def emosim_item_loaders():
    yield Component("stalls", "All.", "emosim_stalls:Stalls", domain="stalls")

@hookimpl
def emosim_user_loaders():
    yield Component("six", "Six.", "emosim_stalls:Six", domain="stalls")

@hookimpl
def emosim_raters():
    yield Component("by_kind", "By kind.", "emosim_stalls:ByKind")

@hookimpl
def emosim_choices():
    yield Component("buys", "Buys.", "emosim_stalls:Buys")
'''

SLATE_ALGOS = ("slateq", "topk")

SHORT: dict[str, dict[str, Any]] = {
    "slateq": {"algorithm": {"learning_starts": 100, "batch_size": 32, "buffer_size": 2000}, "n_steps": 1},
    "topk": {"algorithm": {"batch_size": 20}},
}


@pytest.fixture
def train_slates(install: Callable[..., str], tmp_path: Path) -> Callable[..., Training]:
    """Makes a training on stalls in a directory of the test, on slates of three and short if nothing else is said."""
    torch.set_num_threads(1)
    registries: dict[int, Registry] = {}

    def make(out: str = "t", resume: bool = False, items: int = 24, **options: Any) -> Training:
        if items not in registries:
            install("stalls", f"ITEMS = {items}\n{STALLS}", domains=["stalls"])
            registries[items] = Registry()
        given = {
            "plugin": "stalls", "embeddings": "lexical", "rater": "by_kind", "choice": "buys",
            "reward_shaping": "identity", "max_steps": 5, "user_split": "all", "num_envs": 4, "timesteps": 240,
            "seed": 3, "device": "cpu", "n_steps": 5, "slate": 3, "policy_net": "mlp", **options,
        }  # fmt: skip
        return Training(TrainConfig(**given), tmp_path / out, resume, registries[items])

    return make


def kinds(training: Training) -> tuple[np.ndarray, float]:
    """Share of bait, gems and shy goods in the first two slates of an episode, and what an episode is worth."""
    env = SlateEnv(training.env)
    env.seed(77)
    seen, slates = env.reset(), []
    for step in range(5):
        actions, _ = training.model.predict(seen, deterministic=True)
        if step < 2:
            slates.append(actions)
        seen, rewards, _, _ = env.step(actions)
    return np.bincount(np.ravel(slates) % 3, minlength=3) / np.size(slates), float(rewards.mean())


LEARNS: dict[str, dict[str, Any]] = {
    "slateq": {
        "timesteps": 8000, "n_steps": 1, "learning_rate": 0.003, "gamma": 0.5,
        "algorithm": {"learning_starts": 500, "batch_size": 128, "gradient_steps": 1},
    },
    "topk": {"timesteps": 12_000, "n_steps": 16, "learning_rate": 0.01, "algorithm": {"batch_size": 256}},
}  # fmt: skip


@pytest.mark.parametrize("algo", SLATE_ALGOS)
def test_what_is_clicked_and_worth_it_is_found_between_bait_and_what_nobody_clicks(
    train_slates: Callable[..., Training], algo: str
) -> None:
    training = train_slates(algo=algo, num_envs=16, items=36, **LEARNS[algo])
    before = kinds(training)[0]
    training.train()
    after = kinds(training)[0]
    assert before[1] < 0.7
    assert after[1] > 0.9, after
    if algo == "slateq":
        odds, places = learned_choice(training)
        # A slate's first places are alike, and no item is preferred for its place.
        assert odds + places[:2].mean().item() == pytest.approx([1.5, 0.5], abs=0.4)
        assert places[:2].mean() - places[2] == pytest.approx(1.0, abs=0.4)


def learned_choice(training: Training) -> tuple[np.ndarray, torch.Tensor]:
    """Log-odds of bait and gems against no click, and what each place adds."""
    policy = training.model.policy
    env = SlateEnv(training.env)
    seen = policy.obs_to_tensor(env.reset())[0]
    with torch.no_grad():
        odds = policy.appraise(seen).odds.mean(dim=0).numpy()
    return np.array([odds[kind::3].mean() for kind in (0, 1)]), policy.q_net.places.detach()


@pytest.mark.parametrize("candidates", [0, 9])
@pytest.mark.parametrize("net", ["cf", "mlp", "bayes"])
@pytest.mark.parametrize("algo", SLATE_ALGOS)
def test_no_slate_has_an_item_twice_and_none_that_was_shown_or_consumed(
    train_slates: Callable[..., Training], algo: str, net: str, candidates: int
) -> None:
    training = train_slates(algo=algo, policy_net=net, candidates=candidates, items=27, **SHORT[algo])
    engine, slates = training.env.env.engine, 0
    shown: list[set[int]] = [set() for _ in range(4)]
    step = engine.step

    def looked_at(actions: Any, rows: Any = None) -> Any:
        nonlocal slates
        for slot, slate in enumerate(np.asarray(actions).tolist()):
            if engine.steps[slot] == 0:
                shown[slot].clear()
            assert len(set(slate)) == 3
            assert not shown[slot] & set(slate)
            shown[slot] |= set(slate)
            slates += 1
        return step(actions, rows)

    engine.step = looked_at
    training.train()
    assert slates >= 240
    assert training.env.episodes >= 40


def test_what_was_shown_comes_again_when_too_little_else_is_left(train_slates: Callable[..., Training]) -> None:
    training = train_slates(algo="topk", items=8, max_steps=20, **SHORT["topk"])
    env = SlateEnv(training.env)
    env.seed(1)
    seen, lengths = env.reset(), []
    consumed = [set() for _ in range(4)]  # type: ignore[var-annotated]
    for _ in range(4):
        lengths.append((seen["consumed_items"] >= 0).sum(axis=1))
        slates, _ = training.model.predict(seen, deterministic=False)
        seen, _, _, _ = env.step(slates)
        for slot in range(4):
            consumed[slot] |= set(slates[slot][env.clicked[slot]].tolist())
            assert consumed[slot] <= set(seen["consumed_items"][slot].tolist())
    assert lengths[0].tolist() == [0] * 4
    assert lengths[1].tolist() == [3] * 4
    assert (lengths[2] < 6).all()  # of 8, two slates are shown, and a third cannot be filled


class Killed(Exception):
    """Stands for a power cut: nothing of the training runs after it."""


@pytest.mark.parametrize("algo", SLATE_ALGOS)
def test_a_training_that_was_killed_goes_on_to_the_same_bytes(
    train_slates: Callable[..., Training], tmp_path: Path, algo: str
) -> None:
    options = {"algo": algo, "checkpoint_every": 100, "eval_every": 0, "timesteps": 360, **SHORT[algo]}
    whole = train_slates("whole", **options).train()
    killed = train_slates("killed", **options)
    step = killed.env.step_wait

    def wait() -> Any:
        if killed.env.steps >= 180:
            raise Killed
        return step()

    killed.env.step_wait = wait  # type: ignore[method-assign]
    with pytest.raises(Killed):
        killed.train()
    last = checkpoints(tmp_path / "killed")[-1]
    if algo == "slateq":
        with np.load(last / "replay.npz") as arrays:
            assert (arrays["actions"] < 0).any(axis=2).mean() > 0.3  # what was clicked
    again = train_slates("killed", resume=True, **options).train()
    assert again["episodes"] == whole["episodes"]
    weights = [(tmp_path / out / "model/weights.safetensors").read_bytes() for out in ("whole", "killed")]
    assert weights[0] == weights[1]
    other = train_slates("other", **{**options, "seed": 4})
    other.train()
    assert (tmp_path / "other/model/weights.safetensors").read_bytes() != weights[0]


def test_a_long_training_forgets_what_was_shown_when_its_episodes_begin_anew_after_a_checkpoint(
    train_slates: Callable[..., Training],
) -> None:
    training = train_slates(algo="topk", checkpoint_every=20, eval_every=0, max_steps=4, items=27, **SHORT["topk"])
    training.train()
    assert training.model.num_timesteps >= 240
    assert training.model.env._out.sum(axis=1).max() <= 4 * 3


@pytest.mark.parametrize("algo", SLATE_ALGOS)
def test_the_recommender_ranks_as_the_model_in_training(
    train_slates: Callable[..., Training], tmp_path: Path, algo: str
) -> None:
    training = train_slates(algo=algo, **SHORT[algo])
    training.train()
    env = SlateEnv(training.env)
    env.seed(5)
    seen = env.reset()
    loaded = load_recommender(tmp_path / "t")
    for _ in range(3):
        slates, _ = training.model.predict(seen, deterministic=True)
        assert np.argsort(-loaded.scores(seen), axis=1, kind="stable")[:, :3].tolist() == slates.tolist()
        seen = env.step(slates)[0]
    best = loaded.recommend([("i3", 8.0)], k=4)
    assert len({one.item for one in best} - {"i3"}) == 4
    assert json.loads((tmp_path / "t/model/recommender.json").read_text())["net"]["choice_places"] == (
        3 if algo == "slateq" else 0
    )


def test_a_slate_is_drawn_as_often_as_the_weights_of_its_items_say() -> None:
    torch.manual_seed(0)
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    drawn = SlateDistribution(2).proba_distribution(weights.log().expand(40_000, 4)).sample()
    for first, second in ((3, 2), (0, 1), (2, 0)):
        expected = weights[first] / 10 * weights[second] / (10 - weights[first])
        share = ((drawn[:, 0] == first) & (drawn[:, 1] == second)).float().mean()
        assert share == pytest.approx(expected.item(), abs=0.01)


@pytest.mark.parametrize("places", [1, 2, 7])
def test_the_gradient_of_being_shown_has_the_factor_of_chen_et_al(places: int) -> None:
    logits = torch.randn(3, 9, generator=torch.Generator().manual_seed(1)).requires_grad_()
    slates = torch.arange(places).expand(3, places)
    shown = SlateDistribution(places).proba_distribution(logits).log_prob(slates)
    shown.sum().backward()
    gradient, logits.grad = logits.grad, None
    log_pi = torch.log_softmax(logits, dim=1)[:, :places]
    pi = log_pi.detach().exp()
    alpha = 1 - (1 - pi) ** places
    weight = pi / alpha * places * (1 - pi) ** (places - 1)  # (pi / alpha) lambda_K
    (weight * log_pi).sum().backward()
    assert torch.allclose(shown, alpha.log(), atol=1e-5)
    assert torch.allclose(gradient, logits.grad, atol=1e-5)  # type: ignore[arg-type]


def test_what_was_clicked_is_marked_in_buffers_and_shares_what_was_earned() -> None:
    slates = np.array([[5, 0, 3], [1, 2, 4]])
    clicked = np.array([[False, True, True], [False, False, False]])
    items, shares = unmarked(torch.as_tensor(marked(slates, clicked), dtype=torch.float32))
    assert items.tolist() == slates.tolist()
    assert shares.tolist() == [[0, 0.5, 0.5], [0, 0, 0]]


@pytest.mark.parametrize(
    ("slate", "algo", "message"),
    [(3, "ppo", "with slate 3, algo is slateq or topk"), (1, "slateq", "give a slate of 2 or more")],
)
def test_an_algorithm_learns_either_slates_or_items(slate: int, algo: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainConfig(plugin="movies", slate=slate, algo=algo)  # type: ignore[arg-type]


def test_slates_reach_single_users_through_a_wrapper_that_sb3_knows(train_slates: Callable[..., Training]) -> None:
    env = SlateEnv(train_slates(algo="topk").env)
    assert isinstance(env, VecEnv)
    seen = env.reset()
    assert env.observation_space.contains({part: values[0] for part, values in seen.items()})
