"""Algorithms: nothing that was consumed is recommended or hoped for, arguments are checked, and the best is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from emosim_core import ConfigurationError
from emosim_core.hooks.component import load_object
from emosim_core.recommenders.networks import MASKED
from emosim_core.training.algorithms import ALGORITHMS, arguments
from emosim_core.training.callbacks import returns_of_model
from emosim_core.training.config import TrainConfig
from emosim_core.training.held_out import world_of

ALGOS = tuple(algo for algo in ALGORITHMS if algo not in ("slateq", "topk"))

SHORT: dict[str, dict[str, Any]] = {
    "a2c": {},
    "ppo": {"algorithm": {"batch_size": 20}},
    "dqn": {"algorithm": {"learning_starts": 100, "batch_size": 16, "exploration_final_eps": 0.5}, "n_steps": 1},
    "trpo": {"algorithm": {"batch_size": 20}},
    "maskable_ppo": {"algorithm": {"batch_size": 20}},
}


@pytest.mark.parametrize("net", ["cf", "mlp", "bayes"])
@pytest.mark.parametrize("algo", ALGOS)
def test_nothing_is_recommended_twice_in_training_nor_in_prediction(
    train: Callable[..., Any], algo: str, net: str
) -> None:
    training = train(algo=algo, policy_net=net, timesteps=240, items=5, max_steps=50, **SHORT[algo])
    engine, given = training.env.env.engine, [0]
    step = engine.step

    def looked_at(actions: Any, rows: Any = None) -> Any:
        before = engine.memory.consumed(engine.all_rows)
        given[0] += len(actions)
        assert not before[engine.all_rows, np.ravel(actions)].any()
        return step(actions, rows)

    engine.step = looked_at
    training.train()
    assert given[0] >= 240
    assert set(training.end_reasons) == {"out_of_items"}
    for deterministic in (True, False):
        training.env.seed(9)
        seen = training.env.reset()
        for _ in range(12):
            masks = {"action_masks": training.env.action_masks()} if algo == "maskable_ppo" else {}
            actions, _ = training.model.predict(seen, deterministic=deterministic, **masks)
            seen = training.env.step(actions)[0]
    assert given[0] >= 240 + 2 * 12 * 4


def marked(items: torch.Tensor, count: int) -> torch.Tensor:
    """Which of ``count`` items are among those of each row, -1 for none."""
    return torch.nn.functional.one_hot(items.long() + 1, count + 1).sum(1)[:, 1:] > 0


@pytest.mark.parametrize("net", ["cf", "mlp", "bayes"])
def test_the_targets_of_dqn_hope_for_nothing_that_was_consumed(
    train: Callable[..., Any], net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = train(algo="dqn", policy_net=net, timesteps=120, **SHORT["dqn"])
    training.train()
    model = training.model
    seen = model.replay_buffer.sample(64).next_observations
    values = model.q_net_target(seen)
    consumed = marked(seen["consumed_items"], values.shape[1])
    assert consumed.any()
    assert (values[consumed] == MASKED).all()
    with monkeypatch.context() as patch:
        patch.setattr("emosim_core.recommenders.networks.MASKED", 1e8)
        everything = model.q_net_target(seen)  # as if what was consumed were worth most
    assert (everything[consumed] == 1e8).all()
    best = torch.where(consumed, torch.full_like(values, -torch.inf), everything).amax(1)
    assert torch.equal(values.amax(1), best)


def test_random_exploration_is_even_among_what_is_left(train: Callable[..., Any]) -> None:
    model = train(algo="dqn", **SHORT["dqn"]).model
    consumed = np.tile(np.array([1, 3, 4, 6, 7, -1]), (6000, 1))
    counts = np.bincount(model._random_items({"consumed_items": consumed}), minlength=8)
    assert np.flatnonzero(counts).tolist() == [0, 2, 5]
    assert counts[[0, 2, 5]] / 6000 == pytest.approx([1 / 3] * 3, abs=0.03)


def test_each_user_explores_on_a_coin_of_their_own(train: Callable[..., Any]) -> None:
    training = train(algo="dqn", num_envs=64, policy_net="mlp", **SHORT["dqn"])
    seen = training.env.reset()
    best, _ = training.model.predict(seen, deterministic=True)
    training.model.exploration_rate = 0.5
    drawn, _ = training.model.predict(seen, deterministic=False)
    assert 10 < (drawn != best).sum() < 45
    training.model.exploration_rate = 0.0
    assert np.array_equal(training.model.predict(seen, deterministic=False)[0], best)


@pytest.mark.parametrize("algo", ALGOS)
def test_arguments_are_the_defaults_then_the_file_then_the_options(algo: str) -> None:
    spec = ALGORITHMS[algo]
    changed = {"gae_lambda": 0.125} if algo != "dqn" else {"tau": 0.125}
    made = arguments(
        TrainConfig(plugin="movies", algo=algo, gamma=0.5, learning_rate=0.25, n_steps=7, algorithm=changed)  # type: ignore[arg-type]
    )
    rate = made.pop("learning_rate")
    assert [rate(remaining) for remaining in (1.0, 0.5, 0.0, -0.1)] == pytest.approx([0.25, 0.1375, 0.025, 0.025])
    by_net = {key: value for key, value in spec.by_net.get("cf", {}).items() if key != "learning_rate"}
    assert made == {
        **spec.defaults, **by_net, **changed, "gamma": 0.5, spec.steps: 7,
        **{key: min(value, 7 * 64) for key, value in spec.defaults.items() if key == "batch_size" and algo != "dqn"},
    }  # fmt: skip
    assert issubclass(load_object(spec.policy), torch.nn.Module)
    own = arguments(TrainConfig(plugin="movies", algo=algo))["learning_rate"](1.0)  # type: ignore[arg-type]
    assert own == pytest.approx({**spec.defaults, **spec.by_net["cf"]}["learning_rate"])


@pytest.mark.parametrize("algo", [algo for algo in ALGOS if algo != "dqn"])
def test_an_advantage_looks_one_step_ahead_and_the_discount_is_that_of_the_configuration(
    train: Callable[..., Any], algo: str
) -> None:
    model = train(algo=algo, gamma=0.5, **SHORT[algo]).model
    assert (model.gamma, model.gae_lambda) == (0.5, 0.0)
    buffer, dones = model.rollout_buffer, np.zeros(4)
    buffer.reset()
    buffer.rewards[:], buffer.values[:] = 1.0, 2.0
    buffer.compute_returns_and_advantage(torch.full((4, 1), 6.0), dones)
    assert buffer.advantages[-1] == pytest.approx([1 + 0.5 * 6 - 2] * 4)
    assert buffer.advantages[:-1] == pytest.approx(np.full((len(buffer.advantages) - 1, 4), 1 + 0.5 * 2 - 2))


@pytest.mark.parametrize("algo", ["ppo", "trpo", "maskable_ppo"])
def test_a_batch_is_no_larger_than_what_was_seen_unless_somebody_says_so(algo: str) -> None:
    few = {"plugin": "movies", "algo": algo, "num_envs": 2, "n_steps": 6}
    assert arguments(TrainConfig(**few))["batch_size"] == 12
    assert arguments(TrainConfig(**few, algorithm={"batch_size": 99}))["batch_size"] == 99


@pytest.mark.parametrize(
    ("algo", "given", "message"),
    [
        ("a2c", {"ent_coeff": 0.1}, "A2C has no such argument. Did you mean 'ent_coef'"),
        ("dqn", {"ent_coef": 0.1}, "algorithm.ent_coef: DQN has no such argument"),
        ("ppo", {"seed": 3}, "algorithm.seed: a training sets this itself"),
        ("ppo", {"policy_kwargs": {}}, "algorithm.policy_kwargs: a training sets this itself"),
        ("ppo", {"gamma": 0.3}, "algorithm.gamma: a training sets this itself, or has an option for it"),
        ("a2c", {"n_steps": 3}, "algorithm.n_steps: a training sets this itself, or has an option for it"),
        ("ppo", {"batch_size": -1}, "PPO refuses its arguments"),
        ("ppo", {"n_epochs": "many"}, "algorithm.n_epochs: PPO wants a number, got 'many'"),
    ],
)
def test_an_argument_that_an_algorithm_does_not_have_is_refused(
    train: Callable[..., Any], algo: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        train(algo=algo, algorithm=given)


BEST = {"cf": 5 * 9.0, "mlp": 5 * 9.0 - 7.0 * (0 + 1 + 2 + 3) / 4}
"""The best mean return: ``cf`` knows each user's colour; ``mlp`` must find it, which takes 0 to 3 stones at 2."""

RANDOM = 5 * (9.0 + 3 * 2.0) / 4
"""The mean return of random stones: a quarter of them has the colour that is liked."""


@pytest.mark.slow
@pytest.mark.parametrize("net", ["cf", "mlp"])
@pytest.mark.parametrize("algo", ALGOS)
def test_every_algorithm_gets_near_the_best_that_is_known(train: Callable[..., Any], algo: str, net: str) -> None:
    """Seed 3, defaults; near is nine tenths of the way from random to best.

    DQN's defaults are for hundreds of items and many more steps; it begins to learn earlier here, and faster.
    """
    sooner = {"learning_starts": 500, "tau": 0.05, "gradient_steps": 2, "batch_size": 128}
    envs = 16 if algo == "dqn" or (net == "cf" and algo != "trpo") else 8
    steps = (5_000 if net == "cf" else 8_000) * (1 if algo == "dqn" else 2)
    training = train(
        algo=algo, policy_net=net, items=20, num_envs=envs, timesteps=steps, n_steps=None, eval_episodes=64,
        learning_rate=0.002 if algo == "dqn" else None, algorithm=sooner if algo == "dqn" else {},
    )  # fmt: skip
    everybody = world_of(training.world, "all")
    before = returns_of_model(everybody, training.model, training.net, training.config).mean()
    training.train()
    after = returns_of_model(everybody, training.model, training.net, training.config).mean()
    near = RANDOM + 0.9 * (BEST[net] - RANDOM)
    assert before < near
    assert near <= after <= BEST[net] + 1e-6
