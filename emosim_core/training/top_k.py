"""TopK: a policy gradient for slates that are drawn from one softmax over items (Chen et al., 2019), on PPO."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import explained_variance
from torch import nn
from torch.nn import functional

from emosim_core.training.policies import ItemActorCritic
from emosim_core.training.slates import marked, unmarked

_NEAR_ONE = 1.0 - 1e-6


class SlateDistribution(CategoricalDistribution):
    """K of N items without one twice: each next one by the softmax over those that are left (Plackett-Luce).

    Drawn at once as the K highest scores after Gumbel noise (Kool, van Hoof & Welling, 2019, arXiv:1903.06059).
    """

    def __init__(self, slate: int) -> None:
        super().__init__(slate)
        self._slate = slate

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        return nn.Identity()  # the policy puts its own layer here

    def proba_distribution(self, action_logits: torch.Tensor) -> SlateDistribution:
        self._log_pi = functional.log_softmax(action_logits, dim=1)
        return self

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """For each item of slates ``(B, K)``, log(1 - (1 - pi_i)^K): that of being among K draws; shape ``(B, K)``.

        These are draws with replacement, as Chen et al. have them; without, an item is in a slate a little more often.
        """
        pi = self._log_pi.gather(1, actions.long()).exp().clamp(1e-12, _NEAR_ONE)
        return torch.log(-torch.expm1(self._slate * torch.log1p(-pi)))

    def entropy(self) -> torch.Tensor:
        """That of the softmax over items, shape ``(B,)``."""
        return -(self._log_pi.exp() * self._log_pi).sum(dim=1)

    def sample(self) -> torch.Tensor:
        noise = -torch.empty_like(self._log_pi).exponential_().log()
        return (self._log_pi + noise).topk(self._slate).indices

    def mode(self) -> torch.Tensor:
        return self._log_pi.topk(self._slate).indices


class SlateActorCritic(ItemActorCritic):
    """The networks of A2C and PPO, whose scores are a softmax that slates are drawn from."""

    def _build(self, lr_schedule: Schedule) -> None:
        self.action_dist = SlateDistribution(len(self.action_space.nvec))  # type: ignore[attr-defined]
        super()._build(lr_schedule)


class SlateRollouts(DictRolloutBuffer):
    """A rollout whose slates mark what was clicked, with a log-probability for each of their items."""

    env: Any

    def reset(self) -> None:
        super().reset()
        self.log_probs = np.zeros((self.buffer_size, self.n_envs, self.action_dim), dtype=np.float32)

    def add(self, obs: Any, action: NDArray, *step: Any) -> None:
        super().add(obs, marked(action, self.env.clicked), *step)


class TopK(PPO):
    """REINFORCE with the top-K off-policy correction of Chen et al. (2019, arXiv:1812.02353), clipped as PPO clips.

    With pi a softmax over items and K draws of it, an item is shown with probability alpha = 1 - (1 - pi)^K. Chen et
    al. put alpha for pi into the policy gradient: grad log alpha = (pi / alpha) lambda_K grad log pi, with their
    lambda_K = K (1 - pi)^(K - 1), which falls to 0 for an item that is shown for certain. What weighs the step of an
    item is the ratio of its alpha of now to that under which it was shown; the first update of a rollout has the
    gradient above, and later ones are clipped (Schulman et al., 2017, arXiv:1707.06347), each item by its own ratio.

    What was clicked is credited with the advantage of the step; after a slate without a click, whose advantage Chen
    et al. leave out, all its items share it (ours).
    """

    rollout_buffer: SlateRollouts
    policy: Any

    def _setup_model(self) -> None:
        self.rollout_buffer_class = SlateRollouts
        super()._setup_model()
        self.rollout_buffer.env = self.env

    def train(self) -> None:
        """Learn from the last rollout."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip: Any = self.clip_range
        near = clip(self._current_progress_remaining)
        logged: dict[str, list[float]] = {"policy_gradient_loss": [], "value_loss": [], "entropy_loss": [], "loss": []}
        for _ in range(self.n_epochs):
            for batch in self.rollout_buffer.get(self.batch_size):
                slates, shares = unmarked(batch.actions)
                shares = torch.where(shares.sum(dim=1, keepdim=True) > 0, shares, 1.0 / shares.shape[1])
                values, shown, entropy = self.policy.evaluate_actions(batch.observations, slates)
                gains = batch.advantages
                if self.normalize_advantage and len(gains) > 1:
                    gains = (gains - gains.mean()) / (gains.std() + 1e-8)
                ratio = torch.exp(shown - batch.old_log_prob.reshape(shown.shape))
                clipped = torch.minimum(gains[:, None] * ratio, gains[:, None] * ratio.clamp(1 - near, 1 + near))
                policy_loss = -(shares * clipped).sum(dim=1).mean()
                value_loss = functional.mse_loss(batch.returns, values.flatten())
                loss = policy_loss - self.ent_coef * entropy.mean() + self.vf_coef * value_loss
                self.policy.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                for name, value in zip(logged, (policy_loss, value_loss, -entropy.mean(), loss), strict=True):
                    logged[name].append(value.item())
            self._n_updates += 1
        for name, numbers in logged.items():
            self.logger.record(f"train/{name}", np.mean(numbers))
        buffer = self.rollout_buffer
        variance = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.logger.record("train/explained_variance", variance)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
