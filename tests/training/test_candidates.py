"""Candidates: what an algorithm chooses among in a large catalog is what its network scores highest of all items."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emosim_core.recommenders.networks import MASKED
from emosim_core.recommenders.recommender import load_recommender
from emosim_core.training.algorithms import ALGORITHMS
from emosim_core.training.config import TrainConfig
from emosim_core.training.policies import _candidates
from emosim_core.training.trainer import checkpoints

SHORT: dict[str, dict[str, Any]] = {
    "a2c": {},
    "ppo": {"algorithm": {"batch_size": 20}},
    "dqn": {"algorithm": {"learning_starts": 40, "batch_size": 16, "buffer_size": 2000}, "n_steps": 1},
    "trpo": {"algorithm": {"batch_size": 20}},
    "maskable_ppo": {"algorithm": {"batch_size": 20}},
}


def full_scores(training: Any, seen: dict[str, np.ndarray]) -> torch.Tensor:
    """Scores of all items, as the recommender of now gives them."""
    from stable_baselines3.common.preprocessing import preprocess_obs

    policy = training.model.policy
    policy.set_training_mode(False)
    everything = {key: values for key, values in seen.items() if key != "candidates"}
    with torch.no_grad():
        return policy.actor()(preprocess_obs(policy.obs_to_tensor(everything)[0], policy.observation_space))


@pytest.mark.parametrize("net", ["cf", "mlp", "bayes"])
@pytest.mark.parametrize("algo", SHORT)
def test_the_best_of_all_items_are_chosen_among_and_nothing_is_recommended_twice(
    train: Callable[..., Any], algo: str, net: str
) -> None:
    training = train(algo=algo, policy_net=net, timesteps=240, items=6, max_steps=50, candidates=3, **SHORT[algo])
    users, engine, given = training.model.env, training.env.env.engine, [0]
    assert users.action_space.n == 3
    step = engine.step

    def looked_at(actions: Any, rows: Any = None) -> Any:
        given[0] += len(actions)
        assert not engine.memory.consumed(engine.all_rows)[engine.all_rows, np.ravel(actions)].any()
        return step(actions, rows)

    engine.step = looked_at
    training.train()
    assert given[0] >= 240
    assert set(training.end_reasons) == {"out_of_items"}
    training.env.seed(9)
    seen, short = users.reset(), 0
    for _ in range(12):
        candidates, scores = seen["candidates"], full_scores(training, seen)
        assert users.observation_space.contains({key: values[0] for key, values in seen.items()})
        best = scores.topk(3).indices.numpy()
        assert np.array_equal(np.where(candidates < 0, -1 - candidates, candidates), best)
        remaining = scores.numpy()[np.arange(4)[:, None], best] > MASKED
        assert np.array_equal(candidates >= 0, remaining)
        short += int((~remaining).sum())
        masks = {"action_masks": users.action_masks()} if algo == "maskable_ppo" else {}
        actions, _ = training.model.predict(seen, deterministic=True, **masks)
        assert np.array_equal(candidates[np.arange(4), actions], scores.argmax(1).numpy())
        without = {key: values for key, values in seen.items() if key != "candidates"}
        masks = {"action_masks": training.env.action_masks()} if algo == "maskable_ppo" else {}
        items, _ = training.model.predict(without, deterministic=True, **masks)
        assert np.array_equal(items, scores.argmax(1).numpy())
        seen = users.step(actions)[0]
    assert short > 0  # where fewer than three items were left


def test_the_last_observation_of_an_episode_has_its_candidates(train: Callable[..., Any]) -> None:
    users = train(algo="dqn", items=12, candidates=4, **SHORT["dqn"]).model.env
    users.reset()
    for _ in range(5):
        seen, _, dones, infos = users.step(np.zeros(4, dtype=np.int64))
    assert dones.all()
    for slot, info in enumerate(infos):
        last = info["terminal_observation"]
        assert len(set(last["candidates"].tolist())) == 4
        assert not set(last["candidates"].tolist()) & set(last["consumed_items"].tolist())
        assert (seen["consumed_items"][slot] == -1).all()


@pytest.mark.parametrize("algo", ["dqn", "maskable_ppo"])
def test_a_training_over_candidates_is_resumed_and_recommends_of_all_items(
    train: Callable[..., Any], tmp_path: Path, algo: str
) -> None:
    options = {"algo": algo, "policy_net": "mlp", "items": 12, "candidates": 4, **SHORT[algo]}
    train(timesteps=200, checkpoint_every=100, **options).train()
    again = train(timesteps=400, resume=True, **options)
    assert again._begin() == 200
    if algo == "dqn":
        replay = again.model.replay_buffer
        with np.load(checkpoints(tmp_path / "t")[-1] / "replay.npz") as arrays:
            assert np.array_equal(replay.observations["candidates"][:50], arrays["observation.candidates"])
        assert replay.observations["candidates"].shape[2] == 4
        assert "consumed" not in replay.observations
    again.job.release()
    assert train(timesteps=400, resume=True, **options).train()["timesteps"] == 400
    loaded = load_recommender(tmp_path / "t")
    assert loaded.options.candidates == 4
    assert len(loaded.recommend([("i1", 9.0)], 12)) == 11


def test_what_is_stored_for_a_step_does_not_grow_with_the_catalog(train: Callable[..., Any]) -> None:
    training = train(algo="dqn", policy_net="mlp", items=80, history_length=6, candidates=4, **SHORT["dqn"])
    replay = training.model.replay_buffer
    shapes = {name: one.shape[2:] for name, one in replay.observations.items()}
    assert shapes == {name: one.shape[2:] for name, one in replay.next_observations.items()}
    assert max(shape[0] for shape in shapes.values()) == 6
    assert shapes["candidates"] == (4,)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_small_catalog_is_scored_whole_and_a_large_one_by_candidates(algo: str) -> None:
    slate = 2 if algo in ("slateq", "topk") else 1
    config = TrainConfig(plugin="movies", algo=algo, slate=slate)  # type: ignore[arg-type]
    assert _candidates(config, 2_000) == 0
    assert _candidates(config, 2_001) == ALGORITHMS[algo].candidates > 0
    assert _candidates(config.model_copy(update={"candidates": 7}), 8) == 7
    assert _candidates(config.model_copy(update={"candidates": 7}), 7) == 0
    assert _candidates(config.model_copy(update={"candidates": 0}), 62_000) == 0
