"""What is trained: policies that score items and never recommend what was consumed, and their algorithms."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib.common.maskable.distributions import MaskableCategoricalDistribution
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from stable_baselines3 import DQN
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import MultiInputPolicy, QNetwork
from torch import nn

from emosim_core.errors import ConfigurationError
from emosim_core.hooks.component import load_object
from emosim_core.model.user import LATENT
from emosim_core.recommenders.networks import (
    MASKED,
    Actor,
    ItemScores,
    Net,
    NetOptions,
    Seen,
    Torso,
    item_features,
    public_ratings,
)
from emosim_core.simulation.assembly import World
from emosim_core.simulation.vector_env import EmoSimVectorEnv
from emosim_core.training.algorithms import ALGORITHMS, arguments
from emosim_core.training.candidates import CandidateEnv, Retrieve
from emosim_core.training.config import TrainConfig
from emosim_core.training.slates import SlateEnv

_ALL_UP_TO = 2_000
"""Items up to which all are scored in learning, if the configuration does not say."""


class _ItemActorCritic:
    """Puts the parts of a :class:`Net` where an actor-critic policy of sb3 has its own.

    An action is the place of a candidate where observations show candidates, and the index of an item elsewhere.
    """

    net: Net
    features_extractor: Any
    mlp_extractor: Any
    action_net: Any
    action_dist: Any
    optimizer: Any

    def __init__(self, *args: Any, net: Net, **kwargs: Any) -> None:
        self.net = net
        super().__init__(*args, **{**_with_extractor(net, kwargs), "ortho_init": False})

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = self.net.torso()

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)  # type: ignore[misc]
        self.action_net = self.net.head()
        policy: Any = self  # an optimiser of all parameters, those of the new last layer included
        self.optimizer = policy.optimizer_class(policy.parameters(), lr=lr_schedule(1), **policy.optimizer_kwargs)

    def actor(self) -> Actor:
        """What chooses items, sharing its weights with the policy."""
        return Actor(self.features_extractor, self.mlp_extractor, self.action_net)

    def _get_action_dist_from_latent(self, latent_pi: Any) -> Any:
        logits = self.action_net(latent_pi)
        if isinstance(self.action_dist, MaskableCategoricalDistribution):
            self.action_dist.action_dim = logits.shape[1]  # one observation shows candidates, another none
        return self.action_dist.proba_distribution(action_logits=logits)


class ItemActorCritic(_ItemActorCritic, MultiInputActorCriticPolicy):
    """For A2C, PPO and TRPO: the mask comes with the observation, in training and in prediction alike."""


class MaskableItemActorCritic(_ItemActorCritic, MaskableMultiInputActorCriticPolicy):
    """For MaskablePPO, which masks by the environment's ``action_masks`` too."""


class ItemQNetwork(QNetwork):
    """The value of each item; :data:`~emosim_core.recommenders.networks.MASKED` for what was consumed."""

    def __init__(self, *args: Any, net: Net, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.q_net = nn.Sequential(_ActorTorso(net.torso(critic=False)), net.head())


class _ActorTorso(nn.Module):
    def __init__(self, torso: Torso) -> None:
        super().__init__()
        self.torso = torso

    def forward(self, seen: Seen) -> Seen:
        return self.torso.forward_actor(seen)


class ItemDQNPolicy(MultiInputPolicy):
    """For DQN: both networks leave out what was consumed, so the targets do too."""

    def __init__(self, *args: Any, net: Net, **kwargs: Any) -> None:
        self.net = net
        super().__init__(*args, **_with_extractor(net, kwargs))

    def make_q_net(self) -> ItemQNetwork:
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return ItemQNetwork(**arguments, net=self.net).to(self.device)

    def actor(self) -> Actor:
        """What chooses items, sharing its weights with the policy."""
        torso, head = self.q_net.q_net
        assert isinstance(torso, _ActorTorso)
        assert isinstance(head, ItemScores)
        return Actor(self.q_net.features_extractor, torso.torso, head)


def _with_extractor(net: Net, kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**kwargs, "features_extractor_class": net.extractor, "features_extractor_kwargs": {"net": net}}


class MaskedDQN(DQN):
    """DQN whose random actions leave out what was consumed.

    What it values highest leaves it out already, by its policy. Each user explores on a coin of
    their own; stable-baselines3 throws one for the whole batch.
    """

    def set_random_seed(self, seed: int | None = None) -> None:
        """Begin all that is random anew, exploration too."""
        super().set_random_seed(seed)
        self.np_random = np.random.default_rng(seed)

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray, NDArray]:
        observation: Any = self._last_obs
        if self.num_timesteps < learning_starts:
            actions = self._random_items(observation)
        else:
            actions, _ = self.predict(observation, deterministic=False)
        return actions, actions

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[NDArray, Any]:
        """The actions valued highest, or, unless ``deterministic``, random ones at the exploration rate."""
        actions, state = self.policy.predict(observation, state, episode_start, deterministic)
        if deterministic:
            return actions, state
        explore = self.np_random.random(actions.shape[:1]) < self.exploration_rate
        explore = explore.reshape(explore.shape + (1,) * (actions.ndim - explore.ndim))  # one coin for a slate
        return np.where(explore, self._random_items(observation), actions), state

    def _random_items(self, observation: dict[str, NDArray]) -> NDArray:
        """One of the items that were not consumed, or of the candidates, each as probable as the others."""
        barred = self._barred(observation)
        return np.where(barred, -1.0, self.np_random.random(barred.shape)).argmax(axis=-1)

    def _barred(self, observation: dict[str, NDArray]) -> NDArray[np.bool_]:
        """Which items, or candidates, may not be recommended, shape ``(B, N)`` or ``(B, K)``."""
        if "candidates" in observation:
            return observation["candidates"] < 0
        consumed = observation["consumed_items"]
        net: Any = self.policy.net
        barred = np.zeros((len(consumed), net.options.items), dtype=np.bool_)
        row, place = np.nonzero(consumed >= 0)
        barred[row, consumed[row, place]] = True
        return barred


def retrieving(policy: Any, count: int) -> Retrieve:
    """The ``count`` items that a policy of now scores highest, by exact inner products with all of them."""

    def retrieve(observations: dict[str, NDArray]) -> NDArray[np.int32]:
        tensors = preprocess_obs(policy.obs_to_tensor(observations)[0], policy.observation_space)
        with torch.no_grad():
            scores, items = policy.actor()(tensors).topk(count)
        return torch.where(scores > MASKED / 2, items, -1 - items).to(torch.int32).cpu().numpy()

    return retrieve


def make_net(config: TrainConfig, world: World) -> Net:
    """The network of a training, with what it begins with."""
    features = item_features(world.catalog)
    algorithm = ALGORITHMS[config.algo]
    prior = algorithm.prior if config.prior is None else config.prior
    met = np.zeros(len(world.population), dtype=np.bool_)
    met[world.user_indices] = True
    options = NetOptions(
        kind=config.policy_net,
        num_users=len(world.population),
        items=len(world.catalog),
        features=features.shape[1],
        history_length=config.history_length,
        low=world.domain.scale.low,
        high=world.domain.scale.high,
        max_steps=config.max_steps,
        embedding_dim=config.embedding_dim,
        hidden=config.hidden,
        latent=() if config.policy_net == "cf" else _latent(world),
        candidates=_candidates(config, len(world.catalog)),
        choice_places=config.slate if algorithm.learns_choice else 0,
    )
    catalog = world.catalog
    public = 2.0 * (catalog.public_ratings - catalog.scale.low) / catalog.scale.span - 1.0
    start = prior * public_ratings(catalog)
    gains = {"gain": algorithm.gain, "sharpness": algorithm.sharpness}
    return Net(options, features, public.astype(np.float32), start.astype(np.float32), met=met, **gains)


def _latent(world: World) -> tuple[str, ...]:
    """The parts of the observation that no real recommender sees."""
    shown: Any = EmoSimVectorEnv(world=world).single_observation_space
    return tuple(part for part in LATENT if part in shown.spaces)


def _candidates(config: TrainConfig, items: int) -> int:
    """How many items are scored at once; 0 for all."""
    count = config.candidates
    if count is None:
        count = ALGORITHMS[config.algo].candidates if items > _ALL_UP_TO else 0
    return max(count, config.slate) if 0 < count < items else 0


def make_model(config: TrainConfig, net: Net, env: VecEnv) -> Any:
    """The algorithm with its network, untrained; a ConfigurationError where an argument or the device is refused."""
    algorithm = ALGORITHMS[config.algo]
    given = arguments(config)
    if config.device.startswith("cuda") and not torch.cuda.is_available():  # stable-baselines3 would take the CPU
        raise ConfigurationError(f"device {config.device!r}: torch finds no CUDA here; give --device auto or cpu")
    candidates = net.options.candidates
    users: VecEnv = SlateEnv(env) if config.slate > 1 else env
    if candidates:
        users = CandidateEnv(users, candidates)
    try:
        model = load_object(algorithm.cls)(
            load_object(algorithm.policy),
            users,
            policy_kwargs={"net": net},
            seed=config.seed,
            device=config.device,
            **given,
        )
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{algorithm.title} refuses its arguments: {error}") from error
    if isinstance(users, CandidateEnv):
        users.retrieve = retrieving(model.policy, candidates)
    return model
