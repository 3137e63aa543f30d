"""SlateQ: a value for each item of a slate, and a choice model that is learned from clicks (Ie et al., 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.type_aliases import Schedule
from torch.nn import functional

from emosim_core.recommenders.networks import Net
from emosim_core.recommenders.slate_networks import Appraisal, SlateActor
from emosim_core.training.policies import MaskedDQN
from emosim_core.training.slates import marked, unmarked


class SlateQPolicy(BasePolicy):
    """The network of :class:`SlateQ`, and that of its targets."""

    def __init__(
        self, observation_space: spaces.Dict, action_space: spaces.MultiDiscrete, lr_schedule: Schedule, net: Net
    ) -> None:
        super().__init__(observation_space, action_space)
        self.net, self._slate = net, len(action_space.nvec)
        self.q_net, self.q_net_target = SlateActor(net), SlateActor(net)
        self.q_net_target.load_state_dict(self.q_net.state_dict())
        self.q_net_target.requires_grad_(False)
        self.optimizer = self.optimizer_class(self.q_net.parameters(), lr=lr_schedule(1))  # type: ignore[call-arg]

    def appraise(self, observation: Any, target: bool = False) -> Appraisal:
        """What the network, or that of the targets, makes of tensors of B users."""
        tensors: Any = preprocess_obs(observation, self.observation_space)
        return (self.q_net_target if target else self.q_net).appraise(tensors)

    def _predict(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        return self.appraise(observation).scores.topk(self._slate).indices

    def set_training_mode(self, mode: bool) -> None:
        self.q_net.train(mode)
        self.q_net_target.train(False)
        self.training = mode

    def actor(self) -> SlateActor:
        """What chooses items, sharing its weights with the policy."""
        return self.q_net


class _OfSlates(OffPolicyAlgorithm):
    """Stands below DQN, which takes single actions alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "supported_action_spaces": (spaces.MultiDiscrete,)})


class SlateQ(MaskedDQN, _OfSlates):
    """DQN over slates: the value of a slate is that of its items, by how probable a click on each is.

    Q(s, A) = sum_{i in A} P(i | s, A) Q(s, i) + P(nothing | s, A) Q(s, nothing) (Ie et al., 2019, arXiv:1905.12767,
    equation 9, with no click as the item that every slate has). The target of an item that was clicked is its reward
    and gamma Q(s', A') for the slate A' of highest values ("Q-learning with the top-K optimiser"); Q(s, nothing) learns
    from slates without a click in the same way, and what was shown and not clicked learns nothing. P is a conditional
    logit, see :class:`~emosim_core.recommenders.slate_networks.SlateActor`, fitted by maximum likelihood to the slates
    and clicks of the same batches. Several clicks on a slate share its reward alike.
    """

    policy: Any

    def _random_items(self, observation: dict[str, NDArray]) -> NDArray:
        """A slate of items that may be shown, or of candidates, each slate as probable as the others."""
        barred = self._barred(observation)
        drawn = np.where(barred, -1.0, self.np_random.random(barred.shape))
        slates: Any = self.action_space
        return np.argsort(-drawn, axis=1, kind="stable")[:, : len(slates.nvec)]

    def _store_transition(self, replay_buffer: Any, buffer_action: NDArray, *transition: Any) -> None:
        clicked = self.env.clicked  # type: ignore[union-attr]
        super()._store_transition(replay_buffer, marked(buffer_action, clicked), *transition)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Learn from ``batch_size`` slates so many times."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses, choice_losses = [], []
        for _ in range(gradient_steps):
            batch: Any = self.replay_buffer.sample(batch_size)  # type: ignore[union-attr]
            slates, shares = unmarked(batch.actions)
            with torch.no_grad():
                after = self.policy.appraise(batch.next_observations, target=True)
                best = after.scores.topk(slates.shape[1]).indices
                worth = self._worth(after, best, self.policy.q_net_target.places)
                later = (1.0 - batch.dones) * self.gamma * worth
                target = torch.cat([later, batch.rewards * shares + later], dim=1)
            now = self.policy.appraise(batch.observations)
            value = torch.cat([now.nothing, now.values.gather(1, slates)], dim=1)
            weight = torch.cat([1.0 - shares.sum(dim=1, keepdim=True), shares], dim=1)
            loss = (weight * functional.smooth_l1_loss(value, target, reduction="none")).sum(dim=1).mean()
            chance = self._log_chances(now, slates, self.policy.q_net.places)
            choice_loss = -(weight * chance).sum(dim=1).mean()
            self.policy.optimizer.zero_grad()
            (loss + choice_loss).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.policy.q_net.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            losses.append(loss.item())
            choice_losses.append(choice_loss.item())
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", np.mean(losses))
        self.logger.record("train/choice_loss", np.mean(choice_losses))

    @staticmethod
    def _log_chances(seen: Appraisal, slates: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of no click, then of one at each place of the slates, shape ``(B, 1 + S)``."""
        odds = seen.odds.gather(1, slates) + places
        return functional.log_softmax(torch.cat([torch.zeros_like(seen.nothing), odds], dim=1), dim=1)

    @classmethod
    def _worth(cls, seen: Appraisal, slates: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Q(s, A) of slates, shape ``(B, 1)``."""
        values = torch.cat([seen.nothing, seen.values.gather(1, slates)], dim=1)
        return (cls._log_chances(seen, slates, places).exp() * values).sum(dim=1, keepdim=True)
